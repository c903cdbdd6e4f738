"""expand: deletions in two steps, tombstones, and erased values of events

Revision ID: 0016
Revises: 0015

What is deleted stays hidden, whoever shows it: a trigger, for many say what is hidden.
Values of events are erased by one function alone, and only where a row says why: the
writer may not delete them otherwise.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_KEY, _ID = sa.Text(collation="C"), postgresql.UUID(as_uuid=True)
_TIME = postgresql.TIMESTAMP(timezone=True)
_NOW = sa.text("clock_timestamp()")
_SINCE = sa.text("tstzrange(clock_timestamp(), NULL)")
_STATES = "'planned', 'confirmed', 'executing', 'executed', 'cancelled'"

GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE ON deletion, deletion_instance, tombstone,
            removed_receipt TO reconcile_writer;
        GRANT SELECT, INSERT ON erasure, erased_event TO reconcile_writer;
        REVOKE UPDATE, DELETE ON erasure, erased_event FROM reconcile_writer;
        REVOKE DELETE ON deletion, deletion_instance, tombstone, removed_receipt
            FROM reconcile_writer;
        GRANT EXECUTE ON FUNCTION erase_values(uuid) TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON deletion, deletion_instance, tombstone, removed_receipt, erasure,
            erased_event TO reconcile_reader;
    END IF;
END $$
"""

# A live tombstone is the last word on whether an instance is given out.
STAYS_HIDDEN = """
CREATE FUNCTION deleted_stays_hidden() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM tombstone g
        WHERE g.sop_instance_uid = NEW.sop_instance_uid
        AND g.uid_domain = NEW.uid_domain AND upper_inf(g.recorded)
    ) THEN
        NEW.hidden := true;
    END IF;
    RETURN NEW;
END $$
"""
ON_INSTANCE = """
CREATE TRIGGER instance_deleted_stays_hidden BEFORE UPDATE OF hidden ON instance
FOR EACH ROW WHEN (NOT NEW.hidden) EXECUTE FUNCTION deleted_stays_hidden()
"""

# As the owner of the history: the one way to its values, and only what an erasure names.
ERASE = """
CREATE FUNCTION erase_values(wanted uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    erased bigint;
BEGIN
    PERFORM set_config('reconcile.erasing', 'on', true);
    DELETE FROM coercion_value v USING erased_event e
    WHERE e.erasure_id = wanted AND v.event_id = e.event_id;
    GET DIAGNOSTICS erased = ROW_COUNT;
    PERFORM set_config('reconcile.erasing', 'off', true);
    RETURN erased;
END $$
"""
APPEND_ONLY = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION history_refuse_change()
"""
NEVER_REMOVED = """
CREATE TRIGGER {table}_never_removed BEFORE DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION history_refuse_change()
"""
_KEPT = ("deletion", "tombstone", "removed_receipt")
_HISTORY = ("erasure", "erased_event")


def _refers(table: str, name: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [name], [f"{target}.id"], name=f"fk_{table}_{name}_{target}"
    )


def _keys(*names: str, null: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, _KEY, nullable=null) for name in names]


def _deletion() -> None:
    op.create_table(
        "deletion",
        sa.Column("id", _ID, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="planned"),
        *_keys("cause", "subject"),
        sa.Column("reason", sa.Text, nullable=False),
        *_keys("planned_by"),
        sa.Column("planned_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("due_at", _TIME),
        sa.Column("happening_id", _ID, nullable=False),
        *_keys("decided_by", null=True),
        sa.Column("decided_at", _TIME),
        sa.Column("decided_in", _ID),
        sa.Column("executed_in", _ID),
        sa.Column("executed_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_deletion"),
        *(
            _refers("deletion", name, "happening")
            for name in ("happening_id", "decided_in", "executed_in")
        ),
        sa.CheckConstraint(f"state IN ({_STATES})", name="ck_deletion_state"),
        sa.CheckConstraint(
            "cause IN ('steward', 'rule', 'iocm')", name="ck_deletion_cause"
        ),
        sa.CheckConstraint(
            "(state = 'executed') = (executed_at IS NOT NULL)", name="ck_deletion_executed"
        ),
    )
    op.create_index(
        "ix_deletion_open",
        "deletion",
        ["id"],
        postgresql_where=sa.text("state IN ('planned', 'confirmed', 'executing')"),
    )
    op.create_table(
        "deletion_instance",
        sa.Column("deletion_id", _ID, nullable=False),
        sa.Column("instance_id", _ID, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.PrimaryKeyConstraint("deletion_id", "instance_id", name="pk_deletion_instance"),
        _refers("deletion_instance", "deletion_id", "deletion"),
        _refers("deletion_instance", "instance_id", "instance"),
        sa.CheckConstraint(
            "outcome IN ('deleted', 'kept', 'cancelled')",
            name="ck_deletion_instance_outcome",
        ),
    )
    op.create_index(
        "uq_deletion_instance_open",
        "deletion_instance",
        ["instance_id"],
        unique=True,
        postgresql_where=sa.text("outcome IS NULL"),
    )
    op.create_index(
        "ix_deletion_instance_instance_id", "deletion_instance", ["instance_id"]
    )


def _tombstone() -> None:
    op.create_table(
        "tombstone",
        sa.Column("id", _ID, nullable=False),
        sa.Column("instance_id", _ID, nullable=False),
        sa.Column("deletion_id", _ID, nullable=False),
        *_keys(
            *("uid_domain", "sop_instance_uid", "sop_class_uid", "series_instance_uid"),
            *("received_series_instance_uid", "study_instance_uid"),
            "received_study_instance_uid",
        ),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("recorded", postgresql.TSTZRANGE, nullable=False, server_default=_SINCE),
        sa.Column("happening_id", _ID, nullable=False),
        sa.Column("ended_by", _ID),
        sa.PrimaryKeyConstraint("id", name="pk_tombstone"),
        _refers("tombstone", "instance_id", "instance"),
        _refers("tombstone", "deletion_id", "deletion"),
        _refers("tombstone", "happening_id", "happening"),
        _refers("tombstone", "ended_by", "happening"),
    )
    op.create_index(
        "uq_tombstone_live",
        "tombstone",
        ["sop_instance_uid", "uid_domain"],
        unique=True,
        postgresql_where=sa.text("upper_inf(recorded)"),
    )
    for name in (
        *("series_instance_uid", "received_series_instance_uid", "study_instance_uid"),
        *("received_study_instance_uid", "deletion_id"),
    ):
        op.create_index(f"ix_tombstone_{name}", "tombstone", [name])
    op.create_table(
        "removed_receipt",
        sa.Column("receipt_id", _ID, nullable=False),
        sa.Column("deletion_id", _ID, nullable=False),
        sa.Column("decided_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("removed_at", _TIME),
        sa.PrimaryKeyConstraint("receipt_id", name="pk_removed_receipt"),
        _refers("removed_receipt", "receipt_id", "receipt"),
        _refers("removed_receipt", "deletion_id", "deletion"),
    )
    op.create_index(
        "ix_removed_receipt_waiting",
        "removed_receipt",
        ["decided_at"],
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index("ix_removed_receipt_deletion_id", "removed_receipt", ["deletion_id"])


def _erasure() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", _ID, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        *_keys("actor"),
        sa.Column("recorded_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("happening_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
        _refers("erasure", "happening_id", "happening"),
    )
    op.create_table(
        "erased_event",
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("erasure_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_erased_event"),
        _refers("erased_event", "event_id", "coercion_event"),
        _refers("erased_event", "erasure_id", "erasure"),
    )
    op.create_index("ix_erased_event_erasure_id", "erased_event", ["erasure_id"])


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    _deletion()
    _tombstone()
    _erasure()
    op.execute(STAYS_HIDDEN)
    op.execute(ON_INSTANCE)
    op.execute(ERASE)
    op.execute("REVOKE ALL ON FUNCTION erase_values(uuid) FROM PUBLIC")
    for table in _KEPT:
        op.execute(NEVER_REMOVED.format(table=table))
    for table in _HISTORY:
        op.execute(APPEND_ONLY.format(table=table))
    op.execute(GRANT)


def downgrade() -> None:
    op.execute("DROP FUNCTION erase_values(uuid)")
    op.execute("DROP TRIGGER instance_deleted_stays_hidden ON instance")
    op.execute("DROP FUNCTION deleted_stays_hidden()")
    for table in (
        *("erased_event", "erasure", "removed_receipt", "tombstone"),
        *("deletion_instance", "deletion"),
    ):
        op.drop_table(table)
