"""Another configuration, tried on what came: what differs is told, nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.db.embedded import Urls
from reconcile.db.schema import metadata
from tests.support.database import Cluster
from tests.support.generated import PEOPLE, Drawn
from tests.support.hospital import CT_A, Hospital
from tests.support.instances import instance
from tests.support.story import Archive, Image, Message, Who

DOMAIN_A = """
[[domain]]
name = "A"
universal_id = "1.2.3.1"
universal_id_type = "ISO"
aliases = ["HISA"]
deny = ["0", "999", "UNKNOWN", "TEST", "W/I"]
placeholder_names = ["UNKNOWN", "BABY BOY", "BABY GIRL", "ANONYMIZED"]
placeholder_dates = ["19000101"]
"""
REST = """
[[domain]]
name = "B"
universal_id = "1.2.3.2"
universal_id_type = "ISO"
aliases = ["HISB"]
[[source]]
ae_title = "CT_A"
domain = "A"
accession_issuer = "A"
charset = "ISO_IR 100"
[[source]]
ae_title = "MR_B"
domain = "B"
accession_issuer = "B"
[[feed]]
application = "RIS_A"
authority = ["A", "E"]
accession_issuer = "A"
[[feed]]
application = "RIS_B"
authority = ["B"]
[[feed]]
application = "EMPI"
authority = ["A", "B", "E"]
"""
RUNNING = DOMAIN_A + REST


@pytest.fixture(scope="module")
def hospital(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Hospital, Urls, Path]]:
    """Where an image is held, for its name is somebody else's; nothing more happens."""
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("tried")
        made = Hospital.at(urls.writer, folder / "instances", urls.reader)
        archive, drawn = Archive(made), Drawn(Random(5))
        archive.do(Message("RIS_A", "A28", "900^^^A", PEOPLE[0], number=900))
        archive.do(Message("EMPI", "A28", "900^^^B", Who("KOCH^LEO"), number=901))
        values = {"PatientID": "900", "PatientName": "ELSE^BODY"}
        held = instance(**values, PatientBirthDate="19010203", PatientSex="M")
        archive.do(Image(held, CT_A))
        for _ in range(25):
            step = drawn.step(archive)
            if isinstance(step, Message | Image):
                archive.do(step)
        yield made, urls, folder
        made.database.close()


Try = Callable[..., tuple[list[dict[str, Any]], str]]


@pytest.fixture
def try_it(hospital: tuple[Hospital, Urls, Path], monkeypatch: pytest.MonkeyPatch) -> Try:
    """Runs the command with a configuration beside the one in force."""
    made, urls, folder = hospital
    (folder / "reconcile.toml").write_text(RUNNING)
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(folder))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", urls.reader)

    def tried(new: str, code: int = 1) -> tuple[list[dict[str, Any]], str]:
        (folder / "new.toml").write_text(new)
        before = rows_of(made)
        done = CliRunner().invoke(app, ["what-if", str(folder / "new.toml"), "--json"])
        assert done.exit_code == code, done.output
        assert rows_of(made) == before
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return tried


def rows_of(hospital: Hospital) -> dict[str, Any]:
    """How many rows each table has, and when something was settled last."""
    with hospital.database.writer.connect() as connection:
        counts = {
            table.name: connection.execute(
                select(func.count()).select_from(table)
            ).scalar_one()
            for table in metadata.sorted_tables
        }
        message = metadata.tables["message"]
        settled = select(message.c.id, message.c.state, message.c.settled_at)
        return counts | {"settled": connection.execute(settled.order_by("id")).all()}


def test_the_same_configuration_decides_alike(try_it: Try) -> None:
    """Nothing differs, and all was tried."""
    found, told = try_it(RUNNING, code=0)
    assert found == []
    assert "0 differ" in told
    assert not told.startswith("0 series and 0 messages")


def test_a_domain_whose_gate_is_off_lets_a_held_study_through(try_it: Try) -> None:
    """What was held by it, what would become of it, and in which words."""
    found, told = try_it(DOMAIN_A + 'gate = "off"\n' + REST)
    assert "changed: domain A gate" in told
    headers = [each for each in found if each["study_instance_uid"]]
    [held] = [each for each in headers if "900^^^A" in each["would_be"]["patient"]]
    assert held["held"] == held["was"]["outcome"] == "DEMOGRAPHIC-CONFLICT"
    assert held["would_be"]["outcome"] == "coerce"
    assert any("not compared" in word for word in held["would_be"]["why"])


def test_a_source_of_another_domain_names_other_patients(try_it: Try) -> None:
    """Every image of CT_A with a bare ID, and none of another source."""
    found, told = try_it(RUNNING.replace('domain = "A"\nacc', 'domain = "B"\nacc', 1))
    assert "changed: source CT_A domain: 'A' -> 'B'" in told
    moved = [each for each in found if each["study_instance_uid"]]
    assert any("900^^^B" in each["would_be"]["patient"] for each in moved)
    assert all(each["was"] != each["would_be"] for each in moved)


def test_a_feed_without_authority_is_refused(try_it: Try) -> None:
    """Messages that were acted on would not be."""
    found, told = try_it(RUNNING.replace('authority = ["A", "E"]', "authority = []", 1))
    messages = [each for each in found if each["message_id"]]
    assert messages
    assert {each["would_be"]["outcome"] for each in messages} <= {"held", "refused"}
    assert "messages tried" in told


def test_a_wrong_configuration_is_told_as_such(try_it: Try) -> None:
    """Before anything is tried."""
    found, told = try_it(RUNNING + '[[source]]\nae_title = "X"\ncolour = "red"\n', code=2)
    assert found == []
    assert "colour" in told
