"""A data set as the metadata of PS3.18 10.4.1.1.2: the DICOM JSON model, bulk data by URI.

It is written element by element and item by item, so that a header of any size costs no
more memory than its longest value. A value that cannot be understood is bulk data of VR
UN; it harms none beside it.

Source:
    PS3.18 Annex F.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

from reconcile.dataset.charset import Terms
from reconcile.dataset.dicom_json import INLINE_BYTES_MAX, element_json, terms_of
from reconcile.dataset.elements import (
    LIMITS,
    Encoding,
    Limits,
    Raw,
    items,
    scan,
    tail_elements,
    understood,
)
from reconcile.dataset.facts import Received
from reconcile.dataset.splice import SIGNATURES
from reconcile.errors import CannotUnderstand, LimitExceeded, NotFound

#: Longer values of bytes are bulk data.
BYTES_MAX = 1024

_CHARSET = 0x00080005
_PIXEL_GROUP = 0x7FE0
#: What may be bulk data (PS3.18 section F.2.2): of bytes, and of anything else long.
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_LONG = frozenset(
    "DS FD FL IS LT SL SS ST SV UC UL US UT UV".split()  # noqa: SIM905 - as the table has it
)
_PLACE = re.compile(r"[0-9A-F]{8}(/[1-9][0-9]{0,5}/[0-9A-F]{8}){0,31}")


@dataclass(frozen=True, slots=True)
class _Within:
    """Where elements stand: how they are read, and how they are named."""

    charsets: Terms
    encoding: Encoding
    place: str
    limits: Limits


def write_metadata(state: Received, bulk: str, file: IO[bytes]) -> None:
    """Write the data set of an instance as it stands.

    Args:
        state: an instance as received, or as given out.
        bulk: address below which bulk data is found by its place.
        file: is written at its end; seekable.

    Raises:
        LimitExceeded: too many elements in what follows the header.
    """
    within = _Within(state.charsets, state.encoding, bulk, state.limits)
    file.write(b"{")
    first = True
    for raw in _elements(state):
        if raw.tag & 0xFFFF:
            if not first:
                file.write(b",")
            first = False
            _write(raw, within, file)
    file.write(b"}")


def find(state: Received, place: str) -> tuple[Raw, Encoding]:
    """The element at a place, `TAG` or `TAG/ITEM/TAG`, and how its value is written.

    Raises:
        NotFound: there is none.
    """
    if not _PLACE.fullmatch(place):
        raise NotFound("no bulk data is named so")
    tag, *deeper = place.split("/")
    raw = next((each for each in _elements(state) if each.tag == int(tag, 16)), None)
    encoding = state.encoding
    while raw is not None and deeper:
        number, tag, *deeper = deeper
        raw, encoding = _nested(raw, encoding, int(number), int(tag, 16))
    if raw is None:
        raise NotFound("there is no such element")
    return raw, encoding


def _nested(
    raw: Raw, encoding: Encoding, number: int, tag: int
) -> tuple[Raw | None, Encoding]:
    vr, within = understood(raw, encoding)
    try:
        found = list(items(raw.value, within)) if vr == "SQ" else []
        if number > len(found):
            return None, encoding
        item = found[number - 1]
        header = scan(item.content, item.encoding, nested=True)
    except (CannotUnderstand, LimitExceeded):
        return None, encoding
    return header.raw(tag), header.encoding


def _elements(state: Received) -> Iterator[Raw]:
    """All elements as they stand; of the tail pixel data and signatures."""
    yield from state.raw_elements()
    for raw in tail_elements(state.header):
        if raw.tag >> 16 == _PIXEL_GROUP:
            yield raw
    signatures = state.raw_element(SIGNATURES)
    if signatures is not None:
        yield signatures


def _write(raw: Raw, within: _Within, file: IO[bytes]) -> None:
    """One element, or that it cannot be understood."""
    begun = file.tell()
    try:
        for piece in _said(raw, within):
            file.write(piece)
    except (CannotUnderstand, LimitExceeded):
        file.seek(begun)
        file.truncate()
        file.write(_named(raw) + _json(_bulk("UN", raw, within)))


def _said(raw: Raw, within: _Within) -> Iterator[bytes]:
    vr, inner = understood(raw, within.encoding)
    yield _named(raw)
    if vr == "SQ":
        yield from _sequence(raw, within, inner)
    elif raw.tag == _CHARSET:
        yield _json({"vr": "CS", "Value": ["ISO_IR 192"]})
    elif _is_bulk(raw, vr):
        yield _json(_bulk(vr, raw, within))
    else:
        yield _json(element_json(raw, within.charsets, within.encoding, within.limits))


def _sequence(raw: Raw, within: _Within, inner: Encoding) -> Iterator[bytes]:
    if within.limits.depth == 0:
        raise LimitExceeded("sequences are nested too deep")
    deeper = replace(within.limits, depth=within.limits.depth - 1)
    yield b'{"vr":"SQ"'
    number = 0
    for number, item in enumerate(items(raw.value, inner), 1):
        yield b',"Value":[{' if number == 1 else b",{"
        place = f"{within.place}/{raw.tag:08X}/{number}"
        at = replace(within, encoding=item.encoding, place=place, limits=deeper)
        yield from _item(item.content, at)
        yield b"}"
    yield b"]}" if number else b"}"


def _item(content: memoryview, within: _Within) -> Iterator[bytes]:
    header = scan(content, within.encoding, nested=True, limits=LIMITS)
    own = header.raw(_CHARSET)
    charsets = terms_of(own) if own is not None else within.charsets
    at = replace(within, charsets=charsets, encoding=header.encoding)
    first = True
    for tag in sorted(header.index):
        if tag & 0xFFFF:
            if not first:
                yield b","
            first = False
            yield from _said(header.raw_of(header.index[tag]), at)


def _is_bulk(raw: Raw, vr: str) -> bool:
    if raw.tag >> 16 == _PIXEL_GROUP:
        return True
    most = BYTES_MAX if vr in _BYTES else INLINE_BYTES_MAX if vr in _LONG else None
    return most is not None and len(raw.value) > most


def _bulk(vr: str, raw: Raw, within: _Within) -> dict[str, str]:
    return {"vr": vr, "BulkDataURI": f"{within.place}/{raw.tag:08X}"}


def _named(raw: Raw) -> bytes:
    return b'"%08X":' % raw.tag


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
