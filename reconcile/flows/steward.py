"""A person corrects whose a study is, and by which order it was made.

Each correction is a happening with cause "steward" and a reason in their words, told by
events with the reason CORRECT, and can be looked at before it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core.naming import identifier_of
from reconcile.db import (
    events,
    filed,
    holds,
    merges,
    orders,
    persons,
    studies,
    undecided,
)
from reconcile.db.database import Connection, Database
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.arriving import Moment
from reconcile.flows.attempt import Done, attempt
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.restate import Restate
from reconcile.flows.rules import Rules
from reconcile.flows.whose import Whose


@dataclass(frozen=True, slots=True)
class By:
    """Who corrects, and why; `dry_run`: only what would be done is asked for."""

    actor: str
    reason: str
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Steward:
    """The corrections that a person makes by hand."""

    kept: KeptArrivals

    @property
    def _database(self) -> Database:
        return self.kept.recording.database

    @property
    def _rules(self) -> Rules:
        return self.kept.recording.rules

    # -- whose it is --------------------------------------------------------------------

    def assign(self, study_uid: str, patient: str, by: By) -> Done:
        """Let a study be a patient's, with what comes later under the same headers.

        Args:
            study_uid: received, assigned or alias.
            patient: ID^^^DOMAIN.
            by: who says so.

        Raises:
            NotFound: there is no such study, or nobody has this identifier.
        """
        identifier = identifier_of(patient, self._rules.domains)

        def step(connection: Connection, moment: Moment, study_id: UUID) -> tuple[str, ...]:
            owners = persons.owners(connection, [identifier])
            if identifier not in owners:
                raise NotFound("nobody has this identifier")
            identity_id = owners[identifier].identity_id
            filed.locked(connection, [study_id])
            whose = Whose(self.kept)
            series = filed.series_of(connection, [study_id])
            for each in series:
                whose.file(
                    moment,
                    undecided.HeldSeries(each.id, study_id, each.held, None),
                    identity_id,
                )
            for code in sorted({each.held for each in series if each.held}):
                holds.close_of(connection, study_id, code, by.actor, moment.now)
            return (f"{len(series)} series filed",)

        return self._correct(study_uid, "assign", by, step)

    # -- by which order it was made -----------------------------------------------------

    def link_order(self, study_uid: str, order: str, by: By) -> Done:
        """Link a study to an order of its patient.

        Args:
            study_uid: received, assigned or alias.
            order: its id, or its accession number, if just one order has that.
            by: who says so.

        Raises:
            NotFound: there is no such study or order.
            WrongUse: the order is another patient's.
        """

        def step(connection: Connection, moment: Moment, study_id: UUID) -> tuple[str, ...]:
            found = _order(connection, order)
            own = {
                s.person_id for s in filed.series_of(connection, [study_id]) if not s.held
            }
            if own and persons.of_order(connection, found) not in own:
                raise WrongUse("the order is another patient's: assign the study first")
            procedure = orders.only_procedure(connection, found)
            happening_id = moment.happening_id
            studies.link_order(connection, study_id, found, procedure, happening_id)
            return (f"order {found} linked",)

        return self._correct(study_uid, "link-order", by, step)

    def unlink_order(self, study_uid: str, order: str, by: By) -> Done:
        """Link a study to an order no longer.

        Raises:
            NotFound: there is no such study or order, or they are not linked.
        """

        def step(connection: Connection, moment: Moment, study_id: UUID) -> tuple[str, ...]:
            found = _order(connection, order)
            happening_id = moment.happening_id
            if not studies.unlink_order(connection, study_id, found, happening_id):
                raise NotFound("the study is not linked to this order")
            return (f"order {found} unlinked",)

        return self._correct(study_uid, "unlink-order", by, step)

    # -- the same for all ---------------------------------------------------------------

    def _correct(
        self,
        study_uid: str,
        action: str,
        by: By,
        step: Callable[[Connection, Moment, UUID], tuple[str, ...]],
    ) -> Done:
        if not by.reason.strip():
            raise WrongUse("a correction needs a reason")

        def corrected(connection: Connection) -> tuple[UUID, tuple[str, ...]]:
            merges.share(connection)
            study_id = filed.study_named(connection, study_uid)
            if study_id is None:
                raise NotFound("no study is known by this UID")
            filed.locked(connection, [study_id])
            now = self.kept.recording.clock()
            happening = self._happening(study_id, action, by, now)
            moment = Moment(connection, events.happen(connection, happening), now)
            effects = step(connection, moment, study_id)
            Restate(self._rules).studies(moment, [study_id], "CORRECT")
            return moment.happening_id, effects

        return attempt(self._database, corrected, dry_run=by.dry_run)

    def _happening(
        self, study_id: UUID, action: str, by: By, now: datetime
    ) -> events.Happening:
        said: dict[str, Any] = {"action": action, "reason": by.reason}
        return events.Happening(
            "steward",
            str(study_id),
            by.actor,
            self._rules.digest,
            now,
            explanation=said,
        )


def _order(connection: Connection, said: str) -> UUID:
    """The order that is meant.

    Raises:
        NotFound: there is none.
        WrongUse: several have this accession number.
    """
    found = orders.named(connection, said)
    if not found:
        raise NotFound("there is no such order")
    if len(found) > 1:
        raise WrongUse("several orders have this accession number: name one by its id")
    return found[0]
