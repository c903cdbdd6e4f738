"""How many instances a second are received, beside peers: `python -m bench receive`.

All are sent the same objects over several rounds. In a round, and for each kind of
object, they come in a shuffled order; each is started, warmed up, measured with one and
with more associations, and stopped. So what else the machine does falls on all alike.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence

from bench import figures, tables
from bench.cells import Runs, Task, broken, measure, said, warm_up
from bench.chosen import ALL, Chosen, numbers, parser, some_of, with_servers
from bench.data import KINDS
from bench.identity import SEED
from bench.results import Record, scratch
from bench.rows import Cell
from bench.servers import Server, running

ASSOCIATIONS = (1, 8)
KINDS_RECEIVED = ("ct", "small")


def in_turn(
    servers: Sequence[Server], asked: argparse.Namespace, runs: Runs
) -> Iterator[list[Cell]]:
    """The cells of one round after the other."""
    for number in range(1, asked.rounds + 1):
        cells: list[Cell] = []
        for kind in asked.kinds:
            turn = list(servers)
            random.Random(f"{SEED} {number} {kind}").shuffle(turn)
            for server in turn:
                tasks = [Task(kind, n, number, asked.seconds) for n in asked.associations]
                cells += fresh(server, tasks, runs)
        yield cells


def fresh(server: Server, tasks: Sequence[Task], runs: Runs) -> list[Cell]:
    """Start a server, measure, stop it; one that fails has cells with its fault."""
    cells: list[Cell] = []
    try:
        server.wipe()
        with running(server):
            fastest = warm_up(server, tasks[0].kind, runs)
            for task in tasks:
                cells.append(measure(server, task, runs, fastest))
                print(said(cells[-1]), file=sys.stderr)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"{server.name}: {error}", file=sys.stderr)
        cells += [broken(server, task, str(error)) for task in tasks[len(cells) :]]
    return cells


def main(arguments: list[str]) -> int:
    options = parser("receive", __doc__, rounds=3)
    with_servers(options, ALL)
    options.add_argument("--kinds", type=some_of(KINDS), default=KINDS_RECEIVED)
    options.add_argument("--associations", type=numbers, default=ASSOCIATIONS)
    options.add_argument("--seconds", type=float, default=2.5, help="of one measurement")
    asked = options.parse_args(arguments)
    settings = {"rounds": asked.rounds, "seconds": asked.seconds}
    with scratch() as folder:
        record = Record("receive", asked.name, folder)
        chosen = Chosen(asked, folder)
        cells: list[Cell] = []
        for more in in_turn(chosen.servers, asked, Runs()):
            cells += more
            record.write(cells, chosen.versions, settings, chosen.left_out)
    for table in figures.receiving(cells):
        print("\n".join(tables.text(table)))
    print(f"written to {record.path.name}", file=sys.stderr)
    return int(any(cell.fault for cell in cells))
