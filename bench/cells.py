"""One measurement: a server is sent instances for a while, and what that came to."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from bench.data import KINDS
from bench.identity import INSTANCES_PER_STUDY, STUDIES, Identity
from bench.rows import Cell
from bench.servers import Sent, Server, Wrong
from bench.usage import Watched

WARM_UP_SECONDS = 1.0
#: In a warm-up; a large object is no warm-up, but the peak that is looked for.
ASSOCIATIONS = 8
WARMING = ("ct", "small")
#: Studies for a warm-up; it may end before its time.
WARM_UP_STUDIES = 40
#: A warm-up is slow at first, and short: by how much it may be wrong, and what part of
#: what a server says itself it is prepared for whatever it has shown.
FASTER_THAN_SHOWN, PART = 8, 1 / 3
FAULT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be measured.

    Args:
        each: instances of each association; 0: as many as there is time for.
    """

    kind: str
    associations: int
    round: int
    seconds: float
    each: int = 0


class Runs:
    """Numbers runs: no two have a patient, an order or an instance in common."""

    def __init__(self, first: int = 1) -> None:
        self._numbers = itertools.count(first)

    def next(self) -> int:
        return next(self._numbers)


def measure(server: Server, task: Task, runs: Runs, fastest: float) -> Cell:
    """Let a running server receive; it is prepared for `fastest` instances a second."""
    run = runs.next()
    studies = studies_for(task, fastest)
    server.prepare(Identity(run, at) for at in range(studies))
    # What was written before is on the disk: nobody pays for another's writing.
    os.sync()
    with Watched(server) as watched:
        told = send(server, task, run, studies)
    return _cell(server, task, told, watched, _fault(server, run, told))


def warm_up(server: Server, kind: str, runs: Runs) -> float:
    """What happens once in the life of a server is not measured.

    Returns:
        Instances per second that it is to be prepared for from then on: several times
        what it has shown, and no more than it says itself.

    Raises:
        Wrong: it did not do what it is there for.
    """
    task = Task(kind if kind in WARMING else "small", ASSOCIATIONS, 0, WARM_UP_SECONDS)
    run = runs.next()
    server.prepare(Identity(run, at) for at in range(WARM_UP_STUDIES))
    told = send(server, task, run, WARM_UP_STUDIES)
    fault = _fault(server, run, {**told, "ran_out": False})
    if fault:
        raise Wrong(f"{server.name}: {fault}")
    shown: float = told["instances"] / told["seconds"]
    fastest = server.fastest[kind]
    return min(fastest, max(PART * fastest, FASTER_THAN_SHOWN * shown))


def studies_for(task: Task, fastest: float) -> int:
    """How many are ordered before, so that nobody runs out of them."""
    instances = task.each * task.associations or int(fastest * task.seconds)
    # Each association may leave one half sent.
    return min(STUDIES, instances // INSTANCES_PER_STUDY + task.associations + 1)


def send(server: Server, task: Task, run: int, studies: int, *more: str) -> dict[str, Any]:
    """Start the load generator and wait for its end; what it tells."""
    command = blast_command(server, task, run, studies, *more)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def blast_command(
    server: Server, task: Task, run: int, studies: int, *more: str
) -> list[str]:
    said = {
        "port": server.port,
        "called": server.called,
        "kind": task.kind,
        "associations": task.associations,
        "seconds": task.seconds,
        "each": task.each,
        "run": run,
        "studies": studies,
    }
    words = (word for name, value in said.items() for word in (f"--{name}", str(value)))
    return [sys.executable, "-m", "bench.blast", *words, *more]


def _fault(server: Server, run: int, told: dict[str, Any]) -> str:
    """Why the figures do not count; empty: they do."""
    wrong = {s: n for s, n in told["answers"].items() if s != server.expected}
    if wrong:
        return f"answered {wrong}"
    if told["errors"]:
        return str(told["errors"][0])
    if told["ran_out"]:
        return "it received all that was ordered: raise what it is prepared for"
    if not told["instances"]:
        return "nothing was answered"
    sample = tuple((Identity(run, at), n) for at, n, _ in told["acknowledged"])
    try:
        server.verify(Sent(told["instances"], sample))
    except (Wrong, LookupError, OSError) as error:
        return str(error)
    return ""


def _cell(
    server: Server, task: Task, told: dict[str, Any], watched: Watched, fault: str
) -> Cell:
    count, seconds = told["instances"], told["seconds"]
    rate = count / seconds if seconds else 0.0
    return Cell(
        server=server.name,
        kind=task.kind,
        associations=task.associations,
        round=task.round,
        instances=count,
        seconds=round(seconds, 3),
        per_second=round(rate, 1),
        mb_per_second=round(rate * told["bytes_each"] / 1e6, 2),
        p50_ms=round(told["p50_ms"], 2),
        p99_ms=round(told["p99_ms"], 2),
        answers=told["answers"],
        server_seconds=round(watched.server_seconds, 2),
        database_seconds=round(watched.database_seconds, 2),
        client_seconds=round(told["processor_seconds"], 3),
        peak_mb=round(watched.peak_bytes / 1e6, 1),
        receiver_mb=round(watched.receiver_bytes / 1e6, 1),
        fault=fault,
    )


def broken(server: Server, task: Task, fault: str) -> Cell:
    """What could not be measured."""
    return Cell(
        server=server.name,
        kind=task.kind,
        associations=task.associations,
        round=task.round,
        fault=" ".join(fault.split())[:FAULT_CHARACTERS],
    )


def said(cell: Cell) -> str:
    """A line for who watches."""
    head = f"round {cell.round}  {KINDS[cell.kind].title:<19}{cell.associations:>2} assoc."
    cost = 1000 * (cell.server_seconds + cell.database_seconds) / max(1, cell.instances)
    rate = f"{cell.per_second:>8.0f}/s{cell.mb_per_second:>7.0f} MB/s{cost:>8.2f} ms CPU"
    return f"{head}  {cell.server:<10}{rate}  {cell.fault}".rstrip()
