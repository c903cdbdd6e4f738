"""Import of folders as they are found: storage of others, media, whatever lies there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from reconcile.db import views_holds
from reconcile.db.embedded import Urls
from reconcile.db.views import Where
from reconcile.flows.importing import Became, Imported, ImportFlow, files_in
from reconcile.flows.media import MediaFlow
from tests.support.hospital import CT_A, JANE, RICHARD, Hospital, clock
from tests.support.instances import data_offset, instance, part10


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Hospital:
    """Jane and Richard, and no image."""
    found = Hospital.at(database_urls.writer, tmp_path / "instances")
    found.patient(JANE, "100^^^A")
    found.patient(RICHARD, "200^^^A")
    return found


def take(hospital: Hospital, *paths: Path, media: bool = False) -> list[Imported]:
    """What becomes of some folders, as the command imports them."""
    flow = ImportFlow(hospital.flow(), CT_A, "import/1")
    looking = MediaFlow(hospital.database, hospital.rules, clock, "CT_A", "CT_A/import/1")
    done = []
    for number, file in enumerate(files_in(paths, media=media), 1):
        done.append(flow.take(file.path, number, looked_at=file.medium is not None))
        if file.medium is not None:
            looking.saw(file.medium, done[-1])
    return done


def richards() -> Dataset:
    return instance(
        PatientID="200",
        PatientName="ROE^RICHARD",
        PatientBirthDate="19750506",
        PatientSex="M",
    )


def reviews(hospital: Hospital) -> list[views_holds.Hold]:
    """What is told of media."""
    with hospital.database.read_only() as connection:
        where = Where(100, "")
        found = views_holds.holds(connection, where, code="MULTI-PATIENT-MEDIA")
    return list(found.items)


def test_the_storage_folder_of_another_archive_is_taken_as_it_is(
    hospital: Hospital, tmp_path: Path
) -> None:
    """
    Nested folders of hexadecimal names, no extension, with preamble or without, with what
    its archive keeps beside images: every image is taken, whatever is not is named.
    """
    folder = tmp_path / "OrthancStorage"
    names = ("0a/f3/0af3c1de-9b1d", "0a/07/0a07aa11-4c2e", "ff/00/ff00bb22-77aa")
    files = [part10(instance()) for _ in names]
    files[1] = files[1][128 + 4 :]  # group 0002 without preamble and prefix
    files[2] = files[2][data_offset(files[2]) :]  # nothing but the data set
    for name, content in zip(names, files, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "0a/07/0a07aa11-json").write_text('{"00080018": "1.2.3"}')
    (folder / "index").write_bytes(b"SQLite format 3\0" + bytes(4096))
    (folder / "ff/00/broken").write_bytes(part10(instance())[:200])
    (folder / "ff/00/nothing").touch()

    became = {each.path.name: (each.became, each.why) for each in take(hospital, folder)}

    taken = {n.split("/")[-1] for n in names}
    assert {n for n, (b, _) in became.items() if b is Became.COERCED} == taken
    assert became["0a07aa11-json"] == (Became.PASSED_OVER, "no DICOM file")
    assert became["index"] == (Became.PASSED_OVER, "no DICOM file")
    assert became["nothing"] == (Became.REFUSED, "the file is empty")
    assert became["broken"][0] is Became.REFUSED
    again = take(hospital, folder)
    assert {e.path.name for e in again if e.became is Became.ALREADY} == taken


def test_links_and_what_is_no_file_are_named_and_stop_nothing(
    hospital: Hospital, tmp_path: Path
) -> None:
    """
    A link to a file is the file; one to a folder, to nothing or to itself is told, as are
    pipes and sockets, which are never waited for, and names in no character set.
    """
    folder, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "image").write_bytes(part10(instance()))
    (folder / "a-link").symlink_to(elsewhere / "image")
    (folder / "b-folder").symlink_to(elsewhere)
    (folder / "c-nothing").symlink_to(tmp_path / "gone")
    (folder / "d-itself").symlink_to(folder / "d-itself")
    os.mkfifo(folder / "e-pipe")
    (folder / "f-\udcff").write_bytes(part10(instance()))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "g-socket"))
        done = take(hospital, folder, tmp_path / "gone")

    assert [each.became for each in done] == [
        Became.COERCED,
        Became.PASSED_OVER,
        *[Became.REFUSED] * 3,
        Became.COERCED,
        Became.REFUSED,
        Became.REFUSED,
    ]
    assert done[1].why == "a link to a folder"
    assert done[4].why == "it is no file"


def test_a_folder_that_cannot_be_looked_into_is_named(
    hospital: Hospital, tmp_path: Path
) -> None:
    """
    Nobody thinks that all was taken when a part of the archive could not be seen.
    """
    (tmp_path / "archive" / "inner").mkdir(parents=True)
    (tmp_path / "archive" / "file").write_bytes(part10(instance()))
    found = files_in([tmp_path / "archive"])
    first = next(found)
    (tmp_path / "archive" / "inner").rmdir()  # a disk that goes away
    [inner] = found

    done = take(hospital, first.path, inner.path)
    assert [each.became for each in done] == [Became.COERCED, Became.REFUSED]
    assert done[1].why == "No such file or directory"


def burn(folder: Path, *images: Dataset) -> None:
    """A medium with a DICOMDIR."""
    medium = FileSet()
    for image in images:
        medium.add(image)
    medium.write(folder)


def test_a_medium_with_two_patients_is_flagged_once(
    hospital: Hospital, tmp_path: Path
) -> None:
    """
    One item for all of the disc, about the first image of each study; each study is
    decided by itself; the disc again, or the item closed, opens none.
    """
    jane, richard = instance(), richards()
    burn(tmp_path / "cd", jane, richard)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "image").write_bytes(part10(instance()))

    done = take(hospital, tmp_path / "cd", tmp_path / "other")

    assert [each.became for each in done].count(Became.COERCED) == 3
    [directory] = [e for e in done if e.became is Became.PASSED_OVER]
    assert directory.why == "the directory of a medium"
    [item] = reviews(hospital)
    assert (item.kind, item.source) == ("review", "CT_A")
    assert set(item.sop_instance_uids) == {jane.SOPInstanceUID, richard.SOPInstanceUID}
    take(hospital, tmp_path / "cd")
    assert reviews(hospital) == [item]


def test_folders_of_an_archive_are_no_medium(hospital: Hospital, tmp_path: Path) -> None:
    """
    Without a directory a folder may hold whom it likes, unless it is said to be a medium.
    """
    folder = tmp_path / "storage"
    folder.mkdir()
    for number, image in enumerate((instance(), richards())):
        (folder / str(number)).write_bytes(part10(image))

    take(hospital, folder)
    assert reviews(hospital) == []
    take(hospital, folder, media=True)
    assert len(reviews(hospital)) == 1
