"""Items of Original Attributes Sequence (0400,0561): made, appended, taken off.

The item holds previous elements as the bytes they were, header included, so that putting
them back is exact. What it cannot say is which of them had been absent: whoever keeps it
keeps that beside it.

Source:
    PS3.3 C.12.1.1.9 (Original Attributes Sequence), Table C.12.1.1.9-1.

Values that break their VR will be listed zero-length here and kept in Nonconforming
Modified Attributes Sequence (0400,0551), as C.12.1.1.9.1 demands: `_previous` is where.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from reconcile.core.attributes import Assign, Element, Item, element
from reconcile.dataset.charset import Terms, encode
from reconcile.dataset.dicom_json import element_json, from_json
from reconcile.dataset.elements import (
    Encoding,
    ItemBytes,
    Raw,
    encode_element,
    encode_item,
    items,
    rewritten,
    scan,
    understood,
)
from reconcile.errors import CannotUnderstand

ORIGINALS = 0x04000561
_MODIFIED = 0x04000550
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

    assigns: tuple[Assign, ...]
    modified_at: datetime
    modifying_system: str
    source: str
    reason: Reason = "COERCE"

    @property
    def datetime(self) -> str:
        """`modified_at` as DT (PS3.5 Table 6.2-1)."""
        assert self.modified_at.tzinfo is not None, "an offset is always written"
        return self.modified_at.strftime("%Y%m%d%H%M%S.%f%z")


def item_json(original: Item, coercion: Coercion) -> dict[str, Element]:
    """A whole item in the DICOM JSON model, around previous values."""
    source = coercion.source[:_LO_CHARACTERS_MAX]
    return {
        "04000550": element("SQ", dict(original)),
        "04000562": element("DT", coercion.datetime),
        "04000563": element("LO", coercion.modifying_system[:_LO_CHARACTERS_MAX]),
        "04000564": element("LO", source) if source else element("LO"),
        "04000565": element("CS", coercion.reason),
    }


def appended(
    existing: Raw | None,
    previous: Iterable[Raw],
    coercion: Coercion,
    charsets: Terms,
    encoding: Encoding,
) -> Raw:
    """(0400,0561) with one more item at its end; those before it byte for byte.

    Args:
        existing: the element so far.
        previous: elements as they were; of no length where they were absent.
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
    previous: Iterable[Raw],
    coercion: Coercion,
    charsets: Terms,
    encoding: Encoding,
    within: Encoding,
) -> bytes:
    held = sorted(previous, key=lambda raw: raw.tag)
    before = b"".join(_previous(raw, encoding, within) for raw in held)
    said = (
        (_MODIFIED, "SQ", encode_item(before, within)),
        (_DATETIME, "DT", coercion.datetime.encode()),
        (_SYSTEM, "LO", _named(coercion.modifying_system, charsets)),
        (_SOURCE, "LO", _named(coercion.source, charsets)),
        (_REASON, "CS", coercion.reason.encode()),
    )
    content = b"".join(encode_element(*each, within).whole for each in said)
    return encode_item(content, within)


def _previous(raw: Raw, encoding: Encoding, within: Encoding) -> bytes | memoryview:
    """A previous element as the bytes it was.

    Framed anew only where a copy could not be read: in an item that is implicit inside
    an explicit data set, or the other way round.
    """
    if within == encoding and encoding.implicit == (not raw.vr):
        return raw.whole
    vr, nested = understood(raw, encoding)
    value = bytes(raw.value)
    if vr == "SQ":
        said = element_json(raw, (), encoding)
        value = from_json(f"{raw.tag:08X}", said, (), within)
    elif nested.little != within.little:
        vr = "UN"
    return encode_element(raw.tag, vr, value, within).whole


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
    return Newest(_held(came[-1]), _without_last(existing, came, encoding))


def _held(item: ItemBytes) -> tuple[Raw, ...]:
    modified = scan(item.content, item.encoding, nested=True).raw(_MODIFIED)
    if modified is None:
        raise CannotUnderstand("Original Attributes item without previous values")
    _, within = understood(modified, item.encoding)
    held = [
        scan(each.content, each.encoding, nested=True)
        for each in items(modified.value, within)
    ]
    if len(held) != 1:
        raise CannotUnderstand("Original Attributes item without previous values")
    return tuple(held[0].raw_of(span) for span in held[0].elements)


def _without_last(existing: Raw, came: list[ItemBytes], encoding: Encoding) -> Raw | None:
    if len(came) == 1:
        return None
    gone = len(came[-1].whole)
    return rewritten(existing, bytes(existing.value[:-gone]), encoding)
