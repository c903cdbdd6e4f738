"""expand: messages that are acted on later, orders by their sender's numbers

Revision ID: 0010
Revises: 0009

`demographics.came_at` is NULL where a message was acted on as it came.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.add_column("demographics", sa.Column("came_at", postgresql.TIMESTAMP(timezone=True)))
    op.create_index(
        "ix_message_kept",
        "message",
        ["received_at", "id"],
        postgresql_where=sa.text("state = 'kept'"),
    )
    for said in ("filler", "placer"):
        columns = [f"{said}_order_number", "source"]
        op.create_index(f"ix_imaging_order_{said}", "imaging_order", columns)


def downgrade() -> None:
    op.drop_index("ix_imaging_order_placer", "imaging_order")
    op.drop_index("ix_imaging_order_filler", "imaging_order")
    op.drop_index("ix_message_kept", "message")
    op.drop_column("demographics", "came_at")
