"""What the header of a series' first instance said: what questions about studies ask for.

Written once, with the series, and never changed: it is as received. Whose the series is
now, and what its instances are given out with, stands elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Index, Table, text
from sqlalchemy.dialects import postgresql

from reconcile.core.attributes import Element, Tag
from reconcile.core.matchkeys import searched
from reconcile.db.prepared import Prepared
from reconcile.db.tables import demographics, key, metadata

series_header = Table(
    "series_header",
    metadata,
    Column(
        "series_id",
        postgresql.UUID(as_uuid=True),
        ForeignKey("series.id"),
        primary_key=True,
    ),
    # What is searched by, in one spelling; empty: not said, or no date, or too long.
    key("study_date"),
    key("accession_number", index=True),
    key("searched_name", index=True),
    key("birth_date", index=True),
    key("modality"),
    # The elements themselves, by tag, in the DICOM JSON model.
    Column("elements", postgresql.JSONB, nullable=False),
    # The newest first is the order of every answer.
    Index("ix_series_header_study_date", "study_date", "series_id"),
)

#: How a name of the index is searched: `core.matchkeys.searched`, as PostgreSQL says it.
#: It keeps of a name what is ASCII once marks are parted from their letters, and of that
#: the beginning: an index holds no more.
SEARCHED_NAME = (
    "\"left\"(ltrim(lower(regexp_replace(NORMALIZE((said #>> '{name,alphabetic}'::text[])"
    " COLLATE \"C\", NFKD), '[^ -~]'::text, ''::text, 'g'::text))), 256)"
)
Index("ix_demographics_searched_name", text(f"({SEARCHED_NAME})"), _table=demographics)

#: An SH has 16 characters, a DA 8; what is longer by far must not fill an index.
_SEARCHED_CHARACTERS_MAX = 64
_NAME_CHARACTERS_MAX = 256
_ELEMENT_CHARACTERS_MAX = 8192


@dataclass(frozen=True, slots=True)
class Searched:
    """What a series is found by, beside what it hangs on."""

    study_date: str
    accession_number: str
    alphabetic_name: str
    birth_date: str
    modality: str


def keep(
    connection: Any, series_id: UUID, by: Searched, elements: Mapping[Tag, Element]
) -> None:
    """Remember the header of a series; one that is known is left alone."""
    _KEEP(
        connection,
        series_id=series_id,
        study_date=_short(by.study_date),
        accession_number=_short(by.accession_number),
        searched_name=searched(by.alphabetic_name)[:_NAME_CHARACTERS_MAX],
        birth_date=_short(by.birth_date),
        modality=_short(by.modality),
        elements=json.dumps(_sayable(elements)),
    )


_KEEP = Prepared(
    lambda: text("""
INSERT INTO series_header (series_id, study_date, accession_number, searched_name,
    birth_date, modality, elements)
VALUES (CAST(:series_id AS uuid), :study_date, :accession_number, :searched_name,
    :birth_date, :modality, CAST(:elements AS jsonb))
ON CONFLICT DO NOTHING
""")
)


def _short(value: str) -> str:
    plain = value.replace("\0", "")
    return plain if len(plain) <= _SEARCHED_CHARACTERS_MAX else ""


def _sayable(elements: Mapping[Tag, Element]) -> dict[Tag, Any]:
    """Without what is too long to be shown, and without NUL, which JSONB cannot hold."""
    said = {tag: without_nul(element) for tag, element in elements.items()}
    return {
        tag: element
        for tag, element in said.items()
        if len(json.dumps(element)) <= _ELEMENT_CHARACTERS_MAX
    }


def without_nul(value: Any) -> Any:
    """The same without NUL, which JSONB cannot hold."""
    if isinstance(value, Mapping):
        return {name: without_nul(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [without_nul(held) for held in value]
    return value.replace("\0", "") if isinstance(value, str) else value
