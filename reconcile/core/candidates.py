"""Who may have been meant: ranked hints for a person at the worklist.

Rule 1: nothing here decides. A score orders a list and explains itself; name, birth
        date and sex together are too few bits to tell one in a million.
Rule 2: what is missing on either side weighs nothing.
Rule 3: reasons are words, without a patient's data.

Weights are those of Fellegi and Sunter, log2(m/u): m is how often an agreement is seen
of one person, u how often of two. m fits headers that came from a worklist; u is the
theoretical value, as no frequencies of an index are known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log2

from reconcile.core import dates, names
from reconcile.core.dates import DateAgreement
from reconcile.core.facts import PersonFacts
from reconcile.core.identity import Demographics, Domain, PatientIdentifier
from reconcile.core.names import NameParts, Tokens
from reconcile.core.placeholders import known_groups

# In an index of birth dates that spread over ninety years there are so many days.
_DAYS = 32_872

# Of one name (family or given): agreement -> m, u.
_NAME = {
    "equal": (0.92, 0.003),
    "nearly equal": (0.03, 0.003),
    "alike": (0.015, 0.01),
    "exchanged": (0.005, 0.003),
    "differs": (0.03, 0.981),
}
# A date has some thirty neighbours within one slip, 0.4 with day and month exchanged.
_BIRTH_DATE = {
    "equal": (0.97, 1 / _DAYS),
    "with day and month exchanged": (0.005, 0.4 / _DAYS),
    "one slip away": (0.01, 30 / _DAYS),
    "of the same year": (0.005, 1 / 90),
    "differs": (0.01, 0.985),
}
_SEX = {"equal": (0.98, 0.5), "differs": (0.02, 0.5)}

#: An identifier of a domain with a quarter of a million persons.
IDENTIFIER_BITS = 18.0

#: A hospital gives one person one ID; a tenth of them has two (log2 of that).
OTHER_IDENTIFIER_BITS = log2(0.1)

# Short numbers are all one slip from one another.
_EDITED_CHARACTERS_MIN = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person who may have been meant; `bits` of evidence for it, and what they are."""

    person_id: str
    bits: float
    reasons: tuple[str, ...]


Weighed = tuple[float, str]


def rank(
    header: Demographics,
    identifier: PatientIdentifier | None,
    persons: Sequence[PersonFacts],
    domain: Domain = Domain(""),  # noqa: B008  frozen
) -> tuple[Candidate, ...]:
    """Order `persons` by how well they fit a header, best first.

    Equal bits mean equally likely; the order of such is only stable.

    Args:
        header: demographics that are looked for.
        identifier: what the header names, normalised by the rules of its domain.
        persons: who comes into question.
        domain: whose placeholder names and dates weigh nothing.
    """
    found = [_weigh(header, identifier, person, domain) for person in persons]
    return tuple(sorted(found, key=lambda c: (-c.bits, -len(c.reasons), c.person_id)))


def near_miss(one: PatientIdentifier, other: PatientIdentifier) -> str:
    """How two identifiers that are not the same could have been; empty: not at all."""
    if one.value == other.value:
        return "" if one.domain == other.domain else "same identifier in another domain"
    if one.domain != other.domain:
        return ""
    if one.value.lstrip("0") == other.value.lstrip("0"):
        return "identifier differs only by leading zeros"
    if one.value.casefold() == other.value.casefold():
        return "identifier differs only in case"
    if one.value.split("^")[0] == other.value:
        return "identifier has HL7 components behind it"
    if one.value.split("\\")[0] == other.value:
        return "identifier has a second value behind it"
    long_enough = min(len(one.value), len(other.value)) >= _EDITED_CHARACTERS_MIN
    if long_enough and dates.is_one_edit(one.value, other.value):
        return "identifier is one slip away"
    return ""


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


def _weigh(
    header: Demographics,
    identifier: PatientIdentifier | None,
    person: PersonFacts,
    domain: Domain,
) -> Candidate:
    versions = [_compare(header, version, domain) for version in person.versions]
    weighed = max(versions, key=_bits, default=[])
    weighed = [*_identifiers(identifier, person), *weighed]
    reasons = tuple(reason for _, reason in weighed)
    return Candidate(person.person_id, round(_bits(weighed), 1), reasons)


def _bits(weighed: Sequence[Weighed]) -> float:
    return sum(bits for bits, _ in weighed)


def _identifiers(
    identifier: PatientIdentifier | None, person: PersonFacts
) -> list[Weighed]:
    if identifier is None:
        return []
    if identifier in person.identifiers:
        return [(IDENTIFIER_BITS, "same identifier")]
    hints = {near_miss(identifier, other) for other in person.identifiers} - {""}
    if hints:
        return [(0.0, hint) for hint in sorted(hints)]
    if any(other.domain == identifier.domain for other in person.identifiers):
        return [(OTHER_IDENTIFIER_BITS, "has another identifier in the same domain")]
    return []


def _compare(header: Demographics, version: Demographics, domain: Domain) -> list[Weighed]:
    return [
        *_names(header, version, domain),
        *_birth_date(header.birth_date, version.birth_date, domain),
        *_sex(header.sex, version.sex),
    ]


def _names(header: Demographics, version: Demographics, domain: Domain) -> list[Weighed]:
    """The group that weighs most; the three are one name, not three pieces of evidence."""
    header_groups = known_groups(header.name, domain.placeholder_names)
    version_groups = known_groups(version.name, domain.placeholder_names)
    pairs = zip(header_groups, version_groups, strict=True)
    return max(
        (_name(a, b) for a, b in pairs if names.compare(a, b)), key=_bits, default=[]
    )


def _name(a: NameParts, b: NameParts) -> list[Weighed]:
    if _is_exchanged(a, b):
        return [_weight(_NAME, "exchanged", f"{part} name") for part in ("family", "given")]
    return [
        *_tokens(a.family, b.family, "family name"),
        *_tokens(a.given, b.given, "given name"),
    ]


def _is_exchanged(a: NameParts, b: NameParts) -> bool:
    one = (names.joined(a.family), names.joined(a.given))
    other = (names.joined(b.given), names.joined(b.family))
    return one == other and one != other[::-1] and all(one)


def _tokens(a: Tokens, b: Tokens, what: str) -> list[Weighed]:
    if not a or not b:
        return []
    one, other = names.joined(a), names.joined(b)
    similarity = names.jaro_winkler(one, other)
    if one == other:
        return [_weight(_NAME, "equal", what)]
    if similarity >= 0.92:
        return [_weight(_NAME, "nearly equal", what)]
    return [_weight(_NAME, "alike" if similarity >= 0.85 else "differs", what)]


def _birth_date(one: str, other: str, domain: Domain) -> list[Weighed]:
    a = dates.read(one, domain.placeholder_dates)
    b = dates.read(other, domain.placeholder_dates)
    level = {
        DateAgreement.EQUAL: "equal",
        DateAgreement.TRANSPOSED: "with day and month exchanged",
        DateAgreement.ONE_EDIT: "one slip away",
        DateAgreement.COARSE: "of the same year",
        DateAgreement.DIFFERENT: "of the same year" if a[:4] == b[:4] else "differs",
    }.get(dates.compare(a, b))
    return [_weight(_BIRTH_DATE, level, "birth date")] if level else []


def _sex(one: str, other: str) -> list[Weighed]:
    """Other and unknown are no evidence."""
    if one not in ("M", "F") or other not in ("M", "F"):
        return []
    return [_weight(_SEX, "equal" if one == other else "differs", "sex")]


def _weight(table: dict[str, tuple[float, float]], level: str, what: str) -> Weighed:
    m, u = table[level]
    return log2(m / u), f"{what} {level}"
