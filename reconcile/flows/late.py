"""What was stored before what it names: coerced when that comes.

A key object selection may arrive before the study that it points to. When the study
comes, and is given out under another UID, the selection is given out pointing there, by
an event of its own in the transaction that mapped the study.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.attributes import Follow
from reconcile.core.audit import Values
from reconcile.dataset.facts import Received
from reconcile.dataset.keywords import keywords
from reconcile.dataset.originals import Coercion
from reconcile.dataset.overlay import Plan, original_attributes_item, plan
from reconcile.db import events, stored, unresolved, views_instances
from reconcile.db.database import Row
from reconcile.db.unresolved import Met
from reconcile.db.views_instances import Holding
from reconcile.flows.arriving import Moment
from reconcile.flows.retrieve import BytesMissing, RetrieveFlow
from reconcile.flows.rules import Rules

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LateReferences:
    """Lets what waited for a study or a series follow it."""

    retrieve: RetrieveFlow
    rules: Rules

    def settle(self, moment: Moment, met: Iterable[tuple[Met, str]]) -> None:
        """Coerce the references of arrivals; each with the UID as assigned."""
        wanted: dict[UUID, set[tuple[str, str, str]]] = {}
        for one, assigned in met:
            if assigned != one.uid:
                place = (one.context, one.uid, assigned)
                wanted.setdefault(one.receipt_id, set()).add(place)
        for receipt_id in sorted(wanted):
            self._follow(moment, receipt_id, Follow(tuple(sorted(wanted[receipt_id]))))

    def _follow(self, moment: Moment, receipt_id: UUID, follow: Follow) -> None:
        row = unresolved.waiting(moment.connection, receipt_id)
        found = views_instances.holding_of(moment.connection, receipt_id)
        if row is None or found is None:
            return  # replaced since, or held: it is decided again when that ends
        try:
            with self.retrieve.state(found) as state:
                made = plan(state, (follow,))
                if made.changes:
                    self._record(moment, row, found, state, made, follow)
        except BytesMissing:  # doctor tells; it must not keep another instance out
            log.error("reference not followed, no bytes: receipt=%s", receipt_id)

    def _record(
        self,
        moment: Moment,
        row: Row,
        found: Holding,
        state: Received,
        made: Plan,
        follow: Follow,
    ) -> None:
        system, source = self.rules.modifying_system, found.kept.source
        coercion = Coercion((follow,), moment.now, system, source, "COERCE")
        item = original_attributes_item(made, coercion)
        event = events.InstanceEvent(
            moment.happening_id,
            row.id,
            found.kept.receipt_id,
            row.study_id,
            row.person_id,
            "COERCE",
            source,
            row.sop_instance_uid,
            row.series_instance_uid,
            row.study_instance_uid,
            _received_study(state),
            keywords(at.tags(made.changes)),
            moment.now,
        )
        values = Values(_patient(state), item, made.new, tuple(made.absent))
        unresolved.assign_later(
            moment.connection,
            receipt_id=found.kept.receipt_id,
            event_id=events.record(moment.connection, event, values),
            assignment_id=stored.assignment(
                moment.connection,
                assigns=(follow,),
                modifying_system=system,
                source=source,
                reason="COERCE",
            ),
            coerced_at=moment.now,
            happening_id=moment.happening_id,
        )


def _received_study(state: Received) -> str:
    raw = state.header.raw(int(at.STUDY_INSTANCE_UID, 16))
    return bytes(raw.value).decode("ascii", "replace").strip(" \0") if raw else ""


def _patient(state: Received) -> dict[str, str] | None:
    patient = at.text(state.element(at.PATIENT_ID))
    issuer = at.text(state.element(at.ISSUER_OF_PATIENT_ID))
    return {"id": patient, "issuer": issuer} if patient else None
