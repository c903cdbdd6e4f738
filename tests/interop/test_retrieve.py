"""Retrieve by the programs of others: what comes is what the HTTP door gives out."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, RLELossless
from pynetdicom.association import Association

from tests.support.instances import CT, instance, uid, with_meta
from tests.support.messages import adt, joined
from tests.support.retrieving import (
    EXPLICIT,
    IMPLICIT,
    PATIENT_GET,
    PATIENT_MOVE,
    STUDY_MOVE,
    free_port,
    get,
    move,
    storescp,
    taken,
    taker,
)
from tests.support.running import HOSPITAL, Archive, code
from tests.support.transcoded import transcoded

NONE: dict[str, Any] = {}
SOME: dict[str, Any] = {"StudyInstanceUID": "1.2.3"}
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


def with_loss(**attributes: Any) -> Dataset:
    """What nobody can undo."""
    dataset = with_meta(instance(**attributes), JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


JANE = series()
COMPRESSED = with_loss(
    StudyInstanceUID=JANE[0].StudyInstanceUID,
    SeriesInstanceUID=JANE[0].SeriesInstanceUID,
)
NATIVE = instance(StudyInstanceUID=uid())
LOSSLESS = transcoded(NATIVE, RLELossless)


@pytest.fixture(scope="module")
def archive(cluster, tmp_path_factory) -> Iterator[Archive]:
    """Jane's three images, and one that is compressed."""
    with (
        cluster.database() as urls,
        Archive(tmp_path_factory.mktemp("asked"), urls, HOSPITAL + DESTINATIONS) as running,
    ):
        running.register()
        running.store_all([*JANE, COMPRESSED, LOSSLESS])
        yield running


def port_of(archive: Archive) -> int:
    return archive.doors.dicom[1]


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


def test_what_a_get_is_told(archive: Archive) -> None:
    """Pending counts go down to nothing; failed is what the peer does not take, by UID."""
    study = str(JANE[0].StudyInstanceUID)
    asked, came = get(
        port_of(archive),
        [(CT, EXPLICIT)],
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=study,
    )
    assert asked.status == 0xB000
    assert asked.counts == (3, 1, 0)
    assert asked.failed == [str(COMPRESSED.SOPInstanceUID)]
    pending = [each for each in asked.responses if each.Status == 0xFF00]
    assert [each.NumberOfRemainingSuboperations for each in pending] == [3, 2, 1, 0]
    assert "NumberOfRemainingSuboperations" not in asked.responses[-1]
    assert str(asked.responses[-1].ErrorComment).startswith(
        "stored as 1.2.840.10008.1.2.4.50"
    )
    # nobody but its own domain's modality asks: the patient is shown as known there
    assert {(each.PatientID, each.IssuerOfPatientID) for each in came} == {("100", "A")}


def test_each_context_is_answered_in_its_own_transfer_syntax(archive: Archive) -> None:
    """As stored where the peer takes that, with a context for it."""
    asked, came = get(
        port_of(archive),
        [(CT, IMPLICIT), (CT, str(JPEGBaseline8Bit))],
        QueryRetrieveLevel="SERIES",
        StudyInstanceUID=str(JANE[0].StudyInstanceUID),
        SeriesInstanceUID=str(JANE[0].SeriesInstanceUID),
    )
    assert (asked.status, asked.counts) == (0x0000, (4, 0, 0))
    syntaxes = sorted(str(each.file_meta.TransferSyntaxUID) for each in came)
    assert syntaxes == [IMPLICIT] * 3 + [str(JPEGBaseline8Bit)]


def test_compression_without_loss_is_undone_for_who_takes_no_other(
    archive: Archive,
) -> None:
    """In a process of its own; the pixels are those that were compressed."""
    asked, [came] = get(
        port_of(archive),
        [(CT, IMPLICIT)],
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=str(NATIVE.StudyInstanceUID),
    )
    assert (asked.status, asked.counts) == (0x0000, (1, 0, 0))
    assert came.file_meta.TransferSyntaxUID == IMPLICIT
    assert came.PixelData == NATIVE.PixelData


def test_a_peer_that_answers_with_a_warning_or_a_failure(archive: Archive) -> None:
    """Warnings are counted apart; where nothing succeeds the answer is A702."""
    keys: dict[str, Any] = {
        "QueryRetrieveLevel": "IMAGE",
        "SOPInstanceUID": str(JANE[0].SOPInstanceUID),
    }
    asked, _ = get(port_of(archive), [(CT, EXPLICIT)], status=0xB007, **keys)
    assert (asked.status, asked.counts, asked.failed) == (0xB000, (0, 0, 1), [])
    asked, _ = get(port_of(archive), [(CT, EXPLICIT)], status=0xA700, **keys)
    assert (asked.status, asked.counts) == (0xA702, (0, 1, 0))
    assert asked.failed == [str(JANE[0].SOPInstanceUID)]
    asked, came = get(port_of(archive), [(SR, EXPLICIT)], **keys)
    assert (asked.status, came) == (0xA702, [])


def test_an_image_level_takes_a_list_of_uids(archive: Archive) -> None:
    """With or without the study and the series that they are of; nothing else comes."""
    wanted = [str(image.SOPInstanceUID) for image in JANE[:2]]
    for more in (NONE, {"StudyInstanceUID": str(JANE[0].StudyInstanceUID)}):
        asked, came = get(
            port_of(archive),
            [(CT, EXPLICIT)],
            QueryRetrieveLevel="IMAGE",
            SOPInstanceUID=[*wanted, uid()],
            **more,
        )
        assert (asked.status, asked.counts) == (0x0000, (2, 0, 0))
        assert {str(each.SOPInstanceUID) for each in came} == set(wanted)


def test_received_assigned_and_subsumed_give_the_same(archive: Archive) -> None:
    """Through each service, before and after an A40, under what it has become."""
    images = series(PatientID="610", PatientName="LEE^KIM", PatientBirthDate="19700101")
    who = ("LEE^KIM", "19700101", "F")
    assert code(archive.send(adt("A28", "610^^^A~E61^^^E", *who))) == "AA"
    archive.store_all(images)
    all_of = {str(image.SOPInstanceUID) for image in images}
    port, patient = port_of(archive), {"QueryRetrieveLevel": "PATIENT"}
    known = [("610", "A"), ("E61", "E")]
    with taker(PORTS["TAKER"], "TAKER", {CT: [EXPLICIT]}) as peer:
        for last in ("E61", "E62"):
            for patient_id, issuer in known:
                keys: dict[str, Any] = {
                    **patient,
                    "PatientID": patient_id,
                    "IssuerOfPatientID": issuer,
                }
                peer.datasets.clear()
                moved = move(port, "TAKER", PATIENT_MOVE, **keys)
                got, came = get(port, [(CT, EXPLICIT)], PATIENT_GET, "IMPORT_CD", **keys)
                assert (moved.status, got.status) == (0x0000, 0x0000)
                for given in (peer.datasets, came):
                    assert {str(each.SOPInstanceUID) for each in given} == all_of
                    # neither knows the patient in a domain of its own
                    assert {each.PatientID for each in given} == {last}
                    assert same_as_http(archive, {str(e.SOPInstanceUID): e for e in given})
            if last == "E61":
                archive.send(adt("A28", "620^^^A~E62^^^E", *who))
                merged = joined("A40", "620^^^A~E62^^^E", "610^^^A", *who)
                assert code(archive.send(merged)) == "AA"
                known += [("620", "A"), ("E62", "E")]
        assert set(peer.originators) == {("CT_A", 7)}


def test_the_destination_sees_the_patient_in_its_domain(archive: Archive) -> None:
    """100 of B for the taker of B, E3 for others; Original Attributes are the same."""
    anna = instance(PatientName="MEIER^ANNA", PatientBirthDate="19900304")
    archive.store(anna, "MR_B")
    keys: dict[str, Any] = {
        "QueryRetrieveLevel": "STUDY",
        "StudyInstanceUID": str(anna.StudyInstanceUID),
    }
    with taker(PORTS["TAKER"], "TAKER", {CT: [EXPLICIT]}) as peer:
        assert move(port_of(archive), "TAKER", **keys).status == 0x0000
    [shown] = peer.datasets
    given = archive.given_out(str(anna.SOPInstanceUID))
    assert (given.PatientID, shown.PatientID) == ("E3", "100")
    assert (shown.IssuerOfPatientID, shown.OtherPatientIDsSequence[0].PatientID) == (
        "B",
        "E3",
    )
    assert shown.OriginalAttributesSequence == given.OriginalAttributesSequence
    assert shown.PixelData == anna.PixelData


def test_cancel(archive: Archive) -> None:
    """FE00 after what was on its way, with what remains; the association goes on."""

    def cancel(event: Any) -> None:
        event.assoc.send_c_cancel(9, query_model="1.2.840.10008.5.1.4.1.2.2.3")

    asked, came = get(
        port_of(archive),
        [(CT, EXPLICIT)],
        on_store=cancel,
        QueryRetrieveLevel="SERIES",
        StudyInstanceUID=str(JANE[0].StudyInstanceUID),
        SeriesInstanceUID=str(JANE[0].SeriesInstanceUID),
    )
    assert asked.status == 0xFE00
    last = asked.responses[-1]
    assert 1 <= len(came) <= 3
    assert last.NumberOfRemainingSuboperations == 4 - sum(asked.counts)


def test_cancel_of_a_move(archive: Archive) -> None:
    """The same; the destination's association is released."""
    same = {"StudyInstanceUID": uid(), "SeriesInstanceUID": uid()}
    images = [instance(InstanceNumber=n, **same) for n in range(1, 16)]
    archive.store_all(images)
    cancelled = Event()

    def cancel(association: Association) -> None:
        association.send_c_cancel(7, query_model=STUDY_MOVE)
        cancelled.set()

    with taker(PORTS["TAKER"], "TAKER", {CT: [EXPLICIT]}) as peer:
        peer.on_store = lambda _: not peer.datasets or cancelled.wait(10)
        keys: dict[str, Any] = {"QueryRetrieveLevel": "STUDY"}
        keys["StudyInstanceUID"] = same["StudyInstanceUID"]
        asked = move(port_of(archive), "TAKER", then=cancel, **keys)
    last = asked.responses[-1]
    assert asked.status == 0xFE00
    assert last.NumberOfRemainingSuboperations == 15 - sum(asked.counts)
    assert len(peer.datasets) == asked.counts[0]


def test_a_destination_that_is_down(archive: Archive) -> None:
    """A702, with every instance named; then it is up, and takes them."""
    keys: dict[str, Any] = {
        "QueryRetrieveLevel": "IMAGE",
        "SOPInstanceUID": [str(image.SOPInstanceUID) for image in JANE],
    }
    asked = move(port_of(archive), "DOWN", **keys)
    assert (asked.status, asked.counts) == (0xA702, (0, 3, 0))
    assert set(asked.failed) == {str(image.SOPInstanceUID) for image in JANE}
    assert asked.responses[-1].ErrorComment == "the destination cannot be reached"
    with taker(PORTS["DOWN"], "DOWN", {CT: [EXPLICIT]}) as peer:
        assert move(port_of(archive), "DOWN", **keys).status == 0x0000
    assert len(peer.datasets) == 3


def test_a_destination_that_breaks_off_is_asked_again(archive: Archive) -> None:
    """What was on its way has failed; the others go over another association."""
    broken: list[int] = []

    def break_off(event: Any) -> None:
        if not broken:
            broken.append(1)
            event.assoc.abort()

    keys: dict[str, Any] = {
        "QueryRetrieveLevel": "IMAGE",
        "SOPInstanceUID": [str(image.SOPInstanceUID) for image in JANE],
    }
    with taker(PORTS["TAKER"], "TAKER", {CT: [EXPLICIT]}) as peer:
        peer.on_store = break_off
        asked = move(port_of(archive), "TAKER", **keys)
    assert (asked.status, asked.counts) == (0xB000, (2, 1, 0))
    assert len(peer.associations) == 2


@pytest.mark.parametrize(
    ("title", "to", "keys", "status"),
    [
        ("DEAF", "TAKER", {"QueryRetrieveLevel": "STUDY", **SOME}, 0x0124),
        ("CT_A", "NOBODY", {"QueryRetrieveLevel": "STUDY", **SOME}, 0xA801),
        ("CT_A", "TAKER", {"QueryRetrieveLevel": "PATIENT", "PatientID": "1"}, 0xA900),
        ("CT_A", "TAKER", {"QueryRetrieveLevel": "STUDY", "PatientID": "100"}, 0xA900),
        ("CT_A", "TAKER", SOME, 0xA900),
        ("CT_A", "TAKER", {"QueryRetrieveLevel": "STUDY", **SOME}, 0x0000),
    ],
)
def test_what_is_no_retrieve_is_refused(
    archive: Archive, title: str, to: str, keys: dict[str, Any], status: int
) -> None:
    """Each with its own status; where nothing matches there is nothing to be done."""
    asked = move(port_of(archive), to, title=title, **keys)
    assert ([each.Status for each in asked.responses], asked.failed) == ([status], [])
    assert asked.counts == (0, 0, 0)


def test_roles_are_for_who_may_query(archive: Archive) -> None:
    """Who may not query is given nothing; a destination is, and stores nothing."""
    asked, came = get(
        port_of(archive),
        [(CT, EXPLICIT)],
        title="DEAF",
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=str(JANE[0].StudyInstanceUID),
    )
    assert (asked.status, came) == (0x0124, [])
    asked, came = get(
        port_of(archive),
        [(CT, EXPLICIT)],
        title="PLAIN",
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=str(JANE[0].StudyInstanceUID),
    )
    assert (asked.status, len(came)) == (0xB000, 3)
