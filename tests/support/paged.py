"""A day at a hospital with something for every page, and the door to look at it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydicom.dataset import Dataset

from reconcile.db.embedded import Urls
from reconcile.flows.forwarding import Steering
from reconcile.web.app import make_app
from reconcile.web.parts import Parts
from reconcile.web.serve import run
from tests.support.hospital import CT_A, MR_B, Hospital, clock, source_of
from tests.support.instances import instance, uid
from tests.support.story import Archive, Image, Message, Who

#: What must be shown as text, whoever sent it.
HOSTILE = "<script>alert(1)</script>^EVE"

JANE = Who("DOE^JANE", "19800102", "F")
RICHARD = Who("ROE^RICHARD", "19750506", "M")
ANNA = Who("MEIER^ANNA", "19900304", "F")

IN_FORCE = (
    ("[archive]", (("ae_title", '"RECONCILE"', True), ("domain", '"E"', True))),
    ("[[source]]", (("ae_title", '"CT_A"', False), ("domain", '"A"', False))),
)


@dataclass(frozen=True)
class Day:
    """What happened, and the names of things to look at.

    Attributes:
        study: of three images with an order, under the order's UID; `received` as it came.
        held: of an image that contradicts its patient; `hostile` likewise, of another.
        waiting: how many items are open.
    """

    archive: Archive
    study: str
    received: str
    images: tuple[Dataset, ...]
    held: str
    hostile: str
    walk_in: str

    @property
    def hospital(self) -> Hospital:
        return self.archive.hospital

    def parts(self, **more: Any) -> Parts:
        """The door's parts over this hospital."""
        said: Mapping[str, Any] = {
            "require_keys": False,
            "sources": source_of,
            "clock": clock,
            "act_again": self.archive._door.again,
            "destinations": ("VIEWER",),
            "doors": {"dicom": "127.0.0.1:11112", "hl7": "127.0.0.1:2575"},
            "in_force": IN_FORCE,
        }
        hospital = self.hospital
        return Parts(
            hospital.database, hospital.storage, hospital.rules, **{**said, **more}
        )


def a_day(urls: Urls, folder: Path) -> Day:
    """Play it through the real reading of HL7 and the real flows."""
    archive = Archive(Hospital.at(urls.writer, folder, urls.reader))
    ordered, received, series = uid(), uid(), uid()
    archive.play(_messages(ordered))
    study = {"StudyInstanceUID": received, "SeriesInstanceUID": series}
    images = tuple(
        instance(**study, AccessionNumber="ACC1", SeriesDescription="THORAX")
        for _ in range(3)
    )
    other = instance(
        StudyInstanceUID=received, AccessionNumber="ACC1", SeriesDescription="LUNG"
    )
    held = instance(PatientID="200", PatientName="OTHER^BODY", PatientBirthDate="20010101")
    hostile = instance(PatientID="200", PatientName=HOSTILE, PatientBirthDate="20020202")
    walk_in = instance(PatientID="300", PatientName="MEIER^ANNA", Modality="MR")
    sent = [*images, other, held, hostile]
    archive.play([Image(each, CT_A) for each in sent])
    archive.play([Image(walk_in, MR_B)])
    archive.play(_later())
    day = Day(
        archive,
        ordered,
        received,
        images,
        str(held.StudyInstanceUID),
        str(hostile.StudyInstanceUID),
        str(walk_in.StudyInstanceUID),
    )
    Steering(day.hospital.database, clock, ("VIEWER",)).send("VIEWER", ordered)
    return day


def _messages(ordered: str) -> list[Message]:
    return [
        Message("RIS_A", "A04", "100^^^A~E1^^^E", JANE, number=1),
        Message("RIS_A", "A04", "200^^^A", RICHARD, number=2),
        Message("RIS_A", "A04", "101^^^A", replace(JANE, name="DOE^JANE M"), number=3),
        Message(
            "RIS_A", "O01", "100^^^A", JANE, number=4, accession="ACC1", study_uid=ordered
        ),
    ]


def _later() -> list[Message]:
    """A merge, and a message that waits for a person."""
    return [
        Message("RIS_A", "A40", "100^^^A", JANE, prior="101^^^A", number=5),
        Message("RIS_A", "A08", "200^^^A", ANNA, number=6),
    ]


@contextmanager
def open_app(app: FastAPI) -> Iterator[str]:
    """The address of an application, on a socket of its own."""
    opened = socket.create_server(("127.0.0.1", 0))
    stop, ready = threading.Event(), threading.Event()
    door = threading.Thread(
        target=run,
        args=(app, {"http": opened}, stop),
        kwargs={"on_ready": ready.set},
    )
    door.start()
    try:
        assert ready.wait(30)
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    finally:
        stop.set()
        door.join(30)


def open_pages(parts: Parts) -> AbstractContextManager[str]:
    """The address of the pages over some parts."""
    return open_app(make_app(parts))


__all__ = ["HOSTILE", "Day", "a_day", "open_app", "open_pages"]
