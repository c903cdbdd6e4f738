"""Which Study and Series Instance UID an instance is given out under, once and for all.

Rule 1: a received Study UID is mapped once; whatever arrives later under it follows.
Rule 2: the modality's own UID is adopted unless an order that has a UID is named
        unambiguously and no other received study has taken that UID.
Rule 3: one acquisition for several orders (group case) is linked to all and mapped to
        none: PS3.4 B.4.1.3 note 3 discourages changing UIDs without need.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from reconcile.core.facts import (
    InstanceFacts,
    OrderFacts,
    ProcedureFacts,
    RegistryFacts,
    RequestItem,
)


class StudyRule(StrEnum):
    """Why a study has the UID that it has, most decisive first."""

    KNOWN = "known"
    GROUP_CASE = "group-case"
    NO_ORDER = "no-order"
    AMBIGUOUS_PROCEDURE = "ambiguous-procedure"
    ORDER_WITHOUT_UID = "order-without-uid"
    ORDER_UID_RECEIVED = "order-uid-received"
    REFUSED = "refused"
    SECOND_STUDY = "second-study"
    ORDER_UID = "order-uid"


@dataclass(frozen=True, slots=True)
class StudyDecision:
    """The Study UID to give out, the procedure it was taken from, the orders to link."""

    rule: StudyRule
    assigned_uid: str
    order_ids: tuple[str, ...] = ()
    procedure_id: str = ""


def decide_study(
    instance: InstanceFacts, registry: RegistryFacts, orders: tuple[OrderFacts, ...]
) -> StudyDecision:
    """Decide the Study Instance UID of an instance whose person is decided.

    Args:
        instance: the received header.
        registry: what is known of the received UID.
        orders: the orders of this person that the header names.

    Source:
        PS3.4 B.4.1.3; IHE RAD SWF and PIR (scheduled, unscheduled and group case).
    """
    received = instance.study_instance_uid
    linked = tuple(order.order_id for order in orders)
    if registry.study:
        return StudyDecision(StudyRule.KNOWN, registry.study.assigned_uid, linked)
    if is_group_case(instance, registry.performed):
        return StudyDecision(StudyRule.GROUP_CASE, received, linked)
    if not orders:
        return StudyDecision(StudyRule.NO_ORDER, received)
    procedure = named_procedure(instance, orders, registry.performed)
    if procedure is None:
        return StudyDecision(StudyRule.AMBIGUOUS_PROCEDURE, received, linked)
    rule = _rule_for(received, procedure, registry)
    assigned = procedure.study_instance_uid if rule is StudyRule.ORDER_UID else received
    return StudyDecision(rule, assigned, linked, procedure.procedure_id)


class LateRule(StrEnum):
    """What an order that comes after its images does to their study."""

    LINKED = "late-link"
    ADOPTED = "late-order-without-uid"
    SECOND_STUDY = "late-second-study"
    REFUSED = "late-refused"
    ALIAS = "late-alias"
    MAPPED = "late-order-uid"


@dataclass(frozen=True, slots=True)
class LateDecision:
    """The rule, the procedure that the study answers, and the order's UID, if it counts."""

    rule: LateRule
    procedure_id: str = ""
    order_uid: str = ""


def decide_late(
    instance: InstanceFacts,
    registry: RegistryFacts,
    order: OrderFacts,
    *,
    used: bool,
) -> LateDecision:
    """Decide what becomes of a stored study whose order has come.

    A study that somebody already has keeps its UID: the order's finds it too.

    Args:
        instance: a received header of the study.
        registry: what is known of it.
        order: an order of the study's person that the header names.
        used: whether anything of the study was given to anybody.

    Source:
        PS3.4 B.4.1.3 note 3; IHE RAD PIR (unscheduled case).
    """
    if is_group_case(instance, registry.performed):
        return LateDecision(LateRule.LINKED)
    procedure = named_procedure(instance, (order,), registry.performed)
    if procedure is None:
        return LateDecision(LateRule.LINKED)
    uid, study = procedure.study_instance_uid, registry.study
    own = {instance.study_instance_uid, study.assigned_uid if study else ""}
    if not uid or uid in own:
        return LateDecision(LateRule.ADOPTED, procedure.procedure_id)
    if StudyRule.ORDER_UID in registry.refused_rules:
        return LateDecision(LateRule.REFUSED, procedure.procedure_id)
    if procedure.bound_to not in ("", *own):
        return LateDecision(LateRule.SECOND_STUDY, procedure.procedure_id)
    rule = LateRule.ALIAS if used else LateRule.MAPPED
    return LateDecision(rule, procedure.procedure_id, uid)


def _rule_for(
    received: str, procedure: ProcedureFacts, registry: RegistryFacts
) -> StudyRule:
    if not procedure.study_instance_uid:
        return StudyRule.ORDER_WITHOUT_UID
    if procedure.study_instance_uid == received:
        return StudyRule.ORDER_UID_RECEIVED
    if StudyRule.ORDER_UID in registry.refused_rules:
        return StudyRule.REFUSED
    if procedure.bound_to not in ("", received):
        return StudyRule.SECOND_STUDY
    return StudyRule.ORDER_UID


def is_group_case(instance: InstanceFacts, performed: tuple[RequestItem, ...] = ()) -> bool:
    """Whether one acquisition answers several requests (PS3.17 Annex J.4).

    `performed`: what its performed steps say of that.
    """
    named = {_request_key(item) for item in instance.requests or performed}
    return len(named) > 1


def _request_key(item: RequestItem) -> tuple[object, ...]:
    return (item.accession_number, item.accession_issuer, item.rp_id)


def named_procedure(
    instance: InstanceFacts,
    orders: tuple[OrderFacts, ...],
    performed: tuple[RequestItem, ...] = (),
) -> ProcedureFacts | None:
    """The one requested procedure that the header names, None where it is not one.

    A Study UID that is the procedure's own, a Requested Procedure ID or a Scheduled
    Procedure Step ID names it, of the header or else of its performed step; else it is
    named if the orders have only one.
    """
    if performed and not (instance.rp_id or instance.sps_id):
        rp_ids, sps_ids = {p.rp_id for p in performed}, {p.sps_id for p in performed}
        instance = replace(instance, rp_id=_only(rp_ids), sps_id=_only(sps_ids))
    procedures = [p for order in orders for p in order.procedures]
    for fits in (_has_study_uid, _has_rp_id, _has_sps_id):
        found = [p for p in procedures if fits(instance, p)]
        if len(found) == 1:
            return found[0]
    return procedures[0] if len(procedures) == 1 else None


def _only(said: set[str]) -> str:
    return said.pop() if len(said) == 1 else ""


def _has_study_uid(instance: InstanceFacts, procedure: ProcedureFacts) -> bool:
    return procedure.study_instance_uid == instance.study_instance_uid


def _has_rp_id(instance: InstanceFacts, procedure: ProcedureFacts) -> bool:
    return bool(procedure.rp_id) and procedure.rp_id == instance.rp_id


def _has_sps_id(instance: InstanceFacts, procedure: ProcedureFacts) -> bool:
    return bool(instance.sps_id) and instance.sps_id in procedure.sps_ids
