"""expand: merges and their undoing, filing, forms, links, remembered resolutions, outbox

Revision ID: 0006
Revises: 0005

New columns may be NULL or have a default, and new tables are empty: 0007 fills them. A
program of before this revision files no series; 0007 does once more what is missing.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = (
    "series_filing",
    "series_form",
    "series_assignment",
    "not_same",
    "identifier_link",
    "resolution",
    "message_subject",
    "notification",
    "duplicate_suggestion",
)
# (table, column, where it refers to, whether it is indexed)
REFERENCES = (
    ("identity", "closed_by", "happening", False),
    ("identity", "ended_by", "happening", False),
    ("identity_link", "ended_by", "happening", False),
    ("merge_edge", "prior_identity_id", "identity", True),
    ("merge_edge", "surviving_identity_id", "identity", False),
    ("merge_edge", "ended_by", "happening", False),
    ("demographics", "identity_id", "identity", True),
    ("demographics", "ended_by", "happening", False),
    ("study_order", "ended_by", "happening", False),
    ("series", "filed_identity_id", "identity", True),
    ("series", "filed_by", "happening", False),
    ("uid_map", "ended_by", "happening", False),
    ("message", "waits_for", "message", True),
)
_KEY, _AT = sa.Text(collation="C"), postgresql.TIMESTAMP(timezone=True)
# (table, column, type, default where it may not be NULL, whether it is indexed)
COLUMNS = (
    ("merge_edge", "source", _KEY, None, False),
    ("merge_edge", "said_at", _AT, None, False),
    ("message", "said_at", _AT, None, False),
    ("imaging_order", "visit_number", _KEY, None, True),
    ("imaging_order", "account_number", _KEY, None, True),
    ("study", "used_at", _AT, None, False),
    ("instance", "as_received", sa.Boolean, "false", False),
    ("hold", "resolution", postgresql.JSONB, None, False),
    ("hold", "told_at", _AT, None, False),
    ("hold", "told", sa.Integer, "0", False),
)
GRANT = f"""
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_writer') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON {", ".join(TABLES)} TO reconcile_writer;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'reconcile_reader') THEN
        GRANT SELECT ON {", ".join(TABLES)} TO reconcile_reader;
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    for table, column, target, indexed in REFERENCES:
        op.add_column(table, sa.Column(column, postgresql.UUID(as_uuid=True)))
        _refers(table, column, target, indexed=indexed)
    for table, column, kind, default, indexed in COLUMNS:
        null = default is None
        op.add_column(table, sa.Column(column, kind, nullable=null, server_default=default))
        if indexed:
            op.create_index(f"ix_{table}_{column}", table, [column])
    _series_received("identity_id", "held", "filed_by")
    _filing()
    _links()
    _resolution()
    _messages()
    _suggestions()
    op.execute(GRANT)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    _series_received("identity_id", "held")
    for table, column, *_ in reversed(COLUMNS):
        op.drop_column(table, column)
    for table, column, _, _ in reversed(REFERENCES):
        op.drop_column(table, column)


def _series_received(*columns: str) -> None:
    op.drop_index("uq_series_received", "series")
    op.create_index(
        "uq_series_received",
        "series",
        ["study_id", "received_series_instance_uid", *columns],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )


def _refers(table: str, column: str, target: str, *, indexed: bool = False) -> None:
    name = f"fk_{table}_{column}_{target}"
    op.create_foreign_key(name, table, target, [column], ["id"])
    if indexed:
        op.create_index(f"ix_{table}_{column}", table, [column])


def _id() -> sa.Column[Any]:
    return sa.Column("id", postgresql.UUID(as_uuid=True), nullable=False)


def _uuid(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, postgresql.UUID(as_uuid=True), nullable=null)


def _key(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(collation="C"), nullable=null)


def _time(name: str, *, null: bool = False) -> sa.Column[Any]:
    default = None if null else sa.text("clock_timestamp()")
    kind = postgresql.TIMESTAMP(timezone=True)
    return sa.Column(name, kind, nullable=null, server_default=default)


def _recorded() -> sa.Column[Any]:
    now = sa.text("tstzrange(clock_timestamp(), NULL)")
    return sa.Column("recorded", postgresql.TSTZRANGE, nullable=False, server_default=now)


def _table(
    name: str, *columns: sa.Column[Any], refers: tuple[tuple[str, str, bool], ...]
) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint("id", name=f"pk_{name}"))
    for column, target, indexed in refers:
        _refers(name, column, target, indexed=indexed)


def _filing() -> None:
    _table(
        "series_filing",
        _id(),
        _uuid("series_id"),
        _uuid("identity_id", null=True),
        _key("held", null=True),
        _recorded(),
        _uuid("happening_id"),
        refers=(
            ("series_id", "series", True),
            ("identity_id", "identity", True),
            ("happening_id", "happening", True),
        ),
    )
    op.create_table(
        "series_form",
        _uuid("series_id"),
        _uuid("assignment_id"),
        sa.Column("stored_revision", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(
            "series_id", "assignment_id", "stored_revision", name="pk_series_form"
        ),
    )
    _refers("series_form", "series_id", "series")
    _refers("series_form", "assignment_id", "assignment")
    _table(
        "series_assignment",
        _id(),
        _uuid("series_id"),
        _uuid("event_id"),
        _uuid("assignment_id"),
        sa.Column("revision", sa.Integer, nullable=False),
        _time("coerced_at"),
        _recorded(),
        _uuid("happening_id"),
        refers=(
            ("series_id", "series", True),
            ("event_id", "coercion_event", True),
            ("assignment_id", "assignment", False),
            ("happening_id", "happening", True),
        ),
    )


def _links() -> None:
    _table(
        "not_same",
        _id(),
        _uuid("one_id"),
        _uuid("other_id"),
        _key("actor"),
        _recorded(),
        _uuid("happening_id"),
        _uuid("ended_by", null=True),
        refers=(
            ("one_id", "person", True),
            ("other_id", "person", True),
            ("happening_id", "happening", False),
            ("ended_by", "happening", False),
        ),
    )
    op.create_check_constraint("order", "not_same", "one_id < other_id")
    op.create_exclude_constraint(
        "ex_not_same_pair",
        "not_same",
        ("one_id", "="),
        ("other_id", "="),
        ("recorded", "&&"),
        using="gist",
    )
    sides = ("one_domain", "one_value", "other_domain", "other_value")
    _table(
        "identifier_link",
        _id(),
        *(_key(name) for name in (*sides, "source")),
        _time("said_at"),
        _recorded(),
        _uuid("happening_id"),
        _uuid("ended_by", null=True),
        refers=(("happening_id", "happening", False), ("ended_by", "happening", False)),
    )
    order = "(one_domain, one_value) < (other_domain, other_value)"
    op.create_check_constraint("order", "identifier_link", order)
    op.create_exclude_constraint(
        "ex_identifier_link_pair",
        "identifier_link",
        *((side, "=") for side in sides),
        ("recorded", "&&"),
        using="gist",
    )
    for side in ("one", "other"):
        op.create_index(
            f"ix_identifier_link_{side}",
            "identifier_link",
            [f"{side}_domain", f"{side}_value"],
        )


def _resolution() -> None:
    _table(
        "resolution",
        _id(),
        _uuid("study_id"),
        _key("source"),
        sa.Column("header", sa.LargeBinary, nullable=False),
        _uuid("identity_id"),
        _recorded(),
        _time("expires_at", null=True),
        _uuid("happening_id"),
        _uuid("ended_by", null=True),
        refers=(
            ("study_id", "study", False),
            ("identity_id", "identity", False),
            ("happening_id", "happening", True),
            ("ended_by", "happening", False),
        ),
    )
    op.create_exclude_constraint(
        "ex_resolution_header",
        "resolution",
        ("study_id", "="),
        ("source", "="),
        ("header", "="),
        ("recorded", "&&"),
        using="gist",
    )
    op.create_index("ix_resolution_study", "resolution", ["study_id", "source", "header"])


def _messages() -> None:
    op.create_table(
        "message_subject",
        _uuid("message_id"),
        _key("domain"),
        _key("value"),
        sa.PrimaryKeyConstraint("message_id", "domain", "value", name="pk_message_subject"),
    )
    _refers("message_subject", "message_id", "message")
    op.create_index("ix_message_subject_identifier", "message_subject", ["domain", "value"])
    _table(
        "notification",
        _id(),
        _key("kind"),
        _key("target"),
        _uuid("hold_id", null=True),
        _uuid("study_id", null=True),
        _uuid("happening_id", null=True),
        sa.Column("body", postgresql.JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        _time("created_at"),
        _time("next_at"),
        _time("settled_at", null=True),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        _key("about"),
        refers=(
            ("hold_id", "hold", False),
            ("study_id", "study", False),
            ("happening_id", "happening", False),
        ),
    )
    op.create_unique_constraint(
        "uq_notification_target_kind_about", "notification", ["target", "kind", "about"]
    )
    states = "state IN ('waiting', 'sent', 'given-up')"
    op.create_check_constraint("state", "notification", states)
    op.create_index(
        "ix_notification_next_at",
        "notification",
        ["next_at"],
        postgresql_where=sa.text("state = 'waiting'"),
    )


def _suggestions() -> None:
    _table(
        "duplicate_suggestion",
        _id(),
        _uuid("one_id"),
        _uuid("other_id"),
        sa.Column("bits", sa.Float, nullable=False),
        sa.Column("reasons", postgresql.JSONB, nullable=False, server_default="[]"),
        sa.Column("state", sa.Text, nullable=False, server_default="open"),
        _time("found_at"),
        _time("settled_at", null=True),
        _key("settled_by", null=True),
        refers=(("one_id", "person", True), ("other_id", "person", True)),
    )
    op.create_check_constraint("order", "duplicate_suggestion", "one_id < other_id")
    states = "state IN ('open', 'settled')"
    op.create_check_constraint("state", "duplicate_suggestion", states)
    op.create_unique_constraint(
        "uq_duplicate_suggestion_one_id_other_id",
        "duplicate_suggestion",
        ["one_id", "other_id"],
    )
