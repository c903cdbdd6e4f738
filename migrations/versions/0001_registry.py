"""expand: the registry and its history, from empty

Revision ID: 0001
Revises:

What cannot be added later: identities as received, validity ranges, revisions, receipts,
and for each coercion event its transaction id, nonce, canonical body and version.
Privileges and the append-only rule come in 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSequence, DropSequence, Sequence
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


class Xid8(UserDefinedType[str]):
    """A transaction's 64-bit id."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    op.execute(CreateSequence(Sequence("coercion_event_position")))
    _tables()


def _tables() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('reader', 'steward', 'administrator', 'auditor')",
            name=op.f("ck_api_key_role"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
    )
    op.create_table(
        "assignment",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("assigns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("modifying_system", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        sa.UniqueConstraint("digest", name=op.f("uq_assignment_digest")),
    )
    op.create_table(
        "domain",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("universal_id", sa.Text(collation="C"), nullable=True),
        sa.Column("universal_id_type", sa.Text(collation="C"), nullable=True),
        sa.Column("configured", sa.Boolean(), nullable=False),
        sa.Column("minted", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_domain")),
    )
    op.create_table(
        "happening",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("cause", sa.Text(collation="C"), nullable=False),
        sa.Column("cause_id", sa.Text(collation="C"), nullable=False),
        sa.Column("rule", sa.Text(collation="C"), nullable=False),
        sa.Column("rung", sa.Text(collation="C"), nullable=False),
        sa.Column("configuration_digest", sa.Text(collation="C"), nullable=False),
        sa.Column("actor", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "explanation",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("undoes", sa.UUID(), nullable=True),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["undoes"], ["happening.id"], name=op.f("fk_happening_undoes_happening")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_happening")),
        sa.UniqueConstraint("undoes", name=op.f("uq_happening_undoes")),
    )
    op.create_index("ix_happening_cause_id", "happening", ["cause_id"], unique=False)
    op.create_table(
        "idempotency_key",
        sa.Column("actor", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("route", sa.Text(collation="C"), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_table(
        "receipt",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("uid_domain", sa.Text(collation="C"), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("text_charset", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "file_meta",
            sa.LargeBinary(),
            server_default=sa.text("''::bytea"),
            nullable=False,
        ),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("peer_address", sa.Text(collation="C"), nullable=False),
        sa.Column("association", sa.Text(collation="C"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column(
            "received_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
    )
    op.create_index("ix_receipt_digest", "receipt", ["digest"], unique=False)
    op.create_index(
        "ix_receipt_instance", "receipt", ["sop_instance_uid", "uid_domain"], unique=False
    )
    op.create_table(
        "happening_dependency",
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.Column("depends_on", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["depends_on"],
            ["happening.id"],
            name=op.f("fk_happening_dependency_depends_on_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_happening_dependency_happening_id_happening"),
        ),
        sa.PrimaryKeyConstraint(
            "happening_id", "depends_on", name=op.f("pk_happening_dependency")
        ),
    )
    op.create_index(
        "ix_happening_dependency_depends_on",
        "happening_dependency",
        ["depends_on"],
        unique=False,
    )
    op.create_table(
        "identity",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("domain", sa.Text(collation="C"), nullable=False),
        sa.Column("id_norm", sa.Text(collation="C"), nullable=False),
        sa.Column("id_raw", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "valid",
            postgresql.TSTZRANGE(),
            server_default=sa.text("tstzrange(clock_timestamp(), NULL)"),
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("domain"), "="),
            (sa.column("id_norm"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_identity_owner",
        ),
        sa.ForeignKeyConstraint(
            ["domain"], ["domain.name"], name=op.f("fk_identity_domain_domain")
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_identity_happening_id_happening"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
    )
    op.create_index(
        "ix_identity_domain_id_norm", "identity", ["domain", "id_norm"], unique=False
    )
    op.create_index("ix_identity_id_norm", "identity", ["id_norm"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("sender", sa.Text(collation="C"), nullable=False),
        sa.Column("control_id", sa.Text(collation="C"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("event", sa.Text(collation="C"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), server_default="kept", nullable=False),
        sa.Column("acknowledgement", sa.Text(collation="C"), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "effects",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=True),
        sa.Column(
            "received_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("settled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('kept', 'applied', 'duplicate', 'already-same', 'stale', 'held', 'refused')",
            name=op.f("ck_message_state"),
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_message_happening_id_happening"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint(
            "sender",
            "control_id",
            "digest",
            name=op.f("uq_message_sender_control_id_digest"),
        ),
    )
    op.create_index("ix_message_received_at", "message", ["received_at"], unique=False)
    op.create_table(
        "person",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("canonical_id", sa.UUID(), nullable=False),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state IN ('verified', 'provisional', 'test', 'retired')",
            name=op.f("ck_person_state"),
        ),
        sa.ForeignKeyConstraint(
            ["canonical_id"], ["person.id"], name=op.f("fk_person_canonical_id_person")
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_person_happening_id_happening"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
    )
    op.create_index(
        op.f("ix_person_canonical_id"), "person", ["canonical_id"], unique=False
    )
    op.create_table(
        "refusal",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("rule", sa.Text(collation="C"), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "valid",
            postgresql.TSTZRANGE(),
            server_default=sa.text("tstzrange(clock_timestamp(), NULL)"),
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_refusal_happening_id_happening"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusal")),
    )
    op.create_index("ix_refusal_subject_rule", "refusal", ["subject", "rule"], unique=False)
    op.create_table(
        "uid_map",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("uid_domain", sa.Text(collation="C"), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(collation="C"), nullable=False),
        sa.Column("received_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("assigned_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), server_default="map", nullable=False),
        sa.Column("rule", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "valid",
            postgresql.TSTZRANGE(),
            server_default=sa.text("tstzrange(clock_timestamp(), NULL)"),
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("uid_domain"), "="),
            (sa.column("level"), "="),
            (sa.column("scope"), "="),
            (sa.column("received_uid"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_uid_map_received",
        ),
        sa.CheckConstraint("kind IN ('map', 'alias')", name=op.f("ck_uid_map_kind")),
        sa.CheckConstraint("level IN ('study', 'series')", name=op.f("ck_uid_map_level")),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_uid_map_happening_id_happening"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uid_map")),
    )
    op.create_index("ix_uid_map_assigned_uid", "uid_map", ["assigned_uid"], unique=False)
    op.create_index("ix_uid_map_received_uid", "uid_map", ["received_uid"], unique=False)
    op.create_table(
        "demographics",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("authority", sa.Integer(), nullable=False),
        sa.Column("said", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "said_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "recorded",
            postgresql.TSTZRANGE(),
            server_default=sa.text("tstzrange(clock_timestamp(), NULL)"),
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_demographics_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_demographics_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_demographics")),
    )
    op.create_index(
        "ix_demographics_birth_date",
        "demographics",
        [sa.literal_column("(said ->> 'birth_date')")],
        unique=False,
    )
    op.create_index(
        op.f("ix_demographics_person_id"), "demographics", ["person_id"], unique=False
    )
    op.create_table(
        "identity_link",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("identity_id", sa.UUID(), nullable=False),
        sa.Column("person_id", sa.UUID(), nullable=False),
        sa.Column(
            "recorded",
            postgresql.TSTZRANGE(),
            server_default=sa.text("tstzrange(clock_timestamp(), NULL)"),
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("identity_id"), "="),
            (sa.column("recorded"), "&&"),
            using="gist",
            name="ex_identity_link_person",
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_identity_link_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["identity_id"],
            ["identity.id"],
            name=op.f("fk_identity_link_identity_id_identity"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_identity_link_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_link")),
    )
    op.create_index(
        op.f("ix_identity_link_person_id"), "identity_link", ["person_id"], unique=False
    )
    op.create_table(
        "imaging_order",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("accession_number", sa.Text(collation="C"), nullable=False),
        sa.Column("accession_issuer", sa.Text(collation="C"), nullable=False),
        sa.Column("placer_order_number", sa.Text(collation="C"), nullable=True),
        sa.Column("filler_order_number", sa.Text(collation="C"), nullable=True),
        sa.Column("identity_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("referring_physician", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "said_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "state IN ('scheduled', 'in-progress', 'completed', 'cancelled', 'discontinued')",
            name=op.f("ck_imaging_order_state"),
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_imaging_order_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["identity_id"],
            ["identity.id"],
            name=op.f("fk_imaging_order_identity_id_identity"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imaging_order")),
    )
    op.create_index(
        op.f("ix_imaging_order_identity_id"), "imaging_order", ["identity_id"], unique=False
    )
    op.create_index(
        "uq_imaging_order_accession",
        "imaging_order",
        ["accession_number", "accession_issuer"],
        unique=True,
        postgresql_where=sa.text("accession_number <> ''"),
    )
    op.create_table(
        "merge_edge",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("subsumed_id", sa.UUID(), nullable=False),
        sa.Column("survivor_id", sa.UUID(), nullable=False),
        sa.Column(
            "recorded",
            postgresql.TSTZRANGE(),
            server_default=sa.text("tstzrange(clock_timestamp(), NULL)"),
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("subsumed_id"), "="),
            (sa.column("recorded"), "&&"),
            using="gist",
            name="ex_merge_edge_parent",
        ),
        sa.CheckConstraint(
            "subsumed_id <> survivor_id", name=op.f("ck_merge_edge_no_self_merge")
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_merge_edge_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["subsumed_id"], ["person.id"], name=op.f("fk_merge_edge_subsumed_id_person")
        ),
        sa.ForeignKeyConstraint(
            ["survivor_id"], ["person.id"], name=op.f("fk_merge_edge_survivor_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merge_edge")),
    )
    op.create_index(
        op.f("ix_merge_edge_survivor_id"), "merge_edge", ["survivor_id"], unique=False
    )
    op.create_table(
        "study",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("uid_domain", sa.Text(collation="C"), nullable=False),
        sa.Column("study_instance_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("held_id", sa.Text(collation="C"), nullable=True),
        sa.Column("assigned_identity_id", sa.UUID(), nullable=True),
        sa.Column("retain_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("legal_hold", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["assigned_identity_id"],
            ["identity.id"],
            name=op.f("fk_study_assigned_identity_id_identity"),
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"], ["happening.id"], name=op.f("fk_study_happening_id_happening")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("held_id", name=op.f("uq_study_held_id")),
        sa.UniqueConstraint(
            "study_instance_uid",
            "uid_domain",
            name=op.f("uq_study_study_instance_uid_uid_domain"),
        ),
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("study_id", sa.UUID(), nullable=True),
        sa.Column("message_id", sa.UUID(), nullable=True),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "received",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column(
            "candidates",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "opened_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("closed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(collation="C"), nullable=True),
        sa.CheckConstraint(
            "(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_hold_closed")
        ),
        sa.CheckConstraint(
            "kind IN ('hold', 'review', 'message')", name=op.f("ck_hold_kind")
        ),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_hold_state")),
        sa.ForeignKeyConstraint(
            ["happening_id"], ["happening.id"], name=op.f("fk_hold_happening_id_happening")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_hold_message_id_message")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_hold_study_id_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_message_id"), "hold", ["message_id"], unique=False)
    op.create_index(op.f("ix_hold_study_id"), "hold", ["study_id"], unique=False)
    op.create_index(
        "uq_hold_open",
        "hold",
        ["study_id", "message_id", "code", "subject"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "requested_procedure",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("rp_id", sa.Text(collation="C"), nullable=False),
        sa.Column("study_instance_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("code", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("removed", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_requested_procedure_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["imaging_order.id"],
            name=op.f("fk_requested_procedure_order_id_imaging_order"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requested_procedure")),
        sa.UniqueConstraint(
            "order_id", "rp_id", name=op.f("uq_requested_procedure_order_id_rp_id")
        ),
    )
    op.create_index(
        op.f("ix_requested_procedure_order_id"),
        "requested_procedure",
        ["order_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_requested_procedure_study_instance_uid"),
        "requested_procedure",
        ["study_instance_uid"],
        unique=False,
    )
    op.create_table(
        "series",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("study_id", sa.UUID(), nullable=False),
        sa.Column("received_series_instance_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("series_instance_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("uid_domain", sa.Text(collation="C"), nullable=False),
        sa.Column("identity_id", sa.UUID(), nullable=True),
        sa.Column("held", sa.Text(collation="C"), nullable=True),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_series_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identity.id"], name=op.f("fk_series_identity_id_identity")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_series_study_id_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint(
            "series_instance_uid",
            "uid_domain",
            name=op.f("uq_series_series_instance_uid_uid_domain"),
        ),
    )
    op.create_index(op.f("ix_series_identity_id"), "series", ["identity_id"], unique=False)
    op.create_index(
        op.f("ix_series_received_series_instance_uid"),
        "series",
        ["received_series_instance_uid"],
        unique=False,
    )
    op.create_index(op.f("ix_series_study_id"), "series", ["study_id"], unique=False)
    op.create_index(
        "uq_series_received",
        "series",
        ["study_id", "received_series_instance_uid", "identity_id", "held"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "hold_instance",
        sa.Column("hold_id", sa.UUID(), nullable=False),
        sa.Column("receipt_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["hold_id"], ["hold.id"], name=op.f("fk_hold_instance_hold_id_hold")
        ),
        sa.ForeignKeyConstraint(
            ["receipt_id"], ["receipt.id"], name=op.f("fk_hold_instance_receipt_id_receipt")
        ),
        sa.PrimaryKeyConstraint("hold_id", "receipt_id", name=op.f("pk_hold_instance")),
    )
    op.create_table(
        "instance",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("uid_domain", sa.Text(collation="C"), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("sop_class_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("series_id", sa.UUID(), nullable=True),
        sa.Column("receipt_id", sa.UUID(), nullable=False),
        sa.Column("assignment_id", sa.UUID(), nullable=True),
        sa.Column("coerced_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("hidden", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("stored_revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.Column(
            "stored_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["assignment_id"],
            ["assignment.id"],
            name=op.f("fk_instance_assignment_id_assignment"),
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_instance_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["receipt_id"], ["receipt.id"], name=op.f("fk_instance_receipt_id_receipt")
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name=op.f("fk_instance_series_id_series")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
        sa.UniqueConstraint(
            "sop_instance_uid",
            "uid_domain",
            name=op.f("uq_instance_sop_instance_uid_uid_domain"),
        ),
    )
    op.create_index(op.f("ix_instance_series_id"), "instance", ["series_id"], unique=False)
    op.create_table(
        "scheduled_procedure_step",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("procedure_id", sa.UUID(), nullable=False),
        sa.Column("sps_id", sa.Text(collation="C"), nullable=False),
        sa.Column("modality", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "station_ae_titles",
            postgresql.ARRAY(sa.Text(collation="C")),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("start", sa.Text(collation="C"), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("removed", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_scheduled_procedure_step_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["procedure_id"],
            ["requested_procedure.id"],
            name=op.f("fk_scheduled_procedure_step_procedure_id_requested_procedure"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_procedure_step")),
        sa.UniqueConstraint(
            "procedure_id",
            "sps_id",
            name=op.f("uq_scheduled_procedure_step_procedure_id_sps_id"),
        ),
    )
    op.create_index(
        op.f("ix_scheduled_procedure_step_procedure_id"),
        "scheduled_procedure_step",
        ["procedure_id"],
        unique=False,
    )
    op.create_table(
        "study_order",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("study_id", sa.UUID(), nullable=False),
        sa.Column("order_id", sa.UUID(), nullable=False),
        sa.Column("procedure_id", sa.UUID(), nullable=True),
        sa.Column(
            "recorded",
            postgresql.TSTZRANGE(),
            server_default=sa.text("tstzrange(clock_timestamp(), NULL)"),
            nullable=False,
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("study_id"), "="),
            (sa.column("order_id"), "="),
            (sa.column("recorded"), "&&"),
            using="gist",
            name="ex_study_order_link",
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_study_order_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["imaging_order.id"],
            name=op.f("fk_study_order_order_id_imaging_order"),
        ),
        sa.ForeignKeyConstraint(
            ["procedure_id"],
            ["requested_procedure.id"],
            name=op.f("fk_study_order_procedure_id_requested_procedure"),
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_study_order_study_id_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_order")),
    )
    op.create_index(
        op.f("ix_study_order_order_id"), "study_order", ["order_id"], unique=False
    )
    op.create_index(
        op.f("ix_study_order_procedure_id"), "study_order", ["procedure_id"], unique=False
    )
    op.create_table(
        "coercion_event",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column(
            "xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False
        ),
        sa.Column("happening_id", sa.UUID(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.UUID(), nullable=True),
        sa.Column("study_id", sa.UUID(), nullable=True),
        sa.Column("person_id", sa.UUID(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(collation="C"), nullable=True),
        sa.Column("series_instance_uid", sa.Text(collation="C"), nullable=True),
        sa.Column("study_instance_uid", sa.Text(collation="C"), nullable=True),
        sa.Column("received_study_instance_uid", sa.Text(collation="C"), nullable=True),
        sa.Column("attributes", postgresql.ARRAY(sa.Text(collation="C")), nullable=False),
        sa.Column("body_version", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(level = 'instance') = (instance_id IS NOT NULL) AND (level <> 'study' OR (study_id IS NOT NULL AND revision IS NOT NULL)) AND (level <> 'patient' OR person_id IS NOT NULL)",
            name=op.f("ck_coercion_event_applies_to"),
        ),
        sa.CheckConstraint(
            "level IN ('instance', 'study', 'patient')",
            name=op.f("ck_coercion_event_level"),
        ),
        sa.CheckConstraint(
            "reason IN ('COERCE', 'CORRECT')", name=op.f("ck_coercion_event_reason")
        ),
        sa.CheckConstraint(
            "cardinality(attributes) > 0", name=op.f("ck_coercion_event_changes_something")
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"],
            ["happening.id"],
            name=op.f("fk_coercion_event_happening_id_happening"),
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["instance.id"],
            name=op.f("fk_coercion_event_instance_id_instance"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_coercion_event_person_id_person")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_coercion_event_study_id_study")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coercion_event")),
        sa.UniqueConstraint("position", name=op.f("uq_coercion_event_position")),
    )
    op.create_index(
        op.f("ix_coercion_event_happening_id"),
        "coercion_event",
        ["happening_id"],
        unique=False,
    )
    op.create_index(
        "ix_coercion_event_instance_id_position",
        "coercion_event",
        ["instance_id", "position"],
        unique=False,
    )
    op.create_index(
        "ix_coercion_event_person_id_position",
        "coercion_event",
        ["person_id", "position"],
        unique=False,
    )
    op.create_index(
        "ix_coercion_event_recorded_at",
        "coercion_event",
        ["recorded_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_coercion_event_sop_instance_uid",
        "coercion_event",
        ["sop_instance_uid"],
        unique=False,
    )
    op.create_index(
        "ix_coercion_event_study_id_position",
        "coercion_event",
        ["study_id", "position"],
        unique=False,
    )
    op.create_index("ix_coercion_event_xid", "coercion_event", ["xid"], unique=False)
    op.create_table(
        "coercion_value",
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "octet_length(nonce) = 16", name=op.f("ck_coercion_value_nonce_length")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["coercion_event.id"],
            name=op.f("fk_coercion_value_event_id_coercion_event"),
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_coercion_value")),
    )


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute(DropSequence(Sequence("coercion_event_position")))


TABLES = (
    "api_key",
    "assignment",
    "domain",
    "happening",
    "idempotency_key",
    "receipt",
    "happening_dependency",
    "identity",
    "message",
    "person",
    "refusal",
    "uid_map",
    "demographics",
    "identity_link",
    "imaging_order",
    "merge_edge",
    "study",
    "hold",
    "requested_procedure",
    "series",
    "hold_instance",
    "instance",
    "scheduled_procedure_step",
    "study_order",
    "coercion_event",
    "coercion_value",
)
