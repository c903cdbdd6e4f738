"""Retrieve by the programs of others: what comes is what the HTTP door gives out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from tests.support.instances import instance, uid
from tests.support.retrieving import (
    EXPLICIT,
    IMPLICIT,
    free_port,
    storescp,
    taken,
)
from tests.support.running import HOSPITAL, Archive
from tests.support.transcoded import transcoded

SR = "1.2.840.10008.5.1.4.1.1.88.22"
PORTS = {title: free_port() for title in ("PLAIN", "IMPLICIT", "TAKER", "DOWN")}
DESTINATIONS = """
[[source]]
ae_title = "DEAF"
query = false
""" + "".join(
    f"""
[[destination]]
ae_title = "{title}"
host = "127.0.0.1"
port = {port}
domain = "{"B" if title == "TAKER" else ""}"
"""
    for title, port in PORTS.items()
)

dcmtk = pytest.mark.skipif(shutil.which("movescu") is None, reason="DCMTK is not installed")


def series(**attributes: Any) -> list[Dataset]:
    same = {"StudyInstanceUID": uid(), "SeriesInstanceUID": uid(), **attributes}
    return [instance(InstanceNumber=n, **same) for n in (1, 2, 3)]


JANE = series()
COMPRESSED = transcoded(
    instance(
        StudyInstanceUID=JANE[0].StudyInstanceUID,
        SeriesInstanceUID=JANE[0].SeriesInstanceUID,
    ),
    RLELossless,
)


@pytest.fixture(scope="module")
def archive(cluster, tmp_path_factory) -> Iterator[Archive]:
    """Jane's three images, and one that is compressed."""
    with (
        cluster.database() as urls,
        Archive(tmp_path_factory.mktemp("asked"), urls, HOSPITAL + DESTINATIONS) as running,
    ):
        running.register()
        running.store_all([*JANE, COMPRESSED])
        yield running


def port_of(archive: Archive) -> int:
    return archive.doors.dicom[1]


def without_pixels_last(dataset: Dataset) -> Dataset:
    dataset.decode()
    return dataset


def same_as_http(archive: Archive, came: dict[str, Dataset]) -> bool:
    """Each is what the HTTP door gives out of it; as values, whatever it is written in."""
    for sop_instance_uid, dataset in came.items():
        given = archive.given_out(sop_instance_uid)
        given.decode()
        dataset.decode()
        assert dataset == given
    return bool(came)


@dcmtk
@pytest.mark.parametrize(
    ("title", "options", "syntax"),
    [("PLAIN", (), EXPLICIT), ("IMPLICIT", ("+xi",), IMPLICIT)],
)
def test_movescu_and_storescp(
    archive: Archive, tmp_path: Path, title: str, options: tuple[str, ...], syntax: str
) -> None:
    """All that is native comes, as the peer takes it; the compressed one is named."""
    host, port = archive.doors.dicom
    command = ["movescu", "-v", "-S", "-aet", "CT_A", "-aec", "RECONCILE", "-aem", title]
    command += ["-k", "QueryRetrieveLevel=STUDY"]
    command += ["-k", f"StudyInstanceUID={JANE[0].StudyInstanceUID}", host, str(port)]
    with storescp(tmp_path / title, PORTS[title], title, *options) as folder:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        came = taken(folder)
    assert "Warning: SubOperationsCompleteOneOrMoreFailures" in done.stdout + done.stderr
    assert came.keys() == {str(image.SOPInstanceUID) for image in JANE}
    assert {each.file_meta.TransferSyntaxUID for each in came.values()} == {syntax}
    assert same_as_http(archive, came)


@dcmtk
def test_getscu(archive: Archive, tmp_path: Path) -> None:
    """Over one association, under the assigned identifier."""
    host, port = archive.doors.dicom
    command = ["getscu", "-v", "-P", "-aet", "CT_A", "-aec", "RECONCILE"]
    command += ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=E1"]
    command += ["-k", "IssuerOfPatientID=E", "-od", str(tmp_path), host, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    came = taken(tmp_path)
    assert {str(image.SOPInstanceUID) for image in JANE} <= came.keys(), done.stderr
    for each in came.values():
        assert (each.PatientID, each.IssuerOfPatientID) == ("100", "A")
