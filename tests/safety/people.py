"""Synthetic people: drawn with the frequencies of their names, and dates of their own.

Nothing here is shared with the code that is measured: no table, no function, and no
arithmetic of dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from random import Random

from reconcile.core.identity import Demographics, PersonName
from tests.safety import names
from tests.safety.names import People, Written

FIRST_YEAR, LAST_YEAR = 1922, 2024
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

# Who is examined: few children, most between fifty and eighty years old.
_YEARS = tuple(range(FIRST_YEAR, LAST_YEAR + 1))
_EXAMINED = tuple(
    accumulate(
        1.0 + 4.0 * (1945 <= year <= 1975) + 2.0 * (1975 < year < 1995) for year in _YEARS
    )
)
_SHARES = tuple(accumulate(each.share for each in names.ALL))


@dataclass(frozen=True, slots=True)
class Person:
    """A record of somebody; `birth` is YYYYMMDD, or YYYY where no more is known.

    `ideographs` and `sound` are the other two groups of the name: family and given.
    """

    people: str
    family: str
    given: str
    middle: str
    prefix: str
    suffix: str
    birth: str
    sex: str
    ideographs: tuple[str, str] = ("", "")
    sound: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        said = (self.family, self.given, self.middle, self.prefix, self.suffix)
        return "^".join(said).rstrip("^")

    def said(self, *, multiple_birth: bool = False) -> Demographics:
        """What a record, or a header, says of this person."""
        groups = ("^".join(group).strip("^") for group in (self.ideographs, self.sound))
        name = PersonName(self.name, *groups)
        return Demographics(name, self.birth, self.sex, multiple_birth=multiple_birth)


def person(random: Random, people: tuple[People, ...] = names.ALL) -> Person:
    """Somebody, as likely as the country's register has them."""
    own = _people(random, people)
    sex = "F" if random.random() < 0.52 else "M"
    family, given = own.family.draw(random), given_name(random, own, sex)
    second = own.second_family and random.random() * 100 < own.second_family
    latin = f"{family.latin} {own.family.draw(random).latin}" if second else family.latin
    middle = _middle(random, own, sex)
    odd = random.random()
    return Person(
        own.name,
        latin,
        given.latin,
        middle,
        "Dr." if odd < 0.02 else "",
        "Jr" if 0.98 < odd and sex == "M" and own is names.ENGLISH else "",
        birth(random, own),
        sex,
        (family.ideographs, given.ideographs),
        (family.sound, given.sound),
    )


def _people(random: Random, people: tuple[People, ...]) -> People:
    if people is names.ALL:
        return random.choices(people, cum_weights=_SHARES)[0]
    return random.choice(people)


def named(name: str) -> People:
    """The people of a name."""
    return next(each for each in names.ALL if each.name == name)


def given_name(random: Random, own: People, sex: str) -> Written:
    return (own.women if sex == "F" else own.men).draw(random)


def _middle(random: Random, own: People, sex: str) -> str:
    if random.random() * 100 >= own.middle:
        return ""
    if own is names.VIETNAMESE and random.random() < 0.6:
        return "Thị" if sex == "F" else "Văn"
    name = given_name(random, own, sex).latin
    return name[0] if random.random() < 0.4 else name


def birth(random: Random, own: People) -> str:
    """A day of birth, or 1 January where the day is not known; of few, only the year."""
    year = random.choices(_YEARS, cum_weights=_EXAMINED)[0]
    known = random.random() * 1000
    if known < own.no_date:
        return f"{year}0101"
    if known > 999.5:
        return str(year)
    return on_day(year, random.randrange(365 + is_leap(year)))


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def on_day(year: int, day: int) -> str:
    """YYYYMMDD of the day of a year that is counted from 0."""
    for month, days in enumerate(_MONTHS, start=1):
        length = days + (month == 2 and is_leap(year))
        if day < length:
            return f"{year}{month:02}{day + 1:02}"
        day -= length
    raise ValueError(day)
