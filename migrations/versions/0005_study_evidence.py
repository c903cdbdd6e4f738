"""expand: what the headers of a study's instances name

Revision ID: 0005
Revises: 0004

A study of before this revision has named nothing; its next instance tells what it names.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON study_evidence TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON study_evidence TO reconcile_reader;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "study_evidence",
        *(
            sa.Column(name, sa.Text(collation="C"), nullable=False)
            for name in ("kind", "value", "issuer")
        ),
        sa.Column("study_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name="fk_study_evidence_study_id_study"
        ),
        sa.PrimaryKeyConstraint(
            "kind", "value", "issuer", "study_id", name="pk_study_evidence"
        ),
    )
    op.create_index("ix_study_evidence_study_id", "study_evidence", ["study_id"])
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_table("study_evidence")
