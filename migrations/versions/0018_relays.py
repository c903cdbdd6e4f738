"""expand: messages that are relayed to destinations, and whom these were told of

Revision ID: 0018
Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = "relay, relay_lane, delivered_patient"
GRANT = f"""
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLES} TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON {TABLES} TO reconcile_reader;
    END IF;
END $$
"""
_KEY, _TIME = sa.Text(collation="C"), postgresql.TIMESTAMP(timezone=True)
_ID, _NOW = postgresql.UUID(as_uuid=True), sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "relay",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("destination", _KEY, nullable=False),
        sa.Column("lane", _KEY, nullable=False),
        sa.Column("kind", _KEY, nullable=False),
        sa.Column("study_id", _ID),
        sa.Column("message_id", _ID),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("settled_at", _TIME),
        sa.Column("answer", _KEY, nullable=False, server_default=""),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("number", name="pk_relay"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_relay_study_id_study"),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["performed_step_message.id"],
            name="fk_relay_message_id_performed_step_message",
        ),
        sa.UniqueConstraint(
            "destination", "message_id", name="uq_relay_destination_message_id"
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'refused', 'skipped')",
            name=op.f("ck_relay_state"),
        ),
    )
    op.create_index("ix_relay_lane", "relay", ["destination", "lane", "number"])
    op.create_index(
        "ix_relay_open",
        "relay",
        ["destination", "number"],
        postgresql_where=sa.text("state IN ('waiting', 'refused')"),
    )
    op.create_table(
        "relay_lane",
        sa.Column("destination", _KEY, nullable=False),
        sa.Column("lane", _KEY, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("destination", "lane", name="pk_relay_lane"),
    )
    op.create_index("ix_relay_lane_next_at", "relay_lane", ["destination", "next_at"])
    op.create_table(
        "delivered_patient",
        sa.Column("destination", _KEY, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("patient_id", _KEY, nullable=False),
        sa.Column("domain", _KEY, nullable=False),
        sa.Column("demographics", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("destination", "study_id", name="pk_delivered_patient"),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name="fk_delivered_patient_study_id_study"
        ),
    )
    op.add_column("delivery", sa.Column("rest", sa.LargeBinary))
    op.create_index("ix_rejection_happening_id", "rejection", ["happening_id"])
    op.create_index(
        "ix_rejection_ended_by",
        "rejection",
        ["ended_by"],
        postgresql_where=sa.text("ended_by IS NOT NULL"),
    )
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_index("ix_rejection_ended_by", "rejection")
    op.drop_index("ix_rejection_happening_id", "rejection")
    op.drop_column("delivery", "rest")
    op.drop_table("delivered_patient")
    op.drop_table("relay_lane")
    op.drop_table("relay")
