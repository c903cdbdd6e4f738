"""What becomes of a person's data on the way into a header.

`worklist` is what headers show that were filled from a modality worklist: the record, as
the RIS had it when the worklist was asked, with what interfaces and consoles do to it.
Most are identical. `heavy` is the corruption of FEBRL's fourth data set: slips of the
hand, of the ear and of the scanner, missing and exchanged fields.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from tests.safety.names import TWINS
from tests.safety.people import Person, birth, given_name, named, on_day, person

Noise = Callable[[Random, Person], Person]

_TRUNCATED = 64
_WITHOUT_MARKS = str.maketrans(
    {"ß": "ss", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i"}
)
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ö": "Oe", "Ä": "Ae"})


def worklist(random: Random, known: Person) -> Person:
    """A header that a worklist filled."""
    header = known
    for chance, change in _WORKLIST:
        if random.random() < chance:
            header = change(random, header)
    return header


def upper_case(random: Random, header: Person) -> Person:
    return replace(
        header,
        family=header.family.upper(),
        given=header.given.upper(),
        middle=header.middle.upper(),
    )


def without_middle(random: Random, header: Person) -> Person:
    return replace(header, middle="")


def middle_initial(random: Random, header: Person) -> Person:
    return replace(header, middle=header.middle[:1])


def middle_behind_given(random: Random, header: Person) -> Person:
    both = f"{header.given} {header.middle}".strip()
    return replace(header, given=both, middle="")


def affixes_exchanged(random: Random, header: Person) -> Person:
    """XPN and PN have prefix and suffix the other way about."""
    return replace(header, prefix=header.suffix, suffix=header.prefix)


def without_affixes(random: Random, header: Person) -> Person:
    return replace(header, prefix="", suffix="")


def without_marks(random: Random, header: Person) -> Person:
    """Müller is MULLER on one console and MUELLER on the other."""
    table = _GERMAN if header.people == "German" and random.random() < 0.5 else None
    return _written(
        header, lambda text: _unmarked(text.translate(table) if table else text)
    )


def _unmarked(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_WITHOUT_MARKS))
    return "".join(c for c in plain if not unicodedata.combining(c))


def letters_lost(random: Random, header: Person) -> Person:
    """A console that knows ASCII only puts a question mark."""
    return _written(header, lambda text: "".join(c if c.isascii() else "?" for c in text))


def _written(header: Person, write: Callable[[str], str]) -> Person:
    family, given, middle = map(write, (header.family, header.given, header.middle))
    return replace(header, family=family, given=given, middle=middle)


def without_ideographs(random: Random, header: Person) -> Person:
    return replace(header, ideographs=("", ""), sound=("", ""))


def only_ideographs(random: Random, header: Person) -> Person:
    if not header.ideographs[0]:
        return header
    return replace(header, family="", given="", middle="", prefix="", suffix="")


def truncated(random: Random, header: Person) -> Person:
    """A whole name of 64 characters and no more: titles and middle names go first."""
    parts = header.name[:_TRUNCATED].split("^") + [""] * 5
    return replace(
        header,
        family=parts[0],
        given=parts[1],
        middle=parts[2],
        prefix=parts[3],
        suffix=parts[4],
    )


def longer(random: Random, header: Person) -> Person:
    """All of the names of a long one, so that it is truncated."""
    more = [given_name(random, named(header.people), header.sex).latin for _ in range(8)]
    return truncated(random, replace(header, middle=" ".join([header.middle, *more])))


def padded(random: Random, header: Person) -> Person:
    return replace(
        header, family=f"{header.family} ", given=header.given.replace(" ", "  ")
    )


def without_birth_date(random: Random, header: Person) -> Person:
    return replace(header, birth="")


def without_sex(random: Random, header: Person) -> Person:
    return replace(header, sex=random.choice(("", "O")))


def typed(random: Random, header: Person) -> Person:
    """No worklist that day: typed at the console, with one slip."""
    return slip(random, header, random.choice(("family", "given", "birth")))


def newly_married(random: Random, header: Person) -> Person:
    """The registry has not heard of it yet."""
    return married(random, header) if header.sex == "F" else header


def hyphenated(random: Random, header: Person) -> Person:
    other = person(random, (named(header.people),)).family
    return replace(header, family=f"{header.family}-{other}")


# How often each of these befalls a header; they are independent.
_WORKLIST: tuple[tuple[float, Noise], ...] = (
    (0.20, upper_case),
    (0.05, without_middle),
    (0.05, middle_initial),
    (0.03, middle_behind_given),
    (0.02, affixes_exchanged),
    (0.10, without_affixes),
    (0.15, without_marks),
    (0.002, letters_lost),
    (0.20, without_ideographs),
    (0.002, longer),
    (1.0, truncated),
    (0.02, padded),
    (0.005, without_birth_date),
    (0.01, without_sex),
    (0.003, typed),
    (0.001, newly_married),
    (0.001, hyphenated),
    (0.001, lambda random, header: swapped(random, header)),
)


# -- One thing at a time ------------------------------------------------------------


def swapped(random: Random, header: Person) -> Person:
    """Family and given name each in the other's place."""
    turned = (header.ideographs[::-1], header.sound[::-1])
    return replace(
        header,
        family=header.given,
        given=header.family,
        ideographs=turned[0],
        sound=turned[1],
    )


def one_component(random: Random, header: Person) -> Person:
    """The whole name where the family name belongs, in either order."""
    words = [header.given, header.family]
    random.shuffle(words)
    return replace(
        header, family=" ".join(words), given="", middle="", prefix="", suffix=""
    )


def transposed(random: Random, header: Person) -> Person:
    """Day and month exchanged."""
    date = header.birth
    return replace(header, birth=date[:4] + date[6:] + date[4:6])


def married(random: Random, header: Person) -> Person:
    """A new family name; or another one before, or behind, the old."""
    other = person(random, (named(header.people),)).family
    how = random.random()
    if how < 0.1:
        return replace(header, family=f"{other}-{header.family}")
    return replace(header, family=other, ideographs=("", ""), sound=("", ""))


def hispanic(random: Random, header: Person) -> Person:
    """Two family names, written in the ways that they are met."""
    first, _, second = header.family.partition(" ")
    ways = (
        replace(header, family=first),
        replace(header, family=f"{first}-{second}".strip("-")),
        replace(header, family=first, given=second, middle=header.given)
        if second
        else header,
        replace(header, family=f"{first} {second[:1]}".strip()),
        replace(header, given=f"{header.given} {first}", family=second)
        if second
        else header,
        replace(header, family=f"{first} y {second}") if second else header,
        replace(header, given=header.given.split()[0]),
    )
    return without_marks(random, random.choice(ways))


def ideographic(random: Random, header: Person) -> Person:
    """Groups of a name that came, or did not."""
    ways: tuple[Noise, ...] = (
        without_ideographs,
        only_ideographs,
        lambda _, known: replace(known, sound=("", "")),
        lambda _, known: replace(known, given=" ".join(known.given)),
        lambda _, known: replace(known, ideographs=("".join(known.ideographs), "")),
        swapped,
    )
    return random.choice(ways)(random, header)


def temporary(random: Random, header: Person) -> Person:
    """Whom nobody could ask."""
    sex = {"F": "FEMALE", "M": "MALE"}.get(header.sex, "")
    name, number = random.choice(("UNKNOWN", "TRAUMA")), random.randint(1, 99)
    return Person(
        header.people, name, f"{sex} {number}", "", "", "", "19000101", header.sex
    )


# -- Heavy ---------------------------------------------------------------------------

_OCR = {"l": "1", "O": "0", "S": "5", "B": "8", "m": "rn", "o": "0", "i": "l", "g": "q"}
_EAR = (("ph", "f"), ("ie", "y"), ("c", "k"), ("th", "t"), ("sch", "sh"), ("ck", "k"))


def heavy(random: Random, header: Person) -> Person:
    """One to three things that go wrong, whichever they are."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
        header = random.choices(_HEAVY, weights=_HEAVY_WEIGHTS)[0](random, header)
    return header


def slip(random: Random, header: Person, field: str) -> Person:
    """A character more, less or other, or two exchanged."""
    text = getattr(header, field)
    if len(text) < 2:
        return header
    letters = "0123456789" if field == "birth" else "abcdefghijklmnopqrstuvwxyz"
    at, new = random.randrange(len(text) - 1), random.choice(letters)
    ways = [
        text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        text[:at] + new + text[at + 1 :],
    ]
    if field != "birth":
        ways += [text[:at] + new + text[at:], text[:at] + text[at + 1 :]]
    return _with(header, field, random.choice(ways))


def _with(header: Person, field: str, text: str) -> Person:
    changed: dict[str, Any] = {field: text}
    return replace(header, **changed)


def _name_slip(random: Random, header: Person) -> Person:
    return slip(random, header, random.choice(("family", "given")))


def _misread(random: Random, header: Person) -> Person:
    found = [c for c in header.family if c in _OCR]
    if not found:
        return header
    letter = random.choice(found)
    return replace(header, family=header.family.replace(letter, _OCR[letter], 1))


def _misheard(random: Random, header: Person) -> Person:
    family = header.family
    for heard, written in _EAR:
        family = family.replace(heard, written)
    return replace(header, family=family)


def _other_year(random: Random, header: Person) -> Person:
    year = int(header.birth[:4] or 1950) + random.choice((-10, -1, 1, 10))
    return replace(header, birth=f"{year}{header.birth[4:]}")


def _field_missing(random: Random, header: Person) -> Person:
    return _with(header, random.choice(("family", "given", "birth")), "")


_HEAVY: tuple[Noise, ...] = (
    _name_slip,
    lambda random, header: slip(random, header, "birth"),
    _misread,
    _misheard,
    _other_year,
    _field_missing,
    swapped,
    married,
)
_HEAVY_WEIGHTS = (40, 15, 8, 8, 6, 10, 8, 5)


# -- Somebody else -------------------------------------------------------------------


def stranger(random: Random, known: Person) -> Person:
    return person(random)


def same_people(random: Random, known: Person) -> Person:
    """A stranger whose names are of the same kind."""
    return person(random, (named(known.people),))


def same_surname(random: Random, known: Person) -> Person:
    other = same_people(random, known)
    groups = [
        (mine[0], theirs[1])
        for mine, theirs in (
            (known.ideographs, other.ideographs),
            (known.sound, other.sound),
        )
    ]
    return replace(other, family=known.family, ideographs=groups[0], sound=groups[1])


def twin(random: Random, known: Person) -> Person:
    """Born on the same day; parents do not give two children one name."""
    other = same_surname(random, known)
    while other.given == known.given:
        other = same_surname(random, known)
    return replace(other, birth=known.birth, suffix="")


def junior(random: Random, known: Person) -> Person:
    """A child, or a grandchild, who bears the whole name."""
    born = int(known.birth[:4]) + random.randint(17, 70)
    date = birth(random, named(known.people))
    suffix = "Jr" if random.random() < 0.3 else known.suffix
    return replace(known, birth=f"{born}{date[4:]}", suffix=suffix)


def first_of_near_twins(random: Random, known: Person) -> Person:
    """A record whose twin, `second_of_near_twins`, has nearly the same name."""
    given = random.choice(TWINS)[0]
    return replace(known, given=given, middle="", ideographs=("", ""), sound=("", ""))


def second_of_near_twins(random: Random, known: Person) -> Person:
    return replace(known, given=dict(TWINS)[known.given])


def newborn(random: Random, known: Person) -> Person:
    """A record of a child that has its name, and was born this year."""
    return replace(
        known, birth=on_day(2024, random.randrange(366)), middle="", prefix="", suffix=""
    )


def as_newborn(random: Random, known: Person) -> Person:
    """What the bracelet said before the child had a name."""
    what = "GIRL" if known.sex == "F" else "BOY"
    given = random.choice((f"BABY {what}", f"BABY{what}", f"BABY {what} OF {known.family}"))
    return replace(known, given=given, middle="", ideographs=("", ""), sound=("", ""))


def newborn_a(random: Random, known: Person) -> Person:
    first = as_newborn(random, known)
    return replace(first, given=f"BABY {'GIRL' if known.sex == 'F' else 'BOY'} A")


def newborn_b(random: Random, known: Person) -> Person:
    """The twin of `newborn_a`, of either sex."""
    sex = known.sex if random.random() < 0.65 else "MF"[known.sex == "M"]
    return replace(newborn_a(random, replace(known, sex=sex)), given=f"{_baby(sex)} B")


def _baby(sex: str) -> str:
    return "BABY GIRL" if sex == "F" else "BABY BOY"
