"""The independent checker over stored instances: what is tampered with is found."""

from __future__ import annotations

import copy
import json
import random
import struct
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from reconcile.checker import Instance, Unreadable, check
from reconcile.cli.main import app
from reconcile.core.order import RequestedProcedure
from reconcile.db import views_checked
from reconcile.db.views import plain
from reconcile.flows.check import CheckFlow
from reconcile.flows.retrieve import RetrieveFlow
from tests.support.hospital import CT_A, JANE, Hospital
from tests.support.instances import instance, uid

CHOICES = 1_000


def code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SRT", "Liver"
    return item


def pool() -> list[Dataset]:
    """Instances that change in as many ways as there are."""
    taken = uid()
    made = [instance(SeriesInstanceUID=taken)]
    other = Dataset()
    other.StudyInstanceUID = made[0].StudyInstanceUID
    for number in range(20):
        more: dict[str, object] = {"AccessionNumber": "ACC1"} if number % 2 else {}
        if number % 3 == 0:
            more |= {"SpecificCharacterSet": "ISO_IR 100", "InstitutionName": "Höpital"}
        if number % 3 == 1:
            more["AnatomicRegionSequence"] = [code("T-62000")]
        if number % 4 == 0:
            more["StudiesContainingOtherReferencedInstancesSequence"] = [other]
        if number % 5 == 0:
            more["SeriesInstanceUID"] = taken
        if number % 7 == 0:
            more["PatientBirthDate"] = "19800102"
            more["PatientComments"] = f"number {number}"
        made.append(instance(PatientName="DOE^JAN", **more))
    return made


@pytest.fixture
def hospital(database_urls, tmp_path):
    """A hospital that knows Jane, by a name that ISO_IR 100 cannot say."""
    folder = tmp_path / "instances"
    hospital = Hospital.at(database_urls.writer, folder, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    ordered = RequestedProcedure("RP1", study_instance_uid=uid(), description="CT ŁÓDŹ")
    hospital.order(JANE, "100^^^A", accession="ACC1", procedures=(ordered,))
    return hospital


class Case:
    """One stored instance: received, given out, its events."""

    def __init__(self, hospital: Hospital, dataset: Dataset) -> None:
        name = str(dataset.SOPInstanceUID)
        flow = RetrieveFlow(hospital.database, hospital.storage)
        self.received = b"".join(flow.received(name).chunks)
        self.given = b"".join(flow.instance(name).chunks)
        self.syntax = str(dataset.file_meta.TransferSyntaxUID)
        with hospital.database.read_only() as connection:
            (checked,) = views_checked.instances(connection, name)
            found = views_checked.events(connection, checked)
        self.events = [json.loads(json.dumps(plain(event))) for event in found]

    def ok(self, given: bytes | None = None, events: list[Any] | None = None) -> bool:
        """Whether the check passes, with something else in the place of its own."""
        now = self.given if given is None else given
        told = self.events if events is None else events
        was = Instance(BytesIO(self.received), 0, self.syntax, "ISO_IR 100")
        try:
            return check(was, Instance(BytesIO(now), 0, self.syntax), told).ok
        except Unreadable:
            return False


@pytest.fixture
def cases(hospital):
    made = pool()
    for dataset in made:
        hospital.store(dataset)
    found = [Case(hospital, dataset) for dataset in made]
    return [case for case in found if case.events]


def test_what_is_stored_is_explained(hospital):
    """Every instance of the hospital passes; something changed in nearly all."""
    for dataset in pool():
        hospital.store(dataset)
    verdicts = list(CheckFlow(hospital.database, hospital.storage).instances())

    assert [] == [f for v in verdicts for f in v.findings]
    assert 21 == len(verdicts)
    assert 20 <= sum(v.explained > 0 for v in verdicts)
    assert {"SpecificCharacterSet", "SeriesInstanceUID", "AnatomicRegionSequence"} <= {
        name for v in verdicts for name in v.changed
    }


def test_any_tampering_is_found(cases):
    """An event gone, a value changed, an unrelated element touched: never explained."""
    chance = random.Random(20261123)
    assert all(case.ok() for case in cases)
    kinds = (_without_event, _other_previous, _other_new, _touched, _touched, _more, _less)
    missed = []
    for number in range(CHOICES):
        case = chance.choice(cases)
        kind = chance.choice(kinds)
        given, events = kind(case, chance)
        if case.ok(given, events):
            missed.append((number, kind.__name__))
    assert [] == missed


def _without_event(case, chance):
    events = copy.deepcopy(case.events)
    del events[chance.randrange(len(events))]
    return None, events


def _other_previous(case, chance):
    events = copy.deepcopy(case.events)
    item = chance.choice(events)["original_attributes"]
    _change_one(item["04000550"]["Value"][0], chance)
    return None, events


def _other_new(case, chance):
    events = copy.deepcopy(case.events)
    _change_one(chance.choice(events)["new_attributes"], chance)
    return None, events


def _change_one(attributes, chance):
    tag = chance.choice(sorted(attributes))
    element = attributes[tag]
    vr = element["vr"]
    if vr == "SQ":
        items = element.get("Value", [])
        if items and items[0] and chance.random() < 0.8:
            _change_one(chance.choice(items), chance)
        else:
            element["Value"] = [*items, {"00080050": {"vr": "SH", "Value": ["NEW"]}}]
    elif vr == "PN":
        element["Value"] = [{"Alphabetic": "SOMEBODY^ELSE"}]
    else:
        element["Value"] = [f"{element.get('Value', [''])[0]}9"]


def _spans(content):
    """(start of value, end, tag) of each element of an explicit little endian data set."""
    position, found = 0, []
    while position < len(content):
        group, number = struct.unpack_from("<HH", content, position)
        long = content[position + 4 : position + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT")
        at, form, header = (8, "<L", 12) if long else (6, "<H", 8)
        (length,) = struct.unpack_from(form, content, position + at)
        start = position + header
        found.append((position, start, start + length, group << 16 | number))
        position = start + length
    return found


def _touched(case, chance):
    """One bit of a value is another one."""
    spans = [s for s in _spans(case.given) if s[2] > s[1]]
    _, start, end, _ = chance.choice(spans)
    given = bytearray(case.given)
    at = chance.randrange(start, end)
    if given[at] in b" \0":  # padding says nothing
        at = start
    given[at] ^= 1 << chance.randrange(1, 6)
    return bytes(given), None


def _more(case, chance):
    """An element that nobody has sent stands among the others."""
    there = {tag for *_, tag in _spans(case.given)}
    new = chance.choice([t for t in range(0x00181000, 0x00181400, 2) if t not in there])
    place = next(s for s in _spans(case.given) if s[3] > new)[0]
    value = struct.pack("<HH2sH4s", new >> 16, new & 0xFFFF, b"LO", 4, b"more")
    return case.given[:place] + value + case.given[place:], None


def _less(case, chance):
    """An element is not there any more."""
    start, _, end, _ = chance.choice(_spans(case.given))
    return case.given[:start] + case.given[end:], None


@pytest.fixture
def command(hospital, database_urls, tmp_path, monkeypatch):
    """`reconcile check` over the hospital."""
    monkeypatch.setenv("RECONCILE_DATABASE_URL", database_urls.writer)
    monkeypatch.setenv("RECONCILE_DATA_DIR", str(tmp_path))

    def run(*arguments: str):
        return CliRunner().invoke(app, ["check", *arguments])

    return run


def tamper(database_urls, statement: str) -> None:
    """Do what only the owner of the tables could."""
    engine = create_engine(database_urls.owner)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE coercion_value DISABLE TRIGGER USER"))
        connection.execute(text("ALTER TABLE coercion_event DISABLE TRIGGER USER"))
        connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM coercion_value",
        (
            "UPDATE coercion_value SET body = convert_to(replace("
            "convert_from(body, 'UTF8'), 'DOE^JAN', 'ROE^JAN'), 'UTF8')"
        ),
        (
            "UPDATE coercion_event SET attributes = attributes[2:] "
            "WHERE cardinality(attributes) > 1"
        ),
    ],
)
def test_the_command_finds_a_tampered_history(command, hospital, database_urls, statement):
    """Exit 0 while all is explained, 1 once the rows say otherwise."""
    hospital.store(instance(PatientName="DOE^JAN"), CT_A)
    before = command()
    assert 0 == before.exit_code, before.output
    tamper(database_urls, statement)

    after = command("--json")
    assert 1 == after.exit_code
    (line,) = after.output.strip().splitlines()
    assert not json.loads(line)["ok"]


def test_a_uid_that_nobody_knows_is_said(command):
    """A check of nothing is not a check that passed."""
    assert 1 == command("1.2.3.4").exit_code
