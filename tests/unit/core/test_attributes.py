"""Elements in the DICOM JSON model, and when two of them are the same."""

from typing import Any

import pytest

from reconcile.core import attributes
from reconcile.core.attributes import (
    PATIENT_ID,
    PATIENT_NAME,
    Assign,
    element,
    person_name,
    same,
    tags,
    text,
    values,
)

ISSUER = {"00400032": element("UT", "1.2.3.1"), "00400033": element("CS", "ISO")}


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (element("LO", "100"), element("LO", "100"), True),
        (element("LO", "100"), element("LO", "100 "), True),
        (element("LO", "100"), element("LO", "200"), False),
        (element("LO", "A", "B"), element("LO", "B", "A"), False),
        (element("LO"), element("LO"), True),
        (element("LO"), element("LO", ""), True),
        (element("LO"), {"vr": "LO", "Value": [None]}, True),
        (element("LO", "A"), element("LO", "A", ""), False),
        (element("US"), element("US", 0), False),
        (person_name(""), element("PN", {"Alphabetic": ""}), True),
        (None, None, True),
        (None, element("LO"), False),
        (element("LO"), None, False),
        (element("LO"), element("LO", "100"), False),
        (element("IS", 1), element("IS", 2), False),
        (person_name("DOE^JANE"), person_name("DOE^JANE^^^"), True),
        (person_name("DOE^JANE"), person_name("DOE^JANE", ""), True),
        (person_name("DOE^JANE"), person_name("DOE^JANE", "山田^太郎"), False),
        (person_name("A"), person_name("", "A"), False),
        (element("SQ", ISSUER), element("SQ", dict(reversed(ISSUER.items()))), True),
        (element("SQ", ISSUER), element("SQ", {"00400032": element("UT", "9")}), False),
        (element("SQ", ISSUER), element("SQ", ISSUER, ISSUER), False),
        ({"vr": "OB", "InlineBinary": "AAE="}, {"vr": "OB", "InlineBinary": "AAE="}, True),
        ({"vr": "OB", "InlineBinary": "AAE="}, {"vr": "OB", "InlineBinary": "AAI="}, False),
    ],
)
def test_elements_are_the_same_by_content(one: Any, other: Any, equal: bool) -> None:
    """
    Padding and the order of attributes say nothing; presence does.
    """
    assert equal is same(one, other)
    assert equal is same(other, one)


@pytest.mark.parametrize(
    ("found", "read"),
    [
        (None, ""),
        (element("LO"), ""),
        ({"vr": "LO", "Value": [None]}, ""),
        (element("LO", " 100 "), "100"),
        (element("IS", 7), "7"),
        (person_name("DOE^JANE", "山田^太郎"), "DOE^JANE"),
        (person_name("", "山田^太郎"), ""),
    ],
)
def test_text_is_the_first_value_without_padding(found: Any, read: str) -> None:
    """
    Absent, empty and null are all empty text.
    """
    assert read == text(found)


def test_an_element_without_values_is_present_and_empty() -> None:
    """
    The JSON model has no empty Value (PS3.18 F.2.5).
    """
    assert element("LO") == {"vr": "LO"}
    assert [] == values(element("LO")) == values(None)
    assert person_name("") == {"vr": "PN"}


def test_a_name_has_only_the_groups_that_it_has() -> None:
    """
    Empty groups are not written.
    """
    written = person_name("Yamada^Tarou", "", "やまだ^たろう")
    assert values(written) == [{"Alphabetic": "Yamada^Tarou", "Phonetic": "やまだ^たろう"}]


def test_changes_keep_their_order() -> None:
    """
    The tags of some changes are told in the order of the changes.
    """
    changes = [Assign(PATIENT_NAME, None), Assign(PATIENT_ID, element("LO", "100"))]
    assert tags(changes) == [PATIENT_NAME, PATIENT_ID]


def test_tags_are_upper_case_hexadecimal() -> None:
    """
    Every tag is written as the JSON model writes it, and no two names share one.
    """
    found = [
        value
        for name, value in vars(attributes).items()
        if name.isupper() and isinstance(value, str)
    ]
    assert len(found) == len(set(found)) > 20
    assert all(len(tag) == 8 and int(tag, 16) and tag == tag.upper() for tag in found)
