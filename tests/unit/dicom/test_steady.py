"""Who was let go and stopped again before it went has not gone."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from reconcile.dicom.steady import Checkpoint, make_steady


def test_it_stands_where_it_was_stopped_again() -> None:
    """Let go and stopped at once, a thousand times: it passes, or is not said to stand."""
    association: Any = SimpleNamespace(_is_paused=False)
    checkpoint = Checkpoint(cast(Association, association))
    passed, ended = threading.Event(), False
    rounds = 0

    def run() -> None:
        nonlocal rounds
        while not ended:
            checkpoint.wait()
            association._is_paused = False
            rounds += 1
            passed.wait(0.0001)

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(1000):
        checkpoint.clear()
        while not association._is_paused:
            pass
        before = rounds
        passed.wait(0.0002)
        assert rounds == before
        checkpoint.set()
    ended = True
    checkpoint.set()
    thread.join(10)
    assert not thread.is_alive()


def test_who_does_not_stand_there_is_not_paused() -> None:
    """It has passed, and not said so yet."""
    association: Any = SimpleNamespace(_is_paused=True)
    Checkpoint(cast(Association, association)).clear()
    assert not association._is_paused


def test_every_association_has_one() -> None:
    """Also where it is asked for twice."""
    make_steady()
    make_steady()
    made = Association(ApplicationEntity("TEST"), "requestor")
    assert isinstance(made._reactor_checkpoint, Checkpoint)
    assert made._reactor_checkpoint.is_set()
