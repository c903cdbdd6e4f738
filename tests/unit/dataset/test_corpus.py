"""Every file that pydicom brings is read or refused, and given out right."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from reconcile.dataset.elements import encoding_of, scan
from reconcile.dataset.facts import read
from reconcile.dataset.overlay import give_out, given, plan, take_back
from reconcile.errors import CannotUnderstand
from tests.unit.dataset.made import NINE, bundled, coercion, name, reread, taken_apart

FILES = bundled()
WIDE = (name("Łukasz^Ñ", "王^小東"),)
ADDED = {0x00080015, 0x04000561}


def header(found: Dataset, leave: set[int]) -> Dataset:
    """What stands before pixel data, without some tags and group lengths."""
    kept = Dataset()
    for tag in found:
        number = int(tag.tag)
        if number < 0x7FE00000 and number not in leave and number & 0xFFFF:
            kept[tag.tag] = tag
    return kept


def readable() -> list[Path]:
    found = []
    for path in FILES:
        try:
            syntax, data = taken_apart(path)
            scan(data, encoding_of(syntax))
        except CannotUnderstand:
            continue
        found.append(path)
    return found


READABLE = readable()


def test_nearly_all_that_is_dicom_can_be_read() -> None:
    """What is refused is no DICOM, or cut off before its pixel data."""
    refused = {path.name for path in FILES if path.suffix == ".dcm"} - {
        path.name for path in READABLE
    }
    assert refused == {"rtplan_truncated.dcm", "no_meta.dcm"}
    assert len(READABLE) >= 90


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_nine_attributes_change_and_nothing_else(path: Path) -> None:
    """Read again by pydicom; and taken back it is the received bytes."""
    syntax, data = taken_apart(path)
    found = read(data, syntax)
    assert b"".join(give_out(found, [])) == data
    out = b"".join(give_out(found, [coercion(*NINE)]))
    assert bytes(found.tail) == out[len(out) - len(found.tail) :]
    before, after = reread(data, syntax), reread(out, syntax)
    for assign in NINE:
        said = after[int(assign.tag, 16)].to_json_dict(None, 10**9)
        assert said.get("Value") == list((assign.element or {}).get("Value", ()))
    edited = {int(assign.tag, 16) for assign in NINE} | ADDED
    assert header(after, edited) == header(before, edited)
    assert take_back(out, syntax, plan(found, NINE).absent) == data


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_a_wider_name_reads_right_or_is_refused(path: Path) -> None:
    """And all other text reads as before."""
    syntax, data = taken_apart(path)
    found = read(data, syntax)
    planned = plan(found, WIDE)
    state = given(found, [coercion(*WIDE)])
    assert plan(state, WIDE).changes == ()
    if planned.refused:
        assert b"".join(give_out(found, [coercion(*WIDE)])) == data
        return
    before, after = reread(data, syntax), reread(b"".join(state.pieces()), syntax)
    assert after.PatientName == "Łukasz^Ñ=王^小東"
    edited = {0x00080005, 0x00100010} | ADDED
    assert header(after, edited) == header(before, edited)
