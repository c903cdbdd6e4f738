"""`reconcile import`: DICOM files or folders through the same flow as C-STORE."""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from reconcile.cli import wiring
from reconcile.cli.context import FINDING, AsJson, Config, Data, Opened, opened, say_json
from reconcile.cli.listing import Columns, Delimiter, Encoding, Rejects, how_written
from reconcile.cli.patient_list import NOT_TAKEN, Options, import_patients
from reconcile.cli.truth import Truth
from reconcile.cli.truth import truth as read_truth
from reconcile.core.facts import Source
from reconcile.errors import WrongUse
from reconcile.flows.importing import (
    IMPORT_SOURCE,
    Became,
    File,
    Imported,
    ImportFlow,
    files_in,
    no_list,
)
from reconcile.flows.media import MediaFlow

#: Told by name, beside how many there are.
_TOLD = (Became.REFUSED, Became.PASSED_OVER)


Paths = Annotated[list[Path] | None, typer.Argument(exists=True, help="Files or folders.")]
ReadAs = Annotated[str, typer.Option(help="Read them as this [[source]].")]
OnMedia = Annotated[bool, typer.Option("--media", help="Each path is one medium.")]
List = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A list of patients, in CSV."),
]
TruthList = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Whose each study is, in CSV."),
]
TruthOnly = Annotated[
    bool, typer.Option("--truth-only", help="Hold what --truth does not name.")
]
FeedName = Annotated[str, typer.Option(help="The [[feed]] that the list speaks as.")]
Domain = Annotated[str, typer.Option(help="Of IDs in the list that name none.")]
Dates = Annotated[str, typer.Option(help="How its dates are written: %d.%m.%Y.")]
DrawnAt = Annotated[str, typer.Option(help="When it was drawn; else the file's time.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Of a list: change nothing.")]


def import_files(
    paths: Paths = None,
    source: ReadAs = "",
    media: OnMedia = False,
    patients: List = None,
    truth: TruthList = None,
    truth_only: TruthOnly = False,
    feed: FeedName = "",
    domain: Domain = "",
    dates: Dates = "",
    drawn_at: DrawnAt = "",
    encoding: Encoding = "",
    delimiter: Delimiter = "",
    column: Columns = None,
    rejects: Rejects = None,
    dry_run: DryRun = False,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Import DICOM files, or a list of patients; stopped and run again, it goes on.

    Exits 1 when a file was refused, or a row was refused or waits for a person.
    """
    with opened(config, data, make=True) as archive:
        _check(paths, patients, truth, dry_run=dry_run)
        how = how_written(encoding, delimiter, column)
        options = Options(feed, domain, dates, drawn_at, dry_run)
        found = False
        if patients:
            told = import_patients(
                archive, patients, how, options, rejects, as_json=as_json
            )
            _say_counts(told, "no patients", as_json=as_json)
            found = bool(told.keys() & NOT_TAKEN)
        listed = None
        if truth:
            listed = read_truth(archive, truth, how, options, rejects, only=truth_only)
        if paths:
            read_as = _source(archive, source)
            found |= _import(archive, paths, read_as, listed, media=media, as_json=as_json)
        if truth and listed:
            _say_unmatched(truth, listed, as_json=as_json)
    if found:
        raise typer.Exit(FINDING)


def _check(
    paths: Sequence[Path] | None,
    patients: Path | None,
    truth: Path | None,
    *,
    dry_run: bool,
) -> None:
    if not paths and not patients:
        raise WrongUse("what is to be imported? files, folders, or --patients")
    if dry_run and paths:
        raise WrongUse("--dry-run is for a list of patients alone")
    if truth and (patients or not paths):
        raise WrongUse("--truth goes with files; import --patients before")


def _say_unmatched(path: Path, listed: Truth, *, as_json: bool) -> None:
    """Name the rows that no file has come for, in this import or an earlier one."""
    count = 0
    for line, uid in listed.unmatched():
        count += 1
        if as_json:
            say_json({"line": line, "study_instance_uid": uid, "became": "no file"})
        else:
            typer.echo(f"{path.name} line {line}: no file of study {uid}", err=True)
    if count:
        typer.echo(f"{count} rows of {path.name} without a file", err=True)


def _import(
    archive: Opened,
    paths: Sequence[Path],
    source: Source,
    listed: Truth | None,
    *,
    media: bool,
    as_json: bool,
) -> bool:
    """Whether a file was refused."""
    flow = ImportFlow(
        archive.parts.store("import"),
        source,
        f"import/{secrets.token_hex(4)}",
        listed.of if listed else no_list,
    )
    counted = _take(flow, paths, media=media, as_json=as_json)
    _say_counts({each.value: counted[each] for each in Became}, "no files", as_json=as_json)
    return counted[Became.REFUSED] > 0


def _say_counts(counted: Mapping[str, int], nothing: str, *, as_json: bool) -> None:
    told = ", ".join(f"{count} {each}" for each, count in counted.items() if count)
    typer.echo(told or nothing, err=as_json)


def _source(archive: Opened, name: str) -> Source:
    if not name:
        return IMPORT_SOURCE
    for each in archive.parts.settings.source:
        if each.ae_title == name:
            return wiring.source(each)
    raise WrongUse(f"no [[source]] is named {name}")


def _take(
    flow: ImportFlow, paths: Sequence[Path], *, media: bool, as_json: bool
) -> Counter[Became]:
    counted: Counter[Became] = Counter()
    looking, several = _looking(flow), set[Path]()
    number_of = sum(1 for _ in files_in(paths))
    with _progress(files_in(paths, media=media), number_of) as shown:
        for number, file in enumerate(shown, 1):
            done = flow.take(file.path, number, looked_at=file.medium is not None)
            counted[done.became] += 1
            if as_json:
                say_json(done_row(done))
            elif done.became in _TOLD:
                typer.echo(f"{printable(file.path)}: {done.why}", err=True)
            if file.medium and looking.saw(file.medium, done):
                several.add(file.medium)
    for medium in sorted(several):
        typer.echo(f"{printable(medium)}: more than one patient on this medium", err=True)
    return counted


def _looking(flow: ImportFlow) -> MediaFlow:
    store, source = flow.store, flow.source.ae_title
    cause_id = f"{source}/{flow.run}"
    return MediaFlow(store.database, store.rules, store.clock, source, cause_id)


def _progress(
    files: Iterable[File], number_of: int
) -> AbstractContextManager[Iterable[File]]:
    return typer.progressbar(files, length=number_of, label="import", file=sys.stderr)


def done_row(done: Imported) -> dict[str, str]:
    """What became of a file, for programs."""
    return {"path": printable(done.path), "became": done.became.value, "why": done.why}


def printable(path: Path) -> str:
    """A path as text, also one whose name is in no character set."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
