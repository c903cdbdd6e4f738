"""How somebody may have been mistaken for somebody else: a slip, a twin, the mother.

Hints weigh nothing. They tell a person at the worklist what to look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from reconcile.core import dates, names
from reconcile.core.facts import PersonFacts
from reconcile.core.identity import Demographics, Domain, PatientIdentifier
from reconcile.core.names import Match, NameParts
from reconcile.core.placeholders import known_groups

# Short numbers are all one slip from one another.
_EDITED_CHARACTERS_MIN = 5

# How old mothers are, in years.
_MOTHER_MIN, _MOTHER_MAX = 12, 55


def near_miss(one: PatientIdentifier, other: PatientIdentifier) -> str:
    """How two identifiers that are not the same could have been; empty: not at all."""
    if one.value == other.value:
        return "" if one.domain == other.domain else "same identifier in another domain"
    if one.domain != other.domain:
        return ""
    return _miswritten(one.value, other.value) or _mistyped(one.value, other.value)


def _miswritten(one: str, other: str) -> str:
    if one.lstrip("0") == other.lstrip("0"):
        return "identifier differs only by leading zeros"
    if one.casefold() == other.casefold():
        return "identifier differs only in case"
    if one.split("^")[0] == other:
        return "identifier has HL7 components behind it"
    if one.split("\\")[0] == other:
        return "identifier has a second value behind it"
    return ""


def _mistyped(one: str, other: str) -> str:
    """An optimal string alignment distance of one, told apart by its kind."""
    if min(len(one), len(other)) < _EDITED_CHARACTERS_MIN:
        return ""
    if not dates.is_one_edit(one, other):
        return ""
    if sorted(one) == sorted(other):
        return "identifier has two characters exchanged"
    return "identifier is one slip away"


def breaks_digit(one: PatientIdentifier, other: PatientIdentifier, domain: Domain) -> str:
    """Whether the check digit says that `one` was mistyped, and `other` was not."""
    if domain.name != one.domain or not domain.breaks_check_digit(one.value):
        return ""
    return "" if domain.breaks_check_digit(other.value) else "its check digit was right"


def is_near_miss(
    identifier: PatientIdentifier | None, persons: Iterable[PersonFacts]
) -> bool:
    """Whether somebody has nearly this identifier, in the same domain."""
    if identifier is None:
        return False
    known = (other for person in persons for other in person.identifiers)
    return any(
        other.domain == identifier.domain and near_miss(identifier, other)
        for other in known
    )


def may_be_mother(header: Demographics, other: Demographics, domain: Domain) -> bool:
    """Whether `header` is a newborn's without a name, and `other` could be the mother.

    Images of a newborn come under the mother's ID where the child has none yet.
    """
    child = known_groups(header.name, domain.placeholder_names)[0]
    mother = known_groups(other.name, domain.placeholder_names)[0]
    if other.sex != "F" or not child.designation or not _one_family(child, mother):
        return False
    years = _years(other.birth_date, header.birth_date)
    return years is not None and _MOTHER_MIN <= years <= _MOTHER_MAX


def _one_family(one: NameParts, other: NameParts) -> bool:
    return names.matching(one.family, other.family) >= Match.CLOSE


def _years(earlier: str, later: str) -> int | None:
    """Whole years from one day to another; None where one is not known."""
    try:
        born = date.fromisoformat(dates.read(earlier))
        then = date.fromisoformat(dates.read(later))
    except ValueError:
        return None
    return then.year - born.year - ((then.month, then.day) < (born.month, born.day))
