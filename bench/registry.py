"""Whether receiving slows down as the registry grows: `python -m bench registry`.

Two archives, one of them with a thousand times as many instances in its registry, take
turns with instances that are stored on top.
"""

from __future__ import annotations

import argparse
import sys

from bench import figures, tables
from bench.cells import Runs
from bench.chosen import numbers, words
from bench.filled import ON_TOP, copied
from bench.ours import Reconcile
from bench.receive import rounds
from bench.results import Record, scratch
from bench.rows import Cell
from bench.servers import running

SIZES = (2_000, 2_000_000)


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m bench registry", description=__doc__)
    options.add_argument("--sizes", type=int, nargs=2, default=SIZES)
    options.add_argument("--kinds", type=words, default=("small", "ct"))
    options.add_argument("--associations", type=numbers, default=(8,))
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
    options.add_argument("--name", default="", help="of the file with the results")
    asked = options.parse_args(arguments)
    settings = {"rounds": asked.rounds, "seconds": asked.seconds}
    cells: list[Cell] = []
    with scratch() as folder:
        record = Record("registry", asked.name, folder)
        servers = [Reconcile(folder, tables.size(each)) for each in sorted(asked.sizes)]
        for server, size in zip(servers, sorted(asked.sizes), strict=True):
            with running(server), copied(server) as copies:
                copies.fill_up(size)
        for more in rounds(servers, asked, Runs(ON_TOP)):
            cells += more
            record.write(cells, {"reconcile": servers[0].version}, settings)
    for table in figures.registry(cells):
        print("\n".join(tables.text(table)))
    print(f"written to {record.path.name}", file=sys.stderr)
    return int(any(cell.fault for cell in cells))
