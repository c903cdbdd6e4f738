"""expand: questions to a large history are answered by indexes

Revision ID: 0022
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None

_OF_HAPPENINGS = ("recorded_at", "cause", "actor", "rule", "rung")
_OF_EVENTS = ("study_instance_uid", "received_study_instance_uid")


def upgrade() -> None:
    op.execute("SET lock_timeout = '5s'")
    for column in _OF_HAPPENINGS:
        op.create_index(f"ix_happening_{column}", "happening", [column])
    for column in _OF_EVENTS:
        op.create_index(f"ix_coercion_event_{column}", "coercion_event", [column])
    op.create_index(
        "ix_coercion_event_time",
        "coercion_event",
        ["recorded_at", "position"],
        postgresql_include=["source"],
    )
    op.drop_index("ix_coercion_event_recorded_at", "coercion_event")
    op.create_index(
        "ix_coercion_event_source_position", "coercion_event", ["source", "position"]
    )
    op.create_index(
        "ix_coercion_event_correct",
        "coercion_event",
        ["position"],
        postgresql_where=sa.text("reason = 'CORRECT'"),
    )
    op.create_index(
        "ix_coercion_event_attributes",
        "coercion_event",
        ["attributes"],
        postgresql_using="gin",
    )


def downgrade() -> None:
    op.create_index(
        "ix_coercion_event_recorded_at", "coercion_event", ["recorded_at", "id"]
    )
    for name in ("attributes", "correct", "source_position", "time", *_OF_EVENTS):
        op.drop_index(f"ix_coercion_event_{name}", "coercion_event")
    for column in _OF_HAPPENINGS:
        op.drop_index(f"ix_happening_{column}", "happening")
