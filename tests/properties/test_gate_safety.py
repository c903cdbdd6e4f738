"""The gate, measured: whom it lets pass, and whom it holds.

The table is printed (`pytest -s`). RECONCILE_SOAK=1 draws a million pairs instead of a
twentieth of that.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from reconcile.core.corroborate import Corroboration, Gate, corroborate
from reconcile.core.identity import Demographics, Domain, PersonName
from tests.support.people import People, Person

# A million pairs take minutes; they are drawn before the first test.
pytestmark = pytest.mark.timeout(1800)

DOMAIN = Domain("A")
TIMES = 20 if os.environ.get("RECONCILE_SOAK") else 1
SEED = 20240110

Pair = tuple[str, str, str]  # name, birth date, sex of a header
Draw = Callable[[People, Person], Pair]
Measured = dict[str, list[Corroboration]]


def said(person: Person) -> Pair:
    return person.name, person.birth, person.sex


def swapped(people: People, person: Person) -> Pair:
    return f"{person.given}^{person.family}", person.birth, person.sex


def transposed(people: People, person: Person) -> Pair:
    return person.name, person.birth[:4] + person.birth[6:] + person.birth[4:6], person.sex


def hyphenated(people: People, person: Person) -> Pair:
    both = f"{person.family}-{people.person().family}"
    return said(replace(person, family=both))


# kind of pair -> how many, how the header is drawn from the person on record
RIGHT: dict[str, tuple[int, Draw]] = {
    "identical": (2000, lambda people, person: said(person)),
    "in capitals": (1000, lambda people, person: said(replace_case(person))),
    "components swapped": (2000, swapped),
    "day and month transposed": (2000, transposed),
    "no middle name": (1000, lambda people, person: said(replace(person, middle=""))),
    "second surname": (1000, hyphenated),
    "no birth date": (1000, lambda people, person: (person.name, "", person.sex)),
}
TOLERATED: dict[str, tuple[int, Draw]] = {
    "one slip": (2500, lambda people, person: said(people.mistyped(person))),
    "new surname": (2500, lambda people, person: said(people.married(person))),
}
WRONG: dict[str, tuple[int, Draw]] = {
    "stranger": (20000, lambda people, person: said(people.person())),
    "same surname": (5000, lambda people, person: said(people.relative(person))),
    "twin": (5000, lambda people, person: said(people.twin(person))),
    "junior": (5000, lambda people, person: said(people.junior(person))),
}
ALL = {**RIGHT, **TOLERATED, **WRONG}


def replace_case(person: Person) -> Person:
    return replace(person, family=person.family.upper(), given=person.given.upper())


def demographics(said: Pair) -> Demographics:
    name, birth_date, sex = said
    return Demographics(PersonName(name), birth_date, sex)


def judge(kind: str, multiple_birth: bool = False) -> list[Corroboration]:
    count, draw = ALL[kind]
    people = People(SEED)
    verdicts = []
    for _ in range(count * TIMES):
        person = people.person()
        header = demographics(draw(people, person))
        known = replace(demographics(said(person)), multiple_birth=multiple_birth)
        verdicts.append(corroborate(header, [known], DOMAIN))
    return verdicts


def share(verdicts: list[Corroboration], *gates: Gate) -> float:
    return sum(verdict.gate in gates for verdict in verdicts) / len(verdicts)


def passed(verdicts: list[Corroboration]) -> float:
    return sum(verdict.may_coerce for verdict in verdicts) / len(verdicts)


@pytest.fixture(scope="module")
def measured() -> Measured:
    table = {kind: judge(kind) for kind in ALL}
    heads = "".join(f"{gate:>10}" for gate in Gate)
    print(f"\n{'percent':<26}{'pairs':>8}{heads}{'coerced':>10}")
    for kind, verdicts in table.items():
        seen = Counter(verdict.gate for verdict in verdicts)
        row = "".join(f"{100 * seen[gate] / len(verdicts):>10.3f}" for gate in Gate)
        print(f"{kind:<26}{len(verdicts):>8}{row}{100 * passed(verdicts):>10.3f}")
    return table


@pytest.mark.parametrize("kind", RIGHT)
def test_what_only_looks_different_is_never_held(measured: Measured, kind: str) -> None:
    """
    A header that says the same in other words is the same person, every time.
    """
    assert share(measured[kind], Gate.CONFIRM) == 1.0


def test_strangers_do_not_pass(measured: Measured) -> None:
    """
    Of strangers whose ID was mistaken, less than one in a thousand is coerced.
    """
    assert passed(measured["stranger"]) <= 0.001
    assert share(measured["stranger"], Gate.CONFIRM) <= 0.0002


def test_relatives_do_not_pass(measured: Measured) -> None:
    """
    A family name in common is not enough.
    """
    assert passed(measured["same surname"]) <= 0.005


def test_twins_are_held(measured: Measured) -> None:
    """
    Of twins, only those with all but the same given name pass unless they are known.
    """
    assert passed(measured["twin"]) <= 0.06
    assert share(measured["twin"], Gate.TWIN) >= 0.90


def test_juniors_are_held(measured: Measured) -> None:
    """
    Parent and child of one name are told apart by the birth date.
    """
    assert passed(measured["junior"]) <= 0.05
    assert share(measured["junior"], Gate.JUNIOR) >= 0.95


def test_most_slips_and_marriages_pass(measured: Measured) -> None:
    """
    The gate is no use where it holds what happens every day.
    """
    assert passed(measured["one slip"]) >= 0.85
    assert share(measured["new surname"], Gate.DRIFT, Gate.CONFIRM) >= 0.95
    assert passed(measured["new surname"]) >= 0.90


def test_known_twins_never_pass_for_each_other() -> None:
    """
    Where the registry knows of a multiple birth, only an equal given name passes.
    """
    assert passed(judge("twin", multiple_birth=True)) == 0.0
    assert passed(judge("identical", multiple_birth=True)) == 1.0
