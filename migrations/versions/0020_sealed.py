"""expand: the seal over the history, whose values were erased, and who read it

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLES = (
    "seal_leaf",
    "seal_happening",
    "seal_checkpoint",
    "seal_anchor",
    "audit_reading",
)
TRIGGER = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION history_refuse_change()
"""
GRANT = f"""
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT ON {", ".join(TABLES)} TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON {", ".join(TABLES)} TO reconcile_reader;
    END IF;
END $$
"""
_KEY, _TIME = sa.Text(collation="C"), postgresql.TIMESTAMP(timezone=True)
_ID, _NOW = postgresql.UUID(as_uuid=True), sa.text("clock_timestamp()")


class Xid8(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    _seal()
    op.create_table(
        "audit_reading",
        sa.Column("id", _ID, nullable=False),
        sa.Column("read_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("actor", _KEY, nullable=False),
        sa.Column("door", _KEY, nullable=False),
        sa.Column("what", _KEY, nullable=False),
        sa.Column("asked", postgresql.JSONB, nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_reading"),
    )
    for table in TABLES:
        op.execute(TRIGGER.format(table=table))
    op.execute(GRANT)


def _seal() -> None:
    op.create_table(
        "seal_leaf",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_seal_leaf"),
        sa.UniqueConstraint("event_id", name="uq_seal_leaf_event_id"),
        sa.CheckConstraint("number > 0", name=op.f("ck_seal_leaf_number")),
        sa.CheckConstraint(
            "octet_length(hash) = 32", name=op.f("ck_seal_leaf_hash_length")
        ),
    )
    op.create_table(
        "seal_happening",
        sa.Column("happening_id", _ID, nullable=False),
        sa.Column("body_version", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("happening_id", name="pk_seal_happening"),
    )
    op.create_table(
        "seal_checkpoint",
        sa.Column("size", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("watermark", Xid8(), nullable=False),
        sa.Column("sealed_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("size", name="pk_seal_checkpoint"),
        sa.CheckConstraint(
            "octet_length(root) = 32", name=op.f("ck_seal_checkpoint_root_length")
        ),
    )
    op.create_table(
        "seal_anchor",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("cluster", _KEY, nullable=False),
        sa.Column("watermark", Xid8(), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("anchored_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name="pk_seal_anchor"),
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
