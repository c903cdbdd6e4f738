"""expand: requests for storage commitment, with their answers

Revision ID: 0012
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = "commitment"
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
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "commitment",
        sa.Column("id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("transaction_uid", _KEY, nullable=False),
        sa.Column("source", _KEY, nullable=False),
        sa.Column("association", _KEY, nullable=False),
        sa.Column("answer", postgresql.JSONB, nullable=False),
        sa.Column("received_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="pk_commitment"),
    )
    op.create_index("ix_commitment_transaction_uid", "commitment", ["transaction_uid"])
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_table("commitment")
