"""The hospital behind its doors, DICOM and HTTP on free ports, and a client for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import httpx
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from reconcile.core.facts import Source
from reconcile.dicom.acceptor import DicomDoor, listen
from reconcile.dicom.policy import Peer, Policy
from reconcile.flows.commitment import CommitmentFlow
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.normalized import NormalizedFlow
from reconcile.flows.performed import PerformedFlow
from reconcile.flows.settling import Settler
from reconcile.flows.store import StoreFlow
from reconcile.web.app import make_app
from reconcile.web.parts import Parts
from reconcile.web.serve import run
from tests.support.hospital import CT_A, IMPORT_CD, MR_B, Hospital, clock, source_of
from tests.support.instances import data_offset, part10

#: There are 128 odd context ids (PS3.8 9.3.2.2).
CONTEXTS_MAX = 128
_RELATED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class Sent(NamedTuple):
    """A data set as the bytes that are to go over the wire, and how it is announced."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    data: bytes


class Told(NamedTuple):
    """The response to a C-STORE; status -1: there was none."""

    status: int
    comment: str = ""


def sendable(dataset: Dataset) -> Sent:
    """A data set as it is announced by its own UIDs."""
    file = part10(dataset)
    return Sent(
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        str(dataset.file_meta.TransferSyntaxUID),
        file[data_offset(file) :],
    )


@dataclass(frozen=True)
class Archive:
    """A hospital whose doors are open."""

    hospital: Hospital
    dicom: int
    http: httpx.Client

    def send(self, *sent: Sent, title: str = "CT_A") -> list[Told]:
        """Over as many associations as the number of presentation contexts asks for."""
        return send(self.dicom, sent, title)

    def get(self, path: str, accept: str = "*/*") -> httpx.Response:
        """What the HTTP door answers."""
        return self.http.get(path, headers={"Accept": accept})

    def received(self, sop_instance_uid: str) -> bytes:
        """The data set of an instance as it came."""
        answer = self.get(f"/api/v1/instances/{sop_instance_uid}/received")
        return _data_set(answer.raise_for_status().content)

    def given_out(self, study: str, series: str, sop_instance_uid: str) -> bytes:
        """An instance as of today, as a file, from the one part of a multipart body."""
        path = f"/dicom-web/studies/{study}/series/{series}/instances/{sop_instance_uid}"
        answer = self.get(path, _RELATED).raise_for_status()
        boundary = answer.headers["content-type"].rpartition("boundary=")[2].strip('"')
        _, _, part = answer.content.partition(b"\r\n\r\n")
        content, end, rest = part.rpartition(f"\r\n--{boundary}--".encode("ascii"))
        assert end
        assert not rest.strip()
        return content

    def file(self, sop_instance_uid: str) -> bytes:
        """An instance as of today, as a file, with or without a patient."""
        answer = self.get(f"/api/v1/instances/{sop_instance_uid}/file")
        return answer.raise_for_status().content


def _data_set(file: bytes) -> bytes:
    return file[data_offset(file) :]


@contextmanager
def archive(hospital: Hospital, *sources: Source) -> Iterator[Archive]:
    """The doors of a hospital, open while the context lasts."""
    peers = {each.ae_title: Peer(each) for each in sources or (CT_A, MR_B, IMPORT_CD)}
    flow = StoreFlow(hospital.database, hospital.storage, hospital.rules, clock)
    policy = Policy("RECONCILE", peers.get)
    settler = Settler(flow.begin)
    committing = CommitmentFlow(hospital.database, hospital.storage, clock, ("CT_A",))
    steps = PerformedFlow(KeptArrivals(flow.recording, source_of))
    door = DicomDoor(
        policy,
        settler.submit,
        hospital.storage.spool_dir,
        normalized=NormalizedFlow(committing, steps, "2.25"),
        require_room=hospital.storage.room.require,
    )
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    door.serve(listening)
    try:
        with http_door(hospital) as client:
            yield Archive(hospital, port, client)
    finally:
        door.stop(grace=0.2)
        settler.stop()


@contextmanager
def http_door(hospital: Hospital) -> Iterator[httpx.Client]:
    """The HTTP door of a hospital, without keys; a client of it."""
    parts = Parts(hospital.database, hospital.storage, hospital.rules, require_keys=False)
    with open_door(parts) as client:
        yield client


@contextmanager
def open_door(parts: Parts) -> Iterator[httpx.Client]:
    """An HTTP door of these parts; a client of it."""
    listening = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    stop, ready = threading.Event(), threading.Event()
    app = make_app(parts)
    door = threading.Thread(
        target=run, args=(app, {"http": listening}, stop), kwargs={"on_ready": ready.set}
    )
    door.start()
    try:
        assert ready.wait(30)
        with httpx.Client(base_url=url, timeout=60) as client:
            yield client
    finally:
        stop.set()
        door.join(30)
        listening.close()
        app.state.stores.stop()
        app.state.readings.stop()
        parts.decoding.close()


# -- A sender of bytes: pynetdicom's would encode them again, or refuse to ---------------


def send(port: int, sent: Iterable[Sent], title: str = "CT_A") -> list[Told]:
    """The answers, in order."""
    told: list[Told] = []
    for batch in _batches(list(sent)):
        with associated(port, batch, title) as association:
            told += [store(association, each, n + 1) for n, each in enumerate(batch)]
    return told


def _batches(sent: list[Sent]) -> Iterator[list[Sent]]:
    batch: list[Sent] = []
    contexts: set[tuple[str, str]] = set()
    for each in sent:
        wanted = (each.sop_class_uid, each.transfer_syntax)
        if len(contexts | {wanted}) > CONTEXTS_MAX:
            yield batch
            batch, contexts = [], set()
        batch.append(each)
        contexts.add(wanted)
    if batch:
        yield batch


@contextmanager
def associated(
    port: int, sent: Iterable[Sent], title: str = "CT_A", seconds: float = 60
) -> Iterator[Association]:
    """An association with one context for each pair of class and transfer syntax.

    `seconds`: how long an answer is waited for, also where the peer is gone.
    """
    ae = ApplicationEntity(title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = seconds
    for abstract, syntax in dict.fromkeys(
        (s.sop_class_uid, s.transfer_syntax) for s in sent
    ):
        ae.add_requested_context(abstract, syntax)
    association = ae.associate("127.0.0.1", port, ae_title="RECONCILE")
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def store(association: Association, sent: Sent, message_id: int = 1) -> Told:
    """One C-STORE of the bytes as they are; status -1: no answer came."""
    wanted = (sent.sop_class_uid, sent.transfer_syntax)
    [context, *_] = [
        each.context_id
        for each in association.accepted_contexts
        if (each.abstract_syntax, each.transfer_syntax[0]) == wanted and each.context_id
    ]
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = sent.sop_class_uid
    request.AffectedSOPInstanceUID = sent.sop_instance_uid
    request.Priority = 2
    request.DataSet = BytesIO(sent.data)
    _pause(association)
    try:
        association.dimse.send_msg(request, context)
        _, answer = association.dimse.get_msg(block=True)
    finally:
        association._reactor_checkpoint.set()
    if not isinstance(answer, C_STORE) or answer.Status is None:
        return Told(-1)
    comment: str | None = answer.ErrorComment  # as it is, whatever its type says
    return Told(answer.Status, comment or "")


def _pause(association: Association) -> None:
    """Keep pynetdicom's own thread from taking the answer, as its `send_c_store` does."""
    association._reactor_checkpoint.clear()
    while not association._is_paused and association.is_alive():
        time.sleep(0.0005)
