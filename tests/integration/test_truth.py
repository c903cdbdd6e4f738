"""A migration whose list says which patient and which order each study is of."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner, Result

from reconcile.cli.main import app
from reconcile.core.identity import PersonName
from reconcile.db.embedded import Urls
from tests.support.hospital import CT_A, JANE, RICHARD, Hospital
from tests.support.instances import instance, part10, uid

CONFIG = """
[[domain]]
name = "A"
universal_id = "1.2.3.1"
universal_id_type = "ISO"
[[domain]]
name = "B"
[[source]]
ae_title = "OLD_PACS"
[[feed]]
application = "OLD_MPI"
authority = ["A"]
accession_issuer = "A"
"""
HEAD = "study_instance_uid;patient_id;domain;accession_number\n"
CONTRADICTS = {
    "PatientName": "ELSE^SOMEBODY",
    "PatientBirthDate": "19410203",
    "PatientSex": "M",
}


@pytest.fixture
def hospital(
    database_urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Hospital:
    """Jane and Richard are known; the environment points to their archive."""
    (tmp_path / "reconcile.toml").write_text(CONFIG)
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", database_urls.reader)
    found = Hospital.at(database_urls.writer, tmp_path / "instances")
    found.patient(JANE, "100^^^A")
    found.patient(RICHARD, "200^^^A")
    return found


class Migration:
    """The old archive's folder, and its list."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.list = folder / "old", folder / "truth.csv"
        self.folder.mkdir()
        self.list.write_text(HEAD)

    def has(self, image: Dataset, *said: str) -> Dataset:
        """An image of the old archive, with what the list says of its study."""
        (self.folder / str(image.SOPInstanceUID)).write_bytes(part10(image))
        if said:
            self.says(str(image.StudyInstanceUID), *said)
        return image

    def says(self, *said: str) -> None:
        row = ";".join([*said, "", "", ""][:4])
        self.list.write_text(f"{self.list.read_text()}{row}\n")

    def imported(self, *options: str, code: int = 0) -> Result:
        source = ("--source", "OLD_PACS", "--truth", str(self.list))
        return run("import", self.folder, *source, *options, code=code)


@pytest.fixture
def migration(tmp_path: Path, hospital: Hospital) -> Migration:
    return Migration(tmp_path)


def run(*arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done


def rows(*arguments: object, code: int = 0) -> list[Any]:
    told = run(*arguments, "--json", code=code).stdout
    return [json.loads(line) for line in told.splitlines()]


def given(image: Dataset) -> Dataset:
    """An image as it is given out."""
    out = run("instance", "get", image.SOPInstanceUID).stdout_bytes
    return pydicom.dcmread(BytesIO(out))


def explained(image: Dataset) -> Any:
    [found] = rows("study", "explain", image.StudyInstanceUID)
    return found


def assigned(identifier: str) -> str:
    """The archive's own ID of a patient."""
    [person] = rows("patient", "show", identifier)
    [own] = [each["id"] for each in person["identifiers"] if each["issuer"] == "E"]
    return str(own)


def codes(image: Dataset) -> dict[str, str]:
    """What is open for its study: kinds by code."""
    return {item["code"]: item["kind"] for item in explained(image)["open_items"]}


def test_the_list_decides_whose_a_study_is_and_the_gate_only_reports(
    migration: Migration,
) -> None:
    """
    Whatever the header says, and without an issuer in it: the study is the listed
    patient's; what contradicts is a review; rule and evidence name the list.
    """
    image = migration.has(instance(PatientID="100", **CONTRADICTS), "200", "A")

    assert "1 coerced" in migration.imported().stdout

    shown = given(image)
    assert (shown.PatientID, shown.PatientName) == (assigned("200^^^A"), "ROE^RICHARD")
    assert codes(image) == {"DEMOGRAPHIC-CONFLICT": "review"}
    [event] = rows("audit", "list", "--study", image.StudyInstanceUID)
    assert (event["rule"], event["cause"]) == ("migration-list@1", "import")
    [decision] = explained(image)["decisions"]
    assert decision["rung"] == "M+G:CONFLICT"
    assert "the migration list names it" in " ".join(decision["sentences"])
    assert "the migration list names it" in [e["found"] for e in decision["evidence"]]


def test_a_header_that_names_another_patient_is_told_and_not_followed(
    migration: Migration, hospital: Hospital
) -> None:
    """
    The header's identifier is another patient's: a review, and Jane stays out of it,
    also when something of her changes.
    """
    image = instance(PatientID="100", IssuerOfPatientID="A", PatientSex="")
    migration.has(image, "200^^^A")

    migration.imported()
    hospital.patient(replace(JANE, name=PersonName("SMITH^JANE")), "100^^^A")

    assert codes(image).keys() == {"DEMOGRAPHIC-CONFLICT", "EVIDENCE-CONFLICT"}
    assert given(image).PatientID == assigned("200^^^A")
    assert "OtherPatientIDsSequence" not in given(image)
    run("check", image.SOPInstanceUID)


def test_a_patient_and_an_order_that_nobody_has_told_of_are_told_by_the_list(
    migration: Migration, hospital: Hospital
) -> None:
    """
    As messages of the feed that it speaks as, which name the line; two studies of one
    accession have one order; the accession is given out, and stays when more is known.
    """
    first = instance(PatientID="77", AccessionNumber="OLD1")
    second = instance(PatientID="77")
    migration.has(first, "300", "1.2.3.1", "ACC9")
    migration.has(second, "300", "A", "ACC9")

    migration.imported()

    for image in (first, second):
        shown = given(image)
        assert (shown.PatientID, shown.AccessionNumber) == (assigned("300^^^A"), "ACC9")
    told = [e for e in rows("message", "list") if "truth.csv/" in e["control_id"]]
    assert sorted(each["event"] for each in told) == ["ADT^A31", "ORM^O01"]
    hospital.patient(JANE, "300^^^A")
    assert given(first).AccessionNumber == "ACC9"
    assert given(first).PatientBirthDate == "19800102"
    assert rows("audit", "list", "--accession", "ACC9")


def test_it_can_be_run_again_and_tells_what_no_file_came_for(
    migration: Migration,
) -> None:
    """
    What is stored is passed over, also when only the rest of the folder is read; rows
    of which nothing came are named at the end.
    """
    image = migration.has(instance(), "100", "A")
    missing = uid()
    migration.says(missing, "100", "A")

    first = migration.imported()
    events = rows("audit", "list")
    again = migration.imported()

    for done in (first, again):
        assert f"truth.csv line 3: no file of study {missing}" in done.stderr
        assert str(image.StudyInstanceUID) not in done.stderr
    assert "1 already stored" in again.stdout
    assert rows("audit", "list") == events


def test_what_the_list_does_not_name_is_taken_as_usual_or_held(
    migration: Migration,
) -> None:
    """
    By its header; with --truth-only it waits for a person.
    """
    named = instance(PatientID="100", IssuerOfPatientID="A")
    migration.has(named)
    migration.imported()
    assert codes(named) == {}
    other = migration.has(instance(PatientID="100", IssuerOfPatientID="A"))
    assert "1 held" in migration.imported("--truth-only").stdout
    assert codes(other) == {"NOT-LISTED": "hold"}
    [held] = rows("hold", "list", "--code", "NOT-LISTED")
    run("hold", "resolve", held["id"], "accept", "--reason", "seen")
    assert given(other).PatientID == assigned("100^^^A")


def test_a_study_that_is_somebody_elses_already_is_held(
    migration: Migration, hospital: Hospital
) -> None:
    """
    The list splits nobody's study; and no message lets the header decide in its place.
    """
    before = instance()
    hospital.store(before, CT_A)
    late = instance(StudyInstanceUID=before.StudyInstanceUID)
    migration.has(late, "200", "A")

    assert "1 held" in migration.imported().stdout

    assert codes(late) == {"LIST-CONFLICT": "hold"}
    hospital.patient(JANE, "100^^^A")
    assert codes(late) == {"LIST-CONFLICT": "hold"}


def test_foreign_original_attributes_are_kept_as_they_are(migration: Migration) -> None:
    """
    What the old archive wrote down of its own changes stays, and ours is added.
    """
    foreign, before = Dataset(), Dataset()
    before.PatientID = "OLD-1"
    foreign.ModifiedAttributesSequence = [before]
    foreign.AttributeModificationDateTime = "20190101120000"
    foreign.ModifyingSystem = "OLD_PACS"
    foreign.SourceOfPreviousValues = ""
    foreign.ReasonForTheAttributeModification = "COERCE"
    image = instance(OriginalAttributesSequence=[foreign])
    migration.has(image, "100", "A")

    migration.imported()

    first, own = given(image).OriginalAttributesSequence
    assert first == foreign
    assert own.ModifyingSystem == "RECONCILE"
    run("check", image.SOPInstanceUID)


def test_a_list_with_a_wrong_row_imports_nothing(migration: Migration) -> None:
    """
    A study whose row is lost would be taken by its header; so all rows have to be right.
    """
    image = migration.has(instance(), "100", "A")
    study = str(image.StudyInstanceUID)
    for wrong in (("1.2.x", "100", "A"), (study, "200", "A"), ("1.2", "", "A")):
        migration.says(*wrong)
    migration.says("1.3", "100", "NOWHERE")

    done = migration.imported(code=2)

    for sentence in (
        "line 3: study_instance_uid is no UID",
        "line 4: line 2 says otherwise of the same study",
        "line 5: an ID is missing",
        "line 6: the domain of its patient is not configured",
        "nothing was imported: 4 rows of truth.csv are wrong",
    ):
        assert sentence in done.stderr
    run("study", "explain", study, code=1)


def test_files_of_a_row_that_is_not_followed_are_refused(migration: Migration) -> None:
    """
    A feed without authority over the patient's domain registers nobody: the files stay
    where they are, and are taken when that is mended.
    """
    image = migration.has(instance(), "555", "B")
    done = migration.imported(code=1)
    assert "line 2 of the list: NOT-AUTHORITATIVE" in done.stderr
    config = migration.list.parent / "reconcile.toml"
    config.write_text(CONFIG.replace('authority = ["A"]', 'authority = ["A", "B"]'))

    assert "1 coerced" in migration.imported().stdout
    assert given(image).PatientID == assigned("555^^^B")
