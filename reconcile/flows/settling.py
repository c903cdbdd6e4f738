"""Threads that store what arrives: what queued while they stored is the next group.

No timer: a group is whatever there is when the one before it is done, so that a lone
sender never waits for others, and many share one sync and one transaction. Those of a
group that have to be decided by themselves, the first of each study above all, go to a
second thread: it takes many times as long. Nothing about protocols or deciding may be put
here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue

from reconcile.flows.arrival import Arrival, Stored

#: What became of an arrival, or why it was refused.
Settled = Stored | Exception
#: Decides an arrival by itself; raises nothing.
Alone = Callable[[], Settled]
#: Told what became of an arrival, once, in a settling thread; must not wait.
Answer = Callable[[Settled], None]
#: (index, what became of it) of each of a group, as soon as it is known; or what will tell.
Settle = Callable[[Sequence[Arrival]], Iterable[tuple[int, Settled | Alone]]]

#: A group is bounded, so that the first of it does not wait for ever.
GROUP_MAX = 64


class Settler:
    """Takes arrivals from any thread and settles them in groups.

    Args:
        settle: carries out a group; answers for each of it, and raises nothing that is
            about one of them.
    """

    def __init__(self, settle: Settle) -> None:
        self._settle = settle
        self._queue: SimpleQueue[tuple[Arrival, Answer] | None] = SimpleQueue()
        self._left: SimpleQueue[tuple[Alone, Answer] | None] = SimpleQueue()
        self._ended = False
        self._threads = (
            threading.Thread(target=self._run, name="settler", daemon=True),
            threading.Thread(target=self._run_alone, name="settler-alone", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def submit(self, arrival: Arrival, answer: Answer) -> None:
        """Let an arrival be stored, and `answer` be told what became of it."""
        self._queue.put((arrival, answer))

    def stop(self) -> None:
        """Settle what was submitted, then end; nothing may be submitted afterwards."""
        self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._ended:
            if group := self._next():
                self._answer(group)
        self._left.put(None)

    def _run_alone(self) -> None:
        while (left := self._left.get()) is not None:
            alone, answer = left
            try:
                became = alone()
            except Exception as error:  # noqa: BLE001 - every arrival is answered
                became = error
            answer(became)

    def _next(self) -> list[tuple[Arrival, Answer]]:
        """Wait for one, and take what queued behind it."""
        group = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if self._queue.empty() or len(group) == GROUP_MAX:
                return group
            item = self._queue.get()
        self._ended = True
        return group

    def _answer(self, group: list[tuple[Arrival, Answer]]) -> None:
        waiting = {index: answer for index, (_, answer) in enumerate(group)}
        try:
            for index, became in self._settle([arrival for arrival, _ in group]):
                answer = waiting.pop(index)
                if callable(became):
                    self._left.put((became, answer))
                else:
                    answer(became)
        except Exception as error:  # noqa: BLE001 - every arrival is answered
            for answer in waiting.values():
                answer(error)
