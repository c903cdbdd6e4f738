"""People and systems are told: over real sockets, of what a real registry holds."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from reconcile.db import events, outbox, telling
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.db.events import Happening
from reconcile.db.ids import uuid7
from reconcile.db.outbox import notification
from reconcile.db.views import Where
from reconcile.db.views_outbox import Notification, notifications, untold
from reconcile.dicom.availability import availability
from reconcile.flows.doctor import Doctor
from reconcile.flows.notify import (
    ATTEMPTS_MAX,
    AVAILABILITY,
    BACKOFF_MAX,
    LEASE,
    Notice,
    NotifyFlow,
    NotTold,
    Target,
    backoff,
)
from reconcile.web.mail import Server, mail
from reconcile.web.webhook import signature, webhook
from tests.support.archive import http_door
from tests.support.certificates import server_and_client
from tests.support.hospital import CT_A, JANE, RICHARD, Hospital
from tests.support.instances import instance, uid
from tests.support.listening import availability_scp, mail_server, web_server

MINUTE = timedelta(minutes=1)
BEFORE_ALL = Event()


class Clock:
    """The time of whoever tells; `ahead` of that of the rows."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A")
    hospital.patient(RICHARD, "200^^^A")
    yield hospital
    hospital.database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def flow(hospital: Hospital, clock: Clock, *targets: Target) -> NotifyFlow:
    """Begun, and not yet looked."""
    begun = NotifyFlow(
        hospital.database, targets, clock, timedelta(seconds=60), "https://pacs.example"
    )
    begun.start()
    return begun


def rounds(of: NotifyFlow, most: int = 20) -> None:
    """Until there is nothing more to do at once."""
    for _ in range(most):
        if not of.round(BEFORE_ALL):
            return
    raise AssertionError("it goes on and on")


def rounds_until(of: NotifyFlow, holds: Callable[[], bool]) -> None:
    """Rounds, until something holds: what changed is told when all transactions of the
    server that are older have ended, those of other tests too.
    """
    deadline = time.monotonic() + 240
    while not holds() and time.monotonic() < deadline:
        rounds(of)
        time.sleep(0.05)
    rounds(of)


def wait_for_neighbours(hospital: Hospital) -> None:
    """Until every transaction of the server that runs now has ended, also of other tests:
    what is newer than the oldest of them would count as new.
    """
    now = text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
    oldest = text(
        "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
    )
    with hospital.database.writer.begin() as connection:
        until = connection.execute(now).scalar_one()
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with hospital.database.read_only() as connection:
            if connection.execute(oldest).scalar_one() > until:
                return
        time.sleep(0.05)
    raise AssertionError("a transaction of a neighbour does not end")


def rows(hospital: Hospital) -> list[Notification]:
    with hospital.database.read_only() as connection:
        found = notifications(connection, Where(1000)).items
    return list(reversed(found))


def hold_one(hospital: Hospital, patient: str = "200") -> str:
    """A study that contradicts its patient; its UID as received."""
    held = instance(
        PatientID=patient, PatientName="OTHER^BODY", PatientBirthDate="20010101"
    )
    hospital.store(held, CT_A)
    return str(held.StudyInstanceUID)


def change(hospital: Hospital, *study_uids: str) -> None:
    """What a late message does: one event for each study, in one happening."""

    def step(connection: Any) -> None:
        now = datetime.now(UTC)
        happening = events.happen(connection, Happening("adt-a40", "1", "RIS", "", now))
        s = t.study.c
        found = select(s.id).where(s.study_instance_uid.in_(study_uids))
        for position, study_id in enumerate(connection.execute(found).scalars(), 1000):
            event = {
                "id": uuid7(),
                "position": position + connection.execute(_NEXT).scalar_one(),
                "happening_id": happening,
                "level": "study",
                "study_id": study_id,
                "revision": 1,
                "reason": "CORRECT",
                "source": "RIS",
                "attributes": ["PatientID"],
                "body_version": 1,
                "body": b"{}",
            }
            connection.execute(insert(h.coercion_event).values(event))

    hospital.database.run(step)


_NEXT = text("SELECT 1000 * nextval('coercion_event_position')")


# -- Items --------------------------------------------------------------------------


def test_a_webhook_is_told_of_a_hold_once_and_signed(
    hospital: Hospital, clock: Clock, tmp_path: Path
) -> None:
    """One POST of numbers and codes; its signature is the HMAC of its body."""
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    with web_server() as heard:
        target = Target(
            "ops",
            frozenset({"hold"}),
            webhook(heard.url, str(secret)),
            ("DEMOGRAPHIC-CONFLICT",),
        )
        telling_all = flow(hospital, clock, target)
        study = hold_one(hospital)
        for _ in range(3):
            rounds(telling_all)
        [(headers, body)] = heard.requests

    told = json.loads(body)
    assert headers["X-Reconcile-Signature"] == signature(b"s3cret", body)
    assert headers["X-Reconcile-Notification"] == told["id"]
    assert (told["event"], told["code"]) == ("hold", "DEMOGRAPHIC-CONFLICT")
    assert (told["study_instance_uid"], told["age_minutes"]) == (study, 0)
    assert told["link"] == f"https://pacs.example/api/v1/holds/{told['item']}"
    for secret_of_a_patient in (b"OTHER", b"BODY", b"2001", b'"200"'):
        assert secret_of_a_patient not in body
    assert [row.state for row in rows(hospital)] == ["sent"]


def test_codes_kinds_and_age_choose_what_is_told(hospital: Hospital, clock: Clock) -> None:
    """Other codes and kinds are not told; an escalation is told when it is time."""
    heard: list[tuple[str, int | None]] = []

    def target(name: str, *codes: str, kind: str = "hold", after: int = 0) -> Target:
        def send(notice: Notice) -> None:
            heard.append((name, notice.age_minutes))

        return Target(name, frozenset({kind}), send, codes, after * MINUTE)

    telling_all = flow(
        hospital,
        clock,
        target("first"),
        target("others", "NO-IDENTITY"),
        target("reviews", kind="review"),
        target("chief", after=30),
    )
    hold_one(hospital)
    rounds(telling_all)
    assert heard == [("first", 0)]
    clock.ahead = 29 * MINUTE
    rounds(telling_all)
    assert heard == [("first", 0)]
    clock.ahead = 31 * MINUTE
    rounds(telling_all)
    assert heard == [("first", 0), ("chief", 31)]
    clock.ahead = timedelta(0)  # the clock is set back: what comes now is told all the same
    hold_one(hospital)
    rounds(telling_all)
    assert [name for name, _ in heard] == ["first", "chief", "first"]


def test_an_item_that_was_closed_before_its_time_is_not_told(
    hospital: Hospital, clock: Clock
) -> None:
    """Neither the escalation nor the repetition of what nobody waits for any more."""
    heard: list[int] = []

    def send(notice: Notice) -> None:
        heard.append(notice.repetition)

    kinds = frozenset({"hold"})
    telling_all = flow(
        hospital,
        clock,
        Target("again", kinds, send, repeat=10 * MINUTE),
        Target("chief", kinds, send, after=60 * MINUTE),
    )
    hold_one(hospital)
    rounds(telling_all)
    for minutes in (5, 11, 22):
        clock.ahead = minutes * MINUTE
        rounds(telling_all)
    assert heard == [0, 1, 2]

    closed = text("UPDATE hold SET state = 'closed', closed_at = now()")
    hospital.database.run(lambda connection: connection.execute(closed))
    clock.ahead = 90 * MINUTE
    rounds(telling_all)
    assert heard == [0, 1, 2]
    assert [row.state for row in rows(hospital)] == ["sent", "sent", "sent", "dropped"]


def test_who_is_new_is_told_of_all_that_is_open(hospital: Hospital, clock: Clock) -> None:
    """A target that is named later, or wants other codes, misses nothing; once each."""
    heard: list[str] = []

    def target(*codes: str) -> Target:
        return Target(
            "ops", frozenset({"hold"}), lambda n: heard.append(str(n.item)), codes
        )

    hold_one(hospital)
    hold_one(hospital)
    rounds(flow(hospital, clock, target("DEMOGRAPHIC-CONFLICT")))
    assert len(heard) == 2
    rounds(flow(hospital, clock, target()))
    assert len(heard) == 2


def test_more_items_than_fit_into_one_look_are_told(
    hospital: Hospital, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look goes on where the last one ended."""
    monkeypatch.setattr(telling, "BATCH", 3)
    for _ in range(8):
        hold_one(hospital)
    heard: list[str] = []
    target = Target(
        "ops", frozenset({"hold"}), lambda notice: heard.append(str(notice.item))
    )
    telling_all = flow(hospital, clock, target)
    for seconds in range(0, 60, 5):
        clock.ahead = timedelta(seconds=seconds)
        rounds(telling_all)
    assert len(heard) == len(set(heard)) == 8


def test_an_item_whose_transaction_is_slow_is_told(
    hospital: Hospital, clock: Clock
) -> None:
    """Its id is older than what was looked at since, and it is seen later."""
    heard: list[str] = []
    target = Target("ops", frozenset({"hold"}), lambda n: heard.append(str(n.code)))
    telling_all = flow(hospital, clock, target)
    hold_one(hospital)
    with hospital.database.writer.begin() as slow:
        happening = events.happen(slow, Happening("x", "", "", "", clock()))
        late = {"id": uuid7(), "kind": "hold", "code": "LATE", "subject": "", "source": ""}
        slow.execute(insert(t.hold).values(**late, happening_id=happening))
        clock.ahead = 5 * MINUTE
        rounds(telling_all)
        assert heard == ["DEMOGRAPHIC-CONFLICT"]
    clock.ahead = 10 * MINUTE
    rounds(telling_all)
    assert heard == ["DEMOGRAPHIC-CONFLICT", "LATE"]


# -- Studies ------------------------------------------------------------------------


def test_a_study_is_received_when_nothing_has_come_for_a_while(
    hospital: Hospital, clock: Clock
) -> None:
    """Told once with all its instances; once more, when some came later."""
    heard: list[tuple[str | None, int | None]] = []
    target = Target(
        "ris",
        frozenset({"study-received"}),
        lambda notice: heard.append((notice.study_instance_uid, notice.instances)),
    )
    telling_all = flow(hospital, clock, target)
    study, series = uid(), uid()
    image = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    for _ in range(3):
        hospital.store(instance(**image))
    rounds(telling_all)
    clock.ahead = timedelta(seconds=50)
    rounds(telling_all)
    assert heard == []
    clock.ahead = timedelta(seconds=70)
    rounds(telling_all)
    rounds(telling_all)
    assert heard == [(study, 3)]

    clock.ahead = timedelta(0)
    hospital.store(instance(**image))
    rounds(telling_all)
    clock.ahead = timedelta(seconds=70)
    rounds(telling_all)
    assert heard == [(study, 3), (study, 4)]
    assert not telling_all.round(BEFORE_ALL)


def test_a_study_that_changed_is_told_once_a_happening(
    hospital: Hospital, clock: Clock
) -> None:
    """Found by the number of its transaction: what commits later is not missed."""
    heard: list[tuple[str, str | None]] = []
    target = Target(
        "ris",
        frozenset({"study-changed"}),
        lambda notice: heard.append((notice.event, notice.study_instance_uid)),
    )
    studies = sorted(uid() for _ in range(3))
    for study in studies:
        hospital.store(instance(StudyInstanceUID=study))
    change(hospital, studies[0])  # before anybody wanted to know
    wait_for_neighbours(hospital)
    telling_all = flow(hospital, clock, target)
    change(hospital, *studies[:2])
    rounds_until(telling_all, lambda: len(heard) == 2)
    assert sorted(heard) == [("study-changed", study) for study in studies[:2]]

    with hospital.database.writer.begin() as slow:
        slow.execute(text("SELECT pg_current_xact_id()"))
        change(hospital, studies[2])
        rounds(telling_all)
        assert len(heard) == 2
    rounds_until(telling_all, lambda: len(heard) == 3)
    assert heard[2:] == [("study-changed", studies[2])]


def test_what_is_taken_back_is_told_though_it_makes_no_event(
    hospital: Hospital, clock: Clock
) -> None:
    """Once, as a happening of its own."""
    heard: list[str | None] = []
    target = Target(
        "ris",
        frozenset({"study-changed"}),
        lambda notice: heard.append(notice.study_instance_uid),
    )
    study = uid()
    hospital.store(instance(StudyInstanceUID=study))
    change(hospital, study)
    wait_for_neighbours(hospital)
    telling_all = flow(hospital, clock, target)
    g = h.happening.c

    def take_back(connection: Any) -> None:
        newest = select(g.id).where(g.cause == "adt-a40").order_by(g.id.desc()).limit(1)
        undone = connection.execute(newest).scalar_one()
        now = datetime.now(UTC)
        events.happen(connection, Happening("undo", "1", "local", "", now, undoes=undone))

    hospital.database.run(take_back)
    rounds_until(telling_all, lambda: heard == [study])
    rounds(telling_all)
    assert heard == [study]


def test_a_restored_database_counts_anew(hospital: Hospital, clock: Clock) -> None:
    """A place that no transaction has reached yet is left for the newest."""
    heard: list[str | None] = []
    target = Target(
        "ris",
        frozenset({"study-changed"}),
        lambda notice: heard.append(notice.study_instance_uid),
    )
    telling_all = flow(hospital, clock, target)
    far = f"{2**40}:{uuid7()}"
    hospital.database.run(lambda c: telling.move(c, telling.CHANGES, far))
    telling_all.look()
    study = uid()
    hospital.store(instance(StudyInstanceUID=study))
    change(hospital, study)
    rounds_until(telling_all, lambda: heard == [study])
    assert heard == [study]


def test_a_peer_learns_which_instances_it_can_have(
    hospital: Hospital, clock: Clock
) -> None:
    """N-CREATE with the attributes of Table R.3.2-1 and no other, by UIDs as given out."""
    with availability_scp() as peer:
        send = availability(
            "127.0.0.1", peer.port, called="WORKFLOW", calling="RECONCILE", uid_root="2.25"
        )
        target = Target("WORKFLOW", frozenset({AVAILABILITY}), send)
        telling_all = flow(hospital, clock, target)
        study, series = uid(), [uid(), uid()]
        for each in (*series, series[0]):
            hospital.store(instance(StudyInstanceUID=study, SeriesInstanceUID=each))
        clock.ahead = 2 * MINUTE
        rounds(telling_all)
        change(hospital, study)
        peer.status = 0x0111  # it has it already: an answer was lost
        rounds_until(telling_all, lambda: len(peer.told) == 2)
        told = list(peer.told)

    [(created, said), (again, _)] = told
    assert created != again
    assert created.startswith("2.25.")
    assert said.StudyInstanceUID == study
    assert list(said.ReferencedPerformedProcedureStepSequence) == []
    counts = {
        item.SeriesInstanceUID: len(item.ReferencedSOPSequence)
        for item in said.ReferencedSeriesSequence
    }
    assert counts == {series[0]: 2, series[1]: 1}
    of_instance = said.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert of_instance.InstanceAvailability == "ONLINE"
    assert of_instance.RetrieveAETitle == "RECONCILE"
    keywords = {element.keyword for element in said.iterall()}
    assert not {word for word in keywords if "Patient" in word or "Accession" in word}
    assert [row.state for row in rows(hospital)] == ["sent", "sent"]


# -- When it does not work ----------------------------------------------------------


def test_a_target_that_is_away_is_told_later_and_given_up_at_last(
    hospital: Hospital, clock: Clock
) -> None:
    """Ever more seldom; the doctor says so; trying again is asked for by hand."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    target = Target("ops", frozenset({"hold"}), webhook(f"http://127.0.0.1:{port}/"))
    telling_all = flow(hospital, clock, target)
    hold_one(hospital)
    hold_one(hospital)
    doctor = Doctor(hospital.database, hospital.storage, clock)
    said = []
    for _ in range(ATTEMPTS_MAX):
        rounds(telling_all)
        clock.ahead += BACKOFF_MAX + MINUTE
        said += findings(doctor)
    expected = ["target-unreachable"] * (ATTEMPTS_MAX - 1) + ["notification-given-up"]
    assert said == expected
    assert {(row.state, row.attempts) for row in rows(hospital)} == {
        ("given-up", ATTEMPTS_MAX)
    }
    assert {row.error for row in rows(hospital)} == {"no answer: ConnectionRefusedError"}

    first = rows(hospital)[0]
    with http_door(hospital) as client:
        metrics = client.get("/metrics").text
        assert 'reconcile_notifications{state="given-up",target="ops"} 2.0' in metrics
        listed = client.get("/api/v1/notifications", params={"state": "given-up"}).json()
        assert {each["target"] for each in listed["items"]} == {"ops"}
        path = f"/api/v1/notifications/{first.id}/retry"
        assert client.post(path).json() == {"retried": 1}
        assert client.post("/api/v1/notifications/none/retry").status_code == 404
        gone = f"/api/v1/notifications/{uuid7()}/retry"
        assert client.post(gone).status_code == 404
    heard: list[str] = []
    back = Target("ops", frozenset({"hold"}), lambda notice: heard.append(str(notice.id)))
    rounds(flow(hospital, clock, back))
    assert heard == [str(first.id)]
    with http_door(hospital) as client:
        assert client.post(path).json() == {"retried": 0}


def findings(doctor: Doctor) -> list[str]:
    """What it says of telling."""
    wanted = ("target-unreachable", "notification-given-up")
    return [each.code for each in doctor.findings() if each.code in wanted]


def test_one_that_is_refused_keeps_nobody_waiting(hospital: Hospital, clock: Clock) -> None:
    """A 500 for one is no reason not to send the next; a redirect is not followed."""
    with web_server() as heard, web_server() as elsewhere:
        heard.answers = lambda n: 500 if n == 1 else 307 if n == 2 else 200
        heard.location = elsewhere.url
        target = Target("ops", frozenset({"hold"}), webhook(heard.url))
        telling_all = flow(hospital, clock, target)
        for _ in range(3):
            hold_one(hospital)
        rounds(telling_all)
        assert [(row.state, row.error) for row in rows(hospital)] == [
            ("waiting", "answered 500"),
            ("waiting", "answered 307, and redirects are not followed"),
            ("sent", ""),
        ]
        clock.ahead = MINUTE
        rounds(telling_all)
        assert {row.state for row in rows(hospital)} == {"sent"}
        ids = [headers["X-Reconcile-Notification"] for headers, _ in heard.requests]
        assert ids[:2] == ids[3:]
        assert elsewhere.requests == []


def test_who_dies_between_telling_and_writing_it_down_tells_again(
    hospital: Hospital, clock: Clock
) -> None:
    """At least once: what was taken is due again when its lease is over, with one id."""

    class Killed(BaseException):
        """As kill -9 would."""

    heard: list[str] = []

    def send(notice: Notice) -> None:
        heard.append(str(notice.id))
        if len(heard) == 1:
            raise Killed

    target = Target("ops", frozenset({"hold"}), send)
    telling_all = flow(hospital, clock, target)
    hold_one(hospital)
    with pytest.raises(Killed):
        telling_all.round(BEFORE_ALL)
    rounds(flow(hospital, clock, target))
    assert len(heard) == 1
    clock.ahead = LEASE + MINUTE
    rounds(flow(hospital, clock, target))
    rounds(flow(hospital, clock, target))
    assert heard == [heard[0]] * 2


def test_several_who_look_and_tell_at_once_tell_once(
    hospital: Hospital, clock: Clock
) -> None:
    """One looks at a time, and what one has taken no other takes."""
    heard: list[str] = []
    target = Target("ops", frozenset({"hold"}), lambda notice: heard.append(str(notice.id)))
    tellers = [flow(hospital, clock, target) for _ in range(4)]
    for _ in range(30):
        hold_one(hospital)
    threads = [Thread(target=rounds, args=(each,)) for each in tellers]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    rounds(tellers[0])
    assert len(heard) == len(set(heard)) == 30


def test_who_is_to_stop_gives_back_what_it_took(hospital: Hospital, clock: Clock) -> None:
    """SIGTERM: nothing more is sent, and nothing waits for a lease to end."""
    heard: list[str] = []
    stop = Event()

    def send(notice: Notice) -> None:
        heard.append(str(notice.id))
        stop.set()

    target = Target("ops", frozenset({"hold"}), send)
    telling_all = flow(hospital, clock, target)
    for _ in range(3):
        hold_one(hospital)
    telling_all.round(stop)
    assert len(heard) == 1
    assert [(row.state, row.attempts) for row in rows(hospital)][1:] == [("waiting", 0)] * 2
    rounds(telling_all)
    assert len(set(heard)) == len(heard) == 3


def test_what_was_for_somebody_who_is_gone_is_dropped(
    hospital: Hospital, clock: Clock
) -> None:
    """A target that the configuration does not name any more; its places are forgotten."""

    def send(_: Notice) -> None:
        raise NotTold("away", away=True)

    wanted = frozenset({"hold", "study-received"})
    telling_all = flow(hospital, clock, Target("ops", wanted, send))
    hold_one(hospital)
    rounds(telling_all)
    flow(hospital, clock)
    assert [row.state for row in rows(hospital)] == ["dropped"]
    with hospital.database.read_only() as connection:
        assert telling.cursors(connection) == {}
        assert connection.execute(select(telling.arrival)).all() == []
        assert untold(connection) == ()


# -- The ways of telling ------------------------------------------------------------


def notice(**more: Any) -> Notice:
    at = datetime(2026, 3, 1, 10, 12, tzinfo=UTC)
    told: dict[str, Any] = {
        "item": uuid7(),
        "code": "NO-IDENTITY",
        "opened_at": at - 12 * MINUTE,
        "study_instance_uid": "1.2.3",
    }
    return Notice(uuid7(), "hold", "ops", at, "/api/v1/holds/x", **{**told, **more})


def test_a_mail_says_the_same_in_words() -> None:
    """One mail, with an id that stays when it is sent twice."""
    with mail_server() as box:
        server = Server("127.0.0.1", box.port, "archive@example.org", starttls=False)
        said = notice()
        mail(server, "pacs@example.org")(said)
        mail(server, "pacs@example.org")(said)
    first, second = box.letters
    assert first["Message-ID"] == second["Message-ID"] == f"<{said.id}@example.org>"
    assert (first["To"], first["From"]) == ("pacs@example.org", "archive@example.org")
    assert first["Subject"] == "reconcile: A study is held (NO-IDENTITY)"
    text_of_it = first.get_content()
    for needed in ("12 minutes", "1.2.3", str(said.item), said.link, str(said.id)):
        assert needed in text_of_it


def test_a_mail_server_sees_the_password_only_inside_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STARTTLS first, by a certificate that is believed; then the password of its file."""
    server_and_client(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "certificate.pem")
    password = tmp_path / "password"
    password.write_text("pa55\n")
    with mail_server(tls) as box:
        server = Server(
            "127.0.0.1", box.port, "a@example.org", user="us", password_file=str(password)
        )
        with pytest.raises(NotTold):  # nobody has said that this certificate is good
            mail(server, "b@example.org")(notice())
        assert box.letters == []
        assert not [line for line in box.said if line.startswith("AUTH")]
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        mail(server, "b@example.org")(notice())
    assert len(box.letters) == 1
    verbs = [line.split()[0].upper() for line in box.said]
    assert verbs.index("STARTTLS") < verbs.index("AUTH")


def test_a_mail_that_is_refused_is_said() -> None:
    """An unknown recipient, and no server at all."""
    with mail_server() as box:
        box.refuses = True
        server = Server("127.0.0.1", box.port, "a@example.org", starttls=False)
        with pytest.raises(NotTold, match="refused the recipient") as refused:
            mail(server, "b@example.org")(notice())
        assert not refused.value.away
        missing = Server("127.0.0.1", box.port, "a@b.org", False, "us", "/nowhere")
        with pytest.raises(NotTold, match="password"):
            mail(missing, "b@example.org")(notice())
    with pytest.raises(NotTold, match="no answer") as away:
        mail(server, "b@example.org")(notice())
    assert away.value.away


def test_https_wants_a_certificate_that_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's certificate: nothing is sent."""
    server_and_client(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "certificate.pem")
    with web_server(tls) as heard:
        with pytest.raises(NotTold, match="SSLCertVerificationError"):
            webhook(heard.url)(notice())
        assert heard.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        webhook(heard.url)(notice())
        [(headers, body)] = heard.requests
    assert "X-Reconcile-Signature" not in headers
    assert json.loads(body)["age_minutes"] == 12


def test_a_secret_that_cannot_be_read_is_no_reason_to_send_unsigned(tmp_path: Path) -> None:
    """Missing or empty: nothing goes out."""
    (tmp_path / "empty").write_text("\n")
    with web_server() as heard:
        for file in ("missing", "empty"):
            with pytest.raises(NotTold, match="secret"):
                webhook(heard.url, str(tmp_path / file))(notice())
    assert heard.requests == []


def test_peers_that_do_not_take_it_are_said() -> None:
    """Another title, another service, a refusal."""
    told = notice(available=(("1.2.3.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.2"),))
    with availability_scp() as peer:
        args = {"calling": "RECONCILE", "uid_root": "2.25"}
        with pytest.raises(NotTold, match="rejected"):
            availability("127.0.0.1", peer.port, called="NOBODY", **args)(told)
        peer.status = 0x0110
        with pytest.raises(NotTold, match="0110") as refused:
            availability("127.0.0.1", peer.port, called="WORKFLOW", **args)(told)
        assert not refused.value.away
    with pytest.raises(NotTold, match="no association"):
        availability("127.0.0.1", peer.port, called="WORKFLOW", **args)(told)


def test_waiting_grows_and_ends() -> None:
    """Twice as long each time, up to six hours; about two days in all."""
    waits = [backoff(n) for n in range(1, ATTEMPTS_MAX)]
    assert waits[:3] == [timedelta(seconds=30), MINUTE, 2 * MINUTE]
    assert waits == sorted(waits)
    assert max(waits) == BACKOFF_MAX
    assert timedelta(days=1) < sum(waits, timedelta(0)) < timedelta(days=3)


def test_the_outbox_takes_a_thing_once(hospital: Hospital, clock: Clock) -> None:
    """By target, kind and what it is about, whoever writes it down."""
    now = clock()
    new = outbox.New("ops", "hold", "1")
    queued = [hospital.database.run(lambda c: outbox.queue(c, [new], now)) for _ in "12"]
    other = outbox.New("chief", "hold", "1")
    queued.append(hospital.database.run(lambda c: outbox.queue(c, [new, other], now)))
    assert queued == [1, 0, 1]
    with hospital.database.read_only() as connection:
        assert len(connection.execute(select(notification.c.id)).all()) == 2
