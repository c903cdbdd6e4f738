"""`python -m tests.safety.table [--pairs N]`: whom the ladder lets pass, and whom not.

Pairs of a person on record and a header that hits that person, by an identifier or an
order; or by nothing. Every pair is decided by `reconcile.core.coercion.decide`. Exits 1
where a target is missed; targets are of the upper bounds, not of what was seen.

    CONFIRM ... NOINFO  how many pairs the gate said this of
    no gate             it was not asked: nothing had named the person
    coerced, held       what became of them, in percent; the rest is provisional
    bound               95 %, one-sided, Clopper and Pearson, in percent: of what must
                        not happen. Of one person's pairs that is "held"; of two's,
                        "coerced". Rows in capitals are strangers.
    target              what the bound must not exceed, in percent
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from random import Random

from reconcile.core.corroborate import Gate
from tests.safety.bounds import upper
from tests.safety.rows import ROWS, Row, draw

PAIRS = 1_000_000
SEED = 20240110

# A process draws so many at a time. The pairs of a row depend on nothing else.
_AT_ONCE = 10_000

_NO_GATE = ""


@dataclass(slots=True)
class Counted:
    """What became of the pairs of one row."""

    pairs: int = 0
    gates: Counter[str] = field(default_factory=Counter)
    coerced: int = 0
    held: int = 0

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            self.pairs + other.pairs,
            self.gates + other.gates,
            self.coerced + other.coerced,
            self.held + other.held,
        )


Task = tuple[str, int, int]  # a row, which part of it, how many pairs


def count(task: Task) -> tuple[str, Counted]:
    """Draw and decide the pairs of one part of a row; the same part is always the same."""
    name, part, pairs = task
    random = Random(f"{SEED}/{name}/{part}")
    found = Counted(pairs)
    for _ in range(pairs):
        seen = draw(random, ROWS[name])
        found.gates[seen.gate] += 1
        found.coerced += seen.coerced
        found.held += seen.held
    return name, found


def tasks(rows: Iterable[str], pairs: int) -> Iterator[Task]:
    """The parts of all rows."""
    for name in rows:
        for part, begun in enumerate(range(0, pairs, _AT_ONCE)):
            yield name, part, min(_AT_ONCE, pairs - begun)


def measured(pairs: int, rows: Iterable[str] = ROWS) -> Iterator[tuple[str, Counted]]:
    """All rows, counted on all cores; each as soon as it is complete."""
    table = {name: Counted() for name in rows}
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        for name, found in pool.imap(count, tasks(table, pairs)):
            table[name] += found
            if table[name].pairs == pairs:
                yield name, table[name]


def bound(row: Row, found: Counted) -> float:
    """How often what must not happen in this row happens at most."""
    wrong = found.held if row.right and row.hit else found.coerced
    return upper(wrong, found.pairs)


def missed(name: str, found: Counted) -> str:
    """Which target a row misses, in words; empty: none."""
    row = ROWS[name]
    if row.never and found.coerced:
        return f"{name}: {found.coerced} coerced, though nothing had named the person"
    target = row.coerced_max or row.held_max
    if target is not None and bound(row, found) > target:
        return f"{name}: {100 * bound(row, found):.4f} %, target {100 * target} %"
    return ""


def line(name: str, found: Counted) -> str:
    """One row of the table."""
    row = ROWS[name]
    gates = "".join(f"{found.gates[gate]:>9}" for gate in (*Gate, _NO_GATE))
    shares = [found.coerced / found.pairs, found.held / found.pairs, bound(row, found)]
    target = row.coerced_max or row.held_max
    wanted = "none" if row.never else f"{100 * target:g}" if target else ""
    percent = "".join(f"{100 * share:>10.4f}" for share in shares)
    return f"{name:<28}{gates}{percent}{wanted:>8}".rstrip()


def head() -> str:
    """What stands above the table."""
    gates = "".join(f"{word:>9}" for word in (*Gate, "no gate"))
    return f"{'':<28}{gates}{'coerced':>10}{'held':>10}{'bound':>10}{'target':>8}"


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.safety.table")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of every row")
    parser.add_argument("--row", action="append", choices=list(ROWS), help="only this one")
    asked = parser.parse_args(arguments)
    begun = time.monotonic()
    print(f"{asked.pairs} pairs of every row, seed {SEED}\n{head()}", flush=True)
    broken = []
    for name, found in measured(asked.pairs, asked.row or ROWS):
        print(line(name, found), flush=True)
        broken += [words] if (words := missed(name, found)) else []
    for words in broken:
        print(f"MISSED  {words}")
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
