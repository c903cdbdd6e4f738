"""Check that received, given out and events of instances explain each other.

The bytes and the events are what anybody gets through the outer face; what they mean is
for `reconcile.checker`, which shares no code with what made them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from reconcile.checker import Finding, Instance, Report, Unreadable, check
from reconcile.db import views_checked, views_instances
from reconcile.db.database import Connection, Database
from reconcile.db.views import plain
from reconcile.db.views_checked import Checked
from reconcile.db.views_instances import Holding
from reconcile.errors import NotFound
from reconcile.flows.history import HistoryFlow
from reconcile.flows.retrieve import BytesMissing, Outgoing, RetrieveFlow
from reconcile.storage.local import LocalStorage


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of one instance found; `changed` are keywords."""

    sop_instance_uid: str
    study_instance_uid: str
    ok: bool
    changed: tuple[str, ...]
    explained: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class CheckFlow:
    """Checks instances; changes nothing."""

    database: Database
    storage: LocalStorage

    def instances(self, uid: str = "") -> Iterator[Verdict]:
        """Check what is given out of a study, a series or an instance; or everything.

        Args:
            uid: received or assigned; empty: everything.

        Raises:
            NotFound: nothing is given out under this UID.
        """
        found = False
        with self.database.read_only() as connection:
            for checked in views_checked.instances(connection, uid):
                found = True
                yield self._checked(connection, checked)
        if uid and not found:
            raise NotFound("nothing is given out under this UID")

    def _checked(self, connection: Connection, checked: Checked) -> Verdict:
        try:
            report = self._report(connection, checked)
        except BytesMissing:
            report = Report(
                findings=(one("bytes", "the bytes of the instance are missing"),)
            )
        except Unreadable:
            report = Report(findings=(one("unreadable", "the data set cannot be read"),))
        return Verdict(
            checked.sop_instance_uid,
            checked.study_instance_uid,
            report.ok,
            report.changed,
            report.explained,
            report.findings,
        )

    def _report(self, connection: Connection, checked: Checked) -> Report:
        holding = views_instances.holding_of(connection, checked.receipt_id)
        if holding is None:
            return Report()
        flow = RetrieveFlow(self.database, self.storage)
        about = views_checked.events(connection, checked)
        events = [plain(e) for e in HistoryFlow(flow).filled_in(about, holding)]
        kept = holding.kept
        with (
            _spooled(flow.as_received(holding), self.storage) as received,
            self.given(holding) as given,
        ):
            was = Instance(received, 0, kept.transfer_syntax_uid, kept.text_charset)
            return check(was, given, events)

    @contextmanager
    def given(self, holding: Holding) -> Iterator[Instance]:
        """An instance as it is given out, for the checker to read."""
        flow = RetrieveFlow(self.database, self.storage)
        with _spooled(flow.as_given(holding), self.storage) as given:
            yield Instance(given, 0, holding.kept.transfer_syntax_uid)


def one(code: str, message: str) -> Finding:
    """A finding that is about no attribute."""
    return Finding(code, "", message)


@contextmanager
def _spooled(outgoing: Outgoing, storage: LocalStorage) -> Iterator[BinaryIO]:
    """The data set in a file of its own: of any size, and gone when it is closed."""
    with tempfile.TemporaryFile(dir=storage.spool_dir) as file:
        _write(file, outgoing.chunks)
        yield cast("BinaryIO", file)


def _write(file: object, chunks: Iterable[bytes]) -> None:
    cast("BinaryIO", file).writelines(chunks)
    cast("BinaryIO", file).seek(0)
