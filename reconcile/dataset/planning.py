"""What some assignments really change in one instance, and what stands there instead.

Rule 1: only what differs by content is a change, so that planning again against what was
        given out finds nothing.
Rule 2: what cannot be assigned is refused by name and kept as received; nothing is
        truncated, replaced or guessed, and the rest of the assignments still hold.

Rule 3: references and codes change inside of sequences, where they stand; a signature
        that covers what changes goes. Both are told as changes of whole sequences.

Source:
    PS3.3 C.12.1.1.9; PS3.4 B.4.1.3 (Coercion of Attributes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from reconcile.core import attributes as at
from reconcile.core.attributes import (
    Assign,
    Change,
    Element,
    Follow,
    Recode,
    Tag,
    same,
)
from reconcile.dataset import coding, references
from reconcile.dataset.charset import UTF_8, Terms
from reconcile.dataset.conforming import Nonconforming, nonconforming
from reconcile.dataset.dicom_json import Unsayable, from_json, to_json
from reconcile.dataset.elements import (
    EXPLICIT,
    TAIL,
    Encoding,
    Raw,
    encode_element,
    understood,
)
from reconcile.dataset.facts import Received
from reconcile.dataset.signatures import broken, is_signed
from reconcile.dataset.splice import Edits
from reconcile.dataset.vr import CHARACTERS_MAX, dictionary_vr, is_private
from reconcile.dataset.widen import CHARSET, StandsInTheWay, widen
from reconcile.errors import CannotUnderstand, LimitExceeded

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
# Written whenever anything changes.
_STAMPS = (0x00080015, 0x04000561)
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
            and of what gives them meaning; of no value where they were absent, or where
            their value does not conform.
        nonconforming: the previous values that break their VR, VM or character set, as
            they came; those inside of sequences with their path.
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
    nonconforming: tuple[Nonconforming, ...] = ()

    @property
    def widened(self) -> bool:
        """Whether the instance is given out in another character set."""
        return at.SPECIFIC_CHARACTER_SET in self.new


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, with the elements to put in the place of the instance's own."""

    plan: Plan
    edits: Edits


def plan(received: Received, assigns: Iterable[Change]) -> Plan:
    """What `assigns` change in an instance as it stands.

    Only what differs by content is a change, so that planning against what was given
    out finds nothing. Taking away what is absent is nothing.

    Args:
        received: an instance as received, or as `given` by earlier coercions.
        assigns: each tag once; of several with one tag the last holds, and an `Assign`
            holds against what else would change in that tag.

    Raises:
        CannotUnderstand, LimitExceeded: an attribute to be assigned is a sequence that
            cannot be read.
    """
    return planned(received, assigns).plan


def planned(received: Received, assigns: Iterable[Change]) -> Planned:
    """As `plan`, with the elements that it puts in place."""
    assigns = tuple(assigns)
    refused: dict[Tag, Refusal] = {}
    wanted = _wanted(received, assigns, refused)
    inner = _inner(received, assigns, wanted, refused)
    edits = {**inner, **_written(received.edited(inner), wanted, refused)}
    wanted |= {_tag(number): _as_it_stands(received, number, inner) for number in inner}
    if not wanted:
        return Planned(Plan(refused=refused), {})
    unsigned = broken(received, {**edits, **dict.fromkeys(_STAMPS)})
    wanted |= {_tag(n): _as_it_stands(received, n, unsigned) for n in unsigned}
    changes = tuple(wanted[tag] for tag in sorted(wanted))
    return Planned(_described(received, changes, refused), {**edits, **unsigned})


def _wanted(
    received: Received, assigns: Iterable[Change], refused: dict[Tag, Refusal]
) -> dict[Tag, Assign]:
    """The assignments that differ from what stands there."""
    wanted: dict[Tag, Assign] = {}
    for tag, assign in {a.tag: a for a in assigns if isinstance(a, Assign)}.items():
        meant = _as_read(assign)
        if same(received.element(tag), meant):
            continue
        fault = _fault(assign)
        if fault is None:
            wanted[tag] = Assign(tag, meant)
        else:
            refused[tag] = fault
    return wanted


def _inner(
    received: Received,
    assigns: Iterable[Change],
    wanted: Mapping[Tag, Assign],
    refused: dict[Tag, Refusal],
) -> dict[int, Raw | None]:
    """Sequences in which references or codes change; what is assigned is left out.

    A signed sequence keeps its codes: another way to say them is worth no signature.
    """
    state, found = received, dict[int, Raw | None]()
    for change in assigns:
        edits: Mapping[int, Raw] = {}
        if isinstance(change, Follow):
            edits = references.followed(state, change)
        elif isinstance(change, Recode):
            recoded = coding.recoded(state, change)
            edits = {n: raw for n, raw in recoded.items() if not is_signed(received, n)}
            edits = {**edits, **coding.with_scheme(state)} if edits else {}
        found |= {n: raw for n, raw in edits.items() if _tag(n) not in wanted}
        state = received.edited(found)
    for number in list(found):
        if not _can_be_told(received, state, _tag(number)):
            refused[_tag(number)] = Refusal.TOO_LONG
            del found[number]
    return found


def _can_be_told(received: Received, state: Received, tag: Tag) -> bool:
    """Whether an event can hold a sequence before and after it changed."""
    try:
        received.element(tag), state.element(tag)
    except (CannotUnderstand, LimitExceeded):
        return False
    return True


def _as_it_stands(received: Received, number: int, edits: Edits) -> Assign:
    state = received.edited({number: edits[number]})
    return Assign(_tag(number), state.element(_tag(number)))


def _tag(number: int) -> Tag:
    return f"{number:08X}"


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
    narrow, wide = _said(received, wanted, received.sayable, refused)
    if not wide:
        return narrow
    try:
        transcoded = _transcoded(received, {int(tag, 16) for tag in wanted})
        reworded = _reworded(received, transcoded)
    except (StandsInTheWay, CannotUnderstand, LimitExceeded):
        for tag in wide:
            refused[tag] = Refusal.CHARSET
            del wanted[tag]
        return narrow
    said, unsayable = _said(received, wanted, (UTF_8,), refused)
    assert not unsayable, "ISO_IR 192 says whatever is text"
    wanted |= reworded
    return {**transcoded, **said}


def _transcoded(received: Received, replaced: set[int]) -> dict[int, Raw | None]:
    """What `widen` says in ISO_IR 192, and (0008,0005) that declares it."""
    charset = encode_element(CHARSET, "CS", UTF_8.encode(), received.encoding)
    return {**widen(received, replaced), CHARSET: charset}


def _reworded(received: Received, transcoded: Edits) -> dict[Tag, Assign]:
    """What changes by being said in ISO_IR 192, not only in how it is said.

    That is the declaration, a sequence that loses a signature, and all text where what
    was declared was a lie.
    """
    state = received.edited(transcoded)
    found: dict[Tag, Assign] = {}
    for tag in map(_tag, transcoded):
        if tag == at.ORIGINAL_ATTRIBUTES_SEQUENCE:
            continue
        now = state.element(tag)
        if tag == at.SPECIFIC_CHARACTER_SET:
            differs = received.raw(tag) != state.raw(tag)
        else:
            differs = received.lies or not same(received.element(tag), now)
        if differs:
            found[tag] = Assign(tag, now)
    return found


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
    numbers = [int(tag, 16) for tag in held]
    faulty = tuple(
        nonconforming(received.raw_element, numbers, received.declared, received.encoding)
    )
    unsaid = {_tag(fault.tag) for fault in faulty if not fault.path}
    found = {
        tag: _without_value(received, tag) if tag in unsaid else received.element(tag)
        for tag in held
    }
    return Plan(
        changes=changes if isinstance(changes, tuple) else tuple(changes),
        original={
            tag: {"vr": _vr(tag, changes)} if was is None else was
            for tag, was in found.items()
        },
        absent=tuple(tag for tag, was in found.items() if was is None),
        new={c.tag: c.element for c in changes if c.element is not None},
        refused=refused,
        nonconforming=faulty,
    )


def _without_value(received: Received, tag: Tag) -> Element | None:
    raw = received.raw_element(int(tag, 16))
    return {"vr": understood(raw, received.encoding)[0]} if raw is not None else None


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
