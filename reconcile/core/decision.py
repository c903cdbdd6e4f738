"""What a decision of whose an instance is says: its outcome, its rungs, its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconcile.core.identity import PatientIdentifier


class Outcome(StrEnum):
    """What becomes of an instance, in order of precedence."""

    NOT_PATIENT = "not-patient"
    ALREADY_STORED = "already-stored"
    DUPLICATE_DIFFERS = "DUPLICATE-DIFFERS"
    DEIDENTIFIED = "deidentified"
    CHARSET = "CHARSET"
    INVALID_ID = "INVALID-ID"
    ISSUER_CONFLICT = "ISSUER-CONFLICT"
    ISSUER_MISSING = "ISSUER-MISSING"
    CHECK_DIGIT = "CHECK-DIGIT"
    TEST = "test"
    WRONG_WORKLIST_ENTRY = "WRONG-WORKLIST-ENTRY"
    UNDONE = "UNDONE"
    NOT_LISTED = "NOT-LISTED"
    LIST_CONFLICT = "LIST-CONFLICT"
    STUDY_IDENTITY_SPLIT = "STUDY-IDENTITY-SPLIT"
    ACCESSION_AMBIGUOUS = "ACCESSION-AMBIGUOUS"
    EVIDENCE_CONFLICT = "EVIDENCE-CONFLICT"
    NO_IDENTITY = "NO-IDENTITY"
    PROVISIONAL = "provisional"
    DEMOGRAPHIC_CONFLICT = "DEMOGRAPHIC-CONFLICT"
    UNCORROBORATED = "UNCORROBORATED"
    COERCE = "coerce"

    @property
    def is_hold(self) -> bool:
        """Whether a person has to decide; the value is then the hold's code."""
        return self.value.isupper()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one rung of the ladder found; `person_id` where it names somebody."""

    rung: str
    found: str
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whose an instance is, and how that came out.

    Attributes:
        rung: which rungs decided, as "I+G:CONFIRM".
        person_id: the person; empty where there is none yet, or none to be.
        identity: the identifier under which the instance was received and decided;
            None where the header has none that says anything.
        order_ids: orders of this person that the header names.
        reviews: codes of what is done, but wants a person's eye.
        received: where the list of a migration decided: the header's own identifier, if
            it is that person's too.
    """

    outcome: Outcome
    rung: str = ""
    person_id: str = ""
    identity: PatientIdentifier | None = None
    order_ids: tuple[str, ...] = ()
    reviews: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    received: PatientIdentifier | None = None
