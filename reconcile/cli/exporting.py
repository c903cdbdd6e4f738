"""`reconcile audit export`: the history as a file to be taken away."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Literal

import typer

from reconcile.cli.audit import _filter, app
from reconcile.cli.context import Config, Data, nothing_found, opened
from reconcile.cli.wiring import note_reading
from reconcile.errors import WrongUse
from reconcile.flows.exporting import FORMATS, HEADERS
from reconcile.flows.questions import audit_query

Format = Annotated[Literal["ndjson", "csv"], typer.Option("--format")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File; else standard output.", show_default=False),
]


@app.command("export")
def export_events(
    context: typer.Context,
    config: Config = None,
    data: Data = None,
    form: Format = "ndjson",
    output: Output = None,
    patient: Annotated[str, _filter("--patient", "ID^^^DOMAIN; all of that person.")] = "",
    study: Annotated[str, _filter("--study", "Received or assigned UID.")] = "",
    series: Annotated[str, _filter("--series", "Received or assigned UID.")] = "",
    instance: Annotated[str, _filter("--instance", "SOP Instance UID.")] = "",
    accession: Annotated[str, _filter("--accession", "Of a linked order.")] = "",
    cause: Annotated[str, _filter("--cause", "Such as c-store.")] = "",
    cause_id: Annotated[str, _filter("--cause-id", "Association/message, or MSH-10.")] = "",
    reason: Annotated[str, _filter("--reason", "COERCE or CORRECT.")] = "",
    rule: Annotated[str, _filter("--rule", "Such as identity, or its rungs.")] = "",
    source: Annotated[str, _filter("--source", "AE title.")] = "",
    attribute: Annotated[str, _filter("--attribute", "Keyword or tag.")] = "",
    actor: Annotated[str, _filter("--actor", "Who did it.")] = "",
    since: Annotated[str, _filter("--from", "Time, inclusive.")] = "",
    until: Annotated[str, _filter("--to", "Time, exclusive.")] = "",
) -> None:
    """Write coercion events to a file, with previous and new values: patient data.

    A file is there when it is whole, and readable by its owner only. Exits 1 when there
    is no event.
    """
    said = {**context.params, "from": since, "to": until}
    with opened(config, data) as archive:
        query = audit_query(said, archive.parts.rules.domains)
        note_reading(archive.parts, "audit export")
        with _written(output) as file:
            chunks = [file.write(each) for each in FORMATS[form](archive.database, query)]
    if len(chunks) == HEADERS[form]:
        raise nothing_found("no coercion is recorded for this")


@contextmanager
def _written(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that takes its name when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(output)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise WrongUse(f"{output}: {error.strerror}") from error
