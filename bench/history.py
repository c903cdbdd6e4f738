"""Whether questions to a large history take longer: `python -m bench history`.

The same questions to the same archive, over its HTTP door, while its registry grows.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench import states, tables
from bench.copies import INSTANCES_PER_STUDY, Copies
from bench.filled import copied
from bench.http_client import Client
from bench.identity import SEED
from bench.ours import Reconcile
from bench.results import Record, scratch
from bench.rows import Question
from bench.servers import Wrong, running

SIZES = (10_000, 1_000_000)
QUESTIONS = 50
Ask = Callable[[int], Any]


def questions(peer: Client, copies: Copies) -> dict[str, Ask]:
    """What is asked for, of a study by its number."""
    draw = random.Random(SEED)

    def history(number: int) -> Any:
        counter = draw.randint(1, INSTANCES_PER_STUDY)
        uid = copies.study(number).instance_uid(counter)
        return peer.get(f"/api/v1/instances/{uid}/history")

    def of_study(number: int) -> Any:
        uid = copies.study(number).study_uid
        return peer.get("/api/v1/coercions", study=uid, limit="1000")

    def of_patient(number: int) -> Any:
        patient = f"{copies.study(number).patient_id}^^^A"
        return peer.get("/api/v1/coercions", patient=patient, limit="1000")

    def explained(number: int) -> Any:
        return peer.get(f"/api/v1/studies/{copies.study(number).study_uid}/explain")

    def first_page(_: int) -> Any:
        return peer.get("/api/v1/coercions", limit="100")

    return {
        "history of an instance": history,
        "coercions of a study": of_study,
        "coercions of a patient": of_patient,
        "explanation of a study": explained,
        "first page of all coercions": first_page,
    }


def measure(peer: Client, copies: Copies, instances: int) -> Iterator[Question]:
    """Milliseconds of each question."""
    draw = random.Random(SEED)
    for title, ask in questions(peer, copies).items():
        # The first one of a kind is dear, and nobody's typical one.
        _timed(ask, 0)
        took = [_timed(ask, draw.randrange(copies.studies)) for _ in range(QUESTIONS)]
        middle, greatest = statistics.median(took), max(took)
        yield Question(title, instances, round(middle, 2), round(greatest, 2))


def _timed(ask: Ask, number: int) -> float:
    began = time.perf_counter()
    answer = ask(number)
    took = (time.perf_counter() - began) * 1000
    if not (answer.get("items") or answer.get("sentences")):
        raise Wrong("the archive knows nothing of what was copied")
    return took


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m bench history", description=__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options.add_argument("--name", default="", help="of the file with the results")
    asked = options.parse_args(arguments)
    rows: list[Question] = []
    with scratch() as folder:
        record = Record("history", asked.name, folder)
        server = Reconcile(folder)
        with running(server), copied(server) as copies:
            for size in sorted(asked.sizes):
                copies.fill_up(size)
                with server.client() as peer:
                    rows += measure(peer, copies, size)
        record.write(rows, {server.name: server.version}, {"questions": QUESTIONS})
    print("\n".join(tables.text(states.history(rows))))
    print(f"written to {record.path.name}", file=sys.stderr)
    return 0
