"""I. What is told of a decision stays what it was."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from reconcile.cli.main import app
from tests.scenarios.seen import store
from tests.support.instances import instance
from tests.support.running import Archive

SECONDS = 60.0


def test_row_65_a_history_that_was_edited_by_hand(archive: Archive) -> None:
    """65: a decision gets its number; edited in the database, verify names the event."""
    [event] = store(archive, instance()).events
    sealed = numbered(archive, event["id"])
    assert verified(archive).exit_code == 0
    with edited(archive, event["id"]):
        found = verified(archive)
    assert found.exit_code == 1
    told = json.loads(found.output.splitlines()[0])
    assert (told["code"], told["event"]) == ("altered", event["id"])
    assert told["number"] == sealed["number"]
    assert verified(archive).exit_code == 0


def numbered(archive: Archive, event_id: str) -> Any:
    deadline = time.monotonic() + SECONDS
    while (found := archive.get(f"/api/v1/coercions/{event_id}"))["number"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def verified(archive: Archive) -> Result:
    """`reconcile audit verify`, beside the archive that runs."""
    options = ["--config", str(archive.folder / "hospital.toml"), "--json"]
    options += ["--data", str(archive.folder / "data")]
    line = ["audit", "verify", *options]
    return CliRunner().invoke(app, line, env=archive.environment())


@contextmanager
def edited(archive: Archive, event_id: str) -> Iterator[None]:
    """Somebody with the owner's rights takes the guard away, and says who else did it."""
    assert archive.urls is not None
    url = make_url(archive.urls.owner).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as owner:
        owner.execute("ALTER TABLE coercion_event DISABLE TRIGGER USER")
        change = "UPDATE coercion_event SET source = %s WHERE id = %s"
        owner.execute(change, ["MR_B", event_id])
        owner.commit()
        yield
        owner.execute(change, ["CT_A", event_id])
        owner.execute("ALTER TABLE coercion_event ENABLE TRIGGER USER")
