"""Say the text of a data set in another Specific Character Set, or say why not.

When a value that must be assigned cannot be said in the character set of the instance,
the instance is given out in ISO_IR 192, and then all its text must be. Text that cannot
be recognised as text, and text that must stay byte for byte, stands in the way.

Rule 1: what holds nothing beyond ASCII is passed on as the very bytes it came in.
Rule 2: where the data set declares a set that it is not in, all text beyond ASCII is said
        anew, also where its bytes stay the same: it reads otherwise from then on, and
        that is a change to be told.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, replace

from reconcile.dataset.charset import UTF_8, Terms, Undecodable, can_decode, decode, encode
from reconcile.dataset.elements import (
    Encoding,
    Header,
    ItemBytes,
    Raw,
    encode_element,
    items,
    rewritten,
    scan,
    tail_elements,
    understood,
)
from reconcile.dataset.facts import Received
from reconcile.dataset.signatures import without_broken
from reconcile.dataset.splice import Edits, splice
from reconcile.dataset.vr import CHARSET_TEXT, pad
from reconcile.errors import CannotUnderstand, LimitExceeded

CHARSET = 0x00080005
ORIGINALS = 0x04000561

# Pixel data, and padding at the end: no text.
_WITHOUT_TEXT = frozenset((0x7FE0, 0xFFFC))
# Control characters that text may not hold (PS3.5 section 6.1.3), NUL at the end aside.
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BEYOND_ASCII = re.compile(rb"[\x1b\x80-\xff]")
_NO_PADDING = re.compile(rb"[^\0 ]")
#: A value without VR that is longer is taken for text where nothing in it is binary.
_DECODED_BYTES_MAX = 64 * 1024


class StandsInTheWay(ValueError):
    """Something could not be said, or not be read, in the other character set."""


@dataclass(frozen=True, slots=True)
class _Transcoding:
    """From one character set to another.

    Attributes:
        depth: how deep sequences may still nest.
        back: what was widened is narrowed again: what has no VR was left as it was.
        every: all text beyond ASCII is said anew, not only what reads otherwise.
    """

    old: Terms
    new: Terms
    depth: int
    back: bool = False
    every: bool = False

    def deeper(self) -> _Transcoding:
        if self.depth == 0:
            raise StandsInTheWay("nested too deep")
        return replace(self, depth=self.depth - 1)


def widen(received: Received, replaced: Container[int] = ()) -> dict[int, Raw | None]:
    """The elements of a data set that read otherwise in ISO_IR 192, said in it.

    Signatures inside of sequences that their text breaks are not said again.

    Items of (0400,0561) that came with the instance are kept byte for byte; they read
    in the set of the data set, so text in them stands in the way. Our own get the old
    set for themselves.

    Args:
        received: the data set as it stands.
        replaced: tags that are about to be assigned anew, which need no reading.

    Raises:
        StandsInTheWay: UN, private text without VR, undecodable or foreign text.
    """
    task = _Transcoding(
        received.charsets, (UTF_8,), received.limits.depth, every=received.lies
    )
    try:
        edits = _elements(received, task, replaced)
        _check_tail(received, task)
        originals = _originals(received, task)
    except (CannotUnderstand, LimitExceeded):
        raise StandsInTheWay("a sequence cannot be read") from None
    return {**edits, **originals}


def narrow(
    received: Received, old: Terms, new: Terms, replaced: Container[int]
) -> dict[int, Raw | None]:
    """What `widen` changed, said in its old set again, except (0400,0561).

    Args:
        received: the data set.
        old: what its text is in.
        new: what it was in before it was widened.
        replaced: tags that are not to be read.

    Raises:
        StandsInTheWay: as `widen`.
        CannotUnderstand, LimitExceeded: a sequence cannot be read.
    """
    task = _Transcoding(old, new, received.limits.depth, back=True)
    return _elements(received, task, replaced)


def _elements(
    received: Received, task: _Transcoding, replaced: Container[int]
) -> dict[int, Raw | None]:
    edits: dict[int, Raw | None] = {}
    left = received.limits.transcode_bytes
    for raw in received.raw_elements():
        if raw.tag in (CHARSET, ORIGINALS) or raw.tag in replaced:
            continue
        left -= len(raw.value) if _may_hold_text(raw, received.encoding) else 0
        if left < 0:
            raise StandsInTheWay("too much to look through")
        changed = _element(raw, received.encoding, task)
        if changed is not raw:
            edits[raw.tag] = changed
    return edits


def _may_hold_text(raw: Raw, encoding: Encoding) -> bool:
    vr, _ = understood(raw, encoding)
    return vr == "SQ" or vr in CHARSET_TEXT


def _element(raw: Raw, encoding: Encoding, task: _Transcoding) -> Raw:
    """The element in the new set; the same object where it stays as it is."""
    vr, within = understood(raw, encoding)
    if vr == "UN" and not task.back:
        _refuse_text(raw, task.old)
    if vr == "SQ":
        return _sequence(raw, encoding, within, task.deeper())
    if vr not in CHARSET_TEXT or not _BEYOND_ASCII.search(raw.value):
        return raw
    said = pad(_said(bytes(raw.value), vr, task), vr)
    stays = said == raw.value and not task.every
    return raw if stays else rewritten(raw, said, encoding)


def _said(value: bytes, vr: str, task: _Transcoding) -> bytes:
    try:
        text = decode(value, task.old, vr)
    except Undecodable:
        raise StandsInTheWay("text that is not in its character set") from None
    # Padding is not text: it is made anew where the length asks for it.
    said = encode(text.rstrip(" \0"), task.new, vr)
    if said is None:
        raise StandsInTheWay("text that the other character set does not have")
    return said


def _refuse_text(raw: Raw, old: Terms) -> None:
    """Refuse a value without VR that reads as text beyond ASCII: it may be text."""
    binary = _BINARY.search(raw.value)
    if binary and _NO_PADDING.search(raw.value, binary.start()):
        return
    if not _BEYOND_ASCII.search(raw.value):
        return
    short = len(raw.value) <= _DECODED_BYTES_MAX
    if short and not can_decode(bytes(raw.value), old, "LT"):
        return
    raise StandsInTheWay("text in an element of unknown VR")


def _sequence(raw: Raw, encoding: Encoding, within: Encoding, task: _Transcoding) -> Raw:
    came = list(items(raw.value, within))
    said = [_item(item, within, task) for item in came]
    if all(new is item.whole for new, item in zip(said, came, strict=True)):
        return raw
    return rewritten(raw, b"".join(said), encoding)


def _item(item: ItemBytes, framing: Encoding, task: _Transcoding) -> bytes | memoryview:
    header = scan(item.content, item.encoding, nested=True)
    if CHARSET in header.index:
        # It says for itself what it is in, and so does all that is nested in it.
        return item.whole
    edits: dict[int, Raw | None] = {}
    for span in header.elements:
        raw = header.raw_of(span)
        changed = _element(raw, header.encoding, task)
        if changed is not raw:
            edits[span.tag] = changed
    if not edits:
        return item.whole
    return item.rewritten(_spliced(header, without_broken(header, edits)), framing)


def _spliced(header: Header, edits: Edits) -> bytes:
    return b"".join((*splice(header, edits), header.buffer[header.tail :]))


def _check_tail(received: Received, task: _Transcoding) -> None:
    """Refuse text behind pixel data: the tail is never rewritten."""
    for raw in tail_elements(received.header):
        if raw.tag >> 16 in _WITHOUT_TEXT:
            continue
        if _element(raw, received.encoding, task) is not raw:
            raise StandsInTheWay("text behind pixel data")


def _originals(received: Received, task: _Transcoding) -> dict[int, Raw | None]:
    raw = received.raw_element(ORIGINALS)
    if raw is None:
        return {}
    _, within = understood(raw, received.encoding)
    came = list(items(raw.value, within))
    foreign = len(came) - received.appended
    said: list[bytes | memoryview] = []
    for position, item in enumerate(came):
        if position < foreign:
            if _item(item, within, task) is not item.whole:
                raise StandsInTheWay("text in a foreign Original Attributes item")
            said.append(item.whole)
        else:
            named = _reads_otherwise(item, within, task)
            said.append(_named(item, received, within) if named else item.whole)
    if all(new is item.whole for new, item in zip(said, came, strict=True)):
        return {}
    return {ORIGINALS: rewritten(raw, b"".join(said), received.encoding)}


def _reads_otherwise(item: ItemBytes, within: Encoding, task: _Transcoding) -> bool:
    """Whether an item of ours does, which is in the set that was declared."""
    try:
        return _item(item, within, task) is not item.whole
    except StandsInTheWay:
        return True


def _named(item: ItemBytes, received: Received, framing: Encoding) -> bytes:
    """An item of ours that names the set of the data set as it has been until now."""
    held = received.raw_element(CHARSET)
    value = bytes(held.value) if held is not None else b""
    header = scan(item.content, item.encoding, nested=True)
    named = encode_element(CHARSET, "CS", value, header.encoding)
    return item.rewritten(_spliced(header, {CHARSET: named}), framing)
