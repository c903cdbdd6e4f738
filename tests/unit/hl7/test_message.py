"""Reading messages from bytes: delimiters, line ends, character sets, escapes."""

from __future__ import annotations

from typing import Any

import hl7
import pytest

from reconcile.errors import CannotUnderstand, LimitExceeded, ReconcileError
from reconcile.hl7.charset import CODECS
from reconcile.hl7.errors import FieldInvalid
from reconcile.hl7.message import (
    REPETITIONS_MAX,
    SEGMENTS_MAX,
    VALUE_CHARACTERS_MAX,
    Repetition,
    Segment,
    read_header,
    read_message,
)
from reconcile.hl7.syntax import Syntax
from tests.unit.hl7.samples import OMI, ORM, PID, adt, message, msh, read


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\n\r", "\r\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\r\n", b"\x0b"])
def test_line_ends_and_marks_before_the_message_do_not_matter(
    end: str, start: bytes
) -> None:
    """CR, LF, CR LF, a byte order mark: the same segments come out."""
    found = read_message(start + message(*ORM, end=end))
    assert [s.raw for s in found.segments] == list(ORM)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_read(codec: str) -> None:
    """It is recognised by its mark, or by the zero bytes in MSH."""
    found = read_message(message(msh(), "PID|||1||Müller^山", encoding=codec))
    assert found.segments[1].text(5) == "Müller"


def test_a_line_feed_within_a_text_does_not_end_its_segment() -> None:
    """What does not begin like a segment goes on with the one before."""
    found = read(msh(), PID, "NTE|1||first line\nsecond | line", "Z01|x")
    assert [s.name for s in found.segments] == ["MSH", "PID", "NTE", "Z01"]
    assert found.segments[2].field(3) == "first line\nsecond "


def test_segments_are_counted_by_name() -> None:
    """ERR-2 names a segment by its sequence among its like."""
    found = read(msh(), "ORC|NW", "OBR|1", "ORC|CA", "OBR|2")
    assert found.all("ORC")[1].location(1) == "ORC^2^1"
    assert found.all("OBR")[1].location(4, 2) == "OBR^2^4^1^2"
    assert found.first("ZDS") is None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "nothing"),
        (b"MSH", "no delimiters"),
        (b"MSH|^~\\", "too short"),
        (b"PID|||1\rMSH|^~\\&|A", "MSH not first"),
        (b"FHS|^~\\&|A|B", "a batch"),
        (b"MSHA^~\\&AXAYA", "a letter as delimiter"),
        (b"MSH|^^^^|A|B|C", "one delimiter twice"),
        (b"\xff\xfeM\x00S\x00H\x00|", "half a UTF-16 unit"),
        (b"MSH\xc3\xa4^~\\&|A|B", "a delimiter beyond ASCII"),
    ],
)
def test_what_has_no_readable_msh_cannot_be_understood(raw: bytes, why: str) -> None:
    """AR: there is nobody to answer to by name."""
    assert why
    for reader in (read_header, read_message):
        with pytest.raises(CannotUnderstand):
            reader(raw)


@pytest.mark.parametrize(
    ("declared", "syntax"),
    [
        ("^~\\&", Syntax()),
        ("^~\\&#", Syntax()),
        ("", Syntax()),
        ("^~\\", Syntax()),
        ("$%*@", Syntax("|", "$", "%", "*", "@")),
        ("&~\\", Syntax("|", "&", "~", "\\", "")),
    ],
)
def test_delimiters_are_those_of_msh_2(declared: str, syntax: Syntax) -> None:
    """Those that it leaves out are the usual ones, unless they serve already."""
    found = read_header(f"MSH|{declared}|A|B|C|D|1||ADT^A08|1".encode()).segment.syntax
    assert found == syntax


def test_another_field_delimiter_is_taken_at_its_word() -> None:
    """MSH-1 is whatever follows MSH."""
    found = read_message(b"MSH#^~\\&#RIS#F#R#H#1##ADT^A08#1#P#2.5\rPID###1^^^A\r")
    assert found.header.application == "RIS"
    assert found.segments[1].repetitions(3)[0].text(4) == "A"


@pytest.mark.parametrize(
    ("msh_3", "msh_4", "sender"),
    [
        ("RIS_A", "", "RIS_A"),
        ("RIS_A", "RAD", "RIS_A|RAD"),
        ("RIS_A^1.2.3^ISO", "RAD^4.5^ISO", "RIS_A|RAD"),
        ("^1.2.3^ISO", "", "1.2.3"),
        (" RIS_A ", '""', "RIS_A"),
        ("R\\T\\A~X", "\\X00\\F", "R&A|F"),
        ("x" * 5000, "", "x" * 200),
    ],
)
def test_a_sender_is_known_by_msh_3_and_4(msh_3: str, msh_4: str, sender: str) -> None:
    """As one line of bounded length: it becomes a key."""
    raw = f"MSH|^~\\&|{msh_3}|{msh_4}|R|H|1||ADT^A08|1|P|2.5"
    assert read_header(raw.encode()).sender == sender


def test_a_header_says_what_the_message_is() -> None:
    """Type and event are MSH-9.1 and 9.2; what stands in 9.3 is not looked at."""
    header = read_header(message(msh("ADT^A08^ADT_A40", "2.3.1"), PID))
    assert (header.type, header.event, header.name) == ("ADT", "A08", "ADT^A08")
    assert (header.control_id, header.version) == ("4711", "2.3.1")


# -- values ------------------------------------------------------------------------

FIELD = Segment('PID|||1^a&b^""~2^c~|""||""^""|^""x', Syntax())


@pytest.mark.parametrize(
    ("number", "component", "subcomponent", "value"),
    [
        (3, 1, 1, "1"),
        (3, 2, 1, "a"),
        (3, 2, 2, "b"),
        (3, 2, 3, ""),
        (3, 3, 1, ""),
        (3, 9, 1, ""),
        (4, 1, 1, ""),
        (5, 1, 1, ""),
        (99, 1, 1, ""),
    ],
)
def test_values_are_counted_from_one(
    number: int, component: int, subcomponent: int, value: str
) -> None:
    """And what is not there is empty."""
    assert FIELD.text(number, component, subcomponent) == value


def test_an_explicit_null_is_not_an_absent_field() -> None:
    """`""` deletes; nothing between two delimiters leaves things as they are."""
    assert [FIELD.is_null(n) for n in (3, 4, 5, 6, 7, 99)] == [
        False,
        True,
        False,
        True,
        False,
        False,
    ]


def test_repetitions_are_all_found() -> None:
    """An empty one too: positions count."""
    assert [r.text() for r in FIELD.repetitions(3)] == ["1", "2", ""]
    assert FIELD.repetitions(5) == ()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\F\b\S\c\R\d\E\e\T\f", r"a|b^c~d\e&f"),
        (r"\X4D\\X2026\x", "M &x"),
        (r"\XC3BC\ber", "über"),
        (r"\H\bold\N\ text", "bold text"),
        (r"one\.br\two", "one\rtwo"),
        (r"C:\dir\file", r"C:\dir\file"),
        (r"\Zxx\ \XZZ\ \X4\ \ ", r"\Zxx\ \XZZ\ \X4\ \ "),
        (r"\E\F\E\ ", "\\F\\ "),
    ],
)
def test_escapes_are_resolved_and_unknown_ones_left_alone(raw: str, text: str) -> None:
    """Section 2.7 of the standard, and the backslashes of those who never read it."""
    syntax = Syntax(codec="utf-8")
    assert Repetition(raw, syntax).text() == text
    assert syntax.unescape(syntax.escape(text)) == text


def test_a_sender_without_escapes_is_read_literally() -> None:
    """Where MSH-2 names none, nothing is one; delimiters become blanks in answers."""
    syntax = Syntax(escape_character="")
    assert syntax.unescape(r"\F\ ") == r"\F\ "
    assert syntax.escape("a|b") == "a b"


# -- character sets ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "encoding", "name"),
    [
        ("8859/1", "latin-1", "Müller"),
        ("8859/2", "iso8859_2", "Łukasz"),
        ("8859/5", "iso8859_5", "Иванов"),
        ("8859/7", "iso8859_7", "Παπάς"),
        ("8859/9", "iso8859_9", "Şimşek"),
        ("8859/15", "iso8859_15", "Œuvre"),
        ("UNICODE UTF-8", "utf-8", "山田"),
        ("unicode utf-8", "utf-8", "山田"),
        ("GB 18030-2000", "gb18030", "张伟"),
        ("KS X 1001", "euc_kr", "김희중"),
        ("BIG-5", "big5", "王小東"),
        ("ISO IR14", "shift_jis", "ﾔﾏﾀﾞ"),
        ("~ISO IR87", "iso2022_jp", "山田"),
        ("ASCII~ISO IR87", "iso2022_jp", "山田"),
    ],
)
def test_what_msh_18_declares_is_read(declared: str, encoding: str, name: str) -> None:
    """Each set of table 0211 by its codec, without a word about it."""
    raw = message(msh(charset=declared), f"PID|||1||{name}", encoding=encoding)
    found = read_message(raw)
    assert (found.segments[1].text(5), found.charset_note) == (name, "")


@pytest.mark.parametrize(
    ("declared", "default", "encoding", "codec"),
    [
        ("", "", "utf-8", "utf-8"),
        ("", "", "latin-1", "latin-1"),
        ("", "8859/2", "iso8859_2", ""),
        ("", "8859/1", "latin-1", ""),
        ("", "UNICODE UTF-8", "utf-8", ""),
        ("ASCII", "", "utf-8", "utf-8"),
        ("ASCII", "", "latin-1", "latin-1"),
        ("ASCII", "8859/2", "iso8859_2", "iso8859_2"),
        ("8859/1", "", "utf-8", "utf-8"),
        ("8859/1", "", "cp1252", "cp1252"),
        ("UNICODE UTF-8", "", "latin-1", "latin-1"),
        ("UNICODE UTF-8", "8859/2", "iso8859_2", "iso8859_2"),
        ("CNS 11643-1992", "", "utf-8", "utf-8"),
        ("Müller", "", "utf-8", "utf-8"),
        ("KS X 1001", "", "latin-1", "latin-1"),
    ],
)
def test_a_lying_msh_18_does_not_garble_a_name(
    declared: str, default: str, encoding: str, codec: str
) -> None:
    """The likeliest reading is taken; what had to be assumed is said, without values."""
    name = {"iso8859_2": "Łukaszű", "cp1252": "O\u2019Brien"}.get(encoding, "Jürgens")
    raw = message(msh(charset=declared), encoding="utf-8")
    raw += message(f"PID|||1||{name}", encoding=encoding)
    found = read_message(raw, default)
    assert found.segments[1].text(5) == name
    assert found.charset_note.endswith(codec) if codec else not found.charset_note
    assert "Müller" not in found.charset_note


def test_every_set_of_the_table_has_a_codec() -> None:
    """A codec that Python does not have would be found out by a patient."""
    for codec in CODECS.values():
        assert "DOE".encode(codec).decode(codec) == "DOE"


# -- limits ------------------------------------------------------------------------


def test_a_message_of_five_megabytes_is_read() -> None:
    """An embedded document does not hide the patient."""
    document = "QUJD" * (5 << 18)
    found = read(msh(), f"OBX|1|ED|PDF||^AP^^Base64^{document}", PID)
    assert found.first("PID") is not None
    assert found.segments[1].field(5).endswith("QUJD")


def test_lines_without_end_are_refused() -> None:
    """Nobody sends two hundred thousand segments."""
    with pytest.raises(LimitExceeded):
        read_message(message(msh()) + b"A\r" * (SEGMENTS_MAX + 1))


@pytest.mark.parametrize(
    "field",
    ["x" * (VALUE_CHARACTERS_MAX + 1), "1~" * REPETITIONS_MAX],
    ids=["long", "many"],
)
def test_fields_without_end_are_refused(field: str) -> None:
    """With their place, and without their value."""
    segment = read(msh(), f"PID|||{field}").segments[1]
    with pytest.raises(FieldInvalid) as caught:
        segment.repetitions(3)
    assert caught.value.location == "PID^1^3"
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("filler", [b"|", b"^", b"~", b"&", b"\\", b"\r", b"\n", b"\x00"])
def test_masses_of_one_byte_are_read_in_linear_time(filler: bytes) -> None:
    """A megabyte of any delimiter is refused, or read at once."""
    raw = message(msh()) + b"PID|||1||" + filler * (1 << 20)
    try:
        pid = read_message(raw).segments[1]
        pid.repetitions(5)
        pid.text(5, 2, 2)
    except ReconcileError:
        pass


# -- an independent reader ---------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [adt(PID), message(*ORM), message(*OMI), adt("PID|||1^^^A&1.2&ISO~2^^^B||A&B^C~D^E")],
    ids=["adt", "orm", "omi", "repetitions"],
)
def test_an_independent_parser_reads_the_same(raw: bytes) -> None:
    """Every component of every repetition of every field."""
    theirs: Any = hl7.parse(raw.decode())
    for mine, other in zip(read_message(raw).segments, theirs, strict=True):
        for number in range(1, len(other)):
            if mine.name == "MSH" and number < 3:
                continue
            assert [_flat(r) for r in mine.repetitions(number)] == [
                _flat_theirs(r) for r in other[number] if str(other[number])
            ]


def _flat(repetition: Repetition) -> list[list[str]]:
    parts = repetition.raw.split("^")
    return [
        [repetition.text(c, s) for s in range(1, part.count("&") + 2)]
        for c, part in enumerate(parts, 1)
    ]


def _flat_theirs(repetition: Any) -> list[list[str]]:
    if isinstance(repetition, str):
        return [[repetition]]
    return [[str(s) for s in c] if not isinstance(c, str) else [c] for c in repetition]
