"""An HL7 v2 message in the vertical bar encoding, read from its bytes.

Lenient in everything that real senders get wrong and that leaves no doubt (line ends,
byte order marks, character sets, missing delimiters, stray line feeds in a text), strict
in what would be guessing. Nothing here knows what a field means: `fields.py` does.

Whatever the bytes are, only ReconcileError comes out, and the work done is proportional
to their length.

Source: HL7 v2.5.1 chapter 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from reconcile.errors import CannotUnderstand, LimitExceeded
from reconcile.hl7.charset import decode
from reconcile.hl7.errors import FieldInvalid
from reconcile.hl7.syntax import Syntax, one_line, read_syntax

#: What HL7 writes for "delete the value": not the same as leaving a field out.
NULL = '""'

# What no sender needs, and what would let one make us split for ever.
SEGMENTS_MAX = 200_000
FIELDS_MAX = 1_000
REPETITIONS_MAX = 1_000
COMPONENTS_MAX = 100
VALUE_CHARACTERS_MAX = 4_000
HEADER_CHARACTERS_MAX = 200

_LINE_ENDS = re.compile(r"[\r\n]+")
_LINE_END_BYTES = re.compile(rb"[\r\n]")
_MSH18 = 17  # counted from "MSH": MSH-1 is the delimiter itself


@dataclass(frozen=True, slots=True)
class Repetition:
    """One repetition of a field: components, and subcomponents in them."""

    raw: str
    syntax: Syntax

    def component(self, number: int) -> str:
        """Component `number` (from 1) as it stands, escapes included; "": absent."""
        return _part(self.raw, self.syntax.component, number)

    def text(self, component: int = 1, subcomponent: int = 1) -> str:
        """The value of a (sub)component; "" where it is absent or explicitly null."""
        whole = self.component(component)
        part = _part(whole, self.syntax.subcomponent, subcomponent)
        return "" if part == NULL else self.syntax.unescape(part)

    @property
    def is_null(self) -> bool:
        """Whether `""` is all that is said."""
        parts = {part.strip() for part in _split(self.raw, self.syntax.component)}
        return NULL in parts and parts <= {NULL, ""}


class Segment:
    """One segment of a message.

    Attributes:
        name: PID, MSH, ZDS.
        sequence: the how manieth of its name in the message, from 1.
    """

    __slots__ = ("__dict__", "name", "raw", "sequence", "syntax")

    def __init__(self, raw: str, syntax: Syntax, sequence: int = 1) -> None:
        self.raw = raw
        self.syntax = syntax
        self.sequence = sequence
        self.name = raw[:3]

    @cached_property
    def _fields(self) -> list[str]:
        fields = self.raw.split(self.syntax.field, FIELDS_MAX)
        if self.name == "MSH":
            fields.insert(1, self.syntax.field)
        return fields

    def field(self, number: int) -> str:
        """Field `number` as it stands; "": absent."""
        return self._fields[number] if number < len(self._fields) else ""

    def repetitions(self, number: int) -> tuple[Repetition, ...]:
        """The repetitions of a field; none where it is absent.

        Raises:
            FieldInvalid: they are more, or longer, than any sender has a use for.
        """
        raw, mark = self.field(number), self.syntax.repetition
        if not raw:
            return ()
        if mark and raw.count(mark) >= REPETITIONS_MAX:
            raise FieldInvalid("a field repeats too often", self.location(number))
        parts = raw.split(mark) if mark else [raw]
        return tuple(self._repetition(part, number) for part in parts)

    def text(self, number: int, component: int = 1, subcomponent: int = 1) -> str:
        """The value of a field's first repetition; "" where absent or null.

        Raises:
            FieldInvalid: it is longer than any sender has a use for.
        """
        first = _part(self.field(number), self.syntax.repetition, 1)
        return self._repetition(first, number).text(component, subcomponent)

    def _repetition(self, raw: str, number: int) -> Repetition:
        if len(raw) > VALUE_CHARACTERS_MAX:
            raise FieldInvalid("a field is too long", self.location(number))
        return Repetition(raw, self.syntax)

    def is_null(self, number: int) -> bool:
        r"""Whether the field was sent as `""`: delete the value."""
        return Repetition(self.field(number), self.syntax).is_null

    def location(self, number: int, component: int = 0) -> str:
        """The field's place as ERR-2 writes it."""
        place = f"{self.name}^{self.sequence}^{number}"
        return f"{place}^1^{component}" if component else place


class Header:
    """What MSH says of a message: who sent it, what it is, how it is written."""

    __slots__ = ("segment",)

    def __init__(self, segment: Segment) -> None:
        self.segment = segment

    @property
    def application(self) -> str:
        """MSH-3: namespace, or the universal ID where there is no namespace."""
        return self.value(3, 1) or self.value(3, 2)

    @property
    def facility(self) -> str:
        """MSH-4: namespace, or the universal ID where there is no namespace."""
        return self.value(4, 1) or self.value(4, 2)

    @property
    def sender(self) -> str:
        """Both, as one key: `RIS_A|RADIOLOGY`, or `RIS_A`."""
        return "|".join(filter(None, (self.application, self.facility)))

    @property
    def type(self) -> str:
        """MSH-9.1, "ADT"."""
        return self.value(9, 1)

    @property
    def event(self) -> str:
        """MSH-9.2, "A08". MSH-9.3 is never looked at: senders put anything there."""
        return self.value(9, 2)

    @property
    def name(self) -> str:
        """Both, "ADT^A08"."""
        return "^".join(filter(None, (self.type, self.event)))

    @property
    def control_id(self) -> str:
        return self.value(10)

    @property
    def version(self) -> str:
        return self.value(12)

    def value(self, number: int, component: int = 1) -> str:
        """A value of MSH, fit for a key: one line, of bounded length. Never fails."""
        syntax = self.segment.syntax
        first = _part(self.segment.field(number), syntax.repetition, 1)
        bounded = first[:VALUE_CHARACTERS_MAX]
        return one_line(Repetition(bounded, syntax).text(component))[:HEADER_CHARACTERS_MAX]


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose segments can be read.

    Attributes:
        charset: the codec that it was read by.
        charset_note: what had to be assumed about its character set; "": nothing.
    """

    header: Header
    segments: tuple[Segment, ...]
    charset: str
    charset_note: str

    def all(self, name: str) -> tuple[Segment, ...]:
        return tuple(segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment | None:
        return next((s for s in self.segments if s.name == name), None)


def read_header(raw: bytes) -> Header:
    """Read MSH, and no more: enough to know the sender and to answer.

    Raises:
        CannotUnderstand: the message does not begin with a readable MSH.
    """
    line = _LINE_END_BYTES.split(_plain(raw), 1)[0]
    decoded = decode(line, _declared(line))
    return Header(Segment(decoded.text, read_syntax(decoded.text, decoded.codec)))


def read_message(raw: bytes, charset: str = "") -> Message:
    """Read a whole message.

    Args:
        raw: the message, without its framing.
        charset: of the sender's text beyond ASCII where MSH-18 names none, as in HL7
            table 0211 ("8859/1").

    Raises:
        CannotUnderstand: no MSH, or one without delimiters.
        LimitExceeded: more segments than any sender has a use for.
    """
    plain = _plain(raw)
    declared = _declared(_LINE_END_BYTES.split(plain, 1)[0])
    decoded = decode(plain, declared, charset)
    syntax = read_syntax(decoded.text, decoded.codec)
    segments = tuple(_segments(decoded.text, syntax))
    return Message(Header(segments[0]), segments, decoded.codec, decoded.note)


def _plain(raw: bytes) -> bytes:
    """The message from "MSH" on, in an encoding in which ASCII is ASCII."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[:4] in (b"M\0S\0", b"\0M\0S"):
        raw = _from_utf16(raw)
    raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\x0b\r\n\t ")
    if raw[:3] != b"MSH" or len(raw) < 8:
        raise CannotUnderstand("the message does not begin with MSH")
    return raw


def _from_utf16(raw: bytes) -> bytes:
    codec = {b"M\0": "utf-16-le", b"\0M": "utf-16-be"}.get(raw[:2], "utf-16")
    try:
        return raw.decode(codec).encode("utf-8")
    except UnicodeDecodeError:
        raise CannotUnderstand("the message is no valid UTF-16") from None


def _declared(line: bytes) -> list[str]:
    """The repetitions of MSH-18, read before the character set is known."""
    fields = line.split(line[3:4], _MSH18 + 1) if line[3:4] else []
    if len(fields) <= _MSH18:
        return []
    repetition = fields[1][1:2] or b"~"
    return [name.decode("ascii", "replace") for name in fields[_MSH18].split(repetition)]


def _segments(text: str, syntax: Syntax) -> Iterator[Segment]:
    """The segments of a text.

    A line that does not begin like a segment goes on with the one before: line feeds
    within a text are not always escaped.
    """
    begins = re.compile(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(syntax.field)}|$)")
    seen: dict[str, int] = {}
    pending: list[str] = []
    for line in _lines(text):
        if pending and begins.match(line):
            yield _segment(pending, syntax, seen)
            pending = []
        pending.append(line)
    yield _segment(pending, syntax, seen)


def _lines(text: str) -> Iterator[str]:
    lines = _LINE_ENDS.split(text, SEGMENTS_MAX)
    if len(lines) > SEGMENTS_MAX:
        raise LimitExceeded(f"the message has more than {SEGMENTS_MAX} lines")
    return (line for line in lines if line)


def _segment(lines: list[str], syntax: Syntax, seen: dict[str, int]) -> Segment:
    name = lines[0][:3]
    seen[name] = seen.get(name, 0) + 1
    return Segment("\n".join(lines), syntax, seen[name])


def _split(raw: str, mark: str) -> list[str]:
    return raw.split(mark, COMPONENTS_MAX) if mark else [raw]


def _part(raw: str, mark: str, number: int) -> str:
    """Part `number`, from 1, of `raw`; "" where there are fewer."""
    if number == 1 and (not mark or mark not in raw):
        return raw
    parts = _split(raw, mark)
    return parts[number - 1] if number <= len(parts) else ""
