"""Where things stand in a picture: bars and graphs as numbers; templates draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from reconcile.db.views_patients import Merge
from reconcile.db.views_summary import Coerced

DAYS = 7

# -- Bars -----------------------------------------------------------------------------

_COLUMN, _GAP, _HIGH = 26, 6, 44
#: Sources with a row of their own; what the others did is one more.
ROWS_MAX = 8


@dataclass(frozen=True, slots=True)
class Column:
    """A day of a source; `x`, `y` and `height` in the units of the picture."""

    day: date
    events: int
    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Bars:
    """A source, and what was coerced of it: today, in a week, and day by day."""

    source: str
    today: int
    week: int
    columns: tuple[Column, ...]


def bars(coerced: Sequence[Coerced], today: date) -> tuple[Bars, ...]:
    """A week's coercions by source, the busiest first; one scale for all."""
    by_source: dict[str, dict[date, int]] = {}
    for each in coerced:
        by_source.setdefault(each.source, {})[each.day] = each.events
    ordered = sorted(by_source, key=lambda name: -sum(by_source[name].values()))
    kept = {name: by_source[name] for name in ordered[:ROWS_MAX]}
    if others := [by_source[name] for name in ordered[ROWS_MAX:]]:
        kept[f"{len(others)} others"] = _together(others)
    most = max((n for days in kept.values() for n in days.values()), default=1)
    return tuple(_bars(name, days, today, most) for name, days in kept.items())


def _together(counted: Iterable[Mapping[date, int]]) -> dict[date, int]:
    found: dict[date, int] = {}
    for days in counted:
        for day, events in days.items():
            found[day] = found.get(day, 0) + events
    return found


def _bars(source: str, days: Mapping[date, int], today: date, most: int) -> Bars:
    shown = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    columns = tuple(
        _column(day, days.get(day, 0), place, most) for place, day in enumerate(shown)
    )
    return Bars(source, days.get(today, 0), sum(c.events for c in columns), columns)


def _column(day: date, events: int, place: int, most: int) -> Column:
    height = max(2, round(_HIGH * events / most)) if events else 1
    return Column(day, events, place * (_COLUMN + _GAP), _HIGH - height, height)


# -- Graphs ---------------------------------------------------------------------------

_WIDE, _TALL, _ACROSS, _DOWN = 236, 56, 84, 18
#: Persons that a graph draws; the list beside it has them all.
NODES_MAX = 24


@dataclass(frozen=True, slots=True)
class Node:
    """A person, and where."""

    id: UUID
    identifiers: tuple[str, ...]
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A merge from the prior to the surviving person; `live`: it holds."""

    path: str
    live: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """Persons and merges; the survivors are on the right."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int


def graph(
    person: UUID, merges: Sequence[Merge], names: Mapping[UUID, tuple[str, ...]]
) -> Graph:
    """The merges that touch a person and those merged into them."""
    shown = list(
        dict.fromkeys([person, *(p for m in merges for p in (m.surviving, m.prior))])
    )
    shown = shown[:NODES_MAX]
    into = {m.prior: m.surviving for m in sorted(merges, key=lambda m: m.ended_at is None)}
    depth = {each: _depth(each, into) for each in shown}
    deepest = max(depth.values(), default=0)
    places: dict[UUID, Node] = {}
    filled: dict[int, int] = {}
    for each in shown:
        column = deepest - depth[each]
        row = filled.get(column, 0)
        filled[column] = row + 1
        x, y = 1 + column * (_WIDE + _ACROSS), 1 + row * (_TALL + _DOWN)
        places[each] = Node(each, names.get(each, ()), x, y)
    edges = tuple(
        Edge(_path(places[m.prior], places[m.surviving]), m.ended_at is None)
        for m in merges
        if m.prior in places and m.surviving in places
    )
    width = (deepest + 1) * _WIDE + deepest * _ACROSS + 2
    rows = max(filled.values(), default=1)
    height = rows * (_TALL + _DOWN) - _DOWN + 2
    return Graph(tuple(places.values()), edges, width, height)


def _depth(person: UUID, into: Mapping[UUID, UUID]) -> int:
    """How many merges lead from a person to the last survivor."""
    steps, seen = 0, {person}
    while (person := into.get(person, person)) not in seen:
        seen.add(person)
        steps += 1
    return steps


def _path(prior: Node, surviving: Node) -> str:
    """A curve from the right side of one box to the left side of another."""
    x1, y1 = prior.x + _WIDE, prior.y + _TALL // 2
    x2, y2 = surviving.x - 6, surviving.y + _TALL // 2
    half = max(24, (x2 - x1) // 2)
    return f"M{x1} {y1} C{x1 + half} {y1} {x2 - half} {y2} {x2} {y2}"
