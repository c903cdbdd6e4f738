"""Performed steps get to another SCP: in order, coerced; the receiver is pynetdicom's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dsutils import encode

from reconcile.cli.relaying import relaying
from reconcile.cli.wiring import Parts
from reconcile.core.order import RequestedProcedure, ScheduledStep
from reconcile.db.views_deliveries import Relayed, relayed
from reconcile.dicom.sop_classes import PERFORMED_STEP
from reconcile.flows.forwarding import Steering
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.performed import PerformedFlow, Told
from reconcile.flows.relay import RelayFlow
from reconcile.settings.model import Destination, Settings, Source
from tests.integration.test_forward import NEVER, Clock, clock, hospital
from tests.support.hospital import CT_A, JANE, Hospital, source_of
from tests.support.instances import instance, uid
from tests.support.performing import begun, ended, scheduled

__all__ = ["clock", "hospital"]


@dataclass
class Ris:
    """An SCP of performed steps: what it was told, and what it answers."""

    port: int = 0
    status: int = 0
    got: list[tuple[str, str, Dataset]] = field(default_factory=list)

    def take(self, event: Any) -> tuple[int, None]:
        request, create = event.request, event.event is evt.EVT_N_CREATE
        said = event.attribute_list if create else event.modification_list
        key = "AffectedSOPInstanceUID" if create else "RequestedSOPInstanceUID"
        named = getattr(request, key)
        if not self.status:
            self.got.append(("N-CREATE" if create else "N-SET", str(named), said))
        return self.status, None


@contextmanager
def ris() -> Iterator[Ris]:
    made = Ris()
    entity = ApplicationEntity("RIS")
    entity.add_supported_context(PERFORMED_STEP)
    handlers: Any = [(evt.EVT_N_CREATE, made.take), (evt.EVT_N_SET, made.take)]
    server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    made.port = server.socket.getsockname()[1]
    try:
        yield made
    finally:
        server.shutdown()


@dataclass
class Relaying:
    hospital: Hospital
    clock: Clock
    ris: Ris
    flow: RelayFlow

    def told(self, said: Dataset, step_uid: str, number: int = 1) -> Told:
        body = encode(said, is_implicit_vr=False, is_little_endian=True)
        assert body is not None
        return Told(step_uid, ExplicitVRLittleEndian, body, CT_A, "1", number)

    @property
    def performed(self) -> PerformedFlow:
        return PerformedFlow(KeptArrivals(self.hospital.flow().recording, source_of))

    def round(self) -> None:
        for _ in range(50):
            if not self.flow.round(NEVER):
                return
        raise AssertionError("it goes on and on")

    def settle(self, count: int) -> None:
        """Rounds, until so much has come."""
        for _ in range(600):
            self.round()
            if len(self.ris.got) >= count:
                break
            NEVER.wait(0.05)
        assert len(self.ris.got) == count

    def waits(self) -> list[Relayed]:
        with self.hospital.database.read_only() as connection:
            return relayed(connection, most=100)


@contextmanager
def _relaying(
    hospital: Hospital, clock: Clock, folder: Path, **said: Any
) -> Iterator[Relaying]:
    with ris() as peer:
        known = Destination(ae_title="RIS", host="127.0.0.1", port=peer.port, **said)
        modality = Source(ae_title="CT_A", domain="A", accession_issuer="A")
        settings = Settings(data_dir=folder, destination=(known,), source=(modality,))
        flow = relaying(
            Parts(settings, hospital.database, hospital.storage, hospital.rules)
        )
        flow.clock = clock
        flow.start()
        yield Relaying(hospital, clock, peer, flow)


def test_a_step_is_relayed_as_the_archive_says(
    hospital: Hospital, clock: Clock, tmp_path: Path
) -> None:
    """Patient, studies and series as given out, in the RIS's domain; in order, once."""
    with _relaying(hospital, clock, tmp_path, performed="coerced", domain="A") as r:
        assigned, received, series = uid(), uid(), uid()
        procedure = RequestedProcedure("RP1", assigned, "CT", steps=(ScheduledStep("S1"),))
        done = hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(procedure,))
        assert done.state == "applied", done
        hospital.merge("200^^^A", "100^^^A")
        item = scheduled(received, "ACC1", "RP1", "S1")
        reference = Dataset()
        reference.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
        reference.ReferencedSOPInstanceUID = received
        item.ReferencedStudySequence = [reference]
        step = uid()
        r.performed.create(r.told(begun(item), step))
        image = instance(
            StudyInstanceUID=received, SeriesInstanceUID=series, AccessionNumber="ACC1"
        )
        hospital.store(image)
        r.performed.update(r.told(ended(series=[series]), step, 2))
        r.settle(2)
        (made, one, create), (changed, two, end) = r.ris.got
        assert (made, changed, one, two) == ("N-CREATE", "N-SET", step, step)
        assert (create.PatientID, create.IssuerOfPatientID) == ("200", "A")
        assert create.PatientName == "ROE^RICHARD"  # who survives
        [said] = create.ScheduledStepAttributesSequence
        assert (said.StudyInstanceUID, said.AccessionNumber) == (assigned, "ACC1")
        assert said.ReferencedStudySequence[0].ReferencedSOPInstanceUID == assigned
        assert end.PerformedProcedureStepStatus == "COMPLETED"
        assert "PatientID" not in end
        r.round()
        assert len(r.ris.got) == 2
        assert r.waits() == []


def test_a_step_is_relayed_as_it_came(
    hospital: Hospital, clock: Clock, tmp_path: Path
) -> None:
    """Where that is wanted, whatever the archive says of it."""
    with _relaying(hospital, clock, tmp_path, performed="received") as r:
        hospital.merge("200^^^A", "100^^^A")
        study, step = uid(), uid()
        said = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "MÜLLER^JANE"}
        r.performed.create(r.told(begun(scheduled(study), **said), step))
        r.settle(1)
        [(_, _, create)] = r.ris.got
        assert (create.PatientID, create.PatientName) == ("100", "MÜLLER^JANE")
        assert "IssuerOfPatientID" not in create


@pytest.mark.parametrize("status", [0x0213, 0x0110])
def test_what_is_not_taken_waits_or_is_refused(
    hospital: Hospital, clock: Clock, tmp_path: Path, status: int
) -> None:
    """Resources: all of the step waits. Anything else: refused, and tried again by hand."""
    with _relaying(hospital, clock, tmp_path, performed="coerced") as r:
        r.ris.status = status
        step = uid()
        r.performed.create(r.told(begun(scheduled(uid())), step))
        r.performed.update(r.told(ended(), step, 2))
        for _ in range(600):
            r.round()
            found = [(each.waiting, each.refused) for each in r.waits()]
            if found == [(2, 0) if status == 0x0213 else (0, 2)]:
                break
            NEVER.wait(0.05)
        [row] = r.waits()
        assert (row.lane, row.kinds) == (step, ("N-CREATE", "N-SET"))
        assert f"answered {status:04X}" in row.error
        r.ris.status = 0
        if status == 0x0213:
            clock.ahead += timedelta(hours=7)
        else:
            assert Steering(hospital.database, clock, ("RIS",)).retry("RIS", step) == 2
        r.settle(2)
        assert [each[0] for each in r.ris.got] == ["N-CREATE", "N-SET"]
        assert r.waits() == []
