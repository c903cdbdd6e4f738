"""Which references inside an instance follow a study or series that was renamed.

A Study or Series UID that an instance names besides its own is a reference. Where the
archive gives out what it names under another UID, the reference goes along; where nobody
knows yet what it names, it waits until somebody does.

Source:
    PS3.4 B.4.1.3: whoever coerces identifying UIDs must keep references to them right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reconcile.core.attributes import Follow

#: (Study UID that the reference stands in, the UID that it names), as received. The
#: first is "" for a reference to a study itself, OWN where the own study is meant.
Place = tuple[str, str]
OWN = "."


@dataclass(frozen=True, slots=True)
class Own:
    """The instance's own study and series: as received, and as assigned."""

    received_study: str
    study: str
    received_series: str
    series: str


@dataclass(frozen=True, slots=True)
class Followed:
    """What becomes of the references of an instance.

    Attributes:
        follow: None where nothing that it names was renamed.
        unmet: what nobody knows yet.
        ambiguous: whether a reference could mean several series, and stays.
    """

    follow: Follow | None
    unmet: frozenset[Place] = frozenset()
    ambiguous: bool = False


def follow(
    named: Collection[Place],
    own: Own,
    studies: Mapping[str, str],
    series: Mapping[tuple[str, str], str],
    ambiguous: Collection[tuple[str, str]] = (),
) -> Followed:
    """What becomes of the references of an instance.

    Args:
        named: as received.
        own: its own study and series; that of the UIDs which `studies` may not know.
        studies: received Study UID -> assigned, of those that are known.
        series: (assigned Study UID, received Series UID) -> assigned.
        ambiguous: of those that have several.
    """
    known = {**studies, own.received_study: own.study}
    found: list[tuple[str, str, str]] = []
    unmet: set[Place] = set()
    unclear = False
    for context, uid in sorted(named):
        of = own.study if context == OWN else known.get(context or uid, "")
        if not context:
            now = of
        elif (of, uid) == (own.study, own.received_series):
            now = own.series
        else:
            unclear = unclear or (of, uid) in ambiguous
            now = uid if (of, uid) in ambiguous else series.get((of, uid), "")
        if not now and not _is_assigned(of, uid, series):
            unmet.add((context, uid))
        elif now and now != uid:
            found.append((context, uid, now))
    made = Follow(tuple(found)) if found else None
    return Followed(made, frozenset(unmet), unclear)


def _is_assigned(study: str, uid: str, series: Mapping[tuple[str, str], str]) -> bool:
    """Whether a study has a series that is given out so: it needs no following."""
    return any(of == study and now == uid for (of, _), now in series.items())
