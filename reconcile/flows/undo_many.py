"""Take back what a rule, a source or a person did between two times.

The newest first, a few happenings with what stands on them in one transaction, so that
nobody waits long for it. All of them rest on one happening that says
what was meant: asked again the same, it goes on under it; and taking that one back takes
back all of it. What a fact from outside rests on is left, and told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from reconcile.db import events, taken
from reconcile.db.database import Connection, Database
from reconcile.db.taken import Doings, Studied
from reconcile.db.undoing import Happened
from reconcile.errors import WrongUse
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.questions import time_of
from reconcile.flows.steward import By
from reconcile.flows.undo import Undo, is_from_outside

#: Happenings that one request takes back; and studies that are told of.
BATCH_MAX, STUDIES_MAX = 1000, 1000
#: Happenings of one transaction: what follows from all of them is said once.
TOGETHER = 25

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Left:
    """A happening that is not taken back, and why."""

    happening: UUID
    cause: str
    why: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What was taken back, or would be.

    Attributes:
        happening: under which it was; None: a dry run, or there was nothing.
        happenings: how many of those that are meant.
        along: how many others stand on those that are meant, and go with them.
        left: those that are not, with the fact from outside that rests on them.
        more: how many are still to be taken back; ask the same again.
        studies: how many they changed; `changes`: the first of these.
    """

    happening: UUID | None
    dry_run: bool
    happenings: int
    along: int
    left: tuple[Left, ...]
    more: int
    studies: int
    changes: tuple[Studied, ...]


@dataclass(frozen=True, slots=True)
class UndoMany:
    """Takes many happenings back."""

    kept: KeptArrivals

    def of(
        self,
        doings: Doings,
        by: By,
        most: int = BATCH_MAX,
        progress: Progress = lambda done: None,
    ) -> TakenBack:
        """Take back what is meant, at most so many happenings at once.

        Args:
            doings: whose, and when.
            by: who, and why; a dry run tells what would be taken back, and waits for
                nobody: it is as of the moment in which it is asked.
            most: happenings of one call; `more` tells how many are left.
            progress: is told how many are done.

        Raises:
            WrongUse: it says neither rule nor source nor actor, or no time.
            ServiceUnavailable: the database went away; ask the same again to go on.
        """
        _check(doings, by, self.kept.recording.clock().timestamp())
        with self._database.read_only() as connection:
            found = taken.done_by(connection, doings)
            plan = Plan.of(connection, found)
            studies, changes = taken.studies_of(connection, plan.all_ids, STUDIES_MAX)
        if by.dry_run or not plan.wanted:
            count = len(plan.wanted)
            return TakenBack(
                None, by.dry_run, count, len(plan.along), plan.left, 0, studies, changes
            )
        under = self._begin(doings, by)
        ids = [each.id for each in plan.wanted]
        left = list(plan.left)
        done = self.each(ids[:most], by, under, left, progress)
        return TakenBack(
            under,
            False,
            len(done),
            len(plan.along),
            tuple(left),
            max(0, len(ids) - most),
            studies,
            changes,
        )

    def each(
        self,
        ids: Sequence[UUID],
        by: By,
        under: UUID | None,
        left: list[Left],
        progress: Progress = lambda done: None,
    ) -> list[UUID]:
        """Take back each of some happenings, in this order; what was taken back.

        What cannot be is put into `left`.
        """
        done: list[UUID] = []
        for start in range(0, len(ids), TOGETHER):
            some = ids[start : start + TOGETHER]
            gone, refused = Undo(self.kept).together(some, by, under)
            done += gone
            left += [Left(id_, "", f"a fact rests on it: {why}") for id_, why in refused]
            progress(len(done))
        return done

    @property
    def _database(self) -> Database:
        return self.kept.recording.database

    def _begin(self, doings: Doings, by: By) -> UUID:
        """The happening under which all is taken back; the same one when asked again."""
        said = _told(doings)
        cause_id = sha256(repr(sorted(said.items())).encode()).hexdigest()[:32]

        def step(connection: Connection) -> UUID:
            known = taken.begun(connection, cause_id)
            if known is not None:
                return known
            recording = self.kept.recording
            happening = events.Happening(
                taken.UNDO_MANY,
                cause_id,
                by.actor,
                recording.rules.digest,
                recording.clock(),
                explanation={**said, "reason": by.reason},
            )
            return events.happen(connection, happening)

        return self._database.run(step)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be taken back, the newest first; what goes along; what is left."""

    wanted: tuple[Happened, ...]
    along: tuple[UUID, ...]
    left: tuple[Left, ...]

    @classmethod
    def of(cls, connection: Connection, found: Sequence[Happened]) -> Plan:
        """As `Undo` will do it, one after the other."""
        standing = taken.standing_on(connection, [each.id for each in found])
        gone: set[UUID] = set()
        wanted, along, left = [], dict[UUID, None](), []
        meant = {each.id for each in found}
        for each in found:
            chain = dict(_reached(each.id, standing.get(each.id, ()), gone))
            facts = [o for o in chain.values() if is_from_outside(o.cause)]
            if facts:
                why = ", ".join(f"{o.cause} {o.id}" for o in facts)
                left.append(Left(each.id, each.cause, f"a fact rests on it: {why}"))
                continue
            if each.id not in gone:
                wanted.append(each)
            gone |= {each.id, *chain}
            along |= dict.fromkeys(id_ for id_ in chain if id_ not in meant)
        return cls(tuple(wanted), tuple(along), tuple(left))

    @property
    def all_ids(self) -> list[UUID]:
        """Of everything that is struck out."""
        return [*(each.id for each in self.wanted), *self.along]


def _reached(
    root: UUID, edges: Sequence[tuple[Happened, UUID]], gone: set[UUID]
) -> Iterator[tuple[UUID, Happened]]:
    """What stands on one, when some are gone."""
    reached, more = {root}, True
    while more:
        more = False
        for happened, on in edges:
            if on in reached and happened.id not in reached | gone:
                reached.add(happened.id)
                more = True
                yield happened.id, happened


def doings_of(rule: str, source: str, actor: str, since: str, until: str) -> Doings:
    """Doings in the words of the outer face.

    Raises:
        WrongUse: a time is none.
    """
    times = time_of("from", since), time_of("to", until)
    if times[0] is None or times[1] is None:
        raise WrongUse("say from when and to when")
    return Doings(rule, source, actor, times[0], times[1])


def _told(doings: Doings) -> dict[str, str]:
    return {
        "rule": doings.rule,
        "source": doings.source,
        "actor": doings.actor,
        "from": doings.since.isoformat(),
        "to": doings.until.isoformat(),
    }


def _check(doings: Doings, by: By, now: float) -> None:
    if not by.reason.strip():
        raise WrongUse("an undo needs a reason")
    if not (doings.rule or doings.source or doings.actor):
        raise WrongUse("say whose doings: a rule, a source or an actor")
    if doings.since >= doings.until:
        raise WrongUse("from is before to")
    if doings.until.timestamp() > now:
        raise WrongUse("to is not in the future: what is meant has to stand still")
