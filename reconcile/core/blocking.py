"""Which two persons are worth comparing: those who share a key.

Comparing each with each is out of the question. A key is something that two records of
one person nearly always have in common, and that few strangers share.
"""

from __future__ import annotations

from reconcile.core import dates, names
from reconcile.core.identity import Demographics, Domain
from reconcile.core.names import NameParts
from reconcile.core.placeholders import known_groups

# So many letters of a name stand, with the year of birth, for the whole of it.
_BEGINNING = 3


def blocking_keys(said: Demographics, domain: Domain) -> frozenset[str]:
    """The keys under which what was said of somebody is compared.

    d: birth date. n: the two names in either order. gy, sy: how the given name, or the
    family name, begins, and the year. Placeholders make no key.
    """
    birth = dates.read(said.birth_date, domain.placeholder_dates)
    found = {f"d:{birth}"} if len(birth) == len("YYYYMMDD") else set()
    for name in known_groups(said.name, domain.placeholder_names):
        found |= _of_name(name, birth[:4])
    return frozenset(found)


def _of_name(name: NameParts, year: str) -> set[str]:
    family, given = names.joined(name.family), names.joined(name.given)
    found = set()
    if family and given:
        found.add(f"n:{'|'.join(sorted((family, given)))}")
    if given and year:
        found.add(f"gy:{given[:_BEGINNING]}{year}")
    if family and year:
        found.add(f"sy:{family[:_BEGINNING]}{year}")
    return found
