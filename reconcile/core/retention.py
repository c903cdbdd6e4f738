"""Which studies a rule of retention lets be deleted, and when.

The first rule that a study fits decides, whether its time has come or not: so a rule for
some stands above the rule for all. A rule that deletes fits where all of a study is of
its sources and modalities; one that keeps, where anything is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

By = Literal["study-date", "stored"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        after_days: older than this, by the youngest Study Date or the last instance's
            coming; without Study Date by the latter.
        sources: AE titles; none: all.
        modalities: likewise.
        rejected: DCM codes of rejection notes; where there are some, the rule is about
            rejected instances, this long after their note, and about no whole study.
        keep: what fits is not deleted by the rules after this one.
        delay_days: how long the plan can be cancelled.
        asks: it waits for a person to confirm it, however long.
    """

    name: str
    after_days: int
    by: By = "study-date"
    sources: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()
    keep: bool = False
    delay_days: int = 30
    asks: bool = False

    def fits(self, study: Study) -> bool:
        """Whether a study is this rule's to decide."""
        return self._of(self.sources, study.sources) and self._of(
            self.modalities, study.modalities
        )

    def _of(self, wanted: frozenset[str], found: frozenset[str]) -> bool:
        if not wanted:
            return True
        return bool(wanted & found) if self.keep else bool(found) and found <= wanted

    def due(self, now: datetime) -> datetime | None:
        """When a plan that is made now is done; None: when a person says so."""
        return None if self.asks else now + timedelta(days=self.delay_days)


@dataclass(frozen=True, slots=True)
class Study:
    """What a rule looks at; `study_date` is the youngest one as DA, or empty."""

    stored_at: datetime
    study_date: str
    sources: frozenset[str]
    modalities: frozenset[str]


def decide(rules: Sequence[Rule], study: Study, now: datetime) -> Rule | None:
    """The rule by which a study is to be deleted now; None: by none."""
    whole = (rule for rule in rules if not rule.rejected)
    rule = next((rule for rule in whole if rule.fits(study)), None)
    if rule is None or rule.keep:
        return None
    return (
        rule if _day(rule, study) + timedelta(days=rule.after_days) < now.date() else None
    )


def _day(rule: Rule, study: Study) -> date:
    """The day that a study is as old as; one in the future is no day."""
    came = study.stored_at.date()
    said = _date(study.study_date) if rule.by == "study-date" else None
    return came if said is None else said


def _date(said: str) -> date | None:
    try:
        return datetime.strptime(said, "%Y%m%d").date()  # noqa: DTZ007 - a DA has no zone
    except ValueError:
        return None
