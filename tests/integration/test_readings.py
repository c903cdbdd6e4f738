"""Who reads the history is written down, and auditors see it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.db import readings
from reconcile.db.embedded import Urls
from reconcile.db.readings import Reading
from reconcile.db.views import Where
from reconcile.flows.keys import make_key
from reconcile.flows.readings import Readings
from reconcile.web.parts import Parts
from tests.support.archive import open_door
from tests.support.hospital import JANE, Hospital, clock
from tests.support.instances import instance

SECONDS = 60.0


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    hospital = Hospital.at(
        database_urls.writer, tmp_path / "instances", database_urls.reader
    )
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    yield hospital
    hospital.database.close()


def kept(hospital: Hospital) -> list[Reading]:
    with hospital.database.read_only() as connection:
        return list(readings.readings(connection, Where()).items)


def test_what_is_asked_over_http_is_written_down(hospital: Hospital) -> None:
    """
    Who, when, by which route and for what; what is not the history is not; only auditors
    and administrators see it.
    """
    keys = {
        role: make_key(hospital.database, name=f"an-{role}", role=role)
        for role in ("reader", "auditor", "steward")
    }
    image = instance()
    hospital.store(image)
    uid = str(image.SOPInstanceUID)
    parts = Parts(hospital.database, hospital.storage, hospital.rules, require_keys=True)
    with open_door(parts) as client:

        def get(role: str, path: str, **query: str) -> int:
            bearer = {"Authorization": f"Bearer {keys[role]}"}
            return client.get(path, params=query, headers=bearer).status_code

        assert get("reader", "/api/v1/coercions", patient="100^^^A") == 200
        assert get("steward", f"/api/v1/instances/{uid}/history") == 200
        assert get("steward", f"/api/v1/uids/{uid}") == 200
        deadline = time.monotonic() + SECONDS
        while len(kept(hospital)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        refused = [get(r, "/api/v1/audit-readings") for r in ("reader", "steward")]
        assert refused == [403, 403]
        assert get("auditor", "/api/v1/audit-readings", actor="an-reader") == 200
    told = [(each.actor, each.door, each.what, each.asked) for each in kept(hospital)]
    assert told == [
        ("an-auditor", "http", "/api/v1/audit-readings", {"actor": "an-reader"}),
        (
            "an-steward",
            "http",
            "/api/v1/instances/{sop_instance_uid}/history",
            {"sop_instance_uid": uid},
        ),
        ("an-reader", "http", "/api/v1/coercions", {"patient": "100^^^A"}),
    ]


def test_what_is_asked_on_the_command_line_is_written_down(
    hospital: Hospital, tmp_path: Path, database_urls: Urls
) -> None:
    """
    By whom of the machine's users; the list of it names no patient unless asked for.
    """
    hospital.store(instance())
    config = tmp_path / "reconcile.toml"
    config.write_text(
        f'[database]\nurl = "{database_urls.writer}"\n'
        f'reader_url = "{database_urls.reader}"\n'
        '[[domain]]\nname = "A"\n',
        encoding="utf-8",
    )
    options = ["--config", str(config), "--data", str(tmp_path)]
    run = CliRunner()
    done = run.invoke(app, ["audit", "list", *options, "--patient", "100^^^A"])
    assert done.exit_code == 0, done.output
    shown = run.invoke(app, ["audit", "readings", *options])
    assert "audit list" in shown.output
    assert "100^^^A" not in shown.output
    (_, first) = kept(hospital)
    assert first.actor.startswith("local:")
    assert (first.what, first.asked) == ("audit list", {"patient": "100^^^A"})


def test_readings_wait_for_the_database(hospital: Hospital) -> None:
    """
    What was told is written by whoever stops, however soon; each once.
    """
    telling = Readings(hospital.database, clock, seconds=0.01)
    for number in range(20):
        telling.tell("anna", "http", "/x", {"n": str(number)})
    telling.stop()
    told = sorted(int(each.asked["n"]) for each in kept(hospital))
    assert told == list(range(20))


def test_what_is_no_text_is_kept_as_far_as_it_is(hospital: Hospital) -> None:
    """
    NUL and half a character, which the database takes for no text, stop no other reading.
    """
    written = Readings(hospital.database, clock)
    written.tell("anna", "http", "/api/v1/coercions", {"study": "1\0\ud800.2"})
    written.tell("anna", "http", "/api/v1/coercions", {"study": "1.3"})
    written.stop()
    assert {each.asked["study"] for each in kept(hospital)} == {"1\ufffd?.2", "1.3"}
