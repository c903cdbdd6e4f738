"""Our own association request, and how it was answered (PS3.8 sections 9.3.2 to 9.3.4).

Each presentation context is proposed with one transfer syntax, so that what is accepted
says exactly what a peer takes. What is proposed, and to whom, is not decided here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from reconcile.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from reconcile.dicom.limits import ASSOCIATE_RQ
from reconcile.dicom.negotiation import (
    APPLICATION_CONTEXT,
    PROTOCOL_VERSION,
    item,
    items,
    pdu,
)
from reconcile.errors import CannotUnderstand

#: There are 128 odd ids (PS3.8 section 9.3.2.2).
CONTEXTS_MAX = 128

# item types: PS3.8 sections 9.3.2 and 9.3.3
_APPLICATION_CONTEXT, _PROPOSED, _ANSWERED = 0x10, 0x20, 0x21
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX = 0x30, 0x40
_USER_INFORMATION, _MAXIMUM_LENGTH = 0x50, 0x51
_IMPLEMENTATION_CLASS, _IMPLEMENTATION_VERSION = 0x52, 0x55
_FIXED_BYTES = 68

#: Abstract syntax and transfer syntax of a presentation context.
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a peer has accepted.

    Attributes:
        contexts: ids of presentation contexts, by what they are of.
        maximum_length: of a P-DATA-TF that the peer takes, in bytes; 0: any.
    """

    contexts: dict[Pair, int]
    maximum_length: int


def request_pdu(
    called: str, calling: str, proposed: Sequence[Pair], maximum_length: int
) -> bytes:
    """An A-ASSOCIATE-RQ; the contexts have the ids 1, 3, 5, ... in their order.

    Args:
        called: AE title of the peer.
        calling: ours.
        proposed: at most `CONTEXTS_MAX`.
        maximum_length: of a P-DATA-TF that we take, in bytes.
    """
    assert len(proposed) <= CONTEXTS_MAX, "who proposes more opens further associations"
    titles = b"".join(title.encode("ascii").ljust(16) for title in (called, calling))
    said = (
        (_MAXIMUM_LENGTH, struct.pack(">I", maximum_length)),
        (_IMPLEMENTATION_CLASS, IMPLEMENTATION_CLASS_UID.encode("ascii")),
        (_IMPLEMENTATION_VERSION, IMPLEMENTATION_VERSION_NAME.encode("ascii")),
    )
    parts = [
        struct.pack(">HH", PROTOCOL_VERSION, 0) + titles + bytes(32),
        item(_APPLICATION_CONTEXT, APPLICATION_CONTEXT.encode("ascii")),
        *(_proposed(2 * n + 1, pair) for n, pair in enumerate(proposed)),
        item(_USER_INFORMATION, b"".join(item(*each) for each in said)),
    ]
    return pdu(ASSOCIATE_RQ, b"".join(parts))


def _proposed(context_id: int, pair: Pair) -> bytes:
    abstract, transfer = (uid.encode("ascii") for uid in pair)
    subs = item(_ABSTRACT_SYNTAX, abstract) + item(_TRANSFER_SYNTAX, transfer)
    return item(_PROPOSED, bytes((context_id, 0, 0, 0)) + subs)


def read_acceptance(body: bytes, proposed: Sequence[Pair]) -> Accepted:
    """Read an A-ASSOCIATE-AC.

    Args:
        body: the PDU after its length field.
        proposed: the contexts of the request, in their order.

    Raises:
        CannotUnderstand: it breaks PS3.8 section 9.3.3.
    """
    contexts: dict[Pair, int] = {}
    maximum = 0
    for kind, value in items(memoryview(body)[_FIXED_BYTES:]):
        if kind == _ANSWERED and len(value) >= 4 and value[2] == 0:
            pair = _pair(value[0], proposed)
            contexts[pair] = value[0]
        elif kind == _USER_INFORMATION:
            for sub, content in items(value):
                if sub == _MAXIMUM_LENGTH and len(content) == 4:
                    maximum = int.from_bytes(content, "big")
    return Accepted(contexts, maximum)


def _pair(context_id: int, proposed: Sequence[Pair]) -> Pair:
    place, odd = divmod(context_id, 2)
    if not odd or place >= len(proposed):
        raise CannotUnderstand("a presentation context is accepted that was not proposed")
    return proposed[place]
