"""The tables of the seal: which event is which leaf, and what was signed of the tree.

Rows are only added, by the sealer. The tree itself lies in tiles beside the received
bytes; what stands here is enough to make them again, and is compared with them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Integer,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from reconcile.db.history import Xid8
from reconcile.db.tables import at, identifier, key, metadata

# No foreign key to the event: its place in the log outlives it.
seal_leaf = Table(
    "seal_leaf",
    metadata,
    # Dense, from 1; its place in the tree is one less.
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", UUID(as_uuid=True), nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("octet_length(hash) = 32", name="hash_length"),
)

# A happening as it is sealed with each of its events: canonical bytes, made once.
seal_happening = Table(
    "seal_happening",
    metadata,
    Column("happening_id", UUID(as_uuid=True), primary_key=True),
    Column("body_version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

seal_checkpoint = Table(
    "seal_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    # The signed note, as it was published.
    Column("note", Text, nullable=False),
    # Every transaction before it had ended: what is sealed next begins there.
    Column("watermark", Xid8(), nullable=False),
    at("sealed_at"),
    CheckConstraint("octet_length(root) = 32", name="root_length"),
)

# Transaction ids are one server's: a restored database counts anew. From here on they
# mean those of this cluster; everything that was there before is sealed by then.
seal_anchor = Table(
    "seal_anchor",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    key("cluster"),
    Column("watermark", Xid8(), nullable=False),
    Column("size", BigInteger, nullable=False),
    at("anchored_at"),
)

# Who asked the history what, and when. What was asked may name a patient.
audit_reading = Table(
    "audit_reading",
    metadata,
    identifier(),
    at("read_at"),
    key("actor"),
    # "http" or "cli".
    key("door"),
    # The route or the command.
    key("what"),
    Column("asked", JSONB, nullable=False, server_default="{}"),
)
