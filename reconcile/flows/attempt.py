"""A change that a person makes: done, or only shown as it would be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from reconcile.db import views_audit
from reconcile.db.database import Connection, Database
from reconcile.db.views_audit import Event


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, or would be: the happening, its coercion events, the studies.

    Attributes:
        dry_run: nothing was changed; the ids are those that nobody will have.
        studies: Study Instance UIDs as given out afterwards.
        effects: what else it does, in words without patient data.
    """

    happening: UUID
    dry_run: bool
    studies: tuple[str, ...]
    effects: tuple[str, ...]
    events: tuple[Event, ...]


class _TakenBack(Exception):
    """Carries what would have been done out of its transaction."""

    def __init__(self, done: Done) -> None:
        super().__init__()
        self.done = done


#: Does it, and tells the happening and the effects.
Step = Callable[[Connection], tuple[UUID, tuple[str, ...]]]


def attempt(database: Database, step: Step, *, dry_run: bool) -> Done:
    """Do a change in one transaction, or do it and take the transaction back.

    A dry run takes the same locks and meets the same errors.
    """

    def told(connection: Connection) -> Done:
        happening_id, effects = step(connection)
        events = views_audit.of_happening(connection, happening_id)
        uids = (e.study_instance_uid for e in events if e.study_instance_uid)
        done = Done(happening_id, dry_run, tuple(dict.fromkeys(uids)), effects, events)
        if dry_run:
            raise _TakenBack(done)
        return done

    try:
        return database.run(told)
    except _TakenBack as taken:
        return taken.done
