"""Associations are remembered: by the door, in the registry, for who asks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.db import views_associations
from reconcile.db.database import Database
from reconcile.db.embedded import Urls
from reconcile.db.views import Where
from reconcile.db.views_associations import Association, Wanted
from reconcile.dicom.acceptor import DicomDoor, listen
from reconcile.dicom.limits import Limits
from reconcile.dicom.policy import Peer, Policy
from reconcile.errors import NotFound, ServiceUnavailable, SOPInstanceMismatch
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.associations import AssociationLog, Ended, forget
from reconcile.flows.settling import Answer
from tests.support.archive import http_door
from tests.support.door import PEERS, eventually, instance, scu
from tests.support.hospital import Hospital

NOW = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)


@pytest.fixture
def database(database_urls: Urls) -> Iterator[Database]:
    opened = Database(database_urls.writer, database_urls.reader)
    yield opened
    opened.close()


class Doorway:
    """A door that tells what ended; every second arrival is refused."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.told: list[Ended] = []
        self.arrivals = 0
        elsewhere = Peer(PEERS["CT_A"].source, "10.0.0.0/8")
        shown = Peer(PEERS["CT_A"].source, certificate="ct-b")
        peers = {**PEERS, "CT_FAR": elsewhere, "CT_BARE": shown}
        self.door = DicomDoor(
            Policy("RECONCILE", peers.get),
            self.submit,
            folder,
            limits,
            ended=self.told.append,
        )
        listening = listen("127.0.0.1", 0)
        self.port = listening.getsockname()[1]
        self.door.serve(listening)

    def submit(self, _: Arrival, answer: Answer) -> None:
        self.arrivals += 1
        odd = self.arrivals % 2
        answer(Stored() if odd else SOPInstanceMismatch("another UID"))

    def next(self) -> Ended:
        assert eventually(lambda: bool(self.told))
        return self.told.pop(0)


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Doorway]:
    opened = Doorway(tmp_path)
    yield opened
    opened.door.stop(grace=0.2)


def associate(way: Doorway, title: str = "CT_A", called: str = "RECONCILE"):
    return scu(title=title).associate("127.0.0.1", way.port, ae_title=called)


def one_of_each(way: Doorway) -> Ended | None:
    """What is told of two kinds of requests; None: the peer lost a response.

    pynetdicom's own thread may take one that the sender waits for.
    """
    way.arrivals = 0
    association = associate(way)
    association.dimse_timeout = association.acse_timeout = 5
    for number in range(3):
        association.send_c_store(instance(f"1.2.3.{number}"))
    answered = bool(association.send_c_echo())
    association.release()
    told = way.next()
    return told if answered and association.is_released else None


def test_what_was_done_is_counted_by_status(way: Doorway) -> None:
    """Services with their statuses, contexts, titles and address; it was released."""
    told = next(ended for ended in (one_of_each(way) for _ in range(3)) if ended)
    assert (told.outcome, told.reason) == ("released", "")
    assert (told.calling, told.called, told.address) == ("CT_A", "RECONCILE", "127.0.0.1")
    assert (told.proposed, told.accepted, told.tls) == (2, 2, False)
    assert told.services == {"C-STORE": {"0000": 2, "A901": 1}, "C-ECHO": {"0000": 1}}
    assert told.seconds > 0


@pytest.mark.parametrize(
    ("title", "called", "reason"),
    [
        ("NOBODY", "RECONCILE", "calling AE title not recognised"),
        ("CT_A", "PACS", "called AE title not recognised"),
        ("CT_FAR", "RECONCILE", "calling AE title not recognised at this address"),
        ("CT_BARE", "RECONCILE", "calling AE title not recognised by certificate"),
    ],
)
def test_who_is_rejected_is_told_of_with_the_reason(
    way: Doorway, title: str, called: str, reason: str
) -> None:
    """That is what people look for."""
    assert not associate(way, title, called).is_established
    told = way.next()
    assert (told.outcome, told.reason) == ("rejected", reason)
    assert (told.calling, told.called, told.accepted) == (title, called, 0)


def test_how_else_it_ends(way: Doorway) -> None:
    """By an abort, by what is no PDU, by silence of the network, by our own end."""
    associate(way).abort()
    told = way.next()
    assert (told.outcome, told.reason) == ("aborted", "by the peer")

    with closing(socket.create_connection(("127.0.0.1", way.port))) as line:
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        told = way.next()
    assert told.outcome == "aborted"
    assert told.reason
    assert told.calling == ""

    association = associate(way)
    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    told = way.next()
    assert (told.outcome, told.calling) == ("lost", "CT_A")

    associate(way)
    way.door.stop(grace=0.2)
    told = way.next()
    assert (told.outcome, told.reason) == ("aborted", "the archive stops")


def test_a_connection_without_a_question_is_none(way: Doorway) -> None:
    """Whoever only looks whether the port is open leaves no row."""
    socket.create_connection(("127.0.0.1", way.port)).close()
    associate(way).release()
    assert way.next().outcome == "released"
    assert way.told == []


def test_one_too_many_is_told_of(tmp_path: Path) -> None:
    """By the address alone, or with its AE title where it could still ask."""
    way = Doorway(tmp_path, Limits(associations=1, associations_per_peer=1))
    first = associate(way)
    assert not associate(way).is_established
    told = way.next()
    assert (told.outcome, told.address) == ("rejected", "127.0.0.1")
    assert told.reason in ("local limit exceeded", "too many connections")
    first.release()
    way.door.stop(grace=0.2)


# -- Written down, and asked for --------------------------------------------------------


def written(database: Database, *ended: Ended, at: datetime = NOW) -> None:
    log = AssociationLog(database, lambda: at, seconds=0.01)
    for each in ended:
        log.note(each)
    log.stop()


def some(name: str, outcome: str = "released", reason: str = "", **more: str) -> Ended:
    return Ended(
        name,
        outcome,
        reason,
        more.get("address", "10.1.2.3"),
        2.5,
        more.get("calling", "CT_A"),
        "RECONCILE",
        services={"C-STORE": {"0000": 2}},
    )


def found(database: Database, limit: int = 100, **wanted: object) -> list[Association]:
    with database.read_only() as connection:
        page = views_associations.associations(
            connection,
            Where(limit),
            Wanted(**wanted),  # type: ignore[arg-type]
        )
    return list(page.items)


def test_they_are_asked_for_by_title_address_outcome_and_time(database: Database) -> None:
    """The last first; what a peer says of itself may be anything."""
    refused = some("a-2", "rejected", "calling AE title not recognised", calling="X\0\n")
    written(database, some("a-1"), refused, some("a-3", address="10.1.2.4"))
    assert [each.name for each in found(database)] == ["a-3", "a-2", "a-1"]
    assert [each.name for each in found(database, ae="CT_A")] == ["a-3", "a-1"]
    assert [each.name for each in found(database, address="10.1.2.4")] == ["a-3"]
    [one] = found(database, outcome="rejected")
    assert (one.calling, one.ended_at, one.ended_at - one.began_at) == (
        "X??",
        NOW,
        timedelta(seconds=2.5),
    )
    assert found(database, since=NOW) == []
    assert len(found(database, until=NOW)) == 3
    with database.read_only() as connection:
        assert views_associations.one(connection, "a-1").services == {
            "C-STORE": {"0000": 2}
        }
        assert views_associations.one(connection, str(one.id)) == one
        with pytest.raises(NotFound):
            views_associations.one(connection, "a-9")


def test_old_ones_go_and_no_others(database: Database) -> None:
    """By age, and beyond a number the oldest."""
    written(database, some("old"), at=NOW - timedelta(days=31))
    written(database, *(some(f"new-{number}") for number in range(5)))
    assert forget(database, NOW - timedelta(days=30)) == 1
    assert forget(database, NOW - timedelta(days=30), most=3) == 2
    assert [each.name for each in found(database)] == ["new-4", "new-3", "new-2"]


def test_while_the_database_is_away_they_wait(database: Database) -> None:
    """What could not be written is written later, in its order."""
    away = SimpleNamespace(gone=True)

    class Sometimes:
        def run(self, step):
            if away.gone:
                away.gone = False
                raise ServiceUnavailable("the database is away")
            return database.run(step)

    log = AssociationLog(Sometimes(), lambda: NOW, seconds=0.01)  # type: ignore[arg-type]
    log.note(some("a-1"))
    log.note(some("a-2"))
    assert eventually(lambda: len(found(database)) == 2)
    log.stop()
    assert [each.name for each in found(database)] == ["a-2", "a-1"]


def test_over_http_and_on_the_command_line(database_urls: Urls, tmp_path: Path) -> None:
    """The same rows, page by page; exit code 1 where there is none."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    refused = some("a-2", "rejected", "calling AE title not recognised", calling="CT_X")
    written(hospital.database, some("a-1"), refused)
    with http_door(hospital) as client:
        path = "/api/v1/associations"
        page = client.get(path, params={"limit": 1}).json()
        assert [each["name"] for each in page["items"]] == ["a-2"]
        rest = client.get(path, params={"cursor": page["next"]}).json()
        assert [each["name"] for each in rest["items"]] == ["a-1"]
        assert client.get(f"{path}/a-1").json() == rest["items"][0]
        assert client.get(f"{path}/a-9").status_code == 404
        assert client.get(path, params={"from": "yesterday"}).status_code == 400
    hospital.database.close()

    def run(*words: str):
        environment = {
            "RECONCILE_DATABASE_URL": database_urls.writer,
            "RECONCILE_DATABASE_READER_URL": database_urls.reader,
        }
        return CliRunner().invoke(
            app, ["association", *words, "--data", str(tmp_path)], env=environment
        )

    told = run("list", "--outcome", "rejected")
    assert told.exit_code == 0, told.output
    assert "CT_X -> RECONCILE  10.1.2.3: calling AE title not recognised" in told.stdout
    shown = run("show", "a-1").stdout
    assert "C-STORE: 0000 x 2" in shown
    assert run("list", "--ae", "NOBODY").exit_code == 1
