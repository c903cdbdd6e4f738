"""Keys of queries: what matches, what is no key, what SQL may not lose."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.core import attributes as at
from reconcile.core.identity import Issuer
from reconcile.core.matchkeys import (
    Between,
    Named,
    OneOf,
    Wild,
    day,
    fits,
    folded,
    is_like,
    narrowed,
    question_of,
    searched,
)
from reconcile.core.matchkeys import (
    test_of as key_of,
)
from reconcile.core.querykeys import KEPT, KEYS, Level
from reconcile.errors import WrongUse


def matches(vr: str, key: Any, *values: Any) -> bool:
    test = key_of(vr, [key])
    return test is None or fits(test, at.element(vr, *values))


@pytest.mark.parametrize(
    ("vr", "key", "value", "result"),
    [
        ("SH", "", "A1", True),
        ("SH", "*", "A1", True),
        ("SH", "A1", "A1 ", True),
        ("SH", "a1", "A1", False),
        ("SH", "A?", "A1", True),
        ("SH", "A?", "A12", False),
        ("SH", "*2*", "A123", True),
        ("SH", "A[1]", "A1", False),
        ("UI", "1.2.*", "1.2.3", False),
        ("IS", "1?", "12", False),
        ("DA", "20260301", "20260301", True),
        ("DA", "20260301", "2026.03.01", True),
        ("DA", "2026.03.01-", "20260302", True),
        ("DA", "-20260301", "20260302", False),
        ("DA", "202603", "20260315", True),
        ("TM", "10", "101500", True),
        ("TM", "101500", "101500.250000", True),
        ("TM", "1015-1016", "101659", True),
        ("TM", "1015-1016", "101700", False),
        ("TM", "10:15-", "101500", True),
        ("PN", "doe^jane", {"Alphabetic": "DOE^JANE^^^"}, True),
        ("PN", "DOE", {"Alphabetic": "DOE^JANE"}, False),
        ("PN", "DOE*", {"Alphabetic": "DOE^JANE"}, True),
        ("PN", "Dœ^*", {"Alphabetic": "DŒ^J"}, True),
        ("PN", "muller^*", {"Alphabetic": "Müller^Jörg"}, True),
        ("PN", "Müller^*", {"Alphabetic": "MULLER^JORG"}, True),
        ("PN", "山田*", {"Alphabetic": "YAMADA", "Ideographic": "山田^太郎"}, True),
        ("PN", "=山田*", {"Alphabetic": "山田^X", "Ideographic": "山本"}, False),
        ("PN", "YAMADA=", {"Alphabetic": "YAMADA"}, True),
        ("PN", "DOE *", {"Alphabetic": "DOE  VAN^J"}, True),
    ],
)
def test_a_key_matches_as_the_standard_says(
    vr: str, key: str, value: Any, result: bool
) -> None:
    """PS3.4 C.2.2.2.1 to C.2.2.2.5."""
    assert matches(vr, key, value) is result


def test_a_key_with_a_value_matches_nothing_that_is_absent() -> None:
    """Not even by a range that is open; the empty key matches it."""
    for vr, key in (("SH", "A"), ("DA", "-20260301"), ("PN", "DOE"), ("SH", "A*")):
        test = key_of(vr, [key])
        assert test is not None
        assert not fits(test, None)
        assert not fits(test, at.element(vr))
    assert key_of("SH", [""]) is key_of("PN", ["*"]) is key_of("SQ", [{}]) is None


def test_lists_are_of_uids_and_codes() -> None:
    """One of the values is enough, on either side."""
    assert key_of("UI", ["1.2", "1.3", "1.2"]) == OneOf(("1.2", "1.3"))
    test = key_of("CS", ["CT", "MR"])
    assert test is not None
    assert fits(test, at.element("CS", "US", "MR"))
    assert key_of("LO", ["A*"]) == Wild("A*")
    assert key_of("DA", ["20260101-20260131"]) == Between("20260101", "20260131")
    assert key_of("PN", ["Doe^J"]) == Named(("doe^j",))


@pytest.mark.parametrize(
    ("vr", "values"),
    [
        ("DA", ["yesterday"]),
        ("DA", ["-"]),
        ("DA", ["20260101", "20260102"]),
        ("TM", ["1-2-3"]),
        ("UI", ["1.2"] * 1001),
        ("LO", ["x" * 1025]),
        ("PN", ["x" * 1025]),
    ],
)
def test_what_no_key_can_be_is_refused(vr: str, values: list[str]) -> None:
    """With words that repeat nothing of it."""
    with pytest.raises(WrongUse) as error:
        key_of(vr, values)
    assert "yesterday" not in str(error.value)


def test_a_question_knows_what_it_does_not_look_at() -> None:
    """Keys of other levels and unknown ones are shown, and told as unsupported."""
    asked = {
        at.PATIENT_NAME: at.element("PN", {"Alphabetic": "DOE"}),
        at.PATIENT_ID: at.element("LO", "100"),
        at.ISSUER_OF_PATIENT_ID: at.element("LO", "A"),
        at.STUDY_DATE: at.element("DA"),
        "00080052": at.element("CS", "STUDY"),
    }
    question = question_of(Level.STUDY, asked)
    assert question.issuer == Issuer("A")
    assert set(question.tests) == {at.PATIENT_NAME, at.PATIENT_ID}
    assert question.shown[at.STUDY_DATE] == "DA"
    assert not question.unsupported
    for more in ({"00080080": at.element("LO")}, {at.MODALITY: at.element("CS", "CT")}):
        assert question_of(Level.STUDY, asked | more).unsupported
    assert not question_of(Level.SERIES, {at.MODALITY: at.element("CS", "CT")}).unsupported
    inside = at.element("SQ", {at.SCHEDULED_PROCEDURE_STEP_ID: at.element("SH", "S1")})
    assert question_of(Level.SERIES, {at.REQUEST_ATTRIBUTES_SEQUENCE: inside}).unsupported


def test_what_is_kept_is_what_can_be_asked() -> None:
    """Save what is assigned or counted."""
    assert set(KEPT) < set(KEYS[Level.SERIES])
    assert at.STUDY_INSTANCE_UID not in KEPT
    assert day("2026.03.01") == "20260301"
    assert day("1 March") == day("202603") == ""


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_means_what_a_regular_expression_would(pattern: str, value: str) -> None:
    """ "*" any characters, "?" one, from end to end."""
    meant = pattern.replace("*", ".*").replace("?", ".")
    assert is_like(pattern, value) == bool(re.fullmatch(meant, value))


def test_no_pattern_takes_for_ever() -> None:
    """One that a peer made up to be slow."""
    began = time.perf_counter()
    assert not is_like("*a" * 500, "a" * 499 + "b" * 500)
    assert time.perf_counter() - began < 5


NAMES = st.text(
    st.one_of(
        st.sampled_from("DOEdoe ^-'éüßıİœŁ山やＡ\u0301"), st.characters(codec="utf-8")
    ),
    max_size=12,
)


@given(NAMES, st.data())
def test_what_matches_is_never_lost_by_the_index(name: str, data: st.DataObject) -> None:
    """A name that meets a key meets what SQL looks for with it."""
    keyed = list(folded(name))
    for place in range(len(keyed)):
        keyed[place] = data.draw(st.sampled_from([keyed[place], keyed[place], "?", "*"]))
    pattern = folded("".join(keyed))
    if pattern and is_like(pattern, folded(name)):
        like = re.sub(r"\\?.", _as_regex, narrowed(pattern))
        assert re.fullmatch(like, searched(name), re.DOTALL)


def _as_regex(found: re.Match[str]) -> str:
    part = found.group()
    return ".*" if part == "%" else re.escape(part[-1])
