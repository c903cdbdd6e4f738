"""From bytes to text: what MSH-18 says, and the lies about it.

A declared character set is believed as long as the bytes can be text in it. Where they
cannot, the sender's configured set, UTF-8 and Latin-1 are tried, and what was done is
said in a note: a message is never refused for its character set alone.

Source: HL7 table 0211 (alternate character sets), HL7 v2.5.1 section 2.15.9.18.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: HL7 table 0211 -> codec. CNS 11643-1992 is absent: Python has no codec for it.
CODECS = {
    "ASCII": "ascii",
    "ISO IR6": "ascii",
    "8859/1": "latin-1",
    "8859/2": "iso8859_2",
    "8859/3": "iso8859_3",
    "8859/4": "iso8859_4",
    "8859/5": "iso8859_5",
    "8859/6": "iso8859_6",
    "8859/7": "iso8859_7",
    "8859/8": "iso8859_8",
    "8859/9": "iso8859_9",
    "8859/15": "iso8859_15",
    "ISO IR13": "iso2022_jp_ext",
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp_ext",
    "ISO IR159": "iso2022_jp_ext",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    # Not in the table, but sent.
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO-8859-1": "latin-1",
    "ISO8859-1": "latin-1",
    "ISO_IR 100": "latin-1",
    "ISO_IR 192": "utf-8",
    "WINDOWS-1252": "cp1252",
}

_C1 = re.compile(rb"[\x80-\x9f]")


class Decoded(NamedTuple):
    """Text with the codec that it was read by; `note`: what had to be assumed."""

    text: str
    codec: str
    note: str


def decode(raw: bytes, declared: Sequence[str] = (), default: str = "") -> Decoded:
    """Read the bytes of a message as text. Never fails.

    Args:
        raw: the message.
        declared: the repetitions of MSH-18.
        default: what the sender's text beyond ASCII is, where MSH-18 names nothing:
            a name of table 0211.
    """
    said, preset = _codec(declared), CODECS.get(default.upper(), "")
    if raw.isascii() and b"\x1b" not in raw:
        return Decoded(raw.decode("ascii"), said or preset or "ascii", "")
    for codec in _candidates(raw, said, preset):
        text = _try(raw, codec)
        if text is not None:
            return Decoded(text, codec, _note(declared, said or preset, codec))
    return Decoded(raw.decode("latin-1"), "latin-1", _note(declared, said, "latin-1"))


def _codec(declared: Sequence[str]) -> str:
    """The codec of MSH-18; empty: it names none, or none that we know.

    Further repetitions name sets that ISO 2022 escapes switch to; a first one that is
    empty is ASCII. Python's codec of the Japanese sets contains ASCII.
    """
    names = [name.strip().upper() for name in declared]
    codecs = [CODECS[name] for name in names if name in CODECS]
    switched = [codec for codec in codecs if codec.startswith("iso2022")]
    return next(iter(switched + codecs), "")


def _candidates(raw: bytes, said: str, preset: str) -> Iterator[str]:
    """Codecs to try, the most believable first.

    Text in Latin-1 is next to never valid UTF-8 by chance (it would need letters like
    Ã followed by signs like ¼), so UTF-8 is recognised under a declared Latin-1.
    """
    first = said or preset
    if first in ("latin-1", "ascii"):
        yield "utf-8"
    if first in ("latin-1", "cp1252") and _C1.search(raw):
        yield "cp1252"
    yield from filter(None, (said, preset, "utf-8"))
    if _C1.search(raw):
        yield "cp1252"


def _try(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None


def _note(declared: Sequence[str], expected: str, codec: str) -> str:
    """What to tell of a message that was not read as it said; empty: nothing.

    Only names of the table are repeated: MSH-18 may hold anything.
    """
    if codec == expected:
        return ""
    known = [name.strip() for name in declared if name.strip().upper() in CODECS]
    named = any(name.strip() for name in declared)
    said = "~".join(known) or ("an unknown set" if named else "nothing")
    return f"MSH-18 says {said}, read as {codec}"
