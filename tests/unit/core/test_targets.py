"""What the attributes of an instance must become."""

from __future__ import annotations

from typing import Any

import pytest

from reconcile.core import attributes as at
from reconcile.core.coercion import Decision, Outcome
from reconcile.core.facts import InstanceFacts, PersonFacts, RegistryFacts
from reconcile.core.identity import Domain, PatientIdentifier
from reconcile.core.targets import targets

CT = "1.2.840.10008.5.1.4.1.1.2"
Z = Domain("Z", fold_case=True, pad_to=8)
P1 = PersonFacts("p1", "verified", assigned=PatientIdentifier("E1", "E"))
REGISTRY = RegistryFacts({"A": Domain("A"), "Z": Z}, "E", persons={"p1": P1})


def wanted(
    outcome: Outcome, patient_id: str, identity: PatientIdentifier
) -> dict[str, Any]:
    present = {at.PATIENT_ID: at.element("LO", patient_id)}
    instance = InstanceFacts(CT, "1.1", "1.2", "1.3", patient_id, present=present)
    decision = Decision(outcome, "I", "p1", identity)
    found = targets(decision, instance, REGISTRY, study_uid="1.2", series_uid="1.3")
    return {assign.tag: assign.element for assign in found.assigns}


@pytest.mark.parametrize(
    ("written", "identity", "kept"),
    [
        ("100", PatientIdentifier("100", "A"), "100"),
        ("ab12 ", PatientIdentifier("AB12", "Z"), "ab12"),
        ("7", PatientIdentifier("00000007", "Z"), "7"),
        ("100^^^A ", PatientIdentifier("100", "A"), "100"),
    ],
)
def test_the_received_id_stays_findable_as_its_domain_says_it(
    written: str, identity: PatientIdentifier, kept: str
) -> None:
    """
    Other Patient IDs have it as it was spelled, but never with its issuer inside.
    """
    found = wanted(Outcome.COERCE, written, identity)
    [item] = at.values(found[at.OTHER_PATIENT_IDS_SEQUENCE])
    assert at.text(item[at.PATIENT_ID]) == kept
    assert at.text(item[at.ISSUER_OF_PATIENT_ID]) == identity.domain


def test_of_a_provisional_person_only_the_issuer_is_filled_in() -> None:
    """
    The local ID is given out as it was spelled; of HL7 components the ID alone.
    """
    plain = wanted(Outcome.PROVISIONAL, "ab12 ", PatientIdentifier("AB12", "Z"))
    assert at.PATIENT_ID not in plain
    assert at.text(plain[at.ISSUER_OF_PATIENT_ID]) == "Z"
    cx = wanted(Outcome.PROVISIONAL, "100^^^A ", PatientIdentifier("100", "A"))
    assert at.text(cx[at.PATIENT_ID]) == "100"
