"""Whether a large registry is slower than a small one: `make bench-large`.

Rows of as many instances and events as are wanted are copied from one patient's; then
the history is asked for, and more is stored on top, through the front doors.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from pydicom.uid import CTImageStorage
from sqlalchemy.engine import make_url

from bench import machine
from bench.copies import Copies
from bench.data import COUNTER_DIGITS, SEED, Identity, data_set, first_uid
from bench.receive import Bench, save, scratch
from bench.servers import CALLING, Reconcile
from bench.wire import Association, Request
from reconcile.db.embedded import EmbeddedPostgres

SIZES = (10_000, 1_000_000)
QUESTIONS = 50
SECONDS = 5.0
#: Runs of what is stored on top are numbered from here on.
ON_TOP = 500_000


def measure(server: Reconcile, copies: Copies, bench: Bench) -> dict[str, Any]:
    """Milliseconds of each question, and instances per second on top."""
    ask, draw = server.doors.ask, random.Random(SEED)
    questions: dict[str, Callable[[int], Any]] = {
        "history of an instance": lambda n: ask(
            f"/api/v1/instances/{copies.instance_uid(n, draw.randint(1, 100))}/history"
        ),
        "coercions of a study": lambda n: ask(
            "/api/v1/coercions", study=copies.study(n).study_uid, limit="1000"
        ),
        "coercions of a patient": lambda n: ask(
            "/api/v1/coercions", patient=f"{copies.study(n).patient_id}^^^A", limit="1000"
        ),
        "explanation of a study": lambda n: ask(
            f"/api/v1/studies/{copies.study(n).study_uid}/explain"
        ),
        "first page of all coercions": lambda _: ask("/api/v1/coercions", limit="100"),
    }
    figures: dict[str, Any] = {}
    for name, question in questions.items():
        ask("/api/v1/coercions", limit="1")
        took = [_timed(question, draw.randrange(copies.studies)) for _ in range(QUESTIONS)]
        figures[name] = {"median_ms": statistics.median(took), "greatest_ms": max(took)}
    for associations in (1, 8):
        cell = bench.measure(server, "small", associations, 1, SECONDS)
        figures[f"stored on top, {associations} assoc."] = {
            "per_second": cell.per_second,
            "processor_ms": cell.processor_ms,
        }
    return figures


def _timed(question: Callable[[int], Any], number: int) -> float:
    began = time.perf_counter()
    answer = question(number)
    took = (time.perf_counter() - began) * 1000
    if not (answer.get("items") or answer.get("decisions")):
        raise RuntimeError("the archive knows nothing of what was copied")
    return took


def first_patient(server: Reconcile, identity: Identity) -> None:
    """One patient, one order, one stored instance: what all copies are made from."""
    server.prepare([identity])
    peer = Association(server.port, server.called, CALLING, CTImageStorage)
    data = data_set("small", identity)
    request = Request(
        CTImageStorage, first_uid(identity), data, peer.pdu_length, COUNTER_DIGITS
    )
    status = peer.store(request.count(1))
    peer.release()
    if f"{status:04X}" != server.expected:
        raise RuntimeError(f"the archive answered {status:04X}")


def superuser(folder: Path) -> psycopg.Connection[tuple[Any, ...]]:
    """Of the server that runs over `folder`; only a benchmark may be it."""
    url = make_url(EmbeddedPostgres(folder).attach().owner)
    url = url.set(drivername="postgresql", username="postgres")
    text = url.render_as_string(hide_password=False)
    return psycopg.connect(text, autocommit=True)


def table(figures: dict[int, dict[str, Any]]) -> Iterator[str]:
    """A line for each question, a column for each size."""
    sizes = sorted(figures)
    yield f"{'instances in the registry':<32}" + "".join(f"{n:>22,}" for n in sizes)
    for name in figures[sizes[0]]:
        said = "".join(f"{_said(figures[size][name]):>22}" for size in sizes)
        yield f"{name:<32}{said}"
    yield "ms: median (greatest) over HTTP; /s: instances of 6 kB, coerced (CPU ms each)"


def _said(figure: dict[str, float]) -> str:
    if "per_second" in figure:
        return f"{figure['per_second']:.0f}/s ({figure['processor_ms']:.1f} ms)"
    return f"{figure['median_ms']:.1f} ({figure['greatest_ms']:.1f}) ms"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench --large", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    asked = parser.parse_args(arguments)
    figures: dict[int, dict[str, Any]] = {}
    with ExitStack() as ended:
        folder = ended.enter_context(scratch())
        content = {"machine": machine.facts(folder), "versions": machine.versions()}
        server = Reconcile(folder)
        ended.callback(server.stop)
        first_patient(server, identity := Identity(1, 0))
        connection = ended.enter_context(superuser(folder / "data"))
        copies = Copies(connection, identity)
        bench = Bench([server], SECONDS, first_run=ON_TOP)
        for size in sorted(asked.sizes):
            began = time.perf_counter()
            copies.fill_up(size)
            print(f"{size:,} instances: {time.perf_counter() - began:.0f} s to fill up")
            figures[size] = measure(server, copies, bench)
    print("\n".join(table(figures)))
    print(f"written to {save('large', {**content, 'figures': figures})}")
    return 0
