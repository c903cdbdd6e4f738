"""Names that stand for no name: "UNKNOWN^MALE 3", "KOCH^BABY GIRL A".

A configured entry is compared in folded tokens. It stands for a component that begins
with its tokens; what follows is a numbering. As family name it makes the whole name a
placeholder, as given name the given names only. An entry with a caret ("DOE^JOHN") must
stand so in both components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from reconcile.core import names
from reconcile.core.identity import PersonName
from reconcile.core.names import NameParts, Tokens

Entry = tuple[Tokens, Tokens]


def known_groups(
    name: PersonName, placeholders: Sequence[str]
) -> tuple[NameParts, NameParts, NameParts]:
    """The three groups of a name in tokens, without what is a placeholder."""
    entries = _entries(tuple(placeholders))
    alphabetic, ideographic, phonetic = names.groups(name)
    return (
        _without(alphabetic, entries),
        _without(ideographic, entries),
        _without(phonetic, entries),
    )


@lru_cache(maxsize=256)
def _entries(placeholders: tuple[str, ...]) -> tuple[Entry, ...]:
    """Configured names as tokens of two components; no second: it stands in either."""
    cut = [[names.tokens(part) for part in entry.split("^")] for entry in placeholders]
    return tuple((c[0], c[1] if len(c) > 1 else ()) for c in cut if c[0])


def _without(name: NameParts, entries: tuple[Entry, ...]) -> NameParts:
    if not name:
        return name
    given = name.forenames
    for first, second in entries:
        if _begins(name.family, first) and _begins(given, second):
            return NameParts()
        if not second and _begins(given, first):
            return replace(name, given=(), middle=(), designation=given)
    return name


def _begins(component: Tokens, entry: Tokens) -> bool:
    """Whether a component begins with an entry, BABYBOY being BABY BOY."""
    return component[: len(entry)] == entry or component[:1] == ("".join(entry),)
