"""Every file that pydicom brings, the broken ones too, against the DICOM door.

None of them may do more than be stored or refused.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from string import ascii_letters
from typing import Any, NamedTuple

import pytest
from pydicom import dcmread
from pynetdicom.ae import ApplicationEntity
from sqlalchemy import func, select

from reconcile.dataset.part10 import split
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.dicom.status import statuses
from reconcile.errors import CannotUnderstand
from reconcile.flows.doctor import Doctor
from tests.support.archive import Archive, Sent, Told, archive, sendable
from tests.support.database import Cluster
from tests.support.hospital import Hospital, clock
from tests.support.instances import instance, uid
from tests.unit.dataset.made import bundled

FILES = [path for path in bundled() if path.suffix != ".pyc"]
STORED = {0x0000, 0xB000}
SR = "1.2.840.10008.5.1.4.1.1.88.33"

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
    **dict.fromkeys(WITHOUT_UIDS, 0xC001),
}


class Case(NamedTuple):
    """A file, what was sent of it, and what was said."""

    name: str
    sent: Sent
    told: Told


def announced(path: Path) -> Sent | None:
    """The file as a C-STORE; None: it holds no data set.

    What names no class or instance is announced as something, and will be refused.
    """
    whole = path.read_bytes()
    try:
        taken = split(whole)
    except CannotUnderstand:
        return None
    sop_class, sop_instance = _uids(path)
    return Sent(
        sop_class or SR,
        sop_instance or uid(),
        taken.transfer_syntax,
        whole[taken.data_set_offset :],
    )


def _uids(path: Path) -> tuple[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = dcmread(
                path, force=True, specific_tags=["SOPClassUID", "SOPInstanceUID"]
            )
            return str(found.get("SOPClassUID", "")), str(found.get("SOPInstanceUID", ""))
        except Exception:  # noqa: BLE001 - what pydicom cannot read is sent as well
            return "", ""


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
    found = [(path.name, sent) for path in FILES if (sent := announced(path)) is not None]
    told = doors.send(*(sent for _, sent in found))
    return [Case(*named, answer) for named, answer in zip(found, told, strict=True)]


@pytest.fixture(scope="module")
def stored(cases: list[Case]) -> list[Case]:
    return [case for case in cases if case.told.status in STORED]


def digest(sent: Sent) -> str:
    return hashlib.sha256(sent.data).hexdigest()


def test_nothing_is_left_out_silently(cases: list[Case]) -> None:
    """What is not sent is no data set, and stands in the list."""
    sent = {case.name for case in cases}
    assert {path.name for path in FILES} - sent == NO_INSTANCES
    assert len(cases) >= 190


def test_each_is_stored_or_refused_with_a_status_of_the_table(cases: list[Case]) -> None:
    """And who is refused is known by name."""
    known = {row.code for row in statuses()}
    assert {case.told.status for case in cases} <= known
    refused = {
        case.name: case.told.status for case in cases if case.told.status not in STORED
    }
    assert refused == REFUSED


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
    storage = doors.hospital.storage
    by_uid: dict[str, set[bytes]] = {}
    for case in stored:
        by_uid.setdefault(case.sent.sop_instance_uid, set()).add(case.sent.data)
        kept = storage.path(digest(case.sent)).read_bytes()
        assert kept.endswith(case.sent.data), case.name
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
    assert {digest(case.sent) for case in stored} <= set(hospital.storage.digests())
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


def state(doors: Archive) -> tuple[int, ...]:
    """How many there are of everything that the same bytes must not add to."""
    tables = (h.coercion_event, h.happening, t.person, t.study, t.series, t.instance)
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
