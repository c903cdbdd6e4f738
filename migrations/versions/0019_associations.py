"""expand: DICOM associations that have ended, for a while

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, DELETE ON association TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON association TO reconcile_reader;
    END IF;
END $$
"""
_KEY, _TIME = sa.Text(collation="C"), postgresql.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "association",
        sa.Column("id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("name", _KEY, nullable=False),
        sa.Column("began_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("ended_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("calling", _KEY, nullable=False),
        sa.Column("called", _KEY, nullable=False),
        sa.Column("address", _KEY, nullable=False),
        sa.Column("tls", sa.Boolean, nullable=False),
        sa.Column("certificate", sa.Text, nullable=False, server_default=""),
        sa.Column("proposed", sa.Integer, nullable=False),
        sa.Column("accepted", sa.Integer, nullable=False),
        sa.Column("services", postgresql.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_association"),
        sa.CheckConstraint(
            "outcome IN ('released', 'aborted', 'rejected', 'failed', 'lost')",
            name=op.f("ck_association_outcome"),
        ),
    )
    op.create_index("ix_association_ended_at", "association", ["ended_at"])
    op.create_index("ix_association_calling", "association", ["calling"])
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_table("association")
