"""What PID says of a patient, as a command to the registry.

Source: HL7 v2.5.1 section 3.4.2 (PID); IHE ITI TF-2 3.30, RAD TF-2 4.12.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from reconcile.core.identity import Demographics, Issuer, PatientUpdate
from reconcile.hl7 import fields
from reconcile.hl7.errors import FieldMissing, SegmentError
from reconcile.hl7.message import Message, Segment

# PID fields of the demographics that a message can clear with `""`.
_NAME, _BIRTH_DATE, _SEX, _MULTIPLE_BIRTH, _BIRTH_ORDER = 5, 7, 8, 24, 25
_DEATH_DATE, _DEATH_INDICATOR = 29, 30
# Of PD1: HL7 v2.5.1 section 3.4.10.
_PROTECTION = 12
_CLEARABLE = {
    "name": _NAME,
    "birth_date": _BIRTH_DATE,
    "sex": _SEX,
    "multiple_birth": _MULTIPLE_BIRTH,
    "death_date": _DEATH_DATE,
}


def patient_update(message: Message, timezone: tzinfo) -> PatientUpdate:
    """What a message says of its patient.

    Args:
        message: any that has a PID.
        timezone: of times that name none.

    Raises:
        SegmentError: no PID, or more than one: nothing is guessed about who is meant.
        FieldMissing: no identifier in PID-3, nor in PID-2 and PID-4.
        FieldInvalid: an identifier, an authority or a date is malformed.
    """
    pid = patient_segment(message)
    return PatientUpdate(
        identifiers=identifiers(pid),
        demographics=_demographics(pid),
        cleared=_cleared(pid),
        said_at=said_at(message, timezone),
        protected=_protected(message),
    )


def patient_segment(message: Message) -> Segment:
    """The one PID of a message.

    Raises:
        SegmentError: there is none, or more than one.
    """
    found = message.all("PID")
    if not found:
        raise SegmentError("PID is required", "PID^1")
    if len(found) > 1:
        raise SegmentError("PID may stand only once", "PID^2")
    return found[0]


def said_at(message: Message, timezone: tzinfo) -> datetime | None:
    """When what a message tells happened: EVN-6, else EVN-2, else MSH-7."""
    event = message.first("EVN")
    said = [event.text(6), event.text(2)] if event else []
    said.append(message.header.segment.text(7))
    times = (fields.moment(text, timezone) for text in said)
    return next(filter(None, times), None)


def identifiers(pid: Segment) -> tuple[tuple[str, Issuer], ...]:
    """PID-3; PID-2 and PID-4, where older versions put identifiers, only without it.

    Raises:
        FieldMissing: there is none in any of them.
        FieldInvalid: an identifier or an authority is malformed.
    """
    found = fields.patient_identifiers(pid, 3)
    if not found:
        older = fields.patient_identifiers(pid, 2) + fields.patient_identifiers(pid, 4)
        found = list(dict.fromkeys(older))
    if not found:
        raise FieldMissing("PID-3 is required", pid.location(3))
    return tuple(found)


def _protected(message: Message) -> bool | None:
    """PD1-12, Protection Indicator (HL7 table 0136); `""` takes it back."""
    pd1 = message.first("PD1")
    if pd1 is None:
        return None
    if pd1.is_null(_PROTECTION):
        return False
    return {"Y": True, "N": False}.get(pd1.text(_PROTECTION).strip().upper())


def _demographics(pid: Segment) -> Demographics:
    return Demographics(
        name=fields.person_name(pid.repetitions(_NAME)),
        birth_date=fields.da(pid, _BIRTH_DATE),
        sex=fields.sex(pid.text(_SEX)),
        death_date="" if _is(pid, _DEATH_INDICATOR, "N") else fields.da(pid, _DEATH_DATE),
        multiple_birth=_multiple_birth(pid),
    )


def _multiple_birth(pid: Segment) -> bool:
    """PID-24 says so; or, where it is silent, PID-25 counts beyond the first."""
    if pid.field(_MULTIPLE_BIRTH):
        return _is(pid, _MULTIPLE_BIRTH, "Y")
    order = pid.text(_BIRTH_ORDER).strip()
    return order.isascii() and order.isdigit() and order.strip("0") not in ("", "1")


def _cleared(pid: Segment) -> frozenset[str]:
    """Demographics to delete: sent as `""`, or denied by their indicator (N)."""
    cleared = {name for name, number in _CLEARABLE.items() if pid.is_null(number)}
    if _is(pid, _MULTIPLE_BIRTH, "N"):
        cleared.add("multiple_birth")
    if _is(pid, _DEATH_INDICATOR, "N"):
        cleared.add("death_date")
    return frozenset(cleared)


def _is(pid: Segment, number: int, value: str) -> bool:
    return pid.text(number).strip().upper() == value
