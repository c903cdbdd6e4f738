"""What the measurements of receiving came to, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from bench.data import KINDS
from bench.rows import Cell
from bench.tables import Table, median, spread

OURS = "reconcile"
Key = tuple[str, int]


def receiving(cells: Sequence[Cell]) -> list[Table]:
    """Rates, ratios, what they cost, and what went wrong."""
    good = [each for each in cells if not each.fault]
    return [rates(good), *ratios("Beside its peers", good), costs(good), *faults(cells)]


def large(cells: Sequence[Cell]) -> list[Table]:
    """How fast a large object comes, and how much of it is in memory."""
    good = [each for each in cells if not each.fault]
    head = ("server", "MB/s", "receiver MB", "all MB", "server ms", "database ms")
    table = Table("One large object", head)
    for (kind, _), server, of in _groups(good):
        assert kind == "multiframe"
        table.rows.append(
            (
                server,
                spread([c.mb_per_second for c in of]),
                spread([c.receiver_mb for c in of]),
                median([c.peak_mb for c in of]),
                median(_each(of, lambda c: c.server_seconds)),
                median(_each(of, lambda c: c.database_seconds)),
            )
        )
    table.notes.append("A multi-frame of 210 MB over one association; ms and MB as above.")
    beside = ratios("One large object, beside its peers", good)
    return [table, *beside, *faults(cells)]


def registry(cells: Sequence[Cell]) -> list[Table]:
    """The same archive with few and with many instances in its registry."""
    good = [each for each in cells if not each.fault]
    sizes = sorted({c.server for c in cells}, key=lambda name: (len(name), name))
    small, large = sizes[0], sizes[-1]
    head = ("object", "associations", f"{small} instances", f"{large} instances")
    table = Table("A large registry", (*head, "large / small"))
    for key in _keys(good):
        found = [
            spread([c.per_second for c in good if _key(c) == key and c.server == name])
            for name in (small, large)
        ]
        ratio = spread(paired(good, key, large, small))
        table.rows.append((KINDS[key[0]].title, str(key[1]), *found, ratio))
    table.notes.append(
        "Instances per second that are stored on top: median (least-greatest)."
    )
    return [table, *faults(cells)]


def rates(cells: Sequence[Cell]) -> Table:
    head = ("object", "associations", "server", "instances/s", "MB/s", "p50 ms", "p99 ms")
    table = Table("Receiving", head)
    for (kind, associations), server, of in _groups(cells):
        table.rows.append(
            (
                KINDS[kind].title,
                str(associations),
                server,
                spread([c.per_second for c in of]),
                median([c.mb_per_second for c in of]),
                median([c.p50_ms for c in of]),
                median([c.p99_ms for c in of]),
            )
        )
    table.notes.append("Instances per second: median of the rounds (least-greatest).")
    return table


def ratios(title: str, cells: Sequence[Cell]) -> list[Table]:
    """How many times as fast as each peer this archive is; nothing without peers."""
    servers = dict.fromkeys(each.server for each in cells)
    peers = [name for name in servers if name != OURS]
    if not peers or OURS not in servers:
        return []
    heads = [f"{OURS} / {name}" for name in sorted(peers)]
    table = Table(title, ("object", "associations", *heads))
    for key in _keys(cells):
        found = [spread(paired(cells, key, OURS, other)) for other in sorted(peers)]
        table.rows.append((KINDS[key[0]].title, str(key[1]), *found))
    table.notes.append("Rates of the same round divided: median (least-greatest).")
    return [table]


def paired(cells: Iterable[Cell], key: Key, ours: str, other: str) -> list[float]:
    """Ratios of rates within a round."""
    rate = {
        (each.round, each.server): each.instances / each.seconds
        for each in cells
        if _key(each) == key
    }
    rounds = sorted({number for number, server in rate if server == ours})
    return [
        rate[number, ours] / rate[number, other]
        for number in rounds
        if rate.get((number, other))
    ]


def costs(cells: Sequence[Cell]) -> Table:
    head = ("object", "associations", "server", "server ms", "database ms", "client ms")
    table = Table("What an instance costs", (*head, "all MB", "receiver MB"))
    for (kind, associations), server, of in _groups(cells):
        table.rows.append(
            (
                KINDS[kind].title,
                str(associations),
                server,
                median(_each(of, lambda c: c.server_seconds)),
                median(_each(of, lambda c: c.database_seconds)),
                median(_each(of, lambda c: c.client_seconds)),
                median([c.peak_mb for c in of]),
                median([c.receiver_mb for c in of]),
            )
        )
    table.notes.append("ms: processor time per instance, of the system too.")
    table.notes.append(
        "MB: at most, of all processes (PSS) and of one that receives (RSS)."
    )
    return table


def faults(cells: Iterable[Cell]) -> list[Table]:
    """What does not count, and why."""
    table = Table("Not counted", ("object", "associations", "server", "round", "why"))
    table.rows.extend(
        (KINDS[c.kind].title, str(c.associations), c.server, str(c.round), c.fault)
        for c in cells
        if c.fault
    )
    return [table] if table.rows else []


def _each(cells: Sequence[Cell], seconds: Callable[[Cell], float]) -> list[float]:
    return [1000 * seconds(c) / c.instances for c in cells]


def _key(cell: Cell) -> Key:
    return cell.kind, cell.associations


def _keys(cells: Iterable[Cell]) -> list[Key]:
    found = {_key(c) for c in cells}
    return sorted(found, key=lambda key: (list(KINDS).index(key[0]), key[1]))


def _groups(cells: Sequence[Cell]) -> Iterator[tuple[Key, str, list[Cell]]]:
    """Cells of one row: same object, same associations, same server."""
    servers = sorted({c.server for c in cells}, key=lambda name: (name != OURS, name))
    for key in _keys(cells):
        for server in servers:
            of = [c for c in cells if _key(c) == key and c.server == server]
            if of:
                yield key, server, of
