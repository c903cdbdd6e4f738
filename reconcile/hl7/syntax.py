"""The delimiters of one message, and the escapes that stand for them.

Source: HL7 v2.5.1 sections 2.5.4 (delimiters) and 2.7 (escape sequences).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from reconcile.errors import CannotUnderstand

_USUAL = "^~\\&"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SPECIAL = re.compile(r"[^A-Za-z0-9\s\x00-\x20\x7f-\uffff]")


@dataclass(frozen=True, slots=True)
class Syntax:
    r"""What MSH-1 and MSH-2 declare, and the codec of `\Xhh\` escapes.

    Empty: the sender has no such delimiter.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape_character: str = "\\"
    subcomponent: str = "&"
    codec: str = "ascii"

    def unescape(self, raw: str) -> str:
        r"""Resolve \F\ \S\ \R\ \E\ \T\ \Xhh..\ \.br\ \H\ \N\; leave all else alone.

        A backslash that begins no known escape is a backslash: senders forget to
        escape it in paths and the like.
        """
        if not self.escape_character or self.escape_character not in raw:
            return raw
        return _escapes(self.escape_character).sub(self._meant, raw)

    def escape(self, text: str) -> str:
        r"""The inverse of `unescape`; line ends become \.br\, other controls \Xhh\."""
        mark = self.escape_character
        letters = self._letters().items()
        table = {char: f"{mark}{letter}{mark}" if mark else " " for letter, char in letters}
        return "".join(table.get(char) or self._printable(char) for char in text)

    def _letters(self) -> dict[str, str]:
        letters = {
            "F": self.field,
            "S": self.component,
            "R": self.repetition,
            "E": self.escape_character,
            "T": self.subcomponent,
        }
        return {letter: char for letter, char in letters.items() if char}

    def _meant(self, match: re.Match[str]) -> str:
        letter, digits, line_end = match.groups()
        if line_end:
            return "\r"
        if digits:
            return bytes.fromhex(digits).decode(self.codec, "replace")
        return self._letters().get(letter, "")  # H, N: highlighting, which we lack

    def _printable(self, char: str) -> str:
        if char == "\r":
            return f"{self.escape_character}.br{self.escape_character}"
        if char < " ":
            return f"{self.escape_character}X{ord(char):02X}{self.escape_character}"
        return char


@lru_cache(maxsize=64)
def _escapes(mark: str) -> re.Pattern[str]:
    m = re.escape(mark)
    return re.compile(rf"{m}(?:([FSRETHN])|X((?:[0-9A-Fa-f]{{2}})+)|(\.br)){m}")


def one_line(text: str) -> str:
    """Text fit for one line: controls become blanks, the ends are trimmed."""
    return _CONTROLS.sub(" ", text).strip()


def read_syntax(start: str, codec: str) -> Syntax:
    """The syntax of a message that begins with `start` (from "MSH" on).

    Delimiters that a short MSH-2 leaves out are the usual ones.

    Raises:
        CannotUnderstand: MSH-1 or MSH-2 is no set of distinct delimiters.
    """
    field = start[3:4]
    declared = start[4:].split(field, 1)[0][:5] if field else ""
    given = declared[:4]
    if not all(map(_SPECIAL.fullmatch, field + declared)) or not field:
        raise CannotUnderstand("MSH-1 or MSH-2 is not made of delimiters")
    if len({field, *declared}) != 1 + len(declared):
        raise CannotUnderstand("MSH-2 names a delimiter twice")
    usual = (char if char not in field + given else "" for char in _USUAL[len(given) :])
    component, repetition, escape, subcomponent = [*given, *usual]
    return Syntax(field, component, repetition, escape, subcomponent, codec)
