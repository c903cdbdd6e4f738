"""Everything that follows from a change of who is who, or of what was ordered.

One transaction with the change: held series that it explains are released, what is
given out is said anew, and what wanted one's eye and is settled by it is closed. Nothing
waits for a background job to become true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.corroborate import corroborate
from reconcile.core.facts import PersonFacts
from reconcile.core.identity import Demographics, Domain, PersonName
from reconcile.dataset.originals import Reason
from reconcile.db import evidence, filed, holds, persons
from reconcile.db.evidence import Named
from reconcile.flows.again import Again
from reconcile.flows.arriving import Moment
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.late_orders import LateOrders
from reconcile.flows.performed import PerformedFlow
from reconcile.flows.restate import Restate
from reconcile.flows.rules import Rules

#: Reviews that say how a header differs from what is known of its person.
_BY_GATE = frozenset({"NAME-CHANGE", "DOB-TRANSPOSED", "SEX-MISMATCH"})
#: Reviews of somebody whom no feed had spoken of.
_OF_PROVISIONAL = frozenset({"PROVISIONAL", "NEAR-MISS"})


@dataclass(frozen=True, slots=True)
class Reach:
    """Lets a change reach what is stored; `kept`: opens held arrivals, where it can."""

    rules: Rules
    kept: KeptArrivals | None = None

    def persons(
        self,
        moment: Moment,
        person_ids: Iterable[UUID],
        *,
        by: str = "",
        names: Iterable[Named] = (),
        order_ids: Iterable[UUID] = (),
        reason: Reason = "COERCE",
    ) -> tuple[UUID, ...]:
        """What is known of surviving persons has changed; the studies that it changes.

        Args:
            moment: of the change.
            person_ids: all that it concerns, the former owners too.
            by: who is said to have closed what closes; empty: the archive.
            names: what else the change made or changed, as headers name it.
            order_ids: orders that came or changed.
            reason: (0400,0565).
        """
        wanted = sorted(set(person_ids))
        known = persons.facts(moment.connection, wanted, self.rules.archive_domain)
        released: set[UUID] = set()
        if self.kept is not None:
            said = {evidence.identifier(i) for p in known.values() for i in p.identifiers}
            released = Again(self.kept).named(moment, said | set(names), by)
            for order_id in order_ids:
                PerformedFlow(self.kept).settle(moment, order_id)
                released |= LateOrders(self.kept).settle(moment, order_id)
        studies = filed.studies_of(moment.connection, wanted)
        self._close_reviews(moment, studies, known, by)
        return Restate(self.rules).studies(moment, released | set(studies), reason)

    def _close_reviews(
        self,
        moment: Moment,
        study_ids: list[UUID],
        known: Mapping[str, PersonFacts],
        by: str,
    ) -> None:
        if not study_ids:
            return
        reviews = holds.open_reviews(moment.connection, study_ids)
        if not reviews:
            return
        series = filed.series_of(moment.connection, study_ids)
        owners = {each.study_id: str(each.person_id) for each in series if not each.held}
        for row in reviews:
            person = known.get(owners.get(row.study_id, ""))
            if person is not None and self._is_settled(row, person):
                told = holds.answered_by(moment.happening_id)
                holds.close(moment.connection, row.id, by, moment.now, told)

    def _is_settled(self, row: Any, person: PersonFacts) -> bool:
        if row.code in _OF_PROVISIONAL:
            return person.state == "verified"
        if row.code not in _BY_GATE:
            return False
        name = row.subject.rpartition("^^^")[2]
        domain = self.rules.domains.get(name) or Domain(name)
        verdict = corroborate(header_of(row.received), person.versions, domain)
        return row.code not in verdict.flags and verdict.may_coerce


def header_of(received: Mapping[str, Any]) -> Demographics:
    """Whom a header described, as an item keeps it."""
    values = at.values(received.get(at.PATIENT_NAME))
    groups = values[0] if values and isinstance(values[0], Mapping) else {}
    name = PersonName(
        *(groups.get(g, "") for g in ("Alphabetic", "Ideographic", "Phonetic"))
    )
    return Demographics(
        name,
        at.text(received.get(at.PATIENT_BIRTH_DATE)),
        at.text(received.get(at.PATIENT_SEX)),
    )
