"""The load generator, a process of its own: `python -m bench.blast` with its orders.

A thread for each association; each sends study after study, one instance after the other,
and waits for each response, as scanners do. It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

from bench.data import KINDS, encoded
from bench.identity import CALLING, INSTANCES_PER_STUDY, SEED, STUDIES, Identity
from bench.request import Request
from bench.wire import Association

START_SECONDS = 60
#: Instances that are told by name, to be looked at after a measurement.
SAMPLE = 5


class Sender:
    """One association: made, held at the start line, and then sending.

    Args:
        studies: numbers of studies that were ordered and that nobody has begun; shared
            by all associations, and each is taken by one.
    """

    def __init__(self, orders: argparse.Namespace, studies: Iterator[int]) -> None:
        self.orders = orders
        self.studies = studies
        self.answers: Counter[str] = Counter()
        self.milliseconds: list[float] = []
        self.acknowledged: list[tuple[int, int, str]] = []
        self.last = 0.0
        self.ran_out = False
        self.error = ""

    def run(self, start: threading.Barrier) -> None:
        try:
            self._run(start)
        except (OSError, threading.BrokenBarrierError) as error:
            self.error = f"{type(error).__name__}: {error}"
            start.abort()

    def _run(self, start: threading.Barrier) -> None:
        orders, object_ = self.orders, encoded(self.orders.kind)
        peer = Association(orders.port, orders.called, CALLING, object_.sop_class)
        request = Request(object_, peer.pdu_length)
        start.wait()
        for study, counter in self._turns(time.perf_counter() + orders.seconds):
            if counter == 1:
                request.begin(Identity(orders.run, study))
            buffer = request.instance(counter)
            began = time.perf_counter()
            answer = peer.store(buffer)
            self.last = time.perf_counter()
            self.milliseconds.append((self.last - began) * 1000)
            said = f"{answer.status:04X}"
            if answer.comment.startswith("held"):
                said += " held"
            self.answers[said] += 1
            self.acknowledged.append((study, counter, said))
        peer.release()

    def _turns(self, until: float) -> Iterator[tuple[int, int]]:
        """Study and counter of each instance, while there is time."""
        left = self.orders.each or None
        for study in self.studies:
            for counter in range(1, INSTANCES_PER_STUDY + 1):
                if left == 0 or time.perf_counter() >= until:
                    return
                yield study, counter
                left = left and left - 1
        self.ran_out = True


def blast(senders: list[Sender]) -> dict[str, object]:
    """Let all of them start at once; what came of it."""
    began: list[float] = []
    start = threading.Barrier(
        len(senders),
        action=lambda: began.append(time.perf_counter()),
        timeout=START_SECONDS,
    )
    threads = [threading.Thread(target=each.run, args=(start,)) for each in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers: Counter[str] = sum((each.answers for each in senders), Counter())
    took = sorted(ms for each in senders for ms in each.milliseconds)
    return {
        "answers": dict(answers),
        "instances": answers.total(),
        "seconds": max(each.last for each in senders) - began[0] if took else 0.0,
        "p50_ms": took[len(took) // 2] if took else 0.0,
        "p99_ms": took[len(took) * 99 // 100] if took else 0.0,
        "ran_out": any(each.ran_out for each in senders),
        "errors": [each.error for each in senders if each.error],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.blast")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--called", required=True)
    parser.add_argument("--kind", choices=list(KINDS), required=True)
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--each", type=int, default=0, help="instances; 0: no limit")
    parser.add_argument("--run", type=int, required=True)
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--tell", type=int, default=SAMPLE, help="instances; 0: all")
    orders = parser.parse_args()
    object_ = encoded(orders.kind)
    studies = iter(range(orders.studies))
    senders = [Sender(orders, studies) for _ in range(orders.associations)]
    # From here on, or making the object would count as sending it.
    processor = time.process_time()
    told = blast(senders)
    told["processor_seconds"] = time.process_time() - processor
    sent = [each for sender in senders for each in sender.acknowledged]
    draw = random.Random(SEED + orders.run)
    told["acknowledged"] = draw.sample(sent, min(orders.tell or len(sent), len(sent)))
    told["bytes_each"] = len(object_.data)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
