"""What a person may do with what is forwarded: try again, leave out, send anew."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reconcile.db import deliveries, outgoing, relays
from reconcile.db.database import Connection, Database
from reconcile.db.views_deliveries import study_of
from reconcile.errors import NotFound, WrongUse


@dataclass(frozen=True, slots=True)
class Steering:
    """The steps; `destinations` are the AE titles that are configured."""

    database: Database
    clock: Callable[[], datetime]
    destinations: Collection[str]

    def retry(self, destination: str, study: str = "") -> int:
        """Send what waits and what was refused now; how many that is.

        Args:
            destination: AE title.
            study: its instances and messages; or the lane of some messages. Empty: all.

        Raises:
            NotFound: there is no such destination, or no such study.
        """
        self._known(destination)

        def step(connection: Connection) -> int:
            now = self.clock()
            if study and relays.is_lane(connection, study):
                return relays.retry(connection, destination, now, name=study)
            of = study_of(connection, study) if study else None
            told = relays.retry(connection, destination, now, study=of)
            return told + deliveries.retry(connection, destination, of, now)

        return self.database.run(step)

    def skip(self, destination: str, study: str, actor: str) -> int:
        """Never send what waits of a study, or of a lane; how many that is.

        Raises:
            NotFound: there is no such study.
            WrongUse: nothing of it waits for this destination.
        """

        def step(connection: Connection) -> int:
            now, why = self.clock(), f"left out by {actor}"
            if relays.is_lane(connection, study):
                return relays.skip(connection, destination, now, why, name=study)
            of: UUID = study_of(connection, study)
            told = relays.skip(connection, destination, now, why, study=of)
            return told + deliveries.skip(connection, destination, of, now, why)

        count = self.database.run(step)
        if not count:
            raise WrongUse("nothing of this study waits for this destination")
        return count

    def send(self, destination: str, study: str) -> int:
        """Send a whole study, as it is given out now, even what was sent before.

        Raises:
            NotFound: there is no such destination, or no such study.
        """
        self._known(destination)

        def step(connection: Connection) -> int:
            of = study_of(connection, study)
            return outgoing.plan_study(connection, destination, of, self.clock())

        return self.database.run(step)

    def _known(self, destination: str) -> None:
        if destination not in self.destinations:
            raise NotFound("no [[destination]] has this AE title")
