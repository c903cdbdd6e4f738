"""A study whose series are of two patients is a question for a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any
from uuid import UUID

from reconcile.db import filed, holds
from reconcile.db.database import Connection
from reconcile.flows.arriving import Moment

SPLIT = "STUDY-IDENTITY-SPLIT"


def flag_split(moment: Moment, study_ids: Collection[UUID]) -> None:
    """Open an item for each study that has series of two persons; nothing is held."""
    _flag(moment.connection, moment.happening_id, study_ids)


def flag_split_of(
    connection: Connection, happening_id: UUID, person_ids: Iterable[UUID]
) -> None:
    """The same for all studies of surviving persons who were one, or had one ID."""
    study_ids = filed.studies_of(connection, sorted(set(person_ids)))
    _flag(connection, happening_id, study_ids)


def _flag(connection: Connection, happening_id: UUID, study_ids: Collection[UUID]) -> None:
    found = filed.series_of(connection, sorted(study_ids))
    for study_id, series in groupby(found, lambda each: each.study_id):
        persons = {each.person_id for each in series if each.person_id and not each.held}
        if len(persons) > 1:
            candidates: list[dict[str, Any]] = [
                {"patient": str(p), "identifiers": [], "bits": None, "reasons": []}
                for p in sorted(persons)
            ]
            item = holds.Item("review", SPLIT, study_id=study_id, candidates=candidates)
            holds.open_item(connection, item, happening_id)
