"""Where an instance names other studies and series, and those names rewritten.

A reference is a Study or Series Instance UID below the top level, wherever it stands:
so that places which a later edition adds are found as well. Two sequences name a study
by Referenced SOP Instance UID. What is only mentioned (an SR UID reference, a URL, a
private sequence) is told and never rewritten.

Source:
    PS3.4 B.4.1.3; PS3.3 C.7.2.1 (Referenced Study Sequence), C.8.8.5 (Structure Set).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconcile.core.attributes import Follow, Tag
from reconcile.core.following import OWN
from reconcile.dataset.elements import Encoding, Header, Raw, encode_element, understood
from reconcile.dataset.facts import Received
from reconcile.dataset.nested import changed, is_closed, item_headers
from reconcile.dataset.splice import Edits
from reconcile.dataset.vr import is_private, pad
from reconcile.errors import CannotUnderstand, LimitExceeded

_STUDY = 0x0020000D
_SERIES = 0x0020000E
_SOP_INSTANCE = 0x00081155
# Referenced Study Sequence, RT Referenced Study Sequence: (0008,1155) is a Study UID.
STUDY_SEQUENCES = frozenset((0x00081110, 0x30060012))
_UIDREF = 0x0040A124
# Retrieve URL, URI and their like: UIDs may stand in a WADO path.
_URLS = frozenset((0x00081190, 0x0040E010, 0x0040E011, 0x00080304, 0x0008119B))
_ENCAPSULATED_DOCUMENT = 0x00420011
_ENCRYPTED = 0x04000500
#: Elements at top level that are told besides references.
NOT_ORDINARY = frozenset((_ENCAPSULATED_DOCUMENT, _ENCRYPTED)) | _URLS
# Directory records and inventories tell of others as they were; they are not followed.
_SNAPSHOTS = frozenset((0x00041220, 0x00080423))
_UID_CHARACTERS_MAX = 64
_UID_IN_TEXT = re.compile(r"[0-9]+(?:\.[0-9]+){3,}")


def _pattern(tags: frozenset[int]) -> re.Pattern[bytes]:
    """Finds any of the tags, in either byte order."""
    both = (struct.pack(f"{order}HH", t >> 16, t & 0xFFFF) for order in "<>" for t in tags)
    return re.compile(b"|".join(re.escape(tag) for tag in sorted(both)))


#: Where none of these tags stands in a sequence, neither does a reference.
# Not (0008,1155): it stands in every frame of some, and names a study in few sequences.
LOOKED_FOR = _pattern(frozenset((_STUDY, _SERIES, _UIDREF)) | STUDY_SEQUENCES | _URLS)


@dataclass(frozen=True, slots=True)
class References:
    """What an instance names besides its own place.

    Attributes:
        named: (Study UID that the reference stands in, UID); the first is "" for a
            study, "." where a series names no study.
        mentioned: UIDs that are not rewritten.
        unread: top-level sequences that are broken or too deep to be looked into.
        encapsulated: an encapsulated document is there.
        encrypted: Encrypted Attributes Sequence is there.
    """

    named: frozenset[tuple[str, str]] = frozenset()
    mentioned: frozenset[str] = frozenset()
    unread: frozenset[Tag] = frozenset()
    encapsulated: bool = False
    encrypted: bool = False


def find(received: Received) -> References:
    """The references of an instance; cheap where there are none."""
    named: set[tuple[str, str]] = set()
    mentioned: set[str] = set()
    unread: set[Tag] = set()
    for raw in _candidates(received):
        try:
            if is_private(raw.tag):
                mentioned |= set(_private(raw, received.encoding))
            else:
                _look(raw, received.encoding, OWN, received.limits.depth, named, mentioned)
        except (CannotUnderstand, LimitExceeded):
            unread.add(f"{raw.tag:08X}")
    return References(
        frozenset(named),
        frozenset(mentioned),
        frozenset(unread),
        received.raw_element(_ENCAPSULATED_DOCUMENT) is not None,
        received.raw_element(_ENCRYPTED) is not None,
    )


def _candidates(received: Received) -> Iterator[Raw]:
    """Top-level elements in which something may be found."""
    for raw in received.raw_elements():
        if raw.tag in _URLS:
            yield raw
        elif raw.tag not in _SNAPSHOTS and (is_private(raw.tag) or not is_closed(raw.tag)):
            names = raw.tag in STUDY_SEQUENCES or LOOKED_FOR.search(raw.value)
            if understood(raw, received.encoding)[0] == "SQ" and names:
                yield raw


def _look(
    raw: Raw,
    encoding: Encoding,
    context: str,
    depth: int,
    named: set[tuple[str, str]],
    mentioned: set[str],
) -> None:
    if depth == 0:
        raise LimitExceeded("sequences are nested too deep")
    if raw.tag in _URLS:
        mentioned.update(_UID_IN_TEXT.findall(_text(raw)))
    for _, _, header in item_headers(raw, encoding):
        inner = _context(raw.tag, header, context)
        for place in _places(raw.tag, header, inner):
            named.add((place[0], place[1]))
        for span in header.elements:
            found = header.raw_of(span)
            if span.tag == _UIDREF:
                mentioned.add(_text(found))
            elif span.tag in _URLS or _is_open(found, header.encoding):
                _look(found, header.encoding, inner, depth - 1, named, mentioned)


def _is_open(raw: Raw, encoding: Encoding) -> bool:
    if is_closed(raw.tag) or raw.tag in _SNAPSHOTS:
        return False
    return understood(raw, encoding)[0] == "SQ"


def _context(sequence: int, header: Header, outer: str) -> str:
    """The study that series in an item belong to."""
    study = _uid(header, _STUDY)
    if not study and sequence in STUDY_SEQUENCES:
        study = _uid(header, _SOP_INSTANCE)
    return study or outer


def _places(sequence: int, header: Header, context: str) -> Iterator[tuple[str, str, int]]:
    """(context, UID, tag) of what an item names directly."""
    if study := _uid(header, _STUDY):
        yield "", study, _STUDY
    if sequence in STUDY_SEQUENCES and (study := _uid(header, _SOP_INSTANCE)):
        yield "", study, _SOP_INSTANCE
    if series := _uid(header, _SERIES):
        yield context, series, _SERIES


def _uid(header: Header, tag: int) -> str:
    raw = header.raw(tag)
    return _text(raw) if raw is not None and len(raw.value) <= _UID_CHARACTERS_MAX else ""


def _text(raw: Raw) -> str:
    return bytes(raw.value).decode("latin-1").strip(" \0")


def _private(raw: Raw, encoding: Encoding) -> Iterator[str]:
    """UIDs in a private sequence, where its elements say what they are."""
    for _, _, header in item_headers(raw, encoding):
        for span in header.elements:
            found = header.raw_of(span)
            if span.vr == "UI" or span.tag in (_STUDY, _SERIES):
                yield _text(found)
            elif span.vr == "SQ":
                yield from _private(found, header.encoding)


def followed(received: Received, follow: Follow) -> dict[int, Raw]:
    """The top-level sequences in which a reference follows, rewritten.

    A sequence that cannot be read stays.
    """
    become = {(context, was): now for context, was, now in follow.uids}
    found: dict[int, Raw] = {}
    for raw in _candidates(received):
        if is_closed(raw.tag) or raw.tag in _URLS:
            continue
        try:
            new = _followed(raw, received, become)
        except (CannotUnderstand, LimitExceeded):
            continue
        if new is not raw:
            found[raw.tag] = new
    return found


def _followed(raw: Raw, received: Received, become: Mapping[tuple[str, str], str]) -> Raw:
    def visit(sequence: int, header: Header, context: str) -> tuple[Edits, str]:
        inner = _context(sequence, header, context)
        edits: dict[int, Raw | None] = {}
        for where, uid, tag in _places(sequence, header, inner):
            now = become.get((where, uid))
            if now is not None and now != uid:
                value = pad(now.encode("ascii"), "UI")
                edits[tag] = encode_element(tag, "UI", value, header.encoding)
        return edits, inner

    return changed(raw, received.encoding, visit, OWN, depth=received.limits.depth)
