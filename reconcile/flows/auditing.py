"""Tell an audit repository what happened (ITI-20), in the words of PS3.15 A.5.

Nothing is written for it when something is stored or changed: what is told is read from
the rows, a stretch of time after the other, and the place moves on when the repository
has taken a stretch. So each thing is told in its order, at least once, whatever dies
between; while the repository is away, the rows wait. Queries and readings of the history
have no rows: they wait in a spool, which is bounded.

One message tells of what one association brought of one study in one stretch, or of what
one happening changed in one study; a merge is two messages (ITI TF-2 3.8.5.1).
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from threading import Event
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from reconcile.core import audit_message as a
from reconcile.core.audit_message import AuditMessage, Participant, Subject
from reconcile.db import auditing, telling
from reconcile.db.auditing import Stretch
from reconcile.db.database import Connection, Database
from reconcile.errors import ReconcileError

#: So long is a stretch at least: what a scanner sends meanwhile is told in one message.
WINDOW = timedelta(seconds=30)
#: Messages that are sent over one connection: sent again where it is not known to have
#: been taken.
SENT_MAX = 500
BACKOFF_MIN, BACKOFF_MAX = timedelta(seconds=5), timedelta(minutes=5)

QUERY, LOG_USED = "query", "log-used"

log = logging.getLogger(__name__)


class NotTaken(ReconcileError):
    """The repository has not taken it, or nobody knows whether it has."""

    title: ClassVar[str] = "The audit repository has not taken it"


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody asked of us: a query, or a reading of the history.

    Attributes:
        what: QUERY or LOG_USED.
        at: when; said by who takes note of it.
        actor: AE title, or name of a key.
        object_id: SOP Class UID of a DICOM query; else what was asked, as a path.
        query: the identifier, or the query string.
        transfer_syntax: of the identifier; empty: it is none.
    """

    what: str
    actor: str
    address: str
    object_id: str
    query: bytes = b""
    transfer_syntax: str = ""
    at: datetime | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON can say it; `heard_of` is the inverse. What is long is cut."""
        assert self.at is not None
        return {
            "what": self.what,
            "at": self.at.isoformat(),
            "actor": self.actor.replace("\0", "?"),  # which JSONB has none of
            "address": self.address,
            "object_id": self.object_id.replace("\0", "?")[:1024],
            "query": base64.b64encode(self.query[: a.QUERY_BYTES_MAX]).decode("ascii"),
            "transfer_syntax": self.transfer_syntax,
        }


def heard_of(said: Mapping[str, Any]) -> Heard:
    """What `Heard.plain` told."""
    at, query = datetime.fromisoformat(said["at"]), base64.b64decode(said["query"])
    return Heard(**{**said, "at": at, "query": query})


class Told(NamedTuple):
    """A stretch with its messages, in their order, and what of the spool is in them."""

    stretch: Stretch
    messages: Sequence[AuditMessage]
    spooled: Sequence[UUID]


@dataclass(slots=True)
class AuditFlow:
    """Tells a repository, one `round` after the other.

    Attributes:
        title: our AE title.
        send: has messages taken, in their order, or raises NotTaken.
        failures: in a row.
        wait_until: when it is tried again.
    """

    database: Database
    title: str
    send: Callable[[Sequence[AuditMessage]], None]
    clock: Callable[[], datetime]
    window: timedelta = WINDOW
    failures: int = 0
    wait_until: datetime | None = None
    low: UUID | None = field(default=None)

    def start(self) -> None:
        """Go on where it was left; what happens from now on, where nobody was ever told."""
        self.low = self.database.run(lambda c: auditing.begin(c, self.clock()))

    def round(self, stop: Event) -> bool:
        """Tell of the next stretch, if it has passed; whether there is more at once."""
        now = self.clock()
        if self.low is None or (self.wait_until is not None and now < self.wait_until):
            return False
        settled = telling.id_at(now - telling.OVERLAP - self.window)
        if self.low > settled:
            return False
        found = self._found(self.low, now)
        if found.stretch.high <= self.low:  # a long transaction holds everything up
            return False
        try:
            for at in range(0, len(found.messages), SENT_MAX):
                if stop.is_set():
                    return False
                self.send(found.messages[at : at + SENT_MAX])
        except NotTaken as error:
            self._failed(now, len(found.messages), str(error))
            return False
        self._done(found)
        return self.low < settled

    def _found(self, low: UUID, now: datetime) -> Told:
        def step(connection: Connection) -> Told:
            return self.found(connection, auditing.stretch(connection, low, now))

        return self.database.run(step)

    def found(self, connection: Connection, within: Stretch) -> Told:
        """The messages of a stretch, by the time of what they tell."""
        spooled = auditing.asked(connection, within)
        messages = [
            *self._stores(auditing.stored(connection, within)),
            *map(self._correction, auditing.corrected(connection, within)),
            *self._merges(auditing.merged(connection, within)),
            *(self._asking(heard_of(row.asked)) for row in spooled),
        ]
        ordered = sorted(messages, key=lambda each: each.at)
        return Told(within, ordered, [row.id for row in spooled])

    def _done(self, found: Told) -> None:
        self.database.run(lambda c: auditing.told(c, found.stretch, found.spooled))
        self.low, self.failures, self.wait_until = found.stretch.high, 0, None
        if found.messages:
            log.info("audit messages=%d taken", len(found.messages))

    def _failed(self, now: datetime, waiting: int, why: str) -> None:
        self.failures += 1
        delay = min(BACKOFF_MAX, BACKOFF_MIN * (1 << min(self.failures - 1, 10)))
        self.wait_until = now + delay
        log.warning("audit messages=%d waiting, not taken: %s", waiting, why)

    # -- What rows tell ------------------------------------------------------------------

    def _stores(self, rows: Iterable[Any]) -> Iterator[AuditMessage]:
        def alike(row: Any) -> tuple[str, ...]:
            return tuple(
                str(each)
                for each in (row.association, row.source, row.action, *_whose(row))
            )

        for _, group in groupby(sorted(rows, key=alike), alike):
            of_one = list(group)
            yield self._store(of_one[0], of_one)

    def _store(self, first: Any, rows: Sequence[Any]) -> AuditMessage:
        classes = [(row.sop_class_uid, row.instances) for row in rows]
        sender = Participant(first.source, a.SOURCE, asked=True, address=first.peer_address)
        details = [
            ("received StudyInstanceUID", first.received_study_instance_uid or ""),
            ("received PatientID", _cx(first.received_id, first.received_issuer)),
            ("association", first.association),
        ]
        return AuditMessage(
            a.TRANSFERRED,
            first.action,
            max(row.last_at for row in rows),
            (sender, Participant(self.title, a.DESTINATION)),
            (
                a.study(first.study_instance_uid, classes, _said(details)),
                a.patient(_patient(first)),
            ),
        )

    def _correction(self, row: Any) -> AuditMessage:
        details = [
            ("received StudyInstanceUID", row.received_study_instance_uid or ""),
            ("cause", row.cause),
            ("cause id", row.cause_id),
            ("rule", row.rule),
            ("reason", row.reason),
            ("attributes", " ".join(row.attributes)),
            ("happening", str(row.id)),
        ]
        return AuditMessage(
            a.ACCESSED,
            "U",
            row.recorded_at,
            self._by(row.actor),
            (
                a.study(row.study_instance_uid or "", details=_said(details)),
                a.patient(_cx(row.patient_id, row.patient_issuer)),
            ),
        )

    def _merges(self, rows: Iterable[Any]) -> Iterator[AuditMessage]:
        """Delete for who was merged, update for whom they became; back again: updates."""
        for row in rows:
            prior = _cx(row.prior_id, row.prior_issuer)
            surviving = _cx(row.surviving_id, row.surviving_issuer)
            for action, one, other in (
                ("U" if row.ended else "D", prior, surviving),
                ("U", surviving, prior),
            ):
                said = [
                    (
                        "MSH-10" if row.cause.startswith("adt-") else "cause id",
                        row.cause_id,
                    ),
                    ("no longer merged with" if row.ended else "merged with", other),
                    ("happening", str(row.id)),
                ]
                subject = a.patient(one, _said(said))
                yield AuditMessage(
                    a.PATIENT_RECORD,
                    action,
                    row.recorded_at,
                    self._by(row.actor),
                    (subject,),
                )

    def _asking(self, asked: Heard) -> AuditMessage:
        assert asked.at is not None
        who = Participant(asked.actor, a.SOURCE, asked=True, address=asked.address)
        if asked.what == LOG_USED:
            who = Participant(asked.actor, asked=True, address=asked.address)
            said = _said([("query", asked.query.decode(errors="replace"))])
            name = "Security Audit Log"
            subject = Subject(asked.object_id, a.URI, "2", "13", name, details=said)
            return AuditMessage(a.LOG_USED, "R", asked.at, (who,), (subject,))
        kind = a.CLASS_UID if asked.transfer_syntax else a.URI
        syntax = _said([("TransferSyntax", asked.transfer_syntax)])
        subject = Subject(
            asked.object_id, kind, "2", "3", query=asked.query, details=syntax
        )
        parties = (who, Participant(self.title, a.DESTINATION))
        return AuditMessage(a.QUERY, "E", asked.at, parties, (subject,))

    def _by(self, actor: str) -> tuple[Participant, ...]:
        """Who caused it, and this archive, which did it."""
        return (Participant(actor, asked=True), Participant(self.title, a.APPLICATION))


def _whose(row: Any) -> tuple[Any, ...]:
    return (
        row.study_instance_uid,
        row.received_study_instance_uid,
        row.patient_id,
        row.patient_issuer,
        row.received_id,
        row.received_issuer,
    )


def _patient(row: Any) -> str:
    given = _cx(row.patient_id, row.patient_issuer)
    return given or _cx(row.received_id, row.received_issuer)


def _cx(value: str | None, issuer: str | None) -> str:
    bare = (value or "").strip()
    return f"{bare}^^^{issuer or ''}" if bare else ""


def _said(details: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in details if value)
