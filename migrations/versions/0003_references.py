"""expand: references that wait, later assignments, and which arrival an event is about

Revision ID: 0003
Revises: 0002

New columns may be NULL and new tables are empty: a program of before this revision keeps
working beside them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON unmet_reference, later_assignment
            TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON unmet_reference, later_assignment TO reconcile_reader;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.add_column("coercion_event", sa.Column("receipt_id", postgresql.UUID(as_uuid=True)))
    op.create_foreign_key(
        "fk_coercion_event_receipt_id_receipt",
        "coercion_event",
        "receipt",
        ["receipt_id"],
        ["id"],
    )
    _unmet_reference()
    _later_assignment()
    op.execute(GRANT)


def _unmet_reference() -> None:
    op.create_table(
        "unmet_reference",
        sa.Column("receipt_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("context_uid", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(collation="C"), nullable=False),
        sa.Column("uid_domain", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["receipt_id"], ["receipt.id"], name="fk_unmet_reference_receipt_id_receipt"
        ),
        sa.PrimaryKeyConstraint(
            "receipt_id", "context_uid", "uid", name="pk_unmet_reference"
        ),
    )
    op.create_index("ix_unmet_reference_uid", "unmet_reference", ["uid", "uid_domain"])


def _later_assignment() -> None:
    op.create_table(
        "later_assignment",
        sa.Column("id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("receipt_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("event_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("assignment_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column(
            "coerced_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column(
            "recorded",
            postgresql.TSTZRANGE(),
            server_default=sa.text("tstzrange(clock_timestamp(), NULL)"),
            nullable=False,
        ),
        sa.Column("happening_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_later_assignment"),
    )
    for column, target in (
        ("receipt_id", "receipt"),
        ("event_id", "coercion_event"),
        ("assignment_id", "assignment"),
        ("happening_id", "happening"),
    ):
        op.create_foreign_key(
            f"fk_later_assignment_{column}_{target}",
            "later_assignment",
            target,
            [column],
            ["id"],
        )
    for column in ("receipt_id", "event_id"):
        op.create_index(f"ix_later_assignment_{column}", "later_assignment", [column])


def downgrade() -> None:
    op.drop_table("later_assignment")
    op.drop_table("unmet_reference")
    op.drop_constraint("fk_coercion_event_receipt_id_receipt", "coercion_event")
    op.drop_column("coercion_event", "receipt_id")
