"""Whoever changes the history, with every right and triggers off, is found out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from reconcile.cli.main import app
from reconcile.core.note import COSIGNATURE, Note
from reconcile.db.embedded import Urls
from reconcile.errors import WrongUse
from reconcile.flows.entries import Broken
from reconcile.flows.erasing import Erasing
from reconcile.flows.proof import ProofFails, check, prove
from reconcile.flows.signing import Signer, is_signed
from reconcile.flows.verify import Verify
from reconcile.flows.witness import Refused, Witness, held_in, tiles_of
from reconcile.web.watching import HttpLog
from tests.support.archive import http_door
from tests.support.database import Cluster
from tests.support.hospital import JANE, Hospital, clock
from tests.support.instances import instance
from tests.support.sealing import Sealed, sealed, sealer_of

EVENTS = 9
_NOBODYS_ID = 65534
_NOBODY = "UPDATE happening SET actor = 'nobody'"
# EVENT(4) in a statement: the id of the event that is number 4.
_SUBJECT = re.compile(r"EVENT\((\d)\)")
_ITS_ID = r"(SELECT event_id FROM seal_leaf WHERE number = \1)"
_OFF = "SET session_replication_role = replica"


class Attacked:
    """A sealed history, and its database as a superuser with triggers off."""

    def __init__(self, log: Sealed, cluster: Cluster, name: str) -> None:
        self.log = log
        self._cluster = cluster
        self._name = name

    def do(self, *statements: str) -> None:
        with self._cluster.connect(self._name) as connection:
            connection.execute(_OFF)
            for each in statements:
                connection.execute(_SUBJECT.sub(_ITS_ID, each).encode())

    def broken(self, held: tuple[Note, ...] = ()) -> list[Broken]:
        hospital = self.log.hospital
        keys = [each.key for each in self.log.sealer.signers]
        return list(Verify(hospital.database, hospital.storage.tiles, keys, held).broken())

    def first(self) -> tuple[str, int | None]:
        found = self.broken()
        assert found
        return found[0].code, found[0].number

    def published(self) -> Note:
        found = self.log.hospital.storage.tiles.published()
        assert found is not None
        return found


class Prepared(NamedTuple):
    """A sealed history to be copied: nobody is connected to its database."""

    database: str
    folder: Path
    log: Sealed


@pytest.fixture(scope="module")
def prepared(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prepared]:
    folder = tmp_path_factory.mktemp("sealed")
    with cluster.database() as urls:
        with sealed(urls, folder) as log:
            log.store(4)
            log.seal(5)
            log.store(4)
            log.seal(EVENTS)
        yield Prepared(_name(urls), folder, log)


@pytest.fixture
def attacked(cluster: Cluster, prepared: Prepared, tmp_path: Path) -> Iterator[Attacked]:
    folder = tmp_path / "data"
    shutil.copytree(prepared.folder, folder)
    with cluster.database(prepared.database) as urls:
        hospital = Hospital.at(urls.writer, folder, urls.reader)
        sealer = sealer_of(hospital)
        sealer.signers = prepared.log.sealer.signers
        yield Attacked(Sealed(hospital, sealer), cluster, _name(urls))
        hospital.database.close()


def _name(urls: Urls) -> str:
    return urls.owner.rpartition("/")[2].partition("?")[0]


TAMPERED = {
    "value": (
        ("altered", 4),
        (
            "UPDATE coercion_value SET body = convert_to(replace("
            "convert_from(body, 'UTF8'), 'E1', 'E9'), 'UTF8') WHERE event_id = EVENT(4)"
        ),
    ),
    "values erased unseen": (
        ("altered", 4),
        "DELETE FROM coercion_value WHERE event_id = EVENT(4)",
    ),
    "column": (
        ("altered", 3),
        "UPDATE coercion_event SET source = 'MR_B' WHERE id = EVENT(3)",
    ),
    "time": (
        ("altered", 5),
        (
            "UPDATE coercion_event SET recorded_at = recorded_at - interval '1 day'"
            " WHERE id = EVENT(5)"
        ),
    ),
    "column and bytes": (
        ("altered", 6),
        (
            "UPDATE coercion_event SET source = 'MR_B', body = convert_to(replace("
            "convert_from(body, 'UTF8'), '\"CT_A\"', '\"MR_B\"'), 'UTF8')"
            " WHERE id = EVENT(6)"
        ),
    ),
    "who did it": (
        ("altered", 7),
        (
            "UPDATE happening SET actor = 'somebody else' WHERE id ="
            " (SELECT happening_id FROM coercion_event WHERE id = EVENT(7))"
        ),
    ),
    "who did it, sealed bytes too": (
        ("altered", 7),
        (
            "UPDATE happening SET actor = 'CT_B' WHERE id = (SELECT happening_id FROM"
            " coercion_event WHERE id = EVENT(7)); UPDATE seal_happening"
            " SET body = convert_to("
            'replace(convert_from(body, \'UTF8\'), \'"actor":"CT_A"\', \'"actor":"CT_B"\'),'
            " 'UTF8') WHERE happening_id = (SELECT happening_id FROM coercion_event"
            " WHERE id = EVENT(7))"
        ),
    ),
    "row": (
        ("missing", 2),
        (
            "DELETE FROM coercion_value WHERE event_id = EVENT(2);"
            " DELETE FROM coercion_event WHERE id = EVENT(2)"
        ),
    ),
    "row and its leaf": (
        ("missing", 2),
        (
            "DELETE FROM coercion_event WHERE id = EVENT(2);"
            " DELETE FROM seal_leaf WHERE number = 2"
        ),
    ),
    "tail": (
        ("missing", 6),
        (
            "DELETE FROM coercion_event WHERE id IN"
            " (SELECT event_id FROM seal_leaf WHERE number > 5);"
            " DELETE FROM seal_leaf WHERE number > 5;"
            " DELETE FROM seal_checkpoint WHERE size > 5"
        ),
    ),
    "swapped positions": (
        ("order", 3),
        (
            "WITH p AS (SELECT l.number, e.id, e.position FROM seal_leaf l"
            " JOIN coercion_event e ON e.id = l.event_id WHERE number IN (3, 4))"
            " UPDATE coercion_event e SET position = -o.position"
            " FROM p JOIN p o ON o.id <> p.id WHERE e.id = p.id;"
            " UPDATE coercion_event SET position = -position WHERE position < 0"
        ),
    ),
    "swapped bytes": (
        ("order", 3),
        (
            "WITH p AS (SELECT e.id, e.body FROM seal_leaf l JOIN coercion_event e ON"
            " e.id = l.event_id WHERE number IN (3, 4)) UPDATE coercion_event e"
            " SET body = o.body FROM p JOIN p o ON o.id <> p.id WHERE e.id = p.id"
        ),
    ),
    "swapped leaves": (
        ("order", 3),
        (
            "UPDATE seal_leaf SET number = 1000 WHERE number = 3;"
            " UPDATE seal_leaf SET number = 3 WHERE number = 4;"
            " UPDATE seal_leaf SET number = 4 WHERE number = 1000"
        ),
    ),
    "leaf": (
        ("altered", 8),
        "UPDATE seal_leaf SET hash = sha256('other') WHERE number = 8",
    ),
    "inserted into the past": (
        ("added", None),
        (
            "INSERT INTO coercion_event SELECT (jsonb_populate_record(e,"
            " jsonb_build_object('id', gen_random_uuid(), 'position', 100000))).*"
            " FROM coercion_event e WHERE id = EVENT(2)"
        ),
    ),
    "root": (
        ("rewritten", 1),
        "UPDATE seal_checkpoint SET root = sha256('other') WHERE size = 5",
    ),
    "given out as it came": (
        ("state", None),
        "UPDATE instance SET assignment_id = NULL, coerced_at = NULL",
    ),
    "instance": (
        ("state", None),
        (
            "UPDATE instance SET sop_instance_uid = '1.2.3' WHERE id = (SELECT instance_id"
            " FROM coercion_event WHERE id = EVENT(3))"
        ),
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found_and_named(attacked: Attacked, name: str) -> None:
    """
    What the table's owner changes with triggers off is found, and the first event named.
    """
    expected, statements = TAMPERED[name]
    attacked.do(*(each for each in statements.split(";") if each.strip()))
    assert attacked.first() == expected


def test_an_untouched_history_holds(attacked: Attacked) -> None:
    """
    Nothing is found where nothing was done, and what is not sealed yet is no finding.
    """
    held = attacked.published()
    attacked.log.store(2)
    assert attacked.broken((held,)) == []
    attacked.log.seal(EVENTS + 2)
    assert attacked.broken((held, attacked.published())) == []


def test_a_row_inserted_into_the_past_by_the_front_door_is_found(
    attacked: Attacked,
) -> None:
    """
    One that the sealer took for new, and that says it was recorded a day ago.
    """
    attacked.log.store(1)
    attacked.do(
        "UPDATE coercion_event SET recorded_at = recorded_at - interval '1 day',"
        " body = convert_to(regexp_replace(convert_from(body, 'UTF8'),"
        ' \'"recorded_at":"[^"]*"\', concat(\'"recorded_at":"\','
        " to_char((recorded_at - interval '1 day') AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '+00:00\"')), 'UTF8')"
        " WHERE id NOT IN (SELECT event_id FROM seal_leaf)"
    )
    attacked.log.seal(EVENTS + 1)
    assert attacked.first() == ("added", EVENTS + 1)


def test_erased_values_leave_their_place(attacked: Attacked) -> None:
    """
    Where a row says that values were erased, the log still holds.
    """
    database = attacked.log.hospital.database
    with database.read_only() as connection:
        query = text("SELECT event_id FROM seal_leaf WHERE number IN (4, 5)")
        events = list(connection.execute(query).scalars())
    assert Erasing(database, clock).erase(events, "law", "anna", 2).events == 2
    found = attacked.broken((attacked.published(),))
    assert [each.code for each in found if each.code != "state"] == []


def forged(attacked: Attacked, *statements: str) -> None:
    """A past that somebody made who has the database, the tiles and the key."""
    attacked.do(*statements)
    attacked.do(
        "DELETE FROM seal_happening",
        "DELETE FROM seal_leaf",
        "DELETE FROM seal_checkpoint",
        "DELETE FROM seal_anchor",
    )
    hospital = attacked.log.hospital
    shutil.rmtree(hospital.storage.tiles.root)
    forger = sealer_of(hospital)
    forger.signers = attacked.log.sealer.signers
    attacked.log = Sealed(hospital, forger)
    with hospital.database.read_only() as connection:
        count = connection.execute(text("SELECT count(*) FROM coercion_event")).scalar_one()
    attacked.log.seal(count)


def test_a_rewritten_history_is_exposed_by_any_checkpoint(attacked: Attacked) -> None:
    """
    Recomputed and signed again with the log's own key it holds by itself, and not beside
    a checkpoint that was held before: the stretch is named.
    """
    first = attacked.published()
    forged(
        attacked,
        "UPDATE coercion_event SET source = 'MR_B', body = convert_to(replace("
        "convert_from(body, 'UTF8'), '\"CT_A\"', '\"MR_B\"'), 'UTF8') WHERE id = EVENT(7)",
    )
    assert attacked.broken() == []
    (found,) = attacked.broken((first,))
    assert (found.code, found.number) == ("rewritten", 1)
    assert str(first.checkpoint) in found.what


def test_a_tail_that_was_cut_everywhere_is_exposed_by_a_checkpoint(
    attacked: Attacked,
) -> None:
    """
    Rows, tiles and checkpoint all of an earlier day: only who saw a later one knows.
    """
    held = attacked.published()
    forged(
        attacked,
        "DELETE FROM instance WHERE id IN (SELECT instance_id FROM coercion_event"
        " WHERE id IN (SELECT event_id FROM seal_leaf WHERE number > 5))",
        *TAMPERED["tail"][1].split(";")[:1],
        "DELETE FROM coercion_value WHERE event_id NOT IN (SELECT id FROM coercion_event)",
    )
    assert attacked.broken() == []
    (found,) = attacked.broken((held,))
    assert (found.code, found.number) == ("missing", 6)


# -- The witness --------------------------------------------------------------------


def witness_of(attacked: Attacked, folder: Path) -> Witness:
    return Witness(folder, attacked.log.sealer.signers[0].key, "witness.example/w1")


def test_a_witness_cosigns_what_goes_on_and_refuses_a_fork(
    attacked: Attacked, tmp_path: Path
) -> None:
    """
    Over HTTP, with nothing but a folder: it cosigns as the log grows, again the same too;
    it refuses a rewritten past, and names what it held and what it was shown.
    """
    with http_door(attacked.log.hospital) as client:
        source = HttpLog(f"{client.base_url}/tlog")
        watching = witness_of(attacked, tmp_path / "witness")
        first = watching.look(source, 1_000)
        assert is_signed(first, watching.key())
        assert is_signed(first, attacked.log.sealer.signers[0].key)
        attacked.log.grow(300)
        attacked.log.seal(EVENTS + 300)
        watching.look(source, 2_000)
        assert watching.look(source, 3_000).checkpoint.size == EVENTS + 300
        held = watching.held()
        assert held is not None
        forged(attacked, _NOBODY)
        with pytest.raises(Refused) as refused:
            watching.look(source, 4_000)
        shown = attacked.published()
    assert str(held.checkpoint) in str(refused.value)
    assert str(shown.checkpoint) in str(refused.value)
    assert watching.held() == held
    notes = held_in(tmp_path / "witness" / "held.jsonl")
    assert [each.checkpoint.size for each in notes] == [9, 309, 309]
    codes = [e.code for e in attacked.broken(tuple(notes)) if e.code != "state"]
    assert codes == ["rewritten"] * 3


def test_a_witness_that_keeps_hashes_tells_which_event_was_rewritten(
    attacked: Attacked, tmp_path: Path
) -> None:
    """
    All of it recomputed and signed again: the first event that was rewritten is named.
    """
    log = attacked.log
    with http_door(log.hospital) as client:
        source = HttpLog(f"{client.base_url}/tlog")
        key = log.sealer.signers[0].key
        watching = Witness(tmp_path / "witness", key, "w1", keeps_hashes=True)
        watching.look(source, 1_000)
        log.grow(600)
        log.seal(EVENTS + 600)
        watching.look(source, 2_000)
        forged(attacked, *TAMPERED["column and bytes"][1].split(";"))
    hospital, seen = log.hospital, [tiles_of(tmp_path / "witness")]
    notes = held_in(tmp_path / "witness")
    verify = Verify(hospital.database, hospital.storage.tiles, [key], notes, seen)
    found = [each for each in verify.broken() if each.code != "state"]
    assert (found[0].code, found[0].number) == ("rewritten", 6)


def test_a_witness_refuses_a_shorter_log_and_another_key(
    attacked: Attacked, tmp_path: Path
) -> None:
    """
    A log that shows less than it did, and one that somebody else signs.
    """
    tiles = attacked.log.hospital.storage.tiles
    with http_door(attacked.log.hospital) as client:
        source = HttpLog(f"{client.base_url}/tlog")
        watching = witness_of(attacked, tmp_path / "witness")
        before = str(attacked.published())
        attacked.log.store(3)
        attacked.log.seal(EVENTS + 3)
        watching.look(source, 1_000)
        tiles.publish(before)
        with pytest.raises(Refused, match="got shorter"):
            watching.look(source, 2_000)
        other = Witness(tmp_path / "other", Signer.new("log.example/test").key, "w2")
        with pytest.raises(Refused, match="not signed"):
            other.look(source, 1_000)


# -- Proofs -------------------------------------------------------------------------


def test_an_event_is_proved_without_a_database(attacked: Attacked, tmp_path: Path) -> None:
    """
    The document alone convinces who has the log's key; every change to it is noticed.
    """
    hospital, key = attacked.log.hospital, attacked.log.sealer.signers[0].key
    event = attacked.log.pattern().id
    attacked.log.store(1)
    with http_door(hospital) as client:
        shown = client.get(f"/api/v1/coercions/{event}/proof").raise_for_status().json()
        assert client.get("/api/v1/coercions/x/proof").status_code == 404
        cosigned = witness_of(attacked, tmp_path / "w").look(
            HttpLog(f"{client.base_url}/tlog"), 1_000
        )
    made = prove(
        hospital.database,
        hospital.storage.tiles,
        str(event),
        with_values=True,
        under=cosigned,
    )
    proved = check(shown, key)
    assert (proved.number, proved.event["id"], proved.values) == (1, str(event), None)
    assert "values" not in shown
    vouched = check(made, key, [witness_of(attacked, tmp_path / "w").key()])
    assert vouched.values
    assert vouched.values["patient"] == {"id": "E1", "issuer": "E"}
    with pytest.raises(ProofFails):
        check(shown, key, [Signer.new("w", COSIGNATURE).key])
    for forged in forgeries(made):
        with pytest.raises((ProofFails, WrongUse)):
            check(forged, key)
    with pytest.raises(ProofFails):
        check(made, Signer.new(key.name).key)


def forgeries(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {**made, "event": made["event"].replace("CT_A", "CT_B")}
    yield {**made, "happening": made["happening"].replace("c-store", "x")}
    yield {**made, "number": made["number"] + 1}
    yield {**made, "number": "1"}
    yield {**made, "path": made["path"][:-1]}
    yield {**made, "path": ["xx"]}
    yield {**made, "checkpoint": made["checkpoint"].replace("\n9\n", "\n8\n")}
    yield {**made, "values": {**made["values"], "body": "{}"}}
    yield {**made, "form": "other"}
    yield {}


def test_a_proof_is_checked_where_there_is_no_archive(
    attacked: Attacked, tmp_path: Path
) -> None:
    """
    `audit check-proof` reads a file, and ends with the code of what it found.
    """
    key = str(attacked.log.sealer.signers[0].key)
    hospital = attacked.log.hospital
    event = str(attacked.log.pattern().id)
    file, keys = tmp_path / "proof.json", tmp_path / "key"
    keys.write_text(key + "\n", encoding="utf-8")
    made = prove(hospital.database, hospital.storage.tiles, event)
    file.write_text(json.dumps(made), encoding="utf-8")

    def run(*options: str) -> Result:
        return CliRunner().invoke(app, ["audit", "check-proof", str(file), *options])

    assert f"event {event} is number 1" in run("--key", str(keys)).output
    assert run("--key", key, "--json").exit_code == 0
    assert run("--key", str(Signer.new("other").key)).exit_code == 1
    assert run("--key", "no key").exit_code == 2
    file.write_text("{}", encoding="utf-8")
    assert run("--key", key).exit_code == 2


def test_another_user_is_a_witness_over_http(attacked: Attacked) -> None:
    """
    A process of somebody else with a folder of its own cosigns, and exposes a forged past.
    """
    state = tempfile.mkdtemp(prefix="reconcile-witness-")
    user = _NOBODYS_ID if os.geteuid() == 0 and _may_run() else None
    if user:
        os.chown(state, user, -1)

    def look(url: str) -> subprocess.CompletedProcess[str]:
        key = str(attacked.log.sealer.signers[0].key)
        line = [sys.executable, "-m", "reconcile", "audit", "witness", url]
        line += ["--key", key, "--state", state]
        return subprocess.run(line, capture_output=True, text=True, check=False, user=user)

    with removed(state), http_door(attacked.log.hospital) as client:
        seen = look(f"{client.base_url}/tlog")
        assert (seen.returncode, seen.stdout.count("\u2014")) == (0, 2), seen.stderr
        forged(attacked, _NOBODY)
        refused = look(f"{client.base_url}/tlog")
    assert (refused.returncode, "held is 9 " in refused.stderr) == (1, True)
    assert str(attacked.published().checkpoint) in refused.stderr


@contextmanager
def removed(folder: str) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(folder)


def _may_run() -> bool:
    """Whether the user who is nobody can reach what the witness is run by."""
    line = [sys.executable, "-c", "import reconcile.errors"]
    with suppress(OSError):
        done = subprocess.run(line, capture_output=True, check=False, user=_NOBODYS_ID)
        return done.returncode == 0
    return False


def test_another_store_after_it_is_whole_still(attacked: Attacked) -> None:
    """
    A history that goes on through its own door verifies: events as they are really made.
    """
    hospital = attacked.log.hospital
    assert hospital.store(instance()).coerced
    hospital.patient(JANE, "101^^^A", "E7^^^E")
    hospital.merge("101^^^A", "100^^^A")
    with hospital.database.read_only() as connection:
        query = text(
            "SELECT count(*), count(*) FILTER (WHERE level = 'study') FROM coercion_event"
        )
        count, of_studies = connection.execute(query).one()
    assert of_studies
    attacked.log.seal(count)
    assert attacked.broken() == []
