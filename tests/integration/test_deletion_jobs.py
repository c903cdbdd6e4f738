"""What deletes by itself, as it is configured; and what the registry allows nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, pool, text

from reconcile.cli import deletion, wiring
from reconcile.cli.wiring import Parts
from reconcile.core.audit import event_body
from reconcile.db import views_deletions
from reconcile.db.embedded import Urls
from reconcile.db.views import Where
from reconcile.flows.erasing import Erasing, NotConfirmed
from reconcile.flows.removing import Removing
from reconcile.settings import load
from tests.support.hospital import JANE, Hospital, clock
from tests.support.instances import instance
from tests.support.kept import digests

CONFIG = """
[deletion]
grace_minutes = 0
rules_at = ""

[rejection]
retention = "delete"

[[retention]]
name = "keep-mr"
after_days = 1
modalities = ["MR"]
keep = true

[[retention]]
name = "old"
after_days = 3650
delay_days = 0
"""


@pytest.fixture
def parts(database_urls: Urls, tmp_path: Path) -> Iterator[Parts]:
    (tmp_path / "reconcile.toml").write_text(CONFIG)
    settings = load(tmp_path / "reconcile.toml", tmp_path, {})
    made = wiring.parts(settings, database_urls.writer, database_urls.reader, pool_size=4)
    yield made
    made.database.close()


@pytest.fixture
def hospital(database_urls: Urls, parts: Parts) -> Iterator[Hospital]:
    made = Hospital.at(database_urls.writer, parts.storage.root, database_urls.reader)
    made.patient(JANE, "100^^^A", "E1^^^E")
    yield made
    made.database.close()


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def states(parts: Parts) -> list[str]:
    with parts.database.read_only() as connection:
        page = views_deletions.deletions(connection, Where())
    return [each.state for each in page.items]


def test_rules_and_what_a_crash_left_are_done_at_the_start(
    parts: Parts, hospital: Hospital
) -> None:
    """By the configuration alone; what a rule keeps stays."""
    assert parts.rules.rejection["113039"].deletes
    cut_off = instance()
    hospital.store(cut_off)
    flow = deletion.deleting(parts)
    planned = flow.plan([str(cut_off.SOPInstanceUID)], "wrong", "local")
    flow.confirm(str(planned.id), "local")
    database, storage = parts.database, parts.storage
    Removing(database, storage, clock, grace=timedelta(days=1)).round(threading.Event())
    assert states(parts) == ["executing"]
    for modality in ("CT", "MR"):
        hospital.store(instance(StudyDate="19990101", Modality=modality))
    assert len(digests(storage)) == 3
    assert deletion.retaining(parts).run() == 1
    stop = threading.Event()
    deletion.begin(parts, stop)
    try:
        wait_until(lambda: states(parts) == ["executed", "executed"])
    finally:
        stop.set()
    assert len(digests(storage)) == 1


def test_an_erased_event_keeps_what_is_sealed(parts: Parts, hospital: Hospital) -> None:
    """
    The body that is sealed is as it was; nobody can tell from it what the values were.
    """
    hospital.store(instance())
    with parts.database.read_only() as connection:
        row = connection.execute(
            text(
                "SELECT e.id, e.body, v.nonce, v.body AS personal FROM coercion_event e"
                " JOIN coercion_value v ON v.event_id = e.id"
            )
        ).one()
    assert event_body({}, row.nonce, row.personal)
    flow = Erasing(parts.database, clock)
    with pytest.raises(NotConfirmed):
        flow.erase([row.id], "asked for", "anna", None)
    assert flow.erase([row.id], "asked for", "anna", 1).events == 1
    with parts.database.read_only() as connection:
        after = connection.execute(
            text(
                "SELECT e.body, h.cause, h.actor, h.explanation,"
                " (SELECT count(*) FROM coercion_value v WHERE v.event_id = e.id) AS left"
                " FROM coercion_event e JOIN erased_event x ON x.event_id = e.id"
                " JOIN erasure r ON r.id = x.erasure_id"
                " JOIN happening h ON h.id = r.happening_id"
            )
        ).one()
    assert (after.body, after.left) == (row.body, 0)
    assert (after.cause, after.actor) == ("erasure", "anna")
    assert after.explanation == {"reason": "asked for", "events": 1}
    assert b"DOE" not in bytes(after.body)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM coercion_value",
        "DELETE FROM tombstone",
        "DELETE FROM removed_receipt",
        "DELETE FROM deletion",
        "UPDATE erased_event SET event_id = event_id",
        "DELETE FROM erasure",
        "SET reconcile.erasing = 'on'; DELETE FROM coercion_value",
    ],
)
def test_nothing_of_it_is_removed_otherwise(database_urls: Urls, statement: str) -> None:
    """Not by the role that the archive works as."""
    url = database_urls.writer.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(statement.encode())
    assert refused.value.sqlstate in ("42501", "23001")


def test_not_even_by_the_owner(database_urls: Urls) -> None:
    """Tombstones and erasures have their triggers."""
    engine = create_engine(database_urls.owner, poolclass=pool.NullPool)
    for table in ("tombstone", "erased_event", "erasure", "deletion"):
        with engine.connect() as connection, pytest.raises(Exception, match="append-only"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - ours
