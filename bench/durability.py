"""What is left after kill -9: `python -m bench durability`.

Instances are sent until, at a random moment, every process of the archive is killed, its
database's among them. Then it is started again, and everything is counted that was
acknowledged, and everything that was not. The processes are killed and not the power: what
the system had taken from them is written all the same.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from bench import aftermath, states, tables
from bench.cells import WARMING, Runs, Task, blast_command, studies_for, warm_up
from bench.chosen import parser, some_of
from bench.data import encoded
from bench.identity import SEED, Identity
from bench.ours import Reconcile
from bench.results import Record, scratch
from bench.rows import Killed
from bench.servers import running

#: From the start of the load generator on; it takes about a second to begin.
EARLIEST_SECONDS, LATEST_SECONDS = 1.5, 4.0
ASSOCIATIONS = 4
#: Statuses begin so that say that an instance is kept: success, and warnings.
KEPT = ("0000", "B")

#: A study, and the counter of an instance in it.
Instance = tuple[Identity, int]


def attempt(server: Reconcile, kind: str, number: int, runs: Runs) -> Killed:
    """Send, kill, start again, count."""
    fastest = warm_up(server, kind, runs)
    run, began = runs.next(), datetime.now(UTC)
    moment = random.Random(f"{SEED} {number}").uniform(EARLIEST_SECONDS, LATEST_SECONDS)
    task = Task(kind, ASSOCIATIONS, number, LATEST_SECONDS + 1)
    studies = studies_for(task, fastest)
    server.prepare(Identity(run, at) for at in range(studies))
    told = _sent_until(server, blast_command(server, task, run, studies), moment)
    since = time.perf_counter()
    server.start()
    restart = time.perf_counter() - since
    answered = {(Identity(run, at), n): said for at, n, said in told["acknowledged"]}
    left = _counted(server, kind, answered, began)
    return Killed(kind, number, round(moment, 2), round(restart, 2), **left)


def _counted(
    server: Reconcile, kind: str, answered: dict[Instance, str], began: datetime
) -> dict[str, Any]:
    """What is there of what was answered, and what else is there."""
    kept = {uid_of(each): each for each, said in answered.items() if said.startswith(KEPT)}
    coerced = {uid_of(each) for each, said in answered.items() if said == server.expected}
    missing, altered = aftermath.received(server, encoded(kind), kept)
    events = Counter(aftermath.events(server, began))
    others = set(events) - set(kept)
    there = aftermath.there(server, others)
    return {
        "acknowledged": len(kept),
        "answers": dict(Counter(answered.values())),
        "missing": missing,
        "altered": altered,
        "without_event": len(coerced - set(events)),
        "with_two_events": sum(count > 1 for count in events.values()),
        "stored_unacknowledged": len(there),
        "events_without_instance": len(others - there),
        "doctor": _doctor(server),
    }


def uid_of(instance: Instance) -> str:
    identity, counter = instance
    return identity.instance_uid(counter)


def _sent_until(server: Reconcile, command: list[str], moment: float) -> dict[str, Any]:
    """Send until the archive is killed; what had been answered."""
    command = [*command, "--tell", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
        time.sleep(moment)
        server.kill()
        told: dict[str, Any] = json.loads(generator.communicate()[0])
    return told


def _doctor(server: Reconcile) -> dict[str, int]:
    """How many findings `reconcile doctor` has, by code."""
    done = server.run("doctor", "--json")
    if done.returncode not in (0, 1):
        return {f"exit code {done.returncode}": 1}
    findings = (json.loads(line) for line in done.stdout.splitlines())
    return dict(Counter(each["code"] for each in findings))


def main(arguments: list[str]) -> int:
    options = parser("durability", __doc__, rounds=10)
    options.add_argument("--kinds", type=some_of(WARMING), default=WARMING, help="in turn")
    asked = options.parse_args(arguments)
    rows: list[Killed] = []
    with scratch() as folder:
        record = Record("durability", asked.name, folder)
        server, runs = Reconcile(folder), Runs()
        with running(server):
            for number in range(1, asked.rounds + 1):
                kind = asked.kinds[(number - 1) % len(asked.kinds)]
                rows.append(attempt(server, kind, number, runs))
                print(rows[-1], file=sys.stderr)
                settings = {"rounds": number, "associations": ASSOCIATIONS}
                record.write(rows, {server.name: server.version}, settings)
    print("\n".join(tables.text(states.durability(rows))))
    print(f"written to {record.path.name}", file=sys.stderr)
    return int(any(each.lost for each in rows))
