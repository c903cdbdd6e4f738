"""data: series are filed as they were received; forms are those of their instances

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE series SET filed_identity_id = identity_id"
        " WHERE filed_identity_id IS NULL AND identity_id IS NOT NULL"
    )
    op.execute(
        "INSERT INTO series_form (series_id, assignment_id, stored_revision)"
        " SELECT DISTINCT series_id, assignment_id, stored_revision FROM instance"
        " WHERE series_id IS NOT NULL AND assignment_id IS NOT NULL"
        " ON CONFLICT DO NOTHING"
    )


def downgrade() -> None:
    op.execute("DELETE FROM series_form")
    op.execute("UPDATE series SET filed_identity_id = NULL")
