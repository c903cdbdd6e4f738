"""Instances that follow a precedent: recorded as if each had been decided by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

import psycopg
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from sqlalchemy import func, select

from reconcile.core.facts import Source
from reconcile.core.order import RequestedProcedure
from reconcile.dataset.part10 import file_meta
from reconcile.db import groups, views_instances
from reconcile.db import history as h
from reconcile.db import tables as t
from reconcile.db.embedded import Urls
from reconcile.errors import ServiceUnavailable, SOPClassMismatch
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.check import CheckFlow
from reconcile.flows.doctor import Doctor
from reconcile.flows.precedents import Precedents
from reconcile.flows.recording import Recording
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.settling import Settled
from reconcile.flows.store import StoreFlow
from tests.support.database import Cluster
from tests.support.hospital import ANNA, CT_A, JANE, MR_B, Hospital, clock
from tests.support.instances import arrive, instance, uid

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Any) -> Iterator[Hospital]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.order(
        JANE,
        "100^^^A",
        accession="ACC1",
        procedures=(RequestedProcedure("RP1", "1.2.77.1", description="CT thorax"),),
    )
    yield hospital
    hospital.database.close()


@pytest.fixture(autouse=True)
def no_group_fails(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> Iterator[None]:
    """What a group could not do is done one by one, and would hide that it could not."""
    yield
    said = [each.getMessage() for each in caplog.get_records("call")]
    failed = any(each.startswith("group failed") for each in said)
    assert failed == bool(request.node.get_closest_marker("fails"))


def settle(flow: StoreFlow, arrivals: Sequence[Arrival]) -> list[Settled]:
    """What became of each, in their order."""
    found = dict(flow.settle(arrivals))
    return [found[index] for index in range(len(arrivals))]


def rows(hospital: Hospital, query: Any) -> list[Any]:
    with hospital.database.read_only() as connection:
        return list(connection.execute(query).all())


def count(hospital: Hospital, table: Any) -> int:
    found = rows(hospital, select(func.count()).select_from(table))
    return int(found[0][0])


def another(dataset: Dataset, number: int = 2) -> Dataset:
    """Another image of the same series."""
    made = deepcopy(dataset)
    made.SOPInstanceUID, made.InstanceNumber = uid(), number
    if "PixelData" in made:
        made.PixelData = os.urandom(len(made.PixelData))
    return made


def followed(flow: StoreFlow, arrival: Arrival) -> bool:
    """Whether an arrival would follow a precedent now."""
    from reconcile.flows.store import _deciding

    return flow._follower(arrival, _deciding(arrival)) is not None


# -- Both ways agree --------------------------------------------------------------------


class Recorded(NamedTuple):
    """Everything that is recorded of one instance, ids and times of its own aside."""

    receipt: Any
    instance: Any
    events: list[Any]
    items: list[Any]
    given: Any
    said: Stored


def recorded(hospital: Hospital, dataset: Dataset, said: Settled) -> Recorded:
    assert isinstance(said, Stored)
    wanted = str(dataset.SOPInstanceUID)
    r, i, e = t.receipt.c, t.instance.c, h.coercion_event.c
    receipt = (
        r.uid_domain, r.transfer_syntax_uid, r.text_charset, r.file_meta, r.source,
        r.peer_address, r.outcome,
    )  # fmt: skip
    of_instance = (
        i.uid_domain, i.sop_class_uid, i.series_id, i.assignment_id, i.hidden,
        i.stored_revision, i.coerced_at.is_not(None),
    )  # fmt: skip
    of_event = (
        e.level, e.study_id, e.person_id, e.revision, e.reason, e.source, e.attributes,
        e.series_instance_uid, e.study_instance_uid, e.received_study_instance_uid,
        e.body_version,
    )  # fmt: skip
    held = (
        select(t.hold.c.kind, t.hold.c.code, t.hold.c.id)
        .join(t.hold_instance, t.hold_instance.c.hold_id == t.hold.c.id)
        .join(t.receipt, r.id == t.hold_instance.c.receipt_id)
        .where(r.sop_instance_uid == wanted)
        .order_by(t.hold.c.code)
    )
    events = rows(hospital, select(*of_event).where(e.sop_instance_uid == wanted))
    with hospital.database.read_only() as connection:
        holding = views_instances.holding(connection, wanted) if events else None
    retrieve = RetrieveFlow(hospital.database, hospital.storage)
    given = b"".join(retrieve.as_given(holding).chunks) if holding else b""
    return Recorded(
        rows(hospital, select(*receipt).where(r.sop_instance_uid == wanted)),
        rows(hospital, select(*of_instance).where(i.sop_instance_uid == wanted)),
        [*events, *values_of(hospital, wanted)],
        rows(hospital, held),
        without_its_own(given),
        said,
    )


def values_of(hospital: Hospital, wanted: str) -> list[Any]:
    """The personal values of its events, their time aside."""
    e, v = h.coercion_event.c, h.coercion_value.c
    query = select(v.body).join(h.coercion_event, e.id == v.event_id)
    found = rows(hospital, query.where(e.sop_instance_uid == wanted))
    made = rows(hospital, select(e.recorded_at).where(e.sop_instance_uid == wanted))
    said = [row[0].strftime("%Y%m%d%H%M%S.%f+0000") for row in made]
    return [
        row[0].decode().replace(time, "TIME") for row, time in zip(found, said, strict=True)
    ]


def without_its_own(given: bytes) -> Any:
    """What is given out, without what is its own: UID, number, pixels and times."""
    if not given:
        return None
    dataset = dcmread(BytesIO(file_meta("1.2", "1.2", EXPLICIT) + given), force=True)
    for keyword in ("SOPInstanceUID", "InstanceNumber", "PixelData"):
        delattr(dataset, keyword)
    if "InstanceCoercionDateTime" in dataset:
        dataset.InstanceCoercionDateTime = ""
    for each in dataset.get("OriginalAttributesSequence", []):
        each.AttributeModificationDateTime = ""
    return dataset.to_json_dict()


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code(value: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator="SRT", CodeMeaning="x")


#: What may come: (attributes, source).
CASES: dict[str, tuple[dict[str, Any], Source]] = {
    "ordered": ({"AccessionNumber": "ACC1"}, CT_A),
    "without an order": ({}, CT_A),
    "of somebody unknown": ({"PatientID": "777"}, CT_A),
    "held": ({"PatientName": "ROE^RICHARD", "PatientBirthDate": "19750506"}, CT_A),
    "without an issuer": ({"PatientID": "5"}, Source("IMPORT_CD")),
    "without any identity": ({"PatientID": None, "PatientName": None}, CT_A),
    "not to be coerced": ({"AccessionNumber": "ACC1"}, replace(CT_A, coerce=False)),
    "without identity on purpose": ({"PatientIdentityRemoved": "YES"}, CT_A),
    "of a test domain": ({"PatientID": "T1"}, Source("X1", domain="X")),
    "with codes": ({"AnatomicRegionSequence": [code("T-D3000")]}, CT_A),
    "with umlauts": (
        {"SpecificCharacterSet": "ISO_IR 100", "InstitutionName": "Städtisches"}, CT_A,
    ),
    "naming its own study": (
        {"ReferencedStudySequence": [item(ReferencedSOPInstanceUID="1.2.3")]}, MR_B,
    ),
    "with a review": ({"PatientSex": "M", "AccessionNumber": "ACC1"}, CT_A),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_who_follows_is_recorded_as_if_decided_alone(hospital: Hospital, case: str) -> None:
    """Rows, events, items, what is given out and what is answered are the same."""
    attributes, source = CASES[case]
    made = instance(**attributes)
    for keyword, value in attributes.items():
        if isinstance(value, list):
            setattr(made, keyword, DicomSequence(value))
    flow, never = hospital.flow(), alone(hospital)
    firsts = [made, *(another(made, number) for number in (2, 3))]
    for dataset in firsts:
        [said] = settle(flow, [arrive(dataset, source)])
        assert isinstance(said, Stored)
    fast, slow = another(made, 4), another(made, 5)
    follows = followed(flow, arrive(fast, source))
    [told] = settle(flow, [arrive(fast, source, "other", 7)])
    [also] = settle(never, [arrive(slow, source, "other", 8)])

    assert recorded(hospital, fast, told) == recorded(hospital, slow, also)
    assert follows == (case not in ("naming its own study",)), "or it proves nothing"
    nothing_is_wrong(hospital)


def alone(hospital: Hospital) -> StoreFlow:
    """A flow in which nobody ever follows."""
    flow = hospital.flow()
    return replace(flow, precedents=Precedents(limit=0))


def nothing_is_wrong(hospital: Hospital) -> None:
    """Bytes, rows and history agree, and the checker finds every change explained."""
    doctor = Doctor(hospital.database, hospital.storage, clock, pause=lambda _: None)
    assert list(doctor.findings()) == []
    verdicts = list(CheckFlow(hospital.database, hospital.storage).instances())
    assert all(verdict.ok for verdict in verdicts)


# -- A group ----------------------------------------------------------------------------


def series(hospital: Hospital, flow: StoreFlow, **attributes: Any) -> Dataset:
    """An image of a series whose next ones follow it."""
    made = instance(**attributes)
    settle(flow, [arrive(made, CT_A)])
    assert followed(flow, arrive(another(made), CT_A))
    return made


def test_a_group_is_one_sync_and_one_transaction(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several studies, and all are answered."""
    flow = hospital.flow()
    made = [series(hospital, flow, AccessionNumber="ACC1"), series(hospital, flow)]
    synced: list[int] = []
    real = os.fdatasync

    def sync(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", sync)
    images = [another(each, number) for number in range(5) for each in made]
    told = settle(flow, [arrive(each, CT_A) for each in images])

    assert len(synced) == 1
    assert all(isinstance(each, Stored) and each.coerced for each in told)
    wanted = [str(each.SOPInstanceUID) for each in images]
    e = h.coercion_event.c
    xids = rows(hospital, select(e.xid).where(e.sop_instance_uid.in_(wanted)).distinct())
    assert len(xids) == 1
    nothing_is_wrong(hospital)


def test_instances_that_are_decided_alike_are_one_happening_of_their_association(
    hospital: Hospital,
) -> None:
    """Another association tells of it for itself, with the same reasons."""
    flow = hospital.flow()
    made = series(hospital, flow, AccessionNumber="ACC1")
    for association in ("one", "one", "other", "other"):
        settle(flow, [arrive(another(made), CT_A, association, 5)])
    i, g = t.instance.c, h.happening.c
    query = (
        select(g.id, g.cause_id, g.rung, g.rule, g.explanation, func.count())
        .join(t.instance, i.happening_id == g.id)
        .group_by(g.id)
        .order_by(g.id)
    )
    told = rows(hospital, query)
    assert [row.cause_id for row in told] == ["CT_A/test/1", "CT_A/one/5", "CT_A/other/5"]
    assert [row[5] for row in told] == [1, 2, 2]
    assert len({(row.rung, row.rule, str(row.explanation)) for row in told}) == 1


def test_the_same_uid_twice_in_a_group_is_one_instance(hospital: Hospital) -> None:
    """The second is known, as if it had come later; other content of it is held."""
    flow = hospital.flow()
    made = series(hospital, flow)
    image = another(made)
    differs = another(made)
    differs.SOPInstanceUID = image.SOPInstanceUID
    told = settle(flow, [arrive(each, CT_A) for each in (image, image, differs)])

    assert [getattr(each, "already", None) for each in told] == [False, True, False]
    assert getattr(told[2], "held", "") == "DUPLICATE-DIFFERS"
    assert count(hospital, t.instance) == 2
    nothing_is_wrong(hospital)


def test_bytes_that_are_here_are_not_kept_twice(hospital: Hospital) -> None:
    """A study that is sent again costs rows, and hardly any room in a segment: the first
    group of it finds out, and after that nobody follows a precedent before being known.
    """
    flow = hospital.flow()
    made = series(hospital, flow)
    images = [another(made) for _ in range(4)]
    settle(flow, [arrive(each, CT_A) for each in images])
    before = len(list(hospital.storage.kept()))
    told = settle(flow, [arrive(images[0], CT_A)])
    told += settle(flow, [arrive(each, CT_A) for each in images[1:]])

    assert all(isinstance(each, Stored) and each.already for each in told)
    assert len(list(hospital.storage.kept())) == before + 1
    assert count(hospital, t.receipt) == 1 + 8
    nothing_is_wrong(hospital)


def test_who_is_not_what_was_announced_is_refused(hospital: Hospital) -> None:
    """Also where all else is like a precedent; and nothing of it is kept."""
    flow = hospital.flow()
    made = series(hospital, flow)
    wrong = replace(arrive(another(made), CT_A), sop_class_uid="1.2.840.10008.5.1.4.1.1.4")
    told = settle(flow, [wrong, arrive(another(made), CT_A)])

    assert isinstance(told[0], SOPClassMismatch)
    assert isinstance(told[1], Stored)
    nothing_is_wrong(hospital)


@pytest.mark.fails
@pytest.mark.parametrize("where", ["record", "append", "sync"])
def test_where_a_group_fails_each_runs_alone(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whatever failed: all of it is stored, once, and nothing half."""
    flow = hospital.flow()
    made = series(hospital, flow, AccessionNumber="ACC1")
    failed: list[str] = []

    def fail_once(owner: Any, name: str, error: Exception) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not failed:
                failed.append(where)
                raise error
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    broken = OSError(5, "injected")
    if where == "sync":
        fail_once(os, "fdatasync", broken)
    elif where == "append":
        fail_once(os, "pwritev", broken)
    else:
        fail_once(groups, where, psycopg.errors.DeadlockDetected("injected"))
    images = [another(made) for _ in range(3)]
    told = settle(flow, [arrive(each, CT_A) for each in images])

    assert failed
    assert all(isinstance(each, Stored) and each.coerced for each in told)
    assert count(hospital, t.instance) == 4
    assert count(hospital, h.coercion_event) == 4


@pytest.mark.fails
def test_what_is_not_durable_is_not_recorded(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are on their way while the bytes are synced: they are not committed."""
    flow = hospital.flow()
    made = series(hospital, flow, AccessionNumber="ACC1")
    before = count(hospital, t.receipt), count(hospital, t.instance)

    def broken(_: int) -> None:
        raise OSError(5, "injected")

    images = [arrive(another(made), CT_A) for _ in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        told = settle(flow, images)
    assert all(isinstance(each, ServiceUnavailable) for each in told)
    assert (count(hospital, t.receipt), count(hospital, t.instance)) == before
    again = settle(flow, images)
    assert all(isinstance(each, Stored) and not each.already for each in again)


@pytest.mark.fails
def test_bytes_of_a_group_that_failed_are_found_by_doctor(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are durable before the rows: where these fail, they are nobody's."""
    flow = hospital.flow()
    made = series(hospital, flow)

    def fail(*_: Any, **__: Any) -> None:
        raise psycopg.OperationalError("injected")

    def away(*_: Any, **__: Any) -> None:
        raise ServiceUnavailable("injected")

    monkeypatch.setattr(groups, "record", fail)
    monkeypatch.setattr(Recording, "settle", away)
    image = arrive(another(made), CT_A)
    [told] = settle(flow, [image])

    assert isinstance(told, Exception)
    doctor = Doctor(hospital.database, hospital.storage, clock, pause=lambda _: None)
    found = [(each.code, each.subject) for each in doctor.findings()]
    assert found == [("bytes-without-row", image.digest)]


@pytest.mark.fails
def test_a_connection_that_was_lost_costs_nobody_an_instance(
    hospital: Hospital, cluster: Cluster
) -> None:
    """A group finds out when it uses it, and each of it is stored by itself."""
    flow = hospital.flow()
    made = series(hospital, flow)
    settle(flow, [arrive(another(made), CT_A)])
    name = hospital.database.writer.url.database
    with cluster.connect() as superuser:
        superuser.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            [name],
        )
    told = settle(flow, [arrive(another(made), CT_A) for _ in range(3)])
    again = settle(flow, [arrive(another(made), CT_A)])

    assert all(isinstance(each, Stored) for each in (*told, *again))
    assert count(hospital, t.instance) == 6
    nothing_is_wrong(hospital)


def test_precedents_are_bounded(hospital: Hospital) -> None:
    """The one that was followed longest ago goes first."""
    flow = replace(hospital.flow(), precedents=Precedents(limit=2))
    first, second = series(hospital, flow), series(hospital, flow)
    settle(flow, [arrive(another(first), CT_A)])
    series(hospital, flow)
    assert followed(flow, arrive(another(first), CT_A))
    assert not followed(flow, arrive(another(second), CT_A))


def test_two_patients_in_one_group_are_not_mixed_up(hospital: Hospital) -> None:
    """Each follows its own precedent."""
    hospital.patient(ANNA, "200^^^A", "E2^^^E")
    flow = hospital.flow()
    jane = series(hospital, flow)
    anna = series(
        hospital, flow, PatientID="200", PatientName="MEIER^ANNA",
        PatientBirthDate="19900304",
    )  # fmt: skip
    images = [another(each) for _ in range(3) for each in (jane, anna)]
    settle(flow, [arrive(each, CT_A) for each in images])
    retrieve = RetrieveFlow(hospital.database, hospital.storage)
    for image in images:
        given = b"".join(retrieve.instance(str(image.SOPInstanceUID)).chunks)
        own, other = (b"E1", b"E2") if image.PatientID == "100" else (b"E2", b"E1")
        assert b"LO\x02\0" + own in given
        assert b"LO\x02\0" + other not in given
