"""Change elements inside of sequences, and leave every other byte as it came.

A sequence is walked item by item; an item in which nothing changes is passed on as the
bytes it is, and so is a sequence. What is history, encrypted or private is not entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from reconcile.dataset.elements import (
    LIMITS,
    Encoding,
    Header,
    ItemBytes,
    Limits,
    Raw,
    items,
    rewritten,
    scan,
    understood,
)
from reconcile.dataset.signatures import without_broken
from reconcile.dataset.splice import Edits, splice
from reconcile.dataset.vr import is_private
from reconcile.errors import LimitExceeded

T = TypeVar("T")

#: Given an item and what its parent said, what changes directly in it, and what it says
#: to the sequences in it.
Visit = Callable[[int, Header, T], tuple[Edits, T]]

# Original Attributes, Encrypted Attributes, Digital Signatures, MAC Parameters.
_CLOSED = frozenset((0x04000561, 0x04000500, 0xFFFAFFFA, 0x4FFE0001))


def is_closed(tag: int) -> bool:
    """Whether a sequence is none of what may be changed inside."""
    return tag in _CLOSED or is_private(tag)


def item_headers(
    raw: Raw, encoding: Encoding, limits: Limits = LIMITS
) -> Iterator[tuple[Raw, ItemBytes, Header]]:
    """The items of a sequence with their elements; none where it is no sequence.

    Raises:
        CannotUnderstand, LimitExceeded: it is broken, or too long.
    """
    vr, within = understood(raw, encoding)
    if vr != "SQ":
        return
    for item in items(raw.value, within, limits=limits):
        yield raw, item, scan(item.content, item.encoding, nested=True, limits=limits)


def changed(
    raw: Raw, encoding: Encoding, visit: Visit[T], said: T, *, depth: int = LIMITS.depth
) -> Raw:
    """The sequence with what `visit` changes in it; the same object where that is nothing.

    Args:
        raw: the sequence.
        encoding: of what it stands in.
        visit: called for every item, from the outside in.
        said: what the first items are told.
        depth: how deep sequences may still nest.

    Raises:
        CannotUnderstand: it is broken.
        LimitExceeded: it is nested too deep.
    """
    if depth == 0:
        raise LimitExceeded("sequences are nested too deep")
    _, within = understood(raw, encoding)
    wholes: list[bytes | memoryview] = []
    touched = False
    for _, item, header in item_headers(raw, encoding):
        edits, told = visit(raw.tag, header, said)
        edits = {**_deeper(header, edits, visit, told, depth - 1), **edits}
        if edits:
            touched = True
            content = _spliced(header, without_broken(header, edits))
            wholes.append(item.rewritten(content, within))
        else:
            wholes.append(item.whole)
    return rewritten(raw, b"".join(wholes), encoding) if touched else raw


def _deeper(
    header: Header, edits: Edits, visit: Visit[T], told: T, depth: int
) -> dict[int, Raw | None]:
    found: dict[int, Raw | None] = {}
    for span in header.elements:
        if span.tag in edits or is_closed(span.tag):
            continue
        raw = header.raw_of(span)
        if understood(raw, header.encoding)[0] == "SQ":
            new = changed(raw, header.encoding, visit, told, depth=depth)
            if new is not raw:
                found[span.tag] = new
    return found


def _spliced(header: Header, edits: Edits) -> bytes:
    return b"".join((*splice(header, edits), header.buffer[header.tail :]))
