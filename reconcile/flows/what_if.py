"""Try another configuration on what came lately, before it goes live. Nothing is written.

Headers are decided twice, by the configuration in force and by the other one, from the
facts of now, as if they came now in a study of their own; messages are acted on twice, as
they would be today. What differs is told. Each is tried in a transaction of its own that
is taken back, and holds up others as long as the instance or the message itself would.

What cannot be told so: what a decision would have led to later. Persons, merges and orders
are those of now, also where the other configuration would have made them otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from reconcile.core.coercion import Decision, decide
from reconcile.core.explain import explain
from reconcile.db import inbox, undecided, versions, views_patients, views_recent
from reconcile.db.database import Connection, Database
from reconcile.db.inbox import Stored
from reconcile.db.views_recent import Came
from reconcile.errors import ReconcileError, ServiceUnavailable
from reconcile.flows.kept import KeptArrivals, as_if_new
from reconcile.flows.outcome import Asked, Outcome
from reconcile.flows.recording import explanation
from reconcile.flows.replay import ActAgain
from reconcile.flows.retrieve import BytesMissing

#: Arrivals of one series that are read: nearly always their headers are alike.
ARRIVALS_READ = 3


@dataclass(frozen=True, slots=True)
class Setting:
    """A configuration, as what decides by it."""

    kept: KeptArrivals
    act_again: ActAgain


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided of a header or a message, without patient data.

    Attributes:
        outcome: of a header, as its hold would be called; of a message, its state.
        patient: identifiers of the person, as CX; empty: nobody.
        reviews: what would be flagged.
        why: sentences.
    """

    outcome: str
    patient: tuple[str, ...] = ()
    reviews: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What would be decided otherwise.

    Attributes:
        study_instance_uid, series_instance_uid: of a header, as given out now.
        message_id: of a message.
        held: the code that holds the series now; empty: it is not held.
        was: by the configuration in force, from the facts of now.
        would_be: by the other one.
    """

    study_instance_uid: str | None
    series_instance_uid: str | None
    message_id: UUID | None
    held: str
    was: Verdict
    would_be: Verdict


@dataclass
class Tried:
    """How many were tried so far, how many differ, and what could not be read."""

    series: int = 0
    messages: int = 0
    differ: int = 0
    unread: int = 0


class _TakenBack(Exception):
    """Carries what was decided out of its transaction."""

    def __init__(self, verdict: tuple[tuple[object, ...], Verdict]) -> None:
        super().__init__()
        self.verdict = verdict


class _Anew(Asked):
    """Acts on any message, whatever became of it."""

    __slots__ = ()

    def allows(self, stored: Stored) -> bool:
        """Always: it is taken back."""
        return True


_ANEW = _Anew("what-if", "what if", dry_run=True)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Compares two configurations; `progress` is told after each that was tried."""

    database: Database
    running: Setting
    other: Setting
    progress: Callable[[Tried], None] = lambda tried: None

    def differences(self, since: datetime, tried: Tried) -> Iterator[Difference]:
        """What would differ of what came since, one after the other; `tried` counts.

        Raises:
            ServiceUnavailable: the database went away.
        """
        for came in views_recent.series_since(self.database, since):
            tried.series += 1
            yield from self._counted(self._series(came, tried), tried)
        for message_id in views_recent.messages_since(self.database, since):
            tried.messages += 1
            yield from self._counted(self._message(message_id), tried)

    def _counted(self, found: Difference | None, tried: Tried) -> Iterator[Difference]:
        if found is not None:
            tried.differ += 1
            yield found
        self.progress(tried)

    # -- headers ---------------------------------------------------------------------------

    def _series(self, came: Came, tried: Tried) -> Difference | None:
        """The first of its headers that is decided otherwise."""
        with self.database.read_only() as connection:
            receipts = undecided.sample(connection, came.id, ARRIVALS_READ)
        for receipt_id in receipts:
            try:
                was, would = (
                    self._decided(setting.kept, receipt_id)
                    for setting in (self.running, self.other)
                )
            except ServiceUnavailable:
                raise
            except (BytesMissing, ReconcileError):
                tried.unread += 1
                continue
            if was[0] != would[0]:
                uids = came.study_instance_uid, came.series_instance_uid
                return Difference(*uids, None, came.held, was[1], would[1])
        return None

    def _decided(
        self, kept: KeptArrivals, receipt_id: UUID
    ) -> tuple[tuple[object, ...], Verdict]:
        """(what is compared, what is told) of an arrival, as if it came now."""

        def step(connection: Connection) -> None:
            raise _TakenBack(_verdict(connection, kept, receipt_id))

        try:
            self.database.run(step)
        except _TakenBack as taken:
            return taken.verdict
        raise AssertionError("the step always ends so")

    # -- messages --------------------------------------------------------------------------

    def _message(self, message_id: UUID) -> Difference | None:
        stored = self.database.run(lambda c: inbox.find(c, message_id))
        if stored is None:
            return None
        body = self.database.run(lambda c: inbox.body(c, message_id))
        was, would = (
            _acted(setting.act_again, stored, body)
            for setting in (self.running, self.other)
        )
        if replace(was, why=()) == replace(would, why=()):
            return None
        return Difference(None, None, message_id, "", was, would)


def _verdict(
    connection: Connection, kept: KeptArrivals, receipt_id: UUID
) -> tuple[tuple[object, ...], Verdict]:
    _, arrival = versions.arrival(connection, receipt_id)
    with kept.arriving(arrival) as arriving:
        loaded = kept.recording.load(connection, arriving)
        facts = replace(as_if_new(loaded.facts), study=None, remembered=None)
        decision = decide(arriving.facts, facts, arriving.source, arriving.digest)
    compared = (decision.outcome, decision.person_id, decision.identity, decision.reviews)
    return compared, _told(connection, decision)


def _told(connection: Connection, decision: Decision) -> Verdict:
    told = explain(decision.rung, decision.person_id, explanation(decision, None))
    return Verdict(
        decision.outcome.value,
        _identifiers(connection, decision),
        decision.reviews,
        told.sentences,
    )


def _identifiers(connection: Connection, decision: Decision) -> tuple[str, ...]:
    if decision.person_id:
        person_id = UUID(decision.person_id)
        found = views_patients.identifiers_of(connection, [person_id])
        return found.get(person_id, ())
    named = decision.identity
    return (f"{named.value}^^^{named.domain}",) if named else ()


def _acted(act_again: ActAgain, stored: Stored, body: bytes) -> Verdict:
    try:
        outcome = act_again(stored, body, _ANEW)
    except ServiceUnavailable:
        raise
    except ReconcileError as error:
        return Verdict("refused", why=(str(error) or error.title,))
    return Verdict(outcome.state, reviews=_codes(outcome), why=_words(outcome))


def _codes(outcome: Outcome) -> tuple[str, ...]:
    return (outcome.code,) if outcome.code else ()


def _words(outcome: Outcome) -> tuple[str, ...]:
    fault = (outcome.fault.text,) if outcome.fault else ()
    return (*fault, *outcome.effects)
