"""The history, asked: every filter and every pair of them as a plain loop answers.

The history is drawn from a seed and goes through the real flows: images, updates, merges,
orders, splits, what stewards do, and undoing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from pathlib import Path
from random import Random
from threading import Event as Flag
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from reconcile.cli.main import app
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db import views_audit
from reconcile.db.embedded import Urls
from reconcile.db.views import Where
from reconcile.db.views_statistics import TYPED
from reconcile.errors import ReconcileError
from reconcile.flows import statistics
from reconcile.flows.questions import audit_query
from reconcile.flows.regroup import Regroup
from tests.integration.test_web import served
from tests.support.asked import FILTERS, Raw
from tests.support.database import Cluster
from tests.support.generated import Drawn
from tests.support.hospital import CT_A, JANE, MR_B, Hospital
from tests.support.instances import instance
from tests.support.story import BY, Archive

SEED, STEPS = 7, 70


def split_one(archive: Archive, rng: Random) -> None:
    """Let a series that is not alone be a study of its own, where that may be."""
    s = t.series.c
    with archive.hospital.database.read_only() as connection:
        rows = connection.execute(select(s.study_id, s.series_instance_uid)).all()
        named = connection.execute(select(t.study.c.id, t.study.c.study_instance_uid))
        studies = {row.id: row.study_instance_uid for row in named}
    several = [r for r in rows if sum(o.study_id == r.study_id for o in rows) > 1]
    if several:
        row = rng.choice(sorted(several, key=lambda r: r.series_instance_uid))
        try:
            Regroup(archive.kept).split(
                studies[row.study_id], [row.series_instance_uid], BY
            )
        except ReconcileError:
            return


@pytest.fixture(scope="module")
def urls(cluster: Cluster) -> Iterator[Urls]:
    with cluster.database() as made:
        yield made


@pytest.fixture(scope="module")
def hospital(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """One in which much has happened, and nothing more does."""
    made = Hospital.at(urls.writer, tmp_path_factory.mktemp("asked"), urls.reader)
    archive, rng, drawn = Archive(made), Random(SEED), Drawn(Random(SEED))
    for number in range(STEPS):
        step = drawn.step(archive)
        if step is not None:
            archive.do(step)
        if number % 12 == 11:
            split_one(archive, rng)
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def raw(hospital: Hospital) -> Raw:
    return Raw.of(hospital.database)


def asked(hospital: Hospital, said: dict[str, str], limit: int = 1000) -> list[Any]:
    """Positions of what is found, over all pages."""
    query, found, cursor = audit_query(said, hospital.rules.domains), [], ""
    while True:
        with hospital.database.read_only() as connection:
            page = views_audit.events(connection, query, Where(limit, cursor))
        found += [event.position for event in page.items]
        if page.next is None:
            return found
        cursor = page.next


def expected(raw: Raw, said: dict[str, str]) -> list[Any]:
    meant = [raw.meant(name, value) for name, value in said.items()]
    return [e.position for e in raw.events if all(let(e) for let in meant)]


def test_the_history_has_something_of_everything(hospital: Hospital, raw: Raw) -> None:
    """What is asked below would prove little of a history without these."""
    causes = {raw.happening(event).cause for event in raw.events}
    assert {"c-store", "adt-a40", "orm-o01", "steward"} <= causes
    assert len(causes) > 5
    assert {e.level for e in raw.events} == {"instance", "study"}
    assert {e.reason for e in raw.events} == {"COERCE", "CORRECT"}
    assert any(g.undoes for g in raw.rows["happening"])
    assert len(raw.events) > 30
    for name in FILTERS:
        assert len(raw.values(name, Random(1), 3)) > 1, name


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_alone_finds_what_a_loop_finds(
    hospital: Hospital, raw: Raw, name: str
) -> None:
    """Of every value that the history has, and of one that it has not."""
    sizes = set()
    for value in raw.values(name, Random(SEED), 25):
        found = asked(hospital, {name: value})
        assert found == expected(raw, {name: value}), value
        sizes.add(len(found))
    assert 0 in sizes
    assert len(sizes) > 1


def test_every_pair_of_filters_finds_what_a_loop_finds(
    hospital: Hospital, raw: Raw
) -> None:
    """Values drawn from the history, and a miss of each."""
    rng = Random(SEED)
    something = 0
    for one, other in combinations(FILTERS, 2):
        for value in raw.values(one, rng, 2):
            for second in raw.values(other, rng, 2):
                said = {one: value, other: second}
                found = asked(hospital, said)
                assert found == expected(raw, said), said
                something += bool(found)
    assert something > 50


def test_every_two_of_one_event_find_it(hospital: Hospital, raw: Raw) -> None:
    """Pairs that are both true of an event: it is found, with others of which they are."""
    rng = Random(SEED)
    for one, other in combinations(FILTERS, 2):
        event = rng.choice(raw.events)
        values = {name: _said_of(raw, event, name) for name in (one, other)}
        said = {name: value for name, value in values.items() if value}
        found = asked(hospital, said)
        assert found == expected(raw, said), said
        assert event.position in found or "to" in said, said


def _said_of(raw: Raw, event: Any, name: str) -> str:
    """A value of a filter that lets an event through; empty: none is to be had."""
    by = raw.happening(event)
    told = {
        "study": event.study_instance_uid,
        "series": event.series_instance_uid,
        "instance": event.sop_instance_uid,
        "cause": by.cause,
        "cause_id": by.cause_id,
        "reason": event.reason,
        "rule": by.rule.partition("@")[0],
        "source": event.source,
        "attribute": event.attributes[0],
        "actor": by.actor,
        "from": event.recorded_at.isoformat(),
        "to": event.recorded_at.isoformat(),
    }
    return told.get(name) or ""


@pytest.mark.parametrize("limit", [3, 7])
@pytest.mark.parametrize("said", [{}, {"cause": "c-store"}])
def test_pages_are_complete_whatever_is_asked(
    hospital: Hospital, raw: Raw, said: dict[str, str], limit: int
) -> None:
    """In order, each event once; also of a range of time, whose end a cursor knows."""
    middle = raw.events[len(raw.events) // 3].recorded_at.isoformat()
    end = raw.events[-5].recorded_at.isoformat()
    for more in ({}, {"from": middle}, {"to": end}, {"from": middle, "to": end}):
        together = {**said, **more}
        assert asked(hospital, together, limit) == expected(raw, together)


# -- Through the doors ---------------------------------------------------------------------


def test_the_api_takes_every_filter(hospital: Hospital, raw: Raw) -> None:
    """By the names of the outer face, in pages of seven."""
    with served(hospital) as client:
        for name in FILTERS:
            for value in raw.values(name, Random(SEED), 2):
                given = {name: value, "limit": "7"}
                found: list[int] = []
                while True:
                    answer = client.get("/api/v1/coercions", params=given)
                    assert answer.status_code == 200, answer.text
                    found += [item["position"] for item in answer.json()["items"]]
                    if answer.json()["next"] is None:
                        break
                    given["cursor"] = answer.json()["next"]
                assert found == expected(raw, {name: value}), (name, value)


CONFIG = """
[[domain]]
name = "A"
[[domain]]
name = "B"
"""


def at_archive(urls: Urls, folder: Path, monkeypatch: Any) -> None:
    """Let the command line look at the archive of these URLs."""
    (folder / "reconcile.toml").write_text(CONFIG)
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(folder))
    monkeypatch.setenv("RECONCILE_DATABASE_URL", urls.writer)
    monkeypatch.setenv("RECONCILE_DATABASE_READER_URL", urls.reader)


def test_the_command_takes_every_filter(
    hospital: Hospital, raw: Raw, urls: Urls, tmp_path: Path, monkeypatch: Any
) -> None:
    """By the same names; exit code 1 where nothing is found."""
    at_archive(urls, tmp_path, monkeypatch)
    for name in FILTERS:
        for value in raw.values(name, Random(SEED), 1):
            words = ["audit", "list", f"--{name.replace('_', '-')}", value, "--json"]
            done = CliRunner().invoke(app, [*words, "--limit", "1000"])
            rows = [json.loads(line)["position"] for line in done.stdout.splitlines()]
            wanted = expected(raw, {name: value})
            assert (rows, done.exit_code) == (wanted, 0 if wanted else 1), done.output


# -- Counted -------------------------------------------------------------------------------


def keys_of(raw: Raw, event: Any, by: str) -> list[Any]:
    """Under what an event is counted."""
    happened = raw.happening(event)
    day = event.recorded_at.astimezone(UTC).date()
    plain = {
        "source": event.source,
        "rule": happened.rule,
        "cause": happened.cause,
        "week": str(day - timedelta(days=day.weekday())),
    }
    return list(event.attributes) if by == "attribute" else [plain[by]]


@pytest.mark.parametrize(
    "by", [["source"], ["rule"], ["cause"], ["week"], ["attribute"], ["cause", "week"]]
)
def test_coercions_are_counted_as_a_loop_counts(
    hospital: Hospital, raw: Raw, by: list[str]
) -> None:
    """Events, studies, instances, headers that were retyped, and what was taken back."""
    undone = {g.undoes for g in raw.rows["happening"]}
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for event in raw.events[3:]:
        for key in product(*(keys_of(raw, event, name) for name in by)):
            groups.setdefault(key, []).append(event)
    since = raw.events[3].recorded_at.isoformat()
    with hospital.database.read_only() as connection:
        found = statistics.coerced(connection, by, {"from": since}, datetime.now(UTC))
    counted = {
        tuple(getattr(row, name) for name in by): (
            row.events,
            row.studies,
            row.instances,
            row.retyped,
            row.undone,
        )
        for row in found
    }
    assert counted == {
        key: (
            len(events),
            len({e.study_id for e in events} - {None}),
            len({e.instance_id for e in events} - {None}),
            len({e.study_id for e in events if {*TYPED} & {*e.attributes}} - {None}),
            sum(e.happening_id in undone for e in events),
        )
        for key, events in groups.items()
    }
    assert sum(row.events for row in found) >= len(raw.events) - 3


def test_items_are_counted_by_code_source_and_age(hospital: Hospital) -> None:
    """Open ones and closed ones, together as many as there are."""
    with hospital.database.read_only() as connection:
        items = connection.execute(select(t.hold)).all()
        now = datetime.now(UTC)
        found = statistics.held(connection, ["code", "source"], {}, now)
        later = now + timedelta(days=40)
        [old] = statistics.held(connection, ["age"], {"to": now.isoformat()}, later)[-1:]
    counted = {(r.code, r.source): (r.items, r.open) for r in found}
    pairs = Counter((i.code, i.source) for i in items)
    still = Counter((i.code, i.source) for i in items if i.state == "open")
    assert counted == {pair: (n, still[pair]) for pair, n in pairs.items()}
    assert (old.age, old.open) == ("older", sum(still.values()))
    assert all((r.median_hours is None) == (r.items == r.open) for r in found)


def test_figures_are_told_through_the_doors(
    hospital: Hospital, urls: Urls, tmp_path: Path, monkeypatch: Any
) -> None:
    """The same rows over HTTP and on the command line; what cannot be counted is said."""
    with served(hospital) as client:
        for path, words, by in (
            ("coercions", ["audit", "statistics"], ["source", "week"]),
            ("holds", ["hold", "statistics"], ["code", "age"]),
        ):
            answer = client.get(f"/api/v1/statistics/{path}", params={"by": by})
            rows = answer.raise_for_status().json()["items"]
            assert rows
            named = {"by": ["colour"]}
            wrong = client.get(f"/api/v1/statistics/{path}", params=named)
            assert wrong.status_code == 400
            at_archive(urls, tmp_path, monkeypatch)
            options = [word for name in by for word in ("--by", name)]
            done = CliRunner().invoke(app, [*words, *options, "--json"])
            assert [json.loads(line) for line in done.stdout.splitlines()] == rows
            assert CliRunner().invoke(app, [*words, *options]).exit_code == 0
            assert CliRunner().invoke(app, [*words, "--by", "colour"]).exit_code == 2


# -- While others write --------------------------------------------------------------------


def test_pages_are_stable_while_eight_write(database_urls: Urls, tmp_path: Path) -> None:
    """Whatever was there at the first page comes exactly once, in order; nothing twice."""
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    for number in range(30):
        hospital.store(instance(), CT_A if number % 2 else MR_B)
    there, stop = asked(hospital, {}), Flag()

    def write(number: int) -> int:
        stored = 0
        while not stop.is_set():
            hospital.store(instance(), CT_A if number % 2 else MR_B)
            stored += 1
        return stored

    walks: list[list[Any]] = []
    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write, number) for number in range(8)]
        try:
            while len(walks) < 3 or len(walks[-1]) < len(there) + 8:
                walks.append(asked(hospital, {}, 7))
        finally:
            stop.set()
    written = [writer.result() for writer in writers]
    assert min(written) > 0
    for walk in walks:
        assert walk == sorted(set(walk))
        assert walk[: len(there)] == there
    e = h.coercion_event.c
    with hospital.database.read_only() as connection:
        every = set(connection.execute(select(e.position)).scalars())
    assert set(walks[-1]) <= every
    assert len(every) == len(there) + sum(written)
    hospital.database.close()
