"""Who is sent instances, and who asks for them: DCMTK's programs and pynetdicom's SCU."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

from tests.support.door import eventually

PATIENT_MOVE, STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_GET, STUDY_GET = "1.2.840.10008.5.1.4.1.2.1.3", "1.2.840.10008.5.1.4.1.2.2.3"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def storescp(folder: Path, port: int, title: str, *options: str) -> Iterator[Path]:
    """DCMTK's storage SCP, which writes what it takes into a folder."""
    folder.mkdir(exist_ok=True)
    command = ["storescp", "-aet", title, "-od", str(folder), *options, str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        try:
            assert eventually(lambda: answers(port))
            yield folder
        finally:
            running.terminate()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def taken(folder: Path) -> dict[str, Dataset]:
    """What was written into a folder, by SOP Instance UID; the folder is emptied."""
    found: dict[str, Dataset] = {}
    for path in folder.iterdir():
        dataset = dcmread(path)
        found[str(dataset.SOPInstanceUID)] = dataset
        path.unlink()
    return found


@dataclass
class Taker:
    """A storage SCP in this process; `statuses` are answered in turn, then 0000."""

    port: int
    datasets: list[Dataset] = field(default_factory=list)
    originators: list[tuple[Any, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    associations: list[int] = field(default_factory=list)
    on_store: Any = None

    def store(self, event: Event) -> int:
        request: Any = event.request
        if self.on_store is not None:
            self.on_store(event)
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        dataset.decode()
        self.datasets.append(dataset)
        by = (request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID)
        self.originators.append(by)
        return self.statuses.pop(0) if self.statuses else 0x0000


@contextmanager
def taker(
    port: int, title: str, contexts: dict[str, list[str]], tls: Any = None
) -> Iterator[Taker]:
    """A storage SCP of these SOP classes, in these transfer syntaxes."""
    made = Taker(port)
    entity = ApplicationEntity(title)
    for sop_class, syntaxes in contexts.items():
        entity.add_supported_context(sop_class, syntaxes)
    handlers: Any = [
        (evt.EVT_C_STORE, made.store),
        (evt.EVT_ACCEPTED, lambda _: made.associations.append(1)),
    ]
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls
    )
    assert server is not None
    try:
        yield made
    finally:
        server.shutdown()


@dataclass
class Asked:
    """What a C-MOVE or a C-GET was answered: statuses, each with its counts."""

    responses: list[Dataset]
    failed: list[str]

    @property
    def status(self) -> int:
        return int(self.responses[-1].Status)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Completed, failed, warning."""
        last = self.responses[-1]
        return (
            int(last.NumberOfCompletedSuboperations),
            int(last.NumberOfFailedSuboperations),
            int(last.NumberOfWarningSuboperations),
        )


def _keys(said: dict[str, Any]) -> Dataset:
    identifier = Dataset()
    for keyword, value in said.items():
        setattr(identifier, keyword, value)
    return identifier


def _asked(told: Any) -> Asked:
    responses, failed = [], list[str]()
    for status, identifier in told:
        responses.append(status)
        if identifier is not None:
            listed: Any = identifier.get("FailedSOPInstanceUIDList", [])
            failed = [listed] if isinstance(listed, str) else list(listed)
    return Asked(responses, failed)


def move(
    port: int,
    to: str,
    model: str = STUDY_MOVE,
    title: str = "CT_A",
    then: Callable[[Association], None] = lambda _: None,
    **keys: Any,
) -> Asked:
    """A C-MOVE by pynetdicom; `then` is called at the first pending response."""
    scu = ApplicationEntity(title)
    scu.add_requested_context(model)
    association = scu.associate("127.0.0.1", port, ae_title="RECONCILE")
    assert association.is_established
    try:
        told = association.send_c_move(_keys(keys), to, model, msg_id=7)
        first = next(told)
        if first[0].Status == 0xFF00:
            then(association)
        return _asked([first, *told])
    finally:
        association.release()


def get(
    port: int,
    contexts: list[tuple[str, str]],
    model: str = STUDY_GET,
    title: str = "CT_A",
    status: int = 0,
    on_store: Any = None,
    **keys: Any,
) -> tuple[Asked, list[Dataset]]:
    """A C-GET by pynetdicom, which is SCP of these (SOP class, transfer syntax)."""
    scu = ApplicationEntity(title)
    scu.add_requested_context(model)
    roles: list[Any] = []
    for sop_class, syntax in contexts:
        scu.add_requested_context(sop_class, syntax)
    for sop_class in {each for each, _ in contexts}:
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = sop_class
        role.scu_role, role.scp_role = False, True
        roles.append(role)
    came: list[Dataset] = []

    def store(event: Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        dataset.decode()
        came.append(dataset)
        if on_store is not None:
            on_store(event)
        return status

    association = scu.associate(
        "127.0.0.1",
        port,
        ae_title="RECONCILE",
        ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, store)],
    )
    assert association.is_established
    try:
        told = _asked(association.send_c_get(_keys(keys), model, msg_id=9))
    finally:
        association.release()
    return told, came
