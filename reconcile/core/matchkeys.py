"""Keys of C-FIND and QIDO-RS as one predicate: which values of an attribute match.

Pure: elements in the DICOM JSON model in, tests out. What can be asked by SQL is for
`db.views_query` to say; whether an answer matches is said here, and nowhere else.

Rule 1: a key without a value matches everything, an absent attribute too.
Rule 2: a key with a value matches no absent or empty attribute, save the wild card "*".
Rule 3: a name is compared group by group, without case and accents, from end to end;
        a key of one group may match any group. Everything else is compared as written.

Source:
    PS3.4 section C.2.2.2 (matching), C.6.1 and C.6.2 (keys by level); PS3.18 8.3.4.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Tag
from reconcile.core.identity import Issuer
from reconcile.core.querykeys import ASIDE, KEYS, Level
from reconcile.errors import WrongUse

VALUES_MAX = 1000
"""Of one list of UIDs: a question is no place to keep things in."""
VALUE_CHARACTERS_MAX = 1024


_WILD = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
_DATE = re.compile(r"\d{4}(\d{2}(\d{2})?)?")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")


# -- Tests --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OneOf:
    """Equal to one of some values."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wild:
    """Like a pattern: "*" any characters, "?" one."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Between:
    """A date or time from `first` to `last`, both included; empty: open."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Named:
    """A name by its groups, folded, each a pattern; empty: whatever it is."""

    groups: tuple[str, ...]


Test = OneOf | Wild | Between | Named


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        tests: that all have to hold.
        shown: attributes that are to be answered, with their VR; empty ones too.
        issuer: of the Patient ID that is asked for.
        unsupported: something was asked that is not looked at, or not answered.
    """

    level: Level
    tests: Mapping[Tag, Test] = field(default_factory=dict)
    shown: Mapping[Tag, str] = field(default_factory=dict)
    issuer: Issuer = field(default_factory=Issuer)
    unsupported: bool = False


def question_of(level: Level, asked: Mapping[Tag, Element]) -> Question:
    """The question that the keys of an identifier ask.

    Raises:
        WrongUse: a value that no key of its VR can have.
    """
    known = KEYS[level]
    tests: dict[Tag, Test] = {}
    unsupported = False
    for tag, element in asked.items():
        if tag in ASIDE or tag in _ISSUERS:
            continue
        vr = known.get(tag)
        test = test_of(vr or str(element.get("vr", "UN")), at.values(element))
        if vr is None or (vr == "SQ" and _is_asked(element)):
            unsupported = True
        elif test is not None:
            tests[tag] = test
    shown = {tag: known.get(tag) or str(e.get("vr", "UN")) for tag, e in asked.items()}
    issuer = _issuer(asked)
    return Question(level, tests, shown, issuer, unsupported)


_ISSUERS = (at.ISSUER_OF_PATIENT_ID, at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE)


def _issuer(asked: Mapping[Tag, Element]) -> Issuer:
    for item in at.values(asked.get(_ISSUERS[1])):
        if isinstance(item, Mapping):
            universal = (at.UNIVERSAL_ENTITY_ID, at.UNIVERSAL_ENTITY_ID_TYPE)
            said = [at.text(item.get(tag)) for tag in universal]
            return Issuer(at.text(asked.get(_ISSUERS[0])), *said)
    return Issuer(at.text(asked.get(_ISSUERS[0])))


def _is_asked(element: Element) -> bool:
    """Whether a sequence key asks for anything inside."""
    items = [item for item in at.values(element) if isinstance(item, Mapping)]
    return any(at.text(inner) for item in items for inner in item.values())


def test_of(vr: str, said: Iterable[Any]) -> Test | None:
    """What a key of this VR demands; None: nothing.

    Raises:
        WrongUse: the value is none that such a key can have.
    """
    if vr == "SQ":
        return None
    if vr == "PN":
        return _name_test(said)
    values = [str(value).strip(" \0") for value in said if value is not None]
    values = [value for value in values if value]
    if not values or values == ["*"]:
        return None
    if len(values) > VALUES_MAX or max(map(len, values)) > VALUE_CHARACTERS_MAX:
        raise WrongUse("a key has more or longer values than are looked at")
    if vr in ("DA", "TM"):
        return _between(vr, values)
    if len(values) == 1 and vr in _WILD and re.search(r"[*?]", values[0]):
        return Wild(values[0])
    return OneOf(tuple(dict.fromkeys(values)))


def _between(vr: str, values: list[str]) -> Between:
    if len(values) > 1:
        raise WrongUse("a date or a time is one value or one range")
    first, dash, last = (part.strip() for part in values[0].partition("-"))
    if not dash:
        last = first
    said = [_plain(vr, part) for part in (first, last)]
    if not any(said):
        raise WrongUse("a range has a beginning or an end")
    return Between(said[0], said[1])


def _plain(vr: str, part: str) -> str:
    plain = part.replace("." if vr == "DA" else ":", "")
    if plain and not (_DATE if vr == "DA" else _TIME).fullmatch(plain):
        raise WrongUse("a key for a date or a time is neither one nor a range")
    return plain


def day(said: str) -> str:
    """A date in the spelling in which it is compared; of old it was 1999.12.31."""
    plain = said.replace(".", "")
    return plain if len(plain) == 8 and plain.isascii() and plain.isdigit() else ""


# -- Names --------------------------------------------------------------------------


def folded(name: str) -> str:
    """A name group without case, accents and empty components at its end."""
    plain = unicodedata.normalize("NFKD", name)
    kept = "".join(c for c in plain if not unicodedata.combining(c)).lower()
    parts = [" ".join(part.split()) for part in kept.strip(" \0").split("^")]
    return "^".join(parts).rstrip("^ ")


def searched(name: str) -> str:
    """What of a name is indexed: the ASCII of it, so that SQL can say the same.

    Whoever matches a pattern by `fits` matches the pattern of `narrowed` by this.
    """
    plain = unicodedata.normalize("NFKD", name)
    return "".join(c for c in plain if " " <= c <= "~").lower().lstrip(" ")


def narrowed(pattern: str) -> str:
    """A folded pattern of a name as one of LIKE that `searched` names match."""
    return "".join(_as_searched(c) for c in pattern) + "%"


def _as_searched(c: str) -> str:
    if c in "*?" or not " " < c <= "~":
        return "%"
    return "%^%" if c == "^" else escaped(c)


def escaped(c: str) -> str:
    """A character as a pattern of LIKE says it."""
    return "\\" + c if c in "\\%_" else c


def as_like(pattern: str) -> str:
    """A pattern with wild cards as one of LIKE."""
    return "".join({"*": "%", "?": "_"}.get(c) or escaped(c) for c in pattern)


_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _name_test(said: Iterable[Any]) -> Named | None:
    value = next(iter(said), None)
    if isinstance(value, Mapping):
        groups = [str(value.get(name) or "") for name in _GROUPS]
    else:
        groups = str(value or "").split("=")[:3]
    if sum(map(len, groups)) > VALUE_CHARACTERS_MAX:
        raise WrongUse("a name is longer than is looked at")
    patterns = ["" if f == "*" else f for f in map(folded, groups)]
    while patterns and not patterns[-1]:
        patterns.pop()
    return Named(tuple(patterns)) if patterns else None


# -- Whether it matches -------------------------------------------------------------


def fits(test: Test, element: Element | None) -> bool:
    """Whether an attribute of an answer meets a test; of several values one."""
    found = at.values(element)
    if isinstance(test, Named):
        return any(_is_named(test, value) for value in found)
    values = [str(value).strip(" \0") for value in found if value is not None]
    return any(_fits(test, value) for value in values if value)


def _fits(test: OneOf | Wild | Between, value: str) -> bool:
    if isinstance(test, OneOf):
        return value in test.values
    if isinstance(test, Wild):
        return is_like(test.pattern, value)
    return is_between(test, value)


def is_between(test: Between, value: str) -> bool:
    """Whether a date or a time lies within; as precise as the less precise of the two."""
    plain = value.replace(":", "").replace(".", "")
    first, last = test.first.replace(".", ""), test.last.replace(".", "")
    return plain[: len(first)] >= first[: len(plain)] and (
        not last or plain[: len(last)] <= last
    )


def _is_named(test: Named, value: Any) -> bool:
    if isinstance(value, Mapping):
        groups = [folded(str(value.get(name) or "")) for name in _GROUPS]
    else:
        groups = [folded(str(value or "")), "", ""]
    if len(test.groups) == 1:
        return any(g and is_like(test.groups[0], g) for g in groups)
    pairs = zip(test.groups, groups, strict=False)
    return all(not p or (g and is_like(p, g)) for p, g in pairs)


def is_like(pattern: str, value: str) -> bool:
    """Whether a value is like a pattern, from end to end.

    No more steps than their lengths multiplied, whatever the pattern: a peer made it.
    """
    p = v = 0
    star, resumed = -1, 0
    while v < len(value):
        if p < len(pattern) and pattern[p] == "*":
            star, resumed = p, v
            p += 1
        elif p < len(pattern) and pattern[p] in ("?", value[v]):
            p, v = p + 1, v + 1
        elif star >= 0:
            resumed += 1
            p, v = star + 1, resumed
        else:
            return False
    return not pattern[p:].strip("*")
