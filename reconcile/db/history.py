"""The tables of the history: happenings and coercion events, which are only added to.

A happening is one decision; its coercion events are the audit rows. Rows here are never
changed: that something was undone is a later happening that says so. Personal values
stand in `coercion_value`, the one table from which erasure may delete; the event keeps
what commits to them, so that its place in the log stays provable.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from reconcile.db.tables import Key, at, identifier, key, metadata, refers


class Xid8(UserDefinedType[str]):
    """A transaction's 64-bit id: what the sealer's watermark is compared with."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


ischema_names["xid8"] = Xid8

event_position = Sequence("coercion_event_position", metadata=metadata)

happening = Table(
    "happening",
    metadata,
    identifier(),
    # "c-store", "import", "adt-a08", "orm-o01", "undo", ...
    key("cause"),
    # Association and message id, or MSH-10.
    key("cause_id"),
    # Rule with its version, as "identity@2"; and the rungs that decided.
    key("rule"),
    key("rung"),
    # SHA-256 of the decision-relevant configuration in force.
    key("configuration_digest"),
    key("actor"),
    # Which evidence was found and which lost; names persons by id, holds no patient data.
    Column("explanation", JSONB, nullable=False, server_default="{}"),
    # The happening that this one takes back; each is taken back once.
    Column(
        "undoes", UUID(as_uuid=True), ForeignKey("happening.id"), nullable=True, unique=True
    ),
    at("recorded_at"),
    Index("ix_happening_cause_id", "cause_id"),
    # Few different values: each entry is small. For what is rare among them.
    Index("ix_happening_recorded_at", "recorded_at"),
    Index("ix_happening_cause", "cause"),
    Index("ix_happening_actor", "actor"),
    Index("ix_happening_rule", "rule"),
    Index("ix_happening_rung", "rung"),
    Index("ix_happening_undo", "id", postgresql_where=text("undoes IS NOT NULL")),
)

happening_dependency = Table(
    "happening_dependency",
    metadata,
    Column(
        "happening_id", UUID(as_uuid=True), ForeignKey("happening.id"), primary_key=True
    ),
    Column("depends_on", UUID(as_uuid=True), ForeignKey("happening.id"), primary_key=True),
    Index("ix_happening_dependency_depends_on", "depends_on"),
)

coercion_event = Table(
    "coercion_event",
    metadata,
    identifier(),
    # Order in which events apply; taken under the study's lock where they meet.
    Column("position", BigInteger, nullable=False, unique=True),
    Column(
        "xid",
        Xid8(),
        nullable=False,
        server_default=text("pg_current_xact_id()"),
    ),
    refers("happening_id", "happening", index=True),
    Column("level", Text, nullable=False),
    refers("instance_id", "instance", null=True),
    # The arrival that an instance's event is about; NULL in rows of before 0003.
    refers("receipt_id", "receipt", null=True),
    refers("study_id", "study", null=True),
    refers("person_id", "person", null=True),
    # Of a study or patient event: the revision of the study that it made.
    Column("revision", Integer, nullable=True),
    Column("reason", Text, nullable=False),
    key("source"),
    key("sop_instance_uid", null=True),
    key("series_instance_uid", null=True),
    key("study_instance_uid", null=True),
    key("received_study_instance_uid", null=True),
    # Keywords of the attributes that changed; their values are in coercion_value.
    Column("attributes", ARRAY(Key), nullable=False),
    # The canonical bytes that are sealed, and how they were made.
    Column("body_version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    at("recorded_at"),
    # Defined Terms of (0400,0565); the table may not hold what an item could not say.
    CheckConstraint("reason IN ('COERCE', 'CORRECT')", name="reason"),
    CheckConstraint("level IN ('instance', 'study', 'patient')", name="level"),
    CheckConstraint(
        "(level = 'instance') = (instance_id IS NOT NULL)"
        " AND (level <> 'study' OR (study_id IS NOT NULL AND revision IS NOT NULL))"
        " AND (level <> 'patient' OR person_id IS NOT NULL)",
        name="applies_to",
    ),
    # No change, no event.
    CheckConstraint("cardinality(attributes) > 0", name="changes_something"),
    # "What happened to this instance" is the commonest question, then by study, patient.
    Index("ix_coercion_event_instance_id_position", "instance_id", "position"),
    Index("ix_coercion_event_study_id_position", "study_id", "position"),
    Index("ix_coercion_event_person_id_position", "person_id", "position"),
    Index("ix_coercion_event_sop_instance_uid", "sop_instance_uid"),
    # From where to where a range of time reaches, and how many of each source are in it.
    Index(
        "ix_coercion_event_time", "recorded_at", "position", postgresql_include=["source"]
    ),
    # By the names that a study bore then: it may have been split or renamed since.
    Index("ix_coercion_event_study_instance_uid", "study_instance_uid"),
    Index("ix_coercion_event_received_study_instance_uid", "received_study_instance_uid"),
    Index("ix_coercion_event_source_position", "source", "position"),
    Index(
        "ix_coercion_event_correct",
        "position",
        postgresql_where=text("reason = 'CORRECT'"),
    ),
    # For attributes that seldom change; those that often do are met soon by position.
    Index("ix_coercion_event_attributes", "attributes", postgresql_using="gin"),
    # The sealer's watermark.
    Index("ix_coercion_event_xid", "xid"),
    # What changed stored studies: whoever tells of it reads nothing else.
    Index(
        "ix_coercion_event_study_level",
        "xid",
        "id",
        postgresql_where=text("level = 'study'"),
    ),
)

coercion_value = Table(
    "coercion_value",
    metadata,
    Column(
        "event_id", UUID(as_uuid=True), ForeignKey("coercion_event.id"), primary_key=True
    ),
    # 16 random bytes: Patient IDs could be guessed from bare hashes.
    Column("nonce", LargeBinary, nullable=False),
    # Canonical JSON of patient, original_attributes, new_attributes, absent, varies.
    Column("body", LargeBinary, nullable=False),
    CheckConstraint("octet_length(nonce) = 16", name="nonce_length"),
)

__all__ = ["Key", "coercion_event", "coercion_value", "happening", "happening_dependency"]
