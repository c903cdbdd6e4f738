"""Names: folded, cut, compared; like with like."""

from typing import Any

import pytest

from reconcile.core.identity import PersonName
from reconcile.core.names import (
    GROUP_CHARACTERS_MAX,
    TOKENS_MAX,
    Match,
    compare,
    fold,
    groups,
    jaro_winkler,
    pairing,
    parts,
    tokens,
    tokens_pair,
)


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("Müller", "muller"),
        ("Łukasz", "lukasz"),
        ("Jørgen", "jorgen"),
        ("Đorđe", "dorde"),
        ("Yıldız", "yildiz"),
        ("İnci", "inci"),
        ("Groß", "gross"),
        ("GROẞ", "gross"),
        ("Lætitia", "laetitia"),
        ("Œuvrard", "oeuvrard"),
        ("Þór", "thor"),
        ("Guðrún", "gudrun"),
        ("Ħal", "hal"),
        ("Ŋor", "nor"),
        ("O’Brien", "obrien"),
        ("O'Brien", "obrien"),
        ("ﾔﾏﾀﾞ", "やまだ"),
        ("山田", "山田"),
        ("홍길동", "홍길동"),
    ],
)
def test_folding_drops_what_spelling_adds(written: str, folded: str) -> None:
    """
    Case, marks, apostrophes and width go; what NFKD leaves whole goes by table.
    """
    assert folded == fold(written)


def test_a_voiced_kana_is_another_letter() -> None:
    """
    The mark of a kana is no accent: it is not dropped.
    """
    assert fold("かき") != fold("がぎ")


@pytest.mark.parametrize(
    ("written", "cut"),
    [
        ("HANS-PETER", ("hans", "peter")),
        ("  DOE,  JANE ", ("doe", "jane")),
        ("J.", ("j",)),
        ("^^ - ??", ()),
        ("MALE 3", ("male", "3")),
        ("नेहा", ("नहा",)),
    ],
)
def test_everything_but_letters_and_digits_parts_words(
    written: str, cut: tuple[str, ...]
) -> None:
    """
    Hyphens, periods and padding part words; they are no part of one.
    """
    assert cut == tokens(written)


def test_what_a_comparison_costs_is_bounded() -> None:
    """
    A name longer than a group may be costs no more than the longest that may be.
    """
    assert len(tokens("A " * 100_000)) == TOKENS_MAX
    assert len(tokens("A" * 100_000)[0]) == GROUP_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("a", "b", "similarity"),
    [
        ("martha", "marhta", 0.961),
        ("dwayne", "duane", 0.840),
        ("dixon", "dicksonx", 0.813),
        ("same", "same", 1.0),
        ("abc", "xyz", 0.0),
        ("", "", 0.0),
        ("a", "", 0.0),
    ],
)
def test_jaro_winkler_gives_the_published_values(a: str, b: str, similarity: float) -> None:
    """
    Winkler's own examples, both ways round.
    """
    assert similarity == pytest.approx(jaro_winkler(a, b), abs=0.0005)
    assert similarity == pytest.approx(jaro_winkler(b, a), abs=0.0005)


@pytest.mark.parametrize(
    ("a", "b", "match"),
    [
        ("jane", "jane", Match.EQUAL),
        ("muller", "mueller", Match.EQUAL),
        ("jorgen", "joergen", Match.EQUAL),
        ("maria", "marie", Match.CLOSE),
        ("j", "jane", Match.INITIAL),
        ("jane", "k", Match.NONE),
        ("jane", "anna", Match.NONE),
        ("lea", "leo", Match.NONE),
        ("li", "liu", Match.NONE),
        ("王", "王小", Match.NONE),
    ],
)
def test_tokens_pair_when_equal_close_or_initial(a: str, b: str, match: Match) -> None:
    """
    Two letters are too few for a slip; one ideograph is a name and no initial.
    """
    assert match == pairing(a, b) == pairing(b, a)
    assert tokens_pair(a, b) is bool(match)


def agreement(one: str, other: str) -> Any:
    return compare(parts(one), parts(other))  # Any: None where a test does not expect it


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DOE^JANE", "Doe^Jane^^^"),
        ("DOE^JANE", "JANE^DOE"),
        ("DOE^JANE", "JANE DOE"),
        ("DOE^JANE", "DOE, JANE"),
        ("DOE^JANE", "DOE JANE MARIE"),
        ("DOE^JANE", "DOE^J"),
        ("DOE^JANE", "J^DOE"),
        ("DOE^JANE", "DOE J"),
        ("DOE^JANE^ANN", "DOE^JANE"),
        ("DOE^JANE^ANN", "DOE^JANE ANN"),
        ("DOE^JANE^ANN", "DOE^ANN"),
        ("DOE^JANE^ANN", "DOE^JANE^MARIE"),
        ("DOE^JANE^^DR^PHD", "DOE^JANE"),
        ("DOE^JANE", "DOE-SMITH^JANE"),
        ("MÜLLER^ŁUKASZ", "MUELLER^LUKASZ"),
        ("MULLER^JURGEN", "MUELLER^JUERGEN"),
        ("GARCIA LOPEZ^ANA", "GARCIA^ANA"),
        ("GARCIA LOPEZ^ANA", "LOPEZ^ANA"),
        ("GARCIA LOPEZ^ANA", "GARCIA L^ANA"),
        ("GARCIA LOPEZ^ANA", "GARCIA-LOPEZ^ANA"),
        ("LOPEZ^ANA GARCIA", "ANA^GARCIA LOPEZ"),
        ("VAN DER BERG^JAN", "BERG^JAN"),
        ("O'BRIEN^PAT", "O BRIEN^PAT"),
        ("MAYER^HANS-PETER", "MAYER^HANSPETER"),
        ("MAYER^HANS-PETER", "MAYER^HANS"),
        ("HONG^GILDONG", "HONG^GIL DONG"),
        ("SUHARTO", "SUHARTO"),
        ("王^小明", "王小明"),
        ("DOE^JOHN^^^JR", "DOE JR^JOHN"),
    ],
)
def test_two_ways_to_write_one_name_agree(one: str, other: str) -> None:
    """
    Order of components, middle names, hyphens and lost separators make no difference.
    """
    for found in (agreement(one, other), agreement(other, one)):
        assert found.agrees
        assert found.complete


@pytest.mark.parametrize(
    ("one", "other", "family", "given"),
    [
        ("DOE^JANE", "SMITH^JANE", False, True),
        ("DOE^JANE^ANN", "SMITH^JANE^ANN", False, True),
        ("KOCH^LEA", "KOCH^LEO", True, False),
        ("KOCH^LEA^MARIE", "KOCH^MIA^MARIE", True, False),
        ("KOCH^LEA^M", "KOCH^MARTIN", True, False),
        ("KOCH^MARIA ELENA", "KOCH^MARIA CARMEN", True, False),
        ("KOCH^LEA", "LEO KOCH", True, False),
        ("DOE^JANE", "D^JANE", False, True),
        ("DOE^JANE", "ROE^RICHARD", False, False),
        ("DOE^JOHN", "JONES^D", False, False),
        ("GARCIA LOPEZ^ANA", "GARCIA PEREZ^ANA", False, True),
        ("DE SOUZA^ANA", "DE LIMA^ANA", False, True),
        ("山田^太郎", "山本^太郎", False, True),
    ],
)
def test_another_name_differs_in_its_own_part(
    one: str, other: str, family: bool, given: bool
) -> None:
    """
    What differs is told apart: a new surname is not a twin.
    """
    for found in (agreement(one, other), agreement(other, one)):
        assert not found.agrees
        assert family is (found.family >= Match.CLOSE)
        assert given is bool(found.given)


@pytest.mark.parametrize(
    ("one", "other"),
    [("DOE", "DOE^JANE"), ("^JANE", "DOE^JANE"), ("GARCIA LOPEZ", "GARCIA LOPEZ^ANA")],
)
def test_half_a_name_agrees_by_half(one: str, other: str) -> None:
    """
    A single component agrees with the part that it is, and says nothing of the other.
    """
    found = agreement(one, other)
    assert found.agrees
    assert not found.complete


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", "DOE^JANE"),
        ("^^^", "DOE^JANE"),
        ("山田^太郎", "YAMADA^TAROU"),
        ("ИВАНОВ^ИВАН", "IVANOV^IVAN"),
        ("12345", "DOE^JANE"),
    ],
)
def test_what_cannot_be_compared_is_no_evidence(one: str, other: str) -> None:
    """
    Nothing is transliterated: names in two scripts say nothing about each other.
    """
    assert agreement(one, other) is None


def test_groups_stay_apart() -> None:
    """
    A name has three groups, each cut on its own.
    """
    name = PersonName("Yamada^Tarou", "山田^太郎", "ヤマダ^タロウ")
    alphabetic, ideographic, phonetic = groups(name)
    assert alphabetic.family == ("yamada",)
    assert ideographic.given == ("太郎",)
    assert phonetic.family == ("やまだ",)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("KOCH^LEA", "KOCH^LEA", True),
        ("KOCH^LEA", "LEA^KOCH", True),
        ("KOCH^LEA", "LEA KOCH", True),
        ("KOCH^LEA", "KOCH^Léa^", True),
        ("KOCH^ANNA-LENA", "KOCH^ANNALENA", True),
        ("KOCH^MARIA^ELENA", "KOCH^MARIA ELENA", True),
        ("KOCH^MARIA^ELENA", "KOCH^MARIA", True),
        ("KOCH^MARIA^ELENA", "KOCH^MARIA^CARMEN", False),
        ("KOCH^MARIA ELENA", "KOCH^MARIA", False),
        ("KOCH^LEA", "KOCH^LEAH", False),
        ("KOCH^LEA", "KOCH^L", False),
    ],
)
def test_same_is_what_tells_twins_apart(one: str, other: str, same: bool) -> None:
    """
    Given names are the same only as a whole, and where no middle name contradicts.
    """
    assert same is agreement(one, other).same
