"""Send on what was received, coerced: after commit, in order per study, until it is there.

What a rule wants is found and written down as deliveries; a study on its way to one
destination is a lane, which one process drives at a time. Instances are given out as of
the moment in which their page of at most 100 is begun: a correction made while a
destination was away is in them, and a later one is found when the same process looks
again. What a destination was given, and is given out otherwise since, is told, or sent
once more, as that destination wants it.

Each delivery is written down before the next one is sent: what a sender was killed over
may be sent twice, and nothing else.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Literal, TypeVar
from uuid import UUID

from reconcile.db import delivered_patients, deliveries, events, holds, outgoing, telling
from reconcile.db.database import Connection, lock
from reconcile.db.delivered_patients import Known
from reconcile.db.deliveries import Lane, Waiting
from reconcile.db.events import Happening
from reconcile.db.holds import Item
from reconcile.db.outgoing import Given, Wanted
from reconcile.errors import CannotConvert
from reconcile.flows.correcting import Correcting, patient_of, rest
from reconcile.flows.delivering import Courier, NotDelivered, Opened
from reconcile.flows.notify import backoff
from reconcile.flows.retrieve import BytesMissing
from reconcile.flows.several import Ready, SeveralFlow

ARRIVALS, CHANGES, UNDONE, SINGLES = (
    telling.FORWARD + name
    for name in (telling.ARRIVALS, telling.CHANGES, telling.UNDONE, telling.SINGLES)
)
#: A study that a destination was given, and that is given out otherwise since.
CODE = "FORWARDED-CORRECTED"

#: No other process drives a lane that was taken, for so long since its last delivery.
LEASE = timedelta(minutes=5)
#: Seconds that one study may take before another one's turn comes.
SECONDS_MAX = 30.0
#: Instances that are looked up together, and destinations that are sent to at once.
PAGE = 100
DESTINATIONS_AT_ONCE = 4

T = TypeVar("T")
OnCorrection = Literal["hl7", "resend", "task", "none"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A destination that something is forwarded to.

    Attributes:
        name: its AE title.
        open: the way to it; raises NotDelivered where there is none.
        rules: what it is sent; none: only what a person sends.
        domain: in which it knows patients; empty: the archive's own.
        on_correction: what becomes of a correction of what it has.
    """

    name: str
    open: Opened
    rules: tuple[Wanted, ...] = ()
    domain: str = ""
    on_correction: OnCorrection = "task"


@dataclass(slots=True)
class ForwardFlow:
    """Finds what is to be forwarded, and forwards it; one `round` after the other.

    Attributes:
        digest: of the configuration, for what is written into the history.
    """

    several: SeveralFlow
    recipients: Sequence[Recipient]
    clock: Callable[[], datetime]
    digest: str = ""

    # -- what is to be forwarded -----------------------------------------------------------

    def start(self) -> None:
        """Begin where nobody has looked yet: with what comes from now on."""
        now = self.clock()

        def step(connection: Connection) -> None:
            known = telling.cursors(connection)
            for name in {ARRIVALS, UNDONE, SINGLES} - set(known):
                telling.move(connection, name, now.isoformat())
            if CHANGES not in known:
                telling.move(connection, CHANGES, telling.first_change(connection))

        self._run(step)

    def round(self, stop: Event) -> bool:
        """Look, and deliver; whether there is more to do at once."""
        found = self.look()
        names = [each.name for each in self.recipients]
        if not self._run(lambda c: deliveries.anything(c, names, self.clock())):
            return found
        with ThreadPoolExecutor(DESTINATIONS_AT_ONCE) as pool:
            more = list(pool.map(lambda each: self.drive(each, stop), self.recipients))
        return found or any(more)

    def look(self) -> bool:
        """Write down what is to be delivered; whether there may be more. One does it."""

        def step(connection: Connection) -> bool:
            if not telling.alone(connection, "forwarding"):
                return False
            now = self.clock()
            places = telling.cursors(connection)
            until = telling.seen(connection, now)
            low = telling.low(places[ARRIVALS], until)
            if outgoing.came(connection, low):
                for wanted in self._rules():
                    outgoing.plan_arrivals(connection, wanted, low, now)
                telling.move(connection, ARRIVALS, until.isoformat())
            changed, place = telling.changed_studies(connection, places[CHANGES])
            if place != places[CHANGES]:
                telling.move(connection, CHANGES, place)
            undone = telling.undone_studies(connection, places[UNDONE], until)
            if undone:
                telling.move(connection, UNDONE, until.isoformat())
            low = telling.low(places[SINGLES], until)
            single = telling.single_studies(connection, low)
            if single:
                telling.move(connection, SINGLES, until.isoformat())
            found = (*(study for study, _ in (*changed, *undone)), *single)
            for study_id in dict.fromkeys(found):
                self._changed(connection, study_id, now)
            return bool(changed)

        return self._run(step)

    def _rules(self) -> Iterator[Wanted]:
        for recipient in self.recipients:
            yield from recipient.rules

    def _changed(self, connection: Connection, study_id: UUID, now: datetime) -> None:
        """What may go only now, and what destinations have otherwise."""
        for wanted in self._rules():
            outgoing.plan_studies(connection, wanted, [study_id], now)
        known = {each.name: each for each in self.recipients}
        outgoing.wait_again(connection, list(known), study_id, now)
        outdated: dict[str, list[tuple[Given, Ready]]] = {}
        given = [
            each
            for each in outgoing.given_of(connection, study_id)
            if each.destination in known and known[each.destination].on_correction != "none"
        ]
        for each, ready in self._outdated(connection, given, known):
            outdated.setdefault(each.destination, []).append((each, ready))
        for name, found in outdated.items():
            rows = [each for each, _ in found]
            if known[name].on_correction == "resend":
                outgoing.add_versions(connection, rows, study_id, now)
                continue
            if known[name].on_correction == "hl7":
                rows = self._tell(connection, name, study_id, found, now)
            if rows:
                self._ask(connection, name, study_id, rows, now)

    def _tell(
        self,
        connection: Connection,
        destination: str,
        study_id: UUID,
        found: Sequence[tuple[Given, Ready]],
        now: datetime,
    ) -> list[Given]:
        """Let a destination be told by HL7; what no message says."""
        forms = {each.instance_id: form(ready) for each, ready in found}
        correcting = Correcting(self.several)
        try:
            return correcting.tell(connection, destination, study_id, found, forms, now)
        except BytesMissing:  # doctor tells; others must learn of theirs
            log.error("destination=%s study=%s: no bytes", destination, study_id)
            return [each for each, _ in found]

    def _outdated(
        self,
        connection: Connection,
        given: Sequence[Given],
        known: Mapping[str, Recipient],
    ) -> Iterator[tuple[Given, Ready]]:
        for name in dict.fromkeys(each.destination for each in given):
            here = [each for each in given if each.destination == name]
            for at in range(0, len(here), PAGE):
                page = here[at : at + PAGE]
                ids = [each.instance_id for each in page]
                now = self.several.of(connection, ids, known[name].domain)
                yield from (
                    (each, now[each.instance_id])
                    for each in page
                    if each.instance_id in now and form(now[each.instance_id]) != each.form
                )

    def _ask(
        self,
        connection: Connection,
        destination: str,
        study_id: UUID,
        rows: Sequence[Given],
        now: datetime,
    ) -> None:
        """Let a person see to it that a destination learns of a correction."""
        happening = Happening(
            "forwarding",
            destination,
            "forwarding",
            self.digest,
            now,
            explanation={"destination": destination, "instances": len(rows)},
        )
        done = events.happen(connection, happening)
        item = Item("review", CODE, destination, destination, study_id)
        for each in rows[:PAGE]:
            holds.open_item(connection, item, done, each.receipt_id)

    # -- delivering ------------------------------------------------------------------------

    def drive(self, recipient: Recipient, stop: Event) -> bool:
        """Deliver a study that is due; whether there may be more to deliver."""
        now = self.clock()
        lane = self._run(lambda c: deliveries.claim(c, recipient.name, now, now + LEASE))
        if lane is None:
            return False
        sent: dict[UUID, bytes] = {}
        try:
            done = self._deliver(recipient, lane, sent, stop)
        except NotDelivered as error:
            self._failed(lane, str(error))
            return False
        finally:
            self._look_again(recipient, lane, sent)
        if done:
            self._run(lambda c: deliveries.close(c, lane, self.clock()))
        else:
            self._run(lambda c: deliveries.keep(c, lane, self.clock()))
        return True

    def _look_again(
        self, recipient: Recipient, lane: Lane, sent: Mapping[UUID, bytes]
    ) -> None:
        """What was corrected while it was sent: who found that may not have seen it."""

        def step(connection: Connection) -> None:
            ids = list(sent)
            for at in range(0, len(ids), PAGE):
                page = ids[at : at + PAGE]
                now = self.several.of(connection, page, recipient.domain)
                if any(form(ready) != sent[key] for key, ready in now.items()):
                    lock(connection, [("forwarding",)], shared=False)
                    self._changed(connection, lane.study_id, self.clock())
                    return

        if sent:
            self._run(step)

    def _deliver(
        self, recipient: Recipient, lane: Lane, sent: dict[UUID, bytes], stop: Event
    ) -> bool:
        """Page by page, noting what is `sent`; whether nothing waits any more.

        Raises:
            NotDelivered: the destination is away.
        """
        ends = time.monotonic() + SECONDS_MAX
        while page := self._page(recipient, lane):
            kinds = {
                (r.sop_class_uid, r.transfer_syntax_uid) for _, r in page if r is not None
            }
            with recipient.open(kinds) as courier:
                for waiting, ready in page:
                    if stop.is_set() or time.monotonic() > ends:
                        return False
                    if self._hand_over(courier, recipient, lane, waiting, ready) and ready:
                        sent[waiting.instance_id] = form(ready)
        return True

    def _page(self, recipient: Recipient, lane: Lane) -> list[tuple[Waiting, Ready | None]]:
        database = self.several.retrieve.database
        with database.read_only() as connection:
            waiting = deliveries.waiting(connection, lane, PAGE)
            ids = [each.instance_id for each in waiting]
            ready = self.several.of(connection, ids, recipient.domain)
        self.several.used(ready.values())
        return [(each, ready.get(each.instance_id)) for each in waiting]

    def _hand_over(
        self,
        courier: Courier,
        recipient: Recipient,
        lane: Lane,
        waiting: Waiting,
        ready: Ready | None,
    ) -> bool:
        """Whether it was taken."""
        if ready is None:
            self._settle(lane, waiting, deliveries.SKIPPED, error=deliveries.NOT_SHOWN)
            return False
        try:
            status = courier.deliver(ready)
        except NotDelivered as error:
            if error.away:
                raise
            self._refused(lane, waiting, str(error), error.status)
        except (CannotConvert, BytesMissing) as error:
            self._refused(lane, waiting, error.title, None)
        else:
            given = (form(ready), rest(ready))
            known = self._known(recipient, lane, ready)
            self._settle(
                lane, waiting, deliveries.SENT, given=given, known=known, status=status
            )
            return True
        return False

    def _known(self, recipient: Recipient, lane: Lane, ready: Ready) -> Known | None:
        """Under whom a destination that is told by HL7 has a study now; None: it had."""
        if recipient.on_correction != "hl7":
            return None
        with self.several.retrieve.database.read_only() as connection:
            had = delivered_patients.known(connection, lane.destination, lane.study_id)
        return None if had else patient_of(ready).known

    def _refused(self, lane: Lane, waiting: Waiting, why: str, status: int | None) -> None:
        log.warning("destination=%s study=%s refused: %s", *_told(lane), why)
        self._settle(lane, waiting, deliveries.REFUSED, error=why, status=status)

    def _settle(
        self,
        lane: Lane,
        waiting: Waiting,
        state: str,
        *,
        given: tuple[bytes, bytes] | None = None,
        known: Known | None = None,
        status: int | None = None,
        error: str = "",
    ) -> None:
        now = self.clock()
        was = dict(zip(("form", "rest"), given or (), strict=False))

        def step(connection: Connection) -> None:
            deliveries.settle(
                connection, lane, waiting, state, now, status=status, error=error, **was
            )
            if known is not None:
                study = lane.study_id
                delivered_patients.know(
                    connection, lane.destination, study, known, anew=False
                )
            deliveries.keep(connection, lane, now + LEASE)

        self._run(step)

    def _failed(self, lane: Lane, why: str) -> None:
        log.warning("destination=%s study=%s waits: %s", *_told(lane), why)
        until = self.clock() + backoff(lane.attempts)
        self._run(lambda c: deliveries.postpone(c, lane, until, why))

    def _run(self, step: Callable[[Connection], T]) -> T:
        return self.several.retrieve.database.run(step)


def form(ready: Ready) -> bytes:
    """What an instance is given out as: SHA-256 of all that decides it."""
    return hashlib.sha256(repr(ready.made_from).encode()).digest()


def _told(lane: Lane) -> Iterable[object]:
    return lane.destination, lane.study_id
