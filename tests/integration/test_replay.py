"""Messages that are acted on again: by a person, after a crash, after what they wait for.

The HL7 door over a real registry; what it reads comes as bytes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.cli.wiring import Parts, parts, sources
from reconcile.cli.work_hl7 import hl7_door
from reconcile.core.identity import PatientIdentifier
from reconcile.db import domains, views_holds, views_patients
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.db.views import Where
from reconcile.db.views_holds import Message
from reconcile.db.waiting import message_subject
from reconcile.errors import ReconcileError, WrongUse
from reconcile.flows.message import Asked, Outcome
from reconcile.flows.replay import NotReplayable, ReplayFlow
from reconcile.flows.resolve import ResolveFlow, Wanted
from reconcile.hl7.feed import Peer
from reconcile.hl7.message import read_message
from reconcile.settings import load
from reconcile.web.parts import Parts as WebParts
from tests.support.archive import open_door
from tests.support.messages import adt, orm
from tests.support.running import HOSPITAL, REGISTRATION

CLINIC = '\n[[domain]]\nname = "CLINIC9"\n'
OF_CLINIC = HOSPITAL.replace('["A", "E", "T"]', '["A", "E", "T", "CLINIC9"]') + CLINIC
RISKY_HOLD = 'risky_merge = "hold"'
CAREFUL = HOSPITAL.replace(
    'authority = ["A", "E", "T"]', 'authority = ["A", "E", "T"]\nrisky_merge = "hold"'
)
PEER = Peer("192.0.2.1")
STEWARD = Asked("steward", "mended")


@dataclass
class Inbox:
    """The HL7 door of a hospital, which can be configured anew over the same registry."""

    urls: Urls
    folder: Path
    parts: Parts = field(init=False)
    flow: ReplayFlow = field(init=False)
    sent: int = 0

    def configure(self, config: str) -> None:
        file = self.folder / "hospital.toml"
        file.write_text(config, encoding="utf-8")
        made = parts(
            load(file, self.folder, {}), self.urls.writer, self.urls.reader, pool_size=8
        )
        made.database.run(lambda c: domains.keep(c, made.rules.domains.values()))
        self.parts = made
        self.door = hl7_door(made)
        self.flow = ReplayFlow(made.database, self.door.again)

    def send(self, message: str, control_id: str = "") -> Message:
        """What became of a message; its answer is what the inbox says it is."""
        self.sent += 1
        control_id = control_id or f"M{self.sent}"
        raw = message.replace("{id}", control_id).encode()
        answer = read_message(self.door.handle(raw, PEER)).segments[1].field(1)
        found = self.message(control_id)
        assert found.acknowledgement == answer
        return found

    def message(self, control_id: str) -> Message:
        """The newest message of this control id."""
        with self.parts.database.read_only() as connection:
            page = views_holds.messages(connection, Where(1), control_id=control_id)
        return page.items[0]

    def items(self, of: Message, state: str = "open") -> list[str]:
        """Codes of the items of a message."""
        with self.parts.database.read_only() as connection:
            page = views_holds.holds(connection, Where(1000), state=state)
        return [item.code for item in page.items if item.message_id == of.id]

    def item(self, of: Message) -> views_holds.Hold:
        with self.parts.database.read_only() as connection:
            page = views_holds.holds(connection, Where(1000), state="open")
        [found] = [item for item in page.items if item.message_id == of.id]
        return found

    def name(self, identifier: str) -> str:
        """What the owner of an identifier is called; empty: nobody owns it."""
        value, _, domain = identifier.partition("^^^")
        wanted = PatientIdentifier(value, domain)
        with self.parts.database.read_only() as connection:
            found = views_patients.by_identifier(connection, wanted)
        if not found:
            return ""
        names = found[0].demographics.get("00100010", {}).get("Value", [{}])
        return str(names[0].get("Alphabetic", ""))

    def owner(self, identifier: str) -> Any:
        value, _, domain = identifier.partition("^^^")
        with self.parts.database.read_only() as connection:
            [found] = views_patients.by_identifier(
                connection, PatientIdentifier(value, domain)
            )
        return found.id

    def replay(self, of: Message, asked: Asked = STEWARD) -> Outcome:
        return self.flow.replay(str(of.id), asked).outcome

    def resolve(self, of: Message, action: str) -> None:
        flow = ResolveFlow(
            self.parts.store("resolve"), sources(self.parts.settings), self.flow
        )
        item = self.item(of)
        flow.resolve(Wanted(str(item.id), action, "looked at", "steward", item.version))

    def rows(self, query: Any) -> list[Any]:
        with self.parts.database.read_only() as connection:
            return list(connection.execute(query))


@pytest.fixture
def inbox(database_urls: Urls, tmp_path: Path) -> Iterator[Inbox]:
    """The hospital of the scenarios, P1 to P5 registered."""
    made = Inbox(database_urls, tmp_path)
    made.configure(CAREFUL)
    for message in REGISTRATION:
        assert made.send(message).acknowledgement == "AA"
    yield made
    made.parts.database.close()


def a08(
    identifier: str, name: str, birth_date: str, sex: str, at: str, event: str = "A08"
) -> str:
    """An ADT that happened at a time of its own."""
    said = adt(event, identifier, name, birth_date, sex)
    return said.replace(f"EVN|{event}|20260301100000", f"EVN|{event}|{at}")


def a40(surviving: str, prior: str, name: str = "", **more: str) -> str:
    return adt("A40", surviving, name, **more) + f"MRG|{prior}\r"


RISKY = a40("100^^^A", "200^^^A")


# -- Replay ------------------------------------------------------------------------------


def test_row_06_a_message_is_replayed_after_its_domain_is_added(inbox: Inbox) -> None:
    """6: held before, acted on afterwards; its item is closed; the sender is told anew."""
    text = adt("A28", "6^^^CLINIC9", "DOE^JOHN", "19800102")
    held = inbox.send(text, "ROW6")
    assert (held.state, inbox.items(held)) == ("held", ["UNKNOWN-DOMAIN"])
    again = inbox.replay(held)
    assert (again.state, inbox.items(held)) == ("held", ["UNKNOWN-DOMAIN"])
    inbox.parts.database.close()
    inbox.configure(OF_CLINIC)
    assert inbox.replay(held).state == "applied"
    assert inbox.name("6^^^CLINIC9") == "DOE^JOHN"
    assert (inbox.items(held), inbox.items(held, "closed")) == ([], ["UNKNOWN-DOMAIN"])
    repeated = inbox.send(text, "ROW6")
    assert (repeated.id, repeated.state) == (held.id, "applied")


def test_row_10_a_message_of_two_persons_is_replayed_when_they_are_one(
    inbox: Inbox,
) -> None:
    """10: the merge is what mends it."""
    both = adt("A08", "100^^^A~555^^^B", "DOE^JANE", "19800102", "F")
    held = inbox.send(both)
    assert (held.state, inbox.items(held)) == ("held", ["IDENTITY-CONFLICT"])
    assert inbox.send(a40("100^^^A", "200^^^A", sender="EMPI")).state == "applied"
    assert inbox.replay(held).state in ("applied", "already-same")
    assert inbox.items(held) == []
    assert inbox.owner("100^^^A") == inbox.owner("555^^^B")


def test_row_16_a_suspected_overlay_can_be_rejected(inbox: Inbox) -> None:
    """16: nothing is changed; the message stays, refused, and can still be replayed."""
    held = inbox.send(adt("A28", "100^^^A", "OTHER^OTTO", "19991231", "M"))
    assert inbox.items(held) == ["SUSPECTED-OVERLAY"]
    inbox.resolve(held, "reject")
    told = inbox.message(held.control_id)
    assert (told.state, told.acknowledgement) == ("refused", "AA")
    assert (inbox.items(held), inbox.name("100^^^A")) == ([], "DOE^JANE")
    assert inbox.replay(held).state == "held"
    assert inbox.items(held) == ["SUSPECTED-OVERLAY"]


def test_what_was_acted_on_does_nothing_twice(inbox: Inbox) -> None:
    """Nor does what is not there."""
    done = inbox.send(adt("A28", "7^^^A", "ONE^ONCE", "19800102"))
    with pytest.raises(NotReplayable):
        inbox.replay(done)
    for absent in ("nonsense", str(inbox.rows(select(t.person.c.id))[0].id)):
        with pytest.raises(ReconcileError, match="no message"):
            inbox.flow.replay(absent, STEWARD)


def test_a_dry_run_changes_nothing(inbox: Inbox) -> None:
    """It tells what would be done."""
    order = orm("100^^^A", "DOE^JANE", "19800102", "F", accession="ACC1", control="CA")
    refused = inbox.send(order)
    assert refused.state == "refused"
    inbox.send(orm("100^^^A", "DOE^JANE", "19800102", "F", accession="ACC1"))
    before = inbox.message(refused.control_id), happenings(inbox)
    dry = inbox.replay(refused, Asked("steward", "", dry_run=True))
    assert dry.state == "applied"
    assert before == (
        inbox.message(refused.control_id),
        happenings(inbox),
    )
    assert inbox.replay(refused).state == "applied"


def test_an_older_update_that_is_replayed_does_not_overwrite_a_newer_one(
    inbox: Inbox,
) -> None:
    """By when it happened, of one sender; what only it told is still taken."""
    jane, joan = "DOE^JANE ANN", "DOE^JANE SUE"
    both = "100^^^A~555^^^B"
    held = inbox.send(a08(both, jane, "19800102", "F", "20260301110000"))
    inbox.send(a08("100^^^A", joan, "19800102", "F", "20260301120000"))
    inbox.send(a40("100^^^A", "200^^^A", sender="EMPI"))
    assert inbox.replay(held).acknowledgement == "AA"
    assert inbox.name("100^^^A") == joan


def test_of_one_time_what_came_later_stands(inbox: Inbox) -> None:
    """A sender's clock has seconds: whatever is replayed came first all the same."""
    at = "20260301110000"
    held = inbox.send(a08("100^^^A~555^^^B", "DOE^JANE^FIRST", "19800102", "F", at))
    assert held.state == "held"
    inbox.send(a08("100^^^A", "DOE^JANE^SECOND", "19800102", "F", at))
    inbox.send(a40("100^^^A", "200^^^A", sender="EMPI"))
    inbox.replay(held)
    assert inbox.name("100^^^A") == "DOE^JANE^SECOND"


def test_what_is_refused_when_its_wait_is_over_stays_listed(inbox: Inbox) -> None:
    """Its sender was told AA: a person has to know that nothing was done."""
    merge = inbox.send(RISKY)
    waits = inbox.send(
        orm("100^^^A", "DOE^JANE", "19800102", "F", accession="ACC9", control="CA")
    )
    assert (waits.state, waits.acknowledgement) == ("held", "AA")
    inbox.resolve(merge, "reject")
    assert inbox.message(waits.control_id).state == "refused"
    assert inbox.items(waits) == ["REFUSED-LATER"]
    assert inbox.replay(waits).state == "refused"
    assert inbox.items(waits) == ["REFUSED-LATER"]
    inbox.send(orm("100^^^A", "DOE^JANE", "19800102", "F", accession="ACC9"))
    assert inbox.replay(waits).state == "applied"
    assert inbox.items(waits) == []


def test_a_message_without_a_reader_is_left_alone(inbox: Inbox) -> None:
    """Nothing is changed where no door is there, nor where the sender is unknown."""
    held = inbox.send(adt("A28", "6^^^CLINIC9", "DOE^JOHN", "19800102"))
    with pytest.raises(WrongUse):
        ReplayFlow(inbox.parts.database).replay(str(held.id), STEWARD)
    inbox.parts.database.close()
    inbox.configure(HOSPITAL.replace('application = "RIS_A"', 'application = "RIS_Z"'))
    with pytest.raises(ReconcileError, match="sender"):
        inbox.replay(held)
    assert inbox.message(held.control_id) == held


# -- Waiting -----------------------------------------------------------------------------


def test_later_messages_wait_behind_a_held_merge(inbox: Inbox) -> None:
    """On either identifier, of any sender; what speaks of others does not wait."""
    merge = inbox.send(RISKY)
    assert (merge.state, inbox.items(merge)) == ("held", ["RISKY-MERGE"])
    waiting = [
        inbox.send(a08("100^^^A", "DOE^JANE^NEW", "19800102", "F", "20260302100000")),
        inbox.send(
            adt("A08", "200^^^A", "ROE^RICHARD^NEW", "19750506", "M", sender="EMPI")
        ),
        inbox.send(orm("200^^^A", "ROE^RICHARD", "19750506", "M", accession="ACC2")),
    ]
    for each in waiting:
        assert (each.state, each.acknowledgement, each.waits_for) == (
            "held",
            "AA",
            merge.id,
        )
        assert list(each.effects) == [f"waits for message {merge.id}"]
        assert inbox.items(each) == ["WAITING"]
    free = inbox.send(adt("A08", "401^^^A", "KOCH^LEA^MARIA", "20240110", "F"))
    assert free.state == "applied"
    assert inbox.name("100^^^A") == "DOE^JANE"
    assert inbox.replay(waiting[0]).state == "held"
    assert inbox.items(waiting[0]) == ["WAITING"]


def test_what_waited_is_acted_on_in_order_when_the_merge_is_done(inbox: Inbox) -> None:
    """After the feed is set otherwise and the merge replayed; nothing is left."""
    merge = inbox.send(RISKY)
    waiting = [
        inbox.send(a08("100^^^A", f"DOE^JANE^N{n}", "19800102", "F", "20260302100000"))
        for n in range(4)
    ]
    inbox.parts.database.close()
    inbox.configure(HOSPITAL)
    done = inbox.flow.replay(str(merge.id), STEWARD)
    assert (done.outcome.state, done.released) == ("applied", 4)
    for each in waiting:
        told = inbox.message(each.control_id)
        assert (told.state, told.waits_for) == ("applied", None)
        assert inbox.items(each) == []
        assert inbox.items(each, "closed") == ["WAITING"]
    assert inbox.name("100^^^A") == "DOE^JANE^N3"
    assert inbox.owner("100^^^A") == inbox.owner("200^^^A")
    assert inbox.rows(select(message_subject.c.message_id)) == []


def test_what_waited_is_acted_on_when_the_merge_is_rejected(inbox: Inbox) -> None:
    """The two stay two."""
    merge = inbox.send(RISKY)
    waits = inbox.send(
        a08("200^^^A", "ROE^RICHARD^RICK", "19750506", "M", "20260302100000")
    )
    inbox.resolve(merge, "reject")
    assert inbox.message(waits.control_id).state == "applied"
    assert inbox.name("200^^^A") == "ROE^RICHARD^RICK"
    assert inbox.owner("100^^^A") != inbox.owner("200^^^A")
    assert inbox.items(merge) == inbox.items(waits) == []


def test_a_message_waits_for_the_first_and_then_for_the_next(inbox: Inbox) -> None:
    """A chain: a merge that waits has others wait; the order is that of arrival."""
    first = inbox.send(RISKY)
    second = inbox.send(a40("401^^^A", "100^^^A"))
    last = inbox.send(adt("A08", "401^^^A", "KOCH^LEA", "20240110", "F"))
    assert (second.waits_for, last.waits_for) == (first.id, second.id)
    inbox.resolve(first, "reject")
    second, last = inbox.message(second.control_id), inbox.message(last.control_id)
    assert (second.state, inbox.items(second)) == ("held", ["RISKY-MERGE"])
    assert (last.state, last.waits_for) == ("held", second.id)
    inbox.resolve(second, "reject")
    last = inbox.message(last.control_id)
    assert (last.state, last.waits_for) == ("already-same", None)


def test_who_has_no_authority_makes_nobody_wait(inbox: Inbox) -> None:
    """What is answered AE by all means is listed, and holds up nothing."""
    refused = inbox.send(a40("100^^^A", "200^^^A", sender="RIS_B"))
    assert (refused.state, refused.acknowledgement) == ("held", "AE")
    assert inbox.send(adt("A08", "100^^^A", "DOE^JANE", "19800102", "F")).state != "held"


def test_a_feed_that_wants_errors_is_told_that_its_message_waits(inbox: Inbox) -> None:
    """`held_answer = "AE"`: 206, and not sent again unchanged."""
    inbox.parts.database.close()
    inbox.configure(CAREFUL.replace(RISKY_HOLD, f'{RISKY_HOLD}\nheld_answer = "AE"'))
    inbox.send(RISKY)
    waits = inbox.send(adt("A08", "100^^^A", "DOE^JANE", "19800102", "F"))
    assert waits.acknowledgement == "AE"
    assert waits.error is not None
    assert waits.error["code"] == "206"


def test_replays_and_messages_at_once_keep_the_order_of_arrival(inbox: Inbox) -> None:
    """While the merge is settled, more of the same patient come: the last one stands."""
    merge = inbox.send(RISKY)
    at = "20260302100000"
    for n in range(5):
        inbox.send(a08("100^^^A", f"DOE^JANE^N{n}", "19800102", "F", at))
    inbox.parts.database.close()
    inbox.configure(HOSPITAL)
    begun = threading.Barrier(3)

    def replay() -> None:
        begun.wait()
        inbox.flow.replay(str(merge.id), STEWARD)

    def send() -> None:
        begun.wait()
        for n in range(5, 10):
            inbox.send(a08("100^^^A", f"DOE^JANE^N{n}", "19800102", "F", at))

    def release() -> None:
        begun.wait()
        for _ in range(5):
            inbox.flow.release()

    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(run) for run in (replay, send, release)]:
            each.result()
    inbox.flow.release()
    assert inbox.name("100^^^A") == "DOE^JANE^N9"
    states = {row.state for row in inbox.rows(select(t.message.c.state))}
    assert states <= {"applied", "already-same"}


# -- After a crash -----------------------------------------------------------------------


def test_what_was_kept_and_not_acted_on_is_swept_in_order(inbox: Inbox) -> None:
    """53: between keeping and acting; before anything new is taken."""
    kept = [
        a08("100^^^A", f"DOE^JANE^N{n}", "19800102", "F", "20260302100000").replace(
            "{id}", f"K{n}"
        )
        for n in range(3)
    ]
    flow = hl7_flow(inbox)
    for n, message in enumerate(kept):
        flow.keep(
            sender="RIS_A|HOSPITAL",
            control_id=f"K{n}",
            event="ADT^A08",
            body=message.encode(),
        )
    flow.keep(sender="GONE|", control_id="K9", event="ADT^A08", body=b"MSH|^~\\&|GONE\r")
    assert inbox.flow.sweep() == 3
    assert [inbox.message(f"K{n}").state for n in range(3)] == ["applied"] * 3
    assert inbox.name("100^^^A") == "DOE^JANE^N2"
    assert inbox.message("K9").state == "kept"
    assert inbox.flow.sweep() == 0


def test_what_waited_is_swept_where_the_one_who_settled_it_died(inbox: Inbox) -> None:
    """The merge was settled, and nobody came to what waited for it."""
    merge = inbox.send(RISKY)
    waits = inbox.send(a08("100^^^A", "DOE^JANE^AFTER", "19800102", "F", "20260302100000"))
    settled = text("UPDATE message SET state = 'refused' WHERE id = :id")
    inbox.parts.database.run(lambda c: c.execute(settled, {"id": merge.id}))
    assert inbox.flow.sweep() == 1
    assert inbox.message(waits.control_id).state == "applied"
    assert inbox.name("100^^^A") == "DOE^JANE^AFTER"


# -- The doors ---------------------------------------------------------------------------


def test_over_http_by_who_may(inbox: Inbox) -> None:
    """Shown with what it says; replayed once; a dry run is one."""
    held = inbox.send(
        orm("100^^^A", "DOE^JANE", "19800102", "F", accession="W1", control="CA")
    )
    path = f"/api/v1/messages/{held.id}"
    with http(inbox) as client:
        shown = client.get(path).raise_for_status().json()
        assert (shown["state"], shown["control_id"]) == ("refused", held.control_id)
        assert "PID|||100^^^A||DOE^JANE" in shown["text"]
        inbox.send(orm("100^^^A", "DOE^JANE", "19800102", "F", accession="W1"))
        dry = client.post(f"{path}/replay", json={"dry_run": True}).json()
        assert (dry["state"], dry["message"]["state"]) == ("applied", "refused")
        done = client.post(f"{path}/replay", json={"reason": "ordered by now"}).json()
        assert (done["state"], done["message"]["state"]) == ("applied", "applied")
        assert client.post(f"{path}/replay").status_code == 409
        assert client.post("/api/v1/messages/none/replay").status_code == 404
        assert client.get("/api/v1/messages/none").status_code == 404


def test_an_item_is_resolved_over_http_by_a_replay(inbox: Inbox) -> None:
    """Held again: the item stays open, and the decision is told."""
    held = inbox.send(adt("A28", "6^^^CLINIC9", "DOE^JOHN", "19800102"))
    item = inbox.item(held)
    wanted = {"action": "replay", "reason": "looked at", "version": item.version}
    path = f"/api/v1/holds/{item.id}/resolve"
    with http(inbox) as client:
        told = client.post(path, json=wanted)
        assert (told.status_code, told.json()["hold"]["state"]) == (201, "open")
        assert client.post(path, json=wanted | {"action": "accept"}).status_code == 400
        told = client.post(path, json=wanted | {"action": "reject"})
        assert (told.status_code, told.json()["hold"]["state"]) == (201, "closed")
        assert client.post(path, json=wanted).status_code == 409


def test_from_the_command_line(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed, shown, tried, replayed; exit code 1 where it is still held."""
    monkeypatch.setenv("RECONCILE_DATABASE_URL", inbox.urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_OWNER_URL", inbox.urls.owner)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", inbox.urls.reader)
    held = inbox.send(adt("A28", "6^^^CLINIC9", "DOE^JOHN", "19800102"))
    assert str(held.id) in command(inbox, "list", "--state", "held")
    assert "DOE^JOHN" not in command(inbox, "list")
    assert "DOE^JOHN" in command(inbox, "show", str(held.id))
    assert "held: UNKNOWN-DOMAIN" in command(inbox, "replay", str(held.id), code=1)
    (inbox.folder / "hospital.toml").write_text(OF_CLINIC, encoding="utf-8")
    assert "would be applied" in command(inbox, "replay", str(held.id), "--dry-run")
    assert inbox.message(held.control_id).state == "held"
    said = command(inbox, "replay", str(held.id), "--reason", "domain added", "--json")
    assert json.loads(said)["message"]["state"] == "applied"
    command(inbox, "replay", str(held.id), code=1)


@contextmanager
def http(inbox: Inbox) -> Iterator[httpx.Client]:
    """The HTTP door of the inbox's archive."""
    made = inbox.parts
    web = WebParts(
        made.database,
        made.storage,
        made.rules,
        require_keys=False,
        act_again=inbox.door.again,
    )
    with open_door(web) as client:
        yield client


def command(inbox: Inbox, *arguments: str, code: int = 0) -> str:
    """What `reconcile message` says."""
    config = ["--config", str(inbox.folder / "hospital.toml"), "--data", str(inbox.folder)]
    done = CliRunner().invoke(app, ["message", *arguments, *config])
    assert done.exit_code == code, done.output
    return done.output


# -- Control ids -------------------------------------------------------------------------


def test_a_control_id_that_is_used_again_is_acted_on_and_flagged(inbox: Inbox) -> None:
    """By the same sender for another content; the same message again is the same."""
    first = inbox.send(adt("A28", "71^^^A", "ONE^ONE", "19800102"), "SAME")
    again = inbox.send(adt("A28", "71^^^A", "ONE^ONE", "19800102"), "SAME")
    assert (again.id, inbox.items(first)) == (first.id, [])
    other = inbox.send(adt("A28", "72^^^A", "TWO^TWO", "19800102"), "SAME")
    assert (other.state, inbox.items(other)) == ("applied", ["CONTROL-ID-REUSE"])
    assert inbox.items(first) == []
    unknown = inbox.send(adt("A11", "72^^^A", "TWO^TWO", "19800102"), "SAME")
    assert inbox.items(unknown) == ["CONTROL-ID-REUSE"]
    elsewhere = adt("A28", "73^^^A", "SIX^SIX", "19800102", sender="EMPI")
    assert inbox.items(inbox.send(elsewhere, "SAME")) == []
    nameless = [
        adt("A28", f"{n}^^^A", "NO^ID", "19800102").replace("{id}", "") for n in (8, 9)
    ]
    for message in nameless:
        inbox.door.handle(message.encode(), PEER)
    assert inbox.items(inbox.message("")) == []


def happenings(inbox: Inbox) -> int:
    [row] = inbox.rows(select(func.count().label("n")).select_from(h.happening))
    return int(row.n)


def hl7_flow(inbox: Inbox) -> Any:
    return inbox.door._inbox
