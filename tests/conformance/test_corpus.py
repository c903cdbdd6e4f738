"""Every file of the corpora that are here, the broken ones too, against the DICOM door.

None of them may do more than be stored or refused, and what is given out of all of them
is known when it comes back. `corpus.py` prints what became of each.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from random import Random
from string import ascii_letters
from typing import Any, NamedTuple

import pytest
from pynetdicom.ae import ApplicationEntity
from sqlalchemy import func, select

from reconcile.dataset.iods import SOP_CLASSES
from reconcile.dataset.part10 import split
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.dicom.status import statuses
from reconcile.flows.check import CheckFlow
from reconcile.flows.doctor import Doctor
from tests.conformance.corpus import STORED, Doors, digest, files, given
from tests.support.archive import Archive, Sent, Told, archive, sendable
from tests.support.database import Cluster
from tests.support.hospital import Hospital, clock
from tests.support.instances import instance, uid
from tests.support.iods import instance_of
from tests.support.kept import digests, extract, locations
from tests.support.transcoded import NATIVE as SYNTAXES

FILES = files()

#: What comes with the files and is none of them.
NO_INSTANCES = {
    *("README", "README.md", "README.txt", "FileInfo.txt", "crayons.icc", "zipMR.gz"),
    *("__init__.py", "data_manager.py", "download.py", "retry.py"),
    *("hashes.json", "urls.json", "test1.json", "test_PN.json"),
    *("rtplan.dump", "rtstruct.dump", "no_meta.dcm"),
}
WITHOUT_UIDS = (
    *("DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-empty.dcm", "DICOMDIR-implicit"),
    *("DICOMDIR-nooffset", "DICOMDIR-nopatient", "DICOMDIR-reordered"),
    *("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm"),
    *("SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm"),
    *("UN_sequence.dcm", "nested_priv_SQ.dcm", "priv_SQ.dcm"),
    *("chrSQEncoding.dcm", "chrSQEncoding1.dcm", "empty_charset_LEI.dcm"),
    *("meta_missing_tsyntax.dcm", "no_meta_group_length.dcm"),
)
#: Data sets that are refused, and what they are told.
REFUSED = {
    "rtplan_truncated.dcm": 0xC000,
    "bad_sequence.dcm": 0xC002,  # of pydicom-data; its SOP Instance UID is none
    **dict.fromkeys(WITHOUT_UIDS, 0xC001),
}


class Case(NamedTuple):
    """A file, what was sent of it, and what was said."""

    name: str
    sent: Sent
    told: Told


SOAK = bool(os.environ.get("RECONCILE_SOAK"))


@pytest.fixture(scope="module")
def doors(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("corpus")
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        with archive(hospital) as opened:
            yield opened
        hospital.database.close()


@pytest.fixture(scope="module")
def cases(doors: Archive) -> list[Case]:
    """Everything, in one go."""
    found = [(file.name, file.sent) for file in FILES if file.sent is not None]
    told = doors.send(*(sent for _, sent in found))
    return [Case(*named, answer) for named, answer in zip(found, told, strict=True)]


@pytest.fixture(scope="module")
def stored(cases: list[Case]) -> list[Case]:
    return [case for case in cases if case.told.status in STORED]


def test_nothing_is_left_out_silently(cases: list[Case]) -> None:
    """What is not sent is no data set, and stands in the list."""
    sent = {case.name for case in cases}
    assert {file.name for file in FILES} - sent == NO_INSTANCES
    assert len(cases) >= 190
    assert {"pydicom", "mr", "pydicom-data"} >= {file.corpus for file in FILES}


def test_each_is_stored_or_refused_with_a_status_of_the_table(cases: list[Case]) -> None:
    """And who is refused is known by name."""
    known = {row.code for row in statuses()}
    assert {case.told.status for case in cases} <= known
    refused = {
        case.name: case.told.status for case in cases if case.told.status not in STORED
    }
    known_names = {file.name for file in FILES}
    assert refused == {name: code for name, code in REFUSED.items() if name in known_names}


def test_the_door_lives(doors: Archive, cases: list[Case]) -> None:
    """After all of them it echoes, and stores."""
    ae = ApplicationEntity("CT_A")
    ae.add_requested_context("1.2.840.10008.1.1")
    association = ae.associate("127.0.0.1", doors.dicom, ae_title="RECONCILE")
    assert association.send_c_echo().Status == 0x0000
    association.release()
    [told] = doors.send(sendable(instance(PatientID="after")))
    assert told.status in STORED


def test_each_is_kept_bit_for_bit(doors: Archive, stored: list[Case]) -> None:
    """Under its digest; and HTTP gives back what is current of an instance."""
    storage = {each.digest: each for each in locations(doors.hospital.storage)}
    by_uid: dict[str, set[bytes]] = {}
    for case in stored:
        by_uid.setdefault(case.sent.sop_instance_uid, set()).add(case.sent.data)
        location = storage[digest(case.sent)]
        kept = extract(doors.hospital.storage, location, len(case.sent.data))
        assert kept == case.sent.data, case.name
    for sop_instance, sent in by_uid.items():
        assert doors.received(sop_instance) in sent


def test_each_can_be_given_out(doors: Archive, stored: list[Case]) -> None:
    """As a file that says the transfer syntax it came in."""
    for case in stored:
        file = doors.file(case.sent.sop_instance_uid)
        assert split(file).data_set_offset < len(file)


def test_nothing_is_half_stored(doors: Archive, stored: list[Case]) -> None:
    """No file without a row, no row without a file, nothing left in the spool."""
    hospital = doors.hospital
    assert not hospital.storage.spooled()
    assert {digest(case.sent) for case in stored} <= set(digests(hospital.storage))
    findings = list(Doctor(hospital.database, hospital.storage, clock).findings())
    assert findings == []


def test_all_of_it_again_adds_no_event(doors: Archive, stored: list[Case]) -> None:
    """The same bytes are already stored, and answered as at first."""
    before = state(doors)
    told = doors.send(*(case.sent for case in stored))
    changed = {
        case.name: (case.told, answer)
        for case, answer in zip(stored, told, strict=True)
        if case.told.status != answer.status
    }
    assert changed == {}
    assert state(doors) == before


def test_all_that_is_given_out_is_known_when_it_comes_back(
    doors: Archive, stored: list[Case]
) -> None:
    """An archive that is filled from itself gains receipts and nothing else."""
    came_back(doors, dict.fromkeys(case.sent.sop_instance_uid for case in stored))


def test_each_class_is_known_when_it_comes_back(doors: Archive) -> None:
    """One instance of SOP classes, in four transfer syntaxes; of all in the soak."""
    sent = [
        sendable(instance_of(sop_class, SYNTAXES[number % len(SYNTAXES)]))
        for number, sop_class in enumerate(sorted(SOP_CLASSES)[:: 1 if SOAK else 5])
    ]
    assert {told.status for told in doors.send(*sent)} <= STORED
    came_back(doors, [each.sop_instance_uid for each in sent])


def came_back(doors: Archive, uids: Iterable[str]) -> None:
    """Everything is sent as who retrieved it would send it."""
    before = state(doors)
    exported = list(given(Doors(doors.dicom, doors.http), uids))
    told = doors.send(*exported)
    assert {answer.status for answer in told} == {0x0000}
    assert state(doors) == before


def test_the_checker_agrees(doors: Archive, stored: list[Case]) -> None:
    """Received, given out and events of each instance explain each other."""
    flow = CheckFlow(doors.hospital.database, doors.hospital.storage)
    wrong = {
        each.sop_instance_uid: each.findings for each in flow.instances() if not each.ok
    }
    assert wrong == {}


def state(doors: Archive) -> tuple[int, ...]:
    """How many there are of everything that the same content must not add to."""
    tables = (
        h.coercion_event,
        h.happening,
        t.hold,
        t.person,
        t.study,
        t.series,
        t.instance,
    )
    with doors.hospital.database.read_only() as connection:
        queries = (select(func.count()).select_from(table) for table in tables)
        return tuple(connection.execute(query).scalar_one() for query in queries)


#: Long, and of no pattern that an index could compress.
LONG = "".join(Random(7).choices(ascii_letters, k=5000))
ODD: dict[str, dict[str, Any]] = {
    "NUL in an ID": {"PatientID": "A\0B"},
    "NUL as padding": {"PatientID": "NEW\0"},
    "NUL in a name": {"PatientID": "100", "PatientName": "A\0B^C"},
    "NUL in an accession": {"AccessionNumber": "A\0B"},
    "NUL in an issuer": {"IssuerOfPatientID": "A\0B"},
    "NUL in a date": {"PatientBirthDate": "1980\0\0102"},
    "NUL in a code string": {"PatientSex": "F\0M", "Modality": "C\0T"},
    "control characters": {"PatientID": "\x01\x02", "PatientName": "A\x1b$B\x01"},
    "a long ID": {"PatientID": LONG},
    "a long name": {"PatientName": LONG * 20},
    "a long issuer": {"IssuerOfPatientID": LONG},
    "a long accession": {"AccessionNumber": LONG},
    "a long date": {"PatientBirthDate": LONG},
    "no date": {"PatientBirthDate": "99999999", "StudyDate": "2026-13-45"},
    "many values": {"PatientID": "a\\b\\c", "PatientName": "A\\B"},
    "an unknown character set": {"SpecificCharacterSet": "NONSENSE"},
    "a UID with a leading zero": {"StudyInstanceUID": "1.02.3"},
}


@pytest.mark.parametrize("values", [ODD["NUL in an ID"], ODD["NUL in an issuer"]])
def test_an_id_or_issuer_that_cannot_be_read_is_nobodys(
    doors: Archive, values: dict[str, Any]
) -> None:
    """Also where the source has a domain of its own: it is held, not guessed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sent = sendable(instance(**values))
    [told] = doors.send(sent)
    assert told.comment.startswith("held: CHARSET")


@pytest.mark.parametrize("title", ["CT_A", "IMPORT_CD"])
@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
def test_no_value_of_an_attribute_makes_storing_fail(
    doors: Archive, values: dict[str, Any], title: str
) -> None:
    """It is stored, held where need be, and given out: never refused as "try later"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sent = sendable(instance(**{"PatientID": uid()[-20:], **values}))
    [told] = doors.send(sent, title=title)
    assert told.status in STORED, told
    assert doors.received(sent.sop_instance_uid) == sent.data
    assert split(doors.file(sent.sop_instance_uid)).data_set_offset
