"""PS3.4 Annexes B and GG: every SOP class of the composite IODs, and those unknown.

One instance of each goes through the DICOM door and comes back through the HTTP door.
`python -m tests.conformance.table` shows the same of a whole archive, as a table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileDataset

from reconcile.core.order import RequestedProcedure
from reconcile.dataset.iods import NON_PATIENT, SOP_CLASSES, name_of
from tests.support import dciodvfy
from tests.support.archive import Archive, Sent, Told, archive, sendable
from tests.support.compared import Compared, broken, compare, read
from tests.support.database import Cluster
from tests.support.hospital import CT_A, Hospital
from tests.support.instances import data_offset, instance, part10
from tests.support.iods_references import PATHS
from tests.support.iods_rich import CLASSES, PEOPLE, SOP_COMMON, Case, codes
from tests.support.staged import Stage, sent, stage, syntax_of

#: Of somebody's own; and one that a coming edition of PS3.4 may bring.
UNKNOWN = ("1.2.826.0.1.3680043.9.9999.1", "1.2.840.10008.5.1.4.1.1.999.1")
SENDERS = 4
#: Facts about the standard, where they lie beside the project; and what is never stored.
SHARED = Path(__file__).parents[3] / "shared" / "data" / "nested_refs.json"
NEVER_STORED = {"mpps", "ups", "retired-print", "media-directory"}
#: Of an IOD that is not in the table of SOP classes.
NO_CLASS = {"UVMappingSequence/ReferencedTextureSequence"}
#: As many begin without an error, at least, where dciodvfy is there.
FREE_MIN = 80


class Passed:
    """An instance that went through; `case` is None of an unknown class."""

    def __init__(self, doors: Archive, case: Case | None, file: bytes, told: Told):
        self.doors, self.case, self.file, self.told = doors, case, file, told

    @cached_property
    def came(self) -> FileDataset:
        return read(self.file)

    @cached_property
    def given(self) -> bytes:
        return self.doors.file(str(self.came.SOPInstanceUID))

    @cached_property
    def out(self) -> FileDataset:
        return read(self.given)

    def compared(self, named: dict[str, str]) -> Compared:
        renamed = dict(named)
        if self.case is not None and self.case.has_patient:
            renamed[self.case.received.study] = self.case.assigned_study
            renamed[self.case.received.series] = str(self.out.SeriesInstanceUID)
        return compare(self.came, self.out, renamed)


@pytest.fixture(scope="module")
def staged() -> Stage:
    return stage()


@pytest.fixture(scope="module")
def doors(
    cluster: Cluster, staged: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("classes")
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        order_all(hospital, staged)
        with archive(hospital, replace(CT_A, codes="deep")) as opened:
            yield opened
        hospital.database.close()


def order_all(hospital: Hospital, staged: Stage) -> None:
    for person in PEOPLE:
        ids = (f"{person.number}^^^A", f"{person.assigned}^^^E")
        assert hospital.patient(person.said, *ids).acknowledgement == "AA"
    for person, accession, rp_id, study_uid in staged.orders:
        ordered = RequestedProcedure(rp_id, study_instance_uid=study_uid)
        identifier = f"{person.number}^^^A"
        done = hospital.order(
            person.said, identifier, accession=accession, procedures=(ordered,)
        )
        assert done.acknowledgement == "AA"


@pytest.fixture(scope="module")
def passed(doors: Archive, staged: Stage) -> dict[str, Passed]:
    doors.send(*map(sendable, staged.first))
    files = [part10(case.dataset(syntax_of(case))) for case in staged.cases]
    files += [part10(instance(SOPClassUID=sop_class)) for sop_class in UNKNOWN]
    told = send_all(doors, list(map(sent, files)))
    cases = [*staged.cases, *(None for _ in UNKNOWN)]
    rows = zip([*CLASSES, *UNKNOWN], cases, files, told, strict=True)
    return {name: Passed(doors, case, file, said) for name, case, file, said in rows}


def send_all(doors: Archive, instances: list[Sent]) -> list[Told]:
    """In order, over several associations at once."""
    batches = [instances[first::SENDERS] for first in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as senders:
        told = list(senders.map(lambda batch: doors.send(*batch), batches))
    return [told[n % SENDERS][n // SENDERS] for n in range(len(instances))]


@pytest.fixture(scope="module")
def named(doors: Archive, passed: dict[str, Passed], staged: Stage) -> dict[str, str]:
    """What references name besides their own place: as received -> as assigned."""
    renamed = {}
    for image in staged.named.values():
        out = read(doors.file(str(image.SOPInstanceUID)))
        renamed[str(image.StudyInstanceUID)] = str(out.StudyInstanceUID)
        renamed[str(image.SeriesInstanceUID)] = str(out.SeriesInstanceUID)
    return renamed


def test_there_are_175() -> None:
    """166 with a patient, nine without."""
    assert (len(CLASSES), len(NON_PATIENT)) == (175, 9)
    assert set(UNKNOWN).isdisjoint(SOP_CLASSES)


def test_what_is_sent_asks_for_everything(passed: dict[str, Passed], staged: Stage) -> None:
    """Every SOP Common attribute, a third in another script, one code in three of SRT."""
    came = [each.came for each in passed.values()]
    assert {int(tag) for each in came for tag in each.keys()} >= SOP_COMMON  # noqa: SIM118
    assert sum(case.is_wide for case in staged.cases) >= len(CLASSES) / 3
    used = Counter(code.CodingSchemeDesignator for each in came for code in all_codes(each))
    assert used["SRT"] >= used.total() / 3


def all_codes(dataset: Dataset) -> list[Dataset]:
    return list(codes(dataset).values())


def test_no_place_of_a_reference_is_left_out() -> None:
    """Wherever a stored object may name a study, series or patient, one of them does."""
    filled = {path for paths in PATHS.values() for path in paths}
    assert len(filled) == 60
    if SHARED.is_file():
        entries = json.loads(SHARED.read_text())["entries"]
        wanted = {
            "/".join([*entry["path_keywords"], entry["attribute"]])
            for entry in entries
            if entry["class"] not in NEVER_STORED
            and "/".join(entry["path_keywords"]) not in NO_CLASS
        }
        assert wanted - filled == set()


@pytest.mark.parametrize("sop_class", [*CLASSES, *UNKNOWN], ids=name_of)
def test_the_status_says_whether_it_was_coerced(
    passed: dict[str, Passed], sop_class: str
) -> None:
    """B000 where it has a patient or an old code, else 0000 (PS3.4 B.4.1.3, GG)."""
    told = passed[sop_class].told
    old = any(
        code.CodingSchemeDesignator == "SRT" for code in all_codes(passed[sop_class].came)
    )
    coerced = sop_class not in NON_PATIENT or old
    assert told.status == (0xB000 if coerced else 0x0000), told
    assert bool(told.comment) == coerced


@pytest.mark.parametrize("sop_class", [*CLASSES, *UNKNOWN], ids=name_of)
def test_what_was_received_can_be_had_back_bit_for_bit(
    doors: Archive, passed: dict[str, Passed], sop_class: str
) -> None:
    """Whatever the class and the transfer syntax."""
    row = passed[sop_class]
    data = row.file[data_offset(row.file) :]
    assert doors.received(str(row.came.SOPInstanceUID)) == data


@pytest.mark.parametrize("sop_class", sorted(NON_PATIENT), ids=name_of)
def test_what_has_neither_patient_nor_old_codes_goes_out_untouched(
    passed: dict[str, Passed], sop_class: str
) -> None:
    """Byte for byte: PS3.4 Annex GG knows no coercion of patient or study."""
    row = passed[sop_class]
    if row.told.status == 0x0000:
        assert row.given[data_offset(row.given) :] == row.file[data_offset(row.file) :]
    assert row.out.file_meta.MediaStorageSOPClassUID == sop_class


@pytest.mark.parametrize("sop_class", CLASSES, ids=name_of)
def test_the_laws_hold_of_what_goes_out(
    passed: dict[str, Passed], named: dict[str, str], sop_class: str
) -> None:
    """Identity changes, references and codes with it, bulk data never; all is explained."""
    row = passed[sop_class]
    assert row.case is not None
    assert broken(row.case, row.came, row.out, row.compared(named)) == []


@pytest.mark.parametrize("sop_class", UNKNOWN)
def test_unknown_classes_go_out_under_the_archives_identity(
    passed: dict[str, Passed], sop_class: str
) -> None:
    """What has a Study UID has a patient; and nothing that changes is untold."""
    row = passed[sop_class]
    assert (row.out.PatientID, row.out.IssuerOfPatientID) == ("E100", "E")
    assert row.compared({}).unexplained == frozenset()


@pytest.mark.parametrize(
    "sop_class", sorted({*CLASSES, *UNKNOWN} - NON_PATIENT), ids=name_of
)
def test_one_item_says_what_there_was_before(
    passed: dict[str, Passed], sop_class: str
) -> None:
    """PS3.3 Table C.12.1.1.9-1, with (0008,0015) beside it."""
    row = passed[sop_class]
    theirs = len(getattr(row.came, "OriginalAttributesSequence", ()))
    [item] = row.out.OriginalAttributesSequence[theirs:]
    assert item.AttributeModificationDateTime == row.out.InstanceCoercionDateTime
    assert str(item.AttributeModificationDateTime)[-5] in "+-"
    assert item.ModifyingSystem == "RECONCILE"
    assert item.SourceOfPreviousValues == "CT_A"
    assert item.ReasonForTheAttributeModification == "COERCE"
    [before] = item.ModifiedAttributesSequence
    assert before.PatientID == row.came.PatientID
    assert before.IssuerOfPatientID in ("", None)
    others = [(i.PatientID, i.IssuerOfPatientID) for i in row.out.OtherPatientIDsSequence]
    assert (row.came.PatientID, "A") in others


@pytest.mark.skipif(not dciodvfy.IS_INSTALLED, reason="dicom3tools are not installed")
def test_dciodvfy_finds_no_error_that_was_not_there_before(
    passed: dict[str, Passed], tmp_path: Path
) -> None:
    """What was a valid instance of its IOD still is one."""
    files = [file for row in passed.values() for file in (row.file, row.given)]
    with ThreadPoolExecutor(SENDERS) as checkers:
        found = list(checkers.map(lambda file: dciodvfy.errors(file, tmp_path), files))
    pairs = zip(passed, found[::2], found[1::2], strict=True)
    known = [(name_of(n), a, b) for n, a, b in pairs if a is not None and b is not None]
    assert [(name, b - a) for name, a, b in known if b - a] == []
    assert sum(not before for _, before, _ in known) >= FREE_MIN
