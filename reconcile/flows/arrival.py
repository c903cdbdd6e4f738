"""What a door hands to the store flow, and what it gets back.

Plain values, so that every way in (C-STORE, STOW-RS, import) says the same things about
an arrival, and no flow has to know through which door it was called. No decision and no
I/O may be put here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reconcile.core.attributes import Tag
from reconcile.core.facts import Source


@dataclass(frozen=True, slots=True)
class Arrival:
    """One instance that has come whole, in a spooled file that nobody else knows of.

    Attributes:
        path: a file of PS3.10 section 7.1: preamble, meta information, data set.
        data_offset: where the data set begins in it; it ends with the file.
        sop_class_uid: as the request names it, (0000,0002).
        sop_instance_uid: as the request names it, (0000,1000).
        transfer_syntax: of the data set.
        source: how instances of this peer are read.
        peer_address: IP address; empty where there is no peer.
        association: id that log lines and receipts share.
        message_id: (0000,0110); 0 where there is none.
        file_meta: the meta information that came with a file, without the preamble;
            empty for C-STORE, which brings none.
        digest: SHA-256 of the data set in lower-case hex, where it was computed as the
            bytes came; else empty.
        length: of the data set in bytes, where the digest is given.
    """

    path: Path
    data_offset: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    source: Source
    peer_address: str
    association: str
    message_id: int
    file_meta: bytes = b""
    digest: str = ""
    length: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """An arrival that is durable and recorded.

    Attributes:
        coerced: top-level tags whose values this archive gives out changed.
        held: code of the hold that waits for a person; empty where none does.
        already: the same content was here before.
        comment: said to the sender in place of what the door would say; no value of
            any attribute may be in it.
    """

    coerced: tuple[Tag, ...] = ()
    held: str = ""
    already: bool = False
    comment: str = ""
