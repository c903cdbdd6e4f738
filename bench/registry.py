"""Whether receiving slows down as the registry grows: `python -m bench registry`.

Two archives, one of them with a thousand times as many instances in its registry, take
turns with instances that are stored on top.
"""

from __future__ import annotations

import sys

from bench import figures, tables
from bench.cells import WARMING, Runs
from bench.chosen import numbers, parser, some_of
from bench.filled import ON_TOP, copied
from bench.ours import Reconcile
from bench.receive import in_turn
from bench.results import Record, scratch
from bench.rows import Cell
from bench.servers import running

SIZES = (2_000, 2_000_000)


def main(arguments: list[str]) -> int:
    options = parser("registry", __doc__, rounds=3)
    options.add_argument("--sizes", type=int, nargs=2, default=SIZES)
    options.add_argument("--kinds", type=some_of(WARMING), default=WARMING)
    options.add_argument("--associations", type=numbers, default=(8,))
    options.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
    asked = options.parse_args(arguments)
    settings = {"rounds": asked.rounds, "seconds": asked.seconds}
    cells: list[Cell] = []
    with scratch() as folder:
        record = Record("registry", asked.name, folder)
        servers = [Reconcile(folder, tables.size(each)) for each in sorted(asked.sizes)]
        for server, size in zip(servers, sorted(asked.sizes), strict=True):
            with running(server), copied(server) as copies:
                copies.fill_up(size)
        for more in in_turn(servers, asked, Runs(ON_TOP)):
            cells += more
            record.write(cells, {"reconcile": servers[0].version}, settings)
    for table in figures.registry(cells):
        print("\n".join(tables.text(table)))
    print(f"written to {record.path.name}", file=sys.stderr)
    return int(any(cell.fault for cell in cells))
