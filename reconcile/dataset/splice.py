"""A header with some elements put in another's place, as pieces to write one by one.

What is not edited is a view into what was received, in runs as long as can be. Nothing
here knows what an element means, save that (gggg,0000) counts its group's bytes, and
that digital signatures stand behind pixel data.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property

from reconcile.dataset.elements import (
    Encoding,
    Header,
    Raw,
    Span,
    encode_element,
    tail_elements,
)

#: Digital Signatures Sequence: the one element of the tail that may be edited.
SIGNATURES = 0xFFFAFFFA

#: Tag to its new bytes; None takes every element of that tag away.
Edits = Mapping[int, Raw | None]


def splice(header: Header, edits: Edits, start: int = 0) -> Iterator[memoryview]:
    """The header from `start` up to its tail, with `edits`, in ascending order of tags.

    An edited element stands where the last of its tag stood, a new one before the
    first greater tag; elements that came out of order stay out of order.
    """
    edits = {**edits, **_group_lengths(header, edits)}
    coming = sorted(tag for tag in edits if edits[tag] is not None)
    placed: set[int] = set()
    last = {span.tag: span.start for span in header.elements if span.tag in edits}
    run = start
    for span in header.elements:
        if span.tag not in edits and not (coming and coming[0] < span.tag):
            continue
        due = _due(coming, span.tag, placed, last)
        yield header.buffer[run : span.start]
        yield from (_bytes(edits, tag) for tag in due)
        run = span.start
        if span.tag in edits:
            run = span.end
            if last[span.tag] == span.start and span.tag not in placed:
                placed.add(span.tag)
                yield _bytes(edits, span.tag)
    yield header.buffer[run : header.tail]
    yield from (_bytes(edits, tag) for tag in coming if tag not in placed)


class Tail:
    """Pixel data and all that follows it, walked over once and only if it must be."""

    def __init__(self, header: Header) -> None:
        self._header = header

    def raw(self) -> Raw | None:
        """Digital Signatures Sequence as received, or None where it is absent.

        Raises:
            LimitExceeded: pixel data has too many fragments to be walked over.
        """
        return self._elements.raw(SIGNATURES)

    def pieces(self, edits: Edits) -> Iterator[memoryview]:
        """The tail as received, save for signatures that are edited.

        Raises:
            LimitExceeded: as `raw`.
        """
        start = self._header.tail
        if SIGNATURES in edits:
            found = self._elements
            yield from splice(found, {SIGNATURES: edits[SIGNATURES]}, start)
            start = found.tail
        yield self._header.buffer[start:]

    @cached_property
    def _elements(self) -> Header:
        """The tail as a header; its own tail only pads it, or cannot be read."""
        spans: list[Span] = []
        at = self._header.tail
        for raw in tail_elements(self._header):
            if raw.tag == 0:
                break
            end = at + len(raw.whole)
            spans.append(Span(raw.tag, raw.vr, at, at + raw.value_at, end, raw.undefined))
            at = end
        index = {span.tag: span for span in spans}
        held = self._header
        return Header(held.buffer, held.encoding, tuple(spans), at, index)


def _due(
    coming: list[int], before: int, placed: set[int], held: Mapping[int, int]
) -> list[int]:
    """New tags that belong before `before`; they are placed with this."""
    due = []
    while coming and coming[0] < before:
        tag = coming.pop(0)
        if tag not in placed and tag not in held:
            placed.add(tag)
            due.append(tag)
    return due


def _bytes(edits: Edits, tag: int) -> memoryview:
    raw = edits[tag]
    return memoryview(b"") if raw is None else raw.whole


def _group_lengths(header: Header, edits: Edits) -> dict[int, Raw | None]:
    """Group length elements of the edited groups, moved by what the group grew.

    They are moved and not counted anew, so that one which was right stays right and
    taking the edit back gives the very bytes that came.
    """
    grown = Counter[int]()
    for tag, raw in edits.items():
        grown[tag >> 16] += len(raw.whole) if raw else 0
    for span in header.elements:
        if span.tag in edits:
            grown[span.tag >> 16] -= span.end - span.start
    moved: dict[int, Raw | None] = {}
    for group, growth in grown.items():
        length = header.raw(group << 16) if growth else None
        if length is not None and len(length.value) == 4:
            moved[group << 16] = _moved(length, growth, header.encoding)
    return moved


def _moved(length: Raw, growth: int, encoding: Encoding) -> Raw:
    order = encoding.order + "L"
    (before,) = struct.unpack(order, length.value)
    after = struct.pack(order, (before + growth) % 2**32)
    return encode_element(length.tag, length.vr or "UL", after, encoding)
