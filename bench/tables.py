"""Figures as a table: medians with the least and the greatest, for a terminal or a page."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

#: How many digits of a figure mean anything.
DIGITS = 3


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a row of headings, rows as wide, and what has to be said below."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def text(table: Table) -> Iterator[str]:
    """Lines for a terminal."""
    columns = list(zip(table.head, *table.rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [_is_figures(column) for column in columns]
    yield table.title
    for row in (table.head, *table.rows):
        cells = zip(row, widths, right, strict=True)
        line = (cell.rjust(w) if figures else cell.ljust(w) for cell, w, figures in cells)
        yield "  ".join(line).rstrip()
    yield from table.notes
    yield ""


def markdown(table: Table) -> Iterator[str]:
    """Lines of a page, from the heading on."""
    yield f"## {table.title}"
    yield ""
    if table.rows:
        columns = zip(table.head, *table.rows, strict=True)
        yield _line(table.head)
        yield _line(["--:" if _is_figures(each) else "---" for each in columns])
        yield from map(_line, table.rows)
        yield ""
    for note in table.notes:
        yield note
        yield ""


def spread(values: Sequence[float]) -> str:
    """The median, and in brackets from the least to the greatest; a dash: none."""
    if not values:
        return "-"
    middle = figure(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({figure(min(values))}-{figure(max(values))})"


def median(values: Sequence[float]) -> str:
    return figure(statistics.median(values)) if values else "-"


def figure(value: float) -> str:
    """With as many digits as mean anything: 1 234, 56.7, 0.089."""
    if abs(value) < 1:
        return f"{value:.2g}"
    decimals = max(0, DIGITS - len(str(int(abs(value)))))
    return f"{value:,.{decimals}f}".replace(",", " ")


def size(instances: int) -> str:
    """As it is said in a table: 2 000 000."""
    return f"{instances:,}".replace(",", " ")


def _is_figures(column: Sequence[str]) -> bool:
    """Whether all below the heading are; what is none is a dash."""
    return all(each[:1].isdigit() or each == "-" for each in column[1:])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
