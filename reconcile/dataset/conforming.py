"""Does a value that came keep the rules of its VR, of its VM and of its character set.

Rule 1: a verdict changes nothing and loses nothing: it only says in which of its two
        places an Original Attributes item keeps a previous value.
Rule 2: a value is judged in the set that its data set declares, never in the one that is
        assumed of its source: an item is read by others.
Rule 3: padding is no fault, but an odd length is one: an item is of even length and can
        hold no copy of it. Of a tag that PS3.6 does not have, only the rules of its VR
        are asked.

A sequence that an item lists is copied whole, byte for byte, since that alone can be
taken back exactly. Values in it that break their VR stay in the copy and are listed
besides, each with the pointer to where it stands.

Source:
    PS3.3 C.12.1.1.9; PS3.5 section 6.2 and Table 6.2-1, section 9.1; PS3.6.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

from reconcile.dataset.charset import Terms, Undecodable, decode, is_text
from reconcile.dataset.dicom_json import terms_of
from reconcile.dataset.elements import (
    LIMITS,
    Encoding,
    Header,
    ItemBytes,
    Raw,
    items,
    scan,
    understood,
)
from reconcile.dataset.vr import (
    CHARACTERS_MAX,
    NUMBER_FORMAT,
    SINGLE_VALUED,
    TEXT,
    WORD_BYTES,
    dictionary_vm,
    dictionary_vr,
    dictionary_vrs,
    is_private,
)
from reconcile.errors import CannotUnderstand, LimitExceeded

_CHARSET = 0x00080005
#: Nested values that one sequence is listed with; they stand in its copy anyway.
_NESTED_MAX = 100
#: A private creator that is longer is none (PS3.5 section 7.8.1).
_CREATOR_CHARACTERS_MAX = 64

# PS3.5 Table 6.2-1, of values without their padding.
_MONTH_DAY = r"(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"
_DATETIME = (
    r"\d{4}((0[1-9]|1[0-2])((0[1-9]|[12]\d|3[01])("
    + _TIME
    + r")?)?)?([+-](0\d|1[0-4])[0-5]\d)?"
)
_FORMS = {
    vr: re.compile(form, re.ASCII)
    for vr, form in {
        "AS": r"\d{3}[DWMY]",
        "CS": r"[A-Z0-9 _]*",
        "DA": r"\d{4}" + _MONTH_DAY,
        "DS": r"[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?",
        "DT": _DATETIME,
        "IS": r"[+-]?\d+",
        "TM": _TIME,
        "UI": r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*",
        "UR": r"[!-\[\]-~]*",
    }.items()
}
# Before these VRs a space is no padding, or is part of the text.
_PADDED_BEHIND = frozenset(["AS", "DA", "DT", "LT", "ST", "TM", "UI", "UR", "UT"])
_INTEGER = range(-(2**31), 2**31)
# PS3.5 section 6.1.3: of the control characters, texts of one value have these.
_ENDS_OF_LINES = re.compile("[\t\n\f\r]")
_NAME_GROUPS_MAX = 3
_NAME_COMPONENTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Step:
    """An item of a sequence on the way to a nested attribute; the first is number 1."""

    sequence: int
    item: int
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Nonconforming:
    """A previous value that breaks its VR, its VM or its character set.

    Attributes:
        tag: of its attribute.
        value: its value field as it came, padding included.
        creator: whose private block it is of; empty where nobody says so.
        path: the sequences around it, outermost first; none at top level.
    """

    tag: int
    value: bytes
    creator: str = ""
    path: tuple[Step, ...] = ()


#: The element of a tag in a data set or an item, or None.
Lookup = Callable[[int], Raw | None]


def nonconforming(
    raw_of: Lookup, tags: Collection[int], declared: Terms, encoding: Encoding
) -> Iterator[Nonconforming]:
    """The values of these attributes that do not conform, each followed by its nested.

    Args:
        raw_of: the elements of the data set.
        tags: what an item will list, in its order. Where (0008,0005) is among them and
            does not conform, the item says nothing of its text, which is then judged
            in the default repertoire.
        declared: values of (0008,0005).
        encoding: of the data set.

    Raises:
        CannotUnderstand: a sequence that is broken.
        LimitExceeded: nested too deep.
    """
    held = raw_of(_CHARSET) if _CHARSET in tags else None
    if held is not None and not conforms(held, (), encoding):
        declared = ()
    for tag in tags:
        raw = raw_of(tag)
        if raw is None:
            continue
        if not conforms(raw, declared, encoding):
            yield Nonconforming(tag, bytes(raw.value), _creator(raw_of, tag))
        elif understood(raw, encoding)[0] == "SQ":
            within = _inside(raw, _Place(raw_of, declared, encoding))
            yield from islice(within, _NESTED_MAX)


@dataclass(frozen=True, slots=True)
class _Place:
    """A data set or an item, and how it was come to."""

    raw_of: Lookup
    declared: Terms
    encoding: Encoding
    path: tuple[Step, ...] = ()


def _inside(raw: Raw, place: _Place) -> Iterator[Nonconforming]:
    if len(place.path) >= LIMITS.depth:
        raise LimitExceeded("sequences are nested too deep")
    _, within = understood(raw, place.encoding)
    creator = _creator(place.raw_of, raw.tag)
    try:
        for number, item in enumerate(items(raw.value, within), start=1):
            step = Step(raw.tag, number, creator)
            yield from _of_item(item, place.declared, (*place.path, step))
    except CannotUnderstand:
        if raw.vr == "SQ" or dictionary_vr(raw.tag) == "SQ":
            raise
        # A value without VR that only begins like a sequence.


def _of_item(
    item: ItemBytes, declared: Terms, path: tuple[Step, ...]
) -> Iterator[Nonconforming]:
    header = scan(item.content, item.encoding, nested=True)
    own = header.raw(_CHARSET)
    here = _Place(
        header.raw, declared if own is None else terms_of(own), header.encoding, path
    )
    for raw in _listed(header):
        if not conforms(raw, here.declared, header.encoding):
            creator = _creator(header.raw, raw.tag)
            yield Nonconforming(raw.tag, bytes(raw.value), creator, path)
        elif understood(raw, header.encoding)[0] == "SQ":
            yield from _inside(raw, here)


def _listed(header: Header) -> Iterator[Raw]:
    """One element for each tag, group lengths aside."""
    return (
        header.raw_of(header.index[tag]) for tag in sorted(header.index) if tag & 0xFFFF
    )


def _creator(raw_of: Lookup, tag: int) -> str:
    """Who reserved the block of a private element (PS3.5 section 7.8.1)."""
    block = tag >> 8 & 0xFF
    raw = raw_of(tag & 0xFFFF0000 | block) if is_private(tag) and block else None
    said = bytes(raw.value).strip(b" \0") if raw is not None else b""
    fits = len(said) <= _CREATOR_CHARACTERS_MAX and b"\\" not in said
    return said.decode("ascii") if fits and said.isascii() else ""


def conforms(raw: Raw, declared: Terms, encoding: Encoding) -> bool:
    """Whether an element keeps the rules of its VR and VM.

    Of a sequence only VR and length are judged, not what stands in it; no value breaks
    no rule.

    Args:
        raw: the element.
        declared: the character set in force where it stands, as it is declared.
        encoding: of the data set or item in which it stands.
    """
    if len(raw.whole) % 2:
        return False
    if not len(raw.value):
        return True
    allowed = dictionary_vrs(raw.tag)
    if raw.vr and raw.vr != "UN" and allowed and raw.vr not in allowed:
        return False
    vr, _ = understood(raw, encoding)
    if vr == "SQ":
        return True
    if vr in TEXT:
        return _text_conforms(raw.tag, bytes(raw.value), vr, declared)
    if vr not in NUMBER_FORMAT and vr != "AT":
        return len(raw.value) % WORD_BYTES.get(vr, 1) == 0
    size = struct.calcsize("=" + NUMBER_FORMAT.get(vr, "HH"))
    return len(raw.value) % size == 0 and _has_vm(raw.tag, len(raw.value) // size)


def _has_vm(tag: int, count: int) -> bool:
    vm = dictionary_vm(tag)
    if vm is None:
        return True
    least, most, step = vm
    return least <= count and (not most or count <= most) and count % step == 0


def _text_conforms(tag: int, value: bytes, vr: str, declared: Terms) -> bool:
    try:
        text = decode(value, declared, vr).rstrip(" \0")
    except Undecodable:
        return False
    if not is_text(text):
        return False
    if not text:
        return True
    if vr in SINGLE_VALUED:
        return _value_conforms(text, vr)
    parts = text.split("\\")
    return _has_vm(tag, len(parts)) and all(
        _value_conforms(part.strip(" \0"), vr)
        if vr not in _PADDED_BEHIND
        else _value_conforms(part.rstrip(" \0"), vr)
        for part in parts
    )


def _value_conforms(value: str, vr: str) -> bool:
    if not value:
        return True
    if vr not in ("LT", "ST", "UT") and _ENDS_OF_LINES.search(value):
        return False
    if vr == "PN":
        return _name_conforms(value)
    if len(value) > CHARACTERS_MAX.get(vr, len(value)):
        return False
    form = _FORMS.get(vr)
    if form is not None and not form.fullmatch(value):
        return False
    if vr == "IS":
        return int(value) in _INTEGER
    return _is_a_day(value[:8]) if vr in ("DA", "DT") else True


def _name_conforms(name: str) -> bool:
    groups = [group.strip(" ") for group in name.split("=")]
    return len(groups) <= _NAME_GROUPS_MAX and all(
        len(group) <= CHARACTERS_MAX["PN"] and group.count("^") < _NAME_COMPONENTS_MAX
        for group in groups
    )


def _is_a_day(digits: str) -> bool:
    """Whether the calendar has this day; DT may name less than a day."""
    if len(digits) < 8 or not digits.isdigit():
        return True
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True
