"""expand: what there is to tell, and who was told

Revision ID: 0009
Revises: 0008

The index is of events of level "study" alone: those of instances, which are nearly all,
cost nothing more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = "telling_cursor, study_arrival"
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


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "telling_cursor",
        sa.Column("name", _KEY, nullable=False),
        sa.Column("position", _KEY, nullable=False),
        sa.Column(
            "moved_at", _TIME, nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        sa.PrimaryKeyConstraint("name", name="pk_telling_cursor"),
    )
    op.create_table(
        "study_arrival",
        sa.Column("study_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name="fk_study_arrival_study_id_study"
        ),
        sa.PrimaryKeyConstraint("study_id", name="pk_study_arrival"),
    )
    op.create_index("ix_study_arrival_last_at", "study_arrival", ["last_at"])
    op.create_index(
        "ix_coercion_event_study_level",
        "coercion_event",
        ["xid", "id"],
        postgresql_where=sa.text("level = 'study'"),
    )
    op.create_index(
        "ix_notification_given_up",
        "notification",
        ["target"],
        postgresql_where=sa.text("state = 'given-up'"),
    )
    _states("waiting", "sent", "given-up", "dropped")
    op.execute(GRANT)


def downgrade() -> None:
    op.execute("UPDATE notification SET state = 'given-up' WHERE state = 'dropped'")
    _states("waiting", "sent", "given-up")
    op.drop_index("ix_notification_given_up", "notification")
    op.drop_index("ix_coercion_event_study_level", "coercion_event")
    op.drop_table("study_arrival")
    op.drop_table("telling_cursor")


def _states(*states: str) -> None:
    op.drop_constraint("state", "notification", type_="check")
    listed = ", ".join(f"'{state}'" for state in states)
    op.create_check_constraint("state", "notification", f"state IN ({listed})")
