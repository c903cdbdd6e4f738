"""Keys of blocking: shared by records of one person, and by few strangers."""

import pytest

from reconcile.core.blocking import blocking_keys
from reconcile.core.identity import Demographics, Domain, PersonName

DOMAIN = Domain("A", placeholder_names=("BABY GIRL",), placeholder_dates=("19000101",))


def keys(name: str, birth: str = "", domain: Domain = DOMAIN) -> set[str]:
    group = {"ideographic": name[1:]} if name.startswith("=") else {"alphabetic": name}
    return set(blocking_keys(Demographics(PersonName(**group), birth), domain))


@pytest.mark.parametrize(
    ("name", "birth", "expected"),
    [
        ("DOE^JANE", "19800102", {"d:19800102", "n:do|jane", "gy:jan1980", "sy:do1980"}),
        ("DOE^JANE", "", {"n:do|jane"}),
        ("DOE^JANE", "1980", {"n:do|jane", "gy:jan1980", "sy:do1980"}),
        ("DOE", "1980", {"sy:do1980"}),
        ("", "19800102", {"d:19800102"}),
        ("", "", set()),
        ("KOCH^BABY GIRL", "20240110", {"d:20240110", "sy:koc2024"}),
        ("DOE^JANE", "19000101", {"n:do|jane"}),
        ("=山田^太郎", "", {"n:太郎|山田"}),
    ],
)
def test_what_is_known_makes_keys(name: str, birth: str, expected: set[str]) -> None:
    """
    A birth date, both names, the beginning of either with the year; nothing of nothing.
    """
    assert keys(name, birth) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("DOE^JANE", "19800102"), ("JANE^DOE", "19770506")),
        (("DOE^JANE", "19800102"), ("SMITH^JANE", "19800304")),
        (("DOE^JANE", "19800102"), ("DOE^ANN", "19800304")),
        (("DOE^JANE", "19800102"), ("ROE^RICHARD", "19800102")),
        (("MÜLLER^EVA", "1980"), ("MUELLER^EVA", "1999")),
    ],
)
def test_one_thing_that_is_right_is_enough(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    """
    Exchanged names, a marriage, a wrong given name, wrong names: one key is left.
    """
    assert keys(*one) & keys(*other)


def test_strangers_share_none() -> None:
    """
    Different names and years are not compared at all.
    """
    assert not keys("DOE^JANE", "19800102") & keys("ROE^RICHARD", "19750506")
