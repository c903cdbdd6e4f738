"""The frames of pixel data, as they are stored: where each begins and ends.

Nothing is decoded, and no byte is copied; what is compressed is found by its offset table,
by its fragments, or by the markers in which JPEG ends. What is said of rows, columns and
frames is compared with the bytes that are there before it is believed.

Source:
    PS3.5 section 8.1, 8.2, Annex A.4; PS3.3 C.7.6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import uid

from reconcile.core import attributes as at
from reconcile.dataset.elements import Raw, frame, tail_elements
from reconcile.dataset.facts import Received
from reconcile.dataset.framing import EXPLICIT, ITEM, SEQUENCE_DELIMITATION, UNDEFINED
from reconcile.errors import CannotUnderstand, LimitExceeded, NotFound

#: Of one instance; enhanced ones have some ten thousand.
FRAGMENTS_MAX = 1 << 18

PIXEL_DATA, EXTENDED_OFFSETS = 0x7FE00010, 0x7FE00001
_PIXELS = (PIXEL_DATA, 0x7FE00008, 0x7FE00009)
_EOI = b"\xff\xd9"

Pieces = Sequence[memoryview | bytes]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the header says of pixel data."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    planar: int
    photometric: str
    frames: int

    @property
    def bits(self) -> int:
        """Of one frame that is not compressed."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.bits_allocated


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of an instance.

    Attributes:
        raw: the element that holds them.
    """

    shape: Shape
    raw: Raw
    _fragments: Sequence[tuple[memoryview, ...]]

    @property
    def compressed(self) -> bool:
        """Whether they are encapsulated (PS3.5 A.4)."""
        return self.raw.undefined

    def __len__(self) -> int:
        return len(self._fragments) if self.compressed else self.shape.frames

    def frame(self, number: int) -> Pieces:
        """A frame, as it is stored; the first one has number 1.

        Raises:
            NotFound: there is none.
        """
        if not 1 <= number <= len(self):
            raise NotFound("there is no such frame")
        if self.compressed:
            return self._fragments[number - 1]
        return (self._native(number - 1),)

    def _native(self, index: int) -> memoryview | bytes:
        begin, end = index * self.shape.bits, (index + 1) * self.shape.bits
        if end > 8 * len(self.raw.value):
            raise NotFound("pixel data ends before this frame")
        whole = self.raw.value[begin // 8 : -(-end // 8)]
        if begin % 8 == 0 and end % 8 == 0:
            return whole
        # One bit for a pixel, the first one lowest, and no padding between frames.
        packed = int.from_bytes(whole, "little") >> begin % 8
        bits = self.shape.bits
        return (packed & (1 << bits) - 1).to_bytes(-(-bits // 8), "little")


def frames_of(state: Received) -> Frames:
    """The frames of an instance, in little endian or compressed.

    Raises:
        NotFound: it has none that can be told apart.
        LimitExceeded: too many fragments.
    """
    raw, offsets = _pixels(state)
    shape = shape_of(state)
    if not raw.undefined:
        if not shape.bits:
            raise NotFound("the header does not say how large a frame is")
        return Frames(shape, raw, ())
    try:
        found = _fragments(raw)
    except CannotUnderstand as error:
        raise NotFound("compressed pixel data is broken") from error
    return Frames(shape, raw, _frames(found, shape.frames, offsets))


def shape_of(state: Received) -> Shape:
    """What the header says; what it does not say is 0, and 1 frame of 1 sample."""
    frames = _number(state, "00280008")
    return Shape(
        _number(state, "00280010"),
        _number(state, "00280011"),
        _number(state, "00280002") or 1,
        _number(state, "00280100"),
        _number(state, "00280101"),
        _number(state, "00280103") == 1,
        _number(state, "00280006"),
        at.text(state.element("00280004")),
        max(1, frames),
    )


def _number(state: Received, tag: str) -> int:
    said = at.values(state.element(tag))
    try:
        return max(0, int(said[0])) if said else 0
    except (TypeError, ValueError):
        return 0


def _pixels(state: Received) -> tuple[Raw, memoryview]:
    """Pixel data, and its Extended Offset Table, maybe of no length."""
    offsets = memoryview(b"")
    for raw in tail_elements(state.header):
        if raw.tag == EXTENDED_OFFSETS:
            offsets = raw.value
        elif raw.tag in _PIXELS:
            return raw, offsets
    raise NotFound("there is no pixel data that can be read")


@dataclass(frozen=True, slots=True)
class _Fragments:
    """Those of compressed pixel data; `offsets`: of their items, from the first one."""

    table: memoryview
    values: list[memoryview]
    offsets: list[int]


def _fragments(raw: Raw) -> _Fragments:
    value = raw.value
    position, size = 0, len(value)
    values: list[memoryview] = []
    starts: list[int] = []
    while position < size:
        tag, _, start, length = frame(value, position, size, EXPLICIT)
        if tag == SEQUENCE_DELIMITATION:
            break
        if tag != ITEM or length == UNDEFINED or length > size - start:
            raise CannotUnderstand("broken fragments")
        values.append(value[start : start + length])
        starts.append(position)
        position = start + length
        if len(values) > FRAGMENTS_MAX:
            raise LimitExceeded(f"more than {FRAGMENTS_MAX} fragments")
    if len(values) < 2:
        raise CannotUnderstand("no fragments")
    table, *rest = values
    return _Fragments(table, rest, [start - 8 - len(table) for start in starts[1:]])


def _frames(
    found: _Fragments, number: int, extended: memoryview
) -> Sequence[tuple[memoryview, ...]]:
    """The fragments of each frame.

    Raises:
        NotFound: it cannot be told where frames end.
    """
    for said, width in ((extended, 8), (found.table, 4)):
        starts = [
            int.from_bytes(said[i : i + width], "little")
            for i in range(0, len(said), width)
        ]
        if starts and len(said) % width == 0 and len(starts) == number:
            grouped = _by_offsets(found, starts)
            if grouped is not None:
                return grouped
    if number == 1:
        return [tuple(found.values)]
    if len(found.values) == number:
        return [(each,) for each in found.values]
    grouped = _by_markers(found)
    if len(grouped) == number:
        return grouped
    raise NotFound("it cannot be told where frames end")


def _by_offsets(
    found: _Fragments, starts: Sequence[int]
) -> list[tuple[memoryview, ...]] | None:
    """Frames that begin at these offsets; None: no fragment begins there."""
    places = {offset: index for index, offset in enumerate(found.offsets)}
    if starts[0] != 0 or any(start not in places for start in starts):
        return None
    begins = [places[start] for start in starts]
    ends = [*begins[1:], len(found.values)]
    if any(begin >= end for begin, end in zip(begins, ends, strict=True)):
        return None
    return [tuple(found.values[b:e]) for b, e in zip(begins, ends, strict=True)]


def _by_markers(found: _Fragments) -> list[tuple[memoryview, ...]]:
    """Frames that end with End of Image (ISO/IEC 10918-1, 14495-1, 15444-1)."""
    grouped: list[tuple[memoryview, ...]] = []
    begun: list[memoryview] = []
    for each in found.values:
        begun.append(each)
        if bytes(each[-3:]).rstrip(b"\0").endswith(_EOI):
            grouped.append(tuple(begun))
            begun = []
    return [*grouped, tuple(begun)] if begun else grouped


# -- Of which kind -----------------------------------------------------------------------

_JPEG, _JLS, _JP2, _JPX, _JPHC, _JXL = (
    f"image/{kind}" for kind in ("jpeg", "jls", "jp2", "jpx", "jphc", "jxl")
)
_MPEG, _MP4, _H265 = "video/mpeg", "video/mp4", "video/H265"

#: PS3.18 section 8.7.3.
MEDIA_TYPES: dict[str, str] = {
    str(uid.RLELossless): "image/dicom-rle",
    str(uid.JPEGBaseline8Bit): _JPEG,
    str(uid.JPEGExtended12Bit): _JPEG,
    str(uid.JPEGLossless): _JPEG,
    str(uid.JPEGLosslessSV1): _JPEG,
    str(uid.JPEGLSLossless): _JLS,
    str(uid.JPEGLSNearLossless): _JLS,
    str(uid.JPEG2000Lossless): _JP2,
    str(uid.JPEG2000): _JP2,
    str(uid.JPEG2000MCLossless): _JPX,
    str(uid.JPEG2000MC): _JPX,
    str(uid.HTJ2KLossless): _JPHC,
    str(uid.HTJ2KLosslessRPCL): _JPHC,
    str(uid.HTJ2K): _JPHC,
    "1.2.840.10008.1.2.4.110": _JXL,
    "1.2.840.10008.1.2.4.111": _JXL,
    "1.2.840.10008.1.2.4.112": _JXL,
    **{
        f"1.2.840.10008.1.2.4.{number}{fragmentable}": kind
        for kind, numbers in (
            (_MPEG, ("100", "101")),
            (_MP4, ("102", "103", "104", "105", "106")),
            (_H265, ("107", "108")),
        )
        for number in numbers
        for fragmentable in ("", ".1")
    },
}
