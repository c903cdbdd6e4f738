"""The hunt for duplicates: compare all persons who share a key, and suggest pairs.

It never acts. What it finds is a list for people; a merge is said by a feed or a
steward. It reads page by page and holds no lock, so that it may run beside everything.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import combinations, groupby
from uuid import UUID

from reconcile.core import names
from reconcile.core.blocking import blocking_keys
from reconcile.core.candidates import Index, Sought, name_key, rank, shown
from reconcile.core.facts import PersonFacts
from reconcile.core.hints import near_miss
from reconcile.core.identity import Domain, PatientIdentifier
from reconcile.db import persons, suggesting
from reconcile.db.database import Database
from reconcile.db.suggesting import Pair, Suspected
from reconcile.flows.rules import Rules

#: Persons, and pairs, that are read at a time.
PAGE = 500

#: A key that so many share tells nobody apart: 1 January, for one.
BLOCK_MAX = 100

# A key and who has it are one number: 40 bits of a digest, 24 of a place in a list. Two
# keys of one digest cost a comparison that was not needed.
_PLACE_BITS = 24
_PLACE = (1 << _PLACE_BITS) - 1

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Hunted:
    """What a hunt came to; `dropped`: pairs of before that are none any more."""

    persons: int = 0
    pairs: int = 0
    suggested: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Read:
    """All persons, as much of them as finding pairs needs."""

    ids: list[UUID] = field(default_factory=list)
    keys: array[int] = field(default_factory=lambda: array("Q"))
    family: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)

    def index(self) -> Index:
        count = max(len(self.ids), 1)
        shares = [
            {name: often / count for name, often in counted.items()}
            for counted in (self.family, self.given)
        ]
        return Index(len(self.ids), *shares)

    def pairs(self) -> list[Pair]:
        """Every two who share a key that is worth something, once."""
        found: set[int] = set()
        for _, block in groupby(sorted(self.keys), lambda entry: entry >> _PLACE_BITS):
            places = sorted({entry & _PLACE for entry in block})
            if len(places) <= BLOCK_MAX:
                found |= {a << _PLACE_BITS | b for a, b in combinations(places, 2)}
        both = ((pair >> _PLACE_BITS, pair & _PLACE) for pair in sorted(found))
        return [(self.ids[a], self.ids[b]) for a, b in both]


class HuntFlow:
    """Fills the list of suggestions."""

    def __init__(
        self,
        database: Database,
        rules: Rules,
        clock: Callable[[], datetime],
        progress: Progress = lambda what, done, of: None,
    ) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock
        self._progress = progress

    def run(self) -> Hunted:
        """Hunt once through all verified persons."""
        began = self._clock()
        read = self._read()
        pairs, index = read.pairs(), read.index()
        with self._database.read_only() as connection:
            apart = suggesting.told_apart(connection)
        wanted = [pair for pair in pairs if pair not in apart]
        suggested = sum(
            self._suggest(wanted[start : start + PAGE], index, began)
            for start in self._told("pairs", range(0, len(wanted), PAGE), len(wanted))
        )
        dropped = self._database.run(lambda c: suggesting.forget_before(c, began))
        return Hunted(len(read.ids), len(wanted), suggested, dropped)

    def _told(self, what: str, starts: Iterable[int], of: int) -> Iterator[int]:
        for start in starts:
            yield start
            self._progress(what, min(start + PAGE, of), of)

    def _read(self) -> _Read:
        read = _Read()
        while True:
            after = read.ids[-1] if read.ids else None
            with self._database.read_only() as connection:
                ids = suggesting.verified(connection, after, PAGE)
                known = persons.facts(connection, ids, self._rules.archive_domain)
            if not ids:
                return read
            for person_id in ids:
                self._take(read, person_id, known[str(person_id)])
            self._progress("persons", len(read.ids), 0)

    def _take(self, read: _Read, person_id: UUID, person: PersonFacts) -> None:
        place = len(read.ids)
        read.ids.append(person_id)
        domain = self._domain(person.identifiers)
        said = [blocking_keys(version, domain) for version in person.versions]
        for key in frozenset().union(*said):
            read.keys.append(_digest(key) << _PLACE_BITS | place)
        for group in names.groups(person.current.name) if person.current else ():
            read.family[name_key(group.family)] += bool(group.family)
            read.given[name_key(group.given)] += bool(group.given)

    def _domain(self, identifiers: Iterable[PatientIdentifier]) -> Domain:
        """Whose placeholders apply: those of the first domain that is configured."""
        found = (self._rules.domains.get(each.domain) for each in identifiers)
        return next((domain for domain in found if domain is not None), Domain(""))

    def _suggest(self, pairs: list[Pair], index: Index, at: datetime) -> int:
        with self._database.read_only() as connection:
            both = {each for pair in pairs for each in pair}
            known = persons.facts(connection, both, self._rules.archive_domain)
        found = []
        for pair in pairs:
            one, other = (known.get(str(each)) for each in pair)
            if one and other and (suspected := self._compare(pair, one, other, index)):
                found.append(suspected)
        self._database.run(lambda connection: suggesting.suggest(connection, found, at))
        return len(found)

    def _compare(
        self, pair: Pair, one: PersonFacts, other: PersonFacts, index: Index
    ) -> Suspected | None:
        if one.current is None:
            return None
        domain = self._domain(one.identifiers)
        sought = Sought(one.current, self._telling(one, other), domain)
        best = shown(rank(sought, [other], index), index)
        return Suspected(pair, best[0].bits, best[0].waterfall) if best else None

    def _telling(self, one: PersonFacts, other: PersonFacts) -> PatientIdentifier | None:
        """The identifier of `one` that says most beside those of `other`.

        Everybody has one of the archive's own domain; that says nothing.
        """
        own = self._rules.archive_domain
        mine = [each for each in one.identifiers if each.domain != own]
        theirs = [each for each in other.identifiers if each.domain != own]
        near = (each for each in mine if any(near_miss(each, their) for their in theirs))
        domains = {each.domain for each in theirs}
        shared = (each for each in mine if each.domain in domains)
        return next(near, next(shared, None))


def _digest(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=5).digest(), "big")
