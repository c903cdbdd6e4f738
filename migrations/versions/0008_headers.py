"""expand: what the header of each series says, and names that can be searched

Revision ID: 0008
Revises: 0007

A series of before this revision has no header row: C-FIND and QIDO-RS do not answer it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SEARCHED = ("study_date", "accession_number", "searched_name", "birth_date", "modality")
SEARCHED_NAME = (
    "\"left\"(ltrim(lower(regexp_replace(NORMALIZE((said #>> '{name,alphabetic}'::text[])"
    " COLLATE \"C\", NFKD), '[^ -~]'::text, ''::text, 'g'::text))), 256)"
)
GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON series_header TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON series_header TO reconcile_reader;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "series_header",
        sa.Column("series_id", postgresql.UUID(as_uuid=True), nullable=False),
        *(sa.Column(name, sa.Text(collation="C"), nullable=False) for name in SEARCHED),
        sa.Column("elements", postgresql.JSONB, nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name="fk_series_header_series_id_series"
        ),
        sa.PrimaryKeyConstraint("series_id", name="pk_series_header"),
    )
    for column in ("accession_number", "searched_name", "birth_date"):
        op.create_index(f"ix_series_header_{column}", "series_header", [column])
    op.create_index(
        "ix_series_header_study_date", "series_header", ["study_date", "series_id"]
    )
    op.create_index(
        "ix_demographics_searched_name", "demographics", [sa.text(f"({SEARCHED_NAME})")]
    )
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_index("ix_demographics_searched_name", "demographics")
    op.drop_table("series_header")
