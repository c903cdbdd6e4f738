"""A backup is whole, is taken while the archive runs, and can be restored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.db import dump
from reconcile.db.embedded import Urls
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.backup import BackupIncomplete, back_up, restore, verify
from reconcile.flows.deleting import Deleting
from reconcile.flows.doctor import Doctor
from reconcile.flows.importing import Became, ImportFlow
from reconcile.flows.removing import Removing
from reconcile.flows.verify import Verify
from reconcile.storage.local import LocalStorage
from tests.support.database import Cluster
from tests.support.given import given
from tests.support.hospital import CT_A, JANE, Hospital, clock
from tests.support.instances import instance, part10
from tests.support.kept import locations
from tests.support.sealing import Sealed, sealer_of


def silent(what: str, much: int) -> None:
    """Nobody looks."""


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    hospital = Hospital.at(
        database_urls.writer, tmp_path / "instances", database_urls.reader
    )
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    yield hospital
    hospital.database.close()


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[Urls]:
    """A database with roles and extension, and nothing in it."""
    with cluster.database("template0") as urls:
        name = urls.owner.rpartition("/")[2].partition("?")[0]
        with cluster.connect(name) as connection:
            connection.execute("create extension btree_gist")
        yield urls


def imported(hospital: Hospital, folder: Path) -> Dataset:
    """An instance that lies in a file of its own."""
    image = instance()
    path = folder / f"{image.SOPInstanceUID}.dcm"
    path.write_bytes(part10(image))
    done = ImportFlow(hospital.flow(), CT_A, "import/1").take(path, 1)
    assert done.became is Became.COERCED
    return image


def taken(hospital: Hospital, urls: Urls, folder: Path) -> int:
    made = back_up(urls.owner, hospital.storage, folder, clock(), silent, verify=True)
    return made.instances


def test_what_is_restored_answers_as_before(
    hospital: Hospital, database_urls: Urls, empty: Urls, tmp_path: Path
) -> None:
    """
    Instances, their coercion, the history and its guard; and it goes on from there. What
    came after the backup is not in it.
    """
    small, later = instance(), instance()
    hospital.store(small)
    file = imported(hospital, tmp_path)
    folder = tmp_path / "backup"
    assert taken(hospital, database_urls, folder) == 2
    hospital.store(later)

    made = restore(folder, empty.owner, LocalStorage(tmp_path / "again"), silent)
    again = Hospital.at(empty.writer, tmp_path / "again", empty.reader)
    try:
        assert made.instances == 2
        for each in (small, file):
            assert given(again, each.SOPInstanceUID) == given(hospital, each.SOPInstanceUID)
        with pytest.raises(NotFound):
            given(again, later.SOPInstanceUID)
        assert list(Doctor(again.database, again.storage, clock).findings()) == []
        assert again.store(small).already
        assert again.store(later).coerced
        with (
            pytest.raises(Exception, match="append"),
            create_engine(empty.owner).begin() as connection,
        ):
            connection.execute(text("DELETE FROM coercion_event"))
    finally:
        again.database.close()


def test_dump_and_inventory_are_of_one_moment(
    hospital: Hospital, database_urls: Urls, empty: Urls, tmp_path: Path
) -> None:
    """What is committed after the moment, and before the dump, is in neither."""
    first, between = instance(), instance()
    hospital.store(first)
    folder = tmp_path / "backup"

    def meanwhile(what: str, much: int) -> None:
        if what == "database":
            hospital.store(between)

    made = back_up(database_urls.owner, hospital.storage, folder, clock(), meanwhile)
    assert made.instances == 1
    restore(folder, empty.owner, LocalStorage(tmp_path / "again"), silent)
    again = Hospital.at(empty.writer, tmp_path / "again", empty.reader)
    try:
        assert given(again, first.SOPInstanceUID)
        with pytest.raises(NotFound):
            given(again, between.SOPInstanceUID)
    finally:
        again.database.close()


def test_the_same_folder_again_copies_what_is_new(
    hospital: Hospital, database_urls: Urls, tmp_path: Path
) -> None:
    """A file that is there stays; a segment that grew is copied; both moments hold."""
    folder = tmp_path / "backup"
    imported(hospital, tmp_path)
    hospital.store(instance())
    assert taken(hospital, database_urls, folder) == 2
    [file] = folder.glob("instances/??/??/*.dcm")
    before = file.stat().st_ino
    hospital.store(instance())
    assert taken(hospital, database_urls, folder) == 3
    assert file.stat().st_ino == before
    assert verify(folder, silent).instances == 3
    assert [each.name for each in folder.rglob("*.new")] == []
    assert {each.stat().st_mode & 0o77 for each in folder.rglob("*") if each.is_file()} == {
        0
    }


def test_a_backup_that_is_not_whole_is_told(
    hospital: Hospital, database_urls: Urls, empty: Urls, tmp_path: Path
) -> None:
    """A bit flipped in the copy, a file gone from it, and bytes gone in the archive."""
    folder = tmp_path / "backup"
    hospital.store(instance())
    imported(hospital, tmp_path)
    taken(hospital, database_urls, folder)
    [file] = folder.glob("instances/??/??/*.dcm")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BackupIncomplete, match=r"^1 "):
        verify(folder, silent)
    file.unlink()
    with pytest.raises(BackupIncomplete, match=r"^1 "):
        restore(folder, empty.owner, LocalStorage(tmp_path / "again"), silent)
    [kept] = hospital.storage.root.glob("??/??/*.dcm")
    kept.unlink()
    with pytest.raises(BackupIncomplete, match=r"^1 "):
        taken(hospital, database_urls, folder)


def test_nothing_is_restored_over_something(
    hospital: Hospital, database_urls: Urls, tmp_path: Path
) -> None:
    """An archive that has a database keeps it; a folder without a backup is named."""
    folder = tmp_path / "backup"
    taken(hospital, database_urls, folder)
    with pytest.raises(WrongUse, match="not empty"):
        restore(folder, database_urls.owner, hospital.storage, silent)
    with pytest.raises(NotFound):
        verify(tmp_path, silent)
    (folder / "backup.json").write_text('{"form": 2}')
    with pytest.raises(WrongUse, match="form"):
        verify(folder, silent)


def test_the_commands(
    hospital: Hospital,
    database_urls: Urls,
    empty: Urls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Backup, check and restore from the command line; what is restored is found."""
    image = instance()
    hospital.store(image)

    def use(urls: Urls, data: Path) -> None:
        monkeypatch.setenv("RECONCILE_DATA_DIR", str(data))
        monkeypatch.setenv("RECONCILE_DATABASE_URL", urls.writer)
        monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", urls.owner)
        monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", urls.reader)

    def run(*arguments: object, code: int = 0) -> str:
        done = CliRunner().invoke(app, [str(each) for each in arguments])
        assert done.exit_code == code, done.output
        return done.stdout

    folder = tmp_path / "backup"
    use(database_urls, tmp_path)
    assert "1 instances" in run("backup", folder, "--verify")
    assert json.loads(run("backup", folder, "--check-only", "--json"))["instances"] == 1
    run("restore", folder, code=2)
    use(empty, tmp_path / "again")
    assert "1 instances" in run("restore", folder)
    assert "nothing is wrong" in run("doctor")
    run("instance", "get", image.SOPInstanceUID, "-o", tmp_path / "got.dcm")
    assert (tmp_path / "got.dcm").stat().st_size


def test_what_was_deleted_leaves_the_copy(
    hospital: Hospital, database_urls: Urls, tmp_path: Path
) -> None:
    """Files and members of segments; no bytes are removed while they are copied."""
    large, small, other = imported(hospital, tmp_path), instance(), instance()
    hospital.store(small)
    hospital.store(other)
    owner, folder = database_urls.owner, tmp_path / "backup"
    back_up(owner, hospital.storage, folder, clock(), silent)
    copy = LocalStorage(folder / "instances")
    assert len(locations(copy)) == 3
    flow = Deleting(hospital.database, clock)
    uids = [str(large.SOPInstanceUID), str(small.SOPInstanceUID)]
    flow.confirm(str(flow.plan(uids, "old", "anna").id), "ben")
    removing = Removing(hospital.database, hospital.storage, clock, grace=timedelta(0))
    with dump.nothing_is_removed(owner):
        removing.round(Event())
        assert len(locations(hospital.storage)) == 3
    removing.round(Event())
    assert len(locations(hospital.storage)) == 1
    made = back_up(owner, hospital.storage, folder, clock(), silent, verify=True)
    assert made.instances == 1
    assert len(locations(copy)) == 1


def test_the_sealed_history_goes_on_after_a_restore(
    hospital: Hospital, database_urls: Urls, empty: Urls, tmp_path: Path
) -> None:
    """
    The backup holds the log as of its moment; restored, it verifies, and goes on from
    there under the same key: a witness who saw no more than the backup cosigns it.
    """
    hospital.store(instance())
    log = Sealed(hospital, sealer_of(hospital))
    log.seal(1)
    folder = tmp_path / "backup"
    hospital.store(instance())
    taken(hospital, database_urls, folder)
    held = hospital.storage.tiles.published()
    log.seal(2)

    restore(folder, empty.owner, LocalStorage(tmp_path / "again"), silent)
    again = Hospital.at(empty.writer, tmp_path / "again", empty.reader)
    try:
        assert again.storage.tiles.published() == held
        again.store(instance())
        goes_on = Sealed(again, sealer_of(again))
        goes_on.sealer.signers = log.sealer.signers
        goes_on.seal(3)
        keys = [each.key for each in log.sealer.signers]
        tiles, database = again.storage.tiles, again.database
        assert held is not None
        assert list(Verify(database, tiles, keys, (held,)).broken()) == []
    finally:
        again.database.close()
