"""Laws of giving out: whatever came, whatever was assigned, however it is written."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile.core.attributes import (
    Assign,
    Change,
    Element,
    Follow,
    Recode,
    element,
    person_name,
    same,
)
from reconcile.dataset import overlay
from reconcile.dataset.charset import can_encode, decode, encode
from reconcile.dataset.dicom_json import from_json, to_json
from reconcile.dataset.elements import encoding_of, scan
from reconcile.dataset.facts import Received, read
from reconcile.dataset.overlay import Coercion, give_out, plan, take_back
from reconcile.dataset.splice import splice
from reconcile.errors import CannotUnderstand, LimitExceeded
from tests.unit.dataset.made import (
    EXPLICIT,
    MINIMAL,
    SYNTAXES,
    Values,
    coercion,
    data_set,
    item,
    pixels,
    reread,
    undefined,
)

# (terms, letters that the set can say beyond ASCII).
CHARSETS = [
    ((), ""),
    (("ISO_IR 100",), "äéßÑ"),
    (("ISO_IR 101",), "łśž"),
    (("ISO_IR 144",), "ЖЛюк"),
    (("ISO_IR 13",), "ﾔﾏﾀﾛ"),
    (("", "ISO 2022 IR 87"), "山田太郎まつ"),
    (("ISO 2022 IR 13", "ISO 2022 IR 87"), "山田ﾔﾏ"),
    (("", "ISO 2022 IR 149"), "홍길동洪"),
    (("", "ISO 2022 IR 58"), "张小东"),
    (("ISO 2022 IR 100", "ISO 2022 IR 144"), "äéЖЛ"),
    (("GB18030",), "张小东é"),
    (("GBK",), "张小东俓"),
    (("ISO_IR 192",), "ä山Ж홍"),
]
WIDE = "aB ^äéłЖ山ﾔ홍张"
TEXT_TAGS = {
    0x00080050: "SH",
    0x00080090: "PN",
    0x00081030: "LO",
    0x00100010: "PN",
    0x00100020: "LO",
    0x00100021: "LO",
    0x00204000: "LT",
    0x00291001: "LO",
}
STUDY = b"1.2.3.77"
CODE: Values = {
    0x00080100: ("SH", b"T-62000 "),
    0x00080102: ("SH", b"SRT "),
    0x00080103: ("SH", b"98"),
}
MAC_ID = 0x04000005
#: Encapsulated pixel data: an empty offset table, and one fragment.
FRAGMENTS = (
    b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
    b"\xfe\xff\x00\xe0\0\0\0\0"
    b"\xfe\xff\x00\xe0\x40\0\0\0" + bytes(64) + b"\xfe\xff\xdd\xe0\0\0\0\0"
)
#: Changes by value, of what may stand inside.
INSIDE: list[Change] = [
    Follow((("", "1.2.3.77", "2.25.77"),)),
    Recode((("SRT", "T-62000", "10200004"),)),
]
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def words(letters: str) -> st.SearchStrategy[str]:
    return st.text("aB 1" + letters, max_size=12).map(lambda text: text.strip())


@st.composite
def received_sets(draw: st.DrawFn) -> tuple[Received, bytes, str]:
    """A data set in some encoding and character set: (read, its bytes, its syntax)."""
    syntax = draw(st.sampled_from(SYNTAXES))
    terms, letters = draw(st.sampled_from(CHARSETS))
    word = words(letters)

    def said(vr: str) -> bytes:
        raw = encode(draw(word), terms, vr)
        assert raw is not None
        return raw

    values = dict(MINIMAL)
    if terms:
        values[0x00080005] = ("CS", "\\".join(terms).encode())
    for tag in draw(st.sets(st.sampled_from(sorted(TEXT_TAGS)))):
        values[tag] = (TEXT_TAGS[tag], said(TEXT_TAGS[tag]))
    content = {0x00321060: ("LO", said("LO")), 0x00400009: ("SH", b"S1")}
    if draw(st.booleans()):
        values[0x00400275] = ("SQ", item(content, syntax))
    if draw(st.booleans()):
        values[0x00291055] = ("UN", draw(st.binary(max_size=12)))
    if draw(st.booleans()):
        values[0x00080015] = ("DT", b"20200101")
    if draw(st.booleans()):
        values[0x0040A375] = ("SQ", item({0x0020000D: ("UI", STUDY)}, syntax))
    if draw(st.booleans()):
        values[0x00082218] = ("SQ", item(CODE, syntax))
    endless = undefined(0x300A00B0, data_set(content, syntax), syntax)
    listed = signature = b""
    if draw(st.booleans()):
        signed = draw(st.sampled_from([0x00100020, 0x0040A375, 0x7FE00010]))
        said_of = item(parameters(signed, syntax), syntax)
        listed = data_set({0x4FFE0001: ("SQ", said_of)}, syntax)
        held = item({MAC_ID: ("US", b"\0\0")}, syntax)
        signature = data_set({0xFFFAFFFA: ("SQ", held)}, syntax)
    tail = (endless if draw(st.booleans()) else b"") + listed
    framed = syntax == EXPLICIT and draw(st.booleans())
    tail += (FRAGMENTS if framed else pixels(syntax)) + signature
    data = data_set(values, syntax, tail)
    return read(data, syntax), data, syntax


def parameters(tag: int, syntax: str) -> Values:
    """An item of MAC Parameters Sequence whose signature covers one element."""
    listed = struct.pack(encoding_of(syntax).order + "HH", tag >> 16, tag & 0xFFFF)
    return {MAC_ID: ("US", b"\0\0"), 0x04000020: ("AT", listed)}


def text(vr: str, value: str) -> Element:
    return element(vr, value) if value else element(vr)


@st.composite
def assignments(draw: st.DrawFn) -> tuple[Assign, ...]:
    word = words(WIDE)
    offered = {
        "00080050": st.builds(lambda t: text("SH", t), word),
        "00081030": st.builds(lambda t: text("LO", t), word),
        "00100010": st.builds(person_name, word, word, word),
        "00100020": st.builds(lambda t: text("LO", t), word),
        "00100021": st.builds(lambda t: text("LO", t), word),
        "00100030": st.sampled_from([element("DA", "19800102"), element("DA")]),
        "0020000D": st.sampled_from([element("UI", "2.25.1"), element("UI", "1.2.3.1")]),
        "00101002": st.builds(
            lambda t: element("SQ", {"00100020": element("LO", t)}), word.filter(bool)
        ),
        "00400275": st.builds(
            lambda t: element("SQ", {"00321060": element("LO", t)}), word.filter(bool)
        ),
    }
    tags = draw(st.sets(st.sampled_from(sorted(offered)), min_size=1, max_size=5))
    return tuple(
        Assign(tag, draw(st.one_of(st.none(), offered[tag])))
        if tag not in ("0020000D",)
        else Assign(tag, draw(offered[tag]))
        for tag in sorted(tags)
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Coercion]:
    rounds = draw(st.lists(assignments(), min_size=1, max_size=4))
    inside = st.sets(st.sampled_from(INSIDE))
    return [coercion(*r, *draw(inside), after=n) for n, r in enumerate(rounds)]


def out(received: Received, coercions: Sequence[Coercion]) -> bytes:
    return b"".join(give_out(received, coercions))


@SETTINGS
@given(received_sets(), histories())
def test_taking_back_every_item_gives_what_was_received(
    came: tuple[Received, bytes, str], history: list[Coercion]
) -> None:
    """However often an instance was coerced, its items lead back to the bytes."""
    received, data, syntax = came
    trail: list[tuple[Coercion, overlay.Plan]] = []
    for made in history:
        planned = plan(received_after(received, trail), made.assigns)
        if planned.changes:
            trail.append((made, planned))
    state = out(received, history)
    if any(planned.widened for _, planned in trail[:-1]):
        return  # our items before a widening name their set: see the unit tests
    for _, planned in reversed(trail):
        state = take_back(state, syntax, planned.absent)
    assert state == data


def received_after(
    received: Received, trail: Sequence[tuple[Coercion, overlay.Plan]]
) -> Received:
    return overlay.given(received, [made for made, _ in trail])


@SETTINGS
@given(received_sets(), histories(), st.data())
def test_a_happening_struck_out_has_never_been(
    came: tuple[Received, bytes, str], history: list[Coercion], draw: st.DataObject
) -> None:
    """Undo is a shorter fold: what came before it is untouched by what is left out."""
    received, data, _ = came
    gone = draw.draw(st.integers(0, len(history) - 1))
    rest = history[:gone] + history[gone + 1 :]
    out(received, history)
    assert out(received, rest) == out(read(data, came[2]), rest)
    assert out(received, []) == data


@SETTINGS
@given(received_sets(), histories())
def test_planning_twice_changes_nothing(
    came: tuple[Received, bytes, str], history: list[Coercion]
) -> None:
    """Neither against the fold nor against its bytes: our own export comes back equal."""
    received, _, syntax = came
    given_out = out(received, history)
    last = history[-1].assigns
    assert plan(overlay.given(received, history), last).changes == ()
    again = read(given_out, syntax)
    assert plan(again, last).changes == ()
    assert out(again, [coercion(*last, after=99)]) == given_out


@SETTINGS
@given(received_sets(), histories())
def test_what_is_given_out_parses_and_reads_as_assigned(
    came: tuple[Received, bytes, str], history: list[Coercion]
) -> None:
    """By pydicom and by ourselves; it re-encodes to itself; a signature may go."""
    received, _, syntax = came
    given_out = out(received, history)
    header = scan(given_out, encoding_of(syntax))
    assert b"".join(splice(header, {})) == given_out[: header.tail]
    tail = given_out[header.tail :]
    assert bytes(received.tail).startswith(tail)
    assert len(tail) >= len(pixels(syntax))
    tags = [span.tag for span in header.elements]
    assert tags == sorted(set(tags))
    theirs, ours = reread(given_out, syntax), read(given_out, syntax)
    final = {}
    state = received
    for made in history:
        refused = plan(state, made.assigns).refused
        said = [a for a in made.assigns if isinstance(a, Assign)]
        final.update({a.tag: a.element for a in said if a.tag not in refused})
        state = overlay.given(state, [made])
    for tag, wanted in final.items():
        assert same(ours.element(tag), wanted)
        assert (int(tag, 16) in theirs) == (wanted is not None)
    if "00100010" in final and final["00100010"] is not None:
        groups = str(theirs.PatientName).rstrip("=")
        value: dict[str, str] = next(iter(final["00100010"].get("Value", ())), {})
        parts = [value.get(g, "") for g in ("Alphabetic", "Ideographic", "Phonetic")]
        assert groups.rstrip("= ^") == "=".join(parts).rstrip("= ^")


@SETTINGS
@given(received_sets(), histories())
def test_the_item_holds_exactly_what_changed(
    came: tuple[Received, bytes, str], history: list[Coercion]
) -> None:
    """Everything outside of it reads as before, and what it lists read as it says."""
    received, _, syntax = came
    made = history[0]
    planned = plan(received, made.assigns)
    after = read(out(received, [made]), syntax)
    listed = set(planned.original) | {"04000561"} if planned.changes else set()
    tags = {raw.tag for raw in (*received.raw_elements(), *after.raw_elements())}
    for tag in {f"{tag:08X}" for tag in tags} - listed:
        assert same(received.element(tag), after.element(tag)), tag
    if planned.changes:
        [only] = (after.element("04000561") or {})["Value"]
        assert only == overlay.original_attributes_item(planned, made)
        for tag, was in planned.original.items():
            if tag not in planned.absent:
                assert same(was, received.element(tag))


@SETTINGS
@given(st.lists(received_sets(), min_size=2, max_size=3), histories())
def test_one_event_over_many_instances_keeps_what_each_had(
    many: list[tuple[Received, bytes, str]], history: list[Coercion]
) -> None:
    """A study's event is computed from each instance's own state; no item, no change."""
    made = history[0]
    for received, data, syntax in many:
        planned = plan(received, made.assigns)
        given_out = out(received, [made])
        if not planned.changes:
            assert given_out == data
            continue
        assert take_back(given_out, syntax, planned.absent) == data


@SETTINGS
@given(st.sampled_from(CHARSETS), st.text("aB^=\\ 1äéłЖ山ﾔ홍张", max_size=20))
def test_what_can_be_said_is_read_back(
    charset: tuple[tuple[str, ...], str], text: str
) -> None:
    """In every character set, or it cannot be said at all."""
    terms, _ = charset
    for vr in ("LO", "PN", "UT"):
        said = encode(text, terms, vr)
        assert (said is not None) == can_encode(text, terms, vr)
        if said is not None:
            assert decode(said, terms, vr) == text


@SETTINGS
@given(received_sets())
def test_json_is_faithful(came: tuple[Received, bytes, str]) -> None:
    """What is said in JSON is written back as the value it was."""
    received, _, _ = came
    for raw in received.raw_elements():
        tag = f"{raw.tag:08X}"
        said = received.element(tag)
        assert said is not None
        written = from_json(tag, said, received.charsets, received.encoding)
        again = to_json(written, str(said["vr"]), received.charsets, received.encoding)
        assert again == said


@settings(max_examples=200, deadline=None)
@given(received_sets(), st.data())
def test_broken_bytes_are_read_or_refused(
    came: tuple[Received, bytes, str], draw: st.DataObject
) -> None:
    """Changed, cut or made longer anywhere: one of our errors, or an answer."""
    _, data, syntax = came
    at = draw.draw(st.integers(0, len(data) - 1))
    noise = draw.draw(
        st.one_of(
            st.binary(max_size=8),
            st.sampled_from([struct.pack("<L", n) for n in (0, 2**31, 2**32 - 1, 65536)]),
        )
    )
    broken = draw.draw(
        st.sampled_from([data[:at] + noise + data[at + len(noise) :], data[:at], data[at:]])
    )
    try:
        found = read(broken, syntax, "ISO_IR 100")
        found.facts()
        given_out = out(found, [coercion(*NAMES)])
        scan(given_out, encoding_of(syntax))
    except (CannotUnderstand, LimitExceeded):
        return


NAMES = (
    Assign("00100010", person_name("Łukasz")),
    Assign("00100020", element("LO", "E1")),
    Assign("00101002", element("SQ", {"00100020": element("LO", "7")})),
)


@SETTINGS
@given(st.binary(max_size=200), st.sampled_from(SYNTAXES))
def test_noise_is_read_or_refused(data: bytes, syntax: str) -> None:
    """Whatever it is."""
    try:
        read(data, syntax or EXPLICIT).facts()
    except (CannotUnderstand, LimitExceeded):
        return
