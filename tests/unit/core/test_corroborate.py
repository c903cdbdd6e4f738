"""The gate: each of its rules, then what several versions make of them."""

import pytest

from reconcile.core.corroborate import Corroboration, Gate, corroborate
from reconcile.core.identity import Demographics, Domain, PersonName

DOMAIN = Domain(
    "A",
    placeholder_names=("UNKNOWN", "BABY BOY", "BABY GIRL", "ANONYMIZED"),
    placeholder_dates=("19000101",),
)


def said(
    name: str = "", birth: str = "", sex: str = "", twin: bool = False
) -> Demographics:
    return Demographics(PersonName(*name.split("=")), birth, sex, multiple_birth=twin)


JANE = said("DOE^JANE", "19800102", "F")
LEA = said("KOCH^LEA", "20240110", "F", twin=True)

RULES = [
    # name and birth date agree
    (said("DOE^JANE", "19800102", "F"), JANE, Gate.CONFIRM, set()),
    (said("JANE^DOE", "19800102", "F"), JANE, Gate.CONFIRM, set()),
    (said("DOE^JANE^ANN", "19800102", "F"), JANE, Gate.CONFIRM, set()),
    (said("DOE-SMITH^JANE", "19800102", "F"), JANE, Gate.CONFIRM, set()),
    (said("JANE DOE", "19800102", "F"), JANE, Gate.CONFIRM, set()),
    (said("DOE^JANE", "19800103", "F"), JANE, Gate.CONFIRM, set()),
    (said("DOE^JANE", "19800201", "F"), JANE, Gate.CONFIRM, {"DOB-TRANSPOSED"}),
    (said("DOE^JANE", "19800102", "M"), JANE, Gate.CONFIRM, {"SEX-MISMATCH"}),
    (said("DOE^JANE", "19800102", "O"), JANE, Gate.CONFIRM, set()),
    (said("DOE^JANE", "19800102"), JANE, Gate.CONFIRM, set()),
    # ... but one of them is not known in full
    (said("DOE^JANE"), JANE, Gate.CONFIRM, {"WEAK"}),
    (said("DOE^J"), JANE, Gate.CONFIRM, {"WEAK"}),
    (said("DOE^J", "19800102"), JANE, Gate.CONFIRM, {"WEAK"}),
    (said("DOE", "19800102"), JANE, Gate.CONFIRM, {"WEAK"}),
    (said("", "19800102"), JANE, Gate.CONFIRM, {"WEAK"}),
    (said("DOE^JANE", "1980"), JANE, Gate.CONFIRM, {"WEAK"}),
    (said("DOE^JANE", "198001"), JANE, Gate.CONFIRM, {"WEAK"}),
    (said("DOE^JANE", "19801399"), JANE, Gate.CONFIRM, {"WEAK"}),
    # a new surname
    (said("SMITH^JANE", "19800102", "F"), JANE, Gate.DRIFT, {"NAME-CHANGE"}),
    (said("SMITH^JANE", "19800102"), JANE, Gate.DRIFT, {"NAME-CHANGE"}),
    (said("SMITH^JANE", "19800102", "M"), JANE, Gate.DRIFT, {"SEX-MISMATCH"}),
    (said("SMITH^JANE", "19800103", "F"), JANE, Gate.DRIFT, set()),
    (said("SMITH^J", "19800102", "F"), JANE, Gate.DRIFT, set()),
    (said("SMITH^JANET", "19800102", "F"), JANE, Gate.DRIFT, set()),
    # a twin, a namesake, somebody else
    (said("DOE^ANN", "19800102", "F"), JANE, Gate.TWIN, set()),
    (said("ANN DOE", "19800102", "F"), JANE, Gate.TWIN, set()),
    (said("DOE^JANE", "19520102", "F"), JANE, Gate.JUNIOR, set()),
    (said("ROE^RICHARD", "19750506", "M"), JANE, Gate.CONFLICT, {"SEX-MISMATCH"}),
    (said("ROE^RICHARD", "19800102"), JANE, Gate.CONFLICT, set()),
    (said("ROE^RICHARD"), JANE, Gate.CONFLICT, set()),
    (said("SMITH^JANE"), JANE, Gate.CONFLICT, set()),
    (said("DOE^ANN"), JANE, Gate.CONFLICT, set()),
    (said("", "19520102"), JANE, Gate.CONFLICT, set()),
    # nothing that could be compared
    (said(), JANE, Gate.NOINFO, set()),
    (said(sex="M"), JANE, Gate.NOINFO, {"SEX-MISMATCH"}),
    (said("DOE"), JANE, Gate.NOINFO, set()),
    (said("", "1980"), JANE, Gate.NOINFO, set()),
    (said("ANONYMIZED", "19000101"), JANE, Gate.NOINFO, set()),
    (said("UNKNOWN^MALE 3", "19000101"), JANE, Gate.NOINFO, set()),
    (JANE, said("UNKNOWN^MALE 3", "19000101"), Gate.NOINFO, set()),
    (said("=山田^太郎"), JANE, Gate.NOINFO, set()),
    (said("山田^太郎"), JANE, Gate.NOINFO, set()),
    # newborns
    (
        said("KOCH^MIA", "20240110"),
        said("KOCH^BABY GIRL A", "20240110"),
        Gate.CONFIRM,
        {"WEAK"},
    ),
    (
        said("KOCH^MIA", "20240110"),
        said("ROTH^BABY GIRL A", "20240110"),
        Gate.CONFLICT,
        set(),
    ),
    # a registered twin: nothing but an equal given name will do
    (said("KOCH^LEA", "20240110"), LEA, Gate.CONFIRM, set()),
    (said("LEA^KOCH", "20240110"), LEA, Gate.CONFIRM, set()),
    (said("KOCH^LEA"), LEA, Gate.CONFIRM, {"WEAK"}),
    (said("KOCH^LEO", "20240110"), LEA, Gate.TWIN, set()),
    (said("KOCH^LEAH", "20240110"), LEA, Gate.TWIN, set()),
    (said("KOCH^L", "20240110"), LEA, Gate.TWIN, set()),
    (said("KOCH", "20240110"), LEA, Gate.NOINFO, set()),
    (said("", "20240110"), LEA, Gate.NOINFO, set()),
    (said("KOCH^BABY GIRL A", "20240110"), LEA, Gate.NOINFO, set()),
    # father and son, where the birth date does not settle it
    (said("DOE^JOHN^^^JR", "19800102"), said("DOE^JOHN^^^SR"), Gate.JUNIOR, set()),
    (
        said("DOE^JOHN^^^JR", "19800102"),
        said("DOE^JOHN^^^SR", "19800103"),
        Gate.JUNIOR,
        set(),
    ),
    (
        said("DOE^JOHN^^^JR", "19800102"),
        said("DOE^JOHN^^^SR", "19800102"),
        Gate.CONFIRM,
        set(),
    ),
    (said("DOE^JOHN^^^JR", "19800102"), said("DOE^JOHN", "19800102"), Gate.CONFIRM, set()),
]


@pytest.mark.parametrize(("header", "version", "gate", "flags"), RULES)
def test_the_gate_names_what_it_sees(
    header: Demographics, version: Demographics, gate: Gate, flags: set[str]
) -> None:
    """
    Name and birth date agree or not, or are not known: every combination has its name.
    """
    found = corroborate(header, [version], DOMAIN)
    assert gate is found.gate
    assert flags == found.flags


@pytest.mark.parametrize(("header", "version", "gate", "flags"), RULES)
def test_only_a_marriage_coerces_beside_a_confirmation(
    header: Demographics, version: Demographics, gate: Gate, flags: set[str]
) -> None:
    """
    A DRIFT coerces only with equal birth date, equal given name and no other sex.
    """
    found = corroborate(header, [version], DOMAIN)
    assert found.may_coerce is (gate is Gate.CONFIRM or "NAME-CHANGE" in flags)


WRITINGS = [
    ("Müller^Jürgen", "MUELLER^JUERGEN", Gate.CONFIRM, set()),
    ("Nowak^Łukasz", "NOWAK^LUKASZ", Gate.CONFIRM, set()),
    ("Yamada^Tarou=山田^太郎", "=山田^太郎", Gate.CONFIRM, set()),
    ("=山田^太郎=やまだ^たろう", "Yamada^Tarou==ﾔﾏﾀﾞ^ﾀﾛｳ", Gate.CONFIRM, set()),
    ("Wang^Wei=王^伟", "Wang^Wei=王^薇", Gate.CONFIRM, {"WEAK"}),
    ("Lee^Siuming=李^小明", "Li^Xiaoming=李^小明", Gate.CONFIRM, {"WEAK"}),
    ("=山田^太郎", "=山本^次郎", Gate.CONFLICT, set()),
    ("王小明", "王^小明", Gate.CONFIRM, set()),
    ("Иванов^Иван", "Ivanov^Ivan", Gate.CONFIRM, {"WEAK"}),
]


@pytest.mark.parametrize(("one", "other", "gate", "flags"), WRITINGS)
def test_each_writing_is_compared_with_its_like(
    one: str, other: str, gate: Gate, flags: set[str]
) -> None:
    """
    The writing that agrees best counts; where another differs, the finding is weak.
    """
    for a, b in ((one, other), (other, one)):
        found = corroborate(said(a, "19800102"), [said(b, "19800102")], DOMAIN)
        assert gate is found.gate
        assert flags == found.flags


def test_a_person_of_whom_nothing_is_known_contradicts_nobody() -> None:
    """
    Without a version there is nothing to compare with.
    """
    assert Gate.NOINFO is corroborate(JANE, [], DOMAIN).gate


def test_yesterdays_values_are_no_conflict() -> None:
    """
    The best version counts, so images that carry an earlier name pass.
    """
    today = said("SMITH^JANE", "19800102", "F")
    found = corroborate(JANE, [today, JANE], DOMAIN)
    assert Gate.CONFIRM is found.gate
    assert not found.flags


def test_of_all_contradictions_the_mildest_is_told() -> None:
    """
    DRIFT before TWIN? before JUNIOR? before CONFLICT.
    """
    drift = said("SMITH^JANE", "19800102")
    twin, junior = said("DOE^ANN", "19800102"), said("DOE^JANE", "19520102")
    versions = [said("ROE^RICHARD", "19750506"), junior, twin, drift]
    seen = [corroborate(JANE, versions[: n + 1], DOMAIN).gate for n in range(4)]
    assert seen == [Gate.CONFLICT, Gate.JUNIOR, Gate.TWIN, Gate.DRIFT]


@pytest.mark.parametrize(
    ("header", "versions", "gate"),
    [
        (
            said("KOCH^LEO", "20240110"),
            [said("KOCH^MIA", "20240110"), said("KOCH^BABY GIRL A", "20240110")],
            Gate.TWIN,
        ),
        (
            said("KOCH^LEO", "20240110"),
            [said("KOCH^MIA"), said("KOCH^BABY GIRL A", "20240110")],
            Gate.CONFLICT,
        ),
        (JANE, [said("DOE^JANE", "19520102"), said("DOE^JANE")], Gate.JUNIOR),
        (JANE, [said("ROE^RICHARD", "19750506"), said("UNKNOWN^MALE 3")], Gate.CONFLICT),
    ],
)
def test_a_version_that_knows_less_is_no_way_round(
    header: Demographics, versions: list[Demographics], gate: Gate
) -> None:
    """
    What a fuller version contradicts, an emptier one cannot confirm.
    """
    assert gate is corroborate(header, versions, DOMAIN).gate
    assert gate is corroborate(header, versions[::-1], DOMAIN).gate


@pytest.mark.parametrize(
    ("name", "gate"),
    [("KOCH^BABY GIRL A", Gate.CONFIRM), ("KOCH^BABY GIRL B", Gate.TWIN)],
)
def test_newborn_twins_are_told_apart_by_their_numbering(name: str, gate: Gate) -> None:
    """
    Yesterday's images of BABY GIRL A are hers; those of BABY GIRL B are her twin's.
    """
    born = "20240110"
    versions = [said("KOCH^MIA", born, twin=True), said("KOCH^BABY GIRL A", born)]
    assert gate is corroborate(said(name, born), versions, DOMAIN).gate


@pytest.mark.parametrize(
    ("name", "gate"),
    [
        ("KOCH^BABY GIRL A", Gate.CONFIRM),
        ("KOCH^BABYGIRL", Gate.CONFIRM),
        ("KOCH^BABY GIRL B", Gate.TWIN),
        ("KOCH^BABY BOY", Gate.TWIN),
    ],
)
def test_a_numbering_speaks_of_a_twin_that_no_feed_has_told_of(
    name: str, gate: Gate
) -> None:
    """
    Whoever is called BABY GIRL A has a twin called B, whatever PID-24 leaves out.
    """
    born = "20240110"
    baby = said("KOCH^BABY GIRL A", born)
    assert gate is corroborate(said(name, born), [baby], DOMAIN).gate
    assert (
        gate is corroborate(said(name, born), [said("KOCH^MIA", born), baby], DOMAIN).gate
    )


@pytest.mark.parametrize("header", [said("DOE"), said("", "1980")])
def test_too_little_is_no_contradiction(header: Demographics) -> None:
    """
    What agrees with one version, if only a little, another cannot turn against it.
    """
    other = said("SMITH^JANE", "1981")
    assert Gate.NOINFO is corroborate(header, [other, JANE], DOMAIN).gate
    assert Gate.CONFLICT is corroborate(header, [other], DOMAIN).gate


def test_once_a_twin_always_a_twin() -> None:
    """
    A version that does not say so does not take it back.
    """
    versions = [said("KOCH^LEA", "20240110"), LEA]
    assert Gate.TWIN is corroborate(said("KOCH^LEAH", "20240110"), versions, DOMAIN).gate


def test_reasons_carry_no_patient_data() -> None:
    """
    Reasons say what agrees, never what it was.
    """
    for header, version, _, _ in RULES:
        found = corroborate(header, [version], DOMAIN)
        words = " ".join(found.reasons).upper()
        values = (*header.name.alphabetic.replace("^", " ").split(), header.birth_date)
        assert not any(len(v) > 2 and v in words.split() for v in values)
        assert found.reasons


def test_a_refusal_may_not_coerce() -> None:
    """
    A verdict made without more is a refusal.
    """
    assert not Corroboration(Gate.TWIN).may_coerce
