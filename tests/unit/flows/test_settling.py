"""The settler: every arrival answered once, in groups that no clock makes."""

from __future__ import annotations

import threading

import pytest

from reconcile.core.facts import Source
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.settling import GROUP_MAX, Settled, Settler
from reconcile.storage.content import InMemory


def arrival(number: int) -> Arrival:
    content = InMemory(b"", b"x")
    return Arrival(content, "", 1, "1", "1", "1", Source("CT_A"), "", "", number)


def test_what_queued_while_a_group_was_stored_is_the_next_group():
    """
    The first is alone; those that come while it is stored go together.
    """
    groups: list[list[int]] = []
    answers: list[Settled] = []
    begun, go_on = threading.Event(), threading.Event()

    def settle(group):
        begun.set()
        assert go_on.wait(30)
        groups.append([each.message_id for each in group])
        return [(index, Stored()) for index, _ in enumerate(group)]

    settler = Settler(settle)
    settler.submit(arrival(0), answers.append)
    assert begun.wait(30)
    for number in range(1, 4):
        settler.submit(arrival(number), answers.append)
    go_on.set()
    settler.stop()

    assert [[0], [1, 2, 3]] == groups
    assert [Stored()] * 4 == answers


def test_a_group_is_bounded():
    """
    However many queue, no group is larger than the limit, and all are answered.
    """
    groups: list[int] = []
    answers: list[Settled] = []
    begun, go_on = threading.Event(), threading.Event()

    def settle(group):
        begun.set()
        assert go_on.wait(30)
        groups.append(len(group))
        return [(index, Stored()) for index, _ in enumerate(group)]

    settler = Settler(settle)
    for number in range(2 * GROUP_MAX):
        settler.submit(arrival(number), answers.append)
    assert begun.wait(30)
    go_on.set()
    settler.stop()

    assert max(groups) <= GROUP_MAX
    assert 2 * GROUP_MAX == sum(groups) == len(answers)


@pytest.mark.parametrize("error", [ValueError("whole"), MemoryError()])
def test_a_group_that_fails_as_a_whole_answers_each_with_the_error(error):
    """
    Nobody waits for an answer that never comes.
    """
    answers: list[Settled] = []

    def settle(_):
        raise error

    settler = Settler(settle)
    settler.submit(arrival(0), answers.append)
    settler.stop()

    assert [error] == answers


def test_who_is_decided_by_himself_keeps_no_others_waiting():
    """
    The next group is stored while it goes on; stopping waits for it.
    """
    answers: list[Settled] = []
    go_on, answered = threading.Event(), threading.Event()

    def long() -> Settled:
        assert go_on.wait(30)
        return Stored(held="LATE")

    def settle(group):
        return [(i, Stored() if each.message_id else long) for i, each in enumerate(group)]

    def answer(settled: Settled) -> None:
        answers.append(settled)
        answered.set()

    settler = Settler(settle)
    settler.submit(arrival(0), answer)
    settler.submit(arrival(1), answer)
    assert answered.wait(30)
    assert [Stored()] == answers
    go_on.set()
    settler.stop()

    assert [Stored(), Stored(held="LATE")] == answers


def test_who_is_decided_by_himself_and_fails_is_answered():
    """
    And the next one is decided.
    """
    answers: list[Settled] = []
    error = ValueError("unexpected")

    def fail() -> Settled:
        raise error

    settler = Settler(lambda group: [(i, fail) for i, _ in enumerate(group)])
    settler.submit(arrival(0), answers.append)
    settler.submit(arrival(1), answers.append)
    settler.stop()

    assert [error, error] == answers
