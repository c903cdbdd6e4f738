"""Digital signatures that a change breaks: found, and not given out any longer.

Rule 1: whether there may be signatures is known from MAC Parameters Sequence (4FFE,0001),
        before pixel data; without it nothing behind pixel data is looked at.
Rule 2: in doubt a signature covers everything. One that is left is left byte for byte.

May never be put in here: cryptography. Whether a signature was valid when it came is for
whoever verifies what was received.

Source:
    PS3.15 section 7 and Annex C (Digital Signature Profiles); PS3.3 C.12.1.1.3 (Digital
    Signatures Macro).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from reconcile.dataset.elements import (
    Encoding,
    Header,
    ItemBytes,
    Raw,
    items,
    rewritten,
    scan,
    understood,
)
from reconcile.dataset.facts import Received
from reconcile.dataset.splice import SIGNATURES, Edits
from reconcile.errors import CannotUnderstand

MAC_PARAMETERS = 0x4FFE0001
_MAC_ID = 0x04000005
_SIGNED = 0x04000020
#: What no signature may cover: a list that names one of these is not believed.
_NEVER_SIGNED = frozenset((SIGNATURES, MAC_PARAMETERS))


def without_broken(header: Header, edits: Edits) -> Edits:
    """The edits of an item, with those that take away the signatures that they break.

    Args:
        header: of the item, scanned as nested.
        edits: by tag; each is taken as a change. The same object comes back where they
            break nothing.
    """
    found = _Level(header.raw, header.encoding).further(edits)
    return {**edits, **found} if found else edits


def broken(received: Received, edits: Edits) -> dict[int, Raw | None]:
    """What becomes of (FFFA,FFFA) and (4FFE,0001) when these elements change.

    Args:
        received: the data set.
        edits: by tag; each is taken as a change, whatever it says.

    Raises:
        LimitExceeded: pixel data has too many fragments to be walked over.
    """
    return _Level(received.raw_element, received.encoding).further(edits)


def is_signed(received: Received, tag: int) -> bool:
    """Whether a signature at top level covers this element of the top level.

    Raises:
        LimitExceeded: as `broken`.
    """
    level = _Level(received.raw_element, received.encoding)
    return any(signature.breaks((tag,)) for signature in level.signatures())


@dataclass(frozen=True, slots=True)
class _Signature:
    """An item of (FFFA,FFFA); where `covers` is None it covers everything."""

    whole: memoryview
    mac_id: int | None
    covers: frozenset[int] | None

    def breaks(self, changed: Collection[int]) -> bool:
        if self.covers is None:
            return bool(changed)
        return not self.covers.isdisjoint(changed)


@dataclass(frozen=True, slots=True)
class _Level:
    """A data set or an item: its elements by tag, and how it is written."""

    raw: Callable[[int], Raw | None]
    encoding: Encoding

    def further(self, changed: Collection[int]) -> dict[int, Raw | None]:
        there = self.signatures()
        left = [signature for signature in there if not signature.breaks(changed)]
        if len(left) == len(there):
            return {}
        needless = {s.mac_id for s in there} - {s.mac_id for s in left}
        named = list(self._items(MAC_PARAMETERS))
        kept = [p.whole for p in named if left and _mac_id(p) not in needless]
        edits = {SIGNATURES: self._holding(SIGNATURES, [s.whole for s in left])}
        if len(kept) < len(named):
            edits[MAC_PARAMETERS] = self._holding(MAC_PARAMETERS, kept)
        return edits

    def signatures(self) -> list[_Signature]:
        if self.raw(MAC_PARAMETERS) is None:
            return []
        lists = list(self._items(MAC_PARAMETERS))
        return [_signature(item, lists) for item in self._items(SIGNATURES)]

    def _items(self, tag: int) -> Iterator[ItemBytes]:
        """The items of a sequence; none where it is absent, or not a sequence at all."""
        raw = self.raw(tag)
        if raw is None:
            return iter(())
        vr, within = understood(raw, self.encoding)
        try:
            return iter(list(items(raw.value, within)) if vr == "SQ" else ())
        except CannotUnderstand:
            return iter(())

    def _holding(self, tag: int, kept: Iterable[memoryview]) -> Raw | None:
        value = b"".join(kept)
        raw = self.raw(tag)
        return rewritten(raw, value, self.encoding) if raw and value else None


def _signature(item: ItemBytes, parameters: Iterable[ItemBytes]) -> _Signature:
    mac_id = _mac_id(item)
    named = [p for p in parameters if mac_id is not None and _mac_id(p) == mac_id]
    covers = _tags(named[0]) if len(named) == 1 else None
    return _Signature(item.whole, mac_id, covers)


def _mac_id(item: ItemBytes) -> int | None:
    numbers = _numbers(item, _MAC_ID, "H")
    return numbers[0] if len(numbers) == 1 else None


def _tags(item: ItemBytes) -> frozenset[int] | None:
    """Data Elements Signed (0400,0020); None where it cannot be believed."""
    numbers = _numbers(item, _SIGNED, "HH")
    tags = frozenset(
        group << 16 | number
        for group, number in zip(numbers[::2], numbers[1::2], strict=True)
    )
    return tags if tags and tags.isdisjoint(_NEVER_SIGNED) else None


def _numbers(item: ItemBytes, tag: int, layout: str) -> tuple[int, ...]:
    """The 16-bit numbers of an element; none where it is absent or not made of these."""
    try:
        header = scan(item.content, item.encoding, nested=True)
    except CannotUnderstand:
        return ()
    raw = header.raw(tag)
    size = struct.calcsize("=" + layout)
    if raw is None or len(raw.value) % size:
        return ()
    _, within = understood(raw, header.encoding)
    return struct.unpack(f"{within.order}{len(raw.value) // 2}H", raw.value)
