"""What an instance is given out as: its received bytes with its coercions folded in.

Rule 1: the received bytes are never rewritten. What is given out is made on the way, from
        them and the live coercions alone; a coercion that is struck out of the list
        leaves no trace.
Rule 2: each coercion is planned against the state before it. Where it changes nothing,
        there is no Original Attributes item.
Rule 3: pixel data and what follows it are passed on as they came, save signatures that
        cover what changed.

Source:
    PS3.3 C.12.1.1.9; PS3.4 B.4.1.3 (Coercion of Attributes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconcile.core import attributes as at
from reconcile.core.attributes import (
    Assign,
    Change,
    Element,
    Include,
    Restore,
    Tag,
    as_assigned,
)
from reconcile.dataset import originals
from reconcile.dataset.charset import Terms, is_default
from reconcile.dataset.dicom_json import terms_of
from reconcile.dataset.elements import Buffer, Raw, encode_element
from reconcile.dataset.facts import Received, read
from reconcile.dataset.originals import Coercion
from reconcile.dataset.planning import Plan, Planned, Refusal, plan, planned
from reconcile.dataset.splice import Edits
from reconcile.dataset.widen import CHARSET, StandsInTheWay, narrow
from reconcile.errors import CannotUnderstand

__all__ = [
    "Coercion",
    "Plan",
    "Refusal",
    "give_out",
    "given",
    "given_header",
    "original_attributes_item",
    "pieces_of",
    "plan",
    "steps",
    "take_back",
    "viewed",
]

_CHUNK_BYTES = 1024 * 1024
_COERCED_AT = 0x00080015

# PS3.3 C.12.1.1.3: what is changed is no longer the authorised original.
STATUS_OF_A_COPY = {"AO": "AC", "OR": "NS"}


def given(received: Received, coercions: Iterable[Coercion]) -> Received:
    """An instance as it is given out: `coercions` folded over it, in their order.

    Raises:
        CannotUnderstand, LimitExceeded: as `plan`.
    """
    state = received
    for step in steps(received, coercions):
        state = step[2]
    return state


def steps(
    received: Received, coercions: Iterable[Coercion]
) -> Iterator[tuple[Coercion, Plan, Received]]:
    """Each coercion with what it changes here, and the instance as it stands after it.

    Raises:
        CannotUnderstand, LimitExceeded: as `plan`.
    """
    state = received
    for coercion in coercions:
        work = planned_here(received, state, coercion.assigns)
        state = _applied(state, coercion, work)
        yield coercion, work.plan, state


def planned_here(received: Received, state: Received, assigns: Iterable[Change]) -> Planned:
    """What `assigns` change in an instance that stands as `state`.

    What is changed is no longer the authorised original (PS3.3 C.12.1.1.3).
    """
    meant = tuple(_meant(change, received) for change in assigns)
    work = planned(state, meant)
    status = at.text(state.element(at.SOP_INSTANCE_STATUS)) if work.plan.changes else ""
    if status not in STATUS_OF_A_COPY:
        return work
    copy = at.element("CS", STATUS_OF_A_COPY[status])
    return planned(state, (Assign(at.SOP_INSTANCE_STATUS, copy), *meant))


def _meant(change: Change, received: Received) -> Change:
    """A change as it is meant for this instance."""
    if isinstance(change, Restore | Include):
        return as_assigned(change, received.element(change.tag))
    return change


def _applied(state: Received, coercion: Coercion, work: Planned) -> Received:
    if not work.plan.changes:
        return state
    encoding = state.encoding
    changed = state.edited(work.edits)
    at_time = coercion.datetime.encode()
    items = originals.appended(
        changed.raw_element(originals.ORIGINALS),
        _previous(state, work.plan),
        coercion,
        changed.declared,
        encoding,
    )
    stamp = encode_element(_COERCED_AT, "DT", at_time, encoding)
    return changed.edited({_COERCED_AT: stamp, originals.ORIGINALS: items}, appended=1)


def _previous(state: Received, plan: Plan) -> originals.Previous:
    """The elements that an item lists, as they are; of no length where absent.

    The old (0008,0005) is among them where the set was widened, so that the previous
    values read in it. Where none was declared it is of no length, which means the
    default repertoire: what was received said no more, also where this archive read it
    in a set assumed of its source.
    """
    elements = tuple(
        state.raw_element(int(tag, 16))
        or encode_element(int(tag, 16), str(was["vr"]), b"", state.encoding)
        for tag, was in plan.original.items()
    )
    return originals.Previous(elements, plan.nonconforming)


def give_out(
    received: Received, coercions: Iterable[Coercion]
) -> Iterator[bytes | memoryview]:
    """The data set as given out, in pieces of at most 1 MiB.

    Pieces are views into the received bytes wherever these are unchanged. A deflated
    data set comes out inflated: `inflate.deflate` is for whoever sends it.

    Raises:
        CannotUnderstand, LimitExceeded: as `plan`.
    """
    return pieces_of(given(received, coercions))


def viewed(state: Received, assigns: Iterable[Change]) -> Received:
    """An instance as it stands, shown otherwise: there is no item of Original Attributes.

    Raises:
        CannotUnderstand, LimitExceeded: as `plan`.
    """
    return state.edited(planned(state, assigns).edits)


def pieces_of(state: Received) -> Iterator[bytes | memoryview]:
    """The data set of an instance as it stands, in pieces of at most 1 MiB."""
    for piece in (*state.pieces(), *state.tail_pieces()):
        for start in range(0, len(piece), _CHUNK_BYTES):
            yield piece[start : start + _CHUNK_BYTES]


def given_header(received: Received, coercions: Iterable[Coercion]) -> bytes:
    """The data set as given out up to pixel data, in one piece of memory."""
    return b"".join(given(received, coercions).pieces())


def original_attributes_item(plan: Plan, coercion: Coercion) -> dict[Tag, Element]:
    """The item of (0400,0561) that this plan makes, in the DICOM JSON model."""
    return originals.item_json(plan.original, coercion, plan.nonconforming)


def take_back(
    data_set: Buffer,
    transfer_syntax_uid: str,
    absent: Iterable[Tag],
    assumed_charset: str = "",
) -> bytes:
    """A data set with its newest Original Attributes item undone.

    Elements come back as the bytes they were. Four things cannot be had from the item:
    of several elements with one tag only the last is held; an empty (0400,0561) goes;
    where the character set was widened, the other text is said in the old set again,
    which is the received bytes wherever that set has one way to say it.

    Args:
        data_set: as given out, not deflated.
        transfer_syntax_uid: that it is written in.
        absent: tags of the item that had not been there (`Plan.absent`).
        assumed_charset: that the previous values were read in, if they declared none.

    Raises:
        CannotUnderstand: there is no such item, or its text cannot be said again.
    """
    given_out = read(data_set, transfer_syntax_uid)
    existing = given_out.raw_element(originals.ORIGINALS)
    if existing is None:
        raise CannotUnderstand("no Original Attributes item is there")
    last = originals.newest(existing, given_out.encoding)
    gone = {int(tag, 16) for tag in absent}
    edits: dict[int, Raw | None] = {
        raw.tag: None if raw.tag in gone else raw for raw in last.previous
    }
    edits[originals.ORIGINALS] = last.rest
    narrowed = _narrowed(given_out, edits, assumed_charset)
    restored = given_out.edited({**narrowed, **edits})
    return b"".join((*restored.pieces(), *restored.tail_pieces()))


def _narrowed(given_out: Received, edits: Edits, assumed: str) -> Edits:
    if CHARSET not in edits:
        return {}
    declared = _declared(edits[CHARSET])
    silent = bool(assumed) and is_default(declared)
    old: Terms = tuple(assumed.split("\\")) if silent else declared
    try:
        return narrow(given_out, given_out.declared, old, edits)
    except StandsInTheWay:
        raise CannotUnderstand("text cannot be said in its old character set") from None


def _declared(raw: Raw | None) -> Terms:
    return terms_of(raw) if raw is not None else ()
