"""`reconcile import`: DICOM files or folders through the same flow as C-STORE."""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from reconcile.cli import wiring
from reconcile.cli.context import FINDING, AsJson, Config, Data, Opened, opened, say_json
from reconcile.core.facts import Source
from reconcile.errors import WrongUse
from reconcile.flows.importing import (
    IMPORT_SOURCE,
    Became,
    Imported,
    ImportFlow,
    files_in,
)


def import_files(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files or folders.")],
    source: Annotated[str, typer.Option(help="Read them as this [[source]].")] = "",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Import DICOM files. Stopped and run again, it passes over what is stored.

    Exits 1 when a file was refused.
    """
    with opened(config, data, make=True) as archive:
        flow = ImportFlow(
            archive.parts.store("import"),
            _source(archive, source),
            f"import/{secrets.token_hex(4)}",
        )
        counted = _take(flow, list(files_in(paths)), as_json=as_json)
    told = ", ".join(f"{counted[each]} {each.value}" for each in Became if counted[each])
    typer.echo(told or "no files", err=as_json)
    if counted[Became.REFUSED]:
        raise typer.Exit(FINDING)


def _source(archive: Opened, name: str) -> Source:
    if not name:
        return IMPORT_SOURCE
    for each in archive.parts.settings.source:
        if each.ae_title == name:
            return wiring.source(each)
    raise WrongUse(f"no [[source]] is named {name}")


def _take(flow: ImportFlow, files: Sequence[Path], *, as_json: bool) -> Counter[Became]:
    counted: Counter[Became] = Counter()
    with _progress(files) as shown:
        for number, path in enumerate(shown, 1):
            done = flow.take(path, number)
            counted[done.became] += 1
            if as_json:
                say_json(done_row(done))
            elif done.became is Became.REFUSED:
                typer.echo(f"{path}: {done.why}", err=True)
    return counted


def _progress(files: Sequence[Path]) -> AbstractContextManager[Iterable[Path]]:
    return typer.progressbar(files, label="import", file=sys.stderr)


def done_row(done: Imported) -> dict[str, str]:
    """What became of a file, for programs."""
    return {"path": str(done.path), "became": done.became.value, "why": done.why}
