"""What a door hands to the store flow, and what it gets back.

Plain values, so that every way in (C-STORE, STOW-RS, import) says the same things about
an arrival, and no flow has to know through which door it was called. No decision and no
I/O may be put here.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconcile.core.attributes import Tag
from reconcile.core.facts import Listed, Source
from reconcile.storage.content import Content


@dataclass(frozen=True, slots=True)
class Arrival:
    """One instance that has come whole, and that nobody else knows of.

    Attributes:
        content: its bytes, as a file in memory or in the spool.
        digest: SHA-256 of the data set in lower-case hex.
        length: of the data set in bytes.
        sop_class_uid: as the request names it, (0000,0002).
        sop_instance_uid: as the request names it, (0000,1000).
        transfer_syntax: of the data set.
        source: how instances of this peer are read.
        peer_address: IP address; empty where there is no peer.
        association: id that log lines and receipts share.
        message_id: (0000,0110); 0 where there is none.
        file_meta: the meta information that came with a file, without the preamble;
            empty for C-STORE, which brings none.
        listed: what the list of a migration says of its study.
    """

    content: Content
    digest: str
    length: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    source: Source
    peer_address: str
    association: str
    message_id: int
    file_meta: bytes = b""
    listed: Listed | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An arrival that is durable and recorded.

    Attributes:
        coerced: top-level tags whose values this archive gives out changed.
        held: code of the hold that waits for a person; empty where none does.
        already: the same content was here before.
        refused: it was rejected, and may not come again; nothing but its receipt is new.
        deleted: it is refused since it was deleted.
        comment: said to the sender in place of what the door would say; no value of
            any attribute may be in it.
    """

    coerced: tuple[Tag, ...] = ()
    held: str = ""
    already: bool = False
    comment: str = ""
    refused: bool = False
    deleted: bool = False
