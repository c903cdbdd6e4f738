"""A person says whose a held study is.

What they say holds for the series that the item is about, and is remembered: what comes
later of the same study, from the same source, with the same header, is theirs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from reconcile.core.coercion import Outcome, decide
from reconcile.core.identity import Demographics, PatientIdentifier
from reconcile.core.naming import identifier_of
from reconcile.core.survivorship import STEWARD_AUTHORITY
from reconcile.db import (
    holds,
    persons,
    remembered,
    undecided,
    versions,
)
from reconcile.db.database import Connection, Row
from reconcile.db.undecided import HeldSeries
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.again import ARRIVALS_READ_MAX, file
from reconcile.flows.arriving import Arriving, Moment
from reconcile.flows.filing import link_orders
from reconcile.flows.kept import KeptArrivals, as_if_new
from reconcile.flows.reach import header_of
from reconcile.flows.recording import decide_study_of
from reconcile.flows.restate import Restate

ACCEPT, ASSIGN, NEW_PATIENT = "accept", "assign", "new-patient"


@dataclass(frozen=True, slots=True)
class Whose:
    """Files held series under the patient that a person names."""

    kept: KeptArrivals

    def settle(self, moment: Moment, row: Row, action: str, patient: str) -> None:
        """Do what was decided of an item, which the caller closes.

        Args:
            moment: of the decision.
            row: the item, locked.
            action: "accept": whom its own identifier names; "assign": whom `patient`
                names; "new-patient": somebody nobody knows yet.
            patient: ID^^^DOMAIN; empty where the action needs none.

        Raises:
            WrongUse, NotFound: nobody is named so.
        """
        connection = moment.connection
        receipts = holds.receipts_of(connection, row.id)
        series = undecided.held_with(connection, receipts)
        if not series:
            raise NotFound("nothing of it is held any more")
        identity_id = self._identity(moment, row, action, patient)
        for each in series:
            self.file(moment, each, identity_id)
        studies = sorted({each.study_id for each in series})
        Restate(self.kept.recording.rules).studies(moment, studies)

    def file(self, moment: Moment, series: HeldSeries, identity_id: UUID) -> None:
        """File one series, and remember it for what has the same header.

        A header that was taken from the wrong worklist entry is right in other series.
        """
        file(moment, series, identity_id)
        if series.held != Outcome.WRONG_WORKLIST_ENTRY.value:
            self._remember(moment, series, identity_id)

    # -- whom it names ------------------------------------------------------------------

    def _identity(self, moment: Moment, row: Row, action: str, patient: str) -> UUID:
        domains = self.kept.recording.rules.domains
        if action == NEW_PATIENT:
            return self._new(moment, header_of(row.received))
        if action == ACCEPT:
            if not row.subject:
                raise WrongUse("its header names nobody: assign it to a patient")
            return _owned(moment.connection, _subject(row.subject))
        if not patient:
            raise WrongUse("to whom? patient is ID^^^DOMAIN")
        return _owned(moment.connection, identifier_of(patient, domains))

    def _new(self, moment: Moment, said: Demographics) -> UUID:
        """A person of the archive's own, known as the header says."""
        connection, happening_id = moment.connection, moment.happening_id
        domain = self.kept.recording.rules.archive_domain
        person_id = persons.create(connection, "verified", happening_id)
        value = persons.mint(connection, domain)
        identifier = PatientIdentifier(value, domain)
        identity_id = persons.own(connection, identifier, value, person_id, happening_id)
        persons.say(
            connection,
            person_id,
            persons.said_as_json(said),
            source="steward",
            authority=STEWARD_AUTHORITY,
            said_at=moment.now,
            happening_id=happening_id,
        )
        return identity_id

    # -- for what comes later -----------------------------------------------------------

    def _remember(self, moment: Moment, series: HeldSeries, identity_id: UUID) -> None:
        headers: set[tuple[str, bytes]] = set()
        for receipt_id in _sample(moment.connection, series):
            _, kept = versions.arrival(moment.connection, receipt_id)
            with self.kept.arriving(kept) as arriving:
                key = kept.source, arriving.facts.header
                if key not in headers:
                    headers.add(key)
                    self._keep(moment, series.study_id, *key, identity_id)
                    self._link_orders(moment, arriving)

    def _keep(
        self,
        moment: Moment,
        study_id: UUID,
        source: str,
        header: bytes,
        identity_id: UUID,
    ) -> None:
        days = self.kept.recording.rules.remember_days
        remembered.remember(
            moment.connection,
            study_id=study_id,
            source=source,
            header=header,
            identity_id=identity_id,
            happening_id=moment.happening_id,
            expires_at=moment.now + timedelta(days=days),
        )

    def _link_orders(self, moment: Moment, arriving: Arriving) -> None:
        """The orders of the patient that the header names, as of an arriving instance."""
        loaded = self.kept.recording.load(moment.connection, arriving)
        facts = as_if_new(loaded.facts)
        decision = decide(arriving.facts, facts, arriving.source, arriving.digest)
        study = decide_study_of(arriving, loaded, decision)
        if study is not None and loaded.study is not None:
            link_orders(loaded, study, loaded.study.id, moment)


def _sample(connection: Connection, series: HeldSeries) -> Sequence[UUID]:
    return undecided.sample(connection, series.id, ARRIVALS_READ_MAX)


def _subject(subject: str) -> PatientIdentifier:
    value, _, domain = subject.rpartition("^^^")
    return PatientIdentifier(value, domain)


def _owned(connection: Connection, identifier: PatientIdentifier) -> UUID:
    """The identity of an identifier.

    Raises:
        NotFound: nobody has it.
    """
    owners = persons.owners(connection, [identifier])
    if identifier not in owners:
        raise NotFound("nobody has this identifier")
    return owners[identifier].identity_id
