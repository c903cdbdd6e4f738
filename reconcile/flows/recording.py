"""Decide and record one instance by itself: facts under lock, decision, rows.

One transaction, which may run more than once. What comes of it is a precedent for those
that are like it, where nothing else went into it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core.audit import Values
from reconcile.core.coercion import LIST_RULE, RULE, Decision, Outcome, decide
from reconcile.core.study import StudyDecision, StudyRule, decide_study
from reconcile.dataset.keywords import tag_of
from reconcile.dataset.overlay import Coercion, original_attributes_item
from reconcile.db import events, registry, stored, unresolved
from reconcile.db.database import Connection, Database
from reconcile.db.groups import Common
from reconcile.db.registry import Before, Frame, Loaded, Named
from reconcile.flows.arrival import Stored
from reconcile.flows.arriving import Arriving, Moment, Placed
from reconcile.flows.duplicates import Compared, Likeness, likeness_of
from reconcile.flows.filing import file_instance, file_without_study
from reconcile.flows.inside import is_kept_original, others
from reconcile.flows.items import hold_duplicate, open_items
from reconcile.flows.late import LateReferences
from reconcile.flows.precedents import (
    Precedent,
    Reasons,
    is_followed,
    keywords_of,
    tags_of,
    values_around_time,
)
from reconcile.flows.readmitting import Readmitting, keep_again, turn_away
from reconcile.flows.rejecting import Rejecting
from reconcile.flows.restate import Restate
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.rules import Rules
from reconcile.storage.local import LocalStorage

#: Outcome of an arrival that was refused, for the instance was rejected.
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Decided:
    """Whose an instance is and in which study, with the facts it was decided from."""

    loaded: Loaded
    decision: Decision
    study: StudyDecision | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An instance that has its rows; `precedent` is for those that are like it."""

    stored: Stored
    precedent: Precedent | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """The steps of recording an instance, with everything they touch handed in."""

    database: Database
    storage: LocalStorage
    rules: Rules
    clock: Callable[[], datetime]
    cause: str

    def settle(
        self, connection: Connection, arriving: Arriving, compared: Compared
    ) -> Recorded:
        """One transaction: facts under lock, decision, rows. May run more than once.

        Raises:
            NotCompared: the same SOP Instance UID is here with other content.
        """
        facts = arriving.facts
        came = registry.before(connection, facts, arriving.source, self.frame)
        readmitting = Readmitting(self.storage, self.rules.readmits)
        grave = readmitting.grave(connection, arriving, came.uid_domain)
        deleted = grave is not None and not readmitting.takes(grave)
        known = bool(came.digest or grave)
        if deleted or self._is_refused(connection, arriving, came.uid_domain, known=known):
            receipt = _receipt(arriving, came.uid_domain, self.clock())
            turn_away(connection, receipt, REFUSED, grave)
            return Recorded(Stored(refused=True, deleted=deleted))
        if came.digest == arriving.digest:
            return self._again(connection, arriving, came.uid_domain)
        loaded = self.load(connection, arriving, came)
        decision = decide(facts, loaded.facts, arriving.source, arriving.digest)
        like = likeness_of(arriving, loaded, compared)
        if like:
            decision = Decision(Outcome.ALREADY_STORED)
        now = self.clock()
        receipt = _receipt(arriving, loaded.uid_domain, now)
        receipt_id = stored.keep_receipt(connection, receipt, decision.outcome.value)
        if like is Likeness.CURRENT:
            return Recorded(_as_before(connection, arriving, loaded.uid_domain))
        if like:  # to what was given out of it, or is kept beside it
            return Recorded(Stored(already=True))
        study = decide_study_of(arriving, loaded, decision)
        happening = self._happening(arriving, decision, study, now)
        moment = Moment(connection, events.happen(connection, happening), now)
        held = decision.outcome.value if decision.outcome.is_hold else ""
        if decision.outcome is Outcome.DUPLICATE_DIFFERS:
            hold_duplicate(arriving, loaded, moment, receipt_id)
            return Recorded(Stored((), held))
        decided = Decided(loaded, decision, study)
        keep = keep_again if grave else stored.keep_instance
        return self.record(arriving, decided, moment, receipt_id, keep)

    def _is_refused(
        self, connection: Connection, arriving: Arriving, uid_domain: str, *, known: bool
    ) -> bool:
        """Whether it was rejected, and may not come again; `known`: it was here before."""
        return Rejecting(self.rules).refuses(
            connection, arriving, uid_domain, self.clock(), known=known
        )

    def _again(
        self, connection: Connection, arriving: Arriving, uid_domain: str
    ) -> Recorded:
        """The same bytes: one receipt more."""
        receipt = _receipt(arriving, uid_domain, self.clock())
        stored.keep_receipt(connection, receipt, Outcome.ALREADY_STORED.value)
        return Recorded(_as_before(connection, arriving, uid_domain))

    @property
    def frame(self) -> Frame:
        """The domains that facts are read in."""
        rules = self.rules
        return Frame(rules.domains, rules.archive_domain, rules.deidentified_domain)

    def load(
        self, connection: Connection, arriving: Arriving, came: Before | None = None
    ) -> Loaded:
        """What the registry knows of an instance, locked until the transaction ends.

        `came`: what came before under its UID, if that was asked for already.
        """
        facts, source, frame = arriving.facts, arriving.source, self.frame
        named = Named(arriving.inside.uids, others(arriving.inside, facts))
        came = came or registry.before(connection, facts, source, frame)
        return registry.load(connection, facts, source, frame, named, came)

    def record(
        self,
        arriving: Arriving,
        decided: Decided,
        moment: Moment,
        receipt_id: UUID,
        keep: Callable[..., UUID],
    ) -> Recorded:
        """File what was decided to be given out from now on, and tell of it.

        `keep` makes the row of the instance, or lets this arrival take its place there.
        """
        facts, decision = arriving.facts, decided.decision
        held = decision.outcome.value if decision.outcome.is_hold else ""
        loaded, study = decided.loaded, decided.study
        placed = (
            file_without_study(arriving)
            if study is None
            else file_instance(arriving, loaded, decision, study, moment)
        )
        untouched = _is_untouched(arriving)
        hidden = bool(held) and arriving.hides(decision.outcome)
        rejecting, uid_domain = Rejecting(self.rules), loaded.uid_domain
        uid = facts.sop_instance_uid
        hidden = hidden or rejecting.is_hidden(moment.connection, uid_domain, uid)
        assigned = None if untouched else _assignment(arriving, placed, moment)
        assignment_id = assigned if placed.changes.changes else None
        instance_id = keep(
            moment.connection,
            receipt=_receipt(arriving, loaded.uid_domain, moment.now),
            receipt_id=receipt_id,
            sop_class_uid=facts.sop_class_uid,
            series_id=placed.series_id,
            revision=placed.revision,
            hidden=hidden,
            assignment_id=assignment_id,
            coerced_at=moment.now if placed.changes.changes else None,
            happening_id=moment.happening_id,
            as_received=untouched,
        )
        unresolved.keep(moment.connection, receipt_id, loaded.uid_domain, placed.unmet)
        coerced = _coerce(arriving, placed, instance_id, receipt_id, moment)
        retrieve = RetrieveFlow(self.database, self.storage)
        LateReferences(retrieve, self.rules).settle(moment, placed.met)
        if placed.relinked and placed.study_id is not None:
            Restate(self.rules).studies(moment, (placed.study_id,))
        items = open_items(arriving, loaded, decision, placed, moment, receipt_id)
        rejecting.take(moment, arriving, uid_domain)
        done = Stored(coerced, held)
        return Recorded(done, _precedent(arriving, decided, placed, assignment_id, items))

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
            LIST_RULE if arriving.facts.listed and decision.rung != "S" else RULE,
            decision.rung,
            explanation(decision, study) | _unmapped(arriving),
        )


def _receipt(arriving: Arriving, uid_domain: str, now: datetime) -> stored.Receipt:
    arrival = arriving.arrival
    return stored.Receipt(
        uid_domain,
        arriving.facts.sop_instance_uid,
        arriving.digest,
        arrival.length,
        arrival.transfer_syntax,
        "\\".join(arriving.received.charsets),
        arriving.source.ae_title,
        arrival.peer_address,
        arrival.association,
        now,
        arriving.location.segment,
        arriving.location.offset,
        arrival.file_meta,
    )


def _as_before(connection: Connection, arriving: Arriving, uid_domain: str) -> Stored:
    """The answer that the first arrival of the same content was given."""
    uid = arriving.facts.sop_instance_uid
    named = events.coerced_attributes(connection, uid_domain, uid)
    return Stored(tuple(tag for name in named if (tag := tag_of(name))), already=True)


def decide_study_of(
    arriving: Arriving, loaded: Loaded, decision: Decision
) -> StudyDecision | None:
    """Which study a decided instance belongs to; None: to none, or it is not filed."""
    if decision.outcome in (Outcome.NOT_PATIENT, Outcome.DUPLICATE_DIFFERS):
        return None
    wanted = () if decision.outcome.is_hold else decision.order_ids
    named = tuple(o for o in loaded.facts.orders if o.order_id in wanted)
    return decide_study(arriving.facts, loaded.facts, named)


def explanation(decision: Decision, study: StudyDecision | None) -> dict[str, Any]:
    """What `study explain` tells; persons by id, no patient data."""
    told: dict[str, Any] = {
        "outcome": decision.outcome.value,
        "evidence": [
            {"rung": e.rung, "found": e.found, "person": e.person_id}
            for e in decision.evidence
        ],
        "reviews": list(decision.reviews),
    }
    return told | ({"study_rule": study.rule.value} if study else {})


def _unmapped(arriving: Arriving) -> dict[str, int]:
    """How many codes of replaced schemes have no SCT code, and stay."""
    count = arriving.inside.codes.unmapped
    return {"codes_unmapped": count} if count else {}


def _is_untouched(arriving: Arriving) -> bool:
    """Whether it is given out as it came, whatever is decided later."""
    return not arriving.source.coerce or is_kept_original(arriving.facts, arriving.source)


def _assignment(arriving: Arriving, placed: Placed, moment: Moment) -> UUID | None:
    """What was to be assigned, whether or not that changes anything in this instance."""
    if not placed.changes.changes and placed.series_id is None:
        return None
    return stored.assignment(
        moment.connection,
        assigns=placed.assigns,
        modifying_system=arriving.rules.modifying_system,
        source=arriving.source.ae_title,
        reason="COERCE",
        series_id=placed.series_id,
        revision=placed.revision,
    )


def _coerce(
    arriving: Arriving,
    placed: Placed,
    instance_id: UUID,
    receipt_id: UUID,
    moment: Moment,
) -> tuple[str, ...]:
    """The audit row of an instance in which anything changes; the tags that do."""
    changes, source = placed.changes, arriving.source.ae_title
    if not changes.changes:
        return ()
    system = arriving.rules.modifying_system
    coercion = Coercion(placed.assigns, moment.now, system, source, "COERCE")
    item = original_attributes_item(changes, coercion)
    event = events.InstanceEvent(
        moment.happening_id,
        instance_id,
        receipt_id,
        placed.study_id,
        placed.person_id,
        "COERCE",
        source,
        arriving.facts.sop_instance_uid,
        placed.series_uid,
        placed.study_uid,
        arriving.facts.study_instance_uid,
        keywords_of(changes),
        moment.now,
    )
    values = Values(placed.patient, item, changes.new, tuple(changes.absent))
    events.record(moment.connection, event, values)
    return tags_of(changes)


def _precedent(
    arriving: Arriving,
    decided: Decided,
    placed: Placed,
    assignment_id: UUID | None,
    items: tuple[UUID, ...],
) -> Precedent | None:
    """What those that are like it follow; None: each is to be looked at for itself.

    The first of a new person, or of a second study of an order, is told of as such; and
    what a person decided may be taken back at any time.
    """
    decision, study = decided.decision, decided.study
    first = decision.rung in ("P", "S") or (study and study.rule is StudyRule.SECOND_STUDY)
    if first or study is None or not is_followed(arriving, placed):
        return None
    values = values_around_time(arriving, placed)
    if values is None or placed.study_id is None or placed.series_id is None:
        return None
    hold = decision.outcome.is_hold
    common = Common(
        decided.loaded.uid_domain,
        arriving.facts.sop_class_uid,
        arriving.arrival.transfer_syntax,
        "\\".join(arriving.received.charsets),
        arriving.source.ae_title,
        decision.outcome.value,
        placed.study_id,
        placed.revision,
        placed.series_id,
        placed.person_id,
        assignment_id,
        hold and arriving.hides(decision.outcome),
        _is_untouched(arriving),
        placed.study_uid,
        placed.series_uid,
        arriving.facts.study_instance_uid,
        keywords_of(placed.changes),
        items,
    )
    reasons = Reasons(
        RULE, decision.rung, explanation(decision, study) | _unmapped(arriving)
    )
    held = decision.outcome.value if hold else ""
    return Precedent(common, tags_of(placed.changes), held, reasons, values)
