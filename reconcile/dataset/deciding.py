"""The bytes of a header that decide: where they are the same, so is all that is decided.

Images of one series differ in their pixels, their number and their position, and not in
whose they are. What was found out from one of them holds for all that say the same
here, so that they need not be looked into.

Rule 1: whatever decides or is changed is among these bytes, save the SOP Instance UID:
        the attributes that facts are read from, and every sequence in which a reference
        or a code might stand.
Rule 2: an instance that is not ordinary has none of them, and is looked at for itself:
        one that is written in another way than its transfer syntax says, out of order,
        signed, encrypted, with a document or a URL in it.

Source:
    PS3.5 section 7.1 (Data Elements), Annex A (transfer syntaxes).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from reconcile.core import attributes as at
from reconcile.dataset import coding, references
from reconcile.dataset.elements import LIMITS, TAIL, UNDEFINED, Encoding, end_of_undefined
from reconcile.dataset.facts import ASSIGNABLE
from reconcile.dataset.framing import EXPLICIT, IMPLICIT, encoding_of
from reconcile.dataset.signatures import MAC_PARAMETERS
from reconcile.dataset.vr import KNOWN, LONG, SHORT, dictionary_vr
from reconcile.errors import CannotUnderstand, LimitExceeded

#: More than this is no ordinary header; and it is kept for every one that is remembered.
KEY_BYTES_MAX = 64 * 1024

_SOP_CLASS = int(at.SOP_CLASS_UID, 16)
_SOP_INSTANCE = int(at.SOP_INSTANCE_UID, 16)
_READ = (
    at.SOP_CLASS_UID,
    at.STUDY_DATE,
    at.MODALITY,
    at.PATIENT_IDENTITY_REMOVED,
    at.REFERENCED_PERFORMED_STEP_SEQUENCE,
    at.ORIGINAL_ATTRIBUTES_SEQUENCE,
)
_ODD, _KEY, _INSTANCE = range(1, 4)
#: What becomes of an element, by its tag; of all others only sequences are looked into.
_KINDS: dict[int, int] = {
    **{int(tag, 16): _KEY for tag in (*ASSIGNABLE, *_READ)},
    **dict.fromkeys(references.STUDY_SEQUENCES, _KEY),
    coding.SCHEMES: _KEY,
    _SOP_INSTANCE: _INSTANCE,
    **dict.fromkeys(references.NOT_ORDINARY, _ODD),
    MAC_PARAMETERS: _ODD,
}
_ITEM = b"\xfe\xff\x00\xe0"
_SHORT = frozenset(vr.encode() for vr in SHORT)
_LONG = frozenset(vr.encode() for vr in LONG)
_KNOWN = frozenset(vr.encode() for vr in KNOWN)
_HOLDS_ITEMS = frozenset((b"SQ", b"UN"))

_read_explicit = struct.Struct("<HH2sH").unpack_from
_read_implicit = struct.Struct("<HHL").unpack_from
_read_length = struct.Struct("<L").unpack_from


class Deciding(NamedTuple):
    """What decides of one instance.

    Attributes:
        key: the bytes; equal ones decide alike.
        sop_class_uid: as it came, padding aside.
        sop_instance_uid: likewise.
    """

    key: bytes
    sop_class_uid: str
    sop_instance_uid: str


class _Odd(Exception):
    """Not an ordinary instance."""


def deciding(
    data: bytes | bytearray | memoryview, transfer_syntax_uid: str
) -> Deciding | None:
    """What decides of a data set; None: it is not ordinary.

    Args:
        data: without preamble and meta information.
        transfer_syntax_uid: that it came in.
    """
    encoding = encoding_of(transfer_syntax_uid)
    found = _Pieces(memoryview(data))
    try:
        if encoding == EXPLICIT:
            _walk_explicit(found)
        elif encoding == IMPLICIT:
            _walk_implicit(found)
        else:
            return None
    except (_Odd, CannotUnderstand, LimitExceeded, struct.error):
        return None
    return found.deciding()


class _Pieces:
    """The elements that decide, as they are found."""

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.pieces: list[memoryview] = []
        self.uids: dict[int, str] = {}

    def take(self, kind: int, tag: int, start: int, value: int, end: int) -> None:
        """An element whose tag says what becomes of it."""
        if kind == _ODD:
            raise _Odd
        if tag in (_SOP_CLASS, _SOP_INSTANCE):
            said = bytes(self.view[value:end])
            self.uids[tag] = said.decode("latin-1").strip(" \0")
        if kind == _KEY:
            self.pieces.append(self.view[start:end])

    def look_into(self, start: int, value: int, end: int) -> None:
        """An element that may be a sequence."""
        if value < end and _may_name(bytes(self.view[value:end])):
            self.pieces.append(self.view[start:end])

    def deciding(self) -> Deciding | None:
        key = b"".join(self.pieces)
        if len(key) > KEY_BYTES_MAX:
            return None
        uids = self.uids
        return Deciding(key, uids.get(_SOP_CLASS, ""), uids.get(_SOP_INSTANCE, ""))


def _may_name(value: bytes) -> bool:
    """Whether a reference or a code that changes could stand in a sequence."""
    return _names(value) if len(value) < 4096 else _names.__wrapped__(value)


@lru_cache(maxsize=1024)  # most sequences of a series are the same in all of its images
def _names(value: bytes) -> bool:
    return bool(references.LOOKED_FOR.search(value) or coding.LOOKED_FOR.search(value))


def _walk_explicit(found: _Pieces) -> None:
    view, size, position, last, listed = found.view, len(found.view), 0, 0, 0
    while position < size:
        group, number, vr, length = _read_explicit(view, position)
        tag = group << 16 | number
        if tag >= TAIL:
            return
        value = position + 8
        if vr not in _SHORT:
            if vr not in _LONG:
                raise _Odd
            (length,) = _read_length(view, value)
            value += 4
        end = value + length
        if length == UNDEFINED:
            end = _end(view, value, size, vr, EXPLICIT)
        listed += 1
        if tag <= last or end > size or listed > LIMITS.listed:
            raise _Odd
        if kind := _KINDS.get(tag):
            found.take(kind, tag, position, value, end)
        elif vr in _HOLDS_ITEMS:
            found.look_into(position, value, end)
        last, position = tag, end


def _walk_implicit(found: _Pieces) -> None:
    view, size, position, last, listed = found.view, len(found.view), 0, 0, 0
    if bytes(view[4:6]) in _KNOWN:
        raise _Odd  # it is written explicitly
    while position < size:
        group, number, length = _read_implicit(view, position)
        tag = group << 16 | number
        if tag >= TAIL:
            return
        value = position + 8
        end = value + length
        if length == UNDEFINED:
            end = _end(view, value, size, b"SQ", IMPLICIT)
        listed += 1
        if tag <= last or end > size or listed > LIMITS.listed:
            raise _Odd
        if kind := _KINDS.get(tag):
            found.take(kind, tag, position, value, end)
        elif _is_sequence(tag) or length == UNDEFINED or view[value : value + 4] == _ITEM:
            found.look_into(position, value, end)
        last, position = tag, end


@lru_cache(maxsize=4096)
def _is_sequence(tag: int) -> bool:
    return dictionary_vr(tag) == "SQ"


def _end(view: memoryview, value: int, size: int, vr: bytes, encoding: Encoding) -> int:
    """Where a sequence of undefined length ends."""
    if vr not in _HOLDS_ITEMS:
        raise _Odd
    return end_of_undefined(view, value, size, vr.decode("ascii"), encoding)
