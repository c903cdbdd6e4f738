"""expand: what ended how a series was filed, so that it can be taken back

Revision ID: 0026
Revises: 0025
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_ID = postgresql.UUID(as_uuid=True)


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    key = sa.ForeignKey("happening.id", name="fk_series_filing_ended_by_happening")
    op.add_column("series_filing", sa.Column("ended_by", _ID, key, nullable=True))
    op.add_column("series_filing", sa.Column("place", _ID, nullable=True))
    op.execute("UPDATE series_filing SET place = id")
    op.alter_column("series_filing", "place", nullable=False)
    op.create_index("ix_series_filing_ended_by", "series_filing", ["ended_by"])


def downgrade() -> None:
    op.drop_index("ix_series_filing_ended_by", "series_filing")
    op.drop_column("series_filing", "place")
    op.drop_column("series_filing", "ended_by")
