"""The look-up commands, over a real registry."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO

import pydicom
import pytest
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.db import outbox
from tests.support.filled import fill
from tests.support.instances import data_offset, instance, part10
from tests.support.kept import locations, lose

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
"""


@pytest.fixture
def filled(database_urls, tmp_path, monkeypatch):
    """A filled hospital that the environment points to."""
    (tmp_path / "reconcile.toml").write_text(CONFIG)
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", database_urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", database_urls.reader)
    return fill(database_urls, tmp_path / "instances")


def run(*arguments, code=0):
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, done.output
    return done


def rows(*arguments, code=0):
    return [
        json.loads(line)
        for line in run(*arguments, "--json", code=code).stdout.splitlines()
    ]


def test_audit_list_shows_no_value_without_json(filled):
    """
    A terminal left open shows keywords; --json and `show` are asked for on purpose.
    """
    human = run("audit", "list", "--study", filled.ordered).stdout
    events = rows("audit", "list", "--study", filled.ordered)

    assert len(human.splitlines()) == len(events) == 3
    assert "PatientID" in human
    assert "DOE^JANE" not in human
    assert {"original_attributes", "new_attributes"} <= set(events[0])
    shown = run("audit", "show", events[0]["id"]).stdout
    assert "PatientID: 100 -> E" in shown
    assert rows("audit", "show", events[0]["id"]) == events[:1]


def test_audit_export_writes_a_whole_file(filled, tmp_path):
    """
    What is exported is what the list tells; nothing found is an empty file and exit 1.
    """
    events = rows("audit", "list", "--study", filled.ordered)
    told = run("audit", "export", "--study", filled.ordered).stdout
    assert [json.loads(line) for line in told.splitlines()] == events

    file = tmp_path / "history.csv"
    run("audit", "export", "--format", "csv", "-o", file)
    lines = file.read_text("utf-8-sig").splitlines()
    assert lines[0].startswith('"id","number"')
    assert all(event["id"] in file.read_text() for event in events)
    assert file.stat().st_mode & 0o077 == 0

    run("audit", "export", "--format", "csv", "--source", "NOBODY", "-o", file, code=1)
    assert file.read_text("utf-8-sig").splitlines() == lines[:1]
    assert run("audit", "export", "-o", tmp_path / "no" / "such", code=2)
    assert not list(tmp_path.glob("tmp*"))


def test_audit_list_pages(filled):
    """
    The cursor is told beside the list, and leads on.
    """
    first = run("audit", "list", "--limit", "4")
    cursor = first.stderr.split()[-1]
    rest = run("audit", "list", "--cursor", cursor)

    assert len(first.stdout.splitlines()) + len(rest.stdout.splitlines()) == 6
    run("audit", "list", "--study", "1.2.3", code=1)
    run("audit", "list", "--from", "yesterday", code=2)


def test_look_ups(filled):
    """
    Persons, explanations, histories and holds, for people and for programs.
    """
    (person,) = rows("patient", "show", "100^^^A")
    assert person["state"] == "verified"
    assert "100^^^A" in run("patient", "show", "100^^^A").stdout
    run("patient", "show", "nobody^^^A", code=1)

    (told,) = rows("study", "explain", filled.held)
    assert told["decisions"][0]["outcome"] == "DEMOGRAPHIC-CONFLICT"
    assert "held" in run("study", "explain", filled.held).stdout

    assert len(rows("instance", "history", filled.ordered_instances[0])) == 1
    (hold,) = rows("hold", "list", "--kind", "hold")
    assert rows("hold", "show", hold["id"])[0]["code"] == "DEMOGRAPHIC-CONFLICT"
    run("hold", "show", "none", code=1)


def test_instances_are_written_as_received_and_as_given_out(filled, tmp_path):
    """
    To a file or to standard output; as received byte for byte.
    """
    image = filled.images[0]
    sop = image.SOPInstanceUID
    run("instance", "get", sop, "-o", tmp_path / "given.dcm")
    received = run("instance", "received", sop).stdout_bytes
    came = part10(image)

    assert pydicom.dcmread(tmp_path / "given.dcm").PatientID.startswith("E")
    assert received[data_offset(received) :] == came[data_offset(came) :]
    assert pydicom.dcmread(BytesIO(received)).PatientID == "100"
    run("instance", "get", "1.2.3", "-o", tmp_path / "none.dcm", code=1)
    assert not (tmp_path / "none.dcm").exists()


def test_an_import_can_be_run_again(filled, tmp_path):
    """
    What is stored is passed over, as is what is no DICOM file; an empty one is refused.
    """
    folder = tmp_path / "cd"
    (folder / "deep").mkdir(parents=True)
    for number in range(3):
        (folder / "deep" / f"{number}.dcm").write_bytes(part10(instance()))
    (folder / "readme.txt").write_text("not an image, but some text of some length")
    (folder / "empty").touch()

    first = run("import", folder, "--source", "CT_A", code=1)
    again = rows("import", folder, "--source", "CT_A", code=1)

    assert "3 coerced, 1 passed over, 1 refused" in first.stdout
    assert [row["became"] for row in again].count("already stored") == 3
    assert rows("audit", "list", "--cause", "import")[0]["actor"] == "CT_A"
    assert list((tmp_path / "instances" / "spool").iterdir()) == []
    run("import", folder, "--source", "NOBODY", code=2)


def test_an_imported_file_is_given_back_with_its_meta_information(filled, tmp_path):
    """
    The whole file comes back as it was, but for its preamble, which is not passed on.
    """
    image = instance()
    image.file_meta.ImplementationVersionName = "SOMEBODY"
    file = part10(image)
    (tmp_path / "one.dcm").write_bytes(b"MZ" + file[2:])
    run("import", tmp_path / "one.dcm", "--source", "CT_A")

    assert run("instance", "received", image.SOPInstanceUID).stdout_bytes == file


def test_who_could_not_be_told_is_listed_and_tried_again(filled):
    """
    By state and target; one by its id, or all that were given up.
    """
    run("notification", "list", code=1)
    news = [outbox.New("ops", "hold", str(n), body={}) for n in range(3)]
    now = datetime.now(UTC)

    def give_up(connection):
        outbox.queue(connection, news, now)
        for due in outbox.claim(connection, "ops", now, now, 3):
            outbox.settle(connection, due.id, "given-up", now, "answered 500")

    filled.hospital.database.run(give_up)
    listed = rows("notification", "list", "--state", "given-up", "--target", "ops")
    assert [each["error"] for each in listed] == ["answered 500"] * 3
    assert "answered 500" in run("notification", "list").stdout
    assert [row["code"] for row in rows("doctor", code=1)] == ["notification-given-up"]
    assert "1 to be" in run("notification", "retry", listed[0]["id"]).stdout
    assert "2 to be" in run("notification", "retry", "--all").stdout
    assert "0 to be" in run("notification", "retry", "--all").stdout
    assert {each["state"] for each in rows("notification", "list")} == {"waiting"}
    run("notification", "retry", code=2)
    run("notification", "retry", "nothing", code=1)


def test_keys_are_shown_once(filled):
    """
    Made, listed without the secret, revoked.
    """
    key = run("key", "add", "--name", "viewer", "--role", "reader").stdout.strip()
    (listed,) = rows("key", "list")

    assert key.startswith(listed["prefix"] + "_")
    assert key not in json.dumps(listed)
    run("key", "revoke", listed["prefix"])
    run("key", "revoke", listed["prefix"], code=1)
    run("key", "add", "--name", "x", "--role", "king", code=2)


def test_doctor_and_schema(filled):
    """
    A healthy archive is told so; a lost file is a finding and exit code 1.
    """
    assert "nothing is wrong" in run("doctor").stdout
    assert "current" in run("db", "check").stdout
    storage = filled.hospital.storage
    lose(storage, locations(storage)[-1])
    assert [row["code"] for row in rows("doctor", code=1)] == ["row-without-bytes"]


def test_a_deletion_by_hand(filled):
    """
    Planned, listed, held back by a legal hold, cancelled; what is wrong is said.
    """
    run("delete", "list", code=1)
    run("delete", "tombstones", code=1)
    run("delete", "plan", code=2)
    run("delete", "plan", "1.2.3", "--reason", "old", code=1)
    assert "0 deletions" in run("delete", "plan", "--rules").stdout
    run("delete", "hold", filled.ordered, "--reason", "court")
    run("delete", "plan", filled.ordered, "--reason", "old", code=1)
    run("delete", "release", filled.ordered, "--reason", "over")
    (planned,) = rows("delete", "plan", filled.ordered, "--reason", "old")
    assert (planned["state"], planned["instances"]) == ("planned", 3)
    (listed,) = rows("delete", "list", "--state", "planned")
    assert listed["id"] == planned["id"]
    assert rows("delete", "confirm", planned["id"])[0]["state"] == "confirmed"
    assert "cancelled" in run("delete", "cancel", planned["id"], "--reason", "no").stdout
    run("delete", "confirm", planned["id"], code=1)


def test_values_of_the_history_are_erased(filled):
    """
    By how many events that is, typed; their places stay, and everything goes on.
    """
    sop = filled.ordered_instances[0]
    (event,) = rows("instance", "history", sop)
    run("audit", "erase", "--reason", "asked for", code=2)
    told = run("audit", "erase", "--instance", sop, "--reason", "asked for", code=1)
    assert "1 events would be erased" in told.stderr
    assert rows("instance", "history", sop) == [event]
    run("audit", "erase", event["id"], "--reason", "asked for", "--confirm", "1")
    shown = run("audit", "show", event["id"]).stdout
    assert "erased" in shown
    assert "asked for" in shown
    assert "100" not in shown.partition("rule:")[2]
    (after,) = rows("audit", "show", event["id"])
    assert after["original_attributes"] is None
    gone = dict.fromkeys(("original_attributes", "new_attributes", "patient"))
    assert after == {**event, **gone, "absent": []}
    again = run(
        *("audit", "erase", event["id"], "--reason", "again", "--confirm", "1"), code=1
    )
    assert "no event has values" in again.stderr
    assert len(rows("instance", "history", sop)) == 1
    assert rows("audit", "list", "--instance", sop)[0]["id"] == event["id"]
    assert "state-not-fold" not in CliRunner().invoke(app, ["doctor"]).output
