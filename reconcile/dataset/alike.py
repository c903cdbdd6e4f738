"""Whether two data sets say the same, however each is written.

The same instance comes again in another transfer syntax, or its private elements have
lost their VRs on the way. What differs is then how it is framed, and nothing that anybody
reads. Headers are compared by what their values say; pixel data is compared as bytes,
chunk by chunk, so that instances of any size take constant memory.

Rule 1: whoever is unsure answers that they differ: a person then looks at both.
Rule 2: no pixel is decoded.

Source:
    PS3.5 section 7.3 (byte ordering), Annex A (transfer syntaxes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from mmap import MADV_DONTNEED, mmap

from reconcile.core.attributes import same
from reconcile.dataset.charset import Terms
from reconcile.dataset.dicom_json import terms_of, to_json
from reconcile.dataset.elements import (
    LIMITS,
    TAIL,
    Encoding,
    Raw,
    items,
    scan,
    tail_elements,
    understood,
)
from reconcile.dataset.facts import Received
from reconcile.dataset.vr import TEXT, TURNED_BYTES
from reconcile.errors import CannotUnderstand, LimitExceeded

_CHUNK_BYTES = 1 << 20
#: Mapped pages count as this process's memory until they are given back.
_GIVEN_BACK_BYTES = 32 << 20

_CHARSET = 0x00080005
_PIXEL_DATA = 0x7FE00010
#: Length to End counts bytes of one encoding; Data Set Trailing Padding says nothing.
_OF_THE_WRITING = frozenset([0x00080001, 0xFFFCFFFC])
#: Photometric Interpretation and Planar Configuration tell how pixels were compressed;
#: the extended offset tables, where the compressed frames begin.
_OF_THE_COMPRESSION = frozenset(
    [0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002, 0x7FE00003]
)


@dataclass(frozen=True, slots=True)
class _Level:
    """The elements of a data set or an item by tag; how they are framed and read."""

    elements: dict[int, Raw]
    encoding: Encoding
    charsets: Terms


@dataclass(frozen=True, slots=True)
class _Value:
    """The value of one element, read as one VR."""

    value: memoryview
    encoding: Encoding
    charsets: Terms


def alike(one: Received, other: Received, *, same_syntax: bool) -> bool:
    """Whether two data sets hold the same content.

    Pixel data that is native in both must be the same bytes, byte order aside. Where it
    is encapsulated in one of them, or in both by two transfer syntaxes, equal headers
    suffice, Photometric Interpretation and Planar Configuration aside.

    Args:
        one: a data set as it stands.
        other: likewise.
        same_syntax: whether both are of one transfer syntax.
    """
    try:
        ours, theirs = _tail(one), _tail(other)
        if ours is None or theirs is None:
            return _same_level(_header(one), _header(other)) and _same_bytes(one, other)
        aside = _aside(ours, theirs, same_syntax=same_syntax)
        return _same_level(_header(one, aside), _header(other, aside)) and _same_level(
            _level(one, ours, aside), _level(other, theirs, aside)
        )
    except LimitExceeded:
        return False


def _aside(
    ours: Iterable[Raw], theirs: Iterable[Raw], *, same_syntax: bool
) -> frozenset[int]:
    """What is not compared, since the pixels were compressed in two ways."""
    found = [raw.undefined for raw in (*ours, *theirs) if raw.tag == _PIXEL_DATA]
    # PS3.5 section A.4: encapsulated pixel data is of undefined length.
    if same_syntax or len(found) != 2 or not any(found):
        return frozenset()
    return _OF_THE_COMPRESSION | {_PIXEL_DATA}


def _header(received: Received, aside: frozenset[int] = frozenset()) -> _Level:
    before = (raw for raw in received.raw_elements() if raw.tag < TAIL)
    return _level(received, before, aside)


def _tail(received: Received) -> list[Raw] | None:
    """The elements of the tail as they stand; None where it cannot be read to its end."""
    found = list(islice(tail_elements(received.header), _TAIL_ELEMENTS_MAX))
    size = sum(len(raw.whole) for raw in found)
    if size < len(received.header.buffer) - received.header.tail - _PADDING_BYTES_MAX:
        return None
    rest = received.header.buffer[received.header.tail + size :]
    if any(rest):
        return None
    kept = [raw for raw in found if raw.tag not in received.edits]
    edited = (raw for raw in received.edits.values() if raw and raw.tag >= TAIL)
    return [*kept, *edited]


#: A few follow pixel data; zeros that pad to a megabyte would be elements without end.
_TAIL_ELEMENTS_MAX = 4096
#: Fewer bytes than an element's header has.
_PADDING_BYTES_MAX = 7


def _same_bytes(one: Received, other: Received) -> bool:
    """Of what cannot be read, only the very bytes are the same."""
    return one.encoding == other.encoding and _equal(one.tail, other.tail)


def _level(
    received: Received, elements: Iterable[Raw], aside: frozenset[int] = frozenset()
) -> _Level:
    return _Level(_by_tag(elements, aside), received.encoding, received.charsets)


def _by_tag(elements: Iterable[Raw], aside: frozenset[int]) -> dict[int, Raw]:
    """Elements by tag, the last of each; group lengths and the like aside."""
    aside |= _OF_THE_WRITING
    return {raw.tag: raw for raw in elements if raw.tag & 0xFFFF and raw.tag not in aside}


def _same_level(one: _Level, other: _Level, depth: int = LIMITS.depth) -> bool:
    if one.elements.keys() != other.elements.keys():
        return False
    pairs = ((one.elements[tag], other.elements[tag]) for tag in one.elements)
    return all(_same_element(one, ours, other, theirs, depth) for ours, theirs in pairs)


def _same_element(one: _Level, ours: Raw, other: _Level, theirs: Raw, depth: int) -> bool:
    vr = _common_vr(ours, one.encoding, theirs, other.encoding)
    written_alike = (ours.vr, one.encoding) == (theirs.vr, other.encoding)
    if (written_alike or vr in TEXT) and _equal(ours.value, theirs.value):
        return True
    if not vr:
        return False
    a = _Value(ours.value, understood(ours, one.encoding)[1], one.charsets)
    b = _Value(theirs.value, understood(theirs, other.encoding)[1], other.charsets)
    if vr == "SQ":
        return _same_items(a, b, depth)
    return _same_text(a, b, vr) if vr in TEXT else _same_words(a, b, vr)


def _common_vr(ours: Raw, encoding: Encoding, theirs: Raw, other: Encoding) -> str:
    """The VR to read both values as; empty where each is written as another.

    A VR that is written stands above the dictionary's, which has "US or SS". Bytes of
    8 bits a pixel are OB or OW; only words of big endian are turned round.
    """
    found = (understood(ours, encoding)[0], understood(theirs, other)[0])
    written = [raw.vr for raw in (ours, theirs) if raw.vr not in ("", "UN")]
    if len(written) == 1:
        return written[0]
    if found[0] == found[1]:
        return found[0]
    if set(found) == {"OB", "OW"}:
        return found[0] if not encoding.little else found[1]
    return "" if written else "SQ" if "SQ" in found else "UN"


def _same_items(one: _Value, other: _Value, depth: int) -> bool:
    if not depth:
        raise LimitExceeded("sequences are nested too deep")
    try:
        ours, theirs = list(_items(one)), list(_items(other))
    except CannotUnderstand:
        return _equal(one.value, other.value)
    return len(ours) == len(theirs) and all(
        _same_level(a, b, depth - 1) for a, b in zip(ours, theirs, strict=True)
    )


def _items(sequence: _Value) -> Iterator[_Level]:
    for item in items(sequence.value, sequence.encoding):
        header = scan(item.content, item.encoding, nested=True)
        declared = header.raw(_CHARSET)
        charsets = terms_of(declared) if declared else sequence.charsets
        found = _by_tag(map(header.raw_of, header.elements), frozenset())
        yield _Level(found, header.encoding, charsets)


def _same_text(one: _Value, other: _Value, vr: str) -> bool:
    if max(len(one.value), len(other.value)) > LIMITS.value_bytes:
        return _equal(one.value, other.value)
    ours, theirs = (to_json(e.value, vr, e.charsets, e.encoding) for e in (one, other))
    return same(ours, theirs)


def _same_words(one: _Value, other: _Value, vr: str) -> bool:
    width = TURNED_BYTES.get(vr, 1)
    if one.encoding.little == other.encoding.little or width == 1:
        return _equal(one.value, other.value)
    # Pixels of 32 bits are two words of 16; many writers turn them round as one.
    widths = (2, 4) if vr == "OW" else (width,)
    return any(
        len(one.value) % each == 0 and _equal(one.value, other.value, each)
        for each in widths
    )


def _equal(one: memoryview, other: memoryview, swapped: int = 1) -> bool:
    """Whether two values are the same bytes; `swapped`: each so many turned round."""
    if len(one) != len(other):
        return False
    for start in range(0, len(one), _CHUNK_BYTES):
        end = start + _CHUNK_BYTES
        if bytes(one[start:end]) != _turned(other[start:end], swapped):
            return False
        if end % _GIVEN_BACK_BYTES == 0:
            _give_back(one)
            _give_back(other)
    return True


def _turned(chunk: memoryview, width: int) -> bytes:
    if width == 1:
        return bytes(chunk)
    data = bytes(chunk)
    turned = bytearray(len(data))
    for place in range(width):
        turned[place::width] = data[width - 1 - place :: width]
    return bytes(turned)


def _give_back(view: memoryview) -> None:
    if isinstance(view.obj, mmap):
        view.obj.madvise(MADV_DONTNEED)
