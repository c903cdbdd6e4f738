"""A modality that asks for storage commitment, and hears what became of it."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.events import Event

from reconcile.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from tests.support.instances import uid

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
HEARD_SECONDS = 60
#: (SOP Class UID, SOP Instance UID)
Named = tuple[str, str]


class Told(NamedTuple):
    """A report: what is committed, and why the rest is not; its Event Type ID."""

    transaction: str
    event_type: int
    committed: set[Named]
    failed: dict[Named, int]


@dataclass
class Modality:
    """Its reports, as they come; `status` is what it answers to them."""

    title: str = "CT_A"
    status: int = 0x0000
    port: int = 0
    told: queue.Queue[Told] = field(default_factory=queue.Queue)
    _answering: queue.SimpleQueue[Told] = field(default_factory=queue.SimpleQueue)

    def heard(self) -> Told:
        """The next report."""
        return self.told.get(timeout=HEARD_SECONDS)

    @contextmanager
    def association(self, port: int, *, hears: bool = True) -> Iterator[Association]:
        """One with an archive at this port; `hears`: it takes reports over it."""
        entity = ApplicationEntity(self.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
        entity.add_requested_context(STORAGE_COMMITMENT, SYNTAXES)
        handlers = self._handlers if hears else []
        association = entity.associate(
            "127.0.0.1", port, ae_title="RECONCILE", evt_handlers=handlers
        )
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def commit(self, port: int, images: Iterable[Dataset | Named]) -> Told:
        """Ask, and hear over the same association."""
        with self.association(port) as association:
            transaction, status = ask(association, images)
            assert status == 0
            told = self.heard()
        assert told.transaction == transaction
        return told

    @contextmanager
    def listening(self) -> Iterator[Modality]:
        """It takes reports over new associations, too."""
        entity = ApplicationEntity(self.title)
        entity.require_called_aet = True
        entity.add_supported_context(
            STORAGE_COMMITMENT, SYNTAXES, scu_role=False, scp_role=True
        )
        server = entity.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=self._handlers,
        )
        assert server is not None
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            server.shutdown()

    @property
    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_N_EVENT_REPORT, self._report),
            (evt.EVT_DATA_SENT, self._answered),
        ]

    def _answered(self, _: Event) -> None:
        """What was reported is told when it has been answered."""
        while not self._answering.empty():
            self.told.put(self._answering.get())

    def _report(self, event: Event) -> tuple[int, Dataset]:
        said = event.event_information
        failed = said.get("FailedSOPSequence", [])
        self._answering.put(
            Told(
                str(said.TransactionUID),
                event.event_type or 0,
                {_named(each) for each in said.get("ReferencedSOPSequence", [])},
                {_named(each): each.FailureReason for each in failed},
            )
        )
        return self.status, Dataset()


def _named(item: Dataset) -> Named:
    return str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)


def named(image: Dataset) -> Named:
    """How an instance is named in a request."""
    return str(image.SOPClassUID), str(image.SOPInstanceUID)


def ask(
    association: Association,
    images: Iterable[Dataset | Named],
    transaction: str = "",
    **said: Any,
) -> tuple[str, int]:
    """N-ACTION; (Transaction UID, status)."""
    request = Dataset()
    request.TransactionUID = transaction or uid()
    request.ReferencedSOPSequence = [_item(each) for each in images]
    wanted = {"action_type": 1, "instance_uid": STORAGE_COMMITMENT_INSTANCE, **said}
    answer, _ = association.send_n_action(request, class_uid=STORAGE_COMMITMENT, **wanted)
    return str(request.TransactionUID), int(answer.Status)


def _item(image: Dataset | Named) -> Dataset:
    item = Dataset()
    found = named(image) if isinstance(image, Dataset) else image
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = found
    return item
