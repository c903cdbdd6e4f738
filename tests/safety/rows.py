"""The rows of the safety table: who is on record, and whose header comes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from reconcile.core.coercion import Outcome, decide
from reconcile.core.facts import (
    InstanceFacts,
    OrderFacts,
    PersonFacts,
    RegistryFacts,
    Source,
)
from reconcile.core.identity import Demographics, Domain, PatientIdentifier
from tests.safety import names, noise
from tests.safety.noise import Noise
from tests.safety.people import Person, person

#: As a hospital would configure it.
DOMAIN = Domain(
    "A",
    placeholder_names=("UNKNOWN", "TRAUMA", "BABY BOY", "BABY GIRL"),
    placeholder_dates=("19000101",),
)
UNCONFIGURED = Domain("A")
_ARCHIVE = Domain("E")
_SOURCE = Source("CT1", "A")
_KNOWN, _UNKNOWN = PatientIdentifier("100", "A"), "200"

#: Of the person on record an image may carry what was true before.
YESTERDAY = 0.03

#: Strangers who are coerced to a wrong patient, of those whose ID hit one.
STRANGERS_MAX = 1e-4

#: True pairs that are held, of those with the noise of worklists.
HELD_MAX = 1e-2


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of pairs.

    Attributes:
        header: what makes the header of the person on record.
        right: whether both are one person.
        people: whom the person on record is drawn from.
        record: what makes the record of the person drawn.
        flagged: the registry knows of a multiple birth.
        hit: what the header hits the person on record by: "id", "order" (accession
            and its issuer) or nothing at all ("").
        yesterday: some headers carry a name that the person bore before.
        coerced_max, held_max: the targets, each of the 95 % upper bound.
        never: one that is coerced is one too many.
    """

    header: Noise
    right: bool
    people: tuple[names.People, ...] = names.ALL
    record: Noise | None = None
    flagged: bool = False
    hit: str = "id"
    domain: Domain = DOMAIN
    yesterday: bool = False
    coerced_max: float | None = None
    held_max: float | None = None
    never: bool = False


def _same(random: Random, known: Person) -> Person:
    return known


_HISPANIC, _EAST = (names.SPANISH,), names.EAST_ASIAN

ROWS: dict[str, Row] = {
    "identical": Row(_same, True, held_max=HELD_MAX),
    "worklist": Row(noise.worklist, True, yesterday=True, held_max=HELD_MAX),
    "components swapped": Row(noise.swapped, True),
    "name in one component": Row(noise.one_component, True),
    "day and month transposed": Row(noise.transposed, True),
    "no birth date": Row(noise.without_birth_date, True),
    "heavy noise": Row(noise.heavy, True),
    "marriage": Row(noise.married, True),
    "Hispanic double name": Row(noise.hispanic, True, _HISPANIC),
    "ideographic": Row(noise.ideographic, True, _EAST),
    "newborn, named since": Row(noise.as_newborn, True, record=noise.newborn),
    "temporary name": Row(noise.temporary, True),
    "temporary, not configured": Row(noise.temporary, True, domain=UNCONFIGURED),
    "multiple birth, identical": Row(_same, True, flagged=True),
    "STRANGER": Row(noise.stranger, False, coerced_max=STRANGERS_MAX),
    "STRANGER by order": Row(noise.stranger, False, hit="order", coerced_max=STRANGERS_MAX),
    "STRANGER of same people": Row(noise.same_people, False, coerced_max=STRANGERS_MAX),
    "STRANGER, worklist": Row(
        lambda random, known: noise.worklist(random, noise.stranger(random, known)),
        False,
        coerced_max=STRANGERS_MAX,
    ),
    "STRANGER, Hispanic": Row(
        lambda random, known: noise.hispanic(random, noise.same_people(random, known)),
        False,
        _HISPANIC,
        coerced_max=STRANGERS_MAX,
    ),
    "STRANGER, ideographic": Row(
        lambda random, known: noise.ideographic(random, noise.same_people(random, known)),
        False,
        _EAST,
        coerced_max=STRANGERS_MAX,
    ),
    "STRANGER, no birth date": Row(
        lambda random, known: replace(noise.stranger(random, known), birth=""), False
    ),
    "same surname": Row(noise.same_surname, False),
    "twin": Row(noise.twin, False),
    "twin, flagged": Row(noise.twin, False, flagged=True),
    "twin of near name": Row(
        noise.second_of_near_twins, False, record=noise.first_of_near_twins
    ),
    "twin of near name, flagged": Row(
        noise.second_of_near_twins, False, record=noise.first_of_near_twins, flagged=True
    ),
    "newborn's twin": Row(
        noise.newborn_b, False, record=lambda r, k: noise.newborn_a(r, noise.newborn(r, k))
    ),
    "junior": Row(noise.junior, False),
    "STRANGER, no hit": Row(noise.stranger, False, hit="", never=True),
    "identical, no hit": Row(_same, True, hit="", never=True),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one pair; `gate` is empty where it was not asked."""

    gate: str
    coerced: bool
    held: bool


def draw(random: Random, row: Row) -> Seen:
    """Draw one pair, and let the ladder decide it."""
    known = person(random, row.people)
    if row.record:
        known = row.record(random, known)
    versions = [known.said(multiple_birth=row.flagged)]
    header = known
    if row.yesterday and random.random() < YESTERDAY:
        header = noise.married(random, known)
        versions.append(header.said())
    header = row.header(random, header)
    return judge(header.said(), versions, row)


def judge(header: Demographics, versions: list[Demographics], row: Row) -> Seen:
    """What the ladder makes of a header, where the person on record is hit by something."""
    decision = decide(*_asked(header, versions, row), _SOURCE, "digest")
    coerced = decision.outcome is Outcome.COERCE
    gate = decision.rung.partition("+G:")[2]
    return Seen(gate, coerced, decision.outcome.is_hold)


def _asked(
    header: Demographics, versions: list[Demographics], row: Row
) -> tuple[InstanceFacts, RegistryFacts]:
    own = PersonFacts("p", "verified", (_KNOWN,), None, tuple(versions), versions[0])
    by_id = row.hit == "id"
    orders = (OrderFacts("o", "ACC1", "A", "p"),) if row.hit == "order" else ()
    instance = InstanceFacts(
        *("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.4", "1.2.5"),
        patient_id=_KNOWN.value if by_id else _UNKNOWN,
        demographics=header,
        accession_number="ACC1" if orders else "",
    )
    registry = RegistryFacts(
        {"A": row.domain, "E": _ARCHIVE},
        "E",
        by_identifier={_KNOWN: own} if by_id else {},
        persons={"p": own},
        orders=orders,
    )
    return instance, registry
