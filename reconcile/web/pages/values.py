"""How values are written on a page: elements, identifiers, times, UIDs.

Every value of a patient that is shown passes through `said`, `named`, `whose` or `words`:
what somebody may not see is masked here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconcile.core import attributes as at
from reconcile.dataset.iods import name_of
from reconcile.dataset.keywords import keyword, tag_of
from reconcile.db.views_audit import Event
from reconcile.db.views_patients import Identifier

#: Characters of one value, and values of one element, that a page shows.
CHARACTERS_MAX = 512
VALUES_MAX = 20

#: What an event is named by, where it changed any of these: the first are told first.
TOLD_FIRST = (
    at.PATIENT_ID,
    at.ISSUER_OF_PATIENT_ID,
    at.PATIENT_NAME,
    at.PATIENT_BIRTH_DATE,
    at.PATIENT_SEX,
    at.STUDY_INSTANCE_UID,
    at.SERIES_INSTANCE_UID,
    at.ACCESSION_NUMBER,
)
_TOLD_MAX = 3
_MODIFIED_ATTRIBUTES = "04000550"
_PERSON = re.compile(r"\bperson ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")

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
    return _cut(" · ".join(identifiers))


def in_two(identifiers: Sequence[str]) -> str:
    """The first two identifiers of a patient, and whether there are more."""
    return named(identifiers[:2]) + (" …" if len(identifiers) > 2 else "")


def whose(patient: Mapping[str, str] | Identifier | None) -> str:
    """A patient by one identifier, as HL7 writes CX."""
    if not patient:
        return ""
    if isinstance(patient, Identifier):
        return named([f"{patient.id}^^^{patient.issuer}"])
    issuer = patient.get("issuer")
    return named([f"{patient.get('id', '')}" + (f"^^^{issuer}" if issuer else "")])


def words(text: str) -> str:
    """A message as it came."""
    return text


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


# -- What an event changed ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """One attribute before and since; empty: it has no value, or is not there.

    `varies`: what was there differs from instance to instance.
    """

    tag: str
    vr: str
    before: str
    since: str
    was_there: bool
    is_there: bool
    varies: bool = False


def changed(event: Event) -> tuple[Changed, ...]:
    """What an event changed, as far as its values are kept; nothing where they are not."""
    if is_masked(event):
        return ()
    before, since = _modified(event), event.new_attributes or {}
    tags = (tag for tag in {**before, **since} if tag != at.INSTANCE_COERCION_DATETIME)
    told = (_changed(tag, before, since, event) for tag in tags)
    return tuple(each for each in told if each.was_there or each.is_there)


def is_masked(event: Event) -> bool:
    """Whether its values were taken out: its patient is protected (`web.masking`)."""
    item = event.original_attributes or {}
    return _MODIFIED_ATTRIBUTES in item and "Value" not in item[_MODIFIED_ATTRIBUTES]


def _modified(event: Event) -> Mapping[str, Any]:
    element = (event.original_attributes or {}).get(_MODIFIED_ATTRIBUTES, {})
    item: Mapping[str, Any] = (element.get("Value") or [{}])[0]
    return item


def _changed(
    tag: str,
    before: Mapping[str, Any],
    since: Mapping[str, Any],
    event: Event,
) -> Changed:
    vr = (since.get(tag) or before.get(tag) or {}).get("vr", "")
    was_there = tag in before and tag not in event.absent
    said_before = said(before.get(tag)) if was_there else ""
    return Changed(
        tag,
        vr,
        said_before,
        said(since.get(tag)),
        was_there,
        tag in since,
        word(tag) in event.varies,
    )


def told_first(event: Event) -> tuple[str, ...]:
    """Keywords of what an event changed, what people look for first."""
    return tuple(sorted(event.attributes, key=_place))


def in_short(event: Event) -> tuple[Changed, ...]:
    """The few changes by which an event is known at a glance."""
    found = {each.tag: each for each in changed(event)}
    first = [found[tag] for tag in TOLD_FIRST if tag in found]
    return tuple(first[:_TOLD_MAX])


def _place(attribute: str) -> int:
    tag = tag_of(attribute) or attribute
    return TOLD_FIRST.index(tag) if tag in TOLD_FIRST else len(TOLD_FIRST)


def pieces_of(
    sentence: str, persons: Mapping[str, Sequence[str]]
) -> Iterable[tuple[str, str]]:
    """A sentence in pieces, (text, person): a person's id as what they are named by."""
    end = 0
    for found in _PERSON.finditer(sentence):
        yield sentence[end : found.start(1)], ""
        yield in_two(persons.get(found[1], ())) or found[1], found[1]
        end = found.end()
    yield sentence[end:], ""
