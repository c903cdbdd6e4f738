"""Look for everything that can be wrong, and say what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from reconcile.db import (
    auditing,
    views_checks,
    views_deliveries,
    views_outbox,
    views_seal,
)
from reconcile.db.database import Database
from reconcile.errors import NotFound
from reconcile.storage.content import Location
from reconcile.storage.files import SUFFIX
from reconcile.storage.local import LocalStorage

#: A held study that nobody looked at for longer is a finding.
HOLD_AGE_MAX = timedelta(days=3)
#: A target that could not be told for longer is a finding.
UNTOLD_AGE_MAX = timedelta(minutes=5)
#: An audit repository that was told nothing for longer is a finding.
UNREPORTED_AGE_MAX = timedelta(minutes=15)
#: What is younger may be on its way: its bytes are there, its row is not committed.
STORING_SECONDS_MAX = 60.0
SECOND_LOOK_SECONDS = 2.0
#: What is recorded is sealed within seconds while the archive runs.
UNSEALED_AGE_MAX = timedelta(minutes=5)
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `advice` says what to do about it."""

    code: str
    subject: str
    advice: str


@dataclass(frozen=True, slots=True)
class Doctor:
    """Compares bytes, rows and history; changes nothing.

    Attributes:
        reports: there is an audit repository.
    """

    database: Database
    storage: LocalStorage
    clock: Callable[[], datetime]
    pause: Callable[[float], None] = time.sleep
    reports: bool = False

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong, as it is found."""
        yield from self._fence()
        yield from self._rows_without_bytes()
        yield from self._bytes_without_rows()
        yield from self._holds()
        yield from self._untold()
        yield from self._undelivered()
        yield from self._unsealed()
        yield from self._unreported()
        yield from self._rows()

    def _fence(self) -> Iterator[Finding]:
        if self.storage.fenced:
            advice = "check the disk, remove the file FENCED, start the archive again"
            yield Finding("storage-fenced", str(self.storage.root), advice)
        room = self.storage.room
        if room.is_low:
            subject = f"{room.free >> 20} MiB free, {room.free_bytes_min >> 20} are to be"
            advice = "make room: nothing is taken until there is; then it goes on by itself"
            yield Finding("storage-low", subject, advice)

    def _rows_without_bytes(self) -> Iterator[Finding]:
        with self.database.read_only() as connection:
            for digest, length, segment, offset in views_checks.locations(connection):
                try:
                    self.storage.extent(Location(digest, segment, offset), length)
                except NotFound:
                    advice = "restore the file from a backup: its bytes are lost here"
                    yield Finding("row-without-bytes", digest, advice)

    def _bytes_without_rows(self) -> Iterator[Finding]:
        """Bytes come before their rows: what is young is looked at a second time."""
        young: list[Location] = []
        for batch in _batches(self.storage.kept()):
            left = self._unknown(location for location, _ in batch)
            age = dict(batch)
            young += [location for location in left if age[location] < STORING_SECONDS_MAX]
            yield from (_cut_off(p) for p in left if age[p] >= STORING_SECONDS_MAX)
        if young:
            self.pause(SECOND_LOOK_SECONDS)
            yield from map(_cut_off, self._unknown(young))

    def _unknown(self, locations: Iterable[Location]) -> list[Location]:
        by_digest = {location.digest: location for location in locations}
        with self.database.read_only() as connection:
            unknown = views_checks.unknown_digests(connection, by_digest)
        return [location for digest, location in by_digest.items() if digest in unknown]

    def _holds(self) -> Iterator[Finding]:
        with self.database.read_only() as connection:
            found = views_checks.open_items(connection)
        for items in found:
            age = self.clock() - items.oldest
            if items.kind != "review" and age > HOLD_AGE_MAX:
                subject = f"{items.count} x {items.code}, the oldest {age.days} days"
                advice = f"decide them: `reconcile hold list --code {items.code}`"
                yield Finding("open-hold", subject, advice)

    def _untold(self) -> Iterator[Finding]:
        """Who cannot be told what happened: given up, or in vain for a while."""
        with self.database.read_only() as connection:
            found = views_outbox.untold(connection)
        for each in found:
            if each.given_up:
                subject = f"{each.given_up} for {each.target}, the last: {each.error}"
                advice = "mend it, then `reconcile notification retry --all`"
                yield Finding("notification-given-up", subject, advice)
            elif each.since and self.clock() - each.since > UNTOLD_AGE_MAX:
                subject = f"{each.target}, {each.failing} wait: {each.error}"
                advice = "it is tried again by itself: look at its address and its server"
                yield Finding("target-unreachable", subject, advice)

    def _undelivered(self) -> Iterator[Finding]:
        """What a destination has not been given for a while, or has refused."""
        with self.database.read_only() as connection:
            late = views_deliveries.late(connection, self.clock() - UNTOLD_AGE_MAX)
        for destination, count in sorted(late.items()):
            advice = f"see why: `reconcile forward list --destination {destination}`"
            yield Finding(
                "not-forwarded", f"{count} instances and messages to {destination}", advice
            )

    def _unsealed(self) -> Iterator[Finding]:
        """What has no number for long, and whose transaction holds the sealer up."""
        with self.database.read_only() as connection:
            lag, staller = views_seal.lag(connection), views_seal.staller(connection)
        published = self.storage.tiles.published()
        if published is not None and published.checkpoint.size > lag.sealed:
            subject = f"{published.checkpoint.size} were published, {lag.sealed} are here"
            advice = (
                "the database is of an earlier day than the log: `reconcile audit verify`"
            )
            yield Finding("history-cut-off", subject, advice)
        if lag.oldest is None or self.clock() - lag.oldest <= UNSEALED_AGE_MAX:
            return
        age = int((self.clock() - lag.oldest).total_seconds())
        subject = f"{lag.unsealed} events, the oldest {age} seconds"
        advice = "start the archive, or see what its log says of sealing"
        if staller is not None:
            advice += f"; PostgreSQL process {staller.pid} has the oldest transaction"
        yield Finding("unsealed-events", subject, advice)

    def _unreported(self) -> Iterator[Finding]:
        """What an audit repository has not taken for a while."""
        if not self.reports:
            return
        with self.database.read_only() as connection:
            since = auditing.waiting_since(connection)
        if since is not None and self.clock() - since > UNREPORTED_AGE_MAX:
            advice = "nothing is lost: look at [audit], at its server, and at the log"
            subject = f"told of nothing since {since.isoformat(timespec='seconds')}"
            yield Finding("audit-repository", subject, advice)

    def _rows(self) -> Iterator[Finding]:
        with self.database.read_only() as connection:
            for person_id in views_checks.stale_canonical(connection):
                advice = "report this: the cache of merges is stale"
                yield Finding("person-canonical", str(person_id), advice)
            for uid, what in views_checks.state_not_fold(connection):
                advice = f"report this: {what}"
                yield Finding("state-not-fold", uid, advice)


def _batches(
    kept: Iterator[tuple[Location, float]],
) -> Iterator[list[tuple[Location, float]]]:
    while batch := list(islice(kept, _BATCH)):
        yield batch


def _cut_off(location: Location) -> Finding:
    file = location.digest + SUFFIX
    ways = "import the file, or remove it"
    if location.segment:
        unpack = f"tar -xf {location.segment}.tar {file}"
        ways = f"unpack it (`{unpack}`) and import it, or leave it"
    return Finding("bytes-without-row", location.digest, f"a store was cut off: {ways}")
