"""What was decided of one instance holds for all that are like it: looked up once.

A scanner sends hundreds of images of a study, and whose they are is decided from the
same bytes of each, the same rows, the same configuration. The first is decided and
recorded; what came of it is its precedent, which those that are like it follow, for as
long as the revision of their study is the one that was seen. That is asked at every
group, under a lock: nobody has to tell this process that something changed.

What depends on more than that has no precedent: a reference to another study, a value
that only another character set can say.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.attributes import Tag
from reconcile.core.audit import Values
from reconcile.dataset.keywords import keywords
from reconcile.dataset.originals import Coercion
from reconcile.dataset.overlay import Plan, Refusal, original_attributes_item
from reconcile.db.groups import Common
from reconcile.flows.arriving import Arriving, Placed
from reconcile.flows.inside import others

#: As many studies and series are sent at a time to one process, and some more.
PRECEDENTS_MAX = 1024

#: (AE title of the source, transfer syntax, the bytes that decide).
Key = tuple[str, str, bytes]

# Stands for the time in the values of an event, which are otherwise always the same.
_SOME_TIME = datetime(2000, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why it was decided so: what every happening of it says."""

    rule: str
    rung: str
    explanation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Precedent:
    """What was decided and recorded of one instance, for those that are like it.

    Attributes:
        common: of their rows.
        tags: what changes in them.
        held: code of the hold; empty where none is.
        values: of their events, before and after the time of coercion.
        happenings: by association, of those that were told already.
    """

    common: Common
    tags: tuple[Tag, ...]
    held: str
    reasons: Reasons
    values: tuple[str, str]
    happenings: dict[str, UUID] = field(default_factory=dict, compare=False)

    def values_at(self, said: str) -> str:
        """The canonical values of an event; `said`: its time as DT says it."""
        before, after = self.values
        return f"{before}{said}{after}"


class Precedents:
    """Those that were last followed, by what decides. From any thread."""

    def __init__(self, limit: int = PRECEDENTS_MAX) -> None:
        self._limit = limit
        self._lock = Lock()
        self._known: OrderedDict[Key, Precedent] = OrderedDict()

    def find(self, key: Key) -> Precedent | None:
        """The precedent of what says the same, if there is one."""
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def set(self, key: Key, precedent: Precedent) -> None:
        """Let what says the same follow this one from now on."""
        with self._lock:
            self._known[key] = precedent
            self._known.move_to_end(key)
            if len(self._known) > self._limit:
                self._known.popitem(last=False)

    def forget(self, key: Key) -> None:
        """It holds no longer."""
        with self._lock:
            self._known.pop(key, None)


def coerced_at(time: datetime) -> str:
    """A time as the events of a group say it (DT)."""
    return Coercion((), time, "", "").datetime


def values_around_time(arriving: Arriving, placed: Placed) -> tuple[str, str] | None:
    """The canonical values of an event, before and after its time; None: not to be told."""
    changes, system = placed.changes, arriving.rules.modifying_system
    coercion = Coercion(placed.assigns, _SOME_TIME, system, arriving.source.ae_title)
    item = original_attributes_item(changes, coercion)
    values = Values(placed.patient, item, changes.new, tuple(changes.absent))
    before, *after = values.body().decode().split(coercion.datetime)
    return (before, after[0]) if len(after) == 1 else None


def is_followed(arriving: Arriving, placed: Placed) -> bool:
    """Whether nothing but what decides, and the study's revision, went into this."""
    changes: Plan = placed.changes
    alone = not others(arriving.inside, arriving.facts) and not placed.unmet
    plain = not changes.widened and Refusal.CHARSET not in changes.refused.values()
    return placed.study_id is not None and alone and plain


def tags_of(changes: Plan) -> tuple[Tag, ...]:
    """The tags of what changes."""
    return tuple(at.tags(changes.changes))


def keywords_of(changes: Plan) -> tuple[str, ...]:
    """The keywords of what changes, as an event lists them."""
    return keywords(tags_of(changes))
