"""An order that comes after its images: their study is matched again.

The order adopts the modality's UID if it has none. If it has another, the study is given
out under that from now on, unless somebody has it already: then the order's UID finds it
too, and only a person may rename it. Nothing is moved to another patient by an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from reconcile.core.coercion import Decision, Outcome, decide
from reconcile.core.study import LateDecision, LateRule, decide_late
from reconcile.db import (
    filed,
    holds,
    renaming,
    studies,
    undecided,
    unresolved,
    versions,
)
from reconcile.db.database import Lock, lock_each
from reconcile.db.registry import Loaded
from reconcile.flows.arriving import Arriving, Moment
from reconcile.flows.kept import KeptArrivals, as_if_new
from reconcile.flows.late import LateReferences
from reconcile.flows.retrieve import BytesMissing, RetrieveFlow

#: Flagged besides being done.
_REVIEWS = {LateRule.ALIAS: "LATE-ORDER", LateRule.SECOND_STUDY: "SECOND-STUDY"}


@dataclass(frozen=True, slots=True)
class LateOrders:
    """Matches stored studies to an order that has come, or has changed."""

    kept: KeptArrivals

    def settle(self, moment: Moment, order_id: UUID) -> set[UUID]:
        """Link the studies that name an order; those that were."""
        found = undecided.naming_order(moment.connection, order_id)
        return {study_id for study_id in found if self._study(moment, study_id, order_id)}

    def _study(self, moment: Moment, study_id: UUID, order_id: UUID) -> bool:
        receipt_id = undecided.header_of(moment.connection, study_id)
        if receipt_id is None:
            return False
        _, kept = versions.arrival(moment.connection, receipt_id)
        try:
            with self.kept.arriving(kept) as arriving:
                loaded = self.kept.recording.load(moment.connection, arriving)
                return self._match(moment, arriving, loaded, order_id)
        except BytesMissing:  # doctor tells
            return False

    def _match(
        self, moment: Moment, arriving: Arriving, loaded: Loaded, order_id: UUID
    ) -> bool:
        facts = as_if_new(loaded.facts)
        decision = decide(arriving.facts, facts, arriving.source, arriving.digest)
        order = next((o for o in facts.orders if o.order_id == str(order_id)), None)
        if order is None or loaded.study is None:
            return False
        if not _is_of_its_person(decision, str(order_id)):
            if decision.outcome is Outcome.EVIDENCE_CONFLICT:
                _flag(moment, arriving, loaded, decision.outcome.value)
            return False
        used = filed.is_used(moment.connection, loaded.study.id)
        late = decide_late(arriving.facts, facts, order, used=used)
        self._carry_out(moment, arriving, loaded, order_id, late)
        return True

    def _carry_out(
        self,
        moment: Moment,
        arriving: Arriving,
        loaded: Loaded,
        order_id: UUID,
        late: LateDecision,
    ) -> None:
        connection, study, happening_id = (
            moment.connection,
            loaded.study,
            moment.happening_id,
        )
        assert study is not None
        rule, procedure_id = late.rule, late.procedure_id
        answers = UUID(procedure_id) if procedure_id else None
        studies.link_order(connection, study.id, order_id, answers, happening_id)
        if rule in _REVIEWS:
            _flag(moment, arriving, loaded, _REVIEWS[rule])
        if rule not in (LateRule.ALIAS, LateRule.MAPPED):
            return
        uids = (study.study_instance_uid, late.order_uid)
        lock_each(connection, [Lock(("study", study.uid_domain, u), False) for u in uids])
        if renaming.is_known(connection, study.uid_domain, late.order_uid):
            _flag(moment, arriving, loaded, _REVIEWS[LateRule.ALIAS])
        elif rule is LateRule.ALIAS:
            renaming.alias(connection, study, late.order_uid, rule.value, happening_id)
        else:
            renaming.rename(connection, study, late.order_uid, rule.value, happening_id)
            self._follow(moment, study.uid_domain, late.order_uid)

    def _follow(self, moment: Moment, uid_domain: str, uid: str) -> None:
        """What named the study by the order's UID before anybody knew it."""
        met = unresolved.met_study(moment.connection, uid_domain, uid)
        recording = self.kept.recording
        retrieve = RetrieveFlow(recording.database, recording.storage)
        LateReferences(retrieve, recording.rules).settle(moment, [(m, uid) for m in met])


def _is_of_its_person(decision: Decision, order_id: str) -> bool:
    settled = decision.outcome in (Outcome.COERCE, Outcome.PROVISIONAL)
    return settled and order_id in decision.order_ids


def _flag(moment: Moment, arriving: Arriving, loaded: Loaded, code: str) -> None:
    assert loaded.study is not None
    item = holds.Item(
        "review",
        code,
        source=arriving.source.ae_title,
        study_id=loaded.study.id,
        received=arriving.identity(),
    )
    holds.open_item(moment.connection, item, moment.happening_id)
