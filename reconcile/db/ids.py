"""Identifiers that the registry makes: row ids, UIDs, lock keys."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from datetime import datetime

#: First part of the names of locks on identifiers of patients.
PATIENT = "identity"
#: Name of the one lock on who is who: on edges, links and filings. See `db.merges`.
MERGE = "merge"


def uuid7() -> uuid.UUID:
    """A UUIDv7 (RFC 9562 section 5.7): later ones sort after earlier ones."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | secrets.randbits(80)
    value &= ~(0xF << 76) & ~(0x3 << 62)
    return uuid.UUID(int=value | 0x7 << 76 | 0x2 << 62)


def first_since(when: datetime) -> uuid.UUID:
    """What sorts before every UUIDv7 that was made at a time or later."""
    return uuid.UUID(int=max(0, int(when.timestamp() * 1000)) << 80)


def new_uid(root: str) -> str:
    """A new UID: the root, and a random UUID as a number (as PS3.5 section B.2 does)."""
    return f"{root}.{uuid.uuid4().int}"


def lock_key(*parts: str) -> int:
    """The key of a PostgreSQL advisory lock: 64 bits, signed.

    Of names of patients it is positive, of all else negative: who takes locks in the order
    of their keys takes those of patients last, as messages do that speak of an order.
    The one on merges comes first of all.
    """
    if parts[0] == MERGE:
        return -(1 << 63)
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    number = int.from_bytes(digest[:8], "big") >> 1
    return number if parts[0] == PATIENT else number - (1 << 63)
