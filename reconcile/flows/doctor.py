"""Look for everything that can be wrong, and say what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconcile.db import views_checks
from reconcile.db.database import Database
from reconcile.storage.local import LocalStorage

#: A held study that nobody looked at for longer is a finding.
HOLD_AGE_MAX = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `advice` says what to do about it."""

    code: str
    subject: str
    advice: str


@dataclass(frozen=True, slots=True)
class Doctor:
    """Compares files, rows and history; changes nothing."""

    database: Database
    storage: LocalStorage
    clock: Callable[[], datetime]

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong, as it is found."""
        yield from self._fence()
        yield from self._files()
        yield from self._holds()
        yield from self._rows()

    def _fence(self) -> Iterator[Finding]:
        if self.storage.fenced:
            advice = "check the disk, remove the file FENCED, start the archive again"
            yield Finding("storage-fenced", str(self.storage.root), advice)

    def _files(self) -> Iterator[Finding]:
        """Bytes without a row, and rows without bytes: both lists are in one order."""
        with self.database.read_only() as connection:
            rows = views_checks.digests(connection)
            for digest, has_file, has_row in _merged(self.storage.digests(), rows):
                if not has_file:
                    advice = "restore the file from a backup: its bytes are lost here"
                    yield Finding("row-without-bytes", digest, advice)
                elif not has_row and not self._arrived_since(digest):
                    advice = "a store was cut off: import the file, or remove it"
                    yield Finding("bytes-without-row", digest, advice)

    def _arrived_since(self, digest: str) -> bool:
        """Whether the row came while we were looking: files come before their rows."""
        with self.database.read_only() as connection:
            return views_checks.digest_is_known(connection, digest)

    def _holds(self) -> Iterator[Finding]:
        with self.database.read_only() as connection:
            found = views_checks.open_items(connection)
        for items in found:
            age = self.clock() - items.oldest
            if items.kind != "review" and age > HOLD_AGE_MAX:
                subject = f"{items.count} x {items.code}, the oldest {age.days} days"
                advice = f"decide them: `reconcile hold list --code {items.code}`"
                yield Finding("open-hold", subject, advice)

    def _rows(self) -> Iterator[Finding]:
        with self.database.read_only() as connection:
            for person_id in views_checks.stale_canonical(connection):
                advice = "report this: the cache of merges is stale"
                yield Finding("person-canonical", str(person_id), advice)
            for uid, what in views_checks.state_not_fold(connection):
                advice = f"report this: {what}"
                yield Finding("state-not-fold", uid, advice)


def _merged(files: Iterator[str], rows: Iterator[str]) -> Iterator[tuple[str, bool, bool]]:
    """(digest, has a file, has a row) of two sorted lists, in constant memory."""
    file, row = next(files, None), next(rows, None)
    while file is not None or row is not None:
        if row is None or (file is not None and file < row):
            assert file is not None
            yield file, True, False
            file = next(files, None)
        elif file is None or row < file:
            yield row, False, True
            row = next(rows, None)
        else:
            yield row, True, True
            file, row = next(files, None), next(rows, None)
