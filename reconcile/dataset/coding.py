"""Codes of a data set that SNOMED CT says otherwise, found and said in it.

Code Value and Coding Scheme Designator are replaced together, the version of the old
scheme goes, and the meaning stays as it was written. By default only in code sequences at
the top level: a change deep inside puts a whole tree into the Original Attributes item.

Source:
    PS3.4 B.4.1.3, note 2; PS3.3 section 8.8 (Code Sequence Macro); PS3.16 section 8.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconcile.core.attributes import Recode
from reconcile.dataset.codes import REPLACED, sct_of
from reconcile.dataset.elements import (
    Encoding,
    Header,
    Raw,
    encode_element,
    encode_item,
    rewritten,
    understood,
)
from reconcile.dataset.facts import Received
from reconcile.dataset.nested import changed, is_closed, item_headers
from reconcile.dataset.splice import Edits
from reconcile.dataset.vr import pad
from reconcile.errors import CannotUnderstand, LimitExceeded

_VALUE = 0x00080100
_DESIGNATOR = 0x00080102
_VERSION = 0x00080103
SCHEMES = 0x00080110
_SCHEME_REGISTRY = 0x00080112
_SCHEME_UID = 0x0008010C
#: Coding Scheme UID of SCT (PS3.16 Table 8-1).
SCT_UID = "2.16.840.1.113883.6.96"
#: Where none of these stands in a sequence, neither does a code that changes.
LOOKED_FOR = re.compile(b"|".join(name.encode() for name in sorted(REPLACED)))

# (designator, value) -> SCT value.
_Pairs = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of an instance in designators that SCT replaced.

    Attributes:
        mapped: (designator, value, SCT value), each once.
        unmapped: how many codes have no pair, and stay.
    """

    mapped: tuple[tuple[str, str, str], ...] = ()
    unmapped: int = 0


def find(received: Received, deep: bool = False) -> Codes:
    """The codes of an instance that have another form; cheap where there are none.

    Args:
        received: the data set.
        deep: also inside of sequences that are no code sequences.
    """
    found: Counter[tuple[str, str]] = Counter()
    for raw in _candidates(received, deep):
        try:
            found.update(_codes(raw, received.encoding, received.limits.depth))
        except (CannotUnderstand, LimitExceeded):
            continue
    mapped = ((*code, sct_of(*code)) for code in sorted(found) if sct_of(*code))
    unmapped = sum(count for code, count in found.items() if not sct_of(*code))
    return Codes(tuple(mapped), unmapped)


def _candidates(received: Received, deep: bool) -> Iterator[Raw]:
    for raw in received.raw_elements():
        if is_closed(raw.tag) or raw.tag == SCHEMES or not LOOKED_FOR.search(raw.value):
            continue
        if understood(raw, received.encoding)[0] != "SQ":
            continue
        if deep or _is_code_sequence(raw, received.encoding):
            yield raw


def _is_code_sequence(raw: Raw, encoding: Encoding) -> bool:
    """Whether its first item is a code: the others are then as well."""
    try:
        first = next(item_headers(raw, encoding), None)
    except (CannotUnderstand, LimitExceeded):
        return False
    return first is not None and {_VALUE, _DESIGNATOR} <= first[2].index.keys()


def _codes(raw: Raw, encoding: Encoding, depth: int) -> Iterator[tuple[str, str]]:
    if depth == 0:
        raise LimitExceeded("sequences are nested too deep")
    for _, _, header in item_headers(raw, encoding):
        if code := _code(header):
            yield code
        for span in header.elements:
            inner = header.raw_of(span)
            if not is_closed(span.tag) and understood(inner, header.encoding)[0] == "SQ":
                yield from _codes(inner, header.encoding, depth - 1)


def _code(header: Header) -> tuple[str, str] | None:
    """(designator, value) of an item that is a code of a replaced scheme."""
    value, designator = header.raw(_VALUE), header.raw(_DESIGNATOR)
    if value is None or designator is None:
        return None
    code = (_text(designator), _text(value))
    return code if code[0] in REPLACED else None


def _text(raw: Raw) -> str:
    return bytes(raw.value).decode("latin-1").strip(" \0")


def recoded(received: Received, recode: Recode) -> dict[int, Raw]:
    """The top-level sequences in which a code changes, rewritten.

    Coding Scheme Identification Sequence, where there is one, names SCT as well then.
    """
    pairs = {(scheme, was): now for scheme, was, now in recode.codes}
    found: dict[int, Raw] = {}
    for raw in _candidates(received, recode.deep):
        try:
            new = _recoded(raw, received, pairs)
        except (CannotUnderstand, LimitExceeded):
            continue
        if new is not raw:
            found[raw.tag] = new
    return found


def _recoded(raw: Raw, received: Received, pairs: _Pairs) -> Raw:
    def visit(_: int, header: Header, said: None) -> tuple[Edits, None]:
        code = _code(header)
        now = pairs.get(code) if code else None
        return (_sct(header, now) if now else {}), said

    return changed(raw, received.encoding, visit, None, depth=received.limits.depth)


def _sct(header: Header, value: str) -> dict[int, Raw | None]:
    edits: dict[int, Raw | None] = {
        _VALUE: _element(_VALUE, "SH", value, header.encoding),
        _DESIGNATOR: _element(_DESIGNATOR, "SH", "SCT", header.encoding),
    }
    return {**edits, _VERSION: None} if _VERSION in header.index else edits


def _element(tag: int, vr: str, value: str, encoding: Encoding) -> Raw:
    return encode_element(tag, vr, pad(value.encode("ascii"), vr), encoding)


def with_scheme(received: Received) -> dict[int, Raw]:
    """Coding Scheme Identification Sequence with SCT, if it is there and names it not."""
    raw = received.raw_element(SCHEMES)
    if raw is None:
        return {}
    try:
        _, within = understood(raw, received.encoding)
        headers = [header for _, _, header in item_headers(raw, received.encoding)]
    except (CannotUnderstand, LimitExceeded):
        return {}
    named = (header.raw(_DESIGNATOR) for header in headers)
    if any(scheme is not None and _text(scheme) == "SCT" for scheme in named):
        return {}
    said = (
        _element(_DESIGNATOR, "SH", "SCT", within),
        _element(_SCHEME_UID, "UI", SCT_UID, within),
        _element(_SCHEME_REGISTRY, "LO", "HL7", within),
    )
    item = encode_item(b"".join(each.whole for each in said), within)
    return {SCHEMES: rewritten(raw, bytes(raw.value) + item, received.encoding)}
