"""Orders and scheduled procedure steps, and the states that they pass through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconcile.core.identity import Issuer, PatientUpdate


class OrderControl(StrEnum):
    """What an order message asks for (HL7 table 0119; IHE RAD-4, RAD-13)."""

    NEW = "NW"
    CHANGE = "XO"
    CANCEL = "CA"
    DISCONTINUE = "DC"
    STATUS = "SC"


class OrderState(StrEnum):
    """Where an order stands."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DISCONTINUED = "discontinued"


# (ORC-1, ORC-5) -> the state that the order is in afterwards; None: as it was.
# An empty ORC-5 stands for any value that the table does not name.
STATE_AFTER: dict[tuple[OrderControl, str], OrderState | None] = {
    (OrderControl.NEW, ""): OrderState.SCHEDULED,
    (OrderControl.NEW, "IP"): OrderState.IN_PROGRESS,
    (OrderControl.NEW, "CM"): OrderState.COMPLETED,
    (OrderControl.CHANGE, ""): None,
    (OrderControl.CHANGE, "SC"): OrderState.SCHEDULED,
    (OrderControl.CHANGE, "IP"): OrderState.IN_PROGRESS,
    (OrderControl.CHANGE, "CM"): OrderState.COMPLETED,
    (OrderControl.CHANGE, "DC"): OrderState.DISCONTINUED,
    (OrderControl.CHANGE, "CA"): OrderState.CANCELLED,
    (OrderControl.CANCEL, ""): OrderState.CANCELLED,
    (OrderControl.DISCONTINUE, ""): OrderState.DISCONTINUED,
    (OrderControl.STATUS, ""): None,
    (OrderControl.STATUS, "SC"): OrderState.SCHEDULED,
    (OrderControl.STATUS, "IP"): OrderState.IN_PROGRESS,
    (OrderControl.STATUS, "CM"): OrderState.COMPLETED,
    (OrderControl.STATUS, "DC"): OrderState.DISCONTINUED,
    (OrderControl.STATUS, "CA"): OrderState.CANCELLED,
}


#: Work has been done for these: only a message that names a state leads back.
BEGUN = (OrderState.IN_PROGRESS, OrderState.COMPLETED)


def state_after(
    control: OrderControl, status: str, before: OrderState | None
) -> OrderState:
    """The state of an order after a message; a new order is scheduled.

    An order that is told as new once more, after it was begun, is not begun again; one
    that was cancelled is.
    """
    named = STATE_AFTER.get((control, status), STATE_AFTER[control, ""])
    if before in BEGUN and control is OrderControl.NEW and named is OrderState.SCHEDULED:
        return before
    return named or before or OrderState.SCHEDULED


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value (PS3.3 Table 8.8-1; HL7 CE)."""

    value: str
    designator: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One scheduled procedure step (Modality Worklist entry, PS3.4 Annex K)."""

    sps_id: str
    modality: str = ""
    station_ae_titles: tuple[str, ...] = ()
    start: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class RequestedProcedure:
    """One requested procedure with its steps."""

    rp_id: str
    study_instance_uid: str = ""
    description: str = ""
    code: Code | None = None
    steps: tuple[ScheduledStep, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """What an order message says, in the registry's terms.

    `accession_issuer` is as said; empty: the feed's default applies. The visit (PV1-19)
    and the account (PID-18) are those that it was ordered in.
    """

    control: OrderControl
    status: str
    patient: PatientUpdate
    accession_number: str
    accession_issuer: Issuer
    placer_order_number: str = ""
    filler_order_number: str = ""
    referring_physician: str = ""
    procedures: tuple[RequestedProcedure, ...] = ()
    said_at: datetime | None = None
    visit_number: str = ""
    account_number: str = ""
