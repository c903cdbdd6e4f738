"""Tell a destination by HL7 of corrections of what it has: RAD-12 Patient Update.

That a Patient ID is another person's now is an A40 and an A08, that somebody is called
otherwise an A08. Nothing else that can be corrected has a message that a receiver of
images understands: a study that was somebody else's, a merge that was taken back, another
accession number or UID is for a person to tell.

What is to be told is written down in the transaction that finds it, by identifiers; the
message is made when it is sent, of what the study is given out as then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.attributes import Assign, Element, Include, Restore, Tag
from reconcile.core.identity import HELD_DOMAIN_NAME, Demographics, PatientIdentifier
from reconcile.core.targets import domain_of
from reconcile.dataset.facts import demographics_of
from reconcile.db import delivered_patients, outgoing, persons, relays
from reconcile.db.database import Connection
from reconcile.db.delivered_patients import Known
from reconcile.db.deliveries import SKIPPED
from reconcile.db.outgoing import Given
from reconcile.db.relays import PATIENTS, Due, New
from reconcile.flows.relay import Sent
from reconcile.flows.several import Ready, SeveralFlow

#: A40: a Patient ID is that of another one now. A08: what is said of a patient.
MERGED, UPDATED, BY_HAND = "ADT^A40", "ADT^A08", "by hand"
#: What of an instance says who the patient is, and what follows from saying it.
_OF_PATIENT = frozenset(
    {
        at.SPECIFIC_CHARACTER_SET,
        at.PATIENT_NAME,
        at.PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID,
        at.TYPE_OF_PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
        at.PATIENT_BIRTH_DATE,
        at.PATIENT_SEX,
        at.OTHER_PATIENT_IDS,
        at.OTHER_PATIENT_IDS_SEQUENCE,
    }
)


@dataclass(frozen=True, slots=True)
class Patient:
    """Who an instance says that it is of, as a destination sees it."""

    identifier: PatientIdentifier
    said: Demographics

    @property
    def known(self) -> Known:
        """What a destination knows that was given it."""
        return Known(self.identifier, hashlib.sha256(repr(self.said).encode()).digest())


@dataclass(frozen=True, slots=True)
class Correction:
    """What a destination is told of a patient.

    Attributes:
        control_id: the same, however often it is sent.
        event: MERGED or UPDATED.
        at: when it was found.
        identifier: the patient's.
        prior: that is the patient's now, of a merge.
        said: what else is given out of them; None: it is not known any more.
    """

    control_id: str
    event: str
    at: datetime
    identifier: PatientIdentifier
    prior: PatientIdentifier | None
    said: Demographics | None


#: Sends a correction; what it was answered. Raises NotDelivered where it is not taken.
Tell = Callable[[Correction], str]


def patient_of(ready: Ready) -> Patient:
    """Whose an instance says that it is.

    Raises:
        BytesMissing: there is a row and no file.
    """
    with ready.seen() as state:
        present = {tag: e for tag in _OF_PATIENT if (e := state.element(tag)) is not None}
    return _patient(present)


def _patient(present: Mapping[Tag, Element]) -> Patient:
    value = at.text(present.get(at.PATIENT_ID))
    domain = at.text(present.get(at.ISSUER_OF_PATIENT_ID))
    return Patient(PatientIdentifier(value, domain), demographics_of(present))


def rest(ready: Ready) -> bytes:
    """What an instance is given out as, the patient aside: SHA-256 of what decides it."""
    assigned: dict[Tag, object] = {}
    others: list[object] = []
    for change in ready.changes:
        if not isinstance(change, Assign | Restore | Include):
            others.append(change)
        elif isinstance(change, Restore):
            assigned.pop(change.tag, None)
        elif change.tag not in _OF_PATIENT:
            assigned[change.tag] = change
    decides = (ready.digest, sorted(assigned.items()), sorted(map(repr, others)))
    return hashlib.sha256(repr(decides).encode()).digest()


@dataclass(frozen=True, slots=True)
class Correcting:
    """What finds out what a destination is to be told."""

    several: SeveralFlow

    def tell(
        self,
        connection: Connection,
        destination: str,
        study_id: UUID,
        rows: Sequence[tuple[Given, Ready]],
        forms: Mapping[UUID, bytes],
        now: datetime,
    ) -> list[Given]:
        """Queue what a destination is told of a study that is given out otherwise now.

        Args:
            connection: of the writer.
            destination: AE title.
            study_id: of the instances.
            rows: what it has, each with what is given out now.
            forms: of the latter, by instance.
            now: when it was found.

        Returns:
            what no message says all of: a person has to.

        Raises:
            BytesMissing: there is a row and no file.
        """
        patient = patient_of(rows[0][1])
        had = delivered_patients.known(connection, destination, study_id)
        delivered_patients.know(connection, destination, study_id, patient.known, anew=True)
        news = self._news(connection, destination, study_id, had, patient)
        relays.queue(connection, news, now)
        by_hand = any(each.kind == BY_HAND for each in news)
        split = len({ready.person for _, ready in rows}) > 1
        left = [
            given
            for given, ready in rows
            if by_hand or split or had is None or rest(ready) != given.rest
        ]
        for given, ready in rows:
            form = forms[given.instance_id]
            outgoing.known_as(connection, given, form, rest(ready))
        return left

    def _news(
        self,
        connection: Connection,
        destination: str,
        study_id: UUID,
        had: Known | None,
        patient: Patient,
    ) -> list[New]:
        if had is None or had == patient.known:
            return []
        new, old = patient.identifier, had.identifier
        body: dict[str, object] = {"identifier": [new.value, new.domain]}
        update = New(
            destination,
            PATIENTS,
            UPDATED,
            study_id,
            body={**body, "demographics": patient.known.demographics.hex()},
        )
        if new == old:
            said = relays.newest(connection, destination, [new])
            return [] if said == (UPDATED, update.body) else [update]
        body["prior"] = [old.value, old.domain]
        said = relays.newest(connection, destination, [old])
        if not self._is_now(connection, old, new):
            why = "no message says this: a person has to"
            what = (destination, PATIENTS, BY_HAND, study_id)
            hand = New(*what, body=body, state=SKIPPED, error=why)
            return [hand]
        if said == (MERGED, body):
            return []
        return [New(destination, PATIENTS, MERGED, study_id, body=body), update]

    def _is_now(
        self, connection: Connection, old: PatientIdentifier, new: PatientIdentifier
    ) -> bool:
        """Whether all that is under one identifier is now of the patient of another."""
        if old.domain == HELD_DOMAIN_NAME:  # it was of this study alone
            return new.domain != HELD_DOMAIN_NAME
        domains = self.several.query.rules.domains
        both = [
            PatientIdentifier(domain_of(i.domain, domains).normalise(i.value), i.domain)
            for i in (old, new)
        ]
        owners = persons.owners(connection, both)
        roots = {owners[each].root_id if each in owners else None for each in both}
        return len(roots) == 1 and None not in roots


@dataclass(frozen=True, slots=True)
class Telling:
    """What tells one destination; `domain`: in which it knows patients."""

    several: SeveralFlow
    domain: str
    tell: Tell

    def __call__(self, due: Due) -> Sent:
        """See `relay.Send`."""
        identifier = PatientIdentifier(*due.body["identifier"])
        prior = due.body.get("prior")
        now = self._now(due.study_id)
        same = now is not None and now.identifier == identifier
        if due.kind == UPDATED and not same:
            return Sent("", SKIPPED, "the study is another patient's since")
        correction = Correction(
            _control_id(due),
            due.kind,
            due.created_at,
            identifier,
            PatientIdentifier(*prior) if prior else None,
            now.said if now is not None and same else None,
        )
        return Sent(self.tell(correction))

    def _now(self, study_id: UUID | None) -> Patient | None:
        """Whose a study is given out as now; None: nothing of it is given out."""
        if study_id is None:
            return None
        with self.several.retrieve.database.read_only() as connection:
            ids = outgoing.shown_of(connection, study_id)
            ready = self.several.of(connection, ids, self.domain)
        return next((patient_of(each) for each in ready.values()), None)


def _control_id(due: Due) -> str:
    """MSH-10 has 20 characters (HL7 v2.5.1 2.15.9.10)."""
    named = f"{due.destination}/{due.number}/{due.created_at.isoformat()}"
    return hashlib.sha256(named.encode()).hexdigest()[:20]
