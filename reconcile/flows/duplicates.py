"""The same SOP Instance UID again: is it the same content, whatever it looks like?

The same bytes are known by their digest, inside the transaction of the store. Everything
else is compared here, outside of it and without its locks, since reading two large
instances takes seconds: our own export on its way back, or the same content in another
transfer syntax. What is like nothing that ever came is for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from reconcile.core.attributes import Change
from reconcile.dataset.alike import alike
from reconcile.dataset.overlay import viewed
from reconcile.db import versions
from reconcile.db.database import Connection
from reconcile.db.registry import Loaded
from reconcile.db.versions import Version
from reconcile.db.views_instances import Holding
from reconcile.errors import CannotUnderstand
from reconcile.flows.arriving import Arriving
from reconcile.flows.retrieve import BytesMissing, RetrieveFlow
from reconcile.flows.several import SeveralFlow

T = TypeVar("T")


class Likeness(StrEnum):
    """What an arrival under a SOP Instance UID that is taken has the content of.

    CURRENT: what is given out now, as it was received. GIVEN: what this archive made of
    that, today or at an earlier time. KEPT: a version that is not given out.
    """

    NOTHING = ""
    CURRENT = "current"
    GIVEN = "given"
    KEPT = "kept"


#: By digest of the current version: what an arrival is like while that is current.
Compared = Mapping[str, Likeness]
Step = Callable[[Connection, Arriving, Compared], T]


class NotCompared(Exception):
    """Raised by a step that must know more of an arrival before it can decide."""

    def __init__(self, uid_domain: str, current: str) -> None:
        super().__init__(current)
        self.uid_domain = uid_domain
        self.current = current


def likeness_of(arriving: Arriving, loaded: Loaded, compared: Compared) -> Likeness:
    """What an arrival is like that is not the current one over again, as far as known.

    Raises:
        NotCompared: it has to be compared with what is here.
    """
    current = loaded.facts.stored_digest
    if current in ("", arriving.digest):
        return Likeness.CURRENT if current else Likeness.NOTHING
    if current not in compared:
        raise NotCompared(loaded.uid_domain, current)
    known = arriving.digest in loaded.facts.known_digests
    return compared[current] or (Likeness.KEPT if known else Likeness.NOTHING)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Compares what arrives with what is here."""

    several: SeveralFlow

    @property
    def retrieve(self) -> RetrieveFlow:
        """What gives single instances out."""
        return self.several.retrieve

    def settle(self, arriving: Arriving, step: Step[T]) -> T:
        """Run a step in a transaction; where it asks for it, compare, and run it again."""
        compared: dict[str, Likeness] = {}
        while True:
            try:
                return self.retrieve.database.run(lambda c: step(c, arriving, compared))
            except NotCompared as asked:
                compared[asked.current] = self._likeness(arriving, asked.uid_domain)

    def _likeness(self, arriving: Arriving, uid_domain: str) -> Likeness:
        uid = arriving.facts.sop_instance_uid
        with self.retrieve.database.read_only() as connection:
            found = versions.versions(connection, uid_domain, uid)
        for version in found:
            for count in range(len(version.holding.live) + 1):
                if self._is_alike(arriving, version, count):
                    if not version.current:
                        return Likeness.KEPT
                    return Likeness.GIVEN if count else Likeness.CURRENT
        current = [each.holding.kept.receipt_id for each in found if each.current]
        shown = self._is_as_shown(arriving, current)
        return Likeness.GIVEN if shown else Likeness.NOTHING

    def _is_as_shown(self, arriving: Arriving, current: list[UUID]) -> bool:
        """Whether it is as somebody was given it who knows the patient by another ID."""
        for holding, view in self.several.views(arriving.facts.sop_instance_uid):
            if holding.kept.receipt_id not in current:
                continue
            with suppress(BytesMissing, CannotUnderstand):
                if self._compare(arriving, holding, holding.kept.transfer_syntax_uid, view):
                    return True
        return False

    def _is_alike(self, arriving: Arriving, version: Version, count: int) -> bool:
        """Whether it is a version with the first `count` of its assignments."""
        kept = version.holding.kept
        form = replace(version.holding, live=version.holding.live[:count])
        with suppress(BytesMissing, CannotUnderstand):
            return self._compare(arriving, form, kept.transfer_syntax_uid)
        return False  # another one may be alike; that it cannot be read, `doctor` tells

    def _compare(
        self,
        arriving: Arriving,
        form: Holding,
        syntax: str,
        view: Sequence[Change] = (),
    ) -> bool:
        same_syntax = arriving.arrival.transfer_syntax == syntax
        with self.retrieve.state(form) as state:
            shown = viewed(state, view)
            return alike(arriving.received, shown, same_syntax=same_syntax)
