"""The safety table, small: the command prints it with a million pairs of every row."""

from math import comb

import pytest

from reconcile.core.corroborate import Gate
from tests.safety.bounds import at_most, upper
from tests.safety.rows import HELD_MAX, ROWS, STRANGERS_MAX
from tests.safety.table import Counted, bound, count, head, line, missed, tasks

PAIRS = 1000
NEVER_HELD = (
    "identical",
    "components swapped",
    "name in one component",
    "day and month transposed",
    "no birth date",
    "Hispanic double name",
    "ideographic",
    "newborn, named since",
    "multiple birth, identical",
)
STRANGERS = tuple(name for name in ROWS if name.startswith("STRANGER"))
NO_HIT = tuple(name for name, row in ROWS.items() if not row.hit)


@pytest.fixture(scope="module")
def table() -> dict[str, Counted]:
    return {name: count((name, 0, PAIRS))[1] for name in ROWS}


@pytest.mark.parametrize("name", NEVER_HELD)
def test_what_only_looks_different_is_never_held(
    table: dict[str, Counted], name: str
) -> None:
    """
    A header that says the same in other words is the same person, every time.
    """
    assert (table[name].coerced, table[name].held) == (PAIRS, 0)


def test_headers_of_a_worklist_are_hardly_ever_held(table: dict[str, Counted]) -> None:
    """
    Of true pairs with what worklists do to a header, at most one in a hundred is held.
    """
    assert upper(table["worklist"].held, PAIRS) <= HELD_MAX


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_are_held(table: dict[str, Counted], name: str) -> None:
    """
    A stranger whose ID or order hit a person is not coerced to that person.
    """
    assert table[name].coerced == 0


@pytest.mark.parametrize("name", NO_HIT)
def test_demographics_alone_coerce_nobody(table: dict[str, Counted], name: str) -> None:
    """
    Without a hit nothing is coerced, be the names and dates ever so equal.
    """
    assert table[name].gates == {"": PAIRS}
    assert (table[name].coerced, table[name].held) == (0, 0)


def test_relatives_are_held(table: dict[str, Counted]) -> None:
    """
    A family name, a birth date or a whole name in common is not enough.
    """
    assert table["same surname"].coerced / PAIRS <= 0.005
    assert table["junior"].coerced / PAIRS <= 0.005
    assert table["junior"].gates[Gate.JUNIOR] / PAIRS >= 0.99
    assert table["twin"].coerced / PAIRS <= 0.03
    assert table["twin"].gates[Gate.TWIN] / PAIRS >= 0.97


@pytest.mark.parametrize(
    "name", ["twin, flagged", "twin of near name, flagged", "newborn's twin"]
)
def test_known_twins_never_pass_for_each_other(
    table: dict[str, Counted], name: str
) -> None:
    """
    Where a twin is known of, from a feed or a numbering, only an equal given name passes.
    """
    assert table[name].coerced == 0


def test_most_slips_and_marriages_pass(table: dict[str, Counted]) -> None:
    """
    The gate is no use where it holds what happens every day.
    """
    assert table["heavy noise"].coerced / PAIRS >= 0.85
    assert table["marriage"].coerced / PAIRS >= 0.99


def test_the_same_part_is_the_same_pairs() -> None:
    """
    The table can be made again, on any number of cores.
    """
    one, other = (count(("heavy noise", 7, 50))[1] for _ in range(2))
    assert one == other
    parts = list(tasks(["twin"], 25_000))
    assert [(part, pairs) for _, part, pairs in parts] == [
        (0, 10_000),
        (1, 10_000),
        (2, 5_000),
    ]


@pytest.mark.parametrize(
    ("name", "found", "is_missed"),
    [
        ("STRANGER", Counted(1_000_000, coerced=50), False),
        ("STRANGER", Counted(1_000_000, coerced=99), True),
        ("worklist", Counted(1_000_000, held=9_000), False),
        ("worklist", Counted(1_000_000, held=9_990), True),
        ("STRANGER, no hit", Counted(1_000_000, coerced=1), True),
        ("STRANGER, no hit", Counted(1_000_000), False),
        ("twin", Counted(1_000_000, coerced=1_000_000), False),
    ],
)
def test_a_target_is_of_the_bound(name: str, found: Counted, is_missed: bool) -> None:
    """
    What was seen may be below a target, and what it allows to be said above it.
    """
    assert bool(missed(name, found)) is is_missed


def test_a_row_stands_under_its_head(table: dict[str, Counted]) -> None:
    """
    Counts, shares, the bound and the target, each in its column.
    """
    told = line("STRANGER", table["STRANGER"])
    assert len(told) == len(head())
    assert told.split()[1:8] == [str(table["STRANGER"].gates[g]) for g in (*Gate, "")]
    assert told.endswith(f"{100 * STRANGERS_MAX:g}")
    assert f"{100 * bound(ROWS['STRANGER'], table['STRANGER']):.4f}" in told


@pytest.mark.parametrize(("happened", "of"), [(0, 10), (3, 40), (17, 60), (59, 60)])
def test_the_bound_is_that_of_clopper_and_pearson(happened: int, of: int) -> None:
    """
    At the bound, as few as were seen come about in one experiment of twenty.
    """
    p = upper(happened, of)
    terms = [comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(happened + 1)]
    assert sum(terms) == pytest.approx(0.05, abs=1e-9)
    assert at_most(happened, of, p) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(
    ("happened", "of", "expected"),
    [
        (0, 1_000_000, 2.995728e-6),
        (5, 10, 0.777559),
        (10, 10, 1.0),
        (0, 0, 1.0),
        (100_000, 1_000_000, 0.100495),
    ],
)
def test_bounds_that_are_known(happened: int, of: int, expected: float) -> None:
    """
    Nothing seen in a million is at most three in a million.
    """
    assert upper(happened, of) == pytest.approx(expected, rel=1e-4)
