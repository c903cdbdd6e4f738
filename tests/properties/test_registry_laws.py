"""Laws of the registry as a whole, over histories that are drawn from a seed.

Each history runs through the real reading of HL7 and the real flows, in a database of its
own. What is compared is in `tests.support.canonical`, how it is drawn in
`tests.support.generated`; a seed that fails is a history that can be played again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.integration.test_reaching import said_anew
from tests.support.canonical import Registry, answers, registry_of
from tests.support.database import Cluster
from tests.support.generated import PEOPLE, Drawn, interleaved, lived, senders
from tests.support.given import disagreements
from tests.support.hospital import Hospital
from tests.support.mllp import Answer
from tests.support.story import Act, Archive, Image, Message, Step, Who, recorded

SOAK = bool(os.environ.get("RECONCILE_SOAK"))
SEEDS = range(100 if SOAK else 3)
STEPS = 25

Make = Callable[[], Archive]


@contextmanager
def archives(cluster: Cluster, folder: Path) -> Iterator[Make]:
    """Makes archives that know nothing, each with a database of its own."""
    with ExitStack() as stack:

        def make() -> Archive:
            urls = stack.enter_context(cluster.database())
            own = folder / urls.writer.rpartition("/")[2].partition("?")[0]
            hospital = Hospital.at(urls.writer, own, urls.reader)
            stack.callback(hospital.database.close)
            return Archive(hospital)

        yield make


@pytest.fixture
def make(cluster: Cluster, tmp_path: Path) -> Iterator[Make]:
    with archives(cluster, tmp_path) as made:
        yield made


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_recorded_makes_the_same_registry_again(make: Make, seed: int) -> None:
    """
    Inbox, received instances and stewards' actions, in recorded order, into an empty
    database: the same but for what is minted. And nothing is left to be said anew.
    """
    first, second = make(), make()
    lived(first, seed, STEPS)
    told = recorded(first)
    second.play(told)

    assert second.causes() == first.causes()
    assert registry_of(second.hospital) == registry_of(first.hospital)
    for archive in (first, second):
        assert said_anew(archive.hospital) == ()
        assert disagreements(archive.hospital) == []


# -- What is taken back ------------------------------------------------------------------

#: So much is there before anything is taken back.
BEFORE = 8


def is_looked_at(step: Step) -> bool:
    """Whether its undoing is the identity: images stay, and are given out as they came."""
    return not isinstance(step, Image) and not (
        isinstance(step, Act) and step.kind == "undo"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_taken_back_at_once_has_changed_nothing(make: Make, seed: int) -> None:
    """
    Update, merge, move, change of identifier, link, order, resolution, assignment: after
    the undo every query, every file to its last byte and every open item is as before.
    """
    archive, rng = make(), Random(seed)
    drawn = Drawn(Random(seed))
    for number in range(STEPS):
        step = drawn.step(archive)
        if step is None:
            continue
        looked = number >= BEFORE and rng.random() < 0.5 and is_looked_at(step)
        before = answers(archive.hospital) if looked else None
        happened = len(archive.happenings())
        archive.do(step)
        if before is None or len(archive.happenings()) == happened:
            continue
        assert archive.do(Act("undo", happened)), step
        now = answers(archive.hospital)
        kept = {number: now.orders.get(number, "") for number in before.orders}
        assert replace(now, orders=kept) == before, step  # an order that it told stays
    assert said_anew(archive.hospital) == ()
    assert disagreements(archive.hospital) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_unmerge_after_merge_shows_everybody_what_was(make: Make, seed: int) -> None:
    """
    A40 and A37 of the same two, with images stored before: what is answered is the same
    but for what tells of the two in Original Attributes, and for what asks people to look
    at the merge. Of histories without undoing.
    """
    archive = make()
    lived(archive, seed, STEPS, undoing=False)
    rng = Random(seed)
    for number in range(4):
        one, other = rng.sample(range(len(PEOPLE)), 2)
        names = f"{one}00^^^A", f"{other}00^^^A"
        before, known = registry_of(archive.hospital), answers(archive.hospital)
        merged = Message("EMPI", "A40", names[0], Who(), names[1], 1000 + 2 * number)
        unknown = {name for name in names if name not in known.patients}
        edges = archive.live_edges()
        assert isinstance(archive.do(merged), Answer)
        if (
            unknown
            or len(archive.live_edges() - edges) != 1
            or edges - archive.live_edges()
        ):
            continue  # refused, or the inverse took its place, or it made somebody
        archive.do(replace(merged, event="A37", number=merged.number + 1))
        after, now = registry_of(archive.hospital), answers(archive.hospital)
        assert archive.live_edges() == edges
        assert replace(after, items=before.items) == before
        assert now.patients == known.patients
        assert now.uids == known.uids
        assert now.studies == known.studies
    assert said_anew(archive.hospital) == ()
    assert disagreements(archive.hospital) == []


# -- In whatever order -------------------------------------------------------------------


def alike(registry: Registry) -> Registry:
    """Without what only images have told of people."""
    persons = frozenset(
        (state, identifiers, "" if state == "provisional" else words)
        for state, identifiers, words in registry.persons
    )
    items = frozenset(each for each in registry.items if each[0][1] != "PROVISIONAL")
    return replace(registry, persons=persons, items=items)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_senders_does_not_matter(make: Make, seed: int) -> None:
    """
    One authority per domain, nobody merged twice, only who is described alike is merged:
    each sender's own order kept, the end is the same: identities, whose each image is and
    what it is given out as, links to orders, what feeds say of people, open items.

    Left out is what only images have told of people, with the item PROVISIONAL that says
    so: where a merge names an identifier before its first image comes, the person is there
    already, and the image's words are not kept as theirs. Nothing is given out by them.
    """
    said, rng = senders(Random(seed)), Random(seed)
    found = []
    for _ in range(3):
        archive = make()
        archive.play(interleaved(said, rng))
        found.append(registry_of(archive.hospital))
        assert disagreements(archive.hospital) == []
    assert alike(found[1]) == alike(found[0])
    assert alike(found[2]) == alike(found[0])


def test_merges_that_contradict_each_other_are_listed_alike(make: Make) -> None:
    """
    Two authorities, each of which says that one patient is another one: whoever is first
    is believed, the other waits for a person, in both orders.
    """
    who = Who("DOE^JANE", "19800102", "F")
    patients = [Message("EMPI", "A28", f"{n}00^^^A", who, number=n) for n in (1, 2, 3)]
    one = Message("RIS_A", "A40", "100^^^A", Who(), "300^^^A", 10)
    other = Message("EMPI", "A40", "200^^^A", Who(), "300^^^A", 10)
    ends = []
    for order in ([one, other], [other, one]):
        archive = make()
        archive.play([*patients, *order])
        ends.append(archive.open_items())
    assert [(kind, code) for _, kind, code in ends[0]] == [
        ("message", "SUBSUMED-ELSEWHERE")
    ]
    assert ends[0] == ends[1]


# -- Many at once ------------------------------------------------------------------------


def test_merges_by_many_at_once_make_a_forest(make: Make) -> None:
    """Random merges and unmerges by eight threads: one root each, the cache says whose."""
    archive, rng = make(), Random(1)
    who = Who("DOE^JANE", "19800102", "F")
    archive.play(Message("EMPI", "A28", f"{n}^^^A", who, number=n) for n in range(8))
    said = []
    for number in range(400 if SOAK else 60):
        one, other = rng.sample(range(8), 2)
        event = rng.choice(["A40", "A40", "A37"])
        said.append(
            Message("EMPI", event, f"{one}^^^A", Who(), f"{other}^^^A", 100 + number)
        )
    with ThreadPoolExecutor(8) as pool:
        told = [
            answer.acknowledgement
            for answer in pool.map(archive.tell, [m.raw for m in said])
        ]
    assert set(told) <= {"AA", "AE"}
    parents = dict(archive.live_edges())
    for person_id, canonical_id in archive.canonical().items():
        at, steps = person_id, 0
        while at in parents:
            at, steps = parents[at], steps + 1
            assert steps < len(parents) + 1
        assert at == canonical_id
