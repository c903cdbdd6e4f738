"""The objects that are sent are of the size and the wealth that the figures tell."""

from __future__ import annotations

import pytest

from bench.data import KINDS, NOBODY, encoded
from bench.identity import Identity

#: Bytes, and elements at the top level.
TOLD = {
    "ct": (526_000, 530_000, 95),
    "small": (5_400, 5_800, 60),
    "multiframe": (209_700_000, 209_800_000, 60),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_objects_are_as_large_as_is_told(kind: str) -> None:
    """
    A table that says 0.53 MB or 5.6 kB means it.
    """
    least, most, elements = TOLD[kind]
    assert least <= len(encoded(kind).data) <= most
    assert len(KINDS[kind].make()) >= elements


def test_a_scanner_has_elements_of_its_own() -> None:
    """
    A CT slice has private elements, as those of real scanners have.
    """
    assert sum(element.tag.is_private for element in KINDS["ct"].make()) >= 10


@pytest.mark.parametrize("kind", ["ct", "small"])
def test_only_the_header_says_whose_it_is(kind: str) -> None:
    """
    The digits that are replaced stand nowhere in the pixels.
    """
    assert NOBODY.number.encode() not in encoded(kind).data[encoded(kind).header_bytes :]


def test_identifiers_are_as_long_for_all() -> None:
    """
    Of study to study digits change and no length does; UIDs keep to 39 digits below 2.25.
    """
    first, last = Identity(1, 0), Identity(999_999, 9_999)
    for name in ("patient_id", "patient_name", "accession", "study_uid", "series_uid"):
        assert len(getattr(first, name)) == len(getattr(last, name))
    uid = last.instance_uid(20)
    assert len(uid.removeprefix("2.25.")) <= 39
    assert int(uid.removeprefix("2.25.")) < 1 << 128
