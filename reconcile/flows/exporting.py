"""The coercion history as files to be taken away: NDJSON for programs, CSV for people.

Both are made a page at a time, each page read in a transaction of its own, so that a
history of any length is exported in constant memory and a slow reader holds nothing.

A table may be opened in a spreadsheet, and what stands in it was typed by strangers: a
cell must never be taken for a formula. Every cell is quoted, and wherever a spreadsheet
could begin to read a cell (at its begin, and behind what separates cells in another
country), what looks like a formula is preceded by an apostrophe. `unescaped` is the exact
inverse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from reconcile.core import attributes as at
from reconcile.dataset.keywords import keyword, tag_of
from reconcile.db import views_audit
from reconcile.db.database import Connection, Database
from reconcile.db.views import Where, plain
from reconcile.db.views_audit import AuditQuery, Event

PAGE = 500

#: Of an event, what every one of its rows repeats.
OF_EVENT = (
    "id", "number", "recorded_at", "happening", "position", "level", "cause", "cause_id",
    "rule", "rung", "reason", "actor", "source", "sop_instance_uid", "series_instance_uid",
    "study_instance_uid", "received_study_instance_uid", "undone_by", "undoes",
)  # fmt: skip
#: Of whom an event is, and what one row is about.
OF_CHANGE = ("patient_id", "patient_issuer", "attribute", "tag", "before", "after", "note")
COLUMNS = (*OF_EVENT, *OF_CHANGE)

ABSENT, REMOVED, VARIES, ERASED, UNCHANGED = (
    "was absent",
    "taken away",
    "varies",
    "erased",
    "for context",
)

# What a spreadsheet takes for the begin of a formula, also in full width; and the
# apostrophe, so that ours can be told from one that was there.
_FORMULA = re.compile(r"(?:^|(?<=[,;|\t\r\n]))(?='|[\s\"]*[=+\-@\t\r＝＋－＠])")
_APOSTROPHE = re.compile(r"(?:^|(?<=[,;|\t\r\n]))'")
#: So that a spreadsheet knows that the text is UTF-8.
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"

Chunks = Generator[bytes, None, None]


#: What of a page's events somebody may see.
Seen = Callable[[Connection, Sequence[Event]], Sequence[Event]]


def _all(_: Connection, events: Sequence[Event]) -> Sequence[Event]:
    return events


def ndjson(database: Database, query: AuditQuery, seen: Seen = _all) -> Chunks:
    """Each event as the outer face tells it, one JSON object a line."""
    for page in pages(database, query, seen):
        lines = (json.dumps(plain(each), ensure_ascii=False) + "\n" for each in page)
        yield "".join(lines).encode(errors="replace")


def csv(database: Database, query: AuditQuery, seen: Seen = _all) -> Chunks:
    """One row for each attribute that an event changed (RFC 4180, UTF-8, a header)."""
    yield (_MARK + _line(COLUMNS)).encode()
    for page in pages(database, query, seen):
        table = "".join(_line(row) for each in page for row in rows(each))
        yield table.encode(errors="replace")


#: What makes a file, by its format.
FORMATS = {"ndjson": ndjson, "csv": csv}
#: Chunks of a file in which there is no event.
HEADERS = {"ndjson": 0, "csv": 1}


def pages(
    database: Database, query: AuditQuery, seen: Seen = _all
) -> Iterator[Sequence[Event]]:
    """All events of a query, a page at a time, each in a transaction of its own."""
    where = Where(limit=PAGE)
    while True:
        with database.read_only() as connection:
            found = views_audit.events(connection, query, where)
            shown = seen(connection, found.items)
        if shown:
            yield shown
        if found.next is None:
            return
        where = Where(limit=PAGE, cursor=found.next)


# -- Rows ---------------------------------------------------------------------------


def rows(event: Event) -> Iterator[tuple[str, ...]]:
    """The rows of an event, at least one; in each a cell for every column."""
    told = plain(event)
    begin = tuple(_text(told[name]) for name in OF_EVENT)
    patient = event.patient or {}
    begin += (patient.get("id", ""), patient.get("issuer", ""))
    for change in _changes(event) or [("", "", "", "", "")]:
        yield (*begin, *change)


def _changes(event: Event) -> Sequence[tuple[str, ...]]:
    """(keyword, tag, before, after, note) for each attribute that the item holds."""
    if event.original_attributes is None or event.new_attributes is None:
        return [(name, tag_of(name) or "", "", "", ERASED) for name in event.attributes]
    before = modified(event.original_attributes)
    found = [
        (
            keyword(tag),
            tag,
            _value(before.get(tag)),
            _value(event.new_attributes.get(tag)),
            _note(event, tag),
        )
        for tag in sorted({*before, *event.new_attributes})
    ]
    varying = [(name, tag_of(name) or "", "", "", VARIES) for name in event.varies]
    return found + [each for each in varying if each[1] not in {row[1] for row in found}]


def modified(original_attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The item of Modified Attributes Sequence in an item of Original Attributes."""
    items = at.values(original_attributes.get(at.MODIFIED_ATTRIBUTES_SEQUENCE))
    return items[0] if items else {}


def _note(event: Event, tag: str) -> str:
    assert event.new_attributes is not None
    notes = [ABSENT] if tag in event.absent else []
    if tag not in event.new_attributes:
        notes.append(REMOVED if keyword(tag) in event.attributes else UNCHANGED)
    if keyword(tag) in event.varies:
        notes.append(VARIES)
    return ", ".join(notes)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _value(element: at.Element | None) -> str:
    r"""Values as DICOM writes them, with a "\" between them; sequences as JSON."""
    if element is None:
        return ""
    if "InlineBinary" in element:
        return str(element["InlineBinary"])
    return "\\".join(_one(value) for value in at.values(element))


def _one(value: Any) -> str:
    if isinstance(value, Mapping):
        groups = ("Alphabetic", "Ideographic", "Phonetic")
        if value and all(name in groups for name in value):
            return "=".join(value.get(name, "") for name in groups).rstrip("=")
        return json.dumps(value, ensure_ascii=False)
    return _text(value)


# -- Cells --------------------------------------------------------------------------


def escaped(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return _FORMULA.sub("'", cell)


def unescaped(cell: str) -> str:
    """The value of a cell that `escaped` made."""
    return _APOSTROPHE.sub("", cell)


def _line(cells: tuple[str, ...]) -> str:
    quoted = ('"' + escaped(cell).replace('"', '""') + '"' for cell in cells)
    return ",".join(quoted) + "\r\n"
