"""What an order message schedules, as commands to the registry.

ORM^O01 (2.3.1) and OMG^O19 say it in ORC, OBR and one ZDS; OMI^O23 (2.5.1) in one IPC
per scheduled procedure step. Both are read as one stream of groups: ORC begins a group,
OBR is its procedure, IPC its steps, and a ZDS gives its Study Instance UID to the groups
since the ZDS before it.

Source: IHE RAD TF-2 4.4 (RAD-4), 4.13 (RAD-13), Appendix B; HL7 v2.5.1 section 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from reconcile.core.identity import Issuer, PatientUpdate
from reconcile.core.order import (
    OrderControl,
    OrderUpdate,
    RequestedProcedure,
    ScheduledStep,
)
from reconcile.hl7 import fields
from reconcile.hl7.adt import patient_segment, patient_update
from reconcile.hl7.errors import FieldInvalid, FieldMissing, SegmentError, ValueUnknown
from reconcile.hl7.message import Message, Segment
from reconcile.hl7.syntax import one_line

#: HL7 table 0119, ORC-1. None: an answer to a message of others, or a cancellation that
#: its own CA or DC announces: nothing for an archive to do.
CONTROLS: dict[str, OrderControl | None] = {
    "NW": OrderControl.NEW,
    "XO": OrderControl.CHANGE,
    "CA": OrderControl.CANCEL,
    "DC": OrderControl.DISCONTINUE,
    "SC": OrderControl.STATUS,
    "OK": None,
    "OC": None,
    "OD": None,
    "CR": None,
    "DR": None,
    "XR": None,
    "UA": None,
    "UC": None,
    "UD": None,
    "UX": None,
    "NA": None,
    "SN": None,
    "SR": None,
}

#: Orders with these must say by what images will find them.
_NEEDS_KEY = frozenset({OrderControl.NEW, OrderControl.CHANGE})


@dataclass(slots=True)
class _Group:
    """Segments of one ORC group; `uid`: what a ZDS gives it."""

    orc: Segment
    obr: Segment | None = None
    timings: list[Segment] = field(default_factory=list)
    ipcs: list[Segment] = field(default_factory=list)
    uid: str = ""

    @property
    def request(self) -> Segment:
        """The OBR; of a group without one (a mere CA), its ORC, which has none of it."""
        return self.obr or Segment("OBR", self.orc.syntax, self.orc.sequence)


def order_updates(message: Message, timezone: tzinfo) -> tuple[OrderUpdate, ...]:
    """The orders of a message, in its order; empty where it asks for nothing.

    Groups with one order control, status and accession are one order with several
    requested procedures; steps of one requested procedure are gathered in it.

    Args:
        message: ORM, OMG or OMI.
        timezone: of times that name none.

    Raises:
        SegmentError: no PID or ORC, or a ZDS that could belong to several orders.
        FieldMissing: ORC-1; or an accession and Study UID, where one is needed.
        ValueUnknown: ORC-1 is no order control that this archive knows.
        FieldInvalid: a Study UID, an authority or the patient is malformed.
    """
    patient = patient_update(message, timezone)
    visit = message.first("PV1")
    referring = fields.referred_name(visit.repetitions(8)) if visit else ""
    updates: dict[tuple[str, ...], OrderUpdate] = {}
    for group in _groups(message):
        control = _control(group.orc)
        if control is None:
            continue
        said = _said_at(group.orc, patient, timezone)
        for update in _updates(group, control, patient):
            whole = replace(
                update,
                referring_physician=referring or _ordering_provider(group),
                said_at=said,
                visit_number=fields.entity(visit, 19) if visit else "",
                account_number=fields.entity(patient_segment(message), 18),
            )
            _gather(updates, whole)
    return tuple(updates.values())


# -- the shape of the message ------------------------------------------------------


def _groups(message: Message) -> list[_Group]:
    groups: list[_Group] = []
    since_zds: list[_Group] = []
    for segment in message.segments:
        if segment.name == "ORC":
            groups.append(_Group(segment))
            since_zds.append(groups[-1])
        elif segment.name == "ZDS":
            _give_uid(since_zds, segment)
            since_zds = []
        elif segment.name in ("OBR", "TQ1", "IPC"):
            if not groups:
                raise SegmentError(f"ORC is required before {segment.name}", "ORC^1")
            extra = _attach(groups[-1], segment)
            groups += extra
            since_zds += extra
    if not groups:
        raise SegmentError("ORC is required", "ORC^1")
    return groups


def _attach(group: _Group, segment: Segment) -> list[_Group]:
    """Add a segment to its group; a second OBR under one ORC begins another group."""
    if segment.name == "TQ1":
        group.timings.append(segment)
    elif segment.name == "IPC":
        group.ipcs.append(segment)
    elif group.obr is None:
        group.obr = segment
    else:
        return [_Group(group.orc, segment)]
    return []


def _give_uid(groups: list[_Group], zds: Segment) -> None:
    """ZDS-1 is the Study Instance UID of the groups since the last ZDS.

    Raises:
        SegmentError: they are groups of several orders: which one is meant?
    """
    uid = fields.study_uid(zds, 1)
    if len({_order_named(group) for group in groups}) > 1:
        raise SegmentError("ZDS could belong to several orders", f"ZDS^{zds.sequence}")
    for group in groups:
        group.uid = uid


def _order_named(group: _Group) -> tuple[object, ...]:
    """By what a group names its order: accession, else filler or placer number."""
    accession = fields.issued_entity(group.request, 18)
    numbers = (group.orc, 3), (group.request, 3), (group.orc, 2), (group.request, 2)
    return accession if accession[0] else (_first_entity(*numbers),)


# -- one group ---------------------------------------------------------------------


def _control(orc: Segment) -> OrderControl | None:
    said = orc.text(1).strip().upper()
    if not said:
        raise FieldMissing("ORC-1 is required", orc.location(1))
    if said not in CONTROLS:
        raise ValueUnknown("ORC-1 is not an order control known here", orc.location(1))
    return CONTROLS[said]


def _updates(
    group: _Group, control: OrderControl, patient: PatientUpdate
) -> Iterable[OrderUpdate]:
    """One update per step of a group, or one for the group where it has no IPC."""
    obr = group.request
    for accession, procedure in _procedures(group):
        update = OrderUpdate(
            control=control,
            status=group.orc.text(5).strip().upper(),
            patient=patient,
            accession_number=accession[0],
            accession_issuer=accession[1],
            placer_order_number=_first_entity((group.orc, 2), (obr, 2)),
            filler_order_number=_first_entity((group.orc, 3), (obr, 3)),
            procedures=(procedure,),
        )
        _require_key(update, group)
        yield update


def _require_key(update: OrderUpdate, group: _Group) -> None:
    """An order must be found again: by its images, or at least by its sender."""
    uid = update.procedures[0].study_instance_uid
    if update.accession_number or uid:
        return
    numbered = update.placer_order_number or update.filler_order_number
    if update.control in _NEEDS_KEY or not numbered:
        ipc = group.ipcs[0].location(1) if group.ipcs else group.request.location(18)
        raise FieldMissing("an Accession Number or a Study Instance UID is required", ipc)


def _procedures(
    group: _Group,
) -> Iterable[tuple[tuple[str, Issuer], RequestedProcedure]]:
    if not group.ipcs:
        yield fields.issued_entity(group.request, 18), _procedure_of_obr(group)
    for ipc in group.ipcs:
        accession = fields.issued_entity(ipc, 1)
        named = accession if accession[0] else fields.issued_entity(group.request, 18)
        yield named, _procedure_of_ipc(group, ipc)


def _procedure_of_obr(group: _Group) -> RequestedProcedure:
    obr = group.request
    step = ScheduledStep(
        sps_id=fields.entity(obr, 20),
        modality=one_line(obr.text(24)).upper(),
        start=_start(group),
        description=one_line(obr.text(4, 5)),
    )
    rp = RequestedProcedure(fields.entity(obr, 19), study_instance_uid=group.uid)
    return _described(rp, obr, step)


def _procedure_of_ipc(group: _Group, ipc: Segment) -> RequestedProcedure:
    stations = (one_line(each.text(1)) for each in ipc.repetitions(9))
    step = ScheduledStep(
        sps_id=fields.entity(ipc, 4),
        modality=one_line(ipc.text(5)).upper(),
        station_ae_titles=tuple(filter(None, stations)),
        start=_start(group),
        description=one_line(ipc.text(6, 2)) or one_line(group.request.text(4, 5)),
    )
    uid = fields.study_uid(ipc, 3) or group.uid
    rp_id = fields.entity(ipc, 2) or fields.entity(group.request, 19)
    return _described(RequestedProcedure(rp_id, uid), group.request, step)


def _described(
    procedure: RequestedProcedure, obr: Segment, step: ScheduledStep
) -> RequestedProcedure:
    """The procedure with its code, its text and its step, if that is one at all."""
    coded = 44 if obr.field(44) else 4
    is_step = step.sps_id or step.modality or step.station_ae_titles
    return replace(
        procedure,
        code=fields.code(obr, coded),
        description=one_line(obr.text(coded, 2)) or one_line(obr.text(4, 2)),
        steps=(step,) if is_step else (),
    )


def _first_entity(*places: tuple[Segment, int]) -> str:
    found = (fields.entity(segment, number) for segment, number in places)
    return next(filter(None, found), "")


def _start(group: _Group) -> str:
    """Scheduled start: TQ1-7, else the timing component of ORC-7, OBR-27, or OBR-36."""
    said = [timing.text(7) for timing in group.timings]
    said += [group.orc.text(7, 4), group.request.text(27, 4), group.request.text(36)]
    return next(filter(None, map(fields.dt, said)), "")


def _ordering_provider(group: _Group) -> str:
    ordering = fields.referred_name(group.orc.repetitions(12))
    return ordering or fields.referred_name(group.request.repetitions(16))


def _said_at(orc: Segment, patient: PatientUpdate, zone: tzinfo) -> datetime | None:
    """ORC-9, when the order was entered or changed; else when the message was sent."""
    return fields.moment(orc.text(9), zone) or patient.said_at


# -- gathering ---------------------------------------------------------------------


def _gather(updates: dict[tuple[str, ...], OrderUpdate], update: OrderUpdate) -> None:
    key = _key(update)
    known = updates.get(key)
    if known is None:
        updates[key] = update
        return
    procedures = _with_procedure(known.procedures, update.procedures[0])
    updates[key] = replace(known, procedures=procedures)


def _key(update: OrderUpdate) -> tuple[str, ...]:
    """What makes two groups one order."""
    named = (update.accession_number, str(update.accession_issuer))
    if not update.accession_number:
        numbers = update.filler_order_number, update.placer_order_number
        named = ("", next(filter(None, numbers), update.procedures[0].study_instance_uid))
    return (update.control, update.status, *named)


def _with_procedure(
    known: tuple[RequestedProcedure, ...], new: RequestedProcedure
) -> tuple[RequestedProcedure, ...]:
    """`known` with a further procedure, or with its steps where it is known already."""
    for index, procedure in enumerate(known):
        if _is_same(procedure, new):
            return (*known[:index], _joined(procedure, new), *known[index + 1 :])
    return (*known, new)


def _is_same(one: RequestedProcedure, other: RequestedProcedure) -> bool:
    """Whether both are one requested procedure.

    Raises:
        FieldInvalid: one ID with two Study Instance UIDs.
    """
    uids = {one.study_instance_uid, other.study_instance_uid} - {""}
    if one.rp_id != other.rp_id:
        return False
    if len(uids) > 1:
        raise FieldInvalid("a requested procedure has two Study Instance UIDs")
    return True


def _joined(one: RequestedProcedure, other: RequestedProcedure) -> RequestedProcedure:
    steps = {step.sps_id or str(step): step for step in one.steps}
    for step in other.steps:
        known = steps.get(step.sps_id)
        steps[step.sps_id or str(step)] = _joined_step(known, step) if known else step
    uid = one.study_instance_uid or other.study_instance_uid
    return replace(one, study_instance_uid=uid, steps=tuple(steps.values()))


def _joined_step(one: ScheduledStep, other: ScheduledStep) -> ScheduledStep:
    """A step that is told in two segments: one per protocol code, or per station."""
    stations = dict.fromkeys(one.station_ae_titles + other.station_ae_titles)
    return replace(one, station_ae_titles=tuple(stations))
