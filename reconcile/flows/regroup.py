"""A person puts series into another study: one of its own, or one that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from reconcile.db import events, evidence, filed, merges, regrouping, studies
from reconcile.db.database import Connection
from reconcile.db.ids import new_uid
from reconcile.errors import NotFound, WrongUse
from reconcile.flows.arriving import Moment
from reconcile.flows.attempt import Done, attempt
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.restate import Restate
from reconcile.flows.split import flag_split
from reconcile.flows.steward import By


@dataclass(frozen=True, slots=True)
class Regroup:
    """Moves series between studies."""

    kept: KeptArrivals

    def split(self, study_uid: str, series_uids: Sequence[str], by: By) -> Done:
        """Let some series be a study of their own, under a new UID.

        Args:
            study_uid: received, assigned or alias.
            series_uids: of the study; received or assigned. Not all of them.
            by: who says so.

        Raises:
            NotFound: there is no such study, or a series is not in it.
            WrongUse: no series would be left.
        """

        def into(connection: Connection, moment: Moment, source: UUID) -> UUID:
            left = {s.id for s in filed.series_of(connection, [source])}
            if left <= {row.id for row in self._rows(connection, source, series_uids)}:
                raise WrongUse("no series would be left in the study")
            row = studies.make_study(
                connection,
                uid_domain="",
                assigned_uid=new_uid(self.kept.recording.rules.uid_root),
                happening_id=moment.happening_id,
            )
            return UUID(str(row.id))

        def source(connection: Connection) -> UUID | None:
            return filed.study_named(connection, study_uid)

        return self._do("split", source, into, series_uids, by)

    def move(self, series_uid: str, to: str, by: By) -> Done:
        """Let a series be of another study.

        Args:
            series_uid: received or assigned.
            to: Study Instance UID, received, assigned or alias.
            by: who says so.

        Raises:
            NotFound: there is no such series or study.
            WrongUse: it is in that study already.
        """

        def into(connection: Connection, moment: Moment, source: UUID) -> UUID:
            found = filed.study_named(connection, to)
            if found is None:
                raise NotFound("no study is known by this UID")
            if found == source:
                raise WrongUse("it is in this study already")
            return found

        def source(connection: Connection) -> UUID | None:
            return regrouping.study_of(connection, series_uid)

        return self._do("move-series", source, into, [series_uid], by)

    def _rows(
        self, connection: Connection, study_id: UUID, uids: Sequence[str]
    ) -> list[Any]:
        found = regrouping.series_of(connection, study_id, uids)
        known = {row.received_series_instance_uid for row in found}
        known |= {row.series_instance_uid for row in found}
        if not uids or any(uid not in known for uid in uids):
            raise NotFound("a series is not in this study")
        return found

    def _do(self, action: str, source: Any, into: Any, uids: Sequence[str], by: By) -> Done:
        if not by.reason.strip():
            raise WrongUse("a correction needs a reason")
        recording = self.kept.recording

        def done(connection: Connection) -> tuple[UUID, tuple[str, ...]]:
            merges.share(connection)
            study_id = source(connection)
            if study_id is None:
                raise NotFound("no study is known by this UID")
            now = recording.clock()
            said = {"action": action, "reason": by.reason}
            happening = events.Happening(
                "steward",
                str(study_id),
                by.actor,
                recording.rules.digest,
                now,
                "",
                "",
                said,
            )
            moment = Moment(connection, events.happen(connection, happening), now)
            target = into(connection, moment, study_id)
            both = sorted([study_id, target])
            filed.locked(connection, both)
            rows = self._rows(connection, study_id, uids)
            regrouping.put(connection, rows, target, moment.happening_id)
            self._hold(connection, target)
            for each in both:
                evidence.raise_study(connection, each)
            Restate(recording.rules).studies(moment, both, "CORRECT", renamed=False)
            flag_split(moment, both)
            return moment.happening_id, (f"{len(rows)} series moved",)

        return attempt(recording.database, done, dry_run=by.dry_run)

    def _hold(self, connection: Connection, study_id: UUID) -> None:
        """A held part needs an ID of its own in the study that it comes into."""
        if any(each.held for each in filed.series_of(connection, [study_id])):
            studies.held_id(connection, study_id)
