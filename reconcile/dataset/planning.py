"""What some assignments really change in one instance, and what stands there instead.

Rule 1: only what differs by content is a change, so that planning again against what was
        given out finds nothing.
Rule 2: what cannot be assigned is refused by name and kept as received; nothing is
        truncated, replaced or guessed, and the rest of the assignments still hold.

References inside the instance, codes, and signatures that cover what changes are further
edits of the same plan: they are listed and written beside those of `_written`.

Source:
    PS3.3 C.12.1.1.9; PS3.4 B.4.1.3 (Coercion of Attributes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from reconcile.core import attributes as at
from reconcile.core.attributes import Assign, Element, Tag, element, same
from reconcile.dataset.charset import UTF_8, Terms
from reconcile.dataset.dicom_json import Unsayable, from_json, to_json
from reconcile.dataset.elements import EXPLICIT, TAIL, Encoding, Raw, encode_element
from reconcile.dataset.facts import Received
from reconcile.dataset.splice import Edits
from reconcile.dataset.vr import CHARACTERS_MAX, dictionary_vr, is_private
from reconcile.dataset.widen import CHARSET, StandsInTheWay, widen

# C.12.1.1.9.1: the issuer gives a previous Patient ID its meaning, changed or not.
_CONTEXT: dict[Tag, tuple[Tag, ...]] = {
    at.PATIENT_ID: (
        at.ISSUER_OF_PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    )
}
# What the overlay itself keeps right, and nobody may assign.
_OURS = frozenset(
    (
        at.SPECIFIC_CHARACTER_SET,
        at.INSTANCE_COERCION_DATETIME,
        at.SOP_CLASS_UID,
        at.SOP_INSTANCE_UID,
        at.ORIGINAL_ATTRIBUTES_SEQUENCE,
    )
)
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


class Refusal(StrEnum):
    """Why an attribute is kept as received."""

    TAG = "TAG"
    VALUE = "VALUE"
    TOO_LONG = "TOO-LONG"
    CHARSET = "CHARSET"


@dataclass(frozen=True, slots=True)
class Plan:
    """What some assignments really change in one instance.

    Attributes:
        changes: by tag; empty: nothing is to be recorded. Specific Character Set is
            among them where a new value cannot be said in the received one.
        original: the previous elements of what changes, of Instance Coercion DateTime,
            and of what gives them meaning; of no value where they were absent.
        absent: tags of `original` that were not there at all.
        new: the new elements, without Instance Coercion DateTime; what is taken away
            has none.
        refused: what is kept as received, and why.
    """

    changes: tuple[Assign, ...] = ()
    original: Mapping[Tag, Element] = field(default_factory=dict)
    absent: tuple[Tag, ...] = ()
    new: Mapping[Tag, Element] = field(default_factory=dict)
    refused: Mapping[Tag, Refusal] = field(default_factory=dict)

    @property
    def widened(self) -> bool:
        """Whether the instance is given out in another character set."""
        return at.SPECIFIC_CHARACTER_SET in self.new


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, with the elements to put in the place of the instance's own."""

    plan: Plan
    edits: Edits


def plan(received: Received, assigns: Iterable[Assign]) -> Plan:
    """What `assigns` change in an instance as it stands.

    Only what differs by content is a change, so that planning against what was given
    out finds nothing. Taking away what is absent is nothing.

    Args:
        received: an instance as received, or as `given` by earlier coercions.
        assigns: each tag once; of several with one tag the last holds.

    Raises:
        CannotUnderstand, LimitExceeded: an attribute to be assigned is a sequence that
            cannot be read.
    """
    return planned(received, assigns).plan


def planned(received: Received, assigns: Iterable[Assign]) -> Planned:
    """As `plan`, with the elements that it puts in place."""
    refused: dict[Tag, Refusal] = {}
    wanted: dict[Tag, Assign] = {}
    for tag, assign in {assign.tag: assign for assign in assigns}.items():
        meant = _as_read(assign)
        if same(received.element(tag), meant):
            continue
        fault = _fault(assign)
        if fault is None:
            wanted[tag] = Assign(tag, meant)
        else:
            refused[tag] = fault
    edits = _written(received, wanted, refused)
    changes = tuple(wanted[tag] for tag in sorted(wanted))
    if not changes:
        return Planned(Plan(refused=refused), {})
    return Planned(_described(received, changes, refused), edits)


def _as_read(assign: Assign) -> Element | None:
    """The element as it will be read once it is written: [""] is no value, "a " is "a".

    One that cannot be written is left as it is, to be refused.
    """
    if assign.element is None:
        return None
    try:
        raw = from_json(assign.tag, assign.element, (UTF_8,), EXPLICIT)
    except Unsayable:
        return assign.element
    return to_json(raw, str(assign.element["vr"]), (UTF_8,), EXPLICIT)


def _fault(assign: Assign) -> Refusal | None:
    tag = int(assign.tag, 16)
    if assign.tag in _OURS or tag & 0xFFFF == 0 or not 0x00080000 <= tag < TAIL:
        return Refusal.TAG
    return _value_fault(assign.element) if assign.element is not None else None


def _value_fault(element: Element) -> Refusal | None:
    """A value that its VR cannot hold is not truncated into another one."""
    vr = str(element["vr"])
    for value in at.values(element):
        nested = value.values() if isinstance(value, Mapping) else (value,)
        if vr == "SQ":
            faults = [fault for inner in nested if (fault := _value_fault(inner))]
            if faults:
                return faults[0]
            continue
        most = CHARACTERS_MAX.get(vr)
        if most is not None and any(len(str(part or "")) > most for part in nested):
            return Refusal.TOO_LONG
        if vr == "UI" and not _UID.fullmatch(str(value)):
            return Refusal.VALUE
    return None


def _written(
    received: Received, wanted: dict[Tag, Assign], refused: dict[Tag, Refusal]
) -> Edits:
    """The bytes of what is wanted; what cannot be said moves to `refused`."""
    narrow, wide = _said(received, wanted, received.declared, refused)
    if not wide:
        return narrow
    replaced = {int(tag, 16) for tag in wanted}
    try:
        transcoded = widen(received, replaced)
    except StandsInTheWay:
        for tag in wide:
            refused[tag] = Refusal.CHARSET
            del wanted[tag]
        return narrow
    said, unsayable = _said(received, wanted, (UTF_8,), refused)
    assert not unsayable, "ISO_IR 192 says whatever is text"
    named = element("CS", UTF_8)
    wanted[at.SPECIFIC_CHARACTER_SET] = Assign(at.SPECIFIC_CHARACTER_SET, named)
    charset = encode_element(CHARSET, "CS", UTF_8.encode(), received.encoding)
    return {**transcoded, **said, CHARSET: charset}


def _said(
    received: Received,
    wanted: dict[Tag, Assign],
    charsets: Terms,
    refused: dict[Tag, Refusal],
) -> tuple[dict[int, Raw | None], list[Tag]]:
    """Bytes of what can be said in these sets, and the tags of what needs a wider one."""
    edits: dict[int, Raw | None] = {}
    wide: list[Tag] = []
    for tag, assign in list(wanted.items()):
        try:
            edits[int(tag, 16)] = _encoded(assign, charsets, received.encoding)
        except Unsayable as error:
            if error.charset:
                wide.append(tag)
            else:
                refused[tag] = Refusal.VALUE
                del wanted[tag]
    return edits, wide


def _encoded(assign: Assign, charsets: Terms, encoding: Encoding) -> Raw | None:
    if assign.element is None:
        return None
    tag = int(assign.tag, 16)
    value = from_json(assign.tag, assign.element, charsets, encoding)
    return encode_element(tag, str(assign.element["vr"]), value, encoding)


def _described(
    received: Received, changes: Sequence[Assign], refused: Mapping[Tag, Refusal]
) -> Plan:
    held = _listed(received, changes)
    found = {tag: received.element(tag) for tag in held}
    return Plan(
        changes=changes if isinstance(changes, tuple) else tuple(changes),
        original={
            tag: {"vr": _vr(tag, changes)} if was is None else was
            for tag, was in found.items()
        },
        absent=tuple(tag for tag, was in found.items() if was is None),
        new={c.tag: c.element for c in changes if c.element is not None},
        refused=refused,
    )


def _listed(received: Received, changes: Sequence[Assign]) -> list[Tag]:
    """The tags of an item: what changes, and what gives previous values their meaning."""
    tags = {at.INSTANCE_COERCION_DATETIME, *at.tags(changes)}
    for tag in at.tags(changes):
        tags.update(_CONTEXT.get(tag, ()))
        creator = _private_creator(int(tag, 16))
        if creator and received.raw_element(int(creator, 16)) is not None:
            tags.add(creator)
    return sorted(tags)


def _private_creator(tag: int) -> Tag:
    """Who reserved the block of a private element (PS3.5 section 7.8.1)."""
    block = tag >> 8 & 0xFF
    return f"{tag >> 16:04X}00{block:02X}" if is_private(tag) and block else ""


def _vr(tag: Tag, changes: Sequence[Assign]) -> str:
    for change in changes:
        if change.tag == tag and change.element is not None:
            return str(change.element["vr"])
    return dictionary_vr(int(tag, 16))
