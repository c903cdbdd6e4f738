"""Lists in CSV files (RFC 4180, and what spreadsheets make of it), read row by row.

What is wrong with one row is told of that row, and the others are read all the same;
what is wrong with the whole list stops before its first row.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconcile.errors import WrongUse

#: Spreadsheets write the one that their country uses.
DELIMITERS = ",;\t|"
ENCODING = "utf-8-sig"
_VALUE_CHARACTERS_MAX = 4000


@dataclass(frozen=True, slots=True)
class Format:
    """How a list is written.

    Attributes:
        encoding: a codec of Python; its bytes below 80 (hex) have to be ASCII.
        delimiter: empty: the one that its heading has most of.
        columns: what its columns are called, where that is not the field's own name.
    """

    encoding: str = ENCODING
    delimiter: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list.

    Attributes:
        line: the line that it begins in; the heading is in line 1.
        values: by field, without blanks around them; absent columns are "".
        cells: as they stand.
        wrong: why it cannot be read, in a sentence without its values; empty: it can.
    """

    line: int
    values: Mapping[str, str]
    cells: Sequence[str]
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A list whose heading is understood.

    Attributes:
        heading: its columns as they stand.
        unused: columns that no field is read from.
    """

    path: Path
    how: Format
    delimiter: str
    heading: Sequence[str]
    places: Mapping[str, int]

    @property
    def unused(self) -> list[str]:
        """Columns that nothing is read from."""
        used = set(self.places.values())
        return [name for n, name in enumerate(self.heading) if n not in used]

    def rows(self) -> Iterator[Row]:
        """All rows but the heading; lines without anything in them are none."""
        with _lines(self.path, self.how.encoding) as lines:
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            _skip_heading(reader)
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    wrong = "its quotes do not match, or a value is far too long"
                    yield Row(line, {}, (), wrong)
                    continue
                if any(cell.strip() for cell in cells):
                    yield self._row(line, cells)

    def _row(self, line: int, cells: Sequence[str]) -> Row:
        wrong = self._wrong(cells)
        if wrong:
            return Row(line, {}, cells, wrong)
        values = {name: cells[place].strip() for name, place in self.places.items()}
        return Row(line, values, cells)

    def _wrong(self, cells: Sequence[str]) -> str:
        if len(cells) != len(self.heading):
            return f"it has {len(cells)} values, the heading has {len(self.heading)}"
        if any("\udc80" <= char <= "\udcff" for cell in cells for char in cell):
            return f"it is no text in {self.how.encoding}: name another --encoding"
        if any(char < " " or "\x7f" <= char <= "\x9f" for c in cells for char in c):
            return "it has control characters"
        if any(len(cell) > _VALUE_CHARACTERS_MAX for cell in cells):
            return "a value is far too long"
        return ""


def table(
    path: Path, how: Format, fields: Collection[str], required: Collection[str]
) -> Table:
    """The list in a file.

    Args:
        path: of the file.
        how: it is written.
        fields: what may be read from it.
        required: what it must have a column of.

    Raises:
        WrongUse: it cannot be opened, or its heading is not understood.
    """
    _check(how, fields)
    try:
        with _lines(path, how.encoding) as lines:
            first = next(lines, "").strip("\r\n")
    except OSError as error:
        raise WrongUse(f"{path.name} cannot be read: {error.strerror}") from error
    delimiter = how.delimiter or max(DELIMITERS, key=first.count)
    heading = next(csv.reader([first], delimiter=delimiter), [])
    found = Table(path, how, delimiter, heading, _places(heading, how, fields))
    missing = [name for name in required if name not in found.places]
    if missing:
        named = ", ".join(how.columns.get(name, name) for name in missing)
        raise WrongUse(f"{path.name} has no column {named}; see --column")
    return found


def _check(how: Format, fields: Collection[str]) -> None:
    try:
        if b"a;".decode(how.encoding) != "a;":
            raise LookupError
        codecs.lookup(how.encoding)
    except (LookupError, UnicodeError):
        raise WrongUse(f"{how.encoding} is no encoding that lists are read in") from None
    if len(how.delimiter) > 1:
        raise WrongUse("a delimiter is one character")
    unknown = [name for name in how.columns if name not in fields]
    if unknown:
        raise WrongUse(f"{unknown[0]} is none of: {', '.join(sorted(fields))}")


def _places(heading: Sequence[str], how: Format, fields: Collection[str]) -> dict[str, int]:
    """Where each field stands; letters' case and blanks in a heading do not matter."""
    names = [name.strip().lower() for name in heading]
    places: dict[str, int] = {}
    for name in fields:
        wanted = how.columns.get(name, name).strip().lower()
        if names.count(wanted) > 1:
            raise WrongUse(f"the heading has {wanted} twice")
        if wanted in names:
            places[name] = names.index(wanted)
        elif name in how.columns:
            raise WrongUse(f"the heading has no column {how.columns[name]}")
    return places


@contextmanager
def _lines(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    """Lines; bytes that are no text in the encoding stay what they are."""
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        yield iter(file)


def _skip_heading(reader: Any) -> None:
    next(reader, None)
