"""Whether the headers on one medium are of one patient: for a person's eye only.

An ID alone says little there: nobody knows who issued it, and "1" is anybody's. So it is
asked as the gate asks, and nothing is decided by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconcile.core.corroborate import Gate, corroborate
from reconcile.core.facts import InstanceFacts
from reconcile.core.identity import Demographics, Domain, Issuer, bare

#: What a medium with more than one patient is listed under.
MULTI_PATIENT_MEDIA = "MULTI-PATIENT-MEDIA"

_NO_DOMAIN = Domain("")


@dataclass(frozen=True, slots=True)
class OnMedium:
    """Whom a header is of, as it says itself."""

    patient_id: str
    issuer: Issuer
    demographics: Demographics


def on_medium(facts: InstanceFacts) -> OnMedium:
    """Whom an instance is of, as its header says."""
    return OnMedium(bare(facts.patient_id), facts.issuer, facts.demographics)


def may_be_one(one: OnMedium, other: OnMedium) -> bool:
    """Whether two headers may be of one patient.

    The same ID stands against a misspelling, but not against another name and date.
    """
    verdict = corroborate(one.demographics, [other.demographics], _NO_DOMAIN)
    same_id = bool(one.patient_id) and one.patient_id == other.patient_id
    same_id = same_id and one.issuer == other.issuer
    if verdict.gate is Gate.CONFLICT:
        return False
    if verdict.gate in (Gate.CONFIRM, Gate.DRIFT):
        return True
    if verdict.gate is Gate.NOINFO:
        return same_id or not (one.patient_id and other.patient_id)
    return same_id
