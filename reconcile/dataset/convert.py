"""A data set said in another uncompressed transfer syntax, on its way out.

VR, byte order and deflate are ways of writing: no pixel is decoded, and what a value says
stays what it was. Bulk data is passed through in pieces whatever its size; of anything
else one element at a time is held, a sequence counting as one.

Rule 1: a VR that is written stands. Where none is, the dictionary's holds, read in its
        context (PS3.5 Annex A); what the dictionary does not know becomes UN, and its
        value is the bytes that came.
Rule 2: what cannot be said without a guess is refused by name before anything is given
        out, as far as framing and pixel data show it.
Rule 3: group lengths count bytes of one encoding and are retired: they are left out, and
        so is Length to End. Sequences keep their form, of defined or undefined length.

Source:
    PS3.5 section 6.2.2 (UN), 7.3 (byte ordering), 7.5 (nesting), Annex A.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydicom import uid

from reconcile.dataset.elements import (
    LIMITS,
    TAIL,
    Encoding,
    ItemBytes,
    Raw,
    encoding_of,
    end_of_undefined,
    frame,
    items,
    scan,
)
from reconcile.dataset.facts import Received
from reconcile.dataset.framing import (
    IMPLICIT,
    ITEM,
    ITEM_DELIMITATION,
    ITEM_HEADER_BYTES,
    SEQUENCE_DELIMITATION,
    UNDEFINED,
    inside,
)
from reconcile.dataset.vr import (
    KNOWN,
    LONG,
    SHORT,
    TURNED_BYTES,
    dictionary_vr,
    dictionary_vrs,
)
from reconcile.errors import CannotConvert, CannotUnderstand, LimitExceeded

IMPLICIT_VR = str(uid.ImplicitVRLittleEndian)
EXPLICIT_VR = str(uid.ExplicitVRLittleEndian)
DEFLATED = str(uid.DeflatedExplicitVRLittleEndian)

#: What can be given out, whatever of `SOURCES` it came in. Big endian is retired.
TARGETS = (EXPLICIT_VR, IMPLICIT_VR, DEFLATED)
#: In what pixel data is not compressed.
SOURCES = frozenset((*TARGETS, str(uid.ExplicitVRBigEndian)))

_CHUNK_BYTES = 1 << 20
#: Values up to this size are gathered with what stands beside them.
_BULK_BYTES = 1 << 16
_LENGTH_TO_END = 0x00080001
_PIXEL_REPRESENTATION = 0x00280103
_BITS_ALLOCATED = 0x00280100
_WAVEFORM_BITS_ALLOCATED = 0x54001004
_LUT_DESCRIPTOR = 0x00283002
_LUT_DATA = 0x00283006
_PIXEL_DATA = 0x7FE00010


@dataclass(frozen=True, slots=True)
class _Turned:
    """A long value whose words are to be turned round, piece by piece."""

    value: memoryview
    width: int

    def __len__(self) -> int:
        return len(self.value)


_Piece = bytes | memoryview | _Turned


@dataclass(frozen=True, slots=True)
class _Level:
    """A data set or an item: how it is framed, and what it says of its own values."""

    encoding: Encoding
    element: Callable[[int], Raw | None]
    parent: _Level | None = None
    depth: int = 0

    def number(self, tag: int) -> int | None:
        """The first number of an element of VR US, here or in what is around it."""
        raw = self.element(tag)
        if raw is not None and len(raw.value) >= 2:
            return int.from_bytes(raw.value[:2], _ORDER[self.encoding.little])
        return self.parent.number(tag) if self.parent else None


_ORDER: dict[bool, Literal["little", "big"]] = {True: "little", False: "big"}


def chosen(stored: str, acceptable: Sequence[str], undone: Collection[str] = ()) -> str:
    """In which of the acceptable transfer syntaxes an instance is given out.

    As it is stored, wherever that is acceptable; else the first that it can be said in.

    Args:
        stored: transfer syntax that it came in.
        acceptable: in order of preference; none: as it is stored.
        undone: transfer syntaxes whose compression is undone by whoever asks.

    Raises:
        CannotConvert: there is none.
    """
    if not acceptable or stored in acceptable:
        return stored
    if stored in SOURCES or stored in undone:
        for target in acceptable:
            if target in TARGETS:
                return target
    raise CannotConvert(f"stored as {stored}, which cannot be said in what is asked for")


def in_order(acceptable: Iterable[str]) -> list[str]:
    """Acceptable transfer syntaxes, first those that anything native can be said in."""
    return sorted(
        acceptable, key=lambda uid: TARGETS.index(uid) if uid in TARGETS else len(TARGETS)
    )


def converted(state: Received, target: str) -> Iterator[bytes | memoryview]:
    """The data set of an instance as it stands, written in another transfer syntax.

    Args:
        state: an instance as received, or as `given`; of one of `SOURCES`.
        target: one of `TARGETS`. Deflated comes out inflated: `inflate.deflate` is for
            whoever sends it.

    Returns:
        Pieces of at most 1 MiB.

    Raises:
        CannotConvert: it cannot be said so without a guess.
        LimitExceeded: nesting or number of elements.
    """
    assert target in TARGETS, "the caller has asked `chosen`"
    to = replace(encoding_of(target), deflated=False)
    if replace(state.encoding, deflated=False) == to:
        pieces: Iterable[_Piece] = (*state.pieces(), *state.tail_pieces())
        return _gathered(pieces)
    tail = list(_tail(state))
    level = _Level(state.encoding, lambda tag: _of_header(state, tag))
    return _gathered(
        piece for raw in (*_header(state), *tail) for piece in _element(raw, level, to)
    )


def _of_header(state: Received, tag: int) -> Raw | None:
    return state.raw_element(tag) if tag < TAIL else None


# -- What stands there -------------------------------------------------------------------


def _header(state: Received) -> Iterator[Raw]:
    for piece in state.pieces():
        yield from _walked(piece, state.encoding)


def _tail(state: Received) -> Iterator[Raw]:
    """Pixel data and what follows it; refused where it is cut off or compressed.

    Raises:
        CannotConvert: it is not native and whole.
    """
    try:
        for piece in state.tail_pieces():
            for raw in _walked(piece, state.encoding):
                if raw.undefined and raw.tag >> 16 == TAIL >> 16:
                    raise CannotConvert("pixel data is compressed")
                yield raw
    except CannotUnderstand as error:
        raise CannotConvert(f"what follows the header is broken: {error}") from error


def _walked(view: memoryview, encoding: Encoding) -> Iterator[Raw]:
    """The elements of a run of whole elements; zeros at its end only pad."""
    position, size = 0, len(view)
    while position < size:
        if size - position < _PADDING_BYTES_MAX and not any(view[position:]):
            return
        tag, vr, start, length = frame(view, position, size, encoding)
        end = start + length
        if length == UNDEFINED:
            end = end_of_undefined(view, start, size, vr, encoding)
        elif end > size:
            raise CannotUnderstand("an element is longer than its data set")
        whole = view[position:end]
        yield Raw(tag, vr, whole, start - position, length == UNDEFINED)
        position = end


#: A CD sector is 2 kB.
_PADDING_BYTES_MAX = 4097


# -- What is written ---------------------------------------------------------------------


def _element(raw: Raw, level: _Level, to: Encoding) -> list[_Piece]:
    if raw.tag & 0xFFFF == 0 or raw.tag == _LENGTH_TO_END:
        return []
    vr = _vr(raw, level)
    if vr == "SQ" or raw.undefined:
        said = _sequence(raw, vr, level, to)
        if said is not None:
            return said
        vr = "UN"
    value = _value(raw, vr, level.encoding, to)
    return [_head(raw, vr, len(raw.value), to), value]


def _sequence(raw: Raw, vr: str, level: _Level, to: Encoding) -> list[_Piece] | None:
    """A sequence; None: its bytes, as UN, are all that can be said of it."""
    if vr not in ("SQ", "UN"):
        raise CannotConvert(f"{_named(raw)} is of undefined length and no sequence")
    if level.depth >= LIMITS.depth:
        raise LimitExceeded(f"nested deeper than {LIMITS.depth}")
    within = inside(raw.vr, raw.value, 0, level.encoding)
    inner = IMPLICIT if vr == "UN" else to
    said: list[_Piece] = []
    try:
        for item in items(raw.value, within):
            said.extend(_item(item, level, inner))
    except LimitExceeded:
        raise
    except CannotUnderstand:
        if not raw.undefined and level.encoding == IMPLICIT and not raw.vr:
            return None
        raise CannotConvert(f"{_named(raw)} is a broken sequence") from None
    if raw.undefined:
        return [
            _head(raw, vr, UNDEFINED, to),
            *said,
            _mark(SEQUENCE_DELIMITATION, 0, inner),
        ]
    return [_head(raw, vr, sum(map(len, said)), to), *said]


def _item(item: ItemBytes, around: _Level, to: Encoding) -> list[_Piece]:
    header = scan(item.content, item.encoding, nested=True)
    level = _Level(item.encoding, header.raw, around, around.depth + 1)
    said = list(
        _packed(
            piece
            for span in header.elements
            for piece in _element(header.raw_of(span), level, to)
        )
    )
    if len(item.whole) == ITEM_HEADER_BYTES + len(item.content):
        return [_mark(ITEM, sum(map(len, said)), to), *said]
    return [_mark(ITEM, UNDEFINED, to), *said, _mark(ITEM_DELIMITATION, 0, to)]


def _head(raw: Raw, vr: str, length: int, to: Encoding) -> bytes:
    """The header of an element; what is too long for its VR is UN (section 6.2.2)."""
    group, number = raw.tag >> 16, raw.tag & 0xFFFF
    if to.implicit:
        return struct.pack(to.order + "HHL", group, number, length)
    if vr in SHORT and length > 0xFFFF:
        vr = "UN"
    if vr in LONG:
        return struct.pack(to.order + "HH2sHL", group, number, vr.encode(), 0, length)
    return struct.pack(to.order + "HH2sH", group, number, vr.encode(), length)


def _mark(tag: int, length: int, to: Encoding) -> bytes:
    return struct.pack(to.order + "HHL", tag >> 16, tag & 0xFFFF, length)


def _value(raw: Raw, vr: str, encoding: Encoding, to: Encoding) -> _Piece:
    """The value field, in the byte order that is asked for; UN is little endian ever."""
    width = TURNED_BYTES.get(vr, 1)
    if encoding.little == to.little or width == 1:
        return raw.value
    whole = raw.value[: len(raw.value) // width * width]
    if len(whole) != len(raw.value):
        raise CannotConvert(f"{_named(raw)} does not hold whole numbers")
    return _Turned(whole, width)


def _named(raw: Raw) -> str:
    return f"({raw.tag >> 16:04X},{raw.tag & 0xFFFF:04X})"


# -- As what a value is to be read -------------------------------------------------------


def _vr(raw: Raw, level: _Level) -> str:
    """As which VR an element is written; as it is, wherever it is with one."""
    if raw.vr in KNOWN:
        return raw.vr
    if raw.vr and not level.encoding.little:
        raise CannotConvert(f"{_named(raw)} is of a VR whose words are not known")
    if raw.vr:
        return "UN"
    if raw.undefined and raw.tag < TAIL:
        return "SQ"
    several = dictionary_vrs(raw.tag)
    return _in_context(raw, several, level) if len(several) > 1 else dictionary_vr(raw.tag)


def _in_context(raw: Raw, several: frozenset[str], level: _Level) -> str:
    """Which of the VRs that the dictionary names.

    Source:
        PS3.5 section A.2; PS3.3 C.7.6.3.1, C.10.9, C.11.1.1.
    """
    if several == {"US", "SS"}:
        return "SS" if level.number(_PIXEL_REPRESENTATION) == 1 else "US"
    if raw.tag == _LUT_DATA:
        return "US" if level.number(_LUT_DESCRIPTOR) == 1 else "OW"
    bits = None
    if raw.tag == _PIXEL_DATA:
        bits = level.number(_BITS_ALLOCATED)
    elif raw.tag >> 16 == _WAVEFORM_BITS_ALLOCATED >> 16:
        bits = level.number(_WAVEFORM_BITS_ALLOCATED)
    return "OB" if bits == 8 else "OW"


# -- In pieces ---------------------------------------------------------------------------


def _gathered(pieces: Iterable[_Piece]) -> Iterator[bytes | memoryview]:
    """The same bytes: what is small together, what is large in pieces of 1 MiB."""
    for piece in _packed(pieces):
        yield from _sliced(piece)


def _packed(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """What is small together, what is large as it is."""
    held = bytearray()
    for piece in pieces:
        small = len(piece) <= _BULK_BYTES
        if small:
            held += b"".join(_sliced(piece))
        if held and (not small or len(held) > _BULK_BYTES):
            yield bytes(held)
            held.clear()
        if not small:
            yield piece
    if held:
        yield bytes(held)


def _sliced(piece: _Piece) -> Iterator[bytes | memoryview]:
    for start in range(0, len(piece), _CHUNK_BYTES):
        end = start + _CHUNK_BYTES
        if isinstance(piece, _Turned):
            yield _turned(piece.value[start:end], piece.width)
        else:
            yield piece[start:end]


_WORDS = {2: "H", 4: "I", 8: "Q"}


def _turned(value: memoryview, width: int) -> bytes:
    words = array(_WORDS[width], bytes(value))
    words.byteswap()
    return words.tobytes()
