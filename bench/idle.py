"""What associations cost on which nothing happens: `python -m bench idle`.

First nobody is there, then a hundred associations are open for as long. They come from
several addresses of loopback, and each is released in order at the end: so each was there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from bench import states, tables
from bench.cells import Runs, warm_up
from bench.chosen import Chosen, parser, with_servers
from bench.data import KINDS
from bench.identity import CALLING
from bench.results import Record, scratch
from bench.rows import Idle
from bench.servers import Server, running
from bench.usage import memory, peak_rss, processor_seconds
from bench.wire import Association

#: Of one address; who counts peers may allow no more.
PER_ADDRESS = 10
SETTLE_SECONDS = 2.0


def measure(server: Server, number: int, associations: int, seconds: float) -> Idle:
    """Open as many, do nothing for so long, release them."""
    peers = _open(server, associations)
    time.sleep(SETTLE_SECONDS)
    before = _spent(server)
    time.sleep(seconds)
    receiving, all_ = (
        100 * (after - was) / seconds
        for after, was in zip(_spent(server), before, strict=True)
    )
    idle = Idle(
        server.name,
        number,
        associations,
        round(receiving, 2),
        round(all_, 2),
        round(memory([*server.processes(), *server.database()]) / 1e6, 1),
        round(max(map(peak_rss, server.receiving()), default=0) / 1e6, 1),
    )
    for peer in peers:
        peer.release()
    return idle


def _open(server: Server, associations: int) -> Sequence[Association]:
    sop_class = KINDS["small"].sop_class
    return [
        Association(
            server.port,
            server.called,
            CALLING,
            sop_class,
            f"127.0.0.{2 + at // PER_ADDRESS}",
        )
        for at in range(associations)
    ]


def _spent(server: Server) -> tuple[float, float]:
    receiving = processor_seconds(server.receiving())
    others = processor_seconds([*server.processes(), *server.database()])
    return receiving, others


def main(arguments: list[str]) -> int:
    options = parser("idle", __doc__, rounds=1)
    with_servers(options, ["reconcile"])
    options.add_argument("--associations", type=int, default=100)
    options.add_argument("--seconds", type=float, default=20)
    asked = options.parse_args(arguments)
    rows: list[Idle] = []
    with scratch() as folder:
        record = Record("idle", asked.name, folder)
        chosen, runs = Chosen(asked, folder), Runs()
        for number in range(1, asked.rounds + 1):
            for server in chosen.servers:
                with running(server):
                    warm_up(server, "small", runs)
                    rows.append(measure(server, number, 0, asked.seconds))
                    rows.append(measure(server, number, asked.associations, asked.seconds))
            settings = {"rounds": asked.rounds, "seconds": asked.seconds}
            record.write(rows, chosen.versions, settings, chosen.left_out)
    print("\n".join(tables.text(states.idle(rows))))
    print(f"written to {record.path.name}", file=sys.stderr)
    return 0
