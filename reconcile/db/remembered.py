"""What a person decided of a held study, for what comes later with the same header."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from reconcile.db.tables import (
    at,
    ended,
    happened,
    identifier,
    key,
    metadata,
    recorded,
    refers,
)

resolution = Table(
    "resolution",
    metadata,
    identifier(),
    refers("study_id", "study"),
    key("source"),
    # SHA-256 of what the header says of the patient and the order.
    Column("header", LargeBinary, nullable=False),
    refers("identity_id", "identity"),
    recorded(),
    # Nothing is decided by it any more from then on; NULL: for ever.
    at("expires_at", null=True),
    happened(),
    ended(),
    # One word of a person holds at a time.
    ExcludeConstraint(
        ("study_id", "="),
        ("source", "="),
        ("header", "="),
        ("recorded", "&&"),
        using="gist",
        name="ex_resolution_header",
    ),
    Index("ix_resolution_study", "study_id", "source", "header"),
    Index("ix_resolution_happening_id", "happening_id"),
)
