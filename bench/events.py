"""Whether questions to the history take longer the more events there are.

`python -m bench events`: the same questions over HTTP to an archive with a small and to
one with a large history, each in turn, so that what else the machine does falls on all
alike. Then both are started anew, the caches are dropped where that is allowed, and each
question is asked once more: cold.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench import histories, states, tables
from bench.filled import FIRST, store, superuser
from bench.histories import FIRST_DAY, PER_PATIENT, PER_STUDY
from bench.http_client import Client
from bench.identity import SEED
from bench.ours import Reconcile
from bench.results import Record, scratch
from bench.rows import Question
from bench.servers import Wrong, running

SIZES = (100_000, 1_000_000)
QUESTIONS = 30
PAGE = "100"
NTH_PAGE = 100
_DROP = Path("/proc/sys/vm/drop_caches")
_COERCIONS = "/api/v1/coercions"

Ask = Callable[[Client, int, int], Any]


def _day(number: int, studies: int, days: int = 1) -> dict[str, str]:
    """From when a study came, so many days."""
    began = datetime.fromisoformat(f"{FIRST_DAY}T00:00:00+00:00")
    began += timedelta(days=365) * (number / studies)
    return {"from": began.isoformat(), "to": (began + timedelta(days=days)).isoformat()}


def _coercions(**said: str) -> Ask:
    return lambda peer, _, __: peer.get(_COERCIONS, limit=PAGE, **said)


QUESTIONS_ASKED: dict[str, Ask] = {
    "history of an instance": lambda peer, n, _: peer.get(
        f"/api/v1/instances/2.25.8{n}1.{n % PER_STUDY}/history"
    ),
    "events of a study": lambda peer, n, _: peer.get(
        _COERCIONS, study=f"2.25.8{n}1", limit=PAGE
    ),
    "events of a patient": lambda peer, n, _: peer.get(
        _COERCIONS, patient=f"H{n // PER_PATIENT}^^^A", limit=PAGE
    ),
    "a day, first page": lambda peer, n, s: peer.get(_COERCIONS, limit=PAGE, **_day(n, s)),
    "a day of a source, first page": lambda peer, n, s: peer.get(
        _COERCIONS, source=f"CT_{n % 8}", limit=PAGE, **_day(n, s)
    ),
    "28 days of a rare source": lambda peer, n, s: peer.get(
        _COERCIONS, source=histories.RARE_SOURCE, limit=PAGE, **_day(n, s, 28)
    ),
    "a common attribute, first page": _coercions(attribute="PatientID"),
    "a rare attribute, first page": _coercions(attribute=histories.RARE_ATTRIBUTE),
    "a rare actor, first page": _coercions(actor=histories.RARE_SOURCE),
    "all, first page": _coercions(),
    "counts by source of 28 days": lambda peer, n, s: peer.get(
        "/api/v1/statistics/coercions", by="source", **_day(n, s, 28)
    ),
}
#: Whose page of this number is asked for as well.
PAGED: dict[str, dict[str, str]] = {
    f"all, page {NTH_PAGE}": {},
    f"a common attribute, page {NTH_PAGE}": {"attribute": "PatientID"},
}


@dataclass
class Archive:
    """One that has so many events; `bytes_each`: on disk, of these of indexes."""

    server: Reconcile
    events: int
    bytes_each: tuple[int, int] = (0, 0)
    cursors: dict[str, str] = field(default_factory=dict)
    took: dict[str, list[float]] = field(default_factory=dict)

    @property
    def studies(self) -> int:
        return self.events // PER_STUDY

    def fill(self) -> None:
        """Make its history, while it runs."""
        self.server.prepare([FIRST])
        store(self.server, 1)
        with superuser(self.server.data) as connection:
            histories.fill(connection, self.events)
            self.bytes_each = histories.sizes(connection, self.events)

    def turn_pages(self, peer: Client) -> None:
        """Find where the last page of those that are asked for begins."""
        for title, said in PAGED.items():
            cursor: dict[str, str] = {}
            for _ in range(NTH_PAGE - 1):
                following = peer.get(_COERCIONS, limit=PAGE, **said, **cursor)["next"]
                if following is None:
                    break
                cursor = {"cursor": following}
            self.cursors[title] = cursor.get("cursor", "")

    def ask(self, peer: Client, title: str, number: int, temperature: str = "") -> None:
        """Ask, of the study of a number, and keep what it took."""
        began = time.perf_counter()
        if title in PAGED:
            cursor = self.cursors[title]
            answer = peer.get(_COERCIONS, limit=PAGE, cursor=cursor, **PAGED[title])
        else:
            answer = QUESTIONS_ASKED[title](peer, number, self.studies)
        took = (time.perf_counter() - began) * 1000
        if not answer["items"] and "rare" not in title:
            raise Wrong(f"nothing is found: {title}")
        self.took.setdefault(title + temperature, []).append(took)

    def questions(self) -> Iterator[Question]:
        """Milliseconds of each; the first of a kind is left out, but of cold ones."""
        for title, took in self.took.items():
            counted = took if title.endswith("cold") else took[1:]
            middle, greatest = statistics.median(counted), max(counted)
            yield Question(title, self.events, round(middle, 2), round(greatest, 2))
        for title, size in zip(("disk", "indexes"), self.bytes_each, strict=True):
            yield Question(f"bytes of an event: {title}", self.events, size, size)


def measure(archives: Sequence[Archive], peers: Sequence[Client], cold: bool) -> None:
    """Ask each in turn; `cold`: just once, of a study that was never asked for."""
    draw = random.Random(SEED + cold)
    for title in (*QUESTIONS_ASKED, *PAGED):
        for _ in range(1 if cold else QUESTIONS + 1):
            share = draw.uniform(0.1, 0.85)
            for archive, peer in zip(archives, peers, strict=True):
                number = max(1, int(archive.studies * share))
                archive.ask(peer, title, number, ", cold" if cold else "")


def drop_caches() -> bool:
    """Let the system forget what it has read; whether it may."""
    try:
        _DROP.write_text("3")
    except OSError:
        return False
    return True


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m bench events", description=__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options.add_argument("--name", default="", help="of the file with the results")
    asked = options.parse_args(arguments)
    with scratch() as folder:
        record = Record("events", asked.name, folder)
        archives = [
            Archive(Reconcile(folder, f"reconcile {size}"), size)
            for size in sorted(asked.sizes)
        ]
        _round(archives, cold=False)
        dropped = drop_caches()
        _round(archives, cold=True)
        rows = [each for archive in archives for each in archive.questions()]
        settings = {"questions": QUESTIONS, "system caches dropped": dropped}
        version = archives[0].server.version
        record.write(rows, {"reconcile": version}, settings)
    print("\n".join(tables.text(states.events(rows))))
    print(f"written to {record.path.name}", file=sys.stderr)
    return 0


def _round(archives: Sequence[Archive], *, cold: bool) -> None:
    with ExitStack() as stack:
        peers = []
        for archive in archives:
            stack.enter_context(running(archive.server))
            if not cold:
                archive.fill()
            peers.append(stack.enter_context(archive.server.client()))
        for archive, peer in zip(archives, peers, strict=True):
            if not cold:
                archive.turn_pages(peer)
        measure(archives, peers, cold)
