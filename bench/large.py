"""One large object, a multi-frame of 210 MB: `python -m bench large`.

It is sent over one association, once in a round to each server, in turn. What counts is
MB/s, and how much memory the process takes that receives it.
"""

from __future__ import annotations

import sys

from bench import figures, tables
from bench.cells import Runs, Task
from bench.chosen import Chosen, parser, with_servers
from bench.receive import fresh
from bench.results import Record, scratch
from bench.rows import Cell

KIND = "multiframe"
SERVERS = ("reconcile", "storescp")
#: Long enough for one; there is no second one.
SECONDS = 3600.0


def main(arguments: list[str]) -> int:
    options = parser("large", __doc__, rounds=3)
    with_servers(options, SERVERS)
    asked = options.parse_args(arguments)
    with scratch() as folder:
        record = Record("large", asked.name, folder)
        chosen, runs = Chosen(asked, folder), Runs()
        cells: list[Cell] = []
        for number in range(1, asked.rounds + 1):
            turn = chosen.servers if number % 2 else chosen.servers[::-1]
            for server in turn:
                task = Task(KIND, 1, number, SECONDS, each=1)
                cells += fresh(server, [task], runs)
            settings = {"rounds": asked.rounds}
            record.write(cells, chosen.versions, settings, chosen.left_out)
    for table in figures.large(cells):
        print("\n".join(tables.text(table)))
    print(f"written to {record.path.name}", file=sys.stderr)
    return int(any(cell.fault for cell in cells))
