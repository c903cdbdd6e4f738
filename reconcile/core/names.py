"""Names of persons: folded, cut into tokens, and compared.

Rule 1: like is compared with like. A group is compared with the same group of the other
        name, and only where both are in the same script; nothing is transliterated.
Rule 2: what is missing is no evidence; `None` says so and is never a difference.
Rule 3: of two lists of tokens, every token of the shorter must find a partner of its own
        in the longer. So middle names may be missing, and "MARIA ELENA" is not "MARIA
        CARMEN".
Rule 4: a family name never agrees by an initial.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import IntEnum

from reconcile.core.identity import PersonName

#: Jaro-Winkler similarity from which two tokens count as one name, mistyped.
CLOSE_ENOUGH = 0.90

# One slip in a name of two letters makes another name: LI, LIU, LIN.
CLOSE_CHARACTERS_MIN = 3

# A group holds 64 characters (PS3.5 Table 6.2-1). Peers exceed that; what a comparison
# costs must not depend on by how much.
GROUP_CHARACTERS_MAX = 256
TOKENS_MAX = 12

# What NFKD and casefold leave whole, as passports write it or nearly so.
_LETTERS = str.maketrans(
    {
        "ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th",
        "ð": "d", "ħ": "h", "ŋ": "n", "ŧ": "t", "ĸ": "k", "ə": "e", "ɓ": "b",
        "ɗ": "d", "ƙ": "k", "ƴ": "y",
    }
)  # fmt: skip
_HIRAGANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_APOSTROPHES = str.maketrans("", "", "'’‘ʼʻ`´′")
_VOICED_KANA = "\u3099\u309a"

# Father and son; in whichever component they were written.
_GENERATIONS = {"sr": 1, "jr": 2, "ii": 2, "iii": 3, "iv": 4}

Tokens = tuple[str, ...]


class Match(IntEnum):
    """How well two names, or two tokens of names, agree; better is greater."""

    NONE = 0
    INITIAL = 1
    CLOSE = 2
    EQUAL = 3


def fold(text: str) -> str:
    """`text` without case, marks, apostrophes and differences of width.

    The marks that make a voiced kana stay: they make another sound, not an accent.
    """
    if text.isascii():
        return text.translate(_APOSTROPHES).casefold()
    plain = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES))
    kept = (c for c in plain if unicodedata.category(c) != "Mn" or c in _VOICED_KANA)
    folded = "".join(kept).casefold().translate(_APOSTROPHES).translate(_LETTERS)
    return unicodedata.normalize("NFC", folded).translate(_HIRAGANA)


def tokens(text: str) -> Tokens:
    """The folded words of `text`; everything but letters and digits parts them."""
    folded = fold(text[:GROUP_CHARACTERS_MAX])
    if folded.isascii() and folded.isalnum():
        return (folded,)
    return tuple("".join(c if _is_letter(c) else " " for c in folded).split())[:TOKENS_MAX]


def _is_letter(c: str) -> bool:
    # Vowel signs of Indic scripts are spacing marks, and part of the word.
    category = unicodedata.category(c)
    return category[0] in "LN" or category == "Mc"


def contract(token: str) -> str:
    """The form in which Müller, Mueller and Muller are one name."""
    if "e" not in token:
        return token
    return token.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def jaro_winkler(a: str, b: str) -> float:
    """Similarity of two strings, 0 to 1; an equal beginning counts more.

    Source:
        Winkler, String Comparator Metrics and Enhanced Decision Rules in the
        Fellegi-Sunter Model of Record Linkage (1990); scale 0.1, prefix of at most 4.
    """
    similarity = _jaro(a, b)
    prefix = 0
    while prefix < min(4, len(a), len(b)) and a[prefix] == b[prefix]:
        prefix += 1
    return similarity + 0.1 * prefix * (1 - similarity)


def _jaro(a: str, b: str) -> float:
    window = max(len(a), len(b), 2) // 2 - 1
    partner: list[int] = []
    of_a: list[str] = []
    for i, c in enumerate(a):
        for j in range(max(0, i - window), min(len(b), i + window + 1)):
            if b[j] == c and j not in partner:
                partner.append(j)
                of_a.append(c)
                break
    if not partner:
        return 0.0
    common = len(partner)
    of_b = [b[j] for j in sorted(partner)]
    moved = sum(x != y for x, y in zip(of_a, of_b, strict=True)) // 2
    return (common / len(a) + common / len(b) + (common - moved) / common) / 3


def _may_be_close(a: str, b: str) -> bool:
    """Whether letters in common could make two words close; quick, most cannot be."""
    of_a, of_b = set(a), set(b)
    common = min(len(a) - len(of_a - of_b), len(b) - len(of_b - of_a))
    most = (common / len(a) + common / len(b) + 1) / 3
    # Winkler's credit for the beginning: all of it, if the first letter is the same.
    most += 0.4 * (1 - most) if a[0] == b[0] else 0
    return most > CLOSE_ENOUGH - 1e-9


def is_initial(word: str) -> bool:
    """Whether a token is one letter; a single ideograph or syllable is a whole name."""
    return len(word) == 1 and word < "\u2e80"


def pairing(a: str, b: str) -> Match:
    """How two folded tokens agree."""
    if a == b or contract(a) == contract(b):
        return Match.EQUAL
    if is_initial(a) or is_initial(b):
        return Match.INITIAL if a[0] == b[0] else Match.NONE
    if min(len(a), len(b)) < CLOSE_CHARACTERS_MIN or not _may_be_close(a, b):
        return Match.NONE
    return Match.CLOSE if jaro_winkler(a, b) >= CLOSE_ENOUGH else Match.NONE


def tokens_pair(a: str, b: str) -> bool:
    """Whether two folded tokens may be the same name: equal, close, or an initial."""
    return pairing(a, b) > Match.NONE


def covered(few: Tokens, many: Tokens) -> Match:
    """The best level at which every token of `few` has a partner of its own in `many`."""
    if not few or len(few) > len(many):
        return Match.NONE
    levels: list[list[Match]] = []
    for a in few:
        levels.append([pairing(a, b) for b in many])
        if not any(levels[-1]):
            return Match.NONE
    best = min(map(max, levels))
    if len(few) == 1:
        return best
    for least in (Match.EQUAL, Match.CLOSE, Match.INITIAL):
        if least <= best and _all_find_partners(levels, least):
            return least
    return Match.NONE


def _all_find_partners(levels: list[list[Match]], least: Match) -> bool:
    """Bipartite matching by augmenting paths: greed would fail on ANN ANNA / ANNA ANNE."""
    holder: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, level in enumerate(levels[row]):
            if level < least or column in tried:
                continue
            tried.add(column)
            if column not in holder or place(holder[column], tried):
                holder[column] = row
                return True
        return False

    return all(place(row, set()) for row in range(len(levels)))


def matching(a: Tokens, b: Tokens) -> Match:
    """How two lists of tokens agree: the shorter in the longer, or written as one word."""
    if a and joined(a) == joined(b):
        return Match.EQUAL
    return covered(a, b) if len(a) <= len(b) else covered(b, a)


def joined(parts: Tokens) -> str:
    """Tokens as one word, so that HANS-PETER, HANS PETER and HANSPETER are one name."""
    return contract("".join(parts))


@dataclass(frozen=True, slots=True)
class NameParts:
    """One group of a name in tokens; prefixes and suffixes are no part of it.

    Attributes:
        generation: 1 for SR, 2 for JR and II, and so on; 0 where not said.
        designation: tokens that stand in place of a given name not known ("BABY GIRL
            A"); `given` and `middle` are empty then.
    """

    family: Tokens = ()
    given: Tokens = ()
    middle: Tokens = ()
    generation: int = 0
    designation: Tokens = ()

    def __bool__(self) -> bool:
        return bool(self.family or self.given)

    @property
    def main(self) -> Tokens:
        return (*self.family, *self.given)

    @property
    def forenames(self) -> Tokens:
        return (*self.given, *self.middle)

    @property
    def everything(self) -> Tokens:
        return (*self.family, *self.given, *self.middle)


def parts(group: str) -> NameParts:
    """A group `family^given^middle^prefix^suffix` (PS3.5 section 6.2.1) in tokens."""
    if not group:
        return NameParts()
    components = [tokens(c) for c in group[:GROUP_CHARACTERS_MAX].split("^")]
    said = [_GENERATIONS[t] for c in components for t in c if t in _GENERATIONS]
    names = [_without_generation(c) for c in components[:3]]
    family, given, middle = (*names, (), (), ())[:3]
    if not given:
        given, middle = middle, ()
    return NameParts(family, given, middle, said[0] if said else 0)


def _without_generation(component: Tokens) -> Tokens:
    return tuple(t for t in component if t not in _GENERATIONS) or component


def groups(name: PersonName) -> tuple[NameParts, NameParts, NameParts]:
    """The three groups of a name in tokens, in their order."""
    return parts(name.alphabetic), parts(name.ideographic), parts(name.phonetic)


@dataclass(frozen=True, slots=True)
class NameAgreement:
    """How two names agree; None: that part is missing on one side.

    Attributes:
        same: the given names are equal as a whole, and no middle name contradicts. It
            is what tells twins apart.
        numbered_apart: both given names are placeholders, of two newborns ("BABY GIRL
            A", "BABY GIRL B").
    """

    family: Match | None
    given: Match | None
    same: bool = False
    swapped: bool = False
    numbered_apart: bool = False

    @property
    def agrees(self) -> bool:
        family_agrees = self.family is None or self.family >= Match.CLOSE
        return family_agrees and (self.given is None or self.given >= Match.INITIAL)

    @property
    def complete(self) -> bool:
        return self.family is not None and self.given is not None


def compare(a: NameParts, b: NameParts) -> NameAgreement | None:
    """Compare two names of one group; None: they say nothing about one another."""
    if not a or not b or not _share_script(a, b):
        return None
    if a.family and a.given and b.family and b.given:
        return _compare_whole(a, b)
    if a.family and a.given:
        return _compare_single(b, a)
    return _compare_single(a, b)


def _share_script(a: NameParts, b: NameParts) -> bool:
    return bool(_scripts(a.everything) & _scripts(b.everything))


def _scripts(parts: Tokens) -> set[str]:
    """Scripts of the letters; a digit is of all, so "?" stands for none."""
    letters = {c for c in "".join(parts) if c.isalpha()}
    return {unicodedata.name(c, "?").split()[0] for c in letters}


def _compare_whole(a: NameParts, b: NameParts) -> NameAgreement:
    straight = NameAgreement(_family(a, b), _given(a, b), same=_same_given(a, b))
    if straight.agrees:
        return straight
    crossed = (matching(a.family, b.given), matching(a.given, b.family))
    if min(crossed) >= Match.INITIAL and max(crossed) >= Match.CLOSE:
        same = joined(a.family) == joined(b.given) and joined(a.given) == joined(b.family)
        return NameAgreement(max(crossed), min(crossed), same, swapped=True)
    level = _regardless_of_components(a, b)
    if level >= Match.CLOSE:
        return NameAgreement(level, level, swapped=True)
    return straight


def _regardless_of_components(a: NameParts, b: NameParts) -> Match:
    """LOPEZ^ANA GARCIA is ANA^GARCIA LOPEZ: two tokens at least must have a partner."""
    if min(len(a.everything), len(b.everything)) < 2:
        return Match.NONE
    return matching(a.everything, b.everything)


def _family(a: NameParts, b: NameParts) -> Match:
    """Family names; GARCIA L agrees with GARCIA LOPEZ, since one token is written out."""
    level = matching(a.family, b.family)
    if level != Match.INITIAL:
        return level
    return matching(_without_initials(a.family), _without_initials(b.family))


def _without_initials(component: Tokens) -> Tokens:
    return tuple(t for t in component if not is_initial(t)) or component


def _given(a: NameParts, b: NameParts) -> Match:
    """Given names; one that is known by a middle name agrees, but not by its initial."""
    level = matching(a.given, b.given)
    if level < Match.EQUAL and (a.middle or b.middle):
        known_by = max(covered(a.given, b.forenames), covered(b.given, a.forenames))
        level = max(level, known_by if known_by >= Match.CLOSE else Match.NONE)
    if level and (all(map(is_initial, a.given)) or all(map(is_initial, b.given))):
        return Match.INITIAL
    return level


def _same_given(a: NameParts, b: NameParts) -> bool:
    if joined(a.forenames) == joined(b.forenames):
        return True
    middles_agree = not a.middle or not b.middle or bool(matching(a.middle, b.middle))
    return joined(a.given) == joined(b.given) and middles_agree


def _compare_single(one: NameParts, b: NameParts) -> NameAgreement:
    """Compare `one`, a name of a single component, with any other.

    It may be a whole name in one component ("JANE DOE"), or only a part of one. Words
    that are left over beside the family name are another given name.
    """
    words = one.main
    if not (b.family and b.given):
        return _compare_two_singles(one, b)
    family = matching(words, b.family)
    if one.designation:
        return NameAgreement(family, None)
    if joined(words) in (joined(b.main), joined((*b.given, *b.family))):
        return NameAgreement(Match.EQUAL, Match.EQUAL, same=True)
    whole = _whole_in_one(words, b)
    if whole:
        return NameAgreement(whole if whole > Match.INITIAL else family, whole)
    if family >= Match.CLOSE:
        return NameAgreement(family, None if len(words) <= len(b.family) else Match.NONE)
    given = matching(words, b.given)
    if given >= Match.CLOSE:
        return NameAgreement(None, given)
    return NameAgreement(Match.NONE, None)


def _whole_in_one(words: Tokens, b: NameParts) -> Match:
    """How `words` hold both a family and a given name of `b`; one may be an initial."""
    if len(words) >= len(b.main):
        return covered(b.main, words)
    if covered(words, b.family) or covered(words, b.forenames):
        return Match.NONE
    return covered(words, b.everything)


def _compare_two_singles(a: NameParts, b: NameParts) -> NameAgreement:
    level = matching(a.main, b.main)
    if a.designation and b.designation:
        one, other = sorted((joined(a.designation), joined(b.designation)), key=len)
        apart = not other.startswith(one)
        return NameAgreement(level, None, one == other, numbered_apart=apart)
    if a.designation or b.designation:
        return NameAgreement(level, None)
    equal = joined(a.main) == joined(b.main)
    as_long = equal or len(a.main) == len(b.main)
    return NameAgreement(level, level if as_long else None, equal)
