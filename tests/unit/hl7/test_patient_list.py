"""Rows of a list of patients as messages: what is read back is what the row says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconcile.core.facts import Feed
from reconcile.core.identity import Issuer, PatientUpdate, PersonName
from reconcile.core.merge import PatientMerge
from reconcile.hl7.dispatch import interpret
from reconcile.hl7.message import read_message
from reconcile.hl7.patient_list import BadRow, PatientList

DRAWN = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)
MAKES = PatientList("patients.csv", Feed("OLD|MPI", "WEST"), DRAWN, "A")


def told(raw: bytes) -> object:
    return interpret(read_message(raw), UTC)


def update(**row: str) -> PatientUpdate:
    found = told(MAKES.patient(7, {"patient_id": "100", **row}))
    assert isinstance(found, PatientUpdate)
    return found


def test_a_row_comes_back_as_it_was_said() -> None:
    """
    Whatever signs HL7 gives a meaning to stand in it.
    """
    found = update(
        patient_id="1|0&0~0\\0",
        family_name="O'Nei|l & Sons",
        given_name="Änne",
        name_prefix="Dr",
        name_suffix="Jr",
        birth_date="1980-01-02",
        sex="f",
        multiple_birth="y",
        death_date="20200101",
    )
    assert found.identifiers == (("1|0&0~0\\0", Issuer("A")),)
    said = found.demographics
    assert said.name == PersonName("O'Nei|l & Sons^Änne^^Dr^Jr")
    assert (said.birth_date, said.sex, said.death_date) == ("19800102", "F", "20200101")
    assert said.multiple_birth
    assert found.said_at == DRAWN


def test_a_name_in_dicoms_order_keeps_prefix_and_suffix_and_all_writings() -> None:
    """
    HL7 exchanges the two, and has a repetition for each component group.
    """
    name = "Yamada^Tarou^^Dr^Jr=山田^太郎=やまだ^たろう"
    expected = PersonName("Yamada^Tarou^^Dr^Jr", "山田^太郎", "やまだ^たろう")
    assert update(name=name).demographics.name == expected


@pytest.mark.parametrize(
    ("row", "issuer"),
    [
        ({}, Issuer("A")),
        ({"domain": "B"}, Issuer("B")),
        ({"domain": "1.2.3.2"}, Issuer("", "1.2.3.2", "ISO")),
        ({"domain": "B&1.2.3.2&ISO"}, Issuer("B", "1.2.3.2", "ISO")),
        ({"patient_id": "100^^^C", "domain": "B"}, Issuer("C")),
    ],
)
def test_an_id_is_its_rows_domains(row: dict[str, str], issuer: Issuer) -> None:
    """
    What it names itself, else its row, else the option.
    """
    assert update(**row).identifiers == (("100", issuer),)


def test_what_is_empty_says_nothing() -> None:
    """
    It does not clear what is known.
    """
    found = update(name="", birth_date="", sex="")
    assert found.cleared == frozenset()
    assert not found.demographics.name


def test_who_was_merged_is_told_as_prior_of_who_survived() -> None:
    """
    Each in its own domain.
    """
    row = {"patient_id": "200", "domain": "B", "merged_into": "100^^^A"}
    found = told(MAKES.merge(7, row))
    assert isinstance(found, PatientMerge)
    assert found.surviving.identifiers == (("100", Issuer("A")),)
    assert found.prior == (("200", Issuer("B")),)


def test_the_control_id_names_file_and_line_and_what_was_said() -> None:
    """
    The same row is the same message; a mended one is another.
    """
    one = read_message(MAKES.patient(7, {"patient_id": "1"})).header
    same = read_message(MAKES.patient(7, {"patient_id": "1"})).header
    other = read_message(MAKES.patient(7, {"patient_id": "2"})).header
    assert one.control_id.startswith("patients.csv/7/")
    assert one.control_id == same.control_id != other.control_id
    assert (one.application, one.facility) == ("OLD|MPI", "WEST")


@pytest.mark.parametrize(
    "row",
    [
        {"patient_id": " "},
        {"patient_id": "^^^A"},
        {"patient_id": "1", "sex": "W"},
        {"patient_id": "1", "multiple_birth": "2"},
        {"patient_id": "1", "birth_date": "1980-01-02"},
        {"patient_id": "1", "other_ids": "2^^^B~^^^C"},
    ],
)
def test_what_cannot_be_said_is_no_message(row: dict[str, str]) -> None:
    """
    One sentence, without a value of the row.
    """
    makes = PatientList("patients.csv", Feed("OLD_MPI"), DRAWN, dates="%d.%m.%Y")
    with pytest.raises(BadRow) as raised:
        makes.patient(2, row)
    assert "1980" not in str(raised.value)
