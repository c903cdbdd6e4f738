"""A step that was discontinued because the wrong worklist entry had been selected.

What it said of its order is evidence no more. Its series are held, those that are here
and those that come: whatever their headers say of the patient was taken from the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

from reconcile.core import performed as core
from reconcile.core.attributes import Element, Tag
from reconcile.core.coercion import Outcome
from reconcile.core.performed import StepState
from reconcile.db import (
    evidence,
    filed,
    holds,
    orders,
    performed,
    studies,
    wrong_entries,
)
from reconcile.db.database import lock
from reconcile.db.wrong_entries import OfStep
from reconcile.flows.arriving import IDENTITY_TAGS, Moment
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.restate import Restate

CODE = Outcome.WRONG_WORKLIST_ENTRY.value


@dataclass(frozen=True, slots=True)
class WrongEntry:
    """Holds the series of a step."""

    kept: KeptArrivals

    def settle(self, moment: Moment, row: Any, said: Mapping[Tag, Element]) -> None:
        """It is evidence no more; what is here of it is held, and what will come."""
        connection, happening_id = moment.connection, moment.happening_id
        uids = performed.study_uids(connection, row.id)
        lock(connection, [("study", "", uid) for uid in uids], shared=False)
        series_uids = core.series_uids(said)
        wrong_entries.say(connection, row.sop_instance_uid, series_uids, happening_id)
        for order_id in performed.begun_orders(connection, row.id):
            orders.move_on(connection, order_id, StepState.DISCONTINUED)
        wrong_entries.end_requests(connection, row.id, happening_id)
        evidence.raise_named(connection, {evidence.study_uid(uid) for uid in uids})
        found = wrong_entries.series_of(connection, row.sop_instance_uid, series_uids)
        for study_id, series in groupby(found, lambda each: each.study_id):
            self._hold(moment, study_id, list(series))
        wrong_entries.unclaim(connection, uids, happening_id)

    def _hold(self, moment: Moment, study_id: UUID, series: list[OfStep]) -> None:
        connection, rules = moment.connection, self.kept.recording.rules
        filed.locked(connection, [study_id])
        whose = {each.id: each for each in filed.series_of(connection, [study_id])}
        for each in series:
            filed.file_series(
                connection,
                each.id,
                identity_id=None,
                held=CODE,
                happening_id=moment.happening_id,
            )
            source = self.kept.source(each.source)
            if rules.hides(CODE) or not source.coerce:
                wrong_entries.hide(connection, [each.id])
            else:
                studies.held_id(connection, study_id)
            known = whose[each.id].received
            item = holds.Item(
                "hold",
                CODE,
                str(known.identifier) if known else "",
                each.source,
                study_id,
                received={t: e for t, e in each.elements.items() if t in IDENTITY_TAGS},
            )
            item_id = holds.open_item(connection, item, moment.happening_id)
            wrong_entries.add_receipts(connection, item_id, [each.id])
        evidence.raise_study(connection, study_id)
        Restate(rules).studies(moment, [study_id], "CORRECT")
