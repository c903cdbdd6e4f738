"""Whether sealing slows who writes: `python -m bench seal`.

Writers record one event in each transaction, as fast as they can, with the sealer beside
them and without, in turns. Each is a process of its own. What was sealed is counted at
the end: an event that was missed would make the figures worth nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from bench import states, tables
from bench.chosen import parser
from bench.results import Record, scratch
from bench.rows import Sealing
from bench.servers import Wrong
from reconcile.core.audit import Values
from reconcile.db import events, migrate
from reconcile.db.database import Database
from reconcile.db.embedded import EmbeddedPostgres, Urls
from reconcile.flows.seal import Sealer
from reconcile.flows.signing import Signer
from reconcile.storage.local import LocalStorage

WRITERS, SECONDS, ROUNDS = 8, 10.0, 3
VALUES = Values(
    {"id": "E1", "issuer": "E"},
    {"04000550": {"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["100"]}}]}},
    {"00100020": {"vr": "LO", "Value": ["E1"]}},
)


def now() -> datetime:
    return datetime.now(UTC)


def happened(connection: Connection) -> UUID:
    happening = events.Happening("adt-a08", "1", "RIS_A", "0" * 64, now(), "identity@3")
    return events.happen(connection, happening)


def study(database: Database) -> UUID:
    """A study that events can be about."""
    made = uuid4()

    def insert(connection: Connection) -> None:
        connection.execute(
            text(
                "INSERT INTO study (id, uid_domain, study_instance_uid, happening_id)"
                " VALUES (:id, '', :uid, :by)"
            ),
            {"id": made, "uid": f"2.25.{made.int}", "by": happened(connection)},
        )

    database.run(insert)
    return made


def write(url: str, of: str, seconds: str) -> None:
    """One writer; what each commit took."""
    database, study_id, took = Database(url, pool_size=1), UUID(of), list[float]()

    def step(connection: Connection) -> None:
        event = events.StudyEvent(
            happened(connection), study_id, None, 1, "COERCE", "2.25.1", "2.25.2",
            ("PatientID",), now(),
        )  # fmt: skip
        events.record_studies(connection, [(event, VALUES)])

    database.run(step)
    sys.stdin.readline()
    until = time.perf_counter() + float(seconds)
    while (began := time.perf_counter()) < until:
        database.run(step)
        took.append((time.perf_counter() - began) * 1000)
    print(json.dumps(took))


def seal(url: str, folder: str) -> None:
    """The sealer, until its standard input ends."""
    storage, stop = LocalStorage(Path(folder)), threading.Event()
    signers = (Signer.new("bench.example"),)
    sealer = Sealer(Database(url, pool_size=2), storage.tiles, signers, now)
    began = time.process_time()  # but for what was loaded
    running = threading.Thread(target=sealer.run, args=(stop,))
    running.start()
    sys.stdin.read()
    stop.set()
    running.join()
    print(time.process_time() - began)


def started(*words: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "bench.seal", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True)


def measured(urls: Urls, folder: Path, asked: Any, number: int, *, sealed: bool) -> Sealing:
    database = Database(urls.writer, pool_size=2)
    of = study(database)
    sealer = started("seal", urls.writer, str(folder)) if sealed else None
    words = ("write", urls.writer, str(of), str(asked.seconds))
    writers = [started(*words) for _ in range(asked.writers)]
    time.sleep(2)
    for each in writers:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    took = sorted(ms for each in writers for ms in json.loads(each.communicate()[0]))
    cpu = _ended(database, sealer) if sealer else 0.0
    missed = _unsealed(database) if sealer else 0
    database.close()
    if missed:
        raise Wrong(f"{missed} events were not sealed")
    return Sealing(
        "beside the sealer" if sealed else "without it",
        number,
        len(took),
        round(len(took) / asked.seconds, 1),
        round(took[len(took) // 2], 2),
        round(took[len(took) * 99 // 100], 2),
        round(cpu, 2),
    )


def _ended(database: Database, sealer: subprocess.Popen[str]) -> float:
    """Wait until all is sealed; the processor seconds that it took."""
    until = time.perf_counter() + 60
    while _unsealed(database) and time.perf_counter() < until:
        time.sleep(0.2)
    return float(sealer.communicate()[0])


def _unsealed(database: Database) -> int:
    query = (
        "SELECT count(*) FROM coercion_event e"
        " WHERE NOT EXISTS (SELECT FROM seal_leaf l WHERE l.event_id = e.id)"
    )
    with database.read_only() as connection:
        return int(connection.execute(text(query)).scalar_one())


def main(arguments: list[str]) -> int:
    options = parser("seal", __doc__, rounds=ROUNDS)
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each turn")
    options.add_argument("--writers", type=int, default=WRITERS)
    asked = options.parse_args(arguments)
    rows: list[Sealing] = []
    with scratch() as folder:
        record = Record("seal", asked.name, folder)
        postgres = EmbeddedPostgres(folder / "data")
        urls = postgres.start()
        try:
            migrate.upgrade(urls.owner)
            for number in range(1, asked.rounds + 1):
                for sealed in (number % 2 == 0, number % 2 == 1):
                    row = measured(urls, folder / "log", asked, number, sealed=sealed)
                    print(row, file=sys.stderr)
                    rows.append(row)
                    settings = {"writers": asked.writers, "seconds": asked.seconds}
                    record.write(rows, {}, {"rounds": number, **settings})
        finally:
            postgres.stop()
    print("\n".join(tables.text(states.sealing(rows))))
    print(f"written to {record.path.name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    {"write": write, "seal": seal}[sys.argv[1]](*sys.argv[2:])
