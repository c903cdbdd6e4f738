"""The options of lists in CSV files, and what is told of their rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol, TextIO

import typer

from reconcile.cli.lists import ENCODING, Format, Row, Table
from reconcile.errors import WrongUse

Encoding = Annotated[str, typer.Option(help="Of lists, such as latin-1 or cp1252.")]
Delimiter = Annotated[str, typer.Option(help="Of lists; else what the heading has.")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="FIELD=NAME", help="What a column is called."),
]
Rejects = Annotated[
    Path | None, typer.Option(help="Write rows that were not taken to this file.")
]


def how_written(encoding: str, delimiter: str, columns: Sequence[str] | None) -> Format:
    """How lists are written, of the options that say it.

    Raises:
        WrongUse: a column is not said as FIELD=NAME.
    """
    said = [each.partition("=") for each in columns or ()]
    if not all(name and field for field, _, name in said):
        raise WrongUse("--column is FIELD=NAME")
    named = {field.strip(): name.strip() for field, _, name in said}
    tab = "\t" if delimiter in ("\\t", "tab") else delimiter
    return Format(encoding or ENCODING, tab, named)


class Reject(Protocol):
    """Where rows go that were not taken."""

    def __call__(self, row: Row, why: str) -> None:
        """Tell of a row."""


@contextmanager
def rejecting(table: Table, file: Path | None) -> Iterator[Reject]:
    """Tell of rows by line and sentence; with their values only in the file.

    Raises:
        WrongUse: the file cannot be written, or is the list itself.
    """
    if file is None:
        yield lambda row, why: _say(table, row, why)
        return
    with _opened(table, file) as opened:
        writer = csv.writer(opened, delimiter=table.delimiter)
        writer.writerow([*table.heading, "line", "why"])

        def reject(row: Row, why: str) -> None:
            _say(table, row, why)
            blank = [""] * (len(table.heading) - len(row.cells))
            writer.writerow([*row.cells, *blank, row.line, why])
            opened.flush()

        yield reject


def _opened(table: Table, file: Path) -> TextIO:
    if file.exists() and file.samefile(table.path):
        raise WrongUse(f"{file.name} is the list itself")
    try:
        encoding = table.how.encoding
        return file.open("w", encoding=encoding, errors="surrogateescape", newline="")
    except OSError as error:
        raise WrongUse(f"{file.name} cannot be written: {error.strerror}") from error


def _say(table: Table, row: Row, why: str) -> None:
    typer.echo(f"{table.path.name} line {row.line}: {why}", err=True)
