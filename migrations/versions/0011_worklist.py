"""expand: steps by their start, and orders that are open, for the Modality Worklist

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_index(
        "ix_scheduled_procedure_step_start", "scheduled_procedure_step", ["start", "id"]
    )
    op.create_index(
        "ix_imaging_order_open",
        "imaging_order",
        ["id"],
        postgresql_where=sa.text("state IN ('scheduled', 'in-progress')"),
    )


def downgrade() -> None:
    op.drop_index("ix_imaging_order_open", "imaging_order")
    op.drop_index("ix_scheduled_procedure_step_start", "scheduled_procedure_step")
