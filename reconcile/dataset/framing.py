"""How one element is framed: its tag, VR and length as bytes, read and written.

Nothing here walks: it reads the header at one place and knows whether enough bytes
remain for it, and writes one element from its value.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from struct import Struct

from pydicom import uid

from reconcile.dataset.vr import KNOWN, LONG, SHORT, dictionary_vr, pad
from reconcile.errors import CannotUnderstand

ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
#: Length of the header of an item or a delimiter (PS3.5 section 7.5).
ITEM_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are framed (PS3.5 section 7.1 and Annex A)."""

    implicit: bool
    little: bool
    deflated: bool = False

    @property
    def order(self) -> str:
        """Byte order as struct spells it."""
        return "<" if self.little else ">"


IMPLICIT = Encoding(implicit=True, little=True)
EXPLICIT = Encoding(implicit=False, little=True)
BIG_ENDIAN = Encoding(implicit=False, little=False)
DEFLATED = Encoding(implicit=False, little=True, deflated=True)

# PS3.5 Annex A. Deflated Image Frame Compression (.8.1) deflates frames, not the data
# set. GE's private syntax is implicit with pixel data in big endian.
_ENCODINGS: dict[str, Encoding] = {
    str(uid.ImplicitVRLittleEndian): IMPLICIT,
    str(uid.ExplicitVRBigEndian): BIG_ENDIAN,
    str(uid.DeflatedExplicitVRLittleEndian): DEFLATED,
    "1.2.840.10008.1.2.4.95": DEFLATED,  # JPIP Referenced Deflate
    "1.2.840.10008.1.2.4.205": DEFLATED,  # JPIP HTJ2K Referenced Deflate
    "1.2.840.113619.5.2": IMPLICIT,
}


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """The encoding that a transfer syntax calls for.

    Unknown and private ones are explicit VR little endian, as every encapsulated
    syntax is (PS3.5 section A.4).
    """
    return _ENCODINGS.get(transfer_syntax_uid.strip(" \0"), EXPLICIT)


#: Tag, VR (empty where none is written), where the value begins, how long it says it is.
#: A plain tuple: one is made for every element of every instance.
Framed = tuple[int, str, int, int]


@dataclass(frozen=True, slots=True)
class Raw:
    """One element as bytes.

    Attributes:
        vr: as written; empty where the element is written without one.
        whole: the element with its header and, of undefined length, its delimiter.
        value_at: where in `whole` the value begins.
        undefined: whether it is of undefined length.
    """

    tag: int
    vr: str
    whole: memoryview
    value_at: int
    undefined: bool = False

    @property
    def value(self) -> memoryview:
        """The value field, without a delimiter."""
        end = len(self.whole) - (ITEM_HEADER_BYTES if self.undefined else 0)
        return self.whole[self.value_at : end]


def frame(view: memoryview, position: int, end: int, encoding: Encoding) -> Framed:
    """Read the element header at `position`.

    Raises:
        CannotUnderstand: fewer bytes remain than a header has.
    """
    if end - position < 8:
        raise CannotUnderstand(f"data set is cut off at byte {position}")
    if encoding.implicit:
        return _frame_implicit(view, position, encoding.little)
    group, number, letters, length = _EXPLICIT[encoding.little](view, position)
    if letters in _SHORT_LETTERS:
        return group << 16 | number, _SHORT_LETTERS[letters], position + 8, length
    if group == 0xFFFE or not _plausible(letters):
        # A delimiter; or an element written without a VR among others that have theirs.
        return _frame_implicit(view, position, encoding.little)
    tag, vr = group << 16 | number, letters.decode("ascii")
    if vr not in LONG and not _is_long_form(view, position, end, length, encoding):
        return tag, vr, position + 8, length
    if end - position < 12:
        raise CannotUnderstand(f"data set is cut off at byte {position}")
    return tag, vr, position + 12, _LENGTH[encoding.little](view, position + 8)[0]


_IMPLICIT = {little: Struct(f"{'><'[little]}HHL").unpack_from for little in (True, False)}
_EXPLICIT = {little: Struct(f"{'><'[little]}HH2sH").unpack_from for little in (True, False)}
_LENGTH = {little: Struct(f"{'><'[little]}L").unpack_from for little in (True, False)}
_SHORT_LETTERS = {vr.encode(): vr for vr in SHORT}


def _frame_implicit(view: memoryview, position: int, little: bool) -> Framed:
    group, number, length = _IMPLICIT[little](view, position)
    return group << 16 | number, "", position + 8, length


def _is_long_form(
    view: memoryview, position: int, end: int, reserved: int, encoding: Encoding
) -> bool:
    """Whether an element of a VR unknown to us has a 32-bit length.

    Those that the standard adds do (PS3.5 section 6.2). Broken files have short ones
    ("OX"): the 32-bit form needs its reserved bytes zero, and after it either the end
    or something that looks like an element.
    """
    if reserved != 0 or end - position < 12:
        return False
    after = position + 12 + int(_LENGTH[encoding.little](view, position + 8)[0])
    if after + 8 > end:
        return after == end
    return _plausible(view[after + 4 : after + 6])


def _plausible(letters: bytes | memoryview) -> bool:
    """Whether two bytes could be a VR: capital letters."""
    return 0x41 <= letters[0] <= 0x5A and 0x41 <= letters[1] <= 0x5A


def as_written(view: memoryview, position: int, encoding: Encoding) -> Encoding:
    """`encoding`, or the one that the element at `position` is really written in.

    The first element of a data set or of an item shows it: where a VR belongs stand two
    capital letters, or it is implicit; and where a length is declared stands a known
    VR, or it is a length (33 of 65 536 lengths above 16 kB look like one). Writers leave
    sequences implicit inside explicit data sets, or explicit inside UN. pydicom reads
    the same way (`_is_implicit_vr`).
    """
    if len(view) - position < ITEM_HEADER_BYTES:
        return encoding
    if bytes(view[position : position + 2]) in _DELIMITER_GROUP:
        return encoding
    letters = bytes(view[position + 4 : position + 6])
    explicit = letters in _KNOWN_LETTERS if encoding.implicit else _plausible(letters)
    if explicit != encoding.implicit:
        return encoding
    return replace(encoding, implicit=not explicit)


_ITEM_TAG = b"\xfe\xff\x00\xe0"
_KNOWN_LETTERS = frozenset(vr.encode() for vr in KNOWN)
_DELIMITER_GROUP = (b"\xfe\xff", b"\xff\xfe")


def inside(vr: str, view: memoryview, position: int, encoding: Encoding) -> Encoding:
    """How the items of a sequence are framed, whose value begins at `position`.

    In an element of VR UN they are implicit VR little endian (PS3.5 section 6.2.2,
    note); writers that leave them in big endian show it in the first item's tag.
    """
    if vr != "UN":
        return encoding
    little = encoding.little or bytes(view[position : position + 2]) == b"\xfe\xff"
    return Encoding(implicit=True, little=little)


def encode_element(tag: int, vr: str, value: bytes, encoding: Encoding) -> Raw:
    """The element with this value, padded to even length.

    A value too long for a 16-bit length becomes UN, which has a 32-bit one (PS3.5
    section 6.2.2, note 2).
    """
    value = pad(value, vr)
    group, number, size = tag >> 16, tag & 0xFFFF, len(value)
    if encoding.implicit:
        head = struct.pack(encoding.order + "HHL", group, number, size)
        return Raw(tag, "", memoryview(head + value), len(head))
    if vr in SHORT and size > 0xFFFF:
        vr = "UN"
    if vr in SHORT:
        head = struct.pack(encoding.order + "HH2sH", group, number, vr.encode(), size)
    else:
        head = struct.pack(encoding.order + "HH2sHL", group, number, vr.encode(), 0, size)
    return Raw(tag, vr, memoryview(head + value), len(head))


def rewritten(raw: Raw, value: bytes, encoding: Encoding) -> Raw:
    """The element with another value, framed as it was: its own VR, or none; its
    undefined length, or a length.
    """
    if raw.undefined:
        end = raw.value_at + len(raw.value)
        whole = b"".join((raw.whole[: raw.value_at], value, raw.whole[end:]))
        return Raw(raw.tag, raw.vr, memoryview(whole), raw.value_at, True)
    return encode_element(raw.tag, raw.vr, value, replace(encoding, implicit=not raw.vr))


def encode_item(content: bytes, encoding: Encoding) -> bytes:
    """An item of defined length around a data set."""
    return struct.pack(encoding.order + "HHL", 0xFFFE, 0xE000, len(content)) + content


def understood(raw: Raw, encoding: Encoding) -> tuple[str, Encoding]:
    """As which VR a value is to be read, and how what is nested in it is framed.

    Where no VR is written, or UN, the dictionary's holds; a value of VR UN is in
    implicit VR little endian (PS3.5 section 6.2.2).
    """
    if raw.vr and raw.vr != "UN":
        return raw.vr, encoding
    vr = dictionary_vr(raw.tag)
    within = inside(raw.vr, raw.value, 0, encoding)
    if vr == "UN" and (raw.undefined or bytes(raw.value[:4]) == _ITEM_TAG):
        vr = "SQ"
    return vr, within
