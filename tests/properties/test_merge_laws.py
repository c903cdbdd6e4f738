"""Laws of merging, through the flow: a forest whatever is said, and every step back exact.

Each example is a set of patients of its own in one registry; a dictionary of parents is
the model of what the edges must be.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from reconcile.core.identity import Demographics, PatientIdentifier, PersonName
from reconcile.db import tables as t
from reconcile.db import views_patients
from tests.support.database import Cluster
from tests.support.hospital import RIS_A, Hospital
from tests.support.instances import instance

EXAMPLES = 300 if os.environ.get("RECONCILE_SOAK") else 10
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FEED = replace(RIS_A, a37_unmerges=True)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
PATIENTS = 5

#: ("merge" or "unmerge", one, other): other is the prior one of a merge.
steps = st.lists(
    st.tuples(
        st.sampled_from(["merge", "merge", "merge", "unmerge"]),
        st.integers(0, PATIENTS - 1),
        st.integers(0, PATIENTS - 1),
    ).filter(lambda step: step[1] != step[2]),
    min_size=1,
    max_size=14,
)
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def hospital(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    """One registry for all examples."""
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("merges")
        yield Hospital.at(urls.writer, folder, urls.reader)


def named(example: int, patient: int) -> str:
    return f"M{example}.{patient}^^^A"


def registered(hospital: Hospital) -> int:
    """Patients of an example of their own, each with words of theirs; its number."""
    example = next(numbers)
    for patient in range(PATIENTS):
        said = Demographics(PersonName(f"PATIENT^N{patient}"), f"198001{patient + 10}", "F")
        assert hospital.patient(said, named(example, patient)).state == "applied"
    return example


class Model:
    """Who is merged into whom, as a dictionary; who waits behind a held merge."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.waiting: set[int] = set()

    def answer(self, what: str, one: int, other: int) -> str:
        """What becomes of a message; what is held makes others of the same two wait."""
        if self.waiting & {one, other}:
            state = "held"
        else:
            act = self.merge if what == "merge" else self.unmerge
            state = act(one, other)
        if state == "held":
            self.waiting |= {one, other}
        return state

    def root(self, patient: int) -> int:
        while patient in self.parent:
            patient = self.parent[patient]
        return patient

    def merge(self, surviving: int, prior: int) -> str:
        if self.parent.get(prior) == surviving:
            return "duplicate"
        if self.parent.get(surviving) == prior:
            if prior in self.parent:
                return "refused"
            del self.parent[surviving]
            self.parent[prior] = surviving
            return "applied"
        if self.root(prior) == self.root(surviving):
            return "refused" if self.root(surviving) == prior else "already-same"
        if prior in self.parent:
            return "held"
        self.parent[prior] = surviving
        return "applied"

    def unmerge(self, one: int, other: int) -> str:
        for below, above in ((one, other), (other, one)):
            if self.parent.get(below) == above:
                del self.parent[below]
                return "applied"
        return "already-same"


def shown(hospital: Hospital, example: int) -> list[Any]:
    """What every patient of an example looks like from outside, merges' history aside."""
    with hospital.database.read_only() as connection:
        found = [
            views_patients.by_identifier(
                connection, PatientIdentifier(named(example, patient).split("^")[0], "A")
            )
            for patient in range(PATIENTS)
        ]
    return [replace(person, merges=()) for [person] in found]


def owners(hospital: Hospital, example: int) -> tuple[list[Any], dict[Any, Any]]:
    """(owner of each patient's identifier, who is said to have survived, of each)."""
    with hospital.database.read_only() as connection:
        rows = connection.execute(
            select(t.identity.c.id_norm, t.person.c.id, t.person.c.canonical_id)
            .join(t.identity_link, t.identity_link.c.identity_id == t.identity.c.id)
            .join(t.person, t.person.c.id == t.identity_link.c.person_id)
            .where(t.identity.c.id_norm.startswith(f"M{example}."))
        ).all()
    found = {int(row.id_norm.split(".")[1]): row for row in rows}
    ids = [found[patient].id for patient in range(PATIENTS)]
    return ids, {found[patient].id: found[patient].canonical_id for patient in found}


def play(hospital: Hospital, example: int, said: list[Any], model: Model) -> list[str]:
    """Say it all, one after the other, as the model answers; the states."""
    states = []
    for number, (what, one, other) in enumerate(said):
        at = BEGAN + timedelta(seconds=number)
        names = named(example, one), named(example, other)
        if what == "merge":
            outcome = hospital.merge(*names, feed=FEED, at=at)
        else:
            outcome = hospital.link(*names, linked=False, feed=FEED, at=at)
        assert outcome.state == model.answer(what, one, other), (number, what, one, other)
        states.append(outcome.state)
    return states


@SETTINGS
@given(steps)
def test_merges_are_a_forest_whatever_is_said(hospital: Hospital, said: list[Any]) -> None:
    """
    Every message is answered as the model says, and everybody's cached survivor is where
    the edges lead.
    """
    example, model = registered(hospital), Model()
    play(hospital, example, said, model)

    ids, canonical = owners(hospital, example)
    for patient, person_id in enumerate(ids):
        assert canonical[person_id] == ids[model.root(patient)]
    assert [each.id for each in shown(hospital, example)] == [
        ids[model.root(patient)] for patient in range(PATIENTS)
    ]


@SETTINGS
@given(steps, st.integers(0, PATIENTS - 1), st.integers(0, PATIENTS - 1))
def test_unmerge_after_merge_changes_nothing(
    hospital: Hospital, said: list[Any], one: int, other: int
) -> None:
    """
    Whatever went before: identifiers, demographics, studies and state of everybody are
    what they were, and so is what an update of either would find.
    """
    example, model = registered(hospital), Model()
    for patient in (0, 1):
        image = instance(
            PatientID=named(example, patient).split("^")[0],
            PatientName=f"PATIENT^N{patient}",
            PatientBirthDate=f"198001{patient + 10}",
        )
        assert hospital.store(image).held == ""
    play(hospital, example, said, model)
    before = shown(hospital, example)
    at = BEGAN + timedelta(hours=1)
    names = named(example, one), named(example, other)
    if one == other or hospital.merge(*names, feed=FEED, at=at).state != "applied":
        return
    if model.parent.get(one) == other:
        return  # an inverse took the place of what stood: it is another thing taken back
    assert shown(hospital, example) != before

    later = at + timedelta(seconds=1)
    unmerged = hospital.link(*names, linked=False, feed=FEED, at=later)
    assert unmerged.state == "applied"
    assert shown(hospital, example) == before


@SETTINGS
@given(steps)
def test_what_is_said_again_changes_nothing(hospital: Hospital, said: list[Any]) -> None:
    """
    A feed that is replayed from its beginning: nothing that was done, or that something
    newer took the place of, is done once more.
    """
    merges = [step for step in said if step[0] == "merge"]
    example, model = registered(hospital), Model()
    states = play(hospital, example, merges, model)
    before = shown(hospital, example)
    for number, (_, one, other) in enumerate(merges):
        if states[number] != "applied":
            continue  # what waits, or was refused, may be done by now
        at = BEGAN + timedelta(seconds=number)
        names = named(example, one), named(example, other)
        again = hospital.merge(*names, feed=FEED, at=at)
        assert again.state != "applied", (number, one, other)
    assert shown(hospital, example) == before
