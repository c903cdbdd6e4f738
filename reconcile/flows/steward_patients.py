"""A person says who is who: merge, unmerge, move an identifier, not the same.

By the same steps as a message, with authority over every domain, and with a dry run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from reconcile.core.facts import Feed
from reconcile.core.identity import (
    Demographics,
    Issuer,
    PatientIdentifier,
    PatientUpdate,
)
from reconcile.core.merge import IdentifierMove, Identifiers
from reconcile.core.merging import MergeOutcome
from reconcile.core.naming import identifier_of
from reconcile.db import events, filed, links, merges, persons, protection
from reconcile.db.database import Connection
from reconcile.errors import NotFound, ReconcileError, WrongUse
from reconcile.flows.arriving import Moment
from reconcile.flows.attempt import Done, attempt
from reconcile.flows.identifiers import Changing
from reconcile.flows.joining import Joining, Teller, Wanted
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.merge import MERGE_FAULTS
from reconcile.flows.reach import Reach
from reconcile.flows.speaking import Refused
from reconcile.flows.split import flag_split
from reconcile.flows.steward import By

#: (happening, effects); no happening: nothing was to be done.
Did = tuple[UUID | None, tuple[str, ...]]
#: Does it on a connection, as a teller says it.
Step = Callable[[Connection, Joining, Teller], Did]


class NotDone(ReconcileError):
    """It is understood, and cannot be done as things are."""

    title = "It cannot be done as things are"
    http_status = 409


@dataclass(frozen=True, slots=True)
class StewardPatients:
    """What a person says of patients."""

    kept: KeptArrivals

    def merge(self, surviving: str, prior: str, by: By) -> Done:
        """Let two patients be one, known as the surviving one.

        Args:
            surviving: ID^^^DOMAIN.
            prior: the same, of the other.
            by: who says so.

        Raises:
            WrongUse: one of them names no identifier of a configured domain.
            NotDone: it is vetoed, a circle, or one of the two is merged elsewhere.
        """

        def step(connection: Connection, joining: Joining, teller: Teller) -> Did:
            wanted = Wanted(self._said(prior), self._update(surviving))
            done = joining.merge(connection, teller, wanted)
            if done.outcome in (MergeOutcome.DUPLICATE, MergeOutcome.ALREADY_SAME):
                return None, ("they are one already",)
            if not done.outcome.changes:
                fault = MERGE_FAULTS.get(done.outcome)
                raise NotDone(fault.text if fault else done.outcome.value)
            return done.happening_id, done.effects

        return self._do("merge", by, step)

    def unmerge(self, surviving: str, prior: str, by: By) -> Done:
        """Take back that two are one: each has again what came under their own IDs.

        Raises:
            NotDone: nobody has merged them.
        """

        def step(connection: Connection, joining: Joining, teller: Teller) -> Did:
            one, other = self._said(prior), self._said(surviving)
            done = joining.unmerge(connection, teller, one, other)
            if done.happening_id is None:
                raise NotDone("nobody has merged these two")
            return done.happening_id, done.effects

        return self._do("unmerge", by, step)

    def move(self, identifier: str, to: str, by: By) -> Done:
        """Let an identifier, with all that came under it, be another patient's.

        Raises:
            NotDone: it is theirs already, or cannot be moved.
        """

        def step(connection: Connection, joining: Joining, teller: Teller) -> Did:
            wanted = IdentifierMove(self._update(to), self._said(identifier))
            found = Changing(joining).move(connection, teller, wanted)
            if isinstance(found, Refused):
                raise NotDone(found.fault.text)
            return found.happening_id, found.effects or ("it is theirs already",)

        return self._do("move", by, step)

    def not_same(self, one: str, other: str, by: By) -> Done:
        """Keep two patients apart, whoever says otherwise, until it is taken back.

        Raises:
            NotFound: one of them is nobody's identifier.
            NotDone: they are one.
        """

        def step(connection: Connection, joining: Joining, teller: Teller) -> Did:
            named = [self._named(each) for each in (one, other)]
            owners = persons.owners(connection, named, for_change=True)
            if any(each not in owners for each in named):
                raise NotFound("nobody has this identifier")
            first, second = (owners[each].root_id for each in named)
            if first == second:
                raise NotDone("they are one: take the merge back first")
            if merges.vetoes(connection, first, second):
                return None, ("they are kept apart already",)
            happening_id = teller.happen(connection, {"outcome": "not-same"})
            links.declare_not_same(
                connection, first, second, actor=by.actor, happening_id=happening_id
            )
            return happening_id, ("kept apart",)

        return self._do("not-same", by, step)

    def protect(self, patient: str, by: By, *, protected: bool) -> Done:
        """Let a patient be seen only by who may see protected ones; or by all again.

        Raises:
            NotFound: nobody has this identifier.
        """

        def step(connection: Connection, joining: Joining, teller: Teller) -> Did:
            named = self._named(patient)
            owner = persons.owners(connection, [named], for_change=True).get(named)
            if owner is None:
                raise NotFound("nobody has this identifier")
            told = {"outcome": "protected" if protected else "not protected"}
            happening_id = teller.happen(connection, told)
            if not self._say(connection, owner.root_id, protected, happening_id):
                return happening_id, ("so it is already",)
            return happening_id, (told["outcome"],)

        return self._do("protect", by, step)

    @staticmethod
    def _say(
        connection: Connection, root_id: UUID, protected: bool, happening_id: UUID
    ) -> bool:
        """Of every identity that is theirs, through merges; whether it is news."""
        of_theirs = protection.identities(connection, root_id)
        news = [
            protection.say(connection, each, protected, happening_id) for each in of_theirs
        ]
        return any(news)

    # -- the same for all ---------------------------------------------------------------

    def _do(self, action: str, by: By, step: Step) -> Done:
        if not by.reason.strip():
            raise WrongUse("a correction needs a reason")
        recording = self.kept.recording
        now = recording.clock()

        def happen(connection: Connection, told: dict[str, Any]) -> UUID:
            said = {"action": action, "reason": by.reason, **told}
            happening = events.Happening(
                "steward", action, by.actor, recording.rules.digest, now, explanation=said
            )
            return events.happen(connection, happening)

        def reached(
            connection: Connection, happening_id: UUID, person_ids: frozenset[UUID]
        ) -> None:
            moment = Moment(connection, happening_id, now)
            Reach(recording.rules, self.kept).persons(
                moment, person_ids, by=by.actor, reason="CORRECT"
            )
            flag_split(moment, filed.studies_of(connection, person_ids))

        def done(connection: Connection) -> tuple[UUID, tuple[str, ...]]:
            merges.exclude(connection)
            joining = Joining(recording.rules, reached)
            teller = Teller(self._feed, by.actor, now, happen)
            happening_id, effects = step(connection, joining, teller)
            told = {"outcome": "nothing"}
            return happening_id or happen(connection, told), effects

        return attempt(recording.database, done, dry_run=by.dry_run)

    @property
    def _feed(self) -> Feed:
        """A person may say everything; what is risky is flagged."""
        return Feed("steward", authority=tuple(self.kept.recording.rules.domains))

    def _named(self, cx: str) -> PatientIdentifier:
        return identifier_of(cx, self.kept.recording.rules.domains)

    def _said(self, cx: str) -> Identifiers:
        named = self._named(cx)
        return ((named.value, Issuer(named.domain)),)

    def _update(self, cx: str) -> PatientUpdate:
        return PatientUpdate(self._said(cx), Demographics())
