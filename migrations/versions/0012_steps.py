"""expand: requests for storage commitment, performed procedure steps

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = (
    "commitment, performed_step, performed_step_message, step_request,"
    " wrong_entry, series_step"
)
GRANT = f"""
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLES} TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON {TABLES} TO reconcile_reader;
    END IF;
END $$
"""
_KEY, _TIME = sa.Text(collation="C"), postgresql.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")


_ID = postgresql.UUID(as_uuid=True)


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    op.create_table(
        "commitment",
        *_rows("transaction_uid", "source", "association"),
        sa.Column("answer", postgresql.JSONB, nullable=False),
        _time("received_at"),
        sa.PrimaryKeyConstraint("id", name="pk_commitment"),
    )
    op.create_index("ix_commitment_transaction_uid", "commitment", ["transaction_uid"])
    op.create_table(
        "performed_step",
        *_rows("sop_instance_uid", "source"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("said", postgresql.JSONB, nullable=False),
        _time("created_at"),
        _time("changed_at"),
        *_refers("performed_step", happening_id="happening"),
        sa.PrimaryKeyConstraint("id", name="pk_performed_step"),
        sa.UniqueConstraint("sop_instance_uid", name="uq_performed_step_sop_instance_uid"),
        sa.CheckConstraint(
            "state IN ('IN PROGRESS', 'COMPLETED', 'DISCONTINUED')",
            name="ck_performed_step_state",
        ),
    )
    op.create_table(
        "performed_step_message",
        *_rows("transfer_syntax_uid", "source", "association"),
        *_refers("performed_step_message", step_id="performed_step"),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        _time("received_at"),
        sa.PrimaryKeyConstraint("id", name="pk_performed_step_message"),
        sa.CheckConstraint(
            "operation IN ('N-CREATE', 'N-SET')", name="ck_performed_step_message_operation"
        ),
    )
    op.create_index(
        "ix_performed_step_message_step_id", "performed_step_message", ["step_id"]
    )
    _requests()
    op.create_table(
        "wrong_entry",
        *_rows("step_uid", "series_instance_uid"),
        *_recorded("wrong_entry"),
        sa.PrimaryKeyConstraint("id", name="pk_wrong_entry"),
    )
    for name in ("step_uid", "series_instance_uid"):
        op.create_index(f"ix_wrong_entry_{name}", "wrong_entry", [name])
    op.create_table(
        "series_step",
        *_refers("series_step", series_id="series"),
        sa.Column("step_uid", _KEY, nullable=False),
        sa.PrimaryKeyConstraint("series_id", name="pk_series_step"),
    )
    op.create_index("ix_series_step_step_uid", "series_step", ["step_uid"])
    op.execute(GRANT)


def downgrade() -> None:
    for name in reversed(TABLES.split(", ")):
        op.drop_table(name)


def _requests() -> None:
    name = "step_request"
    keys = (
        *("study_instance_uid", "accession_number", "accession_issuer"),
        *("rp_id", "sps_id"),
    )
    op.create_table(
        name,
        *_rows(*keys),
        *_refers(name, step_id="performed_step"),
        *_refers(
            name,
            null=True,
            order_id="imaging_order",
            scheduled_id="scheduled_procedure_step",
        ),
        *_recorded(name),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
    )
    for column in ("step_id", "accession_number", "order_id"):
        op.create_index(f"ix_{name}_{column}", name, [column])
    op.create_index(f"ix_{name}_study", name, ["study_instance_uid"])


def _rows(*keys: str) -> list[Any]:
    """A primary key, and keys that may not be NULL."""
    named = [sa.Column(name, _KEY, nullable=False) for name in keys]
    return [sa.Column("id", _ID, nullable=False), *named]


def _time(name: str) -> Any:
    return sa.Column(name, _TIME, nullable=False, server_default=_NOW)


def _refers(table: str, *, null: bool = False, **targets: str) -> list[Any]:
    found: list[Any] = []
    for name, target in targets.items():
        found.append(sa.Column(name, _ID, nullable=null))
        constraint = f"fk_{table}_{name}_{target}"
        found.append(sa.ForeignKeyConstraint([name], [f"{target}.id"], name=constraint))
    return found


def _recorded(table: str) -> list[Any]:
    """Since when, by what and until when a row is held to be true."""
    since = sa.text("tstzrange(clock_timestamp(), NULL)")
    return [
        sa.Column("recorded", postgresql.TSTZRANGE, nullable=False, server_default=since),
        *_refers(table, happening_id="happening"),
        *_refers(table, null=True, ended_by="happening"),
    ]
