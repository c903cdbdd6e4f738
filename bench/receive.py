"""Receiving, beside DCMTK's storescp in the same run: `make bench`.

Both are sent the same bytes, in turn, over several rounds; so what else the machine does
falls on both. This archive knows the patient and the order of every instance: each one
is coerced, with its audit row. storescp writes a file and does not wait for the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine
from bench.data import SIZES, Identity
from bench.servers import CALLING, Reconcile, Server, Storescp, storescp_version
from bench.usage import Watched

RESULTS = Path(__file__).parent / "results"
ASSOCIATIONS = (1, 8)
OBJECTS = {"ct": "CT 0.53 MB", "small": "small 6 kB"}
WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement."""

    server: str
    kind: str
    associations: int
    round: int
    instances: int
    seconds: float
    per_second: float
    processor_ms: float
    peak_mb: float
    median_ms: float
    p99_ms: float
    client_processor_ms: float
    statuses: dict[str, int]


class Bench:
    """Servers that take turns, and what was measured of them."""

    def __init__(
        self, servers: list[Server], seconds: float, *, first_run: int = 0
    ) -> None:
        self.servers = servers
        self.seconds = seconds
        self.cells: list[Cell] = []
        self._run = first_run

    def warm_up(self) -> None:
        """What happens once in the life of a server is not measured."""
        for server in self.servers:
            for kind in SIZES:
                self.measure(server, kind, max(ASSOCIATIONS), 0, WARM_UP_SECONDS)

    def round(self, number: int) -> None:
        """One cell of each kind for each server; who begins alternates."""
        for kind in SIZES:
            for associations in ASSOCIATIONS:
                turn = self.servers if number % 2 else self.servers[::-1]
                for server in turn:
                    cell = self.measure(server, kind, associations, number, self.seconds)
                    self.cells.append(cell)
                    _progress(cell)

    def measure(
        self, server: Server, kind: str, associations: int, number: int, seconds: float
    ) -> Cell:
        """Let one server receive; raises RuntimeError where it answers otherwise."""
        self._run += 1
        server.prepare(Identity(self._run, at) for at in range(associations))
        # What was written before is on the disk: nobody pays for another's writing.
        os.sync()
        with Watched(server.processes) as watched:
            told = _blast(server, kind, associations, seconds, self._run)
        server.tidy()
        wrong = {s: n for s, n in told["statuses"].items() if s != server.expected}
        if wrong or told["errors"]:
            raise RuntimeError(f"{server.name}: statuses {wrong}, errors {told['errors']}")
        count = told["instances"]
        return Cell(
            server=server.name,
            kind=kind,
            associations=associations,
            round=number,
            instances=count,
            seconds=round(told["seconds"], 3),
            per_second=round(count / told["seconds"], 1),
            processor_ms=round(watched.processor_seconds * 1000 / count, 3),
            peak_mb=round(watched.peak_bytes / 1e6, 1),
            median_ms=round(told["median_ms"], 2),
            p99_ms=round(told["p99_ms"], 2),
            client_processor_ms=round(told["client_processor_seconds"] * 1000 / count, 3),
            statuses=told["statuses"],
        )


def _blast(
    server: Server, kind: str, associations: int, seconds: float, run: int
) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.blast", "--port", str(server.port)]
    command += ["--called", server.called, "--calling", CALLING, "--kind", kind]
    command += ["--associations", str(associations), "--seconds", str(seconds)]
    command += ["--run", str(run)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _progress(cell: Cell) -> None:
    said = f"round {cell.round}  {OBJECTS[cell.kind]:<11}{cell.associations:>2} assoc."
    cost = f"{cell.per_second:>8.0f}/s{cell.processor_ms:>8.2f} ms CPU"
    print(f"{said}  {cell.server:<10}{cost}", file=sys.stderr)


# -- What is printed --------------------------------------------------------------------


def table(cells: list[Cell], peer: str) -> Iterator[str]:
    """The figures with their units: medians, and from the least to the greatest."""
    yield f"instances per second received: median of rounds (least-greatest); peer: {peer}"
    head = f"{'object':<12}{'assoc.':>6}  {'reconcile':<20}{'storescp':<20}"
    yield f"{head}{'ratio':<22}{'p99 ms':>8}{'CPU ms':>8}{'peer':>7}"
    for kind, name in OBJECTS.items():
        for associations in ASSOCIATIONS:
            of = [c for c in cells if (c.kind, c.associations) == (kind, associations)]
            ours = [c for c in of if c.server == Reconcile.name]
            theirs = [c for c in of if c.server == Storescp.name]
            yield _line(name, associations, ours, theirs)
    yield "ratio: reconcile / storescp of the same round. p99: of one C-STORE, reconcile."
    yield "CPU: processor time per instance of the whole process tree, PostgreSQL included."
    for server in (Reconcile.name, Storescp.name):
        peaks = [c.peak_mb for c in cells if c.server == server]
        if peaks:
            yield f"peak memory of {server}: {max(peaks):.0f} MB (PSS, all processes)"
    ours = [c for c in cells if c.server == Reconcile.name]
    yield f"coerced, each with its audit row: {sum(c.instances for c in ours)} instances"


def _line(name: str, associations: int, ours: list[Cell], theirs: list[Cell]) -> str:
    ratios = [
        a.per_second / b.per_second
        for a in ours
        for b in theirs
        if a.round == b.round and b.per_second
    ]
    peer = [c.processor_ms for c in theirs]
    return (
        f"{name:<12}{associations:>6}"
        f"  {_spread([c.per_second for c in ours], '.0f'):<20}"
        f"{_spread([c.per_second for c in theirs], '.0f'):<20}"
        f"{_spread(ratios, '.3f'):<22}"
        f"{statistics.median(c.p99_ms for c in ours):>8.1f}"
        f"{statistics.median(c.processor_ms for c in ours):>8.2f}"
        f"{f'{statistics.median(peer):.2f}' if peer else '-':>7}"
    )


def _spread(values: list[float], form: str) -> str:
    if not values:
        return "not installed"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}}-{high:{form}})"


# -- One run ----------------------------------------------------------------------------


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on a real disk that the database's user can enter, deleted in the end."""
    folder = Path(tempfile.mkdtemp(prefix="reconcile-bench-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save(name: str, content: dict[str, object]) -> Path:
    """One JSON file for each run."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = RESULTS / f"{name}-{now:%Y%m%dT%H%M%SZ}.json"
    text = json.dumps({"date": now.isoformat(timespec="seconds"), **content}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    asked = parser.parse_args(arguments)
    dcmtk = storescp_version()
    with ExitStack() as ended:
        folder = ended.enter_context(scratch())
        content = {"machine": machine.facts(folder), "versions": machine.versions()}
        servers: list[Server] = [Reconcile(folder)]
        ended.callback(servers[0].stop)
        if dcmtk:
            servers.append(Storescp(folder))
            ended.callback(servers[1].stop)
        bench = Bench(servers, asked.seconds)
        bench.warm_up()
        for number in range(1, asked.rounds + 1):
            bench.round(number)
    print()
    print("\n".join(table(bench.cells, f"DCMTK {dcmtk}" if dcmtk else "not installed")))
    cells = [asdict(cell) for cell in bench.cells]
    print(f"written to {save('receive', {**content, 'dcmtk': dcmtk, 'cells': cells})}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
