"""Receive one instance: RAD-8 Modality Images Stored, or a file import.

Bytes durable, then rows committed, then success. A crash between the first two leaves a
file that no row names, which `reconcile doctor` finds; the other order could leave a row
that names no file, and an image would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.audit import Values
from reconcile.core.candidates import rank
from reconcile.core.coercion import RULE, Decision, Outcome, decide
from reconcile.core.facts import InstanceFacts
from reconcile.core.identity import Domain
from reconcile.core.study import StudyDecision, StudyRule, decide_study
from reconcile.core.targets import HELD_DOMAIN, targets
from reconcile.dataset.facts import Received
from reconcile.dataset.keywords import keywords, tag_of
from reconcile.dataset.overlay import (
    Coercion,
    Plan,
    Refusal,
    original_attributes_item,
    plan,
)
from reconcile.db import events, holds, orders, persons, registry, stored
from reconcile.db.database import Connection, Database
from reconcile.db.registry import Frame, Loaded
from reconcile.errors import SOPClassMismatch, SOPInstanceMismatch
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.opened import opened
from reconcile.flows.rules import Rules
from reconcile.storage.local import LocalStorage

_IDENTITY_TAGS = (
    at.PATIENT_NAME,
    at.PATIENT_ID,
    at.ISSUER_OF_PATIENT_ID,
    at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
    at.PATIENT_BIRTH_DATE,
    at.PATIENT_SEX,
    at.OTHER_PATIENT_IDS_SEQUENCE,
    at.ACCESSION_NUMBER,
    at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    at.STUDY_INSTANCE_UID,
)


# What is said of a value that was kept as received because it could not be written.
_REVIEW_OF = {Refusal.VALUE: "IMPLAUSIBLE", Refusal.TAG: "IMPLAUSIBLE"}


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an instance was filed, and what it must become there."""

    study_id: UUID | None
    series_id: UUID | None
    person_id: UUID | None
    revision: int
    study_uid: str
    series_uid: str
    changes: Plan | None
    assigns: tuple[at.Assign, ...]
    reviews: tuple[str, ...]
    patient: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class StoreFlow:
    """The steps of receiving an instance, with everything they touch handed in."""

    database: Database
    storage: LocalStorage
    rules: Rules
    clock: Callable[[], datetime]
    cause: str = "c-store"

    def receive(self, arrival: Arrival) -> Stored:
        """Keep an instance, and record what it must become.

        Raises:
            CannotUnderstand: its data set cannot be read; nothing is kept.
            SOPClassMismatch, SOPInstanceMismatch: it is not what was announced.
            ServiceUnavailable, StorageFull: try again later; nothing is recorded.
        """
        with opened(arrival, self.storage.spool_dir) as (received, digest, length):
            facts = received.facts()
            _require_announced(arrival, facts)
            self.storage.adopt(arrival.path, digest)
            settle = _Settle(self, arrival, received, facts, digest, length)
            return self.database.run(settle.run)


def _require_announced(arrival: Arrival, facts: InstanceFacts) -> None:
    if facts.sop_class_uid != arrival.sop_class_uid:
        raise SOPClassMismatch("SOP Class UID differs between command and data set")
    if facts.sop_instance_uid != arrival.sop_instance_uid:
        raise SOPInstanceMismatch("SOP Instance UID differs between command and data set")


class _Settle:
    """One transaction: facts under lock, the decision, rows. May run more than once."""

    def __init__(
        self,
        flow: StoreFlow,
        arrival: Arrival,
        received: Received,
        facts: InstanceFacts,
        digest: str,
        length: int,
    ) -> None:
        self.flow, self.rules = flow, flow.rules
        self.arrival, self.source = arrival, arrival.source
        self.received, self.facts = received, facts
        self.digest, self.length = digest, length

    def run(self, connection: Connection) -> Stored:
        frame = Frame(
            self.rules.domains, self.rules.archive_domain, self.rules.deidentified_domain
        )
        loaded = registry.load(connection, self.facts, self.source, frame)
        decision = decide(self.facts, loaded.facts, self.source, self.digest)
        receipt = self._receipt(loaded)
        receipt_id = stored.keep_receipt(connection, receipt, decision.outcome.value)
        if decision.outcome is Outcome.ALREADY_STORED:
            return self._already(connection, loaded)
        now = self.flow.clock()
        if decision.outcome is Outcome.DUPLICATE_DIFFERS:
            happening_id = events.happen(connection, self._happening(decision, now))
            return self._hold_duplicate(connection, loaded, happening_id, receipt_id)
        study = self._decide_study(loaded, decision)
        happening_id = events.happen(connection, self._happening(decision, now, study))
        placed = self._place(connection, loaded, decision, study, happening_id, now)
        instance_id = stored.keep_instance(
            connection,
            receipt=receipt,
            receipt_id=receipt_id,
            sop_class_uid=self.facts.sop_class_uid,
            series_id=placed.series_id,
            revision=placed.revision,
            happening_id=happening_id,
        )
        coerced = self._coerce(connection, placed, instance_id, happening_id, now)
        self._open_items(connection, loaded, decision, placed, happening_id, receipt_id)
        if decision.outcome.is_hold and not placed.assigns and self._hides(decision):
            stored.hide(connection, instance_id)
        held = decision.outcome.value if decision.outcome.is_hold else ""
        return Stored(coerced, held, already=False)

    # -- Before ---------------------------------------------------------------------

    def _receipt(self, loaded: Loaded) -> stored.Receipt:
        return stored.Receipt(
            loaded.uid_domain,
            self.facts.sop_instance_uid,
            self.digest,
            self.length,
            self.arrival.transfer_syntax,
            "\\".join(self.received.charsets),
            self.source.ae_title,
            self.arrival.peer_address,
            self.arrival.association,
            self.flow.clock(),
            self.arrival.file_meta,
        )

    def _already(self, connection: Connection, loaded: Loaded) -> Stored:
        uid_domain, uid = loaded.uid_domain, self.facts.sop_instance_uid
        named = events.coerced_attributes(connection, uid_domain, uid)
        tags = tuple(tag for name in named if (tag := tag_of(name)))
        return Stored(tags, "", already=True)

    def _hold_duplicate(
        self, connection: Connection, loaded: Loaded, happening_id: UUID, receipt_id: UUID
    ) -> Stored:
        code = Outcome.DUPLICATE_DIFFERS.value
        item = holds.Item(
            "hold",
            code,
            self.facts.sop_instance_uid,
            self.source.ae_title,
            loaded.study.id if loaded.study is not None else None,
            received=self._received_identity(),
        )
        holds.open_item(connection, item, happening_id, receipt_id)
        return Stored((), code, already=False)

    def _happening(
        self, decision: Decision, now: datetime, study: StudyDecision | None = None
    ) -> events.Happening:
        explanation: dict[str, Any] = {
            "outcome": decision.outcome.value,
            "evidence": [
                {"rung": e.rung, "found": e.found, "person": e.person_id}
                for e in decision.evidence
            ],
            "reviews": list(decision.reviews),
        }
        if study:
            explanation["study_rule"] = study.rule.value
        return events.Happening(
            self.flow.cause,
            self._cause_id(),
            self.source.ae_title,
            self.rules.digest,
            now,
            RULE,
            decision.rung,
            explanation,
        )

    def _cause_id(self) -> str:
        """Who sent it, on which association, as which message."""
        came = self.arrival
        return f"{self.source.ae_title}/{came.association}/{came.message_id}"

    # -- Filing ---------------------------------------------------------------------

    def _decide_study(self, loaded: Loaded, decision: Decision) -> StudyDecision | None:
        if decision.outcome is Outcome.NOT_PATIENT:
            return None
        wanted = () if decision.outcome.is_hold else decision.order_ids
        named = tuple(o for o in loaded.facts.orders if o.order_id in wanted)
        return decide_study(self.facts, loaded.facts, named)

    def _place(
        self,
        connection: Connection,
        loaded: Loaded,
        decision: Decision,
        study: StudyDecision | None,
        happening_id: UUID,
        now: datetime,
    ) -> Placed:
        if study is None:
            return Placed(None, None, None, 0, "", "", None, (), (), None)
        row = self._file_study(connection, loaded, study, happening_id)
        identity_id, person_id = self._identity(connection, loaded, decision, happening_id, now)
        series = stored.make_series(
            connection,
            study_id=row.id,
            uid_domain=loaded.uid_domain,
            received_uid=self.facts.series_instance_uid,
            identity_id=identity_id,
            held=decision.outcome.value if decision.outcome.is_hold else None,
            happening_id=happening_id,
        )
        held_id = self._held_id(connection, decision, row.id)
        wanted = targets(
            decision,
            self.facts,
            loaded.facts,
            study_uid=row.study_instance_uid,
            series_uid=series.series_instance_uid,
            held_id=held_id,
            procedure_id=stored.linked_procedure(connection, row.id),
        )
        assigns = wanted.assigns if self.source.coerce else ()
        changes = plan(self.received, assigns)
        second = study.rule is StudyRule.SECOND_STUDY
        reviews = (
            *decision.reviews,
            *wanted.reviews,
            *(("SECOND-STUDY",) if second else ()),
            *(_REVIEW_OF.get(why, why.value) for why in changes.refused.values()),
        )
        return Placed(
            row.id,
            series.id,
            person_id,
            row.revision,
            row.study_instance_uid,
            series.series_instance_uid,
            changes,
            assigns,
            tuple(dict.fromkeys(reviews)),
            self._patient(decision, loaded, held_id),
        )

    def _file_study(
        self,
        connection: Connection,
        loaded: Loaded,
        study: StudyDecision,
        happening_id: UUID,
    ) -> Any:
        row = loaded.study
        if row is None:
            row = stored.make_study(
                connection,
                uid_domain=loaded.uid_domain,
                assigned_uid=study.assigned_uid,
                happening_id=happening_id,
            )
        if loaded.study is None or study.assigned_uid != self.facts.study_instance_uid:
            stored.map_study(
                connection,
                uid_domain=loaded.uid_domain,
                received_uid=self.facts.study_instance_uid,
                assigned_uid=row.study_instance_uid,
                rule=study.rule.value,
                happening_id=happening_id,
            )
        answers = study.rule not in (StudyRule.KNOWN, StudyRule.GROUP_CASE)
        procedure = UUID(study.procedure_id) if study.procedure_id and answers else None
        known = loaded.facts.study.order_ids if loaded.facts.study else frozenset()
        for order_id in study.order_ids:
            if order_id not in known:
                stored.link_order(connection, row.id, UUID(order_id), procedure, happening_id)
        return row

    def _identity(
        self,
        connection: Connection,
        loaded: Loaded,
        decision: Decision,
        happening_id: UUID,
        now: datetime,
    ) -> tuple[UUID | None, UUID | None]:
        """The identity that the series hangs on, made with its person if it is new."""
        person_id = UUID(decision.person_id) if decision.person_id else None
        if decision.identity and decision.identity in loaded.identities:
            return loaded.identities[decision.identity], person_id
        if decision.outcome.is_hold:
            return None, None
        if person_id is not None:
            return self._identity_by_evidence(connection, decision), person_id
        if decision.identity is None:
            return None, None
        return self._new_person(connection, loaded, decision, happening_id, now)

    def _identity_by_evidence(
        self, connection: Connection, decision: Decision
    ) -> UUID | None:
        """Of an order, else any that the person has: the header's own is not linked."""
        if decision.order_ids:
            return orders.identity_of(connection, UUID(decision.order_ids[0]))
        return persons.any_identity(connection, UUID(decision.person_id))

    def _new_person(
        self,
        connection: Connection,
        loaded: Loaded,
        decision: Decision,
        happening_id: UUID,
        now: datetime,
    ) -> tuple[UUID, UUID]:
        assert decision.identity is not None
        name = decision.identity.domain
        if name not in loaded.facts.domains:
            persons.meet_domain(connection, self._met(name))
        state = "test" if decision.outcome is Outcome.TEST else "provisional"
        person_id = persons.create(connection, state, happening_id)
        identity_id = persons.own(
            connection, decision.identity, self.facts.patient_id, person_id, happening_id
        )
        persons.say(
            connection,
            person_id,
            persons.said_as_json(self.facts.demographics),
            source=self.source.ae_title,
            authority=persons.IMAGE_AUTHORITY,
            said_at=now,
            happening_id=happening_id,
        )
        return identity_id, person_id

    def _met(self, name: str) -> Domain:
        issuer = self.facts.issuer
        return Domain(name, issuer.universal_id, issuer.universal_id_type)

    def _hides(self, decision: Decision) -> bool:
        return not self.source.coerce or self.rules.hides(decision.outcome.value)

    def _held_id(self, connection: Connection, decision: Decision, study_id: UUID) -> str:
        if not decision.outcome.is_hold or self._hides(decision):
            return ""
        return stored.held_id(connection, study_id)

    def _patient(
        self, decision: Decision, loaded: Loaded, held_id: str
    ) -> dict[str, str] | None:
        if held_id:
            return {"id": held_id, "issuer": HELD_DOMAIN.name}
        person = loaded.facts.persons.get(decision.person_id)
        shown = decision.identity
        if decision.outcome is Outcome.COERCE and person and person.assigned:
            shown = person.assigned
        return {"id": shown.value, "issuer": shown.domain} if shown else None

    # -- What is remembered of it -----------------------------------------------------

    def _coerce(
        self,
        connection: Connection,
        placed: Placed,
        instance_id: UUID,
        happening_id: UUID,
        now: datetime,
    ) -> tuple[str, ...]:
        """The audit row and the live assignment; the tags that changed."""
        changes = placed.changes
        if changes is None or not changes.changes:
            return ()
        coercion = Coercion(
            placed.assigns, now, self.rules.modifying_system, self.source.ae_title, "COERCE"
        )
        tags = tuple(at.tags(changes.changes))
        values = Values(
            placed.patient,
            original_attributes_item(changes, coercion),
            changes.new,
            tuple(changes.absent),
        )
        event = events.InstanceEvent(
            happening_id,
            instance_id,
            placed.study_id,
            placed.person_id,
            "COERCE",
            self.source.ae_title,
            self.facts.sop_instance_uid,
            placed.series_uid,
            placed.study_uid,
            self.facts.study_instance_uid,
            keywords(tags),
            now,
        )
        events.record(connection, event, values)
        stored.assign(
            connection,
            instance_id,
            assigns=placed.assigns,
            modifying_system=self.rules.modifying_system,
            source=self.source.ae_title,
            reason="COERCE",
            coerced_at=now,
        )
        return tags

    def _open_items(
        self,
        connection: Connection,
        loaded: Loaded,
        decision: Decision,
        placed: Placed,
        happening_id: UUID,
        receipt_id: UUID,
    ) -> None:
        subject = str(decision.identity or "")
        wanted = [("review", code) for code in placed.reviews]
        if decision.outcome.is_hold:
            wanted.append(("hold", decision.outcome.value))
        for kind, code in wanted:
            if holds.add_to_open(connection, placed.study_id, code, subject, receipt_id):
                continue
            item = holds.Item(
                kind,
                code,
                subject,
                self.source.ae_title,
                placed.study_id,
                received=self._received_identity(),
                candidates=self._candidates(connection, loaded, decision),
            )
            holds.open_item(connection, item, happening_id, receipt_id)

    def _received_identity(self) -> dict[str, Any]:
        present = self.facts.present
        return {tag: present[tag] for tag in _IDENTITY_TAGS if tag in present}

    def _candidates(
        self, connection: Connection, loaded: Loaded, decision: Decision
    ) -> list[dict[str, Any]]:
        """Persons to suggest, ranked; for people only, nothing acts on them."""
        header = self.facts.demographics
        alike = persons.alike(connection, self.facts.patient_id, header.birth_date)
        near = persons.facts(connection, alike, self.rules.archive_domain)
        known = {**near, **loaded.facts.persons}
        ranked = rank(header, decision.identity, list(known.values()))
        return [
            {
                "patient": candidate.person_id,
                "identifiers": [str(i) for i in known[candidate.person_id].identifiers],
                "bits": candidate.bits,
                "reasons": list(candidate.reasons),
            }
            for candidate in ranked[:10]
        ]
