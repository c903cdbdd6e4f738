"""The association request, and the answers to it, as bytes and as values.

Items are counted while they are read: a request with too many, or with one that is longer
than what is left, is refused before anything is made of it. Which contexts are taken, and
from whom, is `policy`'s business.

Source:
    PS3.8 sections 9.3.2 to 9.3.4; PS3.7 Annex D.3.3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconcile.dicom.limits import ASSOCIATE_AC, ASSOCIATE_RJ, Limits
from reconcile.errors import CannotUnderstand, LimitExceeded

# item types: PS3.8 sections 9.3.2 and 9.3.3, PS3.7 sections D.3.3.1 to D.3.3.6
_APPLICATION_CONTEXT = 0x10
_PROPOSED_CONTEXT = 0x20
_ANSWERED_CONTEXT = 0x21
_ABSTRACT_SYNTAX = 0x30
_TRANSFER_SYNTAX = 0x40
_USER_INFORMATION = 0x50
_MAXIMUM_LENGTH = 0x51
_IMPLEMENTATION_CLASS = 0x52
_ROLES = 0x54
_IMPLEMENTATION_VERSION = 0x55
_EXTENDED = 0x56
_COMMON_EXTENDED = 0x57

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
PROTOCOL_VERSION = 0x0001

_FIXED = struct.Struct(">HH16s16s32s")
_ITEM = struct.Struct(">BxH")
# AE: the default repertoire without backslash and control characters (PS3.5 6.2)
_TITLE = re.compile(r"[ -\[\]-~]{1,16}")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A presentation context as it is proposed; no UID of it has been checked."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A presentation context as it is answered (PS3.8 Table 9-18)."""

    context_id: int
    result: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Roles:
    """Of an association's requestor, for one SOP class (PS3.7 section D.3.3.4)."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ (PS3.8 Table 9-11).

    Attributes:
        calling: AE title, without padding.
        called: AE title, without padding.
        contexts: proposed, in their order; no id twice.
        maximum_length: of a P-DATA-TF that the peer takes, in bytes; 0: any.
        extended: Storage or other application information by SOP Class UID.
        declared: Service Class UID by SOP Class UID (PS3.7 section D.3.3.6).
        roles: proposed, by SOP Class UID; without any the requestor is SCU.
        version: bits of the protocol versions.
        echoed: what an A-ASSOCIATE-AC repeats: both titles, and what is reserved.
    """

    calling: str
    called: str
    contexts: tuple[Proposed, ...]
    maximum_length: int = 0
    extended: Mapping[str, bytes] = field(default_factory=dict)
    declared: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Roles] = field(default_factory=dict)
    version: int = PROTOCOL_VERSION
    echoed: bytes = bytes(64)


def is_title(text: str) -> bool:
    """Whether this can be an AE title (PS3.5 section 6.2)."""
    return bool(_TITLE.fullmatch(text)) and not text.isspace()


def read_request(body: bytes, limits: Limits) -> AssociateRequest:
    """Read an A-ASSOCIATE-RQ.

    Args:
        body: the PDU after its length field.
        limits: how many items of each kind are taken.

    Raises:
        LimitExceeded: too many items, or one that is longer than what is left.
        CannotUnderstand: it breaks PS3.8 section 9.3.2 otherwise.
    """
    if len(body) < _FIXED.size:
        raise CannotUnderstand("the association request is cut short")
    version, _, called, calling, reserved = _FIXED.unpack_from(body)
    contexts: list[Proposed] = []
    user = _UserInformation()
    seen: dict[bytes, tuple[str, ...]] = {}
    for kind, value in items(memoryview(body)[_FIXED.size :]):
        if kind == _PROPOSED_CONTEXT:
            _at_most(limits.presentation_contexts, len(contexts) + 1, "contexts")
            contexts.append(_proposed(value, limits.transfer_syntaxes, seen))
        elif kind == _USER_INFORMATION:
            user.read(value, limits.user_items)
    if len({each.context_id for each in contexts}) < len(contexts):
        raise CannotUnderstand("two presentation contexts have one id")
    return AssociateRequest(
        _title(calling),
        called.decode("ascii", "replace").strip(" \0"),
        tuple(contexts),
        user.maximum_length,
        user.extended,
        user.declared,
        user.roles,
        version,
        called + calling + reserved,
    )


def _title(value: bytes) -> str:
    title = value.decode("ascii", "replace").strip(" \0")
    if not is_title(title):
        raise CannotUnderstand("the calling AE title is none")
    return title


def _proposed(value: memoryview, most: int, seen: dict[bytes, tuple[str, ...]]) -> Proposed:
    """Peers propose the same transfer syntaxes again and again: they are read once."""
    if len(value) < 4 or not value[0] % 2:
        raise CannotUnderstand("a presentation context has no odd id")
    subs = value[4:]
    if len(subs) < _ITEM.size:
        return Proposed(value[0], "", ())
    kind, length = _ITEM.unpack_from(subs)
    if kind != _ABSTRACT_SYNTAX:
        return Proposed(value[0], *_syntaxes(subs, most))
    end = _ITEM.size + length
    if end > len(subs):
        raise LimitExceeded("an item is longer than its PDU")
    rest = bytes(subs[end:])
    if rest not in seen:
        _, seen[rest] = _syntaxes(memoryview(rest), most)
    return Proposed(value[0], _uid(subs[_ITEM.size : end]), seen[rest])


def _syntaxes(subs: memoryview, most: int) -> tuple[str, tuple[str, ...]]:
    abstract = ""
    transfer: list[str] = []
    for kind, value in items(subs):
        if kind == _ABSTRACT_SYNTAX:
            abstract = _uid(value)
        elif kind == _TRANSFER_SYNTAX:
            _at_most(most, len(transfer) + 1, "transfer syntaxes")
            transfer.append(_uid(value))
    return abstract, tuple(transfer)


class _UserInformation:
    """The sub-items of User Information that mean something here (PS3.7 D.3.3)."""

    def __init__(self) -> None:
        self.maximum_length = 0
        self.extended: dict[str, bytes] = {}
        self.declared: dict[str, str] = {}
        self.roles: dict[str, Roles] = {}

    def read(self, value: memoryview, most: int) -> None:
        for count, (kind, content) in enumerate(items(value), start=1):
            _at_most(most, count, "user information items")
            if kind == _MAXIMUM_LENGTH:
                if len(content) != 4:
                    raise CannotUnderstand("the maximum length has no four bytes")
                self.maximum_length = int.from_bytes(content, "big")
            elif kind == _ROLES:
                uid, end = _counted_uid(content, 0)
                if len(content) != end + 2:
                    raise CannotUnderstand("a role selection has no two roles")
                self.roles[uid] = Roles(content[end] == 1, content[end + 1] == 1)
            elif kind == _EXTENDED:
                uid, end = _counted_uid(content, 0)
                self.extended[uid] = bytes(content[end:])
            elif kind == _COMMON_EXTENDED:
                uid, end = _counted_uid(content, 0)
                self.declared[uid], _ = _counted_uid(content, end)


def _counted_uid(content: memoryview, at: int) -> tuple[str, int]:
    """A UID after its length of two bytes, and where it ends."""
    end = at + 2 + int.from_bytes(content[at : at + 2], "big")
    if end > len(content) or end < at + 2:
        raise LimitExceeded("a UID is longer than its item")
    return _uid(content[at + 2 : end]), end


def items(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The items of PS3.8 section 9.3, as (type, value).

    Raises:
        LimitExceeded: one is longer than what is left.
    """
    at, size = 0, len(view)
    while at < size:
        if at + _ITEM.size > size:
            raise LimitExceeded("an item is longer than its PDU")
        kind, length = _ITEM.unpack_from(view, at)
        start = at + _ITEM.size
        at = start + length
        if at > size:
            raise LimitExceeded("an item is longer than its PDU")
        yield kind, view[start:at]


def _uid(value: memoryview) -> str:
    return str(value, "ascii", "replace").rstrip("\0 ")


def _at_most(limit: int, count: int, what: str) -> None:
    if count > limit:
        raise LimitExceeded(f"more than {limit} {what}")


# -- Answers ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What an A-ASSOCIATE-AC says of us (PS3.8 Table 9-17, PS3.7 section D.3.3).

    Attributes:
        contexts: each proposed one, answered.
        maximum_length: of a P-DATA-TF that we take, in bytes.
        implementation_class: its UID.
        implementation_version: 1 to 16 characters.
        extended: application information by SOP Class UID.
        roles: accepted of those that were proposed, by SOP Class UID.
    """

    contexts: tuple[Answered, ...]
    maximum_length: int
    implementation_class: str
    implementation_version: str
    extended: Mapping[str, bytes] = field(default_factory=dict)
    roles: Mapping[str, Roles] = field(default_factory=dict)


def accept_pdu(request: AssociateRequest, acceptance: Acceptance) -> bytes:
    """An A-ASSOCIATE-AC (PS3.8 Table 9-17)."""
    parts = [
        struct.pack(">HH", PROTOCOL_VERSION, 0),
        request.echoed,
        item(_APPLICATION_CONTEXT, APPLICATION_CONTEXT.encode("ascii")),
        *map(_answered, acceptance.contexts),
        item(_USER_INFORMATION, b"".join(_said_of_us(acceptance))),
    ]
    return pdu(ASSOCIATE_AC, b"".join(parts))


def _answered(context: Answered) -> bytes:
    syntax = item(_TRANSFER_SYNTAX, context.transfer_syntax.encode("ascii"))
    head = bytes((context.context_id, 0, context.result, 0))
    return item(_ANSWERED_CONTEXT, head + syntax)


def _said_of_us(acceptance: Acceptance) -> Iterable[bytes]:
    yield item(_MAXIMUM_LENGTH, struct.pack(">I", acceptance.maximum_length))
    yield item(_IMPLEMENTATION_CLASS, acceptance.implementation_class.encode("ascii"))
    yield item(_IMPLEMENTATION_VERSION, acceptance.implementation_version.encode("ascii"))
    for uid, roles in acceptance.roles.items():
        yield item(_ROLES, _with_length(uid) + bytes((roles.scu, roles.scp)))
    for uid, information in acceptance.extended.items():
        yield item(_EXTENDED, _with_length(uid) + information)


def _with_length(uid: str) -> bytes:
    encoded = uid.encode("ascii")
    return struct.pack(">H", len(encoded)) + encoded


def reject_pdu(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
    return pdu(ASSOCIATE_RJ, bytes((0, result, source, reason)))


def item(kind: int, value: bytes) -> bytes:
    """An item of PS3.8 section 9.3: type, reserved, length of two bytes, value."""
    return _ITEM.pack(kind, len(value)) + value


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU around its body (PS3.8 section 9.3.1)."""
    return struct.pack(">BxI", kind, len(body)) + body
