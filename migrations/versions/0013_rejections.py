"""expand: what rejection notes have rejected

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON rejection TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON rejection TO reconcile_reader;
    END IF;
END $$
"""
_KEY, _ID = sa.Text(collation="C"), postgresql.UUID(as_uuid=True)
_SINCE = sa.text("tstzrange(clock_timestamp(), NULL)")
_KEYS = ("uid_domain", "sop_instance_uid", "code", "note_sop_instance_uid")
# (column, where it refers to, whether it may be NULL)
_REFERENCES = (
    ("study_id", "study", True),
    ("happening_id", "happening", False),
    ("ended_by", "happening", True),
)


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    references = [
        sa.ForeignKeyConstraint(
            [name], [f"{target}.id"], name=f"fk_rejection_{name}_{target}"
        )
        for name, target, _ in _REFERENCES
    ]
    op.create_table(
        "rejection",
        sa.Column("id", _ID, nullable=False),
        *(sa.Column(name, _KEY, nullable=False) for name in _KEYS),
        sa.Column("hides", sa.Boolean, nullable=False),
        sa.Column("was_hidden", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("recorded", postgresql.TSTZRANGE, nullable=False, server_default=_SINCE),
        *(sa.Column(name, _ID, nullable=null) for name, _, null in _REFERENCES),
        *references,
        sa.PrimaryKeyConstraint("id", name="pk_rejection"),
    )
    for name in ("sop_instance_uid", "study_id"):
        op.create_index(f"ix_rejection_{name}", "rejection", [name])
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_table("rejection")
