"""Take performed procedure steps: RAD-6, RAD-7 Modality Procedure Step (MPPS).

A step is kept as it came. What it says of its order is evidence like what a header says:
it is decided like an arriving instance of its study, and teaches the registry the Study
UID of the modality before the first image. A step that was discontinued because the wrong
worklist entry had been selected is no evidence, and its series are held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core import performed as core
from reconcile.core.attributes import Element, Tag
from reconcile.core.coercion import RULE, Decision, Outcome, decide
from reconcile.core.facts import InstanceFacts, Source
from reconcile.core.performed import StepState
from reconcile.core.study import StudyDecision, StudyRule, decide_study
from reconcile.dataset.facts import Received, read
from reconcile.dataset.performed import elements_of, scheduled, step_facts
from reconcile.db import (
    events,
    evidence,
    merges,
    orders,
    performed,
    registry,
    studies,
    unresolved,
)
from reconcile.db.database import Connection, lock
from reconcile.db.headers import without_nul
from reconcile.db.performed import Message
from reconcile.db.registry import Before, Loaded, Named
from reconcile.errors import (
    DuplicateInstance,
    InvalidArgument,
    MissingAttribute,
    MissingValue,
    NoSuchInstance,
    StepIsOver,
)
from reconcile.flows.arriving import Moment
from reconcile.flows.filing import link_orders
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.late import LateReferences
from reconcile.flows.late_orders import LateOrders
from reconcile.flows.recording import explanation
from reconcile.flows.restate import Restate
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.wrong_entry import CODE, WrongEntry

SOP_CLASS = "1.2.840.10008.3.1.2.3.3"
#: Where a study may be mapped before its first image comes: what is flagged otherwise is
#: decided, and flagged, by that image.
_CLAIMS = frozenset(
    {
        StudyRule.GROUP_CASE,
        StudyRule.AMBIGUOUS_PROCEDURE,
        StudyRule.ORDER_WITHOUT_UID,
        StudyRule.ORDER_UID_RECEIVED,
        StudyRule.ORDER_UID,
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """An N-CREATE or N-SET as it came.

    Attributes:
        body: the data set.
        message_id: of the request.
    """

    sop_instance_uid: str
    transfer_syntax_uid: str
    body: bytes
    source: Source
    association: str
    message_id: int

    @property
    def cause_id(self) -> str:
        """What its happening names."""
        return f"{self.source.ae_title}/{self.association}/{self.message_id}"


@dataclass(frozen=True, slots=True)
class PerformedFlow:
    """The steps of taking a performed procedure step."""

    kept: KeptArrivals

    # -- N-CREATE ------------------------------------------------------------------------

    def create(self, told: Told) -> None:
        """Keep a new step, and link it to what it was scheduled as.

        Raises:
            DuplicateInstance: there is one of this UID.
            MissingAttribute, MissingValue, InvalidArgument: it lacks what it must have.
            CannotUnderstand, LimitExceeded: it cannot be read.
            ServiceUnavailable: nothing is kept.
        """
        received = read(told.body, told.transfer_syntax_uid, told.source.charset)
        said = _created(received)
        facts = step_facts(received, SOP_CLASS, told.sop_instance_uid)

        def step(connection: Connection) -> None:
            merges.share(connection)
            lock(connection, _locks(facts), shared=False)
            if performed.find(connection, told.sop_instance_uid) is not None:
                raise DuplicateInstance("there is a performed step of this UID")
            self._create(connection, told, said, facts)

        self.kept.recording.database.run(step)

    def _create(
        self,
        connection: Connection,
        told: Told,
        said: Mapping[Tag, Element],
        facts: InstanceFacts,
    ) -> None:
        loaded = self._load(connection, facts, told.source)
        decision = decide(facts, loaded.facts, told.source, "")
        study = _study_of(facts, loaded, decision)
        moment = self._happen(connection, told, decision, study)
        step_id = performed.create(
            connection,
            sop_instance_uid=told.sop_instance_uid,
            source=told.source.ae_title,
            state=StepState.IN_PROGRESS,
            said=without_nul(said),
            now=moment.now,
            happening_id=moment.happening_id,
        )
        if step_id is None:
            raise DuplicateInstance("there is a performed step of this UID")
        performed.keep(connection, step_id, _message("N-CREATE", told, moment.now))
        domains, default = self.kept.recording.rules.domains, told.source.accession_issuer
        items = [
            (item, registry.accession_issuer(item.accession_issuer, default, domains))
            for item in facts.requests
        ]
        performed.say(connection, step_id, items, moment.happening_id)
        self._link(moment, step_id, facts, loaded, decision, study)

    def _load(self, connection: Connection, facts: InstanceFacts, source: Source) -> Loaded:
        frame = self.kept.recording.frame
        return registry.load(connection, facts, source, frame, Named(), Before(""))

    def _happen(
        self,
        connection: Connection,
        told: Told,
        decision: Decision | None = None,
        study: StudyDecision | None = None,
    ) -> Moment:
        recording = self.kept.recording
        now = recording.clock()
        happening = events.Happening(
            "mpps",
            told.cause_id,
            told.source.ae_title,
            recording.rules.digest,
            now,
            RULE if decision else "",
            decision.rung if decision else "",
            explanation(decision, study) if decision else {"code": CODE},
        )
        return Moment(connection, events.happen(connection, happening), now)

    # -- its order ------------------------------------------------------------------------

    def _link(
        self,
        moment: Moment,
        step_id: UUID,
        facts: InstanceFacts,
        loaded: Loaded,
        decision: Decision,
        study: StudyDecision | None,
    ) -> None:
        """Link a step to its orders, and its study to them where it may be."""
        connection = moment.connection
        if study is None:
            return
        linked = performed.link(connection, step_id, [UUID(o) for o in study.order_ids])
        for order_id in linked:
            orders.move_on(connection, order_id, StepState.IN_PROGRESS)
        if loaded.study is not None:
            self._of_stored(moment, facts, loaded.study, linked)
        elif linked and study.rule in _CLAIMS:
            self._claim(moment, facts, loaded, study)

    def _claim(
        self, moment: Moment, facts: InstanceFacts, loaded: Loaded, study: StudyDecision
    ) -> None:
        """Map a study of which nothing has come yet, and link it."""
        connection, happening_id = moment.connection, moment.happening_id
        uid = facts.study_instance_uid
        row = studies.make_study(
            connection,
            uid_domain="",
            assigned_uid=study.assigned_uid,
            happening_id=happening_id,
        )
        studies.map_study(
            connection,
            uid_domain="",
            received_uid=uid,
            assigned_uid=row.study_instance_uid,
            rule=study.rule.value,
            happening_id=happening_id,
        )
        link_orders(loaded, study, row.id, moment)
        evidence.keep(connection, row.id, loaded.evidence)
        met = unresolved.met_study(connection, "", uid)
        recording = self.kept.recording
        retrieve = RetrieveFlow(recording.database, recording.storage)
        assigned = row.study_instance_uid
        LateReferences(retrieve, recording.rules).settle(
            moment, [(each, assigned) for each in met]
        )

    def _of_stored(
        self, moment: Moment, facts: InstanceFacts, study: Any, order_ids: list[UUID]
    ) -> None:
        """A study that is here already: it is matched as to an order that comes late."""
        connection = moment.connection
        numbers = {item.accession_number for item in facts.requests}
        names = {evidence.accession(number) for number in numbers}
        evidence.keep(connection, study.id, evidence.nameable(names))
        evidence.raise_study(connection, study.id)
        late = LateOrders(self.kept)
        for order_id in order_ids:
            late.settle(moment, order_id)
        Restate(self.kept.recording.rules).studies(moment, [study.id])

    def settle(self, moment: Moment, order_id: UUID) -> None:
        """An order has come or changed: link the steps that wait for it."""
        for waiting in performed.waiting_for(moment.connection, order_id):
            source = self.kept.source(waiting.source)
            message = performed.created_by(moment.connection, waiting.id)
            received = read(message.body, message.transfer_syntax_uid, source.charset)
            facts = step_facts(received, SOP_CLASS, waiting.sop_instance_uid)
            loaded = self._load(moment.connection, facts, source)
            decision = decide(facts, loaded.facts, source, "")
            study = _study_of(facts, loaded, decision)
            self._link(moment, waiting.id, facts, loaded, decision, study)

    # -- N-SET ---------------------------------------------------------------------------

    def update(self, told: Told) -> None:
        """Keep what is said of a step that goes on; it may end with it.

        Raises:
            NoSuchInstance: there is no step of this UID.
            StepIsOver: it has ended before.
            InvalidArgument: its status is none.
            CannotUnderstand, LimitExceeded: it cannot be read.
            ServiceUnavailable: nothing is kept.
        """
        received = read(told.body, told.transfer_syntax_uid, told.source.charset)
        said = elements_of(received)
        if core.STATUS in said and core.state_of(said) is None:
            raise InvalidArgument("PerformedProcedureStepStatus is none that there is")

        def step(connection: Connection) -> None:
            merges.share(connection)
            row = performed.find(connection, told.sop_instance_uid)
            if row is None:
                raise NoSuchInstance("there is no performed step of this UID")
            if StepState(row.state).is_final:
                raise StepIsOver
            self._update(connection, told, row, said)

        self.kept.recording.database.run(step)

    def _update(
        self,
        connection: Connection,
        told: Told,
        row: Any,
        said: Mapping[Tag, Element],
    ) -> None:
        now = self.kept.recording.clock()
        known = core.after(row.said, without_nul(said))
        state = core.state_of(known) or StepState.IN_PROGRESS
        performed.keep(connection, row.id, _message("N-SET", told, now))
        performed.change(connection, row.id, state, known, now)
        if state is StepState.DISCONTINUED and core.is_wrong_entry(known):
            moment = self._happen(connection, told)
            WrongEntry(self.kept).settle(moment, row, known)


def _created(received: Received) -> dict[Tag, Element]:
    """What an N-CREATE says, with all that it must have (PS3.4 Table F.7.2-1)."""
    said = elements_of(received)
    for keyword in core.absent(said):
        raise MissingAttribute(f"{keyword} is missing")
    for keyword in core.empty(said):
        raise MissingValue(f"{keyword} has no value")
    if core.state_of(said) is not StepState.IN_PROGRESS:
        raise InvalidArgument("PerformedProcedureStepStatus is not IN PROGRESS")
    if not all(item.study_instance_uid for item in scheduled(said)):
        raise MissingValue("StudyInstanceUID of a scheduled step has no value")
    return said


def _study_of(
    facts: InstanceFacts, loaded: Loaded, decision: Decision
) -> StudyDecision | None:
    """By which orders a step was made; None: by none, or it is not of their patient."""
    if decision.outcome not in (Outcome.COERCE, Outcome.PROVISIONAL):
        return None
    named = tuple(o for o in loaded.facts.orders if o.order_id in decision.order_ids)
    return decide_study(facts, loaded.facts, named) if named else None


def _message(operation: str, told: Told, now: datetime) -> Message:
    return Message(
        operation,
        told.transfer_syntax_uid,
        told.body,
        told.source.ae_title,
        told.association,
        now,
    )


def _locks(facts: InstanceFacts) -> list[tuple[str, ...]]:
    """Those that a store takes as well where it makes a study, or names an order."""
    numbers = {item.accession_number for item in facts.requests} - {""}
    uids = {item.study_instance_uid for item in facts.requests}
    return [*(("accession", n) for n in numbers), *(("study", "", uid) for uid in uids)]
