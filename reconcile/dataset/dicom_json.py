"""Raw element values as the DICOM JSON model says them, and back (PS3.18 Annex F).

Nothing is repaired: a value that breaks its VR is said as the string it is, and what is
no text at all as InlineBinary. DS and IS are strings (Table F.2.3-1 allows both), so
that "1.50" stays "1.50". Padding at the end of a value is not said.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from reconcile.core.attributes import Element
from reconcile.dataset.charset import Terms, Undecodable, decode, encode, is_text
from reconcile.dataset.elements import (
    LIMITS,
    Encoding,
    Limits,
    Raw,
    encode_element,
    encode_item,
    items,
    scan,
    understood,
)
from reconcile.dataset.vr import (
    NUMBER_FORMAT,
    PLAIN_TEXT,
    SINGLE_VALUED,
    TEXT,
    WORD_BYTES,
    dictionary_vr,
    pad,
)
from reconcile.errors import CannotUnderstand, LimitExceeded

#: Longer binary values are named by digest and length (RFC 6920) instead of said: an
#: audit row is no place for them, and the received bytes are kept anyway.
INLINE_BYTES_MAX = 64 * 1024

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_CHARSET = 0x00080005


class Unsayable(ValueError):
    """An element that cannot be written; `charset` says that a wider set could.

    The message holds no value.
    """

    def __init__(self, message: str, *, charset: bool = False) -> None:
        super().__init__(message)
        self.charset = charset


def element_json(
    raw: Raw, charsets: Terms, encoding: Encoding, limits: Limits = LIMITS
) -> Element:
    """The element `raw` of a data set in the DICOM JSON model.

    A value without VR that begins like a sequence and is none is said as bytes.

    Raises:
        CannotUnderstand, LimitExceeded: as `to_json`.
    """
    vr, within = understood(raw, encoding)
    guessed = vr == "SQ" and raw.vr != "SQ" and dictionary_vr(raw.tag) == "UN"
    try:
        return to_json(raw.value, vr, charsets, within, limits)
    except CannotUnderstand:
        if not guessed:
            raise
        return to_json(raw.value, "UN", charsets, within, limits)


def to_json(
    raw: bytes | memoryview,
    vr: str,
    charsets: Terms,
    encoding: Encoding,
    limits: Limits = LIMITS,
) -> Element:
    """A value field in the DICOM JSON model.

    Args:
        raw: the value, padding included; of a sequence its items, without delimiter.
        vr: to read it as.
        charsets: in force where the element stands; an item may have its own.
        encoding: of the value: its byte order, and how items in it are framed.
        limits: of the data set.

    Raises:
        CannotUnderstand: a sequence that is broken.
        LimitExceeded: nested too deep, or longer than `limits.value_bytes`.
    """
    if vr == "SQ":
        return {"vr": vr, **_valued(_items(raw, charsets, encoding, limits))}
    if vr in TEXT and len(raw) > limits.value_bytes:
        raise LimitExceeded(f"a value is longer than {limits.value_bytes} bytes")
    if vr in TEXT:
        return _text(bytes(raw), vr, charsets)
    if vr in NUMBER_FORMAT or vr == "AT":
        return _numbers(raw, vr, encoding)
    return {"vr": vr, **_binary(raw, vr, encoding)}


def _valued(values: list[Any]) -> dict[str, Any]:
    return {"Value": values} if values else {}


def _items(
    raw: bytes | memoryview, charsets: Terms, encoding: Encoding, limits: Limits
) -> list[Any]:
    if limits.depth == 0:
        raise LimitExceeded("sequences are nested too deep")
    if len(raw) > limits.value_bytes:
        raise LimitExceeded(f"a sequence is longer than {limits.value_bytes} bytes")
    deeper = replace(limits, depth=limits.depth - 1)
    return [
        item_json(item.content, charsets, item.encoding, deeper)
        for item in items(memoryview(raw), encoding, limits=limits)
    ]


def item_json(
    content: memoryview, charsets: Terms, encoding: Encoding, limits: Limits = LIMITS
) -> dict[str, Element]:
    """The data set of an item, in the character set of its own if it has one.

    Raises:
        CannotUnderstand, LimitExceeded: as `to_json`.
    """
    header = scan(content, encoding, nested=True, limits=limits)
    own = header.raw(_CHARSET)
    if own is not None:
        charsets = terms_of(own)
    return {
        f"{span.tag:08X}": element_json(
            header.raw_of(span), charsets, header.encoding, limits
        )
        for span in sorted(header.elements, key=lambda span: span.tag)
        if span.tag & 0xFFFF
    }


def terms_of(raw: Raw) -> tuple[str, ...]:
    """The values of (0008,0005); none where it is empty or no text."""
    if len(raw.value) > _CHARSET_BYTES_MAX:
        return ()
    text = bytes(raw.value).decode("ascii", "replace").rstrip(" \0")
    return tuple(term.strip(" \0") for term in text.split("\\")) if text else ()


# Fifteen terms exist; what is longer is something else.
_CHARSET_BYTES_MAX = 1024


def _text(raw: bytes, vr: str, charsets: Terms) -> Element:
    try:
        said = decode(raw, charsets, vr).rstrip(" \0")
    except Undecodable:
        return {"vr": vr, **_binary(raw, "OB", None)}
    if not said:
        return {"vr": vr}
    parts = [said] if vr in SINGLE_VALUED else said.split("\\")
    values = [_text_value(part.rstrip(" \0"), vr) for part in parts]
    return {"vr": vr, "Value": values}


def _text_value(part: str, vr: str) -> Any:
    if not part:
        return None
    if vr != "PN":
        return part
    groups = zip(_GROUPS, part.split("=", 2), strict=False)
    return {name: group for name, group in groups if group}


def _numbers(raw: bytes | memoryview, vr: str, encoding: Encoding) -> Element:
    form = encoding.order + ("HH" if vr == "AT" else NUMBER_FORMAT[vr])
    if len(raw) % struct.calcsize(form) or len(raw) > INLINE_BYTES_MAX:
        return {"vr": vr, **_binary(raw, "OB", None)}
    found = struct.iter_unpack(form, raw)
    if vr == "AT":
        return {
            "vr": vr,
            **_valued([f"{group:04X}{number:04X}" for group, number in found]),
        }
    return {"vr": vr, **_valued([_number(value) for (value,) in found])}


def _number(value: float) -> float | str:
    """JSON has no NaN and no infinity; PS3.18 section F.2.3 has them as strings."""
    return value if math.isfinite(value) else str(value).replace("nan", "NaN")


def _binary(raw: bytes | memoryview, vr: str, encoding: Encoding | None) -> dict[str, str]:
    if len(raw) > INLINE_BYTES_MAX:
        digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=")
        return {"BulkDataURI": f"ni:///sha-256;{digest.decode()}?length={len(raw)}"}
    if not len(raw):
        return {}
    plain = bytes(raw) if encoding is None else _little(bytes(raw), vr, encoding)
    return {"InlineBinary": base64.b64encode(plain).decode("ascii")}


def _little(raw: bytes, vr: str, encoding: Encoding) -> bytes:
    """Words in little endian, as PS3.18 section F.2.7 wants them; its own inverse."""
    width = WORD_BYTES.get(vr, 1)
    if encoding.little or width == 1 or len(raw) % width:
        return raw
    return b"".join(raw[i : i + width][::-1] for i in range(0, len(raw), width))


def from_json(tag: str, element: Element, charsets: Terms, encoding: Encoding) -> bytes:
    """The raw value field of an element, padded; sequences with defined lengths.

    `tag` is named in errors only.

    Raises:
        Unsayable: a value is not of its VR, or not sayable in `charsets`.
    """
    vr = str(element["vr"])
    try:
        return pad(_value_bytes(element, vr, charsets, encoding), vr)
    except (ValueError, TypeError, AttributeError, struct.error) as error:
        if isinstance(error, Unsayable):
            raise
        raise Unsayable(f"{tag} has a value that is not of its VR") from None


def _value_bytes(element: Element, vr: str, charsets: Terms, encoding: Encoding) -> bytes:
    if "InlineBinary" in element:
        return _little(_unbase64(element["InlineBinary"]), vr, encoding)
    if "BulkDataURI" in element:
        raise Unsayable("bulk data is not held in the JSON model")
    values = element.get("Value", ())
    if vr == "SQ":
        return b"".join(item_bytes(item, charsets, encoding) for item in values)
    if vr in TEXT:
        return _text_bytes(values, vr, charsets)
    if vr == "AT":
        pairs = [(int(value[:4], 16), int(value[4:], 16)) for value in values]
        return b"".join(struct.pack(encoding.order + "HH", *pair) for pair in pairs)
    form = encoding.order + NUMBER_FORMAT[vr] if vr in NUMBER_FORMAT else None
    if form is None and values:
        raise Unsayable(f"a value of VR {vr} is binary")
    number = float if vr in ("FL", "FD") else int
    return b"".join(struct.pack(form or "", number(value)) for value in values)


def _unbase64(said: str) -> bytes:
    try:
        return base64.b64decode(said, validate=True)
    except binascii.Error:
        raise Unsayable("InlineBinary is not base64") from None


def _text_bytes(values: Iterable[Any], vr: str, charsets: Terms) -> bytes:
    parts = [_said(value, vr) for value in values]
    if vr not in SINGLE_VALUED and any("\\" in part for part in parts):
        raise Unsayable("a backslash would part the value in two")
    if not all(is_text(part) for part in parts):
        raise Unsayable("control characters in a text value")
    raw = encode("\\".join(parts), charsets, vr)
    if raw is None:
        raise Unsayable("not sayable in the character set", charset=vr not in PLAIN_TEXT)
    return raw


def _said(value: Any, vr: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, Mapping):
        return str(value)
    groups = [str(value.get(name, "")) for name in _GROUPS]
    return "=".join(groups).rstrip("=")


def item_bytes(item: Mapping[str, Element], charsets: Terms, encoding: Encoding) -> bytes:
    """An item of defined length; in its own character set if it names one.

    Raises:
        Unsayable: as `from_json`.
    """
    own = item.get("00080005")
    charsets = [str(v or "") for v in own.get("Value", ())] if own is not None else charsets
    content = b"".join(
        encode_element(
            int(tag, 16),
            str(item[tag]["vr"]),
            from_json(tag, item[tag], charsets, encoding),
            encoding,
        ).whole
        for tag in sorted(item)
    )
    return encode_item(content, encoding)
