"""expand: requests that name an Idempotency-Key, and their answers

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON answered_request TO reconcile_writer;
    END IF;
END $$
"""
_KEY, _TIME = sa.Text(collation="C"), postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "answered_request",
        sa.Column("actor", _KEY, nullable=False),
        sa.Column("key", _KEY, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column(
            "claimed_at", _TIME, nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        sa.Column("status", sa.Integer),
        sa.Column("media_type", sa.Text, nullable=False, server_default=""),
        sa.Column("body", sa.LargeBinary, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("actor", "key", name="pk_answered_request"),
    )
    op.create_index("ix_answered_request_claimed_at", "answered_request", ["claimed_at"])
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_table("answered_request")
