"""Messages that something on their way has damaged: answered, and never believed wrongly.

Real messages are cut, doubled, swapped and overwritten, and sent over one connection after
another into a real registry. Whatever they are, the listener goes on, every one of them is
answered, and nobody is changed who is not named in it.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from reconcile.cli.wiring import parts
from reconcile.cli.work_hl7 import hl7_door
from reconcile.core.identity import PatientIdentifier
from reconcile.db import domains, views_patients
from reconcile.db.database import Connection, Database
from reconcile.db.embedded import Urls
from reconcile.errors import ReconcileError
from reconcile.hl7.door import Door
from reconcile.hl7.message import read_header, read_message
from reconcile.hl7.server import serve
from reconcile.settings import load
from tests.support.database import Cluster
from tests.support.mllp import Sender, read_answer
from tests.support.running import HOSPITAL, REGISTRATION
from tests.support.samples import SAMPLES

MESSAGES = 10_000 if os.environ.get("RECONCILE_SOAK") else 300
#: Larger ones are samples enough as they are.
BYTES_MAX = 2_000
BASES = [s.raw for s in SAMPLES if len(s.raw) < BYTES_MAX and b"MSH" in s.raw]
#: Who is watched, and what makes a person minted here known from those that were told.
WATCHED = ("100", "200", "401")
MINTED = re.compile(r"E[0-9]+")
NEXT = b"MSH|^~\\&|NOBODY||||||ADT^A08|NEXT|P|2.5\r"
IDENTIFIERS = text(
    "SELECT i.id, i.domain, i.id_raw FROM identity i"
    " WHERE i.id > coalesce(CAST(:after AS uuid), '00000000-0000-0000-0000-000000000000')"
    " ORDER BY i.id"
)
LAST_HAPPENING = text("SELECT id FROM happening ORDER BY id DESC LIMIT 1")
UNSETTLED = text("SELECT count(*) FROM message WHERE state = 'kept'")


# -- Damage --------------------------------------------------------------------------------

VALUES = (
    b"",
    b'""',
    b"null",
    b"~",
    b"^^^A",
    b"7001^^^A",
    b"555^^^B",
    b"^^^&1.2.3.1&ISO",
    b"W/I",
    b"\\F\\\\X0D\\",
    b"\xff\xfe",
    b"\xc3\x28",
    b"9" * 300,
    b"|" * 40,
    b"19800230",
    b"00000000000000",
    b"A40",
    b"\x00",
)


def _bytes_at(raw: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(raw) + 1)
    return start, min(len(raw), start + rng.randrange(1, 9))


def _lose(raw: bytes, rng: random.Random) -> bytes:
    start, end = _bytes_at(raw, rng)
    return raw[:start] + raw[end:]


def _overwrite(raw: bytes, rng: random.Random) -> bytes:
    start, end = _bytes_at(raw, rng)
    return raw[:start] + rng.randbytes(end - start) + raw[end:]


def _insert(raw: bytes, rng: random.Random) -> bytes:
    start, _ = _bytes_at(raw, rng)
    return raw[:start] + rng.choice(VALUES) + raw[start:]


def _cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _segments(change: Callable[[list[bytes], random.Random], None]) -> Damage:
    def damage(raw: bytes, rng: random.Random) -> bytes:
        segments = raw.split(b"\r")
        change(segments, rng)
        return b"\r".join(segments)

    return damage


def _swap(segments: list[bytes], rng: random.Random) -> None:
    one, other = rng.randrange(len(segments)), rng.randrange(len(segments))
    segments[one], segments[other] = segments[other], segments[one]


def _double(segments: list[bytes], rng: random.Random) -> None:
    segments.insert(rng.randrange(len(segments) + 1), rng.choice(segments))


def _drop(segments: list[bytes], rng: random.Random) -> None:
    del segments[rng.randrange(len(segments))]


def _replace_field(segments: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(segments))
    fields = segments[at].split(b"|")
    fields[rng.randrange(len(fields))] = rng.choice(VALUES)
    segments[at] = b"|".join(fields)


def _shift_fields(segments: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(segments))
    fields = segments[at].split(b"|")
    fields.insert(rng.randrange(len(fields) + 1), rng.choice(VALUES))
    segments[at] = b"|".join(fields)


Damage = Callable[[bytes, random.Random], bytes]
DAMAGES: tuple[Damage, ...] = (
    _lose,
    _overwrite,
    _insert,
    _cut,
    _segments(_swap),
    _segments(_double),
    _segments(_drop),
    *[_segments(_replace_field)] * 4,
    *[_segments(_shift_fields)] * 2,
)


def damaged(raw: bytes, seed: int, times: int) -> bytes:
    """A message after some accidents; what frames it (0B, 1C) is not in it."""
    rng = random.Random(seed)
    raw = raw.replace(b"{id}", b"M%d" % seed)
    for _ in range(times):
        raw = rng.choice(DAMAGES)(raw, rng)
    return raw.translate(None, b"\x0b\x1c")


# -- The archive ---------------------------------------------------------------------------


class Known(NamedTuple):
    """A person as the outer face tells of one."""

    identifiers: frozenset[str]
    demographics: str


People = tuple[Known, ...]


class Told(NamedTuple):
    """What has become of a message.

    Attributes:
        made: (domain, ID) of the identities that came with it.
        unsettled: how many messages nothing has become of.
        before, after: who owns the identifiers that are watched.
    """

    made: list[tuple[str, str]]
    unsettled: int
    before: dict[str, People]
    after: dict[str, People]


class Registry:
    """A hospital whose HL7 door is open, and what its registry says."""

    def __init__(self, database: Database, address: tuple[str, int]) -> None:
        self.database = database
        self.address = address
        self._identity: Any = None
        self._happening: Any = None
        self._watched: dict[str, People] = {}
        self.news()

    def news(self) -> Told:
        """What has become of the messages since it was asked last."""
        with self.database.read_only() as connection:
            made = list(connection.execute(IDENTIFIERS, {"after": self._identity}))
            happening = connection.execute(LAST_HAPPENING).scalar()
            unsettled = connection.execute(UNSETTLED).scalar_one()
            before = self._watched
            if happening != self._happening:  # nothing changes without one
                self._watched = {value: _people(connection, value) for value in WATCHED}
        self._identity = made[-1].id if made else self._identity
        self._happening = happening
        names = [(row.domain, row.id_raw) for row in made]
        return Told(names, unsettled, before, self._watched)


def _people(connection: Connection, value: str) -> People:
    """Who owns an identifier of domain A."""
    found = views_patients.by_identifier(connection, PatientIdentifier(value, "A"))
    return tuple(
        Known(frozenset(i.id for i in person.identifiers), str(person.demographics))
        for person in found
    )


@contextmanager
def listening(door: Door) -> Iterator[tuple[str, int]]:
    """The door on a free port, in a thread of its own."""
    bound = socket.create_server(("127.0.0.1", 0))
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    running = serve([bound], door.handle, stop=stop, refuse=door.refuse)
    thread = threading.Thread(target=lambda: loop.run_until_complete(running))
    thread.start()
    try:
        yield bound.getsockname()
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()
        loop.close()


@contextmanager
def registry_at(urls: Urls, folder: Path) -> Iterator[Registry]:
    """The hospital of the scenarios, P1 to P5 registered."""
    config = folder / "hospital.toml"
    config.write_text(HOSPITAL, encoding="utf-8")
    made = parts(load(config, folder, {}), urls.writer, urls.reader, pool_size=4)
    made.database.run(lambda c: domains.keep(c, made.rules.domains.values()))
    try:
        with listening(hl7_door(made)) as address:
            with Sender(address) as sender:
                for number, message in enumerate(REGISTRATION):
                    raw = message.replace("{id}", f"R{number}").encode()
                    assert sender.ask(raw).told == ("AA",)
            yield Registry(made.database, address)
    finally:
        made.database.close()


@pytest.fixture(scope="module")
def registry(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    with (
        cluster.database() as urls,
        registry_at(
            urls,
            tmp_path_factory.mktemp("mutations"),
        ) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def sender(registry: Registry) -> Iterator[Sender]:
    """One connection for all messages: none of them may end it."""
    with Sender(registry.address) as opened:
        yield opened


# -- What must hold ------------------------------------------------------------------------


@pytest.mark.timeout(3600)
@settings(
    max_examples=MESSAGES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(base=st.sampled_from(BASES), seed=st.integers(0, 1 << 40), times=st.integers(1, 4))
def test_a_damaged_message_is_answered_and_changes_nobody_else(
    registry: Registry, sender: Sender, base: bytes, seed: int, times: int
) -> None:
    """One answer each, that can be read; what changed is named in the message."""
    raw = damaged(base, seed, times)
    sender.send(raw)
    if is_acknowledgement(raw):
        sender.send(NEXT)
    told = sender.receive()
    answer = read_answer(told)
    assert answer.acknowledgement in ("AA", "AE", "AR")
    assert b"see the archive's log" not in told
    assert b"stays busy" not in told
    assert (answer.control_id == "NEXT") == is_acknowledgement(raw)
    event(f"{answer.acknowledgement} {answer.code}")
    said, news = words(raw), registry.news()
    assert not news.unsettled
    for domain, value in news.made:
        assert value in said or (domain == "E" and MINTED.fullmatch(value)), raw
    for watched, after in news.after.items():
        if after != news.before[watched]:
            assert is_named(news.before[watched] + after, said), raw


def is_acknowledgement(raw: bytes) -> bool:
    try:
        return read_header(raw).type == "ACK"
    except ReconcileError:
        return False


def words(raw: bytes) -> str:
    """All that a message says, its escapes resolved."""
    try:
        read = read_message(raw)
    except ReconcileError:
        return ""
    syntax = read.header.segment.syntax
    return "\n".join(syntax.unescape(segment.raw) for segment in read.segments)


def is_named(people: People, said: str) -> bool:
    """Whether a text has an identifier of one of some people, as a word."""
    identifiers = {i for person in people for i in person.identifiers}
    return any(
        re.search(rf"(?<![0-9A-Za-z]){re.escape(i)}(?![0-9A-Za-z])", said)
        for i in identifiers
    )
