"""How values are written on a page: elements, identifiers, times, UIDs.

Every value of a patient that is shown passes through `said` or `named`: what somebody
may not see is masked here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reconcile.dataset.iods import name_of
from reconcile.dataset.keywords import keyword

#: Characters of one value, and values of one element, that a page shows.
CHARACTERS_MAX = 512
VALUES_MAX = 20

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def said(element: Mapping[str, Any] | None) -> str:
    """An element of the DICOM JSON model in one line; empty where it has no value."""
    if not element:
        return ""
    if "InlineBinary" in element:
        return f"(raw bytes) {element['InlineBinary']}"[:CHARACTERS_MAX]
    values = element.get("Value", ())
    text = " \\ ".join(_value(each) for each in values[:VALUES_MAX])
    return _cut(text + (" \\ …" if len(values) > VALUES_MAX else ""))


def named(identifiers: Sequence[str]) -> str:
    """The identifiers of a patient, as HL7 writes CX, in one line."""
    return _cut("  ·  ".join(identifiers))


def _value(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, Mapping):
        return str(value)
    if any(group in value for group in _GROUPS):
        return "=".join(str(value.get(group, "")) for group in _GROUPS).rstrip("=")
    inside = (f"{word(tag)}: {said(inner)}" for tag, inner in value.items())
    return "{" + "; ".join(inside) + "}"


def _cut(text: str) -> str:
    return text if len(text) <= CHARACTERS_MAX else text[: CHARACTERS_MAX - 1] + "…"


def word(tag: str) -> str:
    """The name of an attribute: its keyword, else its tag."""
    return keyword(tag)


def when(at: datetime | None) -> str:
    """A time to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago something was, in its largest unit."""
    if at is None:
        return ""
    seconds = max(0.0, (now - at).total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def sop_class(uid: str) -> str:
    """The name of a SOP class."""
    return name_of(uid)
