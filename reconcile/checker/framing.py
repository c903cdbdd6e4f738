"""Whether a sequence is framed as it should be: pydicom forgives what must be found here.

Source:
    PS3.5 section 7.1 (Data Elements), 7.5 (Nesting of Data Sets).
"""

from __future__ import annotations

import struct

from pydicom.datadict import dictionary_VR

_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF


class Misframed(ValueError):
    """Items or elements that do not fill what they stand in."""


class Framing:
    """A walk over the bytes of one element, header included."""

    def __init__(self, content: bytes, *, implicit: bool, little: bool) -> None:
        self._content = content
        self._implicit = implicit
        self._order = "<" if little else ">"

    def check(self) -> None:
        """Walk to the end.

        Raises:
            Misframed: something is not where it should be.
        """
        if self._element(0, len(self._content), self._implicit) != len(self._content):
            raise Misframed

    def _tag(self, at: int) -> int:
        group, number = self._unpack("HH", at)
        return group << 16 | number

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self._order + form, self._content, at)
        except struct.error:
            raise Misframed from None

    def _element(self, at: int, end: int, implicit: bool) -> int:
        """The end of the element at a place."""
        tag = self._tag(at)
        if implicit:
            (length,) = self._unpack("L", at + 4)
            vr, start = _dictionary(tag), at + 8
        else:
            vr = self._content[at + 4 : at + 6].decode("latin-1")
            if vr in _LONG:
                (length,), start = self._unpack("L", at + 8), at + 12
            else:
                (length,), start = self._unpack("H", at + 6), at + 8
        if vr == "SQ" or length == _UNDEFINED:
            return self._items(start, length, end, implicit or vr == "UN")
        if start + length > end:
            raise Misframed
        return start + length

    def _items(self, at: int, length: int, end: int, implicit: bool) -> int:
        stop = end if length == _UNDEFINED else at + length
        if stop > end:
            raise Misframed
        while at < stop:
            tag, (size,) = self._tag(at), self._unpack("L", at + 4)
            at += 8
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                return at
            if tag != _ITEM:
                raise Misframed
            at = self._item(at, size, stop, implicit)
        if at != stop or length == _UNDEFINED:
            raise Misframed
        return at

    def _item(self, at: int, size: int, end: int, implicit: bool) -> int:
        stop = end if size == _UNDEFINED else at + size
        if stop > end:
            raise Misframed
        while at < stop:
            if self._tag(at) == _ITEM_END:
                if size != _UNDEFINED:
                    raise Misframed
                return at + 8
            at = self._element(at, stop, implicit)
        if at != stop or size == _UNDEFINED:
            raise Misframed
        return at


def _dictionary(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"
