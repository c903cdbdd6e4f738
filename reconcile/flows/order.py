"""A message that orders imaging, or changes an order: RAD-4, RAD-13."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from reconcile.core.order import OrderControl, OrderState, OrderUpdate, state_after
from reconcile.db import evidence, orders, registry
from reconcile.db.database import Connection, Row, lock
from reconcile.flows.arriving import Moment
from reconcile.flows.message import Fault, MessageFlow, Outcome, Received
from reconcile.flows.moved_orders import MovedOrders, flag_closed
from reconcile.flows.patient import Patient, PatientFlow

UNKNOWN_ORDER = Fault("204", "the order is not known", "ORC^1^2")

OTHER_PATIENT = Fault("205", "the order belongs to another patient", "PID^1^3")

#: Controls that bring an order into being; the others speak of one that is known.
CREATES = frozenset({OrderControl.NEW, OrderControl.CHANGE})


CLOSED = frozenset({OrderState.CANCELLED, OrderState.DISCONTINUED})


@dataclass(frozen=True, slots=True)
class Done:
    """What was done of one order; `person_ids`: whose it was before, if it was moved."""

    order_id: UUID
    effect: str
    person_ids: tuple[UUID, ...] = ()
    stale: bool = False


@dataclass(frozen=True, slots=True)
class OrderFlow:
    """Act on what a message says of orders."""

    messages: MessageFlow
    patients: PatientFlow

    def apply(self, message: Received, updates: Sequence[OrderUpdate]) -> Outcome:
        """Create or change the orders of a message, all of them or none.

        The archive learns of patients from orders (IHE RAD: registration does not reach
        it), so an unknown patient is created.

        Raises:
            ServiceUnavailable: nothing was changed; the message stays in the inbox.
        """

        def step(connection: Connection, message: Received) -> Outcome:
            lock(connection, _keys(updates), shared=False)
            patient = self.patients.settle(connection, message, updates[0].patient)
            if isinstance(patient, Outcome):
                return patient
            evidence.raise_named(connection, _names(updates))
            return self._orders(connection, message, updates, patient)

        return self.messages.act(message, step, named=updates[0].patient.identifiers)

    def _orders(
        self,
        connection: Connection,
        message: Received,
        updates: Sequence[OrderUpdate],
        patient: Patient,
    ) -> Outcome:
        effects = list(patient.effects)
        found = [self._find(connection, message, update) for update in updates]
        for update, (_, known) in zip(updates, found, strict=True):
            if update.control in CREATES:
                continue
            if known is None:
                return self._unknown(patient, effects)
            if known.canonical_id != patient.root_id:
                return self._of_another(connection, message, patient)
        moment = Moment(connection, patient.happening_id, self.messages.clock())
        done: list[Done] = []
        for update, (issuer, known) in zip(updates, found, strict=True):
            done.append(self._one(moment, message, update, patient, issuer, known))
        effects += [each.effect for each in done]
        concerned = {patient.root_id, *(p for each in done for p in each.person_ids)}
        self.messages.reach.persons(
            moment,
            concerned,
            by=message.sender,
            names=_names(updates),
            order_ids=[each.order_id for each in done if not each.stale],
        )
        stale = all(each.stale for each in done) and not patient.changed
        state = "stale" if stale else "applied"
        return Outcome(state, "AA", None, tuple(effects), patient.happening_id)

    def _one(
        self,
        moment: Moment,
        message: Received,
        update: OrderUpdate,
        patient: Patient,
        issuer: str,
        known: Row | None,
    ) -> Done:
        """Do what is said of one order."""
        if known is not None and _is_older(update, known, message.sender):
            return Done(
                known.id, f"{update.control.value}: order {known.id} stale", stale=True
            )
        former: tuple[UUID, ...] = ()
        if known is not None and known.canonical_id != patient.root_id:
            moved = MovedOrders(self.messages.rules, self.messages.kept)
            if not moved.move(moment, known.id, patient):
                effect = f"{update.control.value}: order {known.id} stays with its patient"
                return Done(known.id, effect)
            former = (known.canonical_id,)
        order_id, state = self._order(
            moment.connection, message, update, patient, issuer, known
        )
        if state in CLOSED:
            flag_closed(moment, order_id, message.sender)
        return Done(
            order_id, f"{update.control.value}: order {order_id} {state.value}", former
        )

    def _of_another(
        self, connection: Connection, message: Received, patient: Patient
    ) -> Outcome:
        """Who only tells of an order's state does not say whose it is."""
        people = (str(patient.root_id),)
        return self.messages.hold(
            connection, message, "IDENTITY-CONFLICT", OTHER_PATIENT, person_ids=people
        )

    def _unknown(self, patient: Patient, effects: list[str]) -> Outcome:
        return Outcome("refused", "AE", UNKNOWN_ORDER, tuple(effects), patient.happening_id)

    def _find(
        self, connection: Connection, message: Received, update: OrderUpdate
    ) -> tuple[str, Row | None]:
        """(domain that the accession comes from, the order if it is known)."""
        domains = self.messages.rules.domains
        default = message.feed.accession_issuer
        issuer = registry.accession_issuer(update.accession_issuer, default, domains)
        return issuer, self._known(connection, message, update, issuer)

    def _order(
        self,
        connection: Connection,
        message: Received,
        update: OrderUpdate,
        patient: Patient,
        issuer: str,
        known: Row | None,
    ) -> tuple[UUID, OrderState]:
        before = OrderState(known.state) if known is not None else None
        state = state_after(update.control, update.status, before)
        only_state = not update.accession_number or update.control not in CREATES
        if known is not None and only_state:
            orders.change_state(connection, known.id, state)
            order_id = known.id
        else:
            order_id = self._keep(connection, message, update, patient, issuer, state)
        return order_id, state

    def _known(
        self, connection: Connection, message: Received, update: OrderUpdate, issuer: str
    ) -> Row | None:
        """By accession, else by Study UID, else by the sender's own numbers."""
        if update.accession_number:
            return orders.current(connection, update.accession_number, issuer)
        uids = [p.study_instance_uid for p in update.procedures if p.study_instance_uid]
        if uids:
            return orders.current_by_study_uid(connection, uids)
        return orders.current_by_number(
            connection,
            placer=update.placer_order_number,
            filler=update.filler_order_number,
            source=message.sender,
        )

    def _keep(
        self,
        connection: Connection,
        message: Received,
        update: OrderUpdate,
        patient: Patient,
        issuer: str,
        state: OrderState,
    ) -> UUID:
        return orders.keep(
            connection,
            update,
            issuer=issuer,
            state=state,
            identity_id=patient.identity_id,
            source=message.sender,
            said_at=self.messages.told_at(message, update.said_at),
            happening_id=patient.happening_id,
        )


def _is_older(update: OrderUpdate, known: Row, sender: str) -> bool:
    """Whether the same sender has said something later of this order."""
    if update.said_at is None or known.source != sender:
        return False
    return bool(update.said_at < known.said_at)


def _keys(updates: Sequence[OrderUpdate]) -> list[tuple[str, ...]]:
    """The locks that a store takes as well where it makes a study."""
    accessions = {("accession", u.accession_number) for u in updates if u.accession_number}
    return [*accessions, *(("study", "", uid) for uid in _study_uids(updates))]


def _names(updates: Sequence[OrderUpdate]) -> set[evidence.Named]:
    """What headers call these orders: studies that named them are decided anew."""
    numbers = {evidence.accession(update.accession_number) for update in updates}
    return numbers | {evidence.study_uid(uid) for uid in _study_uids(updates)}


def _study_uids(updates: Sequence[OrderUpdate]) -> set[str]:
    found = {p.study_instance_uid for update in updates for p in update.procedures}
    return found - {""}
