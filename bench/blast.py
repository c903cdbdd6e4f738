"""The load generator, a process of its own: `python -m bench.blast` with its orders.

A thread for each association; each sends one instance after the other and waits for its
response, as scanners do. It prints one JSON object: counts of statuses, seconds.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import Counter

from pydicom.uid import CTImageStorage

from bench.data import COUNTER_DIGITS, SIZES, Identity, data_set, first_uid
from bench.wire import Association, Request


class Sender:
    """One association: made, held at the start line, and then sending."""

    def __init__(self, orders: argparse.Namespace, number: int) -> None:
        self.identity = Identity(orders.run, number)
        self.data = data_set(orders.kind, self.identity)
        self.orders = orders
        self.statuses: Counter[int] = Counter()
        self.milliseconds: list[float] = []
        self.last = 0.0
        self.error = ""

    def run(self, start: threading.Barrier) -> None:
        try:
            self._run(start)
        except (OSError, threading.BrokenBarrierError) as error:
            self.error = f"{type(error).__name__}: {error}"
            start.abort()

    def _run(self, start: threading.Barrier) -> None:
        orders = self.orders
        peer = Association(orders.port, orders.called, orders.calling, CTImageStorage)
        request = Request(
            CTImageStorage,
            first_uid(self.identity),
            self.data,
            peer.pdu_length,
            COUNTER_DIGITS,
        )
        start.wait()
        until, number = time.perf_counter() + orders.seconds, 0
        while (now := time.perf_counter()) < until:
            number += 1
            self.statuses[peer.store(request.count(number))] += 1
            self.last = time.perf_counter()
            self.milliseconds.append((self.last - now) * 1000)
        peer.release()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.blast")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--called", required=True)
    parser.add_argument("--calling", default="BENCH")
    parser.add_argument("--kind", choices=list(SIZES), required=True)
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--run", type=int, required=True)
    orders = parser.parse_args()
    senders = [Sender(orders, number) for number in range(orders.associations)]
    print(json.dumps(blast(senders)))


def blast(senders: list[Sender]) -> dict[str, object]:
    """Let all of them start at once; what came of it."""
    began: list[float] = []
    start = threading.Barrier(
        len(senders), action=lambda: began.append(time.perf_counter()), timeout=60
    )
    threads = [threading.Thread(target=each.run, args=(start,)) for each in senders]
    processor = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses: Counter[int] = sum((each.statuses for each in senders), Counter())
    took = sorted(ms for each in senders for ms in each.milliseconds)
    return {
        "statuses": {f"{status:04X}": count for status, count in statuses.items()},
        "instances": statuses.total(),
        "seconds": max(each.last for each in senders) - began[0] if began else 0.0,
        "bytes_each": len(senders[0].data),
        "median_ms": took[len(took) // 2] if took else None,
        "p99_ms": took[len(took) * 99 // 100] if took else None,
        "client_processor_seconds": time.process_time() - processor,
        "errors": [each.error for each in senders if each.error],
    }


if __name__ == "__main__":
    main()
