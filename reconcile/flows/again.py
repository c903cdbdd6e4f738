"""Decide again what is held, when something was said that may explain it.

A hold closes itself when the message that explains it arrives: its instances are decided
as if they came at this moment. What would still be held stays as it is; and what is not
held is never held because of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from reconcile.core.attributes import Element, Tag
from reconcile.core.coercion import Decision, Outcome, decide
from reconcile.core.study import StudyDecision
from reconcile.db import (
    filed,
    holds,
    stored,
    studies,
    undecided,
    undoing,
    versions,
)
from reconcile.db.evidence import Named
from reconcile.db.registry import Loaded
from reconcile.db.undecided import HeldSeries
from reconcile.flows.arriving import Arriving, Moment
from reconcile.flows.filing import link_orders, whose_it_is
from reconcile.flows.kept import KeptArrivals, as_if_new
from reconcile.flows.recording import decide_study_of
from reconcile.flows.retrieve import BytesMissing

#: So many arrivals of a held series are read; all of them must be decided alike.
ARRIVALS_READ_MAX = 16

#: Whose series may be decided by what a message says; the others are about bytes.
_DECIDED_BY_FACTS = frozenset(
    {
        Outcome.STUDY_IDENTITY_SPLIT,
        Outcome.ACCESSION_AMBIGUOUS,
        Outcome.EVIDENCE_CONFLICT,
        Outcome.NO_IDENTITY,
        Outcome.DEMOGRAPHIC_CONFLICT,
        Outcome.UNCORROBORATED,
    }
)


@dataclass(frozen=True, slots=True)
class Decided:
    """What an arrival of a held series would be decided to be, if it came now.

    Attributes:
        received: what its header says of the patient, for who looks at a review.
    """

    decision: Decision
    filed_id: UUID
    study: StudyDecision
    loaded: Loaded
    source: str
    received: Mapping[Tag, Element]


@dataclass(frozen=True, slots=True)
class Again:
    """Decides held series again."""

    kept: KeptArrivals

    def named(self, moment: Moment, names: Iterable[Named], by: str) -> set[UUID]:
        """Decide again what names something; the studies of what is held no longer."""
        released: set[UUID] = set()
        for series in undecided.held_of(moment.connection, names):
            if series.held in _DECIDED_BY_FACTS and self._series(moment, series, by):
                released.add(series.study_id)
        return released

    def _series(self, moment: Moment, series: HeldSeries, by: str) -> bool:
        if studies.refused_rules(moment.connection, str(series.id)):
            return False  # a person has taken that back
        found = undecided.sample(moment.connection, series.id, ARRIVALS_READ_MAX)
        try:
            decided = [self._arrival(moment, receipt_id) for receipt_id in found]
        except BytesMissing:  # doctor tells
            return False
        first = decided[0] if decided else None
        if first is None or any(d is None or d.filed_id != first.filed_id for d in decided):
            return False
        for each in filter(None, decided):  # only now that all of them agree
            _settle(moment, series, each)
        file(moment, series, first.filed_id)
        holds.close_of(
            moment.connection,
            series.study_id,
            series.held,
            by,
            moment.now,
            moment.happening_id,
        )
        return True

    def _arrival(self, moment: Moment, receipt_id: UUID) -> Decided | None:
        _, kept = versions.arrival(moment.connection, receipt_id)
        with self.kept.arriving(kept) as arriving:
            loaded = self.kept.recording.load(moment.connection, arriving)
            facts = as_if_new(loaded.facts)
            decision = decide(arriving.facts, facts, arriving.source, arriving.digest)
            if decision.outcome not in (Outcome.COERCE, Outcome.PROVISIONAL):
                return None
            if not decision.person_id:
                return None  # nobody was said to be it
            return _filed(arriving, loaded, decision, moment)


def file(moment: Moment, series: HeldSeries, identity_id: UUID) -> None:
    """Let a series be held no longer: it is filed under an identity from now on."""
    filed.file_series(
        moment.connection,
        series.id,
        identity_id=identity_id,
        held=None,
        happening_id=moment.happening_id,
    )
    undecided.show(moment.connection, series.id)
    if series.held == Outcome.UNDONE.value:
        for revision in undoing.by_facts_again(moment.connection, series.id):
            stored.assignment(
                moment.connection,
                assigns=(),
                modifying_system="",
                source="",
                reason="COERCE",
                series_id=series.id,
                revision=revision,
            )


def _filed(
    arriving: Arriving, loaded: Loaded, decision: Decision, moment: Moment
) -> Decided | None:
    whose = whose_it_is(arriving, loaded, decision, moment)
    identity_id = whose.filed_id or whose.received_id
    study = decide_study_of(arriving, loaded, decision)
    if identity_id is None or study is None or loaded.study is None:
        return None
    return Decided(
        decision,
        identity_id,
        study,
        loaded,
        arriving.source.ae_title,
        arriving.identity(),
    )


def _settle(moment: Moment, series: HeldSeries, decided: Decided) -> None:
    """Link the orders that it names, and flag what wants a person's eye all the same."""
    link_orders(decided.loaded, decided.study, series.study_id, moment)
    for code in decided.decision.reviews:
        item = holds.Item(
            "review",
            code,
            str(decided.decision.identity or ""),
            decided.source,
            series.study_id,
            received=decided.received,
        )
        holds.open_item(moment.connection, item, moment.happening_id)
