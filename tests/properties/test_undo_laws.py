"""The law of taking back: whatever was done, once it is undone everything is as before.

A history drawn from a seed is the past; then more happens: images, updates, merges, links,
orders, splits, what stewards decide, and what stands on those. All of that is taken back,
the newest first, and every query answers what it did, every instance's bytes are what they
were.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select

from reconcile.db import tables as t
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.split import SPLIT
from reconcile.flows.undo_many import Left, UndoMany
from tests.integration.test_asking import split_one
from tests.integration.test_reaching import said_anew
from tests.support.canonical import Answers, answers
from tests.support.database import Cluster
from tests.support.generated import Drawn
from tests.support.given import disagreements
from tests.support.hospital import Hospital
from tests.support.instances import data_offset
from tests.support.story import BY, Act, Archive

#: Histories that this law was broken by, once; each by a fault of its own.
BROKE = (31, 146, 174, 199, 329, 780, 919, 938)
#: How many others; 1 000 of them in a soak.
HISTORIES = int(
    os.environ.get(
        "RECONCILE_HISTORIES", "1000" if os.environ.get("RECONCILE_SOAK") else "0"
    )
)
FIRST = int(os.environ.get("RECONCILE_FIRST_HISTORY", "0"))
SEEDS = range(FIRST, FIRST + HISTORIES) if HISTORIES else BROKE
PAST, SINCE = 14, 14


@pytest.fixture
def archive(cluster: Cluster, tmp_path: Path) -> Iterator[Archive]:
    """One that knows nothing."""
    with cluster.database() as urls:
        hospital = Hospital.at(urls.writer, tmp_path, urls.reader)
        yield Archive(hospital)
        hospital.database.close()


def happen(archive: Archive, drawn: Drawn, rng: Random, steps: int) -> None:
    """Let something happen; nothing is taken back."""
    for number in range(steps):
        step = drawn.step(archive)
        if step is not None and not (isinstance(step, Act) and step.kind == "undo"):
            archive.do(step)
        if number % 5 == 4:
            split_one(archive, rng)


@dataclass(frozen=True)
class Seen:
    """What is answered of whom and what there was at a time."""

    patients: dict[str, str]
    studies: dict[str, list[str]]
    uids: dict[str, str]
    files: dict[str, bytes]
    items: list[tuple[str, str, str]]
    orders: dict[str, str]


def of_then(now: Answers, then: Answers, new: set[str]) -> Seen:
    """Without the studies that only came since: they are kept, and held, for ever.

    And without questions that an undo asks of what was so before: that a study is of two
    patients, where nobody had been asked.
    """
    asked = [i for i in now.items if i[1] != SPLIT or i in then.items]
    return Seen(
        {name: now.patients.get(name, "") for name in then.patients},
        {
            name: [
                s for s in now.studies.get(name, []) if not any(f'"{u}"' in s for u in new)
            ]
            for name in then.studies
        },
        {uid: now.uids.get(uid, "") for uid in then.uids},
        {uid: now.files.get(uid, b"") for uid in then.files},
        [item for item in asked if item[2] not in new],
        {number: now.orders.get(number, "") for number in then.orders},
    )


def studies_since(archive: Archive, past: int) -> set[str]:
    """UIDs of studies that were made by a happening after so many."""
    query = select(t.study.c.study_instance_uid, t.study.c.happening_id)
    since = set(archive.happenings()[past:])
    with archive.hospital.database.read_only() as connection:
        rows = connection.execute(query).all()
    return {row.study_instance_uid for row in rows if row.happening_id in since}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_taken_back_leaves_everything_as_it_was(
    archive: Archive, seed: int
) -> None:
    """
    Every answer, every byte, every open item of what there was; and what came since is
    given out as it came.
    """
    drawn, rng = Drawn(Random(seed)), Random(seed)
    hospital = archive.hospital
    happen(archive, drawn, rng, PAST)
    before, past = answers(hospital), len(archive.happenings())
    drawn.studies.clear()  # images of the past's studies are the past's
    happen(archive, drawn, rng, SINCE)
    left: list[Left] = []
    ids = archive.happenings()[past:][::-1]
    done = UndoMany(archive.kept).each(ids, BY, None, left)
    assert left == []
    assert len(done) <= len(ids)
    now = answers(hospital)
    new = {uid for _, uid in drawn.studies} | studies_since(archive, past)
    assert of_then(now, before, new) == of_then(before, before, set())
    flow = RetrieveFlow(hospital.database, hospital.storage)
    for uid in now.files.keys() - before.files.keys():
        came = b"".join(flow.received(uid).file())
        given = now.files[uid]
        assert given[data_offset(given) :] == came[data_offset(came) :]
    assert said_anew(hospital) == ()
    assert disagreements(hospital) == []
