"""What became of something that was said of who is who, besides a merge."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from reconcile.core.merging import MergeOutcome
from reconcile.flows.message import Fault


@dataclass(frozen=True, slots=True)
class Result:
    """What was done.

    Attributes:
        state: as the inbox names it; "already-same" or "stale": nothing was changed.
        happening_id: None where nothing was changed.
        persons: the surviving persons concerned, of before and of now.
        review: code of what a person is to look at; empty: nothing.
        subjects: the persons whom it is about.
    """

    state: str = "applied"
    happening_id: UUID | None = None
    persons: frozenset[UUID] = frozenset()
    effects: tuple[str, ...] = ()
    review: str = ""
    subjects: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing was done.

    Attributes:
        code: of the item that it is listed under; empty: it is only refused.
        always: it is answered AE, whatever the feed's `held_answer`.
    """

    fault: Fault
    code: str = ""
    always: bool = False
    subjects: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


#: How a sender is refused who may not say it, or does not say of whom.
SIDE_FAULTS: dict[MergeOutcome, Refused] = {
    MergeOutcome.NO_IDENTIFIER: Refused(
        Fault("101", "an identifier is missing", "PID^1^3")
    ),
    MergeOutcome.INVALID_ID: Refused(Fault("102", "not an identifier", "PID^1^3")),
    MergeOutcome.SAME_IDENTIFIER: Refused(
        Fault("205", "both sides name the same identifier", "PID^1^3")
    ),
    MergeOutcome.UNKNOWN_DOMAIN: Refused(
        Fault("204", "no configured domain is named", "PID^1^3"), "UNKNOWN-DOMAIN"
    ),
    MergeOutcome.NOT_AUTHORITATIVE: Refused(
        Fault("204", "the sender has no authority over the domains of both", "PID^1^3"),
        "NOT-AUTHORITATIVE",
        True,
    ),
    MergeOutcome.TEST_REAL_MERGE: Refused(
        Fault("207", "one is a test patient, the other is not", "PID^1^3"),
        "TEST-REAL-MERGE",
        True,
    ),
    MergeOutcome.IDENTITY_CONFLICT: Refused(
        Fault("205", "the identifiers of one side belong to different patients", "PID^1^3"),
        "IDENTITY-CONFLICT",
    ),
}
