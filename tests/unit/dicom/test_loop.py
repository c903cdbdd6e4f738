"""The loop: one wake-up for a burst, nothing lost at the end."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from reconcile.dicom.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop("loop of a test")
    made.start()
    yield made
    made.end()


def test_calls_are_made_in_order_in_the_loops_thread(loop: Loop) -> None:
    """From however many threads they come, each keeps its own order."""
    seen: list[tuple[int, int, str]] = []
    done = threading.Event()

    def see(number: int, n: int) -> None:
        seen.append((number, n, threading.current_thread().name))

    def post(number: int) -> None:
        for n in range(1000):
            loop.post(partial(see, number, n))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loop.post(done.set)
    assert done.wait(10)
    assert {name for _, _, name in seen} == {"loop of a test"}
    for number in range(4):
        assert [n for which, n, _ in seen if which == number] == list(range(1000))


def test_a_burst_wakes_the_loop_once(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What many threads say while it is busy is one wake-up."""
    busy, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        go_on.wait(10)

    loop.post(block)
    assert busy.wait(10)
    woken: list[object] = []
    wake = loop.asyncio.call_soon_threadsafe

    def count(*call: object) -> asyncio.Handle:
        woken.append(call)
        return wake(*call)  # type: ignore[arg-type]

    monkeypatch.setattr(loop.asyncio, "call_soon_threadsafe", count)
    for _ in range(100):
        loop.post(lambda: None)
    loop.post(done.set)
    go_on.set()
    assert done.wait(10)
    assert len(woken) <= 1


def test_a_call_that_fails_does_not_keep_others(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    """And what it says is not logged."""
    done = threading.Event()

    def fail() -> None:
        raise ValueError("DOE^JANE")

    with caplog.at_level(logging.INFO):
        loop.post(fail)
        loop.post(done.set)
        assert done.wait(10)
        loop.asyncio.call_soon_threadsafe(fail)
        loop.wait_for(asyncio.sleep(0))
    assert caplog.text.count("ValueError") == 2
    assert "DOE" not in caplog.text


def test_what_was_posted_is_called_before_the_end() -> None:
    """Afterwards it is said that nothing is called any more."""
    loop, seen = Loop("loop of a test"), list[int]()
    loop.start()
    for number in range(100):
        assert loop.post(partial(seen.append, number))
    for _ in range(2):
        loop.end()
    assert seen == list(range(100))
    assert not loop.post(lambda: seen.append(-1))
    assert len(seen) == 100


def test_a_loop_that_never_ran_ends_too() -> None:
    """A door that was built, and never opened."""
    Loop("loop of a test").end()
