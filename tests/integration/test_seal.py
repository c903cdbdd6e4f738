"""The sealer, on a real server: what has committed is sealed, all of it, once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import Connection, select, text

from reconcile.core.audit import entry
from reconcile.core.merkle import leaf_hash, range_hash, root_of
from reconcile.core.tiles import node_reader
from reconcile.db import history as h
from reconcile.db import seal, views_audit, views_seal
from reconcile.db.embedded import Urls
from reconcile.db.views import Where
from reconcile.db.views_audit import AuditQuery
from reconcile.errors import ServiceUnavailable
from reconcile.flows.doctor import Doctor
from reconcile.flows.seal import LogForked
from reconcile.flows.signing import is_signed
from reconcile.web.metrics import Metrics
from tests.support.door import eventually
from tests.support.hospital import clock
from tests.support.sealing import Sealed, add, numbers, sealed, sealer_of

WRITERS = 6
SECONDS = 60.0


@pytest.fixture
def log(database_urls: Urls, tmp_path: Path) -> Iterator[Sealed]:
    with sealed(database_urls, tmp_path) as made:
        yield made


def committed(log: Sealed) -> set[UUID]:
    with log.hospital.database.read_only() as connection:
        return set(connection.execute(select(h.coercion_event.c.id)).scalars())


def holds(log: Sealed) -> None:
    """Numbers are dense, hashes are of the rows, tiles hold the tree, it is signed."""
    with log.hospital.database.read_only() as connection:
        found = numbers(connection)
        leaves = [views_seal.leaf(connection, str(each)) for each in found]
    leaves.sort(key=lambda each: each.number)
    assert [each.number for each in leaves] == list(range(1, len(leaves) + 1))
    for each in leaves:
        assert each.event is not None
        assert each.hash == leaf_hash(entry(each.event, each.happening))
    note = log.hospital.storage.tiles.published()
    assert note is not None
    assert is_signed(note, log.sealer.signers[0].key)
    size, root = note.checkpoint.size, note.checkpoint.root
    assert (size, root) == (len(leaves), root_of(each.hash for each in leaves))
    node = node_reader(log.hospital.storage.tiles.read, size)
    assert range_hash(node, 0, size) == root


def stalled_by(log: Sealed) -> int | None:
    with log.hospital.database.read_only() as connection:
        found = views_seal.staller(connection)
    return found.pid if found else None


def test_what_has_committed_is_sealed(log: Sealed) -> None:
    """
    Events get dense numbers, in the order in which they apply, and are shown with them.
    """
    more = log.grow(3)
    log.seal(4)
    holds(log)
    with log.hospital.database.read_only() as connection:
        page = views_audit.events(connection, AuditQuery(), Where())
        assert views_seal.sealed_through(connection) == 4
        assert views_seal.lag(connection).unsealed == 0
    assert [each.number for each in page.items] == [1, 2, 3, 4]
    assert [each.id for each in page.items][1:] == more


def test_the_log_grows_through_tiles(log: Sealed) -> None:
    """
    Small batches and large ones, over the edges of tiles: one tree.
    """
    log.sealer.batch_max = 70
    size = 1
    for count in (1, 300, 0, 254, 2):
        log.grow(count)
        size += count
        log.seal(size)
        holds(log)


def test_an_open_transaction_is_waited_for_and_never_missed(log: Sealed) -> None:
    """
    An event with a lower id that commits later is sealed later; nothing that began after
    it is sealed before it has ended, and the log says how late it is and who holds it up.
    """
    log.seal(1)
    pattern, database = log.pattern(), log.hospital.database
    with database.writer.begin() as slow:
        early = add(slow, pattern)
        log.grow(5)
        log.seal(1)
        pid = slow.execute(text("SELECT pg_backend_pid()")).scalar_one()
        # Transactions of other databases of the server may be older, and end soon.
        assert eventually(lambda: stalled_by(log) == pid, 30.0)
        with database.read_only() as connection:
            late = views_seal.lag(connection)
        assert late.unsealed == 5
        assert late.oldest is not None
    log.seal(7)
    with database.read_only() as connection:
        assert numbers(connection)[early] == 2
    holds(log)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_event_is_missed_beside_slow_transactions_and_rollbacks(
    log: Sealed, seed: int
) -> None:
    """
    Eight hundred events by six writers, some slow, some taken back, with the sealer
    beside them: each that committed is sealed once, nothing else is.
    """
    log.sealer.batch_max = 23
    pattern, stop = log.pattern(), Event()

    def write(number: int) -> None:
        random = Random(f"{seed}/{number}")
        for _ in range(30):
            with log.hospital.database.writer.connect() as connection:
                for _ in range(random.randint(1, 8)):
                    add(connection, pattern)
                    if random.random() < 0.05:
                        connection.execute(text("SELECT pg_sleep(0.03)"))
                if random.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        sealing = pool.submit(log.sealer.run, stop)
        for done in [pool.submit(write, number) for number in range(WRITERS)]:
            done.result()
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with log.hospital.database.read_only() as connection:
                if set(numbers(connection)) == committed(log):
                    break
            time.sleep(0.05)
        stop.set()
        sealing.result()
    with log.hospital.database.read_only() as connection:
        assert set(numbers(connection)) == committed(log)
    holds(log)


def test_what_is_sealed_answers_the_same_while_others_write(log: Sealed) -> None:
    """
    Pages up to a number that is sealed are the same for ever, whatever is written beside.
    """
    log.grow(40)
    through = 41
    log.seal(through)
    pattern, stop = log.pattern(), Event()

    def write() -> None:
        while not stop.is_set():
            log.hospital.database.run(lambda connection: add(connection, pattern))

    def walked() -> list[tuple[int | None, UUID]]:
        found, where = [], Where(limit=7)
        while True:
            with log.hospital.database.read_only() as connection:
                query = AuditQuery(source="CT_A", through=through)
                page = views_audit.events(connection, query, where)
            found += [(each.number, each.id) for each in page.items]
            if page.next is None:
                return found
            where = Where(limit=7, cursor=page.next)

    first = walked()
    with ThreadPoolExecutor(5) as pool:
        writers = [pool.submit(write) for _ in range(4)]
        sealing = pool.submit(log.sealer.run, stop)
        again = [walked() for _ in range(10)]
        stop.set()
        for each in (*writers, sealing):
            each.result()
    assert len(first) == through
    assert all(each == first for each in again)


def test_a_transaction_that_holds_the_log_up_is_named(
    log: Sealed, caplog: pytest.LogCaptureFixture
) -> None:
    """
    What waits for too long to be sealed is said, with the process whose fault it is; by
    the doctor and the metrics too.
    """
    log.seal(1)
    pattern, stop = log.pattern(), Event()
    late = sealer_of(log.hospital)
    late.clock = lambda: clock() + timedelta(hours=1)
    log.sealer = late
    with log.hospital.database.writer.begin() as slow, ThreadPoolExecutor(1) as pool:
        add(slow, pattern)
        pid = slow.execute(text("SELECT pg_backend_pid()")).scalar_one()
        log.grow(2)
        sealing = pool.submit(late.run, stop)
        deadline = time.monotonic() + SECONDS
        while f"of_process={pid}" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
        doctor = Doctor(log.hospital.database, log.hospital.storage, late.clock)
        found = {each.code: each for each in doctor.findings()}
        figures = Metrics(log.hospital.database).exposition().decode()
        stop.set()
        sealing.result()
    assert "seal=late unsealed=2 seconds=36" in caplog.text
    assert str(pid) in found["unsealed-events"].advice
    assert "reconcile_sealed_events 1.0" in figures
    assert "reconcile_unsealed_events 2.0" in figures


def test_it_waits_after_a_batch_that_is_not_full(
    log: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch costs the same whatever is in it; what fills several is sealed at once."""
    done: list[int | None] = []  # of how many events a batch was; None: it waited
    real, stop = log.sealer.batch, Event()

    def batch(connection: Connection) -> int:
        done.append(real(connection))
        return done[-1] or 0

    def wait(_: float) -> None:
        done.append(None)
        time.sleep(0.01)

    monkeypatch.setattr(log.sealer, "batch", batch)
    monkeypatch.setattr(stop, "wait", wait)
    log.sealer.batch_max = 3
    log.grow(6)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(log.sealer.run, stop)
        assert eventually(lambda: sum(filter(None, done)) == 7, SECONDS)
        log.grow(1)
        assert eventually(lambda: sum(filter(None, done)) == 8, SECONDS)
        stop.set()
        running.result(SECONDS)
    followed = list(pairwise(done))
    assert (3, 3) in followed
    assert {then for batch, then in followed if batch in {0, 1, 2}} == {None}


def test_what_is_sealed_is_not_read_again(
    log: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the events of one transaction have exactly filled a batch."""
    log.seal(1)
    log.grow(4)
    log.sealer.batch_max = 4
    read: list[int] = []
    real = seal.unsealed

    def unsealed(connection: Connection, since: str, limit: int) -> list[seal.Unsealed]:
        scanned = text(
            "SELECT count(*) FROM coercion_event WHERE xid >= CAST(:since AS xid8)"
        )
        read.append(connection.execute(scanned, {"since": since}).scalar_one())
        return real(connection, since, limit)

    monkeypatch.setattr(seal, "unsealed", unsealed)
    with log.hospital.database.session() as connection:
        with connection.begin():
            assert seal.hold(connection)
        assert eventually(lambda: log.sealer.batch(connection) == 4, SECONDS)
        # Once more it may have to look; then it knows.
        assert eventually(
            lambda: not log.sealer.batch(connection) and not read[-1], SECONDS
        )


def test_one_seals_at_a_time(log: Sealed) -> None:
    """
    A second sealer waits for its turn, which comes when the first one's session ends.
    """
    second = sealer_of(log.hospital)
    with log.hospital.database.session() as first:
        with first.begin():
            assert seal.hold(first)
        with pytest.raises(ServiceUnavailable):
            second.seal_all()
    Sealed(log.hospital, second).seal(1)


@pytest.mark.parametrize("lost", ["checkpoint", "everything"])
def test_what_a_crash_cut_off_is_written_again(log: Sealed, lost: str) -> None:
    """
    Rows commit before tiles are written: what is missing is made again from the rows.
    """
    root = log.hospital.storage.tiles.root
    log.seal(1)
    before = (root / "checkpoint").read_bytes()
    log.grow(300)
    log.seal(301)
    if lost == "checkpoint":
        (root / "checkpoint").write_bytes(before)
    else:
        for file in root.rglob("*"):
            if file.is_file():
                file.unlink()
    log.grow(1)
    again = Sealed(log.hospital, sealer_of(log.hospital))
    again.seal(302)
    published = log.hospital.storage.tiles.published()
    assert published is not None
    assert published.checkpoint.size == 302
    with again.hospital.database.read_only() as connection:
        assert len(numbers(connection)) == 302


def test_nothing_is_signed_that_does_not_go_on_from_what_was_published(
    log: Sealed, database_urls: Urls
) -> None:
    """
    A database that is behind its published log, as an old dump is, is not sealed on.
    """
    log.grow(5)
    log.seal(6)
    with log.hospital.database.session() as connection, connection.begin():
        row = seal.checkpoint(connection, 6)
    assert row is not None
    behind = log.sealer.tiles.published()
    assert behind is not None
    other = str(behind).replace("\n6\n", "\n7\n")
    log.hospital.storage.tiles.publish(other)
    with pytest.raises(LogForked):
        sealer_of(log.hospital).seal_all()


def test_after_a_restore_transaction_ids_begin_anew(
    log: Sealed, cluster, database_urls: Urls
) -> None:
    """
    Another server counts transactions from the start: what the dump held unsealed and
    what comes after it are sealed, and it is said that the log was anchored anew.
    """
    log.seal(1)
    log.grow(4)
    name = database_urls.owner.rpartition("/")[2].partition("?")[0]
    with cluster.connect(name) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE seal_anchor SET cluster = 'another'")
        connection.execute("UPDATE seal_checkpoint SET watermark = '9000000000000'")
        connection.execute("UPDATE coercion_event SET xid = '8999999999999'")
    log.grow(2)
    again = Sealed(log.hospital, sealer_of(log.hospital, batch_max=3))
    again.seal(7)
    log.grow(2)
    again.seal(9)
    with log.hospital.database.read_only() as connection:
        anchors = connection.execute(text("SELECT size FROM seal_anchor ORDER BY id"))
        assert list(anchors.scalars()) == [1, 7]
    holds(again)
