"""What was measured of an archive at rest, asked or killed, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.data import KINDS
from bench.rows import Idle, Killed, Question, Retrieved, Sealing
from bench.tables import Table, figure, median, size, spread


def idle(rows: Sequence[Idle]) -> Table:
    """What associations cost on which nothing happens."""
    head = ("server", "associations", "receivers %", "all %", "receiver MB", "all MB")
    table = Table("Idle associations", head)
    for server, associations in dict.fromkeys((r.server, r.associations) for r in rows):
        of = [r for r in rows if (r.server, r.associations) == (server, associations)]
        table.rows.append(
            (
                server,
                str(associations),
                spread([r.receiving for r in of]),
                spread([r.all for r in of]),
                median([r.receiver_mb for r in of]),
                median([r.all_mb for r in of]),
            )
        )
    table.notes.append("%: of one processor core; all: with the database.")
    return table


def history(rows: Sequence[Question]) -> Table:
    """What questions take, by the size of the registry."""
    sizes = sorted({each.instances for each in rows})
    heads = [f"ms of {size(each)}" for each in sizes]
    table = Table("Questions to the history", ("question", *heads))
    for question in dict.fromkeys(each.question for each in rows):
        of = {each.instances: each for each in rows if each.question == question}
        found = [of[each] for each in sizes]
        said = [f"{figure(q.median_ms)} ({figure(q.greatest_ms)})" for q in found]
        table.rows.append((question, *said))
    table.notes.append("Milliseconds over HTTP: median (greatest), by instances in it.")
    return table


def merge(rows: Sequence[Question]) -> Table:
    """What a merge and its taking back take, by how many images the patient has."""
    sizes = sorted({each.instances for each in rows})
    heads = [f"ms of {size(each)}" for each in sizes]
    table = Table("A merge of 1 000 studies", ("step", *heads))
    for step in dict.fromkeys(each.question for each in rows):
        of = {each.instances: each for each in rows if each.question == step}
        found = [of[each] for each in sizes]
        said = [f"{figure(q.median_ms)} ({figure(q.greatest_ms)})" for q in found]
        table.rows.append((step, *said))
    table.notes.append("Milliseconds: median (greatest), by the patient's images.")
    return table


def sealing(rows: Sequence[Sealing]) -> Table:
    """What the sealer costs who writes."""
    head = ("writers", "events/s", "p50 ms", "p99 ms", "sealer CPU s per 1 000")
    table = Table("Sealing the history", head)
    rates: dict[str, float] = {}
    for name in ("without it", "beside the sealer"):
        of = [each for each in rows if each.name == name]
        if not of:
            continue
        rates[name] = statistics.median(each.per_second for each in of)
        cost = [1000 * each.sealer_seconds / max(1, each.events) for each in of]
        columns = (each.per_second for each in of), (each.p50_ms for each in of)
        told = [spread(list(column)) for column in columns]
        p99 = spread([each.p99_ms for each in of])
        table.rows.append((name, *told, p99, figure(statistics.median(cost))))
    if len(rates) == 2 and rates["without it"]:
        ratio = rates["beside the sealer"] / rates["without it"]
        table.notes.append(f"Ratio of the medians with and without it: {ratio:.2f}.")
    return table


def find(rows: Sequence[Question]) -> Table:
    """What a C-FIND takes, by how many studies there are."""
    sizes = sorted({each.instances for each in rows})
    heads = [f"ms of {size(each)}" for each in sizes]
    table = Table("Queries", ("question", *heads))
    for question in dict.fromkeys(each.question for each in rows):
        of = {each.instances: each for each in rows if each.question == question}
        found = [of[each] for each in sizes]
        said = [f"{figure(q.median_ms)} ({figure(q.greatest_ms)})" for q in found]
        table.rows.append((question, *said))
    table.notes.append(
        "C-FIND of studies, milliseconds: median (greatest), by studies in the registry."
    )
    return table


def events(rows: Sequence[Question]) -> Table:
    """What questions to the history take, by how many events there are."""
    sizes = sorted({each.instances for each in rows})
    heads = [f"ms of {size(each)}" for each in sizes]
    table = Table("Questions by the number of events", ("question", *heads))
    for question in dict.fromkeys(each.question for each in rows):
        of = {each.instances: each for each in rows if each.question == question}
        found = [of[each] for each in sizes if each in of]
        if question.startswith("bytes"):
            told = ", ".join(f"{figure(q.median_ms)} of {size(q.instances)}" for q in found)
            table.notes.append(f"{question[0].upper()}{question[1:]}: {told} events.")
            continue
        said = [f"{figure(q.median_ms)} ({figure(q.greatest_ms)})" for q in found]
        table.rows.append((question, *said))
    table.notes.append("Milliseconds over HTTP: median (greatest). Pages of 100 events.")
    table.notes.append("Cold: asked once, first of its kind after a restart.")
    return table


def retrieve(rows: Sequence[Retrieved]) -> list[Table]:
    """How fast instances are given out, a table for each way of asking."""
    found = []
    for way in dict.fromkeys(row.way for row in rows):
        head = ("server", "instances/s", "MB/s", "CPU ms", "all MB", "giver MB")
        table = Table(f"A study given out by {way.upper()}", head)
        for server in dict.fromkeys(row.server for row in rows if row.way == way):
            of = [row for row in rows if (row.server, row.way) == (server, way)]
            spent = [r.server_seconds + r.database_seconds for r in of]
            table.rows.append(
                (
                    server,
                    spread([r.per_second for r in of]),
                    median([r.mb_per_second for r in of]),
                    median(
                        [1000 * s / r.instances for s, r in zip(spent, of, strict=True)]
                    ),
                    median([r.peak_mb for r in of]),
                    median([r.giver_mb for r in of]),
                )
            )
        instances = max((row.instances for row in rows), default=0)
        table.notes.append(f"{size(instances)} CT slices, to a peer that keeps nothing.")
        table.notes.append("CPU: of server and database, for each instance.")
        found.append(table)
    return found


def durability(rows: Sequence[Killed]) -> Table:
    """Instances that were acknowledged before a kill -9, and what has become of them."""
    kept = ("acknowledged", "missing", "altered", "no event", "two events")
    table = Table(
        "After kill -9", ("object", "kills", *kept, "only event", "unacknowledged")
    )
    for kind in dict.fromkeys(each.kind for each in rows):
        of = [each for each in rows if each.kind == kind]
        counts = [
            sum(each.acknowledged for each in of),
            sum(each.missing for each in of),
            sum(each.altered for each in of),
            sum(each.without_event for each in of),
            sum(each.with_two_events for each in of),
            sum(each.events_without_instance for each in of),
            sum(each.stored_unacknowledged for each in of),
        ]
        table.rows.append((KINDS[kind].title, str(len(of)), *map(size, counts)))
    table.notes.append("Only event: an audit row without its instance.")
    table.notes.append("Unacknowledged: stored, and the sender had not been told so yet.")
    found = rows[-1].doctor if rows else {}
    said = ", ".join(f"{count} {code}" for code, count in sorted(found.items()))
    table.notes.append(f"`reconcile doctor` in the end: {said or 'nothing is wrong'}.")
    return table
