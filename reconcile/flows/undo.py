"""Take a happening back, with all that rests on it.

What it did is struck out: headers are again exactly what they were, and identities,
links and filings as they were said before. Where images came since, which were decided
by what is struck out, they are said anew. An undo is a happening itself, and can be
taken back in its turn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from reconcile.core.study import StudyRule
from reconcile.db import (
    asked_again,
    events,
    evidence,
    filed,
    holds,
    merges,
    renaming,
    undoing,
)
from reconcile.db.database import Connection
from reconcile.db.undoing import Happened, Struck
from reconcile.db.views import uuid_of
from reconcile.errors import NotFound, ReconcileError, WrongUse
from reconcile.flows.arriving import Moment
from reconcile.flows.attempt import Done, attempt
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.restate import Restate
from reconcile.flows.split import close_healed, flag_split
from reconcile.flows.steward import By

#: Causes of arriving instances.
STORES = frozenset({"c-store", "stow-rs", "import"})
#: What cannot be had back.
_DELETION = "deletion"
_UNDO = "undo"
_DECIDE_ANEW = "what was stored is held as it came: decide it on the worklist"
_FROM_OUTSIDE = ("adt-", "orm-", "omi-", "omg-")


class AlreadyUndone(ReconcileError):
    """A happening is taken back once."""

    title = "It was taken back already"
    http_status = 409


class RestsOnFacts(ReconcileError):
    """What rests on it is a fact from outside, which nobody here can take back."""

    title = "A fact from outside rests on it"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Undo:
    """Takes happenings back."""

    kept: KeptArrivals

    def happening(self, wanted: str, by: By, of: UUID | None = None) -> Done:
        """Take back a happening, or that of a coercion event.

        Args:
            wanted: id of either.
            by: who, and why; a dry run tells what would be taken back.
            of: the happening that this is a part of, and is taken back with.

        Raises:
            NotFound: there is none.
            AlreadyUndone: it is taken back.
            RestsOnFacts: a message rests on it; it names which.
        """
        if not by.reason.strip():
            raise WrongUse("an undo needs a reason")
        wanted_id = uuid_of(wanted)

        def step(connection: Connection) -> tuple[UUID, tuple[str, ...]]:
            merges.exclude(connection)
            found = undoing.happened(connection, wanted_id) if wanted_id else None
            if found is None:
                raise NotFound("there is no happening of this id, and no event")
            chain = _chain(connection, found)
            effects = tuple(f"takes back {each.cause} {each.id}" for each in chain)
            return self._undo(connection, chain, by, of), effects

        return attempt(self.kept.recording.database, step, dry_run=by.dry_run)

    def together(
        self, wanted: Sequence[UUID], by: By, of: UUID | None
    ) -> tuple[list[UUID], list[tuple[UUID, str]]]:
        """Take happenings back in one transaction, in this order; what follows once.

        (what was taken back, (what was not, and why)); what was so before is neither.
        """

        def step(connection: Connection) -> tuple[list[UUID], list[tuple[UUID, str]]]:
            merges.exclude(connection)
            chains: list[Happened] = []
            left: list[tuple[UUID, str]] = []
            for wanted_id in wanted:
                try:
                    chain = _found(connection, wanted_id, {e.id for e in chains})
                except RestsOnFacts as error:
                    left.append((wanted_id, str(error)))
                    continue
                chains[:0] = chain  # the last ones are struck out first
            if chains:
                self._undo(connection, chains, by, of)
            gone = {each.id for each in chains}
            return [each for each in wanted if each in gone], left

        return self.kept.recording.database.run(step)

    def _undo(
        self, connection: Connection, chain: Sequence[Happened], by: By, of: UUID | None
    ) -> UUID:
        """Strike out each of a chain, the last one first; the happening of the first."""
        now = self.kept.recording.clock()
        ids: list[UUID] = []
        persons: set[UUID] = set()
        studies: set[UUID] = set()
        unsaid: set[UUID] = set()
        for each in reversed(chain):
            moment = Moment(connection, self._happen(connection, each, by, of), now)
            struck = self._strike(moment, each, by)
            persons |= struck.persons
            studies |= struck.studies
            unsaid |= struck.unsaid
            ids.append(moment.happening_id)
        for person_id in sorted(unsaid):  # only now that all of them are struck out
            undoing.forget(connection, person_id)
        last = Moment(connection, ids[-1], now)
        self._settle(last, persons, studies, by.actor)
        return last.happening_id

    def _happen(
        self, connection: Connection, each: Happened, by: By, of: UUID | None
    ) -> UUID:
        recording = self.kept.recording
        happening = events.Happening(
            _UNDO,
            str(each.id),
            by.actor,
            recording.rules.digest,
            recording.clock(),
            explanation={"reason": by.reason, "cause": each.cause},
            depends_on=(of,) if of else (),
            undoes=each.id,
        )
        return events.happen(connection, happening)

    def _strike(self, moment: Moment, each: Happened, by: By) -> Struck:
        connection, by_id = moment.connection, moment.happening_id
        for item in asked_again.opened_by(connection, each.id):
            told = holds.answered_by(by_id)
            holds.close(connection, item, by.actor, moment.now, told)
        struck = undoing.strike(connection, each.id, by_id)
        asked_again.reopen_items(connection, each.id, by_id)
        rule = StudyRule.ORDER_UID.value
        undoing.refuse(connection, rule, struck.received_uids, by_id)
        if each.cause in STORES:
            studies = self._unstore(moment, each.id)
            return Struck(struck.persons, studies, frozenset(), struck.unsaid)
        return struck

    def _unstore(self, moment: Moment, happening_id: UUID) -> frozenset[UUID]:
        """What was decided of arriving instances: they are given out as they came."""
        connection = moment.connection
        taken = undoing.as_they_came(connection, happening_id)
        undoing.refuse(connection, "identity", taken.received_uids, moment.happening_id)
        for series_id in taken.series:
            filed.file_series(
                connection,
                series_id,
                identity_id=None,
                held="UNDONE",
                happening_id=moment.happening_id,
            )
        for study_id in sorted(taken.studies):
            item = holds.Item("hold", "UNDONE", study_id=study_id)
            hold_id = holds.open_item(connection, item, moment.happening_id)
            for receipt_id in taken.receipts:
                holds.add(connection, hold_id, receipt_id)
        refused, by = StudyRule.REFUSED.value, moment.happening_id
        renaming.find_as_they_came(connection, taken.studies, refused, by)
        return taken.studies

    def _settle(
        self,
        moment: Moment,
        persons: Collection[UUID],
        studies: set[UUID],
        actor: str,
    ) -> None:
        connection = moment.connection
        roots = merges.roots(connection, persons)
        evidence.raise_persons(connection, roots)
        concerned = studies | set(filed.studies_of(connection, roots))
        undoing.touched(connection, concerned)
        Restate(self.kept.recording.rules).studies(moment, concerned)
        flag_split(moment, concerned)
        close_healed(moment, concerned, actor)


def is_from_outside(cause: str) -> bool:
    """Whether a happening of this cause is a fact that nobody here can take back."""
    return cause.startswith(_FROM_OUTSIDE)


def _chain(connection: Connection, wanted: Happened) -> list[Happened]:
    """What is taken back with a happening.

    Raises:
        AlreadyUndone: it is taken back.
        RestsOnFacts: a message rests on it.
    """
    if wanted.cause.startswith(_DELETION):
        raise WrongUse("a deletion is cancelled before it is begun, and then never")
    if _unstored(connection, wanted):
        raise WrongUse(_DECIDE_ANEW)
    if wanted.undone_by is not None:
        raise AlreadyUndone(f"happening {wanted.undone_by} took it back")
    return _with_dependents(connection, wanted, set())


def _found(connection: Connection, wanted_id: UUID, gone: set[UUID]) -> list[Happened]:
    """The same, where some are to be taken back before; nothing if this one is."""
    found = undoing.happened(connection, wanted_id)
    if found is None or found.undone_by is not None or found.id in gone:
        return []
    if found.cause.startswith(_DELETION):
        raise RestsOnFacts("what was deleted is gone")
    if _unstored(connection, found):
        raise RestsOnFacts(_DECIDE_ANEW)
    return _with_dependents(connection, found, gone)


def _unstored(connection: Connection, wanted: Happened) -> bool:
    """Whether it is the undo of a store: images went back to what they came as."""
    if wanted.cause != _UNDO:
        return False
    undone = undoing.happened(connection, UUID(wanted.cause_id))
    return undone is not None and undone.cause in STORES


def _with_dependents(
    connection: Connection, wanted: Happened, gone: set[UUID]
) -> list[Happened]:
    """A happening and all that rests on it, each after what it rests on.

    Raises:
        RestsOnFacts: one of them is a message.
    """
    chain, seen = [wanted], {wanted.id, *gone}
    for each in chain:
        for other in undoing.dependents(connection, each.id):
            if other.id not in seen:
                seen.add(other.id)
                chain.append(other)
    facts = [o for o in chain[1:] if is_from_outside(o.cause)]
    if facts:
        raise RestsOnFacts(", ".join(f"{o.cause} {o.id}" for o in facts))
    return chain
