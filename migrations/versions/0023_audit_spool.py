"""expand: what was asked, until an audit repository has been told of it

Revision ID: 0023
Revises: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON audit_spool TO reconcile_writer;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "audit_spool",
        sa.Column("id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("asked", postgresql.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_spool"),
    )
    op.create_index("ix_merge_edge_happening_id", "merge_edge", ["happening_id"])
    op.create_index("ix_merge_edge_ended_by", "merge_edge", ["ended_by"])
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_index("ix_merge_edge_ended_by", "merge_edge")
    op.drop_index("ix_merge_edge_happening_id", "merge_edge")
    op.drop_table("audit_spool")
