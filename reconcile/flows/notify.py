"""Tell people and systems what happened: what waits, what came, what changed (RAD-49).

What is to be told is found and written down in one transaction, and sent afterwards: at
least once, and once each as far as a sender that is killed in between allows. Who is told
gets numbers, codes and UIDs, never anything of a patient, and can know by the id of a
notice that it has had it before.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any, ClassVar
from uuid import UUID

from reconcile.core.commitment import Answered
from reconcile.db import commitments, outbox, telling
from reconcile.db.commitments import COMMITMENT
from reconcile.db.database import Connection, Database
from reconcile.db.outbox import Due, New
from reconcile.errors import ReconcileError

RECEIVED, CHANGED, AVAILABILITY = "study-received", "study-changed", "availability"
ITEMS = ("hold", "message", "review")

#: Tries, the target's being away included: they take about two days.
ATTEMPTS_MAX = 16
BACKOFF_MIN, BACKOFF_MAX = timedelta(seconds=30), timedelta(hours=6)
#: No other process tells what was taken, for so long; it can be told again from then on.
LEASE = timedelta(minutes=1)
#: Notices that are taken at once for a target, and seconds that they may take together.
TAKEN_MAX = 20
SECONDS_MAX = 20.0
#: Targets that are told at the same time.
TARGETS_AT_ONCE = 4

_NOTHING = timedelta(0)

log = logging.getLogger(__name__)


class NotTold(ReconcileError):
    """A target was not told; `away`: it would not have been told anything else either."""

    title: ClassVar[str] = "A target could not be told"

    def __init__(self, why: str, *, away: bool) -> None:
        super().__init__(why)
        self.away = away


@dataclass(frozen=True, slots=True)
class Notice:
    """What a target is told.

    Attributes:
        id: the same for the same notice, however often it is sent.
        event: what happened: a kind of item, "study-received", "study-changed"; of an
            availability that which caused it.
        repetition: 0 for the first time that an item is told.
        instances: what the study had when it was received.
        available: (Series UID, SOP Class UID, SOP Instance UID) that can be retrieved.
        answered: of a request for commitment.
        link: to more about it.
    """

    id: UUID
    event: str
    target: str
    told_at: datetime
    link: str
    item: UUID | None = None
    code: str | None = None
    opened_at: datetime | None = None
    repetition: int = 0
    study_instance_uid: str | None = None
    instances: int | None = None
    happening: UUID | None = None
    available: Sequence[tuple[str, str, str]] = ()
    answered: Answered | None = None

    @property
    def age_minutes(self) -> int | None:
        """For how long an item has been open."""
        if self.opened_at is None:
            return None
        return max(0, (self.told_at - self.opened_at) // timedelta(minutes=1))

    def document(self) -> dict[str, Any]:
        """All that there is to say, as JSON can say it; what does not apply is left out."""
        said = {
            "id": str(self.id),
            "event": self.event,
            "target": self.target,
            "told_at": self.told_at.isoformat(timespec="seconds"),
            "link": self.link,
            "item": str(self.item) if self.item else None,
            "code": self.code,
            "opened_at": self.opened_at and self.opened_at.isoformat(timespec="seconds"),
            "age_minutes": self.age_minutes,
            "repetition": self.repetition if self.item else None,
            "study_instance_uid": self.study_instance_uid,
            "instances": self.instances,
            "happening": str(self.happening) if self.happening else None,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Target:
    """Who wants to be told of what, and how that is done.

    Attributes:
        name: of the [[notify]], or the AE title of the [[destination]].
        on: the kinds of what it is told.
        send: tells it, or raises NotTold.
        codes: of items; empty: all.
        after: the age of an open item before it is told.
        repeat: how often it is told again while it is open; 0: never.
    """

    name: str
    on: frozenset[str]
    send: Callable[[Notice], None]
    codes: tuple[str, ...] = ()
    after: timedelta = _NOTHING
    repeat: timedelta = _NOTHING

    @property
    def asked(self) -> telling.Asked | None:
        """The items that it wants; asking for others begins with all that are open."""
        kinds = tuple(sorted(self.on.intersection(ITEMS)))
        if not kinds:
            return None
        wanted = "\0".join((self.name, *kinds, "", *sorted(self.codes)))
        name = telling.ITEMS + hashlib.sha256(wanted.encode()).hexdigest()[:32]
        return telling.Asked(name, kinds, self.codes, self.after)


@dataclass(slots=True)
class NotifyFlow:
    """Finds what is to be told, and tells it; one `round` after the other.

    Attributes:
        quiet: for how long nothing has to come of a study that is called received.
        public_url: what links begin with.
        places: up to where everything was found, as last seen.
    """

    database: Database
    targets: Sequence[Target]
    clock: Callable[[], datetime]
    quiet: timedelta
    public_url: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    # -- what is to be told --------------------------------------------------------------

    def start(self) -> None:
        """Forget whom nobody names any more; begin where nobody has looked yet."""
        now = self.clock()
        names = [each.name for each in self._asked()]
        names += [telling.ARRIVALS] if self._wanting(RECEIVED) else []
        changes = [telling.CHANGES, telling.UNDONE]
        names += changes if self._wanting(CHANGED) else []

        def step(connection: Connection) -> dict[str, str]:
            telling.forget_all_but(connection, names)
            outbox.drop_all_but(connection, [each.name for each in self.targets], now)
            known = telling.cursors(connection)
            for name in set(names) - set(known):
                telling.move(connection, name, self._begin(connection, name, now))
            return telling.cursors(connection)

        self.places = self.database.run(step)

    def _begin(self, connection: Connection, name: str, now: datetime) -> str:
        """Of items all that are open; of studies what comes and changes from now on."""
        if name == telling.CHANGES:
            return telling.first_change(connection)
        from_now = name in (telling.ARRIVALS, telling.UNDONE)
        return (now if from_now else telling.EPOCH).isoformat()

    def round(self, stop: Event) -> bool:
        """Look, and tell; whether there is more to do at once."""
        asked, now = self._asked(), self.clock()
        if not self.database.run(
            lambda c: telling.anything(c, self.places, asked, self.quiet, now)
        ):
            return False
        queued = self.look()
        return self._tell_all(stop) or queued >= telling.BATCH

    def look(self) -> int:
        """Write down what is to be told; how much that is. One at a time does it."""
        now = self.clock()

        def step(connection: Connection) -> tuple[int, dict[str, str]]:
            if not telling.alone(connection):
                return 0, telling.cursors(connection)
            places = telling.cursors(connection)
            until = telling.seen(connection, now)
            news = [
                *self._received(connection, places, until, now),
                *self._changed(connection, places, until),
                *self._items(connection, places, until),
            ]
            queued = outbox.queue(connection, news, now)
            return queued, telling.cursors(connection)

        queued, self.places = self.database.run(step)
        return queued

    def _received(
        self,
        connection: Connection,
        places: Mapping[str, str],
        until: datetime,
        now: datetime,
    ) -> Iterator[New]:
        if telling.ARRIVALS not in places:
            return
        telling.look_for_arrivals(connection, places[telling.ARRIVALS], until)
        for study_id, instances in telling.quiet_studies(connection, now - self.quiet):
            for target, kind in self._wanting(RECEIVED):
                about = f"{RECEIVED}:{study_id}:{instances}"
                body = {"event": RECEIVED, "instances": instances}
                yield New(target.name, kind, about, study_id=study_id, body=body)

    def _changed(
        self, connection: Connection, places: Mapping[str, str], until: datetime
    ) -> Iterator[New]:
        if telling.CHANGES not in places:
            return
        found, place = telling.changed_studies(connection, places[telling.CHANGES])
        if place != places[telling.CHANGES]:
            telling.move(connection, telling.CHANGES, place)
        undone = telling.undone_studies(connection, places[telling.UNDONE], until)
        if undone:
            telling.move(connection, telling.UNDONE, until.isoformat())
            found = list(dict.fromkeys([*found, *undone]))
        for study_id, happening_id in found:
            for target, kind in self._wanting(CHANGED):
                yield New(
                    target.name,
                    kind,
                    f"{CHANGED}:{study_id}:{happening_id}",
                    study_id=study_id,
                    happening_id=happening_id,
                    body={"event": CHANGED},
                )

    def _items(
        self, connection: Connection, places: Mapping[str, str], until: datetime
    ) -> Iterator[New]:
        for target in self.targets:
            asked = target.asked
            if asked is None or asked.name not in places:
                continue
            place = places[asked.name]
            for item in telling.look_for_items(connection, asked, place, until):
                yield _of_item(target, item.kind, item.id, 0)

    def _asked(self) -> list[telling.Asked]:
        return [asked for each in self.targets if (asked := each.asked)]

    def _wanting(self, event: str) -> list[tuple[Target, str]]:
        """Who is told of such a study, and as what."""
        wanted = (event, AVAILABILITY)
        return [(each, kind) for each in self.targets for kind in wanted if kind in each.on]

    # -- telling it ----------------------------------------------------------------------

    def _tell_all(self, stop: Event) -> bool:
        with ThreadPoolExecutor(TARGETS_AT_ONCE) as pool:
            return any(list(pool.map(lambda each: self.tell(each, stop), self.targets)))

    def tell(self, target: Target, stop: Event) -> bool:
        """Tell a target what is due for it; whether there may be more."""
        now, ends = self.clock(), time.monotonic() + SECONDS_MAX
        due = self.database.run(
            lambda c: outbox.claim(c, target.name, now, now + LEASE, TAKEN_MAX)
        )
        for at, each in enumerate(due):
            if stop.is_set() or time.monotonic() > ends:
                self._give_back(due[at:])
                return True
            try:
                self._tell(target, each)
            except NotTold as error:
                self._failed(target, due[at:] if error.away else [each], str(error))
                if error.away:
                    return False
        return len(due) == TAKEN_MAX

    def _tell(self, target: Target, due: Due) -> None:
        if due.attempts > ATTEMPTS_MAX:
            raise NotTold(due.error or "who told it did not live to the end", away=False)
        notice = self._notice(target, due)
        over = due.hold_id is not None and due.item_state != "open"
        if over or (due.kind == AVAILABILITY and not notice.available):
            why = "the item was closed" if over else "nothing of the study is given out"
            self._settle(target, due, "dropped", why)
            return
        target.send(notice)
        log.info("target=%s notification=%s told=%s", target.name, due.id, due.kind)
        self._settle(target, due, "sent")

    def _settle(self, target: Target, due: Due, state: str, error: str = "") -> None:
        now = self.clock()

        def step(connection: Connection) -> None:
            outbox.settle(connection, due.id, state, now, error)
            if target.repeat and due.hold_id and state != "dropped":
                again = due.body.get("repetition", 0) + 1
                at = now + target.repeat
                news = _of_item(target, due.kind, due.hold_id, again, at)
                outbox.queue(connection, [news], now)

        self.database.run(step)

    def _failed(self, target: Target, due: Sequence[Due], why: str) -> None:
        now = self.clock()
        log.warning("target=%s waiting=%d not told: %s", target.name, len(due), why)
        for each in due:
            if each.attempts >= ATTEMPTS_MAX:
                self._settle(target, each, "given-up", why)
                continue
            self._postpone(each, now + backoff(each.attempts), why)

    def _postpone(self, due: Due, until: datetime, why: str) -> None:
        self.database.run(lambda c: outbox.postpone(c, due.id, until, why))

    def _give_back(self, due: Sequence[Due]) -> None:
        self.database.run(lambda c: outbox.give_back(c, due, self.clock()))

    def _notice(self, target: Target, due: Due) -> Notice:
        available: Sequence[tuple[str, str, str]] = ()
        answered: Answered | None = None
        with self.database.read_only() as connection:
            if due.kind == AVAILABILITY and due.study_id:
                available = telling.available(connection, due.study_id)
            elif due.kind == COMMITMENT:
                answered = commitments.find(connection, UUID(due.about))
        path = f"studies/{due.study_instance_uid}/explain"
        return Notice(
            due.id,
            due.body.get("event", due.kind),
            target.name,
            self.clock(),
            f"{self.public_url.rstrip('/')}/api/v1/"
            + (f"holds/{due.hold_id}" if due.hold_id else path),
            due.hold_id,
            due.code,
            due.opened_at,
            due.body.get("repetition", 0),
            due.study_instance_uid,
            due.body.get("instances"),
            due.happening_id,
            available,
            answered,
        )


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many tries, of which all failed."""
    doubled: int = 1 << min(attempts - 1, 20)
    return min(BACKOFF_MIN * doubled, BACKOFF_MAX)


def _of_item(
    target: Target, kind: str, item: UUID, repetition: int, at: datetime | None = None
) -> New:
    return New(
        target.name,
        kind,
        f"{item}:{repetition}",
        hold_id=item,
        body={"event": kind, "repetition": repetition},
        next_at=at,
    )
