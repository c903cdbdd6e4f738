"""expand: what is forwarded, the studies on their way, and what was taken back when

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = "delivery, delivery_lane"
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
        "delivery",
        sa.Column("destination", _KEY, nullable=False),
        sa.Column("instance_id", _ID, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("settled_at", _TIME),
        sa.Column("form", sa.LargeBinary),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint(
            "destination", "instance_id", "revision", name="pk_delivery"
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["instance.id"], name="fk_delivery_instance_id_instance"
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name="fk_delivery_study_id_study"
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'refused', 'skipped')",
            name=op.f("ck_delivery_state"),
        ),
    )
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["destination", "study_id", "instance_id", "revision"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_delivery_study", "delivery", ["study_id", "destination"])
    op.create_table(
        "delivery_lane",
        sa.Column("destination", _KEY, nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("destination", "study_id", name="pk_delivery_lane"),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name="fk_delivery_lane_study_id_study"
        ),
    )
    op.create_index("ix_delivery_lane_next_at", "delivery_lane", ["destination", "next_at"])
    op.create_index(
        "ix_happening_undo",
        "happening",
        ["id"],
        postgresql_where=sa.text("undoes IS NOT NULL"),
    )
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_index("ix_happening_undo", "happening")
    op.drop_table("delivery_lane")
    op.drop_table("delivery")
