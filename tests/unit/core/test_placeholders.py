"""Placeholders: what stands for a name is none."""

import pytest

from reconcile.core.identity import PersonName
from reconcile.core.placeholders import known_groups

CONFIGURED = ["UNKNOWN", "BABY BOY", "BABY GIRL", "DOE^JOHN", ""]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("UNKNOWN^MALE 3", ()),
        ("Unknown", ()),
        ("UNKNOWN MALE 3", ()),
        ("BABYBOY^A", ()),
        ("DOE^JOHN", ()),
        ("DOE^JOHN 3", ()),
        ("DOE^JANE", ("doe", "jane")),
        ("SMITH^JOHN", ("smith", "john")),
        ("KOCH^BABY GIRL A", ("koch",)),
        ("KOCH^BABY^GIRL A", ("koch",)),
        ("KOCH^BABYGIRL", ("koch",)),
        ("KOCH^UNKNOWN", ("koch",)),
        ("KOCH^MIA", ("koch", "mia")),
        ("UNKNOWNSEN^MIA", ("unknownsen", "mia")),
    ],
)
def test_a_component_that_begins_with_an_entry_is_no_name(
    name: str, left: tuple[str, ...]
) -> None:
    """
    A placeholder for a family name takes the whole name, for a given name only that.
    """
    assert left == known_groups(PersonName(name), CONFIGURED)[0].everything


def test_what_stood_for_a_given_name_is_kept_beside_it() -> None:
    """
    In a multiple birth the numbering is all that tells the children apart.
    """
    found = known_groups(PersonName("KOCH^BABY GIRL A"), CONFIGURED)[0]
    assert found.designation == ("baby", "girl", "a")
