"""contract: the constraint on links is no index for who asks by the order

Revision ID: 0025
Revises: 0024

A search by its second column alone read all of it, and the planner took it for cheap.
"""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

REPLACE = """
ALTER TABLE study_order DROP CONSTRAINT ex_study_order_link,
ADD CONSTRAINT ex_study_order_link EXCLUDE USING gist
(study_id WITH =, {order} WITH =, recorded WITH &&)
"""


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.execute(REPLACE.format(order="(order_id::text)"))


def downgrade() -> None:
    op.execute(REPLACE.format(order="order_id"))
