"""A data set as the checker reads it: elements as bytes, and what they mean.

Structure is read by pydicom, values are decoded here, by VR (PS3.5 Table 6.2-1).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator, read_dataset
from pydicom.tag import BaseTag

from reconcile.checker.framing import Framing

__all__ = ["PIXELS", "Element", "Instance", "Unreadable", "content", "item_content"]

#: From here on a data set is compared byte for byte.
PIXELS = 0x7FE00000
CHARSET = 0x00080005
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1")
_CHUNK_BYTES = 1 << 20

_CHARSET_TEXT = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_TEXT = _CHARSET_TEXT | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}
_ONE_VALUE = frozenset(("LT", "ST", "UR", "UT"))
_NUMBERS = {
    "FD": "d",
    "FL": "f",
    "SL": "i",
    "SS": "h",
    "SV": "q",
    "UL": "I",
    "US": "H",
    "UV": "Q",
}
_WORDS = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}
_AMBIGUOUS = {"US or SS": "US", "US or OW": "US", "US or SS or OW": "US", "OB or OW": "OW"}


class Unreadable(ValueError):
    """Bytes that are no data set; the message holds no value."""


class Element:
    """One top-level element: its bytes, header included."""

    def __init__(self, tag: int, whole: bytes, instance: Instance) -> None:
        self.tag = tag
        self.whole = whole
        self._instance = instance
        self._framing = Framing(whole, implicit=instance.implicit, little=instance.little)

    def content(self, charset: Sequence[str]) -> Any:
        """What the element says, read in a character set.

        Raises:
            Unreadable: it is none.
        """
        try:
            return content(self._parsed(), charset, self._instance.little)
        except Unreadable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever pydicom makes of it
            raise _unreadable(error) from None

    def value(self) -> bytes:
        """The value field; of a sequence as it lies there.

        Raises:
            Unreadable: it is none.
        """
        try:
            found = self._parsed()
        except Exception as error:  # noqa: BLE001 - whatever pydicom makes of it
            raise _unreadable(error) from None
        return (
            bytes(found.value or b"") if isinstance(found, RawDataElement) else self.whole
        )

    def items(self) -> list[Dataset]:
        """The items, if it is a sequence.

        Raises:
            Unreadable: it is broken.
        """
        try:
            return _items(self._parsed()) or []
        except Exception as error:  # noqa: BLE001 - whatever pydicom makes of it
            raise _unreadable(error) from None

    def item_bytes(self) -> list[bytes]:
        """The items of a sequence as they lie there, one after the other."""
        header = 12 if not self._instance.implicit else 8
        value = self.whole[header:]
        order = "<" if self._instance.little else ">"
        if value[-8:] == struct.pack(order + "HHL", 0xFFFE, 0xE0DD, 0):
            value = value[:-8]
        return [value]

    def is_text(self) -> bool:
        """Whether its bytes depend on the character set."""
        vr = _vr(self._parsed())
        return vr in _CHARSET_TEXT or vr == "SQ"

    def is_sequence(self) -> bool:
        """Whether it is made of items.

        Raises:
            Unreadable: it is none.
        """
        try:
            return _vr(self._parsed()) == "SQ"
        except Unreadable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever pydicom makes of it
            raise _unreadable(error) from None

    def _parsed(self) -> RawDataElement | DataElement:
        instance = self._instance
        self._framing.check()
        parsed = read_dataset(BytesIO(self.whole), instance.implicit, instance.little)
        found = parsed.get_item(BaseTag(self.tag))
        if found is None:
            raise Unreadable("an element cannot be read")
        return found


class Instance:
    """A data set: its elements before pixel data, and a file with the rest.

    Args:
        file: holds the data set from `offset` on; read, never written.
        offset: in bytes.
        transfer_syntax: UID.
        charset: that text beyond ASCII is read in where it is not as declared; empty:
            as declared.

    Raises:
        Unreadable: it is no data set of this transfer syntax.
    """

    def __init__(
        self, file: BinaryIO, offset: int, transfer_syntax: str, charset: str = ""
    ) -> None:
        self.implicit = transfer_syntax == _IMPLICIT
        self.little = transfer_syntax != _BIG_ENDIAN
        self.transfer_syntax = transfer_syntax
        self._file = file
        if transfer_syntax in _DEFLATED:
            self._file, offset = _inflated(file, offset), 0
        self.elements: dict[int, Element] = {}
        self.tail = offset
        self._read(offset)
        self.assumed = charset.split("\\") if charset else []

    def _read(self, offset: int) -> None:
        config.settings.reading_validation_mode = config.IGNORE
        self._file.seek(offset)
        first = self._file.read(6)
        self._file.seek(offset)
        self.implicit = _is_implicit(first, implicit=self.implicit)
        walk = data_element_generator(
            self._file, self.implicit, self.little, stop_when=_at_pixels
        )
        start = offset
        try:
            for found in walk:
                end = self._file.tell()
                self._file.seek(start)
                whole = self._file.read(end - start)
                self.elements[int(found.tag)] = Element(int(found.tag), whole, self)
                start = end
        except Exception as error:  # noqa: BLE001 - whatever pydicom makes of it
            raise _unreadable(error) from None
        self.tail = start

    @property
    def declared(self) -> list[str]:
        """The values of (0008,0005)."""
        found = self.elements.get(CHARSET)
        return _terms(found.value()) if found else []

    def text(self, tag: int) -> str:
        """The first value of an element as text; empty where there is none."""
        found = self.elements.get(tag)
        said = found.content(self.assumed or self.declared) if found else None
        return str(said[0]) if isinstance(said, list) and said else ""

    def rest(self) -> Iterator[bytes]:
        """Pixel data and all that follows, in pieces."""
        self._file.seek(self.tail)
        while piece := self._file.read(_CHUNK_BYTES):
            yield piece

    def tail_elements(self) -> dict[int, bytes]:
        """Pixel data and what follows by tag, in memory: only where a part of it went."""
        self._file.seek(self.tail)
        start, found = self.tail, dict[int, bytes]()
        for element in data_element_generator(self._file, self.implicit, self.little):
            end = self._file.tell()
            self._file.seek(start)
            found[int(element.tag)] = self._file.read(end - start)
            start = end
        return found


def _unreadable(error: Exception) -> Unreadable:
    return Unreadable(f"it cannot be read ({type(error).__name__})")


def _is_implicit(first: bytes, *, implicit: bool) -> bool:
    """As it is written, whatever its transfer syntax says."""
    letters = first[4:6]
    explicit = len(letters) == 2 and letters.isalpha() and letters.isupper()
    return implicit if explicit != implicit else not explicit


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) >= PIXELS


def _inflated(file: BinaryIO, offset: int) -> BinaryIO:
    file.seek(offset)
    into = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - lives as long as the instance
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while piece := file.read(_CHUNK_BYTES):
            into.write(stream.decompress(piece))
        into.write(stream.flush())
    except zlib.error:
        raise Unreadable("it cannot be inflated") from None
    into.seek(0)
    return into


# -- What an element says -----------------------------------------------------------


def content(
    found: RawDataElement | DataElement, charset: Sequence[str], little: bool
) -> Any:
    """Lists of text and numbers, items as mappings by tag, everything else as bytes."""
    items = _items(found)
    if items is not None:
        return [item_content(item, charset, little) for item in items]
    vr = _vr(found)
    raw = bytes(found.value or b"") if isinstance(found, RawDataElement) else b""
    if vr in _TEXT:
        return _text(raw, vr, charset)
    if vr == "AT" and len(raw) % 4 == 0:
        pairs = struct.iter_unpack(("<" if little else ">") + "HH", raw)
        return [f"{group:04X}{number:04X}" for group, number in pairs]
    form = _NUMBERS.get(vr)
    if form and len(raw) % struct.calcsize(form) == 0:
        return [n for (n,) in struct.iter_unpack(("<" if little else ">") + form, raw)]
    return _little(raw, vr, little)


def item_content(item: Dataset, charset: Sequence[str], little: bool) -> dict[str, Any]:
    """An item, in the character set of its own if it names one."""
    if CHARSET in item:
        own = _of(item, BaseTag(CHARSET))
        raw = own.value if isinstance(own, RawDataElement) else _said(own)
        charset = _terms(raw or b"")
    return {
        f"{int(tag):08X}": content(_of(item, tag), charset, little)
        for tag in sorted(item.keys())
        if int(tag) & 0xFFFF
    }


def _of(item: Dataset, tag: BaseTag) -> RawDataElement | DataElement:
    found = item.get_item(tag)
    if found is None:
        raise Unreadable("an element cannot be read")
    return found


def _said(element: DataElement) -> bytes:
    value = element.value
    values = value if isinstance(value, list | tuple) else [value]
    return "\\".join(str(v or "") for v in values).encode("ascii", "replace")


def _items(found: RawDataElement | DataElement) -> list[Dataset] | None:
    if _vr(found) != "SQ":
        return None
    if isinstance(found, RawDataElement):
        found = convert_raw_data_element(found._replace(VR="SQ"))
    return list(found.value or ())


def _vr(found: RawDataElement | DataElement) -> str:
    vr = found.VR
    if vr and vr != "UN":
        return str(vr)
    try:
        known = str(dictionary_VR(found.tag)) if not found.tag.is_private else "UN"
    except KeyError:
        known = "UN"
    if vr == "UN" and known != "SQ":
        return "UN" if found.tag.is_private else _AMBIGUOUS.get(known, known)
    return _AMBIGUOUS.get(known, known)


def _terms(raw: bytes | str) -> list[str]:
    said = raw.decode("ascii", "replace") if isinstance(raw, bytes) else raw
    said = said.strip(" \0")
    return [term.strip(" \0") for term in said.split("\\")] if said else []


def _text(raw: bytes, vr: str, charset: Sequence[str]) -> Any:
    try:
        said = _decoded(raw, vr, charset)
    except (UnicodeError, LookupError):
        return raw
    said = said.rstrip(" \0")
    if not said:
        return []
    parts = [said] if vr in _ONE_VALUE else said.split("\\")
    parts = [part.rstrip(" \0") for part in parts]
    if vr == "PN":
        return ["=".join(g.rstrip(" ^") for g in p.split("=")).rstrip("=") for p in parts]
    return parts


def _decoded(raw: bytes, vr: str, charset: Sequence[str]) -> str:
    if vr not in _CHARSET_TEXT:
        return raw.decode("ascii")
    encodings = convert_encodings(list(charset) or ["ISO_IR 6"])
    delimiters = {0x5C, 0x3D, 0x5E, 0x0A, 0x0C, 0x0D, 0x09} if vr == "PN" else {
        0x5C, 0x0A, 0x0C, 0x0D, 0x09
    }  # fmt: skip
    strict, config.settings.reading_validation_mode = (
        config.settings.reading_validation_mode,
        config.RAISE,
    )
    try:
        return str(decode_bytes(raw, encodings, delimiters))
    finally:
        config.settings.reading_validation_mode = strict


def _little(raw: bytes, vr: str, little: bool) -> bytes:
    width = _WORDS.get(vr, 1)
    if little or width == 1 or len(raw) % width:
        return raw
    return b"".join(raw[i : i + width][::-1] for i in range(0, len(raw), width))
