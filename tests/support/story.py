"""Histories: what feeds, modalities and stewards do, as values that can be played.

What is played goes through the real reading of HL7 and the real flows; what was played
can be taken from the records of an archive, and played into another one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from pydicom.dataset import Dataset
from sqlalchemy import func, select

from reconcile.core.facts import Source
from reconcile.db import filed
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.errors import ReconcileError
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.merge import MergeFlow
from reconcile.flows.order import OrderFlow
from reconcile.flows.patient import PatientFlow
from reconcile.flows.resolve import ResolveFlow, Wanted
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.steward import By, Steward
from reconcile.flows.undo import Undo
from reconcile.hl7.door import Door
from reconcile.hl7.feed import Peer
from reconcile.storage.content import InMemory
from tests.support.hospital import EMPI, RIS_A, RIS_B, Hospital, clock, source_of
from tests.support.instances import arrive, data_offset
from tests.support.mllp import Answer, read_answer

BY = By("ann", "it is so")
BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)
FEEDS = tuple(replace(feed, a37_unmerges=True) for feed in (RIS_A, RIS_B, EMPI))
PEER = Peer("127.0.0.1")


# -- What is said ----------------------------------------------------------------------


@dataclass(frozen=True)
class Who:
    """A patient as PID describes one; empty: it says nothing."""

    name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True)
class Message:
    """One HL7 message.

    Attributes:
        event: MSH-9.2; O01 is an order.
        patient: PID-3.
        prior: MRG-1, or PID-3 of the second PID of A24 and A37.
        number: when it is said, in seconds; of its control id as well.
        study_uid: ZDS-1 of an order; may be empty.
    """

    sender: str
    event: str
    patient: str
    who: Who = Who()
    prior: str = ""
    number: int = 0
    accession: str = ""
    study_uid: str = ""
    control: str = "NW"

    @property
    def raw(self) -> bytes:
        """As it is sent."""
        at = (BEGAN + timedelta(seconds=self.number)).strftime("%Y%m%d%H%M%S+0000")
        is_order = self.event == "O01"
        kind = "ORM^O01" if is_order else f"ADT^{self.event}"
        msh = ["MSH", "^~\\&", self.sender, "HOSPITAL", "RECONCILE", "ARCHIVE", at, ""]
        msh += [kind, f"{self.sender}{self.number}", "P", "2.5.1", *[""] * 5]
        segments = ["|".join([*msh, "UNICODE UTF-8"])]
        segments += [] if is_order else [f"EVN|{self.event}|{at}"]
        segments.append(_pid(self.patient, self.who))
        segments += self._order() if is_order else self._rest()
        return ("\r".join(segments) + "\r").encode()

    def _rest(self) -> list[str]:
        if self.event in ("A24", "A37"):
            return [_pid(self.prior, Who())]
        return [f"MRG|{self.prior}"] if self.prior else ["PV1||O"]

    def _order(self) -> list[str]:
        obr = [""] * 25
        obr[0], obr[1], obr[4] = "OBR", "1", "CTTH^CT THORAX^L"
        obr[18], obr[19], obr[24] = self.accession, "RP1", "CT"
        orc = f"ORC|{self.control}|P{self.accession}|F{self.accession}"
        zds = [f"ZDS|{self.study_uid}^RIS^Application^DICOM"] if self.study_uid else []
        return ["PV1||O", orc, "|".join(obr), *zds]


def _pid(identifiers: str, who: Who) -> str:
    return f"PID|||{identifiers}||{who.name}||{who.birth_date}|{who.sex}"


@dataclass(frozen=True)
class Image:
    """One instance that a modality sends."""

    dataset: Dataset = field(compare=False)
    source: Source

    @property
    def uid(self) -> str:
        return str(self.dataset.SOPInstanceUID)


@dataclass(frozen=True)
class Act:
    """What a steward does.

    Attributes:
        kind: "resolve", "assign" or "undo".
        number: which hold, or which happening, counted from the first of all.
        action: of a resolution.
        patient: whom it names; may be empty.
        study_uid: of what is assigned.
    """

    kind: str
    number: int = -1
    action: str = ""
    patient: str = ""
    study_uid: str = ""


@dataclass(frozen=True)
class Receipt:
    """An instance as it is kept: its file, and from whom it came."""

    file: bytes
    uids: tuple[str, str, str]
    source: Source


Step = Message | Image | Act | Receipt | bytes


# -- Playing it --------------------------------------------------------------------------


class Archive:
    """A hospital's archive, with its door for HL7."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        flow = hospital.messages()
        patients = PatientFlow(flow)
        numbers = itertools.count(1)
        self._door = Door(
            FEEDS,
            flow,
            patients,
            OrderFlow(flow, patients),
            MergeFlow(flow, patients),
            timezone=UTC,
            clock=clock,
            new_control_id=lambda: f"ACK{next(numbers)}",
        )
        self._stored = itertools.count(1)

    @property
    def kept(self) -> KeptArrivals:
        return KeptArrivals(self.hospital.flow().recording, source_of)

    def play(self, steps: Iterable[Step]) -> None:
        """Let it all happen, one after the other."""
        for step in steps:
            self.do(step)

    def do(self, step: Step) -> Answer | Stored | bool:
        """Let one step happen; of what a steward does: whether it was allowed."""
        match step:
            case Message():
                return self.tell(step.raw)
            case bytes():
                return self.tell(step)
            case Image():
                return self._store(arrive(step.dataset, step.source))
            case Receipt():
                return self._store(_arrival(step))
            case Act():
                return self._act(step)

    def tell(self, raw: bytes) -> Answer:
        """Say a message; what is answered."""
        return read_answer(self._door.handle(raw, PEER))

    def _store(self, arrival: Arrival) -> Stored:
        return self.hospital.flow().receive(
            replace(arrival, message_id=next(self._stored), association="story")
        )

    def _act(self, act: Act) -> bool:
        try:
            self._correct(act)
        except ReconcileError:  # it is not to be done so: nothing was changed
            return False
        return True

    def _correct(self, act: Act) -> None:
        if act.kind == "assign":
            Steward(self.kept).assign(act.study_uid, act.patient, BY)
        elif act.kind == "undo":
            Undo(self.kept).happening(str(self.happenings()[act.number]), BY)
        else:
            wanted = Wanted(
                str(self.holds()[act.number]),
                act.action,
                BY.reason,
                BY.actor,
                patient=act.patient,
            )
            ResolveFlow(self.hospital.flow(), source_of).resolve(wanted)

    # -- what it has ---------------------------------------------------------------------

    def happenings(self) -> list[UUID]:
        """All of them, as they came."""
        return self._ids(h.happening.c.id)

    def holds(self) -> list[UUID]:
        """All items, open or not, as they came."""
        return self._ids(t.hold.c.id)

    def _ids(self, column: Any) -> list[UUID]:
        with self.hospital.database.read_only() as connection:
            return list(connection.execute(select(column).order_by(column)).scalars())

    def open_items(self) -> list[tuple[int, str, str]]:
        """(number, kind, code) of what is open."""
        with self.hospital.database.read_only() as connection:
            rows = connection.execute(select(t.hold).order_by(t.hold.c.id)).all()
        return [(n, r.kind, r.code) for n, r in enumerate(rows) if r.state == "open"]

    def live_edges(self) -> set[tuple[UUID, UUID]]:
        """(subsumed, survivor) of every merge that stands."""
        e = t.merge_edge.c
        query = select(e.subsumed_id, e.survivor_id).where(func.upper_inf(e.recorded))
        with self.hospital.database.read_only() as connection:
            return {(one, other) for one, other in connection.execute(query)}

    def canonical(self) -> dict[UUID, UUID]:
        """Who is cached to have survived for each person."""
        query = select(t.person.c.id, t.person.c.canonical_id)
        with self.hospital.database.read_only() as connection:
            return {row.id: row.canonical_id for row in connection.execute(query)}

    def causes(self) -> list[str]:
        """What made each happening."""
        query = select(h.happening.c.cause).order_by(h.happening.c.id)
        with self.hospital.database.read_only() as connection:
            return list(connection.execute(query).scalars())


def _arrival(receipt: Receipt) -> Arrival:
    offset = data_offset(receipt.file)
    data = receipt.file[offset:]
    sop_class, sop_instance, syntax = receipt.uids
    return Arrival(
        InMemory(receipt.file[:offset], data),
        sha256(data).hexdigest(),
        len(data),
        sop_class,
        sop_instance,
        syntax,
        receipt.source,
        "127.0.0.1",
        "story",
        0,
    )


# -- What was recorded -------------------------------------------------------------------


def recorded(archive: Archive) -> list[Step]:
    """Inbox, received instances and stewards' actions in their order, from the records."""
    found: list[tuple[datetime, Step]] = [*_messages(archive), *_receipts(archive)]
    found += _acts(archive)
    return [step for _, step in sorted(found, key=lambda each: each[0])]


def _messages(archive: Archive) -> list[tuple[datetime, Step]]:
    with archive.hospital.database.read_only() as connection:
        rows = connection.execute(select(t.message.c.received_at, t.message.c.body))
        return [(row.received_at, bytes(row.body)) for row in rows]


def _receipts(archive: Archive) -> list[tuple[datetime, Step]]:
    hospital = archive.hospital
    retrieve = RetrieveFlow(hospital.database, hospital.storage)
    with hospital.database.read_only() as connection:
        rows = connection.execute(select(t.receipt)).all()
    found: list[tuple[datetime, Step]] = []
    for row in rows:
        out = retrieve.received(row.sop_instance_uid, str(row.id))
        uids = out.sop_class_uid, out.sop_instance_uid, out.transfer_syntax_uid
        file = b"".join(out.file())
        found.append((row.received_at, Receipt(file, uids, source_of(row.source))))
    return found


def _acts(archive: Archive) -> list[tuple[datetime, Step]]:
    g, happenings, holds = h.happening.c, archive.happenings(), archive.holds()
    query = select(h.happening).where(g.cause.in_(("resolve", "steward", "undo")))
    found: list[tuple[datetime, Step]] = []
    with archive.hospital.database.read_only() as connection:
        for row in connection.execute(query.order_by(g.id)).all():
            patient = _filed_under(connection, row.id)
            if row.cause == "undo":
                act = Act("undo", happenings.index(row.undoes))
            elif row.cause == "steward":
                uid = _received_uid(connection, UUID(row.cause_id))
                act = Act("assign", patient=patient, study_uid=uid)
            else:
                number = holds.index(UUID(row.cause_id))
                act = Act("resolve", number, row.explanation["action"], patient)
            found.append((row.recorded_at, act))
    return found


def _received_uid(connection: Any, study_id: UUID) -> str:
    """A Study UID that a study came under: it may have been renamed since."""
    m, study = t.uid_map.c, t.study.c
    query = (
        select(m.received_uid)
        .join(t.study, study.study_instance_uid == m.assigned_uid)
        .where(study.id == study_id, m.level == "study", m.kind == "map")
    )
    return str(connection.execute(query.order_by(m.received_uid)).scalars().first())


def _filed_under(connection: Any, happening_id: UUID) -> str:
    """The identifier that a happening has filed series under; empty: it has not."""
    i, filing = t.identity.c, filed.series_filing.c
    query = (
        select(i.id_norm, i.domain)
        .join(filed.series_filing, filing.identity_id == i.id)
        .where(filing.happening_id == happening_id)
    )
    row = connection.execute(query).first()
    return f"{row.id_norm}^^^{row.domain}" if row else ""
