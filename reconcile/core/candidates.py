"""Who may have been meant: ranked hints for a person at the worklist.

Rule 1: nothing here decides. A score orders a list and explains itself; name, birth
        date and sex together are too few bits to tell one in a million.
Rule 2: what is missing on either side weighs nothing.
Rule 3: reasons are words, without a patient's data.
Rule 4: bits are shown as a waterfall that adds up, never as a percentage: names, sex
        and birth dates are not independent, so no probability could be believed.

Weights are those of Fellegi and Sunter, log2(m/u): m is how often an agreement is seen
of one person, u how often of two. m fits headers that came from a worklist. u is the
theoretical value, or for names the frequency in the index, where that is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2

from reconcile.core import dates, hints, names
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

#: Less than it takes to tell one in a million with a risk of one in a million (39.9
#: bits): rare names alone must not look like proof.
DEMOGRAPHIC_BITS_MAX = 38.0

#: A candidate is shown from so many bits below the size of the index on.
SHOWN_BITS = -3.0

#: A strong one has so many bits above it, and is so far ahead of the next.
STRONG_BITS, AHEAD_BITS = 10.0, 8.0


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of all persons together.

    Attributes:
        persons: how many there are.
        family, given: name, as `name_key` has it -> its share of all persons. Names
            that are in neither were never seen; without names the shipped values hold.
    """

    persons: int = 1_000_000
    family: Mapping[str, float] = field(default_factory=dict)
    given: Mapping[str, float] = field(default_factory=dict)

    @property
    def prior_bits(self) -> float:
        """What it takes to name one of so many."""
        return log2(max(self.persons, 2))


#: Nobody has counted.
NOT_COUNTED = Index()


@dataclass(frozen=True, slots=True)
class Weighed:
    """One bar of a waterfall: how something agrees, and how many bits that is."""

    bits: float
    what: str
    level: str = ""

    @property
    def reason(self) -> str:
        return f"{self.what} {self.level}".rstrip()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person who may have been meant; `bits` of evidence for it, and what they are.

    Attributes:
        waterfall: bits of every reason; they add up to `bits`, but for rounding.
        vetoes: why this must not look like a strong suggestion, in words.
    """

    person_id: str
    bits: float
    reasons: tuple[str, ...]
    waterfall: tuple[tuple[float, str], ...] = ()
    vetoes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sought:
    """Who is looked for.

    Attributes:
        identifier: what the header names, normalised by the rules of its domain.
        domain: whose placeholder names and dates weigh nothing.
        study_date: YYYYMMDD; whoever died before was not examined.
        not_same: persons of whom somebody said that they are not meant.
    """

    header: Demographics
    identifier: PatientIdentifier | None = None
    domain: Domain = Domain("")  # noqa: RUF009  frozen
    study_date: str = ""
    not_same: Collection[str] = ()


def rank(
    sought: Sought, persons: Sequence[PersonFacts], index: Index = NOT_COUNTED
) -> tuple[Candidate, ...]:
    """Order `persons` by how well they fit who is sought, best first.

    Equal bits mean equally likely; the order of such is only stable.
    """
    found = [_weigh(sought, person, index) for person in persons]
    return tuple(sorted(found, key=lambda c: (-c.bits, -len(c.reasons), c.person_id)))


def shown(candidates: Sequence[Candidate], index: Index) -> tuple[Candidate, ...]:
    """Those with enough evidence to be worth a look, in an index of this size."""
    return tuple(c for c in candidates if c.bits >= index.prior_bits + SHOWN_BITS)


def strong(candidates: Sequence[Candidate], index: Index) -> Candidate | None:
    """The first of ranked candidates, if it stands out and nothing speaks against it.

    It is still a suggestion: nothing acts on it.
    """
    if not candidates or candidates[0].vetoes:
        return None
    first, *others = candidates
    ahead = not others or first.bits - others[0].bits >= AHEAD_BITS
    return first if ahead and first.bits >= index.prior_bits + STRONG_BITS else None


def name_key(component: Tokens) -> str:
    """The form of a family or given name under which its frequency is counted."""
    return names.joined(component)


# -- One person ----------------------------------------------------------------------


def _weigh(sought: Sought, person: PersonFacts, index: Index) -> Candidate:
    versions = [_compare(sought, version, index) for version in person.versions]
    said = max(versions, key=_bits, default=[])
    identifiers = _identifiers(sought, person)
    vetoes = _vetoes(sought, person, [*identifiers, *said])
    weighed = [*identifiers, *said, *_capped(said), *_hints(sought, person, said)]
    weighed += [Weighed(0.0, veto) for veto in vetoes if veto not in _reasons(weighed)]
    waterfall = tuple((round(each.bits, 1), each.reason) for each in weighed)
    bits = round(_bits(weighed), 1)
    return Candidate(person.person_id, bits, _reasons(weighed), waterfall, vetoes)


def _bits(weighed: Sequence[Weighed]) -> float:
    return sum(each.bits for each in weighed)


def _reasons(weighed: Sequence[Weighed]) -> tuple[str, ...]:
    return tuple(each.reason for each in weighed)


def _capped(said: Sequence[Weighed]) -> list[Weighed]:
    """What rare names weigh above the cap is taken off again, in sight."""
    above = _bits(said) - DEMOGRAPHIC_BITS_MAX
    return [Weighed(-above, "names and dates count no more together")] if above > 0 else []


_OTHER_IDENTIFIER = "has another identifier in the same domain"
_TWIN = "may be a twin: same family name and birth date, other given name"


def _vetoes(
    sought: Sought, person: PersonFacts, weighed: Sequence[Weighed]
) -> tuple[str, ...]:
    died = person.current.death_date[:8] if person.current else ""
    speaks_against = {
        "sex differs": "sex differs" in _reasons(weighed),
        "died before the study": bool(died) and died < sought.study_date,
        "was said not to be the same person": person.person_id in sought.not_same,
        _TWIN: _is_twin(weighed),
        _OTHER_IDENTIFIER: _OTHER_IDENTIFIER in _reasons(weighed),
    }
    return tuple(veto for veto, applies in speaks_against.items() if applies)


def _is_twin(weighed: Sequence[Weighed]) -> bool:
    levels = {each.what: each.level for each in weighed}
    one_family = levels.get("family name") in ("equal", "nearly equal")
    born = levels.get("birth date") == "equal"
    return one_family and born and levels.get("given name") in ("alike", "differs")


def _hints(sought: Sought, person: PersonFacts, said: Sequence[Weighed]) -> list[Weighed]:
    mother = any(
        hints.may_be_mother(sought.header, version, sought.domain)
        for version in person.versions
    )
    return [Weighed(0.0, "may be the mother of a newborn")] if mother else []


def _identifiers(sought: Sought, person: PersonFacts) -> list[Weighed]:
    own = sought.identifier
    if own is None:
        return []
    if own in person.identifiers:
        return [Weighed(IDENTIFIER_BITS, "same identifier")]
    found = {
        hint: hints.breaks_digit(own, other, sought.domain)
        for other in person.identifiers
        if (hint := hints.near_miss(own, other))
    }
    if found:
        return [Weighed(0.0, _and(hint, digit)) for hint, digit in sorted(found.items())]
    if any(other.domain == own.domain for other in person.identifiers):
        return [Weighed(OTHER_IDENTIFIER_BITS, _OTHER_IDENTIFIER)]
    return []


def _and(hint: str, digit: str) -> str:
    return f"{hint}, and {digit}" if digit else hint


# -- Demographics --------------------------------------------------------------------


def _compare(sought: Sought, version: Demographics, index: Index) -> list[Weighed]:
    header, domain = sought.header, sought.domain
    return [
        *_names(header, version, domain, index),
        *_birth_date(header.birth_date, version.birth_date, domain),
        *_sex(header.sex, version.sex),
    ]


def _names(
    header: Demographics, version: Demographics, domain: Domain, index: Index
) -> list[Weighed]:
    """The group that weighs most; the three are one name, not three pieces of evidence."""
    header_groups = known_groups(header.name, domain.placeholder_names)
    version_groups = known_groups(version.name, domain.placeholder_names)
    pairs = zip(header_groups, version_groups, strict=True)
    return max(
        (_name(a, b, index) for a, b in pairs if names.compare(a, b)),
        key=_bits,
        default=[],
    )


def _name(a: NameParts, b: NameParts, index: Index) -> list[Weighed]:
    if _is_exchanged(a, b):
        return [_weight(_NAME, "exchanged", f"{part} name") for part in ("family", "given")]
    return [
        *_tokens(a.family, b.family, "family name", index.family, index),
        *_tokens(a.given, b.given, "given name", index.given, index),
    ]


def _is_exchanged(a: NameParts, b: NameParts) -> bool:
    one = (names.joined(a.family), names.joined(a.given))
    other = (names.joined(b.given), names.joined(b.family))
    return one == other and one != other[::-1] and all(one)


def _tokens(
    a: Tokens, b: Tokens, what: str, counted: Mapping[str, float], index: Index
) -> list[Weighed]:
    if not a or not b:
        return []
    one, other = name_key(a), name_key(b)
    level = _level(one, other)
    if level == "differs" or not counted:
        return [_weight(_NAME, level, what)]
    m, u = _NAME[level]
    often = max(counted.get(one, 0.0), counted.get(other, 0.0), 1 / max(index.persons, 2))
    u = often if level == "equal" else max(u, often)
    return [Weighed(log2(m / u), what, level)]


def _level(one: str, other: str) -> str:
    if one == other:
        return "equal"
    similarity = names.jaro_winkler(one, other)
    if similarity >= 0.92:
        return "nearly equal"
    return "alike" if similarity >= 0.85 else "differs"


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
    return Weighed(log2(m / u), what, level)
