"""What a person is known as, from everything that was ever said of them.

Nothing that was said is overwritten: what is known is a fold over it, so that a bad
update, or a merge, can be taken back.

Rule 1: the greater authority wins; within one, what was said of a later time; of one
        time, what came later.
Rule 2: what was omitted is kept; what was sent as empty is cleared.
Rule 3: a survivor's own words stand above those of persons merged into them, whenever
        they were said. These only fill what the survivor's leave open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconcile.core.identity import Demographics, PersonName

#: Authority of what an image said of a person that no feed has spoken of.
IMAGE_AUTHORITY = 0
#: Of what a person entered of somebody whom no feed has spoken of.
STEWARD_AUTHORITY = 5
FEED_AUTHORITY = 10

_FIELDS = ("name", "birth_date", "sex", "death_date")
_ALL_FIELDS = frozenset((*_FIELDS, "multiple_birth"))


@dataclass(frozen=True, slots=True)
class Said:
    """One thing said of a person: the fields that were said, those that were cleared."""

    demographics: Demographics
    cleared: frozenset[str]
    authority: int
    said_at: datetime


def survivorship(said: Iterable[Said]) -> list[Demographics]:
    """Every state that one person's demographics were in, oldest first.

    Of one authority and time, in the order given.
    """
    states: list[Demographics] = []
    current = Demographics()
    for word in in_order(said):
        current = _said_over(current, word)
        states.append(current)
    return states


def in_order(said: Iterable[Said]) -> list[Said]:
    """As they follow each other, the last word last."""
    return sorted(said, key=lambda word: (word.authority, word.said_at))


def spoken(said: Sequence[Said]) -> bool:
    """Whether a feed has said any of it."""
    return any(word.authority > IMAGE_AUTHORITY for word in said)


def versions(own: Sequence[Said], others: Sequence[Sequence[Said]]) -> list[Demographics]:
    """Every state that a person and those merged into them were in, each by itself.

    The survivor's come first, and of each the newest. Where a feed has spoken of one of
    them, what images said is left out.
    """
    found: list[Demographics] = []
    for said in _authoritative([own, *others]):
        found += reversed(survivorship(said))
    return found


def known_as(own: Sequence[Said], others: Sequence[Sequence[Said]]) -> Demographics | None:
    """What a person is known as; None: nothing was ever said."""
    first, *rest = _authoritative([own, *others])
    merged = [word for said in rest for word in said]
    if not first and not merged:
        return None
    mine, theirs = survivorship(first), survivorship(merged)
    if not theirs:
        return mine[-1]
    known = mine[-1] if mine else Demographics()
    silent = _ALL_FIELDS - _cleared(first)
    gaps = {f: getattr(theirs[-1], f) for f in silent if not getattr(known, f)}
    return replace(known, **gaps)


def _authoritative(each: list[Sequence[Said]]) -> list[list[Said]]:
    """What feeds said, where one has spoken of anybody; else what images did."""
    if not any(spoken(said) for said in each):
        return [list(said) for said in each]
    return [[w for w in said if w.authority > IMAGE_AUTHORITY] for said in each]


def _cleared(said: Iterable[Said]) -> set[str]:
    """Fields that somebody's own words leave empty on purpose."""
    cleared: set[str] = set()
    for word in in_order(said):
        cleared -= {f for f in _ALL_FIELDS if getattr(word.demographics, f)}
        cleared |= word.cleared
    return cleared


def _said_over(current: Demographics, word: Said) -> Demographics:
    new = word.demographics
    changes: dict[str, Any] = {}
    for name in _FIELDS:
        if getattr(new, name):
            changes[name] = getattr(new, name)
        elif name in word.cleared:
            changes[name] = PersonName() if name == "name" else ""
    if new.multiple_birth:
        changes["multiple_birth"] = True
    return replace(current, **changes)
