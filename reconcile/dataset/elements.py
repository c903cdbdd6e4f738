"""Where each element of a data set begins and ends: raw bytes, nothing decoded.

Rule 1: nothing that a peer wrote is believed before it is bounded. A length is
        compared with what remains before anything is sliced, nesting is walked with
        a stack of our own, elements are counted.
Rule 2: no byte is copied. A header holds views into the buffer, which may be a mapped
        file of 4 GB; only tags and lengths of it are touched.
Rule 3: from the first tag of pixel data on, the tail begins. It is never parsed for
        reading and never changed for giving out, truncated or not.

May never be put in here: text, JSON, the meaning of any attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import NamedTuple

from reconcile.dataset.framing import (
    EXPLICIT,
    ITEM,
    ITEM_DELIMITATION,
    ITEM_HEADER_BYTES,
    SEQUENCE_DELIMITATION,
    UNDEFINED,
    Encoding,
    Raw,
    as_written,
    encode_element,
    encode_item,
    encoding_of,
    frame,
    inside,
    rewritten,
    understood,
)
from reconcile.errors import CannotUnderstand, LimitExceeded

__all__ = [
    "EXPLICIT",
    "LIMITS",
    "TAIL",
    "UNDEFINED",
    "Buffer",
    "Encoding",
    "Header",
    "ItemBytes",
    "Limits",
    "Raw",
    "Span",
    "encode_element",
    "encode_item",
    "encoding_of",
    "end_of_undefined",
    "frame",
    "items",
    "rewritten",
    "scan",
    "tail_elements",
    "understood",
    "view_of",
]

Buffer = bytes | bytearray | memoryview | mmap

#: First tag that belongs to the tail: group 7FE0 is pixel data; signatures and
#: padding follow it.
TAIL = 0x7FE00000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one data set may cost us.

    Attributes:
        depth: of nesting; SR documents reach 12, and each level costs stack.
        elements: walked over in one sequence of undefined length; enhanced multi-frame
            headers of 10 000 frames reach some 100 000.
        listed: of one data set or item; each costs memory, and real ones have hundreds.
        value_bytes: of one value that must be decoded, sequences included: decoded, it
            costs up to forty times as much. What is only skipped is not bounded.
        transcode_bytes: of all values that must be looked through when the character
            set changes.
    """

    depth: int = 32
    elements: int = 1_000_000
    listed: int = 65_536
    value_bytes: int = 4 * 1024 * 1024
    transcode_bytes: int = 16 * 1024 * 1024


LIMITS = Limits()


class Span(NamedTuple):
    """Where an element stands in the buffer of its header."""

    tag: int
    vr: str
    start: int
    value_start: int
    end: int
    undefined: bool


@dataclass(frozen=True, slots=True)
class Header:
    """The elements before pixel data, in the order in which they came.

    Attributes:
        buffer: the whole data set.
        encoding: as found; a data set whose first element contradicts its transfer
            syntax is read as it is written.
        tail: offset of pixel data and all that follows, or the end.
        index: by tag; of several with one tag the last, as pydicom reads them.
    """

    buffer: memoryview
    encoding: Encoding
    elements: tuple[Span, ...]
    tail: int
    index: Mapping[int, Span]

    def raw(self, tag: int) -> Raw | None:
        """The element's bytes, or None where it is absent."""
        span = self.index.get(tag)
        return None if span is None else self.raw_of(span)

    def raw_of(self, span: Span) -> Raw:
        """The bytes of one span."""
        whole = self.buffer[span.start : span.end]
        return Raw(span.tag, span.vr, whole, span.value_start - span.start, span.undefined)


def scan(
    buffer: Buffer, encoding: Encoding, *, nested: bool = False, limits: Limits = LIMITS
) -> Header:
    """Find the elements of a data set, up to its tail.

    Args:
        buffer: data set without preamble and meta; inflated where it was deflated.
        encoding: that its transfer syntax calls for.
        nested: it is the content of an item: nothing of it is tail.
        limits: what it may cost.

    Raises:
        CannotUnderstand: a length reaches past the end, or a sequence is broken.
        LimitExceeded: nesting or number of elements.

    Source:
        PS3.5 section 7.1 (Data Elements), 7.5 (Nesting).
    """
    view = view_of(buffer)
    found = as_written(view, 0, encoding)
    spans: list[Span] = []
    position, size = 0, len(view)
    while position < size:
        if not view[position] and _only_padding_remains(view, position):
            break
        tag, vr, start, length = frame(view, position, size, found)
        if tag >= TAIL and not nested:
            break
        end = start + length
        if end > size:
            end = _end(view, tag, vr, start, length, size, found, limits)
        spans.append(Span(tag, vr, position, start, end, length == UNDEFINED))
        position = end
        if len(spans) > limits.listed:
            raise LimitExceeded(f"more than {limits.listed} elements")
    return Header(view, found, tuple(spans), position, {span.tag: span for span in spans})


def _only_padding_remains(view: memoryview, position: int) -> bool:
    """Whether nothing but zeros follows, as some writers pad to whole sectors."""
    rest = len(view) - position
    return rest <= _PADDING_BYTES_MAX and not any(view[position:])


# A CD sector is 2 kB; more zeros than this are looked at as elements.
_PADDING_BYTES_MAX = 4096


def tail_elements(header: Header, *, limits: Limits = LIMITS) -> Iterator[Raw]:
    """The elements of the tail as far as they can be read; pixel data may be cut off.

    Raises:
        LimitExceeded: nesting or number of elements.
    """
    position, size = header.tail, len(header.buffer)
    try:
        while position < size:
            tag, vr, start, length = frame(header.buffer, position, size, header.encoding)
            end = _end(header.buffer, tag, vr, start, length, size, header.encoding, limits)
            span = Span(tag, vr, position, start, end, length == UNDEFINED)
            yield header.raw_of(span)
            position = end
    except LimitExceeded:
        raise
    except CannotUnderstand:
        return


def end_of_undefined(
    view: memoryview,
    start: int,
    size: int,
    vr: str,
    encoding: Encoding,
    limits: Limits = LIMITS,
) -> int:
    """Where an element of undefined length ends whose value begins at `start`.

    Raises:
        CannotUnderstand: it is no sequence, or a broken one.
        LimitExceeded: nesting or number of elements.
    """
    return _end_of_undefined(view, start, size, inside(vr, view, start, encoding), limits)


def _end(
    view: memoryview,
    tag: int,
    vr: str,
    start: int,
    length: int,
    size: int,
    encoding: Encoding,
    limits: Limits,
) -> int:
    if length == UNDEFINED:
        return end_of_undefined(view, start, size, vr, encoding, limits)
    if length > size - start:
        raise CannotUnderstand(
            f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is longer than its data set"
        )
    return start + length


def _end_of_undefined(
    view: memoryview, position: int, size: int, encoding: Encoding, limits: Limits
) -> int:
    """The offset after the delimiter of a sequence of undefined length.

    Walks over the items with a stack of (is an item, its encoding); what has a length
    is skipped by it and not looked into.
    """
    stack = [(False, encoding)]
    met = 0
    while stack:
        in_item, current = stack[-1]
        met += 1
        if met > limits.elements:
            raise LimitExceeded(f"more than {limits.elements} elements")
        tag, vr, start, length = frame(view, position, size, current)
        position = start
        if tag == (ITEM_DELIMITATION if in_item else SEQUENCE_DELIMITATION):
            stack.pop()
        elif in_item == (tag >> 16 == 0xFFFE) or (not in_item and tag != ITEM):
            raise CannotUnderstand(f"broken sequence at byte {position}")
        elif length == UNDEFINED:
            stack.append(_descend(view, position, vr, current, in_item))
            if len(stack) > 2 * limits.depth:
                raise LimitExceeded(f"nested deeper than {limits.depth}")
        elif length > size - position:
            raise CannotUnderstand(f"element reaches past the end at byte {position}")
        else:
            position += length
    return position


def _descend(
    view: memoryview, position: int, vr: str, current: Encoding, in_item: bool
) -> tuple[bool, Encoding]:
    if in_item:
        return False, inside(vr, view, position, current)
    return True, as_written(view, position, current)


@dataclass(frozen=True, slots=True)
class ItemBytes:
    """One item of a sequence.

    Attributes:
        whole: with its header and delimiter.
        content: the data set in it.
    """

    whole: memoryview
    content: memoryview
    encoding: Encoding

    def rewritten(self, content: bytes, encoding: Encoding) -> bytes:
        """The item around other content, of undefined length if it was.

        `encoding` is that of the sequence, not of the content.
        """
        end = ITEM_HEADER_BYTES + len(self.content)
        if len(self.whole) == end:
            return encode_item(content, encoding)
        return b"".join((self.whole[:ITEM_HEADER_BYTES], content, self.whole[end:]))


def items(
    value: memoryview, encoding: Encoding, *, limits: Limits = LIMITS
) -> Iterator[ItemBytes]:
    """The items of a sequence's value, delimiter excluded.

    Raises:
        CannotUnderstand: something else than items stands there.
        LimitExceeded: nesting or number of elements.
    """
    position, size = 0, len(value)
    while position < size:
        tag, _, start, length = frame(value, position, size, encoding)
        if tag == SEQUENCE_DELIMITATION:
            return
        if tag != ITEM or (length != UNDEFINED and length > size - start):
            raise CannotUnderstand("broken sequence")
        found = as_written(value, start, encoding)
        end = content_end = start + length
        if length == UNDEFINED:
            end = _end_of_item(value, start, found, limits)
            content_end = end - ITEM_HEADER_BYTES
        yield ItemBytes(value[position:end], value[start:content_end], found)
        position = end


def _end_of_item(
    view: memoryview, position: int, encoding: Encoding, limits: Limits
) -> int:
    size, met = len(view), 0
    while True:
        tag, vr, start, length = frame(view, position, size, encoding)
        if tag == ITEM_DELIMITATION:
            return start
        position = _end(view, tag, vr, start, length, size, encoding, limits)
        met += 1
        if met > limits.elements:
            raise LimitExceeded(f"more than {limits.elements} elements")


def view_of(buffer: Buffer) -> memoryview:
    """The buffer as bytes, without a copy."""
    view = memoryview(buffer)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")
