"""Can these bytes be read in this Specific Character Set, can this text be said in it.

Strict both ways: what is not valid raises or is None, a replacement character is never
made. pydicom's decoder warns and replaces, and reads the default repertoire as Latin-1;
its table of codecs is used, its decoder is not.

Source:
    PS3.3 C.12.1.1.2 (Specific Character Set), Tables C.12-2 to C.12-5;
    PS3.5 section 6.1 and Annexes H, I, J, K.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydicom.charset import python_encoding

from reconcile.dataset.vr import CHARSET_TEXT, SINGLE_VALUED

Terms = Sequence[str]

UTF_8 = "ISO_IR 192"

_ESC = 0x1B
# Table C.12-5: sets that stand alone, without code extensions.
_ALONE = {UTF_8: "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
# Tables C.12-3, C.12-4: escape sequence -> (number of the set, its code element).
_ESCAPES: dict[bytes, tuple[str, str]] = {
    b"\x1b(B": ("6", "G0"),
    b"\x1b(J": ("14", "G0"),
    b"\x1b)I": ("13", "G1"),
    b"\x1b-A": ("100", "G1"),
    b"\x1b-B": ("101", "G1"),
    b"\x1b-C": ("109", "G1"),
    b"\x1b-D": ("110", "G1"),
    b"\x1b-F": ("126", "G1"),
    b"\x1b-G": ("127", "G1"),
    b"\x1b-H": ("138", "G1"),
    b"\x1b-L": ("144", "G1"),
    b"\x1b-M": ("148", "G1"),
    b"\x1b-T": ("166", "G1"),
    b"\x1b-b": ("203", "G1"),
    b"\x1b$B": ("87", "G0"),
    b"\x1b$(D": ("159", "G0"),
    b"\x1b$)C": ("149", "G1"),
    b"\x1b$)A": ("58", "G1"),
}
_ESCAPE_OF = {number: (code, at) for code, (number, at) in _ESCAPES.items()}
# Two-byte sets: the codec whose high half each is, with the byte that comes before.
_TWO_BYTES = {
    "87": ("euc_jp", b""),
    "159": ("euc_jp", b"\x8f"),
    "149": ("euc_kr", b""),
    "58": ("gb2312", b""),
}
# Latin alphabet No. 9 is younger than pydicom's table.
_CODECS = {"203": "iso8859_15", "13": "shift_jis"}
# PS3.5 section 6.1.2.5.3: before these, value 1 is in force again.
_RESET_TEXT = frozenset(b"\r\n\f\t")
_RESET = _RESET_TEXT | frozenset(b"\\")
_RESET_PN = _RESET | frozenset(b"^=")
# No repertoire has NUL, and PostgreSQL cannot hold it; at the end of a value it is padding.
_NUL_INSIDE = re.compile(rb"\0[ \0]*[^ \0\\]")
# PS3.5 section 6.1.3; elsewhere a control character is no text.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
# Terms as writers misspell them.
_ALIASES = {
    "UTF-8": UTF_8,
    "UTF8": UTF_8,
    "ISO 2022 GBK": "GBK",
    "ISO 2022 58": "ISO 2022 IR 58",
    "ISO 2022 IR 192": UTF_8,
}


class Undecodable(ValueError):
    """Bytes that are not text in their character set; they are not in the message."""


@dataclass(frozen=True, slots=True)
class Repertoire:
    """What the values of (0008,0005) allow.

    Attributes:
        alone: codec of a set without code extensions that is not single-byte.
        g0: number of the set in force at the start for bytes below 80H.
        g1: the same above it; may be empty.
        sets: numbers of all sets that an escape sequence may call.
    """

    alone: str = ""
    g0: str = "6"
    g1: str = ""
    sets: tuple[str, ...] = ("6",)


def normalised(term: str) -> str:
    """A term as the standard spells it, or as it stands where it is none."""
    term = term.strip(" \0").upper()
    if match := re.fullmatch(r"ISO[ _-]?IR[ _-]?(\d+)", term):
        return f"ISO_IR {match[1]}"
    if match := re.fullmatch(r"ISO[ _-]?2022[ _-]IR[ _-]?(\d+)", term):
        term = f"ISO 2022 IR {match[1]}"
    return _ALIASES.get(term, term)


def is_default(terms: Terms) -> bool:
    """Whether nothing but the default repertoire is declared."""
    return all(normalised(term) in ("", "ISO_IR 6", "ISO 2022 IR 6") for term in terms)


def repertoire(terms: Terms) -> Repertoire:
    """The repertoire of some terms.

    Terms that are not of Tables C.12-2 to C.12-5 add nothing: only the default
    repertoire can then be read. A set that stands alone is taken if it comes first
    and passed over elsewhere, as pydicom does.
    """
    return _repertoire(tuple(normalised(term) for term in terms))


@lru_cache(maxsize=256)
def _repertoire(terms: tuple[str, ...]) -> Repertoire:
    if terms and terms[0] in _ALONE:
        return Repertoire(alone=_ALONE[terms[0]])
    numbers = [number for term in terms if (number := _number(term))]
    sets = dict.fromkeys(["6", *numbers])
    if {"13", "87", "159"} & set(sets):
        sets["14"] = None
    first = _number(terms[0]) if terms else ""
    # Korean and Chinese writers declare a two-byte set as value 1 and use no escapes.
    g1 = first if first and _ESCAPE_OF[first][1] == "G1" else ""
    return Repertoire("", "14" if first == "13" else "6", g1, tuple(sets))


def _number(term: str) -> str:
    number = term.rpartition(" ")[2] if "IR " in term else ""
    return number if number in _ESCAPE_OF else ""


def decode(raw: bytes, terms: Terms, vr: str) -> str:
    """The text of a value field, padding and backslashes included.

    Args:
        raw: the whole value field.
        terms: values of (0008,0005); used only where `vr` is one that they apply to.
        vr: PN has delimiters of its own.

    Raises:
        Undecodable: not text in these character sets.
    """
    if _NUL_INSIDE.search(raw):
        raise Undecodable("a NUL that is no padding")
    if raw.isascii() and _ESC not in raw:
        return raw.decode("ascii")
    found = repertoire(terms if vr in CHARSET_TEXT else ())
    try:
        if found.alone:
            return _checked(raw.decode(found.alone))
        return _checked("".join(_fragments(raw, found, _delimiters(vr))))
    except UnicodeDecodeError:
        raise Undecodable("not text in its character set") from None


def can_decode(raw: bytes, terms: Terms, vr: str) -> bool:
    """Whether `raw` is text in these character sets."""
    try:
        decode(raw, terms, vr)
    except Undecodable:
        return False
    return True


def _delimiters(vr: str) -> frozenset[int]:
    """A backslash in a text of one value is a character and ends nothing."""
    if vr == "PN":
        return _RESET_PN
    return _RESET_TEXT if vr in SINGLE_VALUED else _RESET


def _checked(text: str) -> str:
    if _CONTROLS.search(text.rstrip(" \0")):
        raise Undecodable("control characters in a text value")
    return text


def _fragments(raw: bytes, found: Repertoire, reset: frozenset[int]) -> Iterator[str]:
    """Text run by run, each with the sets that are in force (ISO 2022)."""
    g0, g1, position = found.g0, found.g1, 0
    while position < len(raw):
        byte = raw[position]
        if byte == _ESC:
            number, at, length = _escape(raw, position, found)
            g0, g1 = (number, g1) if at == "G0" else (g0, number)
            position += length
            continue
        if byte < 0x20 or (byte in reset and g0 not in _TWO_BYTES):
            g0, g1 = found.g0, found.g1
        width, text = _character(raw, position, g0, g1)
        yield text
        position += width


def _escape(raw: bytes, position: int, found: Repertoire) -> tuple[str, str, int]:
    for length in (3, 4):
        known = _ESCAPES.get(raw[position : position + length])
        if known and known[0] in found.sets:
            return known[0], known[1], length
    raise Undecodable("escape sequence to an undeclared character set")


def _character(raw: bytes, position: int, g0: str, g1: str) -> tuple[int, str]:
    byte = raw[position]
    number = g0 if byte < 0x80 else g1
    if number in _TWO_BYTES and byte > 0x20:
        codec, before = _TWO_BYTES[number]
        pair = raw[position : position + 2]
        if len({b & 0x80 for b in pair}) > 1:
            raise Undecodable("half of a character of two bytes")
        high = bytes(b | 0x80 for b in pair)
        return 2, (before + high).decode(codec)
    if byte < 0x80:
        return 1, chr(byte)
    if not number or byte < 0xA0:
        raise Undecodable("byte beyond the character set")
    return 1, bytes((byte,)).decode(_codec(number))


@lru_cache(maxsize=64)
def _codec(number: str) -> str:
    name = _CODECS.get(number) or python_encoding[f"ISO_IR {number}"]
    return codecs.lookup(name).name


def is_text(text: str) -> bool:
    """Whether `text` has no character that no character set of DICOM says."""
    if _CONTROLS.search(text):
        return False
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def can_encode(text: str, terms: Terms, vr: str = "LO") -> bool:
    """Whether `text` can be said in these character sets."""
    return encode(text, terms, vr) is not None


def encode(text: str, terms: Terms, vr: str) -> bytes | None:
    """The bytes of a value, or None where these character sets cannot say it.

    Escape sequences come as PS3.5 Annexes H and I show them: a set of G0 is left again
    before a delimiter and at the end, one of G1 is called anew after each delimiter, and
    left before it where value 1 has a G1 of its own.
    """
    if text.isascii():
        return text.encode("ascii")
    if vr not in CHARSET_TEXT or _CONTROLS.search(text):
        return None
    found = repertoire(terms)
    try:
        if found.alone:
            return text.encode(found.alone)
        return b"".join(_encoded(text, found, _delimiters(vr)))
    except UnicodeEncodeError:
        return None


def _encoded(text: str, found: Repertoire, reset: frozenset[int]) -> Iterator[bytes]:
    g0, g1 = found.g0, found.g1
    for character in text:
        if ord(character) in reset:
            yield from _value_1_again(g0, g1, found)
            g0, g1 = found.g0, found.g1
            yield character.encode("ascii")
            continue
        number, said = _say(character, (g0, g1, found.g0, *found.sets))
        code, at = _ESCAPE_OF[number]
        if number not in (g0, g1):
            yield code
        g0, g1 = (number, g1) if at == "G0" else (g0, number)
        yield said
    yield from _value_1_again(g0, g1, found)


def _value_1_again(g0: str, g1: str, found: Repertoire) -> Iterator[bytes]:
    if g0 != found.g0:
        yield _ESCAPE_OF[found.g0][0]
    if found.g1 and g1 != found.g1:
        yield _ESCAPE_OF[found.g1][0]


def _say(character: str, numbers: Sequence[str]) -> tuple[str, bytes]:
    """The first of some sets that has this character, with its bytes."""
    for number in numbers:
        said = _bytes_in(character, number) if number else None
        if said is not None:
            return number, said
    raise UnicodeEncodeError("dicom", character, 0, 1, "not in these character sets")


@lru_cache(maxsize=4096)
def _bytes_in(character: str, number: str) -> bytes | None:
    if number in ("6", "14"):
        return character.encode("ascii") if character.isascii() else None
    codec, before = _TWO_BYTES.get(number, ("", b""))
    try:
        said = character.encode(codec or _codec(number))
    except UnicodeEncodeError:
        return None
    if not codec:
        return said if len(said) == 1 and said[0] >= 0xA0 else None
    if len(said) != len(before) + 2 or not said.startswith(before):
        return None
    pair = said[len(before) :]
    if min(pair) < 0xA1:
        return None
    return bytes(b & 0x7F for b in pair) if _ESCAPE_OF[number][1] == "G0" else pair
