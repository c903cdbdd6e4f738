"""Laws of character sets: all of them, however nested, in every transfer syntax."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile.core.attributes import Assign, Element, element, person_name, same
from reconcile.dataset import overlay
from reconcile.dataset.charset import can_encode, decode, encode
from reconcile.dataset.conforming import conforms
from reconcile.dataset.facts import Received, read
from reconcile.dataset.overlay import plan, take_back
from tests.unit.dataset.made import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    MINIMAL,
    Values,
    coercion,
    data_set,
    item,
    out,
    pixels,
    undefined,
)

# PS3.3 Tables C.12-2 to C.12-5: terms, and letters beyond ASCII that all of them have.
LETTERS = {
    (): "",
    ("ISO_IR 100",): "äéßÑ",
    ("ISO_IR 101",): "łśž",
    ("ISO_IR 109",): "ĈŜĝ",
    ("ISO_IR 110",): "Šķē",
    ("ISO_IR 126",): "Διο",
    ("ISO_IR 127",): "قبا",
    ("ISO_IR 138",): "שרו",
    ("ISO_IR 144",): "ЖЛю",
    ("ISO_IR 148",): "Çğş",
    ("ISO_IR 166",): "กขค",
    ("ISO_IR 203",): "€œŽ",
    ("ISO_IR 13",): "ﾔﾏﾀ",
    ("", "ISO 2022 IR 87"): "山田まつ",
    ("ISO 2022 IR 6", "ISO 2022 IR 159"): "丂丄",
    ("ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 159"): "ﾔ山丂",
    ("", "ISO 2022 IR 149"): "홍길洪",
    ("", "ISO 2022 IR 58"): "张小东",
    ("ISO 2022 IR 100", "ISO 2022 IR 144", "ISO 2022 IR 126"): "äЖΔ",
    ("", "ISO 2022 IR 138", "ISO 2022 IR 87"): "ש山",
    ("GB18030",): "张é홍\U00020087",
    ("GBK",): "张俓",
    ("ISO_IR 192",): "ä山Ж홍",
}
WIDE = "ä山Жł홍ვ"
TEXTS = {0x00081030: "LO", 0x00100010: "PN", 0x00100020: "LO", 0x00204000: "LT"}
SYNTAXES = (IMPLICIT, EXPLICIT, BIG_ENDIAN)
SETTINGS = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def texts(letters: str, punctuation: str = " ") -> st.SearchStrategy[str]:
    said = st.text("aB1" + punctuation + letters, max_size=12)
    return said.map(lambda text: text.strip(" \\"))


@st.composite
def written(draw: st.DrawFn) -> tuple[Received, bytes, str]:
    """A data set with nested text: (read, its bytes, its syntax)."""
    terms = draw(st.sampled_from(sorted(LETTERS)))
    syntax = draw(st.sampled_from(SYNTAXES))
    word = texts(LETTERS[terms])

    def said(vr: str) -> tuple[str, bytes]:
        raw = encode(draw(word), terms, vr)
        assert raw is not None
        return vr, raw

    values: Values = {**MINIMAL, **{tag: said(vr) for tag, vr in TEXTS.items()}}
    if terms:
        values[0x00080005] = ("CS", "\\".join(terms).encode())
    content = data_set({0x00080090: said("PN"), 0x0040A160: said("UT")}, syntax)
    for level in range(draw(st.integers(0, 3))):
        content = (
            undefined(0x0040A730, content, syntax)
            if level % 2
            else data_set({0x0040A730: ("SQ", item_of(content, syntax))}, syntax)
        )
    values[0x00400275] = ("SQ", item_of(content, syntax))
    for tag in draw(st.sets(st.sampled_from(sorted(BROKEN)))):
        values[tag] = BROKEN[tag]
    data = data_set(values, syntax, pixels(syntax))
    return read(data, syntax), data, syntax


def item_of(content: bytes, syntax: str) -> bytes:
    return (
        item({}, syntax)[:4]
        + len(content).to_bytes(4, "big" if syntax == BIG_ENDIAN else "little")
        + content
    )


# Values that break their VR, VM or character set.
BROKEN: Values = {
    0x00080050: ("SH", b"A" * 20),
    0x00100020: ("LO", b"1\\2"),
    0x00100021: ("LO", b"x" * 70),
    0x00100030: ("DA", b"1942.08.15"),
    0x0020000D: ("UI", b"1.02.3\0\0"),
}


@st.composite
def assigned(draw: st.DrawFn) -> tuple[Assign, ...]:
    word = texts(WIDE)
    name = Assign("00100010", person_name(draw(word), draw(word), draw(word)))
    more: dict[str, Element] = {
        "00080050": element("SH", "A1"),
        "00100020": element("LO", "E1"),
        "00100030": element("DA", "19420815"),
        "0020000D": element("UI", "2.25.9"),
        "00400275": element("SQ", {"00321060": element("LO", draw(word) or "x")}),
    }
    tags = draw(st.sets(st.sampled_from(sorted(more))))
    return name, *(Assign(tag, more[tag]) for tag in sorted(tags))


@SETTINGS
@given(written(), assigned())
def test_taking_back_gives_the_received_bytes(
    came: tuple[Received, bytes, str], assigns: tuple[Assign, ...]
) -> None:
    """In every character set and transfer syntax, whatever rules the values broke."""
    received, data, syntax = came
    planned = plan(received, assigns)
    if planned.changes:
        given_out = out(received, coercion(*assigns))
        assert take_back(given_out, syntax, planned.absent) == data


@SETTINGS
@given(written(), assigned())
def test_text_reads_the_same_before_and_after_widening(
    came: tuple[Received, bytes, str], assigns: tuple[Assign, ...]
) -> None:
    """All that is not listed, nested text too."""
    received, _, syntax = came
    planned = plan(received, assigns)
    after = read(out(received, coercion(*assigns)), syntax)
    listed = {*planned.original, "04000561"}
    for raw in received.raw_elements():
        tag = f"{raw.tag:08X}"
        if tag not in listed:
            assert same(received.element(tag), after.element(tag)), tag


@SETTINGS
@given(written(), assigned())
def test_planning_twice_finds_nothing(
    came: tuple[Received, bytes, str], assigns: tuple[Assign, ...]
) -> None:
    """Neither against the fold nor against what it gave out."""
    received, _, syntax = came
    made = coercion(*assigns)
    assert plan(overlay.given(received, [made]), assigns).changes == ()
    assert plan(read(out(received, made), syntax), assigns).changes == ()


@SETTINGS
@given(written(), assigned())
def test_an_item_holds_no_value_that_breaks_a_rule(
    came: tuple[Received, bytes, str], assigns: tuple[Assign, ...]
) -> None:
    """Each previous value stands in (0400,0550) or, as it came, in (0400,0551)."""
    received, _, syntax = came
    planned = plan(received, assigns)
    broken = {f"{f.tag:08X}": f.value for f in planned.nonconforming if not f.path}
    for tag, was in planned.original.items():
        raw = received.raw_element(int(tag, 16))
        if raw is None or not conforms(raw, received.declared, received.encoding):
            assert "Value" not in was
            assert "InlineBinary" not in was
        if raw is not None and tag in broken:
            assert broken[tag] == raw.value
    if planned.changes:
        made = coercion(*assigns)
        [held] = (read(out(received, made), syntax).element("04000561") or {})["Value"]
        assert held == overlay.original_attributes_item(planned, made)


@SETTINGS
@given(
    st.sampled_from(sorted(LETTERS)),
    st.sampled_from(["LO", "PN", "UT", "UC", "SH"]),
    st.data(),
)
def test_what_is_said_is_read_back(
    terms: tuple[str, ...], vr: str, draw: st.DataObject
) -> None:
    """With delimiters, ends of lines and many values, in every set."""
    text = draw.draw(texts(LETTERS[terms], " ^=\\" + ("\r\n\f\t" if vr == "UT" else "")))
    said = encode(text, terms, vr)
    assert said is not None
    assert decode(said, terms, vr) == text


@SETTINGS
@given(
    st.sampled_from(sorted(LETTERS)),
    st.sampled_from(["LO", "PN", "UT"]),
    st.binary(max_size=12),
)
def test_bytes_are_read_as_one_text_or_not_at_all(
    terms: tuple[str, ...], vr: str, raw: bytes
) -> None:
    """What is read and can be said again reads as the same text."""
    try:
        text = decode(raw, terms, vr)
    except ValueError:
        return
    again = encode(text, terms, vr)
    assert (again is not None) == can_encode(text, terms, vr)
    if again is not None:
        assert decode(again, terms, vr) == text
