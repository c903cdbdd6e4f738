"""expand: people who came in by their browser, and patients whom not all may see

Revision ID: 0024
Revises: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# The reader may look who somebody is, and sees digests only.
GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON web_session TO reconcile_writer;
        GRANT SELECT, INSERT, UPDATE ON protection TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON web_session, protection TO reconcile_reader;
    END IF;
END $$
"""
_ID = postgresql.UUID(as_uuid=True)
_SINCE = sa.text("tstzrange(clock_timestamp(), NULL)")
_KEY, _TIME = sa.Text(collation="C"), postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "web_session",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("actor", _KEY, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "role IN ('reader', 'steward', 'administrator', 'auditor')",
            name=op.f("ck_web_session_role"),
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_web_session"),
    )
    op.create_index("ix_web_session_expires_at", "web_session", ["expires_at"])
    op.create_table(
        "protection",
        sa.Column("id", _ID, nullable=False),
        sa.Column("identity_id", _ID, nullable=False),
        sa.Column("recorded", postgresql.TSTZRANGE, nullable=False, server_default=_SINCE),
        sa.Column("happening_id", _ID, nullable=False),
        sa.Column("ended_by", _ID),
        sa.ForeignKeyConstraint(
            ["identity_id"], ["identity.id"], name="fk_protection_identity_id_identity"
        ),
        sa.ForeignKeyConstraint(
            ["happening_id"], ["happening.id"], name="fk_protection_happening_id_happening"
        ),
        sa.ForeignKeyConstraint(
            ["ended_by"], ["happening.id"], name="fk_protection_ended_by_happening"
        ),
        postgresql.ExcludeConstraint(
            ("identity_id", "="),
            ("recorded", "&&"),
            using="gist",
            name="ex_protection_identity",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_protection"),
    )
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_table("protection")
    op.drop_table("web_session")
