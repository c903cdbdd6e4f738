"""Relay messages to destinations: in order per lane, until they are there, over restarts.

What is to be relayed is written down in the transaction that finds it: corrections by who
forwards (see `correcting`), performed steps here, after commit. A destination that is away
keeps its lanes waiting; what it refuses is refused, and the next one goes.

Each message is settled before the next one is sent: what a sender was killed over may be
sent twice, and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import TypeVar

from reconcile.db import relays, telling
from reconcile.db.database import Connection, Database
from reconcile.db.deliveries import REFUSED, SENT
from reconcile.db.relays import Due, Lane
from reconcile.errors import ReconcileError
from reconcile.flows.delivering import NotDelivered
from reconcile.flows.notify import backoff

STEPS = telling.FORWARD + "steps"
#: No other process drives a lane that was taken, for so long since its last message.
LEASE = timedelta(minutes=5)
#: Seconds that one lane may take before another one's turn comes.
SECONDS_MAX = 30.0
DESTINATIONS_AT_ONCE = 4

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message: `state` as it is written down, and why."""

    answer: str = ""
    state: str = SENT
    error: str = ""


#: Sends what waits first in a lane; raises NotDelivered where it is not taken.
Send = Callable[[Due], Sent]


@dataclass(frozen=True, slots=True)
class Post:
    """A destination that messages are relayed to.

    Attributes:
        name: its AE title.
        corrections: tells it of patients; None: it is told nothing.
        steps: relays performed steps to it; None: they are not.
    """

    name: str
    corrections: Send | None = None
    steps: Send | None = None

    def way(self, lane: str) -> Send | None:
        """What sends the messages of a lane."""
        return self.corrections if lane == relays.PATIENTS else self.steps


@dataclass(slots=True)
class RelayFlow:
    """Finds which steps are to be relayed, and relays what waits."""

    database: Database
    posts: Sequence[Post]
    clock: Callable[[], datetime]

    def start(self) -> None:
        """Begin where nobody has looked yet: with what comes from now on."""
        now = self.clock().isoformat()

        def step(connection: Connection) -> None:
            if STEPS not in telling.cursors(connection):
                telling.move(connection, STEPS, now)

        self.database.run(step)

    def round(self, stop: Event) -> bool:
        """Look, and relay; whether there is more to do at once."""
        self.look()
        names = [each.name for each in self.posts]
        if not self.database.run(lambda c: relays.anything(c, names, self.clock())):
            return False
        with ThreadPoolExecutor(DESTINATIONS_AT_ONCE) as pool:
            return any(list(pool.map(lambda each: self.drive(each, stop), self.posts)))

    def look(self) -> None:
        """Write down what came of steps. One at a time does it."""
        wanting = [each.name for each in self.posts if each.steps is not None]
        if not wanting:
            return

        def step(connection: Connection) -> None:
            if not telling.alone(connection, "relaying"):
                return
            now = self.clock()
            until = telling.seen(connection, now)
            low = telling.low(telling.cursors(connection)[STEPS], until)
            if relays.steps_came(connection, low):
                for name in wanting:
                    relays.plan_steps(connection, name, low, now)
                telling.move(connection, STEPS, until.isoformat())

        self.database.run(step)

    def drive(self, post: Post, stop: Event) -> bool:
        """Send what is due in a lane; whether there may be more to send."""
        now = self.clock()
        lane = self.database.run(lambda c: relays.claim(c, post.name, now, now + LEASE))
        if lane is None:
            return False
        try:
            done = self._send_all(post, lane, stop)
        except NotDelivered as error:
            self._failed(lane, str(error))
            return False
        except ReconcileError as error:
            self._failed(lane, error.title)
            return False
        finish = relays.close if done else relays.keep
        self.database.run(lambda c: finish(c, lane, self.clock()))
        return True

    def _send_all(self, post: Post, lane: Lane, stop: Event) -> bool:
        """One after the other; whether nothing waits any more.

        Raises:
            NotDelivered: the destination is away.
        """
        send = post.way(lane.lane)
        if send is None:
            raise NotDelivered("the configuration does not say how it is told", away=True)
        ends = time.monotonic() + SECONDS_MAX
        while due := self.database.run(lambda c: relays.first(c, lane)):
            if stop.is_set() or time.monotonic() > ends:
                return False
            self._settle(lane, due, self._sent(send, due))
        return True

    def _sent(self, send: Send, due: Due) -> Sent:
        try:
            return send(due)
        except NotDelivered as error:
            if error.away:
                raise
            told = (due.destination, due.number)
            log.warning("destination=%s message=%d refused: %s", *told, error)
            answer = "" if error.status is None else f"{error.status:04X}"
            return Sent(answer, REFUSED, str(error))

    def _settle(self, lane: Lane, due: Due, sent: Sent) -> None:
        now = self.clock()

        def step(connection: Connection) -> None:
            relays.settle(
                connection,
                due.number,
                sent.state,
                now,
                answer=sent.answer,
                error=sent.error,
            )
            relays.keep(connection, lane, now + LEASE)

        self.database.run(step)

    def _failed(self, lane: Lane, why: str) -> None:
        log.warning("destination=%s relay waits: %s", lane.destination, why)
        until = self.clock() + backoff(lane.attempts)
        self.database.run(lambda c: relays.postpone(c, lane, until, why))
