"""Under whom series are filed now, and what their instances are given out with since.

A series keeps for ever the identity that it was received under. Where somebody decided
otherwise, a row of `series_filing` says so; the newest live one holds, and an undo only
strikes it out. What changes for images that are stored already is one event per study,
and a row of `series_assignment` per series: it applies to the instances that were stored
before the revision that it made.

Forms are what instances of a series were stored as: few, however many there are.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table
from sqlalchemy.dialects import postgresql

from reconcile.db.tables import (
    at,
    happened,
    identifier,
    key,
    metadata,
    recorded,
    refers,
)

series_filing = Table(
    "series_filing",
    metadata,
    identifier(),
    refers("series_id", "series", index=True),
    # NULL: under nobody, while it is held.
    refers("identity_id", "identity", null=True, index=True),
    key("held", null=True),
    recorded(),
    happened(),
    Index("ix_series_filing_happening_id", "happening_id"),
)

# Every pair of (what was to be assigned, revision of the study) that instances of a
# series were stored with, in whichever of them it really changed something.
series_form = Table(
    "series_form",
    metadata,
    Column(
        "series_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("series.id"),
        primary_key=True,
    ),
    Column(
        "assignment_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("assignment.id"),
        primary_key=True,
    ),
    Column("stored_revision", Integer, primary_key=True),
)

series_assignment = Table(
    "series_assignment",
    metadata,
    identifier(),
    refers("series_id", "series", index=True),
    refers("event_id", "coercion_event", index=True),
    refers("assignment_id", "assignment"),
    # Of the study, as this made it: instances stored at it or later have it in themselves.
    Column("revision", Integer, nullable=False),
    at("coerced_at"),
    recorded(),
    happened(),
    Index("ix_series_assignment_happening_id", "happening_id"),
)
