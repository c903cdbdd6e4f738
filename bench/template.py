"""A row as text with gaps, and new values for what has to differ from copy to copy."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping

from bench.catalogue import DIGEST, Rows, Shape

#: What stands in rows -> name of the gap that it leaves.
Tokens = dict[str, str]
#: Name of a gap -> what a copy has there.
Values = dict[str, str]
DAYS_AGO_MS = 30 * 24 * 3600 * 1000


class Template:
    """A row as text, with gaps where copies differ."""

    def __init__(self, text: str, tokens: Tokens) -> None:
        # The longest first: one token may begin like another.
        known = sorted(tokens, key=len, reverse=True)
        pieces = re.split("(" + "|".join(map(re.escape, known)) + ")", text)
        self._literal = pieces[::2]
        self._names = [tokens[piece] for piece in pieces[1::2]]

    def fill(self, values: Values) -> str:
        """A copy; what is not in `values` cannot be a gap."""
        row = [self._literal[0]]
        for name, literal in zip(self._names, self._literal[1:], strict=True):
            row += (values[name], literal)
        return "".join(row)

    @property
    def has_gaps(self) -> bool:
        """Whether a copy is another row at all."""
        return bool(self._names)


def tokens(found: Mapping[str, Rows], shapes: Mapping[str, Shape], level: str) -> Tokens:
    """What no two copies have in common: the ids of rows, and digests."""
    known: Tokens = {}
    for table, rows in found.items():
        shape = shapes[table]
        for number, (key, row) in enumerate(rows.items()):
            if shape.identified:
                known[key] = f"{level} {table} {number}"
            for at in shape.digests:
                digest = row.split("\t")[at].removeprefix("\\\\x")
                known[digest] = f"{level} {table} {number} {DIGEST}"
    return known


def templates(found: Mapping[str, Rows], known: Tokens) -> dict[str, list[Template]]:
    """One for each row that is somebody's; what all have in common is there already."""
    made = {
        table: [Template(row, known) for row in rows.values()]
        for table, rows in found.items()
    }
    return {table: [each for each in of if each.has_gaps] for table, of in made.items()}


def fresh(names: Iterable[str], ids: Iterator[str]) -> Values:
    """Another digest for a digest, another id for an id."""
    return {
        name: secrets.token_hex(32) if name.endswith(DIGEST) else next(ids)
        for name in names
    }


def new_ids() -> Iterator[str]:
    """UUIDv7 of some days ago, in their order, one for each millisecond."""
    milliseconds = int(time.time() * 1000) - DAYS_AGO_MS
    while True:
        milliseconds += 1
        text = f"{milliseconds:012x}7{secrets.token_hex(2)[1:]}8{secrets.token_hex(8)[1:]}"
        yield "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
