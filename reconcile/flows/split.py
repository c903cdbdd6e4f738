"""A study whose series are of two patients is a question for a person."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import Any
from uuid import UUID

from reconcile.db import filed, holds
from reconcile.flows.arriving import Moment

SPLIT = "STUDY-IDENTITY-SPLIT"


def flag_split(moment: Moment, study_ids: Collection[UUID]) -> None:
    """Open an item for each study that has series of two persons; nothing is held."""
    found = filed.series_of(moment.connection, sorted(study_ids))
    for study_id, series in groupby(found, lambda each: each.study_id):
        persons = {each.person_id for each in series if each.person_id and not each.held}
        if len(persons) > 1:
            candidates: list[dict[str, Any]] = [
                {"patient": str(p), "identifiers": [], "bits": None, "reasons": []}
                for p in sorted(persons)
            ]
            item = holds.Item("review", SPLIT, study_id=study_id, candidates=candidates)
            holds.open_item(moment.connection, item, moment.happening_id)
