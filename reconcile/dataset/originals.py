"""Items of Original Attributes Sequence (0400,0561): made, appended, taken off.

The item holds previous elements as the bytes they were, header included, so that putting
them back is exact. What it cannot say is which of them had been absent: whoever keeps it
keeps that beside it.

A value that breaks its VR, VM or character set is listed without value, behind the
header that it came with, and stands as raw bytes in Nonconforming Modified Attributes
Sequence (0400,0551). OB is of even length: where a byte was added, the item of it is of
undefined length, which a reader need not know, and taking back does.

Source:
    PS3.3 C.12.1.1.9 (Original Attributes Sequence), Table C.12.1.1.9-1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from reconcile.core.attributes import Change, Element, Item, Tag, element
from reconcile.dataset.charset import Terms, encode
from reconcile.dataset.conforming import Nonconforming
from reconcile.dataset.dicom_json import from_json, to_json
from reconcile.dataset.elements import (
    EXPLICIT,
    UNDEFINED,
    Encoding,
    Header,
    ItemBytes,
    Raw,
    encode_element,
    encode_item,
    items,
    rewritten,
    scan,
    understood,
)
from reconcile.dataset.framing import ITEM_HEADER_BYTES
from reconcile.dataset.vr import NUMBER_FORMAT, SHORT, WORD_BYTES, dictionary_vr, pad
from reconcile.errors import CannotUnderstand

ORIGINALS = 0x04000561
_MODIFIED = 0x04000550
_NONCONFORMING = 0x04000551
_RECEIVED_VALUE = 0x04000552
_SELECTOR = 0x00720026
_POINTER = 0x00720052
_DATETIME = 0x04000562
_SYSTEM = 0x04000563
_SOURCE = 0x04000564
_REASON = 0x04000565
#: LO holds 64 characters (PS3.5 Table 6.2-1).
_LO_CHARACTERS_MAX = 64

# Defined Terms of (0400,0565).
Reason = Literal["COERCE", "CORRECT"]


@dataclass(frozen=True, slots=True)
class Coercion:
    """One live event as it applies to an instance.

    Attributes:
        assigns: what the event assigns; each tag at most once.
        modified_at: time zone aware; written as DT with microseconds and offset.
        modifying_system: (0400,0563).
        source: (0400,0564), who supplied the instance before; may be empty.
    """

    assigns: tuple[Change, ...]
    modified_at: datetime
    modifying_system: str
    source: str
    reason: Reason = "COERCE"

    @property
    def datetime(self) -> str:
        """`modified_at` as DT (PS3.5 Table 6.2-1)."""
        assert self.modified_at.tzinfo is not None, "an offset is always written"
        return self.modified_at.strftime("%Y%m%d%H%M%S.%f%z")


@dataclass(frozen=True, slots=True)
class Previous:
    """What an item lists.

    Attributes:
        elements: as they were; of no length where they were absent.
        nonconforming: which of their values do not conform.
    """

    elements: tuple[Raw, ...]
    nonconforming: tuple[Nonconforming, ...] = ()


def item_json(
    original: Item, coercion: Coercion, nonconforming: Iterable[Nonconforming] = ()
) -> dict[str, Element]:
    """A whole item in the DICOM JSON model, around previous values.

    Args:
        original: the previous elements; without a value where it does not conform.
        coercion: what the item says of itself.
        nonconforming: the values that do not.
    """
    source = coercion.source[:_LO_CHARACTERS_MAX]
    faulty = [_fault_json(fault) for fault in nonconforming]
    return {
        "04000550": element("SQ", dict(original)),
        **({"04000551": element("SQ", *faulty)} if faulty else {}),
        "04000562": element("DT", coercion.datetime),
        "04000563": element("LO", coercion.modifying_system[:_LO_CHARACTERS_MAX]),
        "04000564": element("LO", source) if source else element("LO"),
        "04000565": element("CS", coercion.reason),
    }


def appended(
    existing: Raw | None,
    previous: Previous,
    coercion: Coercion,
    charsets: Terms,
    encoding: Encoding,
) -> Raw:
    """(0400,0561) with one more item at its end; those before it byte for byte.

    Args:
        existing: the element so far.
        previous: what it lists.
        coercion: what the item says of itself.
        charsets: in force in the data set from now on.
        encoding: of the data set.
    """
    if existing is None:
        item = _item(previous, coercion, charsets, encoding, encoding)
        return encode_element(ORIGINALS, "SQ", item, encoding)
    _, within = understood(existing, encoding)
    item = _item(previous, coercion, charsets, encoding, within)
    return rewritten(existing, bytes(existing.value) + item, encoding)


def _item(
    previous: Previous,
    coercion: Coercion,
    charsets: Terms,
    encoding: Encoding,
    within: Encoding,
) -> bytes:
    faulty = {fault.tag for fault in previous.nonconforming if not fault.path}
    held = [
        _with_value(raw, b"", encoding) if raw.tag in faulty else raw
        for raw in sorted(previous.elements, key=lambda raw: raw.tag)
    ]
    before = b"".join(_framed(raw, encoding, within).whole for raw in held)
    faults = b"".join(_fault(fault, within) for fault in previous.nonconforming)
    said: list[tuple[int, str, bytes]] = [
        (_MODIFIED, "SQ", encode_item(before, within)),
        *([(_NONCONFORMING, "SQ", faults)] if faults else []),
        (_DATETIME, "DT", coercion.datetime.encode()),
        (_SYSTEM, "LO", _named(coercion.modifying_system, charsets)),
        (_SOURCE, "LO", _named(coercion.source, charsets)),
        (_REASON, "CS", coercion.reason.encode()),
    ]
    content = b"".join(encode_element(*each, within).whole for each in said)
    return encode_item(content, within)


def _fault_json(fault: Nonconforming) -> dict[Tag, Element]:
    value = pad(fault.value, "OB")
    return {**_selector(fault), "04000552": to_json(value, "OB", (), EXPLICIT)}


def _fault(fault: Nonconforming, within: Encoding) -> bytes:
    """An item of (0400,0551); of undefined length where its value is one byte shorter."""
    said: dict[int, tuple[str, bytes]] = {
        int(tag, 16): (str(told["vr"]), from_json(tag, told, (), within))
        for tag, told in _selector(fault).items()
    }
    said[_RECEIVED_VALUE] = ("OB", fault.value)
    content = b"".join(
        encode_element(number, vr, value, within).whole
        for number, (vr, value) in sorted(said.items())
    )
    return (
        _endless_item(content, within)
        if len(fault.value) % 2
        else encode_item(content, within)
    )


def _selector(fault: Nonconforming) -> dict[Tag, Element]:
    """Where a value stood, from the item of (0400,0550) on."""
    said = {"00720026": element("AT", f"{fault.tag:08X}"), "00720028": element("US", 1)}
    if fault.path:
        said["00720052"] = element("AT", *(f"{s.sequence:08X}" for s in fault.path))
        said["00741057"] = element("IS", *(str(s.item) for s in fault.path))
    if any(step.creator for step in fault.path):
        said["00720054"] = element("LO", *(s.creator or None for s in fault.path))
    if fault.creator:
        said["00720056"] = element("LO", fault.creator)
    return said


def _endless_item(content: bytes, encoding: Encoding) -> bytes:
    mark = struct.Struct(encoding.order + "HHL").pack
    return mark(0xFFFE, 0xE000, UNDEFINED) + content + mark(0xFFFE, 0xE00D, 0)


def _with_value(raw: Raw, value: bytes, encoding: Encoding) -> Raw:
    """The element with another value, even or odd, behind the header that it came with."""
    end = raw.value_at + len(raw.value)
    head = bytes(raw.whole[: raw.value_at])
    if not raw.undefined:
        size = 2 if raw.vr in SHORT and raw.value_at == ITEM_HEADER_BYTES else 4
        if len(value) >= 1 << 8 * size:
            raise CannotUnderstand("a previous value is longer than its length can say")
        length = len(value).to_bytes(size, "little" if encoding.little else "big")
        head = head[:-size] + length
    whole = b"".join((head, value, raw.whole[end:]))
    return Raw(raw.tag, raw.vr, memoryview(whole), raw.value_at, raw.undefined)


def _framed(raw: Raw, encoding: Encoding, within: Encoding) -> Raw:
    """An element as it stands, or framed anew where a copy could not be read.

    That is in an item that is implicit or little endian inside a data set that is not,
    or the other way round.
    """
    alike = (encoding.implicit, encoding.little) == (within.implicit, within.little)
    if alike and encoding.implicit == (not raw.vr):
        return raw
    vr, nested = understood(raw, encoding)
    try:
        if vr == "SQ":
            return encode_element(raw.tag, vr, _framed_items(raw, nested, within), within)
    except CannotUnderstand:
        if raw.vr == "SQ" or dictionary_vr(raw.tag) == "SQ":
            raise
        vr = "UN"
    value = bytes(raw.value)
    if nested.little != within.little:
        value = _swapped(value, vr)
    return encode_element(raw.tag, vr, value, within)


def _framed_items(raw: Raw, nested: Encoding, within: Encoding) -> bytes:
    came = [
        scan(item.content, item.encoding, nested=True) for item in items(raw.value, nested)
    ]
    return b"".join(
        encode_item(
            b"".join(
                _framed(header.raw_of(span), header.encoding, within).whole
                for span in header.elements
            ),
            within,
        )
        for header in came
    )


def _swapped(value: bytes, vr: str) -> bytes:
    """Numbers and words in the other byte order."""
    number = NUMBER_FORMAT.get(vr)
    width = struct.calcsize(number) if number else WORD_BYTES.get(vr, 1)
    width = 2 if vr == "AT" else width
    if width == 1 or len(value) % width:
        return value
    return b"".join(value[i : i + width][::-1] for i in range(0, len(value), width))


def _named(name: str, charsets: Terms) -> bytes:
    """The name of a system; AE titles are ASCII, what else there is must fit the set."""
    name = name.replace("\\", "?")[:_LO_CHARACTERS_MAX]
    return encode(name, charsets, "LO") or name.encode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Newest:
    """The last item of (0400,0561): its previous elements, and the element without it."""

    previous: tuple[Raw, ...]
    rest: Raw | None


def newest(existing: Raw, encoding: Encoding) -> Newest:
    """Take the last item off.

    Raises:
        CannotUnderstand: there is none, or it has not exactly one item of previous values.
    """
    _, within = understood(existing, encoding)
    came = list(items(existing.value, within))
    if not came:
        raise CannotUnderstand("no Original Attributes item is there")
    return Newest(_held(came[-1], encoding), _without_last(existing, came, encoding))


def _held(item: ItemBytes, encoding: Encoding) -> tuple[Raw, ...]:
    """The previous elements of an item as they were, framed as their data set is."""
    header = scan(item.content, item.encoding, nested=True)
    modified = header.raw(_MODIFIED)
    if modified is None:
        raise CannotUnderstand("Original Attributes item without previous values")
    _, within = understood(modified, item.encoding)
    held = [
        scan(each.content, each.encoding, nested=True)
        for each in items(modified.value, within)
    ]
    if len(held) != 1:
        raise CannotUnderstand("Original Attributes item without previous values")
    [inner] = held
    values = dict(_received_values(header))
    found = (inner.raw_of(span) for span in inner.elements)
    return tuple(
        _with_value(raw, values[raw.tag], encoding) if raw.tag in values else raw
        for raw in (_framed(raw, inner.encoding, encoding) for raw in found)
    )


def _received_values(header: Header) -> Iterator[tuple[int, bytes]]:
    """What stands in (0400,0551) of an item, nested values aside: they are copied."""
    faults = header.raw(_NONCONFORMING)
    if faults is None:
        return
    _, within = understood(faults, header.encoding)
    for item in items(faults.value, within):
        said = scan(item.content, item.encoding, nested=True)
        selector, value = said.raw(_SELECTOR), said.raw(_RECEIVED_VALUE)
        if selector is None or value is None or said.raw(_POINTER) is not None:
            continue
        if len(selector.value) != 4:
            raise CannotUnderstand("a nonconforming value without its attribute")
        group, number = struct.unpack(said.encoding.order + "HH", selector.value)
        endless = len(item.whole) != ITEM_HEADER_BYTES + len(item.content)
        yield group << 16 | number, bytes(value.value[:-1] if endless else value.value)


def _without_last(existing: Raw, came: list[ItemBytes], encoding: Encoding) -> Raw | None:
    if len(came) == 1:
        return None
    gone = len(came[-1].whole)
    return rewritten(existing, bytes(existing.value[:-gone]), encoding)
