"""Performed procedure steps: their states, and what a data set of one must have.

Source:
    PS3.4 section F.7.2, Table F.7.2-1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Tag
from reconcile.core.order import OrderState

STATUS = "00400252"
SCHEDULED_STEP_ATTRIBUTES = "00400270"
PERFORMED_SERIES = "00400340"
DISCONTINUATION_REASON = "00400281"
_CODE_VALUE, _CODING_SCHEME = "00080100", "00080102"

#: (110514, DCM, "Incorrect worklist entry selected"): PS3.16 CID 9300.
WRONG_ENTRY = ("110514", "DCM")


class StepState(StrEnum):
    """Performed Procedure Step Status (0040,0252)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"

    @property
    def is_final(self) -> bool:
        """Whether nothing more may be said of the step."""
        return self is not StepState.IN_PROGRESS


#: Type 1 of an N-CREATE, with their keywords.
REQUIRED: Mapping[Tag, str] = {
    SCHEDULED_STEP_ATTRIBUTES: "ScheduledStepAttributesSequence",
    "00400253": "PerformedProcedureStepID",
    "00400241": "PerformedStationAETitle",
    "00400244": "PerformedProcedureStepStartDate",
    "00400245": "PerformedProcedureStepStartTime",
    STATUS: "PerformedProcedureStepStatus",
    at.MODALITY: "Modality",
}

#: What an N-SET may not say anew: whose step it is, its schedule, its beginning.
SAID_ONCE: frozenset[Tag] = frozenset(
    {
        *REQUIRED,
        at.PATIENT_NAME,
        at.PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
        at.PATIENT_BIRTH_DATE,
        at.PATIENT_SEX,
        "00081120",  # Referenced Patient Sequence
        "00400242",  # Performed Station Name
        "00400243",  # Performed Location
    }
) - {STATUS}


def absent(said: Mapping[Tag, Element]) -> Iterator[str]:
    """Keywords of what an N-CREATE must have and does not."""
    return (keyword for tag, keyword in REQUIRED.items() if tag not in said)


def empty(said: Mapping[Tag, Element]) -> Iterator[str]:
    """Keywords of what an N-CREATE must have a value of and has none."""
    for tag, keyword in REQUIRED.items():
        if not at.values(said.get(tag)):
            yield keyword


def state_of(said: Mapping[Tag, Element]) -> StepState | None:
    """The state that a data set says; None: none, or one that does not exist."""
    text = at.text(said.get(STATUS)).strip()
    return next((state for state in StepState if state == text), None)


def after(before: Mapping[Tag, Element], said: Mapping[Tag, Element]) -> dict[Tag, Element]:
    """What is said of a step after an N-SET."""
    news = {tag: element for tag, element in said.items() if tag not in SAID_ONCE}
    return {**before, **news}


def series_uids(said: Mapping[Tag, Element]) -> tuple[str, ...]:
    """The series of a step, as the modality calls them."""
    items = at.values(said.get(PERFORMED_SERIES))
    uids = (at.text(item.get(at.SERIES_INSTANCE_UID)) for item in items)
    return tuple(dict.fromkeys(uid for uid in uids if uid))


def is_wrong_entry(said: Mapping[Tag, Element]) -> bool:
    """Whether a discontinued step says that the wrong worklist entry was selected."""
    if state_of(said) is not StepState.DISCONTINUED:
        return False
    reasons = at.values(said.get(DISCONTINUATION_REASON))
    codes = ((at.text(r.get(_CODE_VALUE)), at.text(r.get(_CODING_SCHEME))) for r in reasons)
    return WRONG_ENTRY in codes


#: (state of the step, state of its order before) -> the order's state afterwards. All
#: else is for who fills the order to say (IHE RAD-6, RAD-7).
ORDER_AFTER: Mapping[tuple[StepState, OrderState], OrderState] = {
    (StepState.IN_PROGRESS, OrderState.SCHEDULED): OrderState.IN_PROGRESS,
    (StepState.DISCONTINUED, OrderState.IN_PROGRESS): OrderState.SCHEDULED,
}
