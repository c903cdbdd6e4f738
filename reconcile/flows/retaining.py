"""Rules of retention: they only plan, one deletion for each study, which can be cancelled.

What somebody cancelled, the same rule does not plan again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from uuid import UUID

from reconcile.core.deletion import Cause
from reconcile.core.retention import Rule, decide
from reconcile.db import retaining
from reconcile.db.database import Connection
from reconcile.db.deletions import Plan
from reconcile.flows.deleting import Deleting, NotPlanned

#: Who plans what a rule says.
ACTOR = "retention"
Instances = Callable[[Connection], list[UUID]]


@dataclass(frozen=True, slots=True)
class Retaining:
    """Plans what rules say."""

    deleting: Deleting
    rules: Sequence[Rule]

    def run(self, stop: Event | None = None) -> int:
        """Look at all that is there once; how many deletions were planned.

        Raises:
            ServiceUnavailable: what is planned by then stays so.
        """
        if not self.rules:
            return 0
        return self._of_studies(stop or Event()) + self._of_rejected()

    def _of_studies(self, stop: Event) -> int:
        now, planned, after = self.deleting.clock(), 0, None
        while not stop.is_set():
            with self.deleting.database.read_only() as connection:
                found, after = retaining.studies(connection, after)
            for each in found:
                rule = decide(self.rules, each.facts, now)
                if rule is not None and rule.name not in each.left_alone:
                    planned += self._plan(rule, _all_of(each.study_id))
            if after is None:
                break
        return planned

    def _of_rejected(self) -> int:
        now, planned = self.deleting.clock(), 0
        for rule in (each for each in self.rules if each.rejected):
            before = now - timedelta(days=rule.after_days)
            with self.deleting.database.read_only() as connection:
                found = list(
                    retaining.rejected(connection, rule.rejected, before, rule.name)
                )
            planned += sum(self._plan(rule, _these(ids)) for ids in found)
        return planned

    def _plan(self, rule: Rule, instances: Instances) -> bool:
        flow = self.deleting
        now = flow.clock()
        reason = f"{rule.after_days} days are over, by rule {rule.name}"

        def step(connection: Connection) -> None:
            said = Plan(Cause.RULE, rule.name, reason, ACTOR, now, rule.due(now))
            flow.keep(connection, said, instances(connection))

        try:
            flow.database.run(step)
        except NotPlanned:
            return False  # somebody has planned it meanwhile
        return True


def _all_of(study_id: UUID) -> Instances:
    return lambda connection: retaining.of_study(connection, study_id)


def _these(ids: list[UUID]) -> Instances:
    return lambda _: ids
