"""What was said of two persons or identities besides a merge: not the same, or linked."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, Table
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

# A person's word that two are not one: it blocks merges and suggestions until it is
# taken back. The lesser id first.
not_same = Table(
    "not_same",
    metadata,
    identifier(),
    refers("one_id", "person", index=True),
    refers("other_id", "person", index=True),
    key("actor"),
    recorded(),
    happened(),
    ended(),
    CheckConstraint("one_id < other_id", name="order"),
    ExcludeConstraint(
        ("one_id", "="),
        ("other_id", "="),
        ("recorded", "&&"),
        using="gist",
        name="ex_not_same_pair",
    ),
)

# A24: kept by name, since it may come before either patient does. It moves nothing.
identifier_link = Table(
    "identifier_link",
    metadata,
    identifier(),
    key("one_domain"),
    key("one_value"),
    key("other_domain"),
    key("other_value"),
    key("source"),
    at("said_at"),
    recorded(),
    happened(),
    ended(),
    CheckConstraint("(one_domain, one_value) < (other_domain, other_value)", name="order"),
    ExcludeConstraint(
        ("one_domain", "="),
        ("one_value", "="),
        ("other_domain", "="),
        ("other_value", "="),
        ("recorded", "&&"),
        using="gist",
        name="ex_identifier_link_pair",
    ),
    Index("ix_identifier_link_one", "one_domain", "one_value"),
    Index("ix_identifier_link_other", "other_domain", "other_value"),
)
