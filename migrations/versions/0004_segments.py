"""expand: where in a segment of the storage the bytes of an arrival are

Revision ID: 0004
Revises: 0003

New columns may be NULL: a row without them has a file of its own, as every row of a
program of before this revision.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.add_column("receipt", sa.Column("segment", sa.Text(collation="C")))
    op.add_column("receipt", sa.Column("segment_offset", sa.BigInteger()))
    # Of rows that are there it holds: both are NULL.
    op.execute(
        "ALTER TABLE receipt ADD CONSTRAINT ck_receipt_location"
        " CHECK ((segment IS NULL) = (segment_offset IS NULL)) NOT VALID"
    )
    op.execute("ALTER TABLE receipt VALIDATE CONSTRAINT ck_receipt_location")


def downgrade() -> None:
    op.drop_constraint("ck_receipt_location", "receipt")
    op.drop_column("receipt", "segment_offset")
    op.drop_column("receipt", "segment")
