"""An order that is said to be another patient's, or is cancelled, after its images came.

Without images the order moves. With images that fit the new patient it moves, and they
with it. Where they do not fit, nothing moves, and a person is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from reconcile.core.corroborate import Gate, corroborate
from reconcile.core.facts import PersonFacts
from reconcile.core.identity import Domain
from reconcile.db import (
    filed,
    holds,
    moves,
    persons,
    undecided,
    versions,
)
from reconcile.flows.arriving import Moment
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.patient import Patient
from reconcile.flows.retrieve import BytesMissing
from reconcile.flows.rules import Rules


@dataclass(frozen=True, slots=True)
class MovedOrders:
    """Moves orders to another patient; `kept` reads the images that they have."""

    rules: Rules
    kept: KeptArrivals | None

    def move(self, moment: Moment, order_id: UUID, patient: Patient) -> bool:
        """Let an order be a patient's, with its studies; whether they let it."""
        connection = moment.connection
        studies = undecided.linked_to(connection, order_id)
        if studies:
            known = persons.facts(connection, [patient.root_id], self.rules.archive_domain)
            person = known[str(patient.root_id)]
            if not all(self._fits(moment, study_id, person) for study_id in studies):
                for study_id in studies:
                    _flag(moment, study_id, "ORDER-MOVED", "")
                return False
        former = persons.of_order(connection, order_id)
        moves.move_orders(connection, [order_id], patient.identity_id, moment.happening_id)
        for series in filed.series_of(connection, studies):
            if series.person_id == former and not series.held:
                filed.file_series(
                    connection,
                    series.id,
                    identity_id=patient.identity_id,
                    held=None,
                    happening_id=moment.happening_id,
                )
        return True

    def _fits(self, moment: Moment, study_id: UUID, person: PersonFacts) -> bool:
        receipt_id = undecided.header_of(moment.connection, study_id)
        if receipt_id is None or self.kept is None:
            return False
        _, kept = versions.arrival(moment.connection, receipt_id)
        try:
            with self.kept.arriving(kept) as arriving:
                header, name = arriving.facts.demographics, arriving.source.domain
        except BytesMissing:  # doctor tells
            return False
        domain = self.rules.domains.get(name) or Domain(name)
        return corroborate(header, person.versions, domain).gate is Gate.CONFIRM


def flag_closed(moment: Moment, order_id: UUID, sender: str) -> None:
    """Tell that the order of stored studies was cancelled; they stay."""
    for study_id in undecided.linked_to(moment.connection, order_id):
        _flag(moment, study_id, "ORDER-CLOSED", sender)


def _flag(moment: Moment, study_id: UUID, code: str, source: str) -> None:
    item = holds.Item("review", code, source=source, study_id=study_id)
    holds.open_item(moment.connection, item, moment.happening_id)
