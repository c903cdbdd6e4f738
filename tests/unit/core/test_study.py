"""decide_study: every rule, in order of precedence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconcile.core.facts import (
    InstanceFacts,
    OrderFacts,
    ProcedureFacts,
    RegistryFacts,
    RequestItem,
    StudyFacts,
)
from reconcile.core.study import StudyRule, decide_study, is_group_case

INSTANCE = InstanceFacts("1", "1.1", study_instance_uid="1.2", series_instance_uid="1.3")
RP = ProcedureFacts("rp", "RP1", "9.9")
ORDER = OrderFacts("o", "ACC5", "A", "p", procedures=(RP,))
FACTS = RegistryFacts({}, "E")
TWO = (RequestItem("ACC5"), RequestItem("ACC6"))
BOUND = replace(ORDER, procedures=(replace(RP, bound_to="8.8"),))
RULES = [
    (
        replace(INSTANCE, requests=TWO),
        replace(FACTS, study=StudyFacts("s", "7.7", 1)),
        (ORDER,),
        StudyRule.KNOWN,
        "7.7",
    ),
    (replace(INSTANCE, requests=TWO), FACTS, (ORDER,), StudyRule.GROUP_CASE, "1.2"),
    (INSTANCE, FACTS, (), StudyRule.NO_ORDER, "1.2"),
    (
        INSTANCE,
        FACTS,
        (replace(ORDER, procedures=(RP, replace(RP, procedure_id="rp2", rp_id="RP2"))),),
        StudyRule.AMBIGUOUS_PROCEDURE,
        "1.2",
    ),
    (
        INSTANCE,
        FACTS,
        (replace(ORDER, procedures=(replace(RP, study_instance_uid=""),)),),
        StudyRule.ORDER_WITHOUT_UID,
        "1.2",
    ),
    (
        replace(INSTANCE, study_instance_uid="9.9"),
        FACTS,
        (BOUND,),
        StudyRule.ORDER_UID_RECEIVED,
        "9.9",
    ),
    (
        INSTANCE,
        replace(FACTS, refused_rules=frozenset({"order-uid"})),
        (BOUND,),
        StudyRule.REFUSED,
        "1.2",
    ),
    (INSTANCE, FACTS, (BOUND,), StudyRule.SECOND_STUDY, "1.2"),
    (INSTANCE, FACTS, (ORDER,), StudyRule.ORDER_UID, "9.9"),
]


@pytest.mark.parametrize(("instance", "registry", "orders", "rule", "uid"), RULES)
def test_the_first_rule_that_applies_gives_the_uid(instance, registry, orders, rule, uid):
    """
    The modality's UID is adopted unless an earlier map, or one order, says otherwise.
    """
    decision = decide_study(instance, registry, orders)

    assert (rule, uid) == (decision.rule, decision.assigned_uid)


def test_the_rules_stand_in_their_order():
    """
    The table above names every rule, and walks down.
    """
    assert list(StudyRule) == [row[3] for row in RULES]


@pytest.mark.parametrize(
    "named", [{"rp_id": "RP2"}, {"sps_id": "S2"}, {"study_instance_uid": "9.2"}]
)
def test_a_procedure_is_named_by_rp_id_sps_id_or_its_own_uid(named):
    """
    Row 69 turned round: with a name in the header, several procedures are no question.
    """
    second = ProcedureFacts("rp2", "RP2", "9.2", sps_ids=("S2",))
    orders = (replace(ORDER, procedures=(RP, second)),)

    decision = decide_study(replace(INSTANCE, **named), FACTS, orders)

    assert ("9.2", "rp2") == (decision.assigned_uid, decision.procedure_id)


def test_two_items_of_one_request_are_no_group():
    """
    Two scheduled steps of one requested procedure answer one request.
    """
    items = (
        RequestItem("ACC5", rp_id="R", sps_id="1"),
        RequestItem("ACC5", rp_id="R", sps_id="2"),
    )

    assert not is_group_case(replace(INSTANCE, requests=items))
