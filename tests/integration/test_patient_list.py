"""A list of patients, imported by the command as a migration does."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from reconcile.cli.main import app
from reconcile.db.embedded import Urls
from tests.support.hospital import CT_A, Hospital
from tests.support.instances import instance

CONFIG = """
[[domain]]
name = "A"
universal_id = "1.2.3.1"
universal_id_type = "ISO"
[[domain]]
name = "B"
[[source]]
ae_title = "CT_A"
domain = "A"
[[feed]]
application = "OLD_MPI"
authority = ["A", "B", "E"]
"""
LIST = """\
patient_id,domain,other_ids,name,birth_date,sex,multiple_birth,merged_into,ward
100,A,555^^^B,DOE^JANE^^DR,1980-01-02,F,,,3
200,A,,ROE^RICHARD,19750506,M,,100,
300,1.2.3.1,,Müller^Jörg=山田^太郎,1960,M,N,,
"""


@pytest.fixture
def folder(database_urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hospital that nobody is known in, which the environment points to."""
    (tmp_path / "reconcile.toml").write_text(CONFIG)
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", database_urls.reader)
    return tmp_path


def run(*arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done


def rows(*arguments: object, code: int = 0) -> list[Any]:
    told = run(*arguments, "--json", code=code).stdout
    return [json.loads(line) for line in told.splitlines()]


def person(identifier: str) -> Any:
    [found] = rows("patient", "show", identifier)
    return found


def known(identifier: str) -> dict[str, Any]:
    """What is shown of a person, by DICOM tag."""
    demographics = person(identifier)["demographics"]
    return {tag: element["Value"][0] for tag, element in demographics.items()}


def listed(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "patients.csv"
    file.write_bytes(text.encode(encoding))
    return file


def test_a_list_fills_the_index_and_does_nothing_twice(folder: Path) -> None:
    """
    Patients are known by all their IDs, with names in each writing; who was merged is;
    each row is a happening that names file and line; run again, nothing happens.
    """
    file = listed(folder, LIST)

    first = run("import", "--patients", file)

    assert "4 applied" in first.stdout
    assert "not read: ward" in first.stderr
    assert {e["issuer"] for e in person("100^^^A")["identifiers"]} >= {"A", "B", "E"}
    assert known("555^^^B")["00100010"] == {"Alphabetic": "DOE^JANE^^DR"}
    assert known("555^^^B")["00100030"] == "19800102"
    assert person("200^^^A")["id"] == person("100^^^A")["id"]
    shown = known("300^^^A")["00100010"]
    assert shown == {"Alphabetic": "Müller^Jörg", "Ideographic": "山田^太郎"}
    told = rows("message", "list")
    assert {each["event"] for each in told} == {"ADT^A28", "ADT^A31", "ADT^A40"}
    assert {"/".join(each["control_id"].split("/")[:2]) for each in told} == {
        f"patients.csv/{line}" for line in (2, 3, 4)
    }
    assert all(each["happening"] for each in told)

    assert "4 done before" in run("import", "--patients", file).stdout
    assert rows("message", "list") == told
    os.utime(file, (1, 1))  # a copy of it, of another time
    assert "already-same" in run("import", "--patients", file).stdout


def test_a_list_as_a_spreadsheet_writes_it(folder: Path) -> None:
    """
    Semicolons, Latin-1, quotes, its own names for columns, dates and domain.
    """
    text = 'PatNr;Nachname;Vorname;Geb\n100;"Groß; von";Änne;02.01.1980\n\n;;;\n'
    file = listed(folder, text, "latin-1")
    columns = ("patient_id=PatNr", "family_name=nachname", "given_name=Vorname")
    said = [f"--column={each}" for each in (*columns, "birth_date=Geb")]
    how = ("--encoding", "latin-1", "--domain", "A", "--dates", "%d.%m.%Y")

    run("import", "--patients", file, *said, *how)

    assert known("100^^^A")["00100010"] == {"Alphabetic": "Groß; von^Änne"}
    assert known("100^^^A")["00100030"] == "19800102"
    run("import", "--patients", file, code=2)
    run("import", "--patients", file, *said, "--encoding", "latin-0", code=2)


def test_rows_that_are_not_taken_are_listed_and_kept(folder: Path) -> None:
    """
    With line and sentence, without values on the terminal, whole in the file of rejects,
    which can be mended and imported; what was held is taken when its cause is mended.
    """
    head, *_ = LIST.splitlines()
    bad = [
        ",A,,NO^ID,19800102,F,,,",
        "401,A,,BAD^DATE,1980-13-45,F,,,",
        "402,A,,BAD^SEX,,W,,,",
        "403,A,,SHORT^ROW",
        "404,C,,UNKNOWN^DOMAIN,,,,,",
        "405,A,,GOOD^ONE,,,,,",
        "406,A,,CONTROL\x07^CHAR,,,,,",
        "407,A,,SELF^MERGED,,,,407,",
    ]
    file, rejects = listed(folder, "\n".join([head, *bad])), folder / "rejects.csv"

    done = run("import", "--patients", file, "--rejects", rejects, code=1)

    assert "2 applied" in done.stdout
    assert person("405^^^A")
    assert "BAD" not in done.stderr
    kept = list(csv.DictReader(rejects.read_text(encoding="utf-8-sig").splitlines()))
    why = {int(each["line"]): each["why"] for each in kept}
    assert why.keys() == {2, 3, 4, 5, 6, 8, 9}
    assert why[2] == "an ID is missing"
    assert why[3] == "a date is invalid"
    assert why[4] == "sex is none of A, F, M, N, O, U"
    assert why[5] == "it has 4 values, the heading has 9"
    assert why[6].startswith("waits for a person: UNKNOWN-DOMAIN")
    assert why[8] == "it has control characters"
    assert "same identifier" in why[9]
    assert "line 4: sex is none of" in done.stderr

    (folder / "reconcile.toml").write_text(
        CONFIG.replace('"B", "E"', '"B", "C", "E"') + '[[domain]]\nname = "C"\n'
    )
    again = rows("import", "--patients", file, code=1)
    assert {e["line"]: e["became"] for e in again if e["line"] == 6} == {6: "applied"}
    assert person("404^^^C")
    run("import", "--patients", file, "--rejects", file, code=2)


def test_what_a_list_says_of_somebody_else_waits_for_a_person(folder: Path) -> None:
    """
    It is held as the same message of a feed is, and the patient is not overwritten.
    """
    run("import", "--patients", listed(folder, LIST))
    text = LIST.splitlines()[0] + "\n100,A,,ELSE^SOMEBODY,19410203,M,,,\n"
    done = run("import", "--patients", listed(folder, text), code=1)

    assert "line 2: waits for a person: SUSPECTED-OVERLAY" in done.stderr
    assert known("100^^^A")["00100030"] == "19800102"
    codes = {(item["kind"], item["code"]) for item in rows("hold", "list")}
    assert ("message", "SUSPECTED-OVERLAY") in codes


def test_a_dry_run_says_what_would_be_and_changes_nothing(folder: Path) -> None:
    """
    Not even the inbox.
    """
    text = LIST + "400,NOWHERE,,A^B,,,,,\n"
    told = rows("import", "--patients", listed(folder, text), "--dry-run", code=1)

    assert [each["became"] for each in told].count("applied") == 4
    assert [each["why"] for each in told if each["line"] == 5] == [
        "waits for a person: UNKNOWN-DOMAIN"
    ]
    run("message", "list", code=1)
    run("patient", "show", "100^^^A", code=1)


def test_an_image_finds_whom_the_list_has_named(folder: Path, database_urls: Urls) -> None:
    """
    Whoever is on the list is verified, with an ID of the archive's own.
    """
    run("import", "--patients", listed(folder, LIST))
    image = instance(PatientID="200", PatientName="ROE^RICHARD", PatientSex="M")
    image.PatientBirthDate = "19750506"
    hospital = Hospital.at(database_urls.writer, folder / "instances")
    stored = hospital.store(image, CT_A)

    assert "00100020" in stored.coerced
    assert stored.held == ""


def test_what_cannot_be_meant_is_wrong_use(folder: Path) -> None:
    """
    One sentence, and nothing is read.
    """
    file = listed(folder, LIST)
    for wrong in (
        ("--feed", "NOBODY"),
        ("--column", "patient_id"),
        ("--column", "shoe_size=ward"),
        ("--column", "patient_id=gone"),
        ("--delimiter", ";;"),
        ("--encoding", "utf-16"),
        ("--drawn-at", "yesterday"),
    ):
        done = run("import", "--patients", file, *wrong, code=2)
        assert done.stderr.startswith("reconcile: ")
    run("import", code=2)
