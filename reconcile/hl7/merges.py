"""What messages say of who is who: merges, changes, moves, links, deletions.

Which segments a message must have is asked strictly, since nothing is guessed about who
is meant: a second PID or MRG is an error, never the one that is left out.

Source: HL7 v2.5.1 sections 3.3.18 to 3.3.47 (events), 3.4.9 (MRG); IHE ITI TF-2 3.30.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo

from reconcile.core.merge import (
    DemographicsOnly,
    IdentifierChange,
    IdentifierMove,
    Identifiers,
    PatientLink,
    PatientMerge,
    PatientRetire,
    VisitMove,
)
from reconcile.hl7 import fields
from reconcile.hl7.adt import identifiers, patient_segment, patient_update, said_at
from reconcile.hl7.errors import FieldMissing, SegmentError
from reconcile.hl7.message import Message, Segment

# PID, MRG and PV1 fields beside those that adt.py reads.
_PATIENT_ID, _IDENTIFIERS, _ACCOUNT = 2, 3, 18
_PRIOR_IDENTIFIERS, _PRIOR_ACCOUNT, _PRIOR_ID, _PRIOR_VISIT = 1, 3, 4, 5
_VISIT = 19


def demographics_only(message: Message, timezone: tzinfo) -> DemographicsOnly:
    """A02 and its kin: a visit that may tell something of a patient who is known.

    Raises:
        SegmentError, FieldMissing, FieldInvalid: see `patient_update`.
    """
    return DemographicsOnly(patient_update(message, timezone))


def patient_merge(message: Message, timezone: tzinfo) -> PatientMerge:
    """A40, A18, A34: the patient of MRG-1 is the one of PID-3.

    MRG-2 and MRG-4 to MRG-6 are not looked at (ITI TF-2 3.30.4.4).

    Raises:
        SegmentError: not exactly one PID and one MRG.
        FieldMissing: no identifier in PID or MRG-1.
        FieldInvalid: an identifier, an authority or a date is malformed.
    """
    surviving = patient_update(message, timezone)
    return PatientMerge(surviving, _required(_prior(message), _PRIOR_IDENTIFIERS))


def person_merge(message: Message, timezone: tzinfo) -> PatientMerge:
    """A30, A39: by PID-2 and MRG-4 where both are given, else as A40.

    Raises:
        SegmentError, FieldMissing, FieldInvalid: see `patient_merge`.
    """
    mrg, pid = _prior(message), patient_segment(message)
    surviving = tuple(fields.patient_identifiers(pid, _PATIENT_ID))
    prior = tuple(fields.patient_identifiers(mrg, _PRIOR_ID))
    if not (surviving and prior):
        return patient_merge(message, timezone)
    patient = replace(patient_update(message, timezone), identifiers=surviving)
    return PatientMerge(patient, prior)


def identifier_change(message: Message, timezone: tzinfo) -> IdentifierChange:
    """A47: who was known by MRG-1 is known by PID-3 from now on.

    Raises:
        SegmentError, FieldMissing, FieldInvalid: see `patient_merge`.
    """
    patient = patient_update(message, timezone)
    return IdentifierChange(patient, _required(_prior(message), _PRIOR_IDENTIFIERS))


def identifier_move(message: Message, timezone: tzinfo) -> IdentifierMove:
    """A43: an identifier, with what came under it, is another patient's.

    What stands in both PID-3 and MRG-1 is what moves, to whom else PID-3 names, or
    PID-2; what else is in MRG-1 says where it moves from. Where PID-3 and MRG-1 have
    nothing in common, all of MRG-1 moves to the patient of PID-3.

    Raises:
        SegmentError, FieldInvalid: see `patient_merge`.
        FieldMissing: no identifier moves, or there is nobody whom it moves to.
    """
    patient = patient_update(message, timezone)
    prior = _required(_prior(message), _PRIOR_IDENTIFIERS)
    moved = tuple(named for named in prior if named in patient.identifiers)
    if not moved:
        return IdentifierMove(patient, prior)
    pid = patient_segment(message)
    others = tuple(named for named in patient.identifiers if named not in moved)
    target = others or tuple(fields.patient_identifiers(pid, _PATIENT_ID))
    if not target:
        raise FieldMissing(
            "PID names nobody but the identifier that moves", pid.location(_IDENTIFIERS)
        )
    return IdentifierMove(replace(patient, identifiers=target), moved)


def account_move(message: Message, timezone: tzinfo) -> VisitMove:
    """A44: account MRG-3 (else PID-18) of the patient of MRG-1 is the patient's of PID.

    Raises:
        SegmentError, FieldInvalid: see `patient_merge`.
        FieldMissing: no identifier in PID or MRG-1, or no account.
    """
    patient, mrg = patient_update(message, timezone), _prior(message)
    prior = _required(mrg, _PRIOR_IDENTIFIERS)
    pid = patient_segment(message)
    account = fields.entity(mrg, _PRIOR_ACCOUNT) or fields.entity(pid, _ACCOUNT)
    if not account:
        raise FieldMissing("MRG-3 or PID-18 is required", mrg.location(_PRIOR_ACCOUNT))
    return VisitMove(patient, prior, accounts=(account,))


def visit_move(message: Message, timezone: tzinfo) -> VisitMove:
    """A45: visits MRG-5 (else PV1-19) of the patient of MRG-1 are the patient's of PID.

    Raises:
        SegmentError: not exactly one PID, or no MRG.
        FieldInvalid: see `patient_merge`.
        FieldMissing: no identifier in PID or in an MRG-1, or an MRG without a visit.
    """
    patient = patient_update(message, timezone)
    groups = _visit_groups(message)
    prior = [n for mrg, _ in groups for n in _required(mrg, _PRIOR_IDENTIFIERS)]
    visits = dict.fromkeys(_visit(mrg, pv1) for mrg, pv1 in groups)
    return VisitMove(patient, tuple(dict.fromkeys(prior)), visits=tuple(visits))


def link(message: Message, timezone: tzinfo) -> PatientLink:
    """A24: two patients are linked.

    Raises:
        SegmentError: not exactly two PIDs.
        FieldMissing, FieldInvalid: see `patient_merge`.
    """
    return _link(message, timezone, linked=True)


def unlink(message: Message, timezone: tzinfo) -> PatientLink:
    """A37: two patients are linked no longer.

    Raises:
        SegmentError: not exactly two PIDs.
        FieldMissing, FieldInvalid: see `patient_merge`.
    """
    return _link(message, timezone, linked=False)


def retire(message: Message, timezone: tzinfo) -> PatientRetire:
    """A29: a patient is deleted at the sender.

    Raises:
        SegmentError, FieldMissing, FieldInvalid: see `patient_update`.
    """
    named = identifiers(patient_segment(message))
    return PatientRetire(named, said_at(message, timezone))


# -- segments ----------------------------------------------------------------------


def _prior(message: Message) -> Segment:
    """The one MRG of a message that has one PID."""
    patient_segment(message)
    found = message.all("MRG")
    if len(found) != 1:
        raise SegmentError(*_count("MRG", len(found), 1))
    return found[0]


def _visit_groups(message: Message) -> list[tuple[Segment, Segment | None]]:
    """Each MRG of a message with the PV1 that follows it."""
    found: list[tuple[Segment, Segment | None]] = []
    for segment in message.segments:
        if segment.name == "MRG":
            found.append((segment, None))
        elif segment.name == "PV1" and found and found[-1][1] is None:
            found[-1] = (found[-1][0], segment)
    if not found:
        raise SegmentError(*_count("MRG", 0, 1))
    return found


def _visit(mrg: Segment, pv1: Segment | None) -> str:
    visit = fields.entity(mrg, _PRIOR_VISIT) or (fields.entity(pv1, _VISIT) if pv1 else "")
    if not visit:
        raise FieldMissing("MRG-5 or PV1-19 is required", mrg.location(_PRIOR_VISIT))
    return visit


def _link(message: Message, timezone: tzinfo, *, linked: bool) -> PatientLink:
    found = message.all("PID")
    if len(found) != 2:
        raise SegmentError(*_count("PID", len(found), 2))
    one, other = map(identifiers, found)
    return PatientLink(one, other, linked, said_at(message, timezone))


def _count(name: str, found: int, wanted: int) -> tuple[str, str]:
    """What to say of a segment that stands too rarely, or too often, and where."""
    place = f"{name}^{min(found, wanted) + 1}"
    times = "once" if wanted == 1 else "twice"
    return f"{name} must stand exactly {times}", place


def _required(segment: Segment, number: int) -> Identifiers:
    found = tuple(fields.patient_identifiers(segment, number))
    if not found:
        raise FieldMissing(f"{segment.name}-{number} is required", segment.location(number))
    return found
