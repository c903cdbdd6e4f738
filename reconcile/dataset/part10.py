"""DICOM files around data sets: made for giving out, taken apart on import.

The preamble of what came is not passed on: it can make the file an executable of some
other kind (CVE-2019-11687). Ours is zeros.

Source:
    PS3.10 section 7.1 (DICOM File Meta Information).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reconcile.dataset.elements import (
    UNDEFINED,
    Buffer,
    Encoding,
    encode_element,
    frame,
    view_of,
)
from reconcile.dataset.vr import KNOWN
from reconcile.errors import CannotUnderstand

#: PS3.7 section D.3.3.2: one UID for the implementation, made once, from a UUID.
IMPLEMENTATION_CLASS_UID = "2.25.202365226879822827981468568069593956775"
IMPLEMENTATION_VERSION_NAME = "RECONCILE_0_1"

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_SOP_CLASS, _SOP_INSTANCE = 0x00020002, 0x00020003
_TRANSFER_SYNTAX = 0x00020010
#: Ordinary meta information has some 200 bytes; private information in it can be long.
_META_BYTES_MAX = 1024 * 1024
_UID_BYTES_MAX = 64
#: Data sets begin with group 0008; a few with 0004 (media) or 0010.
_FIRST_GROUP_MAX = 0x00FF

_META = Encoding(implicit=False, little=True)


class Part10(NamedTuple):
    """A file taken apart; `meta` holds preamble and File Meta Information as they came."""

    transfer_syntax: str
    meta: bytes
    data_set_offset: int


def file_meta(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae: str = ""
) -> bytes:
    """Preamble and File Meta Information for a data set.

    `source_ae` is the AE title that the instance came from (0002,0016); empty: left out.
    """
    said = [
        (0x00020001, "OB", b"\0\1"),
        (0x00020002, "UI", sop_class_uid.encode("ascii")),
        (0x00020003, "UI", sop_instance_uid.encode("ascii")),
        (_TRANSFER_SYNTAX, "UI", transfer_syntax_uid.encode("ascii")),
        (0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
        (0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
    ]
    if source_ae:
        said.append((0x00020016, "AE", source_ae.encode("ascii", "replace")[:16]))
    group = b"".join(encode_element(*each, _META).whole for each in said)
    length = len(group).to_bytes(4, "little")
    head = encode_element(0x00020000, "UL", length, _META).whole
    return b"\0" * _PREAMBLE_BYTES + _PREFIX + head + group


def split(buffer: Buffer) -> Part10:
    """Where the data set of a file begins, and in which transfer syntax it is.

    A preamble may be missing, and so may all meta information: how a bare data set is
    written is then guessed from its first element, as pydicom does.

    Raises:
        CannotUnderstand: it is no DICOM file, or its meta information is broken.
    """
    view = view_of(buffer)
    transfer_syntax, offset = _meta(view, _after_prefix(view))
    if offset == len(view):
        raise CannotUnderstand("file without a data set")
    if not transfer_syntax:
        transfer_syntax = _guess(view, offset)
    return Part10(transfer_syntax, bytes(view[:offset]), offset)


def has_prefix(buffer: Buffer) -> bool:
    """Whether a file says of itself that it is one of DICOM."""
    return _after_prefix(view_of(buffer)) > 0


def announced(meta: Buffer) -> tuple[str, str]:
    """The SOP Class and SOP Instance UID that meta information of a file names.

    Empty where it names none.

    Raises:
        CannotUnderstand: it is broken.
    """
    view = view_of(meta)
    said = dict(_uids(view, _after_prefix(view)))
    return said.get(_SOP_CLASS, ""), said.get(_SOP_INSTANCE, "")


def _after_prefix(view: memoryview) -> int:
    prefix = bytes(view[_PREAMBLE_BYTES : _PREAMBLE_BYTES + len(_PREFIX)])
    return _PREAMBLE_BYTES + len(_PREFIX) if prefix == _PREFIX else 0


def _meta(view: memoryview, start: int) -> tuple[str, int]:
    """(transfer syntax or nothing, where group 0002 ends)."""
    transfer_syntax, end = "", start
    for tag, value, end in _elements(view, start):  # noqa: B007 - the last end is meant
        if tag == _TRANSFER_SYNTAX:
            transfer_syntax = _uid(value)
    return transfer_syntax, end


def _uids(view: memoryview, start: int) -> Iterator[tuple[int, str]]:
    for tag, value, _ in _elements(view, start):
        yield tag, _uid(value)


def _uid(value: memoryview) -> str:
    if len(value) > _UID_BYTES_MAX + 1:
        return ""
    return bytes(value).decode("ascii", "replace").strip(" \0")


def _elements(view: memoryview, start: int) -> Iterator[tuple[int, memoryview, int]]:
    """(tag, value, its end) of each element of group 0002.

    Group length is not believed: the group ends where its elements do.
    """
    position = start
    while len(view) - position >= 2 and bytes(view[position : position + 2]) == b"\2\0":
        tag, _, value_start, length = frame(view, position, len(view), _META)
        end = value_start + length
        if length == UNDEFINED or end - start > _META_BYTES_MAX or end > len(view):
            raise CannotUnderstand("File Meta Information is broken")
        yield tag, view[value_start:end], end
        position = end


def _guess(view: memoryview, offset: int) -> str:
    head = bytes(view[offset : offset + 6])
    group = int.from_bytes(head[:2], "little")
    explicit = head[4:6].decode("latin-1") in KNOWN
    if explicit and group > _FIRST_GROUP_MAX:
        # 0008 read the wrong way round is 0800.
        group = int.from_bytes(head[:2], "big")
        transfer_syntax = EXPLICIT_VR_BIG_ENDIAN
    else:
        transfer_syntax = (
            EXPLICIT_VR_LITTLE_ENDIAN if explicit else IMPLICIT_VR_LITTLE_ENDIAN
        )
    if len(head) < 6 or not 0 < group <= _FIRST_GROUP_MAX:
        raise CannotUnderstand("not a DICOM file")
    return transfer_syntax
