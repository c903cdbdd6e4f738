"""A DICOM door on a free port, with a storage and a store function of the test's own."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from reconcile.core.facts import Source
from reconcile.dicom.acceptor import DicomDoor, listen
from reconcile.dicom.limits import Limits
from reconcile.dicom.policy import Peer, Policy
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.settling import Answer, Settled
from reconcile.storage.content import InMemory
from reconcile.storage.local import LocalStorage
from tests.support.kept import file_of

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
CT_A, CT_PLAIN, CT_QUIET = (
    Source("CT_A"),
    Source("CT_PLAIN", coerce=False),
    Source("CT_QUIET", warn=False),
)
PEERS = {source.ae_title: Peer(source) for source in (CT_A, CT_PLAIN, CT_QUIET)}


def data_of(arrival: Arrival) -> bytes:
    """The data set that arrived."""
    content = arrival.content
    if isinstance(content, InMemory):
        return bytes(content.data)
    return content.path.read_bytes()[content.data_offset :]


@dataclass
class Doorway:
    """A running door and what went through it."""

    door: DicomDoor
    storage: LocalStorage
    port: int
    arrivals: list[Arrival] = field(default_factory=list)
    answer: Callable[[Arrival], Stored] = lambda _: Stored()

    def store(self, arrival: Arrival) -> Stored:
        assert sha256(data_of(arrival)).hexdigest() == arrival.digest
        self.arrivals.append(arrival)
        stored = self.answer(arrival)
        self.storage.keep(arrival.content, arrival.digest)
        return stored

    def data_sets(self) -> list[bytes]:
        """What was stored, in the order in which it arrived."""
        return [
            file_of(self.storage, arrival.digest)[-arrival.length :]
            for arrival in self.arrivals
        ]

    def spool_is_empty(self) -> bool:
        return eventually(lambda: not self.storage.spooled())

    def is_empty(self) -> bool:
        return eventually(lambda: self.door.associations == 0)


@contextmanager
def doorway(
    folder: Path,
    limits: Limits | None = None,
    peers: dict[str, Peer] | None = None,
    tls: ssl.SSLContext | None = None,
    **policy: Any,
) -> Iterator[Doorway]:
    """A door that is open while the context lasts."""
    storage = LocalStorage(folder / "store")
    known = PEERS if peers is None else peers
    listening = listen("127.0.0.1", 0)
    way = Doorway(None, storage, listening.getsockname()[1])  # type: ignore[arg-type]
    with ThreadPoolExecutor(8, thread_name_prefix="store") as threads:
        way.door = DicomDoor(
            Policy("RECONCILE", known.get, **policy),
            lambda arrival, answer: submit(threads, way.store, arrival, answer),
            storage.spool_dir,
            limits,
        )
        way.door.serve(listening, tls)
        try:
            yield way
        finally:
            way.door.stop(grace=0.2)


def submit(
    threads: Executor,
    store: Callable[[Arrival], Stored],
    arrival: Arrival,
    answer: Answer,
) -> None:
    """Have one arrival stored in a thread, as a settler does."""

    def carry_out() -> None:
        try:
            settled: Settled = store(arrival)
        except Exception as error:  # noqa: BLE001 - every arrival is answered
            settled = error
        answer(settled)

    threads.submit(carry_out)


def eventually(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return true()


def scu(
    *contexts: tuple[str, str] | tuple[str, list[str]], title: str = "CT_A"
) -> ApplicationEntity:
    """An application entity that proposes these contexts."""
    ae = ApplicationEntity(title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    for abstract, syntaxes in contexts or ((CT, EXPLICIT), (VERIFICATION, IMPLICIT)):
        ae.add_requested_context(abstract, syntaxes)
    return ae


def instance(uid: str = "1.2.3.4", sop_class: str = CT, size: int = 0) -> Dataset:
    """A small instance that can be sent."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    dataset.PatientID, dataset.PatientName = "100", "DOE^JANE"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    if size:
        dataset.PixelData = bytes(size)
        dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    return dataset


# --- the protocol by hand: what no library would send


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body) if length is None else length) + body


def associate_rq(calling: str = "CT_A", called: str = "RECONCILE") -> bytes:
    """A request for CT Image Storage, Explicit VR Little Endian, in context 1."""
    context = bytes((1, 0, 0, 0)) + item(0x30, CT.encode()) + item(0x40, EXPLICIT.encode())
    user = item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3")
    fixed = struct.pack(
        ">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode()
    )
    return pdu(
        1,
        fixed
        + item(0x10, b"1.2.840.10008.3.1.1.1")
        + item(0x20, context)
        + item(0x50, user),
    )


def p_data(control: int, value: bytes, context: int = 1) -> bytes:
    return pdu(4, struct.pack(">LBB", len(value) + 2, context, control) + value)


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def c_store_rq(message_id: int = 1, uid: str = "1.2.3.4", sop_class: str = CT) -> bytes:
    """The command set of a C-STORE-RQ with a data set."""
    return (
        element(0x0002, _even(sop_class))
        + element(0x0100, b"\x01\x00")
        + element(0x0110, struct.pack("<H", message_id))
        + element(0x0700, b"\0\0")
        + element(0x0800, b"\x01\x00")
        + element(0x1000, _even(uid))
    )


def _even(text: str) -> bytes:
    value = text.encode()
    return value + b"\0" * (len(value) % 2)


class Wire:
    """A plain connection to a door."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pdus: bytes) -> None:
        self.socket.sendall(b"".join(pdus))

    def receive(self) -> tuple[int, bytes]:
        """Type and body of the next PDU; type 0 where the door has closed."""
        header = self._exactly(6)
        if len(header) < 6:
            return 0, b""
        return header[0], self._exactly(struct.unpack(">L", header[2:])[0])

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            try:
                part = self.socket.recv(count - len(content))
            except ConnectionResetError:
                return b""
            if not part:
                return content
            content += part
        return content

    def associate(self, calling: str = "CT_A") -> None:
        self.send(associate_rq(calling))
        kind, _ = self.receive()
        assert kind == 2, f"PDU type {kind} in place of an A-ASSOCIATE-AC"

    def status(self) -> int:
        """The status of the next response."""
        kind, body = self.receive()
        assert kind == 4, f"PDU type {kind} in place of a response"
        command, at = body[6:], 0
        while True:
            _, number, length = struct.unpack_from("<HHI", command, at)
            if number == 0x0900:
                return int(struct.unpack_from("<H", command, at + 8)[0])
            at += 8 + length


def changed(limits: Limits | None = None, **changes: Any) -> Limits:
    return replace(limits or Limits(), **changes)


# --- a door in another process

SERVER = """
import socket, sys
from pathlib import Path
from reconcile.core.facts import Source
from reconcile.dicom.acceptor import DicomDoor
from reconcile.dicom.policy import Policy
from reconcile.flows.arrival import Stored
from reconcile.flows.settling import Settler
from reconcile.storage.local import LocalStorage

storage = LocalStorage(Path(sys.argv[2]))

def settle(arrivals):
    for index, arrival in enumerate(arrivals):
        storage.keep(arrival.content, arrival.digest)
        yield index, Stored()

policy = Policy("RECONCILE", lambda title: None, accept_unknown=True)
door = DicomDoor(policy, Settler(settle).submit, storage.spool_dir)
door.serve(socket.socket(fileno=int(sys.argv[1])))
print("ready", flush=True)
sys.stdin.read()
door.stop(1)
"""


class serving:  # noqa: N801 - reads as what it does
    """A door in a process of its own, on a socket that is handed over."""

    def __init__(self, folder: Path, listening: socket.socket) -> None:
        descriptor = listening.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(descriptor), str(folder / "other")],
            pass_fds=[descriptor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.listening = listening

    def __enter__(self) -> subprocess.Popen[str]:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=30)
        self.listening.close()


def connect(
    way: Doorway, *contexts: Any, title: str = "CT_A", **kwargs: Any
) -> Association:
    """An association with the door, established or not."""
    ae = scu(*contexts, title=title)
    return ae.associate("127.0.0.1", way.port, ae_title="RECONCILE", **kwargs)
