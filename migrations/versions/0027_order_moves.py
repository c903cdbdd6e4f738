"""expand: under whom an order was, so that moving it can be taken back

Revision ID: 0027
Revises: 0026
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE ON order_move TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON order_move TO reconcile_reader;
    END IF;
END $$
"""
_ID = postgresql.UUID(as_uuid=True)
_NOW = sa.text("tstzrange(clock_timestamp(), NULL)")


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "order_move",
        sa.Column("id", _ID, nullable=False),
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("identity_id", _ID, nullable=False),
        sa.Column("recorded", postgresql.TSTZRANGE(), server_default=_NOW, nullable=False),
        sa.Column("happening_id", _ID, nullable=False),
        sa.Column("ended_by", _ID, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_order_move"),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=f"fk_order_move_{column}_{table}"
            )
            for column, table in (
                ("order_id", "imaging_order"),
                ("identity_id", "identity"),
                ("happening_id", "happening"),
                ("ended_by", "happening"),
            )
        ),
        postgresql.ExcludeConstraint(
            (sa.column("order_id"), "="),
            (sa.column("recorded"), "&&"),
            using="gist",
            name="ex_order_move_identity",
        ),
    )
    op.create_index("ix_order_move_happening_id", "order_move", ["happening_id"])
    op.create_index("ix_order_move_ended_by", "order_move", ["ended_by"])
    op.execute(GRANT)


def downgrade() -> None:
    op.drop_table("order_move")
