"""Receive one instance: RAD-8 Modality Images Stored, or a file import.

Bytes durable, then rows committed, then success. A crash between the first two leaves a
file that no row names, which `reconcile doctor` finds; the other order could leave a row
that names no file, and an image would be lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.audit import Values
from reconcile.core.coercion import RULE, Decision, Outcome, decide
from reconcile.core.facts import InstanceFacts
from reconcile.core.study import StudyDecision, decide_study
from reconcile.dataset.keywords import keywords, tag_of
from reconcile.dataset.overlay import Coercion, original_attributes_item
from reconcile.db import events, registry, stored
from reconcile.db.database import Connection, Database
from reconcile.db.registry import Frame, Loaded
from reconcile.errors import NotFound, SOPClassMismatch, SOPInstanceMismatch
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.arriving import Arriving, Moment, Placed
from reconcile.flows.filing import file_instance
from reconcile.flows.items import hold_duplicate, open_items
from reconcile.flows.opened import opened
from reconcile.flows.retrieve import BytesMissing, RetrieveFlow
from reconcile.flows.rules import Rules
from reconcile.storage.local import LocalStorage


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
            arriving = Arriving(arrival, received, facts, digest, length, self.rules)
            return self.database.run(lambda connection: self._settle(connection, arriving))

    def _settle(self, connection: Connection, arriving: Arriving) -> Stored:
        """One transaction: facts under lock, decision, rows. May run more than once."""
        facts, rules = arriving.facts, self.rules
        frame = Frame(rules.domains, rules.archive_domain, rules.deidentified_domain)
        loaded = registry.load(connection, facts, arriving.source, frame)
        decision = decide(facts, loaded.facts, arriving.source, arriving.digest)
        if decision.outcome is Outcome.DUPLICATE_DIFFERS and self._came_back(arriving):
            decision = Decision(Outcome.ALREADY_STORED)
        now = self.clock()
        receipt = _receipt(arriving, loaded, now)
        receipt_id = stored.keep_receipt(connection, receipt, decision.outcome.value)
        if decision.outcome is Outcome.ALREADY_STORED:
            return _as_before(connection, arriving, loaded)
        study = _decide_study(arriving, loaded, decision)
        happening = self._happening(arriving, decision, study, now)
        moment = Moment(connection, events.happen(connection, happening), now)
        held = decision.outcome.value if decision.outcome.is_hold else ""
        if decision.outcome is Outcome.DUPLICATE_DIFFERS:
            hold_duplicate(arriving, loaded, moment, receipt_id)
            return Stored((), held)
        placed = Placed()
        if study is not None:
            placed = file_instance(arriving, loaded, decision, study, moment)
        instance_id = stored.keep_instance(
            connection,
            receipt=receipt,
            receipt_id=receipt_id,
            sop_class_uid=facts.sop_class_uid,
            series_id=placed.series_id,
            revision=placed.revision,
            hidden=bool(held) and arriving.hides(decision.outcome),
            assignment_id=_assignment(arriving, placed, moment),
            coerced_at=now if placed.changes.changes else None,
            happening_id=moment.happening_id,
        )
        coerced = _coerce(arriving, placed, instance_id, moment)
        open_items(arriving, loaded, decision, placed, moment, receipt_id)
        return Stored(coerced, held)

    def _came_back(self, arriving: Arriving) -> bool:
        """Whether it is what this archive gives out today, sent back to it."""
        given = RetrieveFlow(self.database, self.storage)
        try:
            outgoing = given.instance(arriving.facts.sop_instance_uid)
        except (NotFound, BytesMissing):
            return False
        digest = hashlib.sha256()
        for chunk in outgoing.chunks:
            digest.update(chunk)
        return digest.hexdigest() == arriving.digest

    def _happening(
        self,
        arriving: Arriving,
        decision: Decision,
        study: StudyDecision | None,
        now: datetime,
    ) -> events.Happening:
        came = arriving.arrival
        return events.Happening(
            self.cause,
            f"{arriving.source.ae_title}/{came.association}/{came.message_id}",
            arriving.source.ae_title,
            self.rules.digest,
            now,
            RULE,
            decision.rung,
            _explanation(decision, study),
        )


def _require_announced(arrival: Arrival, facts: InstanceFacts) -> None:
    if facts.sop_class_uid != arrival.sop_class_uid:
        raise SOPClassMismatch("SOP Class UID differs between command and data set")
    if facts.sop_instance_uid != arrival.sop_instance_uid:
        raise SOPInstanceMismatch("SOP Instance UID differs between command and data set")


def _receipt(arriving: Arriving, loaded: Loaded, now: datetime) -> stored.Receipt:
    arrival = arriving.arrival
    return stored.Receipt(
        loaded.uid_domain,
        arriving.facts.sop_instance_uid,
        arriving.digest,
        arriving.length,
        arrival.transfer_syntax,
        "\\".join(arriving.received.charsets),
        arriving.source.ae_title,
        arrival.peer_address,
        arrival.association,
        now,
        arrival.file_meta,
    )


def _as_before(connection: Connection, arriving: Arriving, loaded: Loaded) -> Stored:
    """The answer that the first arrival of the same content was given."""
    if arriving.digest != loaded.facts.stored_digest:
        return Stored(already=True)  # it is held beside the instance, and never coerced
    uid_domain, uid = loaded.uid_domain, arriving.facts.sop_instance_uid
    named = events.coerced_attributes(connection, uid_domain, uid)
    return Stored(tuple(tag for name in named if (tag := tag_of(name))), already=True)


def _decide_study(
    arriving: Arriving, loaded: Loaded, decision: Decision
) -> StudyDecision | None:
    if decision.outcome in (Outcome.NOT_PATIENT, Outcome.DUPLICATE_DIFFERS):
        return None
    wanted = () if decision.outcome.is_hold else decision.order_ids
    named = tuple(o for o in loaded.facts.orders if o.order_id in wanted)
    return decide_study(arriving.facts, loaded.facts, named)


def _explanation(decision: Decision, study: StudyDecision | None) -> dict[str, Any]:
    """What `study explain` tells; persons by id, no patient data."""
    explanation: dict[str, Any] = {
        "outcome": decision.outcome.value,
        "evidence": [
            {"rung": e.rung, "found": e.found, "person": e.person_id}
            for e in decision.evidence
        ],
        "reviews": list(decision.reviews),
    }
    return explanation | ({"study_rule": study.rule.value} if study else {})


def _assignment(arriving: Arriving, placed: Placed, moment: Moment) -> UUID | None:
    """The live assignment of an instance in which anything changes."""
    if not placed.changes.changes:
        return None
    return stored.assignment(
        moment.connection,
        assigns=placed.assigns,
        modifying_system=arriving.rules.modifying_system,
        source=arriving.source.ae_title,
        reason="COERCE",
    )


def _coerce(
    arriving: Arriving, placed: Placed, instance_id: UUID, moment: Moment
) -> tuple[str, ...]:
    """The audit row of an instance in which anything changes; the tags that do."""
    changes, source = placed.changes, arriving.source.ae_title
    if not changes.changes:
        return ()
    system = arriving.rules.modifying_system
    coercion = Coercion(placed.assigns, moment.now, system, source, "COERCE")
    item = original_attributes_item(changes, coercion)
    tags = tuple(at.tags(changes.changes))
    event = events.InstanceEvent(
        moment.happening_id,
        instance_id,
        placed.study_id,
        placed.person_id,
        "COERCE",
        source,
        arriving.facts.sop_instance_uid,
        placed.series_uid,
        placed.study_uid,
        arriving.facts.study_instance_uid,
        keywords(tags),
        moment.now,
    )
    values = Values(placed.patient, item, changes.new, tuple(changes.absent))
    events.record(moment.connection, event, values)
    return tags
