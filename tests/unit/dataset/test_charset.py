"""Specific Character Set: what is read, what is said, and what is neither."""

from __future__ import annotations

import pytest
from pydicom import charset as theirs
from pydicom.valuerep import PersonName

from reconcile.dataset.charset import Undecodable, can_encode, decode, encode, is_default
from tests.unit.dataset.made import bundled, reread, taken_apart

# PS3.5 Annexes H, I, J, K: (terms, bytes, text).
EXAMPLES = [
    (
        ["", "ISO 2022 IR 87"],
        (
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
            b"=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
        ),
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        (
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
            b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
        ),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    (
        ["", "ISO 2022 IR 149"],
        (
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
            b"=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
        ),
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    (
        ["", "ISO 2022 IR 58"],
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    (
        ["ISO_IR 192"],
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=",
        "Wang^XiaoDong=王^小東=",
    ),
    (
        ["GB18030"],
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        "Wang^XiaoDong=王^小东=",
    ),
    (
        ["GBK"],
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        "Wang^XiaoDong=王^小东=",
    ),
    (["ISO_IR 100"], b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (
        ["ISO_IR 127"],
        b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1",
        "قباني^لنزار",
    ),
    (
        ["ISO_IR 138"],
        b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4",
        "שרון^דבורה",
    ),
]
# PS3.3 Tables C.12-2 to C.12-5: (terms, what only these can say, its bytes).
TERMS: list[tuple[list[str], str, bytes]] = [
    ([""], "Adams^John", b"Adams^John"),
    (["ISO_IR 6"], "Adams^John", b"Adams^John"),
    (["ISO 2022 IR 6"], "Adams^John", b"Adams^John"),
    (["ISO 2022 IR 6", "ISO 2022 IR 159"], "丂", b"\x1b$(D\x30\x21\x1b(B"),
    (["", "ISO 2022 IR 159"], "丂", b"\x1b$(D\x30\x21\x1b(B"),
    (["", "ISO 2022 IR 87"], "亜", b"\x1b$B\x30\x21\x1b(B"),
    (["", "ISO 2022 IR 149"], "가", b"\x1b$)C\xb0\xa1"),
    (["", "ISO 2022 IR 58"], "啊", b"\x1b$)A\xb0\xa1"),
    (["ISO_IR 13"], "ｱ", b"\xb1"),
    (["", "ISO 2022 IR 13"], "ｱ", b"\x1b)I\xb1"),
    (["ISO_IR 166"], "ก", b"\xa1"),
    (["", "ISO 2022 IR 166"], "ก", b"\x1b-T\xa1"),
    (["ISO_IR 203"], "€", b"\xa4"),
    (["", "ISO 2022 IR 203"], "€", b"\x1b-b\xa4"),
    (["ISO_IR 192"], "é", b"\xc3\xa9"),
    (["GB18030"], "é", b"\xa8\xa6"),
    (["GB18030"], "\U00020087", b"\x95\x32\x90\x31"),
    (["GBK"], "丂", b"\x81\x40"),
]
# PS3.3 Table C.12-2: a name in each single-byte set.
SINGLE = {
    "100": ("latin-1", "Buc^Jérôme"),
    "101": ("iso8859_2", "Wałęsa^Łukasz"),
    "109": ("iso8859_3", "Ĉapek^Ŝi"),
    "110": ("iso8859_4", "Šķēps^Ģirts"),
    "126": ("iso8859_7", "Διονυσιος"),
    "127": ("iso8859_6", "قباني^لنزار"),
    "138": ("iso8859_8", "שרון^דבורה"),
    "144": ("iso8859_5", "Люкceмбypг"),
    "148": ("iso8859_9", "Çavuşoğlu"),
    "166": ("iso8859_11", "นามสกุล"),
    "203": ("iso8859_15", "Cœur^Žižka"),
    "13": ("shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
}


@pytest.mark.parametrize(("terms", "raw", "text"), EXAMPLES)
def test_the_standards_examples_are_read_and_said_to_the_byte(
    terms: list[str], raw: bytes, text: str
) -> None:
    """Names of PS3.5 Annexes H to K, in all three groups."""
    assert decode(raw, terms, "PN") == text
    assert encode(text, terms, "PN") == raw


@pytest.mark.parametrize("number", SINGLE)
def test_each_single_byte_set_is_known(number: str) -> None:
    """As value 1, and by an escape sequence after the default repertoire."""
    codec, text = SINGLE[number]
    raw = text.encode(codec)
    assert decode(raw, [f"ISO_IR {number}"], "PN") == text
    assert encode(text, [f"ISO_IR {number}"], "PN") == raw
    extended = ["", f"ISO 2022 IR {number}"]
    said = encode(text, extended, "PN")
    assert said is not None
    assert b"\x1b" in said
    assert decode(said, extended, "PN") == text


@pytest.mark.parametrize(("terms", "text", "raw"), TERMS)
def test_each_defined_term_is_known(terms: list[str], text: str, raw: bytes) -> None:
    """To the byte, both ways, alone or as an extension."""
    assert encode(text, terms, "LO") == raw
    assert decode(raw, terms, "LO") == text


@pytest.mark.parametrize("number", sorted(set(SINGLE) - {"203"}))
@pytest.mark.parametrize("extension", [True, False])
def test_what_we_say_pydicom_reads(number: str, extension: bool) -> None:
    """A second opinion on every set, where its table has it."""
    _, text = SINGLE[number]
    terms = ["", f"ISO 2022 IR {number}"] if extension else [f"ISO_IR {number}"]
    raw = encode(text, terms, "PN")
    assert raw is not None
    assert PersonName(raw, theirs.convert_encodings(terms)) == text


# Of ISO 2022 IR 58 pydicom 3.0 leaves the escape sequence in the text.
READ_BY_PYDICOM = [case for case in EXAMPLES if "ISO 2022 IR 58" not in case[0]]


@pytest.mark.parametrize(("terms", "raw", "text"), READ_BY_PYDICOM)
def test_pydicom_reads_the_examples_so(terms: list[str], raw: bytes, text: str) -> None:
    """The transcription of the annexes has a second reader."""
    read = str(PersonName(raw, theirs.convert_encodings(terms)))
    assert read == text.rstrip("=")


@pytest.mark.parametrize(
    ("raw", "terms"),
    [
        (b"\xb0\x41", ["", "ISO 2022 IR 149"]),
        (b"\x1b$)C\xb0\x41", ["", "ISO 2022 IR 149"]),
        (b"\x1b$)A\xb0\x21", ["", "ISO 2022 IR 58"]),
        (b"\x1b$B\x30\xa1\x1b(B", ["", "ISO 2022 IR 87"]),
        (b"\x1b$(D\x30", ["", "ISO 2022 IR 159"]),
        (b"M\xfcller", []),
        (b"M\xfcller", ["ISO_IR 192"]),
        (b"M\xfcller", ["ISO_IR 999"]),
        ("Müller".encode(), ["ISO_IR 6"]),
        (b"Caf\x92", ["ISO_IR 100"]),
        ("Ö".encode(), ["ISO_IR 100"]),
        (b"\x1b$B;3ED\x1b(B", ["ISO_IR 100"]),
        (b"\x1b$B;3E", ["", "ISO 2022 IR 87"]),
        (b"\x1b", ["", "ISO 2022 IR 87"]),
        (b"\xff\xff", ["GB18030"]),
    ],
)
def test_what_is_not_text_is_never_guessed(raw: bytes, terms: list[str]) -> None:
    """No replacement character is made and no other set is tried."""
    with pytest.raises(Undecodable) as caught:
        decode(raw, terms, "LO")
    assert raw.decode("latin-1") not in str(caught.value)


def test_only_text_values_are_in_the_character_set() -> None:
    """A code string beyond ASCII is none, whatever set is declared (PS3.5 6.1.2.3)."""
    with pytest.raises(Undecodable):
        decode(b"\xe9", ["ISO_IR 100"], "CS")
    assert encode("é", ["ISO_IR 100"], "CS") is None


def test_a_backslash_inside_a_character_parts_nothing() -> None:
    """0x5C is the second byte of many characters in IR 87, GBK and GB18030."""
    raw = encode("表", ["", "ISO 2022 IR 87"], "LO")
    assert raw is not None
    assert b"\x5c" not in raw  # its JIS form is 493D; a form with 5C:
    other = b"\x1b$B\x30\x5c\x1b(B"
    assert "\\" not in decode(other, ["", "ISO 2022 IR 87"], "LO")
    assert "\\" not in decode("俓".encode("gbk"), ["GBK"], "LO")


def test_a_delimiter_brings_value_1_back() -> None:
    """PS3.5 section 6.1.2.5.3: after ^ the default set is in force again."""
    with pytest.raises(Undecodable):
        decode(b"\x1b-A\xe9^\xe9", ["", "ISO 2022 IR 100"], "PN")
    assert decode(b"\x1b-A\xe9^\xe9", ["", "ISO 2022 IR 100"], "LO") == "é^é"


KOREAN = b"\x1b$)C\xb1\xe6"


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\f", b"\t", b"\\"])
def test_what_ends_a_line_or_a_value_brings_value_1_back(end: bytes) -> None:
    """PS3.5 section 6.1.2.5.3: each line and value calls its sets anew."""
    vr = "LO" if end == b"\\" else "UT"
    terms = ["", "ISO 2022 IR 149"]
    assert decode(KOREAN + end + KOREAN, terms, vr) == f"길{end.decode()}길"
    assert encode(f"길{end.decode()}길", terms, vr) == KOREAN + end + KOREAN
    with pytest.raises(Undecodable):
        decode(KOREAN + end + b"\xb1\xe6", terms, vr)


@pytest.mark.parametrize("vr", ["LT", "ST", "UT"])
def test_a_backslash_in_a_text_of_one_value_ends_nothing(vr: str) -> None:
    """It is a character there (PS3.5 Table 6.2-1): no set is left at it."""
    terms = ["", "ISO 2022 IR 100"]
    assert decode(b"\x1b-A\xe9\\\xe9", terms, vr) == "é\\é"
    assert encode("é\\é", terms, vr) == b"\x1b-A\xe9\\\xe9"


def test_an_equals_sign_is_a_delimiter_in_names_only() -> None:
    """As a circumflex is."""
    terms = ["", "ISO 2022 IR 100"]
    assert decode(b"\x1b-A\xe9=\xe9", terms, "LO") == "é=é"
    with pytest.raises(Undecodable):
        decode(b"\x1b-A\xe9=\xe9", terms, "PN")


def test_value_1_is_in_force_before_a_delimiter_and_at_the_end() -> None:
    """Where it has letters above 80H of its own, other ones are left by its sequence."""
    terms = ["ISO 2022 IR 100", "ISO 2022 IR 144"]
    said = b"\xe9\x1b-L\xb6\x1b-A^\xe9\x1b-L\xb6\x1b-A"
    assert encode("éЖ^éЖ", terms, "PN") == said
    assert decode(said, terms, "PN") == "éЖ^éЖ"
    left_open = b"\xe9\x1b-L\xb6^\xe9"
    assert decode(left_open, terms, "PN") == "éЖ^é"


def test_each_value_of_many_is_said_by_itself() -> None:
    """Whoever parts the bytes at backslashes can read each part."""
    terms = ["", "ISO 2022 IR 149"]
    said = encode("길\\동\\x", terms, "PN")
    assert said is not None
    assert [decode(part, terms, "PN") for part in said.split(b"\\")] == ["길", "동", "x"]


@pytest.mark.parametrize(
    ("text", "terms", "can"),
    [
        ("Smith", [], True),
        ("Müller", [], False),
        ("Müller", ["ISO_IR 100"], True),
        ("Łukasz", ["ISO_IR 100"], False),
        ("Łukasz", ["ISO 2022 IR 100", "ISO 2022 IR 101"], True),
        ("山田", ["ISO_IR 100"], False),
        ("山田", ["ISO_IR 192"], True),
        ("€", ["ISO_IR 203"], True),
        ("¥", ["ISO_IR 13"], False),
        ("丂", ["", "ISO 2022 IR 87"], False),
        ("丂", ["", "ISO 2022 IR 87", "ISO 2022 IR 159"], True),
    ],
)
def test_what_can_be_said_is_known(text: str, terms: list[str], can: bool) -> None:
    """And what is said reads back."""
    assert can_encode(text, terms) is can
    said = encode(text, terms, "LO")
    if said is not None:
        assert decode(said, terms, "LO") == text


@pytest.mark.parametrize("term", ["ISO IR 100", "ISO-IR 100", "iso_ir 100 ", "ISO_IR_100"])
def test_misspelled_terms_are_understood(term: str) -> None:
    """As pydicom understands them, without its warning."""
    assert decode(b"\xe9", [term], "LO") == "é"


def test_a_set_that_stands_alone_takes_no_extension() -> None:
    """Table C.12-5: first it is taken, elsewhere it is passed over."""
    assert decode("é".encode(), ["ISO_IR 192", "ISO 2022 IR 87"], "LO") == "é"
    assert decode(b"\xe9", ["ISO_IR 100", "ISO_IR 192"], "LO") == "é"


def test_a_korean_set_as_value_1_needs_no_escape() -> None:
    """Against the table, and common."""
    assert decode("홍길동".encode("euc_kr"), ["ISO 2022 IR 149"], "LO") == "홍길동"


def test_nothing_beyond_the_default_is_declared() -> None:
    """Absent, empty, or said in so many words."""
    assert is_default([])
    assert is_default([""])
    assert is_default(["ISO_IR 6"])
    assert not is_default(["", "ISO 2022 IR 87"])


def test_we_read_the_bundled_names_as_pydicom_does() -> None:
    """Every character set file of pydicom."""
    read = 0
    for path in bundled():
        if path.parent.name != "charset_files" or path.suffix != ".dcm":
            continue
        syntax, data = taken_apart(path)
        theirs = reread(data, syntax)
        if "PatientName" not in theirs:
            continue
        raw = theirs.PatientName.original_string
        charset = theirs.get("SpecificCharacterSet") or []
        terms = [charset] if isinstance(charset, str) else list(charset)
        ours = decode(b"=".join(raw) if isinstance(raw, tuple) else raw, terms, "PN")
        assert ours.rstrip("= ") == str(theirs.PatientName).rstrip("= ")
        read += 1
    assert read >= 15
