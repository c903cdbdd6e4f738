"""Laws of storing, through the flow: what goes out is stable, and says what is recorded.

The laws of the overlay alone are in `test_overlay_laws`. Instances, patients and orders
are drawn from a seed; each example is a patient and a study of its own.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from sqlalchemy import func, select

from reconcile.core.attributes import Assign, Tag, element, same
from reconcile.core.identity import Demographics, PersonName
from reconcile.core.order import RequestedProcedure
from reconcile.dataset.facts import Received, read
from reconcile.dataset.overlay import Coercion, give_out, plan, take_back
from reconcile.dataset.overlay import given as folded
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db import views_audit
from reconcile.flows.arrival import Stored
from reconcile.flows.doctor import Doctor
from reconcile.flows.retrieve import RetrieveFlow
from tests.properties.test_overlay_laws import SETTINGS, assignments, received_sets
from tests.support.database import Cluster
from tests.support.hospital import Hospital, clock
from tests.support.instances import data_offset, instance, with_meta
from tests.unit.dataset.made import coercion

EXAMPLES = 200 if os.environ.get("RECONCILE_SOAK") else 12
SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


@dataclass(frozen=True)
class Case:
    """A patient as the RIS knows them, their order if any, and one of their images."""

    number: int
    person: Demographics
    study_uid: str
    accession: str
    dataset: Dataset

    @property
    def patient_id(self) -> str:
        return f"P{self.number}"

    def register(self, hospital: Hospital) -> None:
        """What the RIS tells an archive before the image comes."""
        ids = (f"{self.patient_id}^^^A", f"E{self.number}^^^E")
        assert hospital.patient(self.person, *ids).acknowledgement == "AA"
        if self.accession:
            wanted = RequestedProcedure(
                "RP1", self.study_uid, description=f"CT Schädel {self.number}"
            )
            hospital.order(
                self.person, ids[0], accession=self.accession, procedures=(wanted,)
            )


def drawn(seed: int) -> Case:
    """One example; what the header says differs from the RIS in what may differ."""
    draw = Random(seed)
    family = draw.choice(["Doe", "Müller", "Łukasz", "Иванов", "Nguyễn", "O'Brien"])
    said = Demographics(PersonName(f"{family}^Jane"), "19800102", "F")
    charset = draw.choice([None, "ISO_IR 100", "ISO_IR 192"])
    ordered = draw.random() < 0.5
    values: dict[str, Any] = {
        "SpecificCharacterSet": charset,
        "PatientID": f"P{seed}",
        "PatientName": family if charset == "ISO_IR 192" else "",
        "PatientBirthDate": draw.choice(["19800102", "", None]),
        "PatientSex": draw.choice(["F", "", None]),
        "IssuerOfPatientID": draw.choice([None, "", "A", "HISA"]),
        "AccessionNumber": f"ACC{seed}" if ordered else draw.choice(["", None]),
        "ReferringPhysicianName": draw.choice(["", "HOUSE^GREGORY", None]),
        "StudyDescription": draw.choice([None, "", "Head"]),
        "OtherPatientIDs": draw.choice([None, "7\\8"]),
        "InstanceCoercionDateTime": draw.choice([None, "20200101"]),
    }
    dataset = with_meta(instance(**values), draw.choice(SYNTAXES))
    if draw.random() < 0.3:
        _add_foreign_item(dataset)
    accession = f"ACC{seed}" if ordered else ""
    return Case(seed, said, f"2.25.{seed + 1}", accession, dataset)


def _add_foreign_item(dataset: Dataset) -> None:
    """As another archive has left it."""
    before, item = Dataset(), Dataset()
    before.PatientID = "elsewhere"
    item.ModifiedAttributesSequence = [before]
    item.AttributeModificationDateTime = "20200101000000+0000"
    item.ModifyingSystem, item.SourceOfPreviousValues = "OTHER", ""
    item.ReasonForTheAttributeModification = "COERCE"
    dataset.OriginalAttributesSequence = [item]


CASES = [drawn(seed) for seed in range(EXAMPLES)]


@pytest.fixture(scope="module")
def hospital(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    """The archive that the images come to first."""
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("first")
        first = Hospital.at(urls.writer, folder, urls.reader)
        yield first
        first.database.close()


@pytest.fixture(scope="module")
def stored(hospital: Hospital) -> dict[int, Stored]:
    found = {}
    for case in CASES:
        case.register(hospital)
        found[case.number] = hospital.store(case.dataset)
    return found


@pytest.fixture(scope="module")
def second(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    """Another archive, which was told the same."""
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("second")
        other = Hospital.at(urls.writer, folder, urls.reader)
        for case in CASES:
            case.register(other)
        yield other
        other.database.close()


def file_of(hospital: Hospital, case: Case) -> bytes:
    retrieve = RetrieveFlow(hospital.database, hospital.storage)
    return b"".join(retrieve.instance(str(case.dataset.SOPInstanceUID)).file())


def data_of(file: bytes) -> bytes:
    return file[data_offset(file) :]


def parsed(file: bytes) -> FileDataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(BytesIO(file))


def count(hospital: Hospital, table: Any) -> int:
    with hospital.database.read_only() as connection:
        found: int = connection.execute(
            select(func.count()).select_from(table)
        ).scalar_one()
        return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_what_is_given_out_is_what_was_decided(
    hospital: Hospital, stored: dict[int, Stored], case: Case
) -> None:
    """Under the archive's ID, and the order's Study UID where there is an order."""
    out = parsed(file_of(hospital, case))
    assert stored[case.number].held == ""
    assert (out.PatientID, out.IssuerOfPatientID) == (f"E{case.number}", "E")
    assert str(out.PatientName) == case.person.name.alphabetic
    assert out.PixelData == case.dataset.PixelData
    if case.accession:
        assert out.StudyInstanceUID == case.study_uid
        assert out.StudyDescription == f"CT Schädel {case.number}"
    else:
        assert out.StudyInstanceUID == case.dataset.StudyInstanceUID


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_what_is_given_out_re_encodes_to_itself(
    hospital: Hospital, stored: dict[int, Stored], case: Case
) -> None:
    """By pydicom, byte for byte: nothing in it is written as nobody else would."""
    file = file_of(hospital, case)
    out, again = parsed(file), BytesIO()
    out.decode()
    out.save_as(again, enforce_file_format=True)
    assert parsed(again.getvalue()) == out
    if out.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        assert data_of(again.getvalue()) == data_of(file)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_the_event_says_what_the_instance_says(
    hospital: Hospital, stored: dict[int, Stored], case: Case
) -> None:
    """The audit row's item is the last item of (0400,0561), and its new values stand."""
    with hospital.database.read_only() as connection:
        [event] = views_audit.history(connection, str(case.dataset.SOPInstanceUID))
    out = parsed(file_of(hospital, case))
    out.decode()
    assert event.original_attributes is not None
    assert event.new_attributes is not None
    item = out.OriginalAttributesSequence[-1].to_json_dict()
    assert same(element("SQ", item), element("SQ", event.original_attributes))
    told = out.to_json_dict()
    for tag, wanted in event.new_attributes.items():
        assert same(told[tag], wanted)
    before = event.original_attributes["04000550"]["Value"][0]
    came = {f"{int(each.tag):08X}" for each in case.dataset}
    assert set(event.absent) == set(before) - came


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_our_own_export_needs_nothing_in_another_archive(
    hospital: Hospital, stored: dict[int, Stored], second: Hospital, case: Case
) -> None:
    """Deciding twice changes nothing: no coercion, no event, the same bytes."""
    exported = file_of(hospital, case)
    events = count(second, h.coercion_event)

    again = second.store(parsed(exported))

    assert again == Stored()
    assert count(second, h.coercion_event) == events
    assert data_of(file_of(second, case)) == data_of(exported)


def test_our_own_export_coming_back_is_a_receipt_and_no_event(
    hospital: Hospital, stored: dict[int, Stored]
) -> None:
    """Neither a new instance nor a conflict with the one that it was made from."""
    case = CASES[0]
    exported = file_of(hospital, case)
    before = count(hospital, h.coercion_event), count(hospital, t.hold)
    receipts = count(hospital, t.receipt)

    back = hospital.store(parsed(exported))

    assert back.held == ""
    assert (count(hospital, h.coercion_event), count(hospital, t.hold)) == before
    assert count(hospital, t.receipt) == receipts + 1
    assert file_of(hospital, case) == exported


@SETTINGS
@given(
    st.lists(st.tuples(received_sets(), assignments()), min_size=2, max_size=3),
    st.lists(assignments(), min_size=2, max_size=4),
    st.data(),
)
def test_a_happening_struck_out_of_the_middle_leaves_a_history_that_leads_back(
    many: list[tuple[tuple[Received, bytes, str], tuple[Assign, ...]]],
    shared: list[tuple[Assign, ...]],
    draw: st.DataObject,
) -> None:
    """Events of a study over instances that differ by then, one of them undone.

    Each instance's items hold its own values before each event that is left; no event
    that changes nothing of it has an item; all taken back, it is the received bytes.
    """
    gone = draw.draw(st.integers(0, len(shared) - 1))
    left = shared[:gone] + shared[gone + 1 :]
    for (received, data, syntax), own in many:
        history = [coercion(*assigns, after=n) for n, assigns in enumerate([own, *left])]
        absent, widened = _trail(received, history)
        state = b"".join(give_out(received, history))
        assert read(state, syntax).raw_element(0x04000561) is not None or not absent
        if any(widened[:-1]):
            continue  # our items before a widening name their set: see the unit tests
        for tags in reversed(absent):
            state = take_back(state, syntax, tags)
        assert state == data


def _trail(
    received: Received, history: list[Coercion]
) -> tuple[list[tuple[Tag, ...]], list[bool]]:
    """Of each event that changes something: what had been absent, and if it widened."""
    absent, widened = [], []
    state = received
    for made in history:
        planned = plan(state, made.assigns)
        if planned.changes:
            absent.append(planned.absent)
            widened.append(planned.widened)
        state = folded(state, [made])
    return absent, widened


def test_the_rows_agree_with_each_other(
    hospital: Hospital, stored: dict[int, Stored]
) -> None:
    """State is the fold of the events."""
    findings = list(Doctor(hospital.database, hospital.storage, clock).findings())
    assert findings == []
