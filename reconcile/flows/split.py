"""A study whose series are of two patients is a question for a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
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


def close_healed(moment: Moment, study_ids: Collection[UUID], actor: str) -> None:
    """Ask no more of studies that are one person's again, where only an undo had asked."""
    connection = moment.connection
    split = {study_id for study_id, persons in _whose(connection, study_ids) if persons > 1}
    for item in holds.asked_by_undo(connection, SPLIT, sorted(set(study_ids) - split)):
        told = holds.answered_by(moment.happening_id)
        holds.close(connection, item, actor, moment.now, told)


def _whose(
    connection: Connection, study_ids: Collection[UUID]
) -> Iterator[tuple[UUID, int]]:
    """(study, to how many persons its series belong)."""
    found = filed.series_of(connection, sorted(study_ids))
    for study_id, series in groupby(found, lambda each: each.study_id):
        yield study_id, len({e.person_id for e in series if e.person_id and not e.held})


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
