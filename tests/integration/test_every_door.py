"""One identity behind every door.

Two studies of one patient, each coerced in Patient ID and Series UID, one in its Study
UID by an order that came before it, the other known under its order's UID as well by one
that came later. Each door is asked with what was received, what was assigned and, after
an A40, what was subsumed: the answer is the same instances, in every state.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from reconcile.cli.main import app
from tests.support import asking, retrieving
from tests.support.committing import Modality, named
from tests.support.instances import CT, instance, uid
from tests.support.messages import Ordered, adt, joined, omi, orm
from tests.support.performing import Step, begun, ended, scheduled
from tests.support.rejecting import note
from tests.support.retrieving import EXPLICIT, Taker, free_port, taker
from tests.support.running import HOSPITAL, Archive, code

Patient = tuple[str, str]
QUINN = ("QUINN^QUENTIN", "19710101", "M")
RECEIVED, ASSIGNED, SURVIVING = ("710", "A"), ("EQ", "E"), ("ER", "E")
PORT = free_port()
TAKER = f"""
[[destination]]
ae_title = "TAKER"
host = "127.0.0.1"
port = {PORT}
"""
STATES = ("stored", "ordered", "merged", "unmerged")
#: In each of which all doors are asked: in all of them by `make soak`.
LOOKED_AT = STATES if os.environ.get("RECONCILE_SOAK") else ("merged", "unmerged")


class Asked(NamedTuple):
    """A question by identifiers; what is empty is not asked by."""

    patient: Patient | tuple[()] = ()
    study: str = ""
    series: str = ""

    def keys(self) -> dict[str, str]:
        """As keys of a query."""
        said = {"StudyInstanceUID": self.study, "SeriesInstanceUID": self.series}
        if self.patient:
            said["PatientID"], said["IssuerOfPatientID"] = self.patient
        return {keyword: value for keyword, value in said.items() if value}

    @property
    def level(self) -> str:
        """The lowest that is asked by."""
        return "SERIES" if self.series else "STUDY" if self.study else "PATIENT"


@dataclass
class Acquired:
    """A study by all its names; the first is the one that it is given out under."""

    images: list[Dataset]
    accession: str
    studies: list[str]
    series: list[str] = field(default_factory=list)

    @property
    def uids(self) -> set[str]:
        return {str(each.SOPInstanceUID) for each in self.images}

    def questions(self) -> Iterator[Asked]:
        """By every name of the study, alone and with the series as it came, or is."""
        assigned, received = self.series
        for study in self.studies:
            yield Asked(study=study)
            yield Asked(study=study, series=received)
        yield Asked(study=self.studies[-1], series=assigned)


@dataclass
class World:
    """The archive, what is in it, and how far it has come."""

    archive: Archive
    taker: Taker
    early: Acquired
    late: Acquired
    reached: int = 0
    patients: list[Patient] = field(default_factory=lambda: [RECEIVED, ASSIGNED])
    beside: set[str] = field(default_factory=set)

    @property
    def port(self) -> int:
        return self.archive.doors.dicom[1]

    @property
    def studies(self) -> tuple[Acquired, Acquired]:
        return self.early, self.late

    @property
    def uids(self) -> set[str]:
        return self.early.uids | self.late.uids

    def get(self, path: str, **parameters: str) -> Any:
        return self.archive.get(path, **parameters)

    def say(self, message: str) -> None:
        assert code(self.archive.send(message)) == "AA"


# -- What happens to it ------------------------------------------------------------------


def acquired(accession: str, series: str) -> Acquired:
    name, born, sex = QUINN
    study = uid()
    known = {"PatientName": name, "PatientBirthDate": born, "PatientSex": sex}
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "PatientID": "710"}
    images = [
        instance(AccessionNumber=accession, InstanceNumber=number, **known, **same)
        for number in (1, 2)
    ]
    return Acquired(images, accession, [study], [series])


@pytest.fixture(scope="module")
def world(cluster, tmp_path_factory) -> Iterator[World]:
    """Stored; somebody else's images had come under the same Series UIDs."""
    folder = tmp_path_factory.mktemp("every-door")
    early, late = acquired("EVERY1", uid()), acquired("EVERY2", uid())
    with (
        cluster.database() as urls,
        taker(PORT, "TAKER", {CT: [EXPLICIT]}) as takes,
        Archive(folder, urls, HOSPITAL + TAKER) as archive,
    ):
        made = World(archive, takes, early, late)
        archive.register()
        made.say(adt("A28", "710^^^A~EQ^^^E", *QUINN, sender="EMPI"))
        made.say(adt("A28", "720^^^A~ER^^^E", *QUINN, sender="EMPI"))
        early.studies.insert(0, uid())
        ordered = Ordered(study_uid=early.studies[0])
        made.say(orm("710^^^A", *QUINN, ordered, accession="EVERY1"))
        others = [instance(SeriesInstanceUID=each.series[0]) for each in made.studies]
        archive.store_all([*others, *early.images, *late.images])
        for each in made.studies:
            series = archive.given_out(str(each.images[0].SOPInstanceUID))
            each.series.insert(0, str(series.SeriesInstanceUID))
        step = {"start": "20261201093000", "stations": "CT_A"}
        made.say(omi("710^^^A", *QUINN, accession="EVERY3", **step))
        yield made


def order(world: World) -> None:
    """The second study's: it was asked for already, and keeps its UID."""
    world.late.studies.append(uid())
    ordered = Ordered("RP2", study_uid=world.late.studies[-1])
    world.say(orm("710^^^A", *QUINN, ordered, accession="EVERY2"))


def merge(world: World) -> None:
    world.patients.append(SURVIVING)
    world.say(joined("A40", "ER^^^E", "EQ^^^E", QUINN[0], sender="EMPI"))


def unmerge(world: World) -> None:
    world.patients.remove(SURVIVING)
    said = {"surviving": "ER^^^E", "prior": "EQ^^^E", "reason": "two men"}
    answer = world.archive.http.post("/api/v1/patients/unmerge", json=said)
    assert answer.status_code == 201, answer.text


STEPS = (order, merge, unmerge)


@pytest.fixture(scope="module", params=LOOKED_AT)
def state(request: pytest.FixtureRequest, world: World) -> World:
    """The archive when it has come so far."""
    wanted = STATES.index(request.param)
    for step in STEPS[world.reached : wanted]:
        step(world)
    world.reached = wanted
    return world


# -- The doors ---------------------------------------------------------------------------

Door = Callable[[World, Asked], Iterable[str]]


def c_find(model: str) -> Door:
    def found(world: World, asked: Asked) -> list[str]:
        wanted = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "", **asked.keys()}
        told, codes = asking.find(world.archive, model, **wanted)
        assert set(codes) <= {0xFF00, 0x0000}
        return [str(each.SOPInstanceUID) for each in told]

    return found


def c_move(world: World, asked: Asked) -> list[str]:
    world.taker.datasets.clear()
    model = retrieving.STUDY_MOVE if asked.study else retrieving.PATIENT_MOVE
    keys: dict[str, Any] = {"QueryRetrieveLevel": asked.level, **asked.keys()}
    retrieving.move(world.port, "TAKER", model, **keys)
    return as_given(world, world.taker.datasets)


def c_get(world: World, asked: Asked) -> list[str]:
    model = retrieving.STUDY_GET if asked.study else retrieving.PATIENT_GET
    keys: dict[str, Any] = {"QueryRetrieveLevel": asked.level, **asked.keys()}
    _, came = retrieving.get(world.port, [(CT, EXPLICIT)], model, **keys)
    return as_given(world, came)


def as_given(world: World, came: Sequence[Dataset]) -> list[str]:
    """Under one name, whatever they were asked by."""
    for each in came:
        for study in (s for s in world.studies if str(each.SOPInstanceUID) in s.uids):
            place = (each.StudyInstanceUID, each.SeriesInstanceUID)
            assert place == (study.studies[0], study.series[0])
    return [str(each.SOPInstanceUID) for each in came]


def qido(world: World, asked: Asked) -> list[str]:
    answer = world.archive.http.get("/dicom-web/instances", params=asked.keys())
    return [each["00080018"]["Value"][0] for each in listed(answer)]


def qido_by_path(world: World, asked: Asked) -> list[str]:
    answer = world.archive.http.get(f"{path_of(asked)}/instances")
    return [each["00080018"]["Value"][0] for each in listed(answer)]


def metadata(world: World, asked: Asked) -> list[str]:
    answer = world.archive.http.get(f"{path_of(asked)}/metadata")
    return [each["00080018"]["Value"][0] for each in listed(answer)]


def wado(world: World, asked: Asked) -> list[str]:
    answer = world.archive.http.get(path_of(asked)).raise_for_status()
    boundary = answer.headers["content-type"].rpartition("boundary=")[2].strip('"')
    parts = answer.content.split(f"--{boundary}".encode("ascii"))[1:-1]
    files = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
    return as_given(world, [pydicom.dcmread(BytesIO(file)) for file in files])


def wado_instances(world: World, asked: Asked) -> list[str]:
    came = []
    for each in sorted(world.uids):
        answer = world.archive.retrieve(asked.study, asked.series, each)
        if answer.status_code == 200:
            came.append(pydicom.dcmread(BytesIO(answer.content)))
    return as_given(world, came)


def listed(answer: Any) -> list[Any]:
    found: list[Any] = answer.raise_for_status().json() if answer.content else []
    return found


def path_of(asked: Asked) -> str:
    series = f"/series/{asked.series}" if asked.series else ""
    return f"/dicom-web/studies/{asked.study}{series}"


DOORS: dict[str, tuple[Door, str]] = {
    "C-FIND, patient root": (c_find(asking.PATIENT_ROOT), "PATIENT STUDY"),
    "C-FIND, study root": (c_find(asking.STUDY_ROOT), "PATIENT STUDY SERIES"),
    "C-MOVE": (c_move, "PATIENT STUDY"),
    "C-GET": (c_get, "PATIENT STUDY SERIES"),
    "QIDO-RS": (qido, "PATIENT STUDY SERIES"),
    "QIDO-RS by path": (qido_by_path, "STUDY SERIES"),
    "WADO-RS": (wado, "STUDY SERIES"),
    "WADO-RS metadata": (metadata, "STUDY SERIES"),
    "WADO-RS instance": (wado_instances, "SERIES"),
}


@pytest.mark.parametrize("door", DOORS)
def test_the_same_instances(state: World, door: str) -> None:
    """By every name of patient, study and series that there is by now."""
    ask, levels = DOORS[door]
    wanted = [(each, study.uids) for study in state.studies for each in study.questions()]
    wanted += [(Asked(patient), state.uids) for patient in state.patients]
    for asked, uids in wanted:
        if asked.level in levels:
            assert set(ask(state, asked)) - state.beside == uids, asked


@pytest.mark.parametrize("door", [name for name in DOORS if "PATIENT" in DOORS[name][1]])
def test_who_is_somebody_else_has_none_of_them(state: World, door: str) -> None:
    """The survivor before the A40, and again after its undoing."""
    if SURVIVING not in state.patients:
        assert list(DOORS[door][0](state, Asked(SURVIVING))) == []


# -- What is asked for by other things than a level --------------------------------------


def same(told: Iterable[Any]) -> Any:
    """What all of several answers are."""
    first, *others = told
    assert all(each == first for each in others), (first, others)
    return first


def items(world: World, path: str, **asked: str) -> list[Any]:
    return world.archive.items(path, **asked)


def cx(patient: Patient) -> str:
    return f"{patient[0]}^^^{patient[1]}"


def test_the_history_by_every_name(state: World) -> None:
    """`study`, `series`, `patient` and `accession` of the audit, and of its command."""
    path = "/api/v1/coercions"
    for study in state.studies:
        events = same(items(state, path, study=each) for each in study.studies)
        assert {each["sop_instance_uid"] for each in events} >= study.uids
        own = {"study": study.studies[-1]}  # others have the received UID of the series
        by_series = same(items(state, path, series=each, **own) for each in study.series)
        assert {each["sop_instance_uid"] for each in by_series} >= study.uids
        for name in study.studies:
            lines = run(state, "audit", "list", "--study", name, "--json").splitlines()
            assert len(lines) == len(events)
    of_patient = same(items(state, path, patient=cx(each)) for each in state.patients)
    assert {each["sop_instance_uid"] for each in of_patient} >= state.uids


def test_look_ups_by_every_name(state: World) -> None:
    """`uids`, `explain`, `patients`: over HTTP and on the command line."""
    for study in state.studies:
        told = same(state.get(f"/api/v1/uids/{each}") for each in study.studies)
        assert told["assigned"] == study.studies[0]
        assert {told["assigned"], *told["received"]} >= set(study.studies)
        assigned = state.get(f"/api/v1/uids/{study.series[0]}")
        assert assigned["received"] == [study.series[1]]
        why = same(state.get(f"/api/v1/studies/{each}/explain") for each in study.studies)
        assert why["study_instance_uid"] == study.studies[0]
        same(run(state, "study", "explain", each) for each in study.studies)
    persons = same(
        state.get("/api/v1/patients", identifier=cx(each))["items"]
        for each in state.patients
    )
    studies = {
        each["study_instance_uid"] for person in persons for each in person["studies"]
    }
    assert studies >= {each.studies[0] for each in state.studies}
    same(run(state, "patient", "show", cx(each)) for each in state.patients)


def run(world: World, *words: str) -> str:
    """What a command prints, beside the running archive."""
    folder = world.archive.folder
    more = ["--config", str(folder / "hospital.toml"), "--data", str(folder / "data")]
    done = CliRunner().invoke(app, [*words, *more], env=world.archive.environment())
    assert done.exit_code == 0, done.output
    return done.output


def test_reconcile_instance_get(state: World, tmp_path: Path) -> None:
    """The command gives out what HTTP does."""
    for study in state.studies:
        name = str(study.images[0].SOPInstanceUID)
        run(state, "instance", "get", name, "-o", str(tmp_path / name))
        assert pydicom.dcmread(tmp_path / name) == state.archive.given_out(name)


def test_storage_commitment(state: World) -> None:
    """In the UIDs that were asked with: those are what the modality has."""
    images = [image for study in state.studies for image in study.images]
    told = Modality().commit(state.port, images)
    assert (told.committed, told.failed) == ({named(image) for image in images}, {})


def test_performed_steps(state: World) -> None:
    """Told of under any name of the study, found under all of them, of one order."""
    for study in state.studies:
        for name in study.studies:
            item = scheduled(name, study.accession)
            step = Step(state.port)
            assert step.create(begun(item, **patient_of(RECEIVED))).Status == 0
            assert step.set(ended(series=[study.series[1]])).Status == 0
            asked = [
                [
                    each
                    for each in items(state, "/api/v1/performed-steps", study=other)
                    if each["sop_instance_uid"] == step.uid
                ]
                for other in study.studies
            ]
            [told] = same(asked)
            [request] = told["requests"]
            ordered = items(state, "/api/v1/orders", accession=study.accession)
            assert [request["order"]] == ([each["id"] for each in ordered] or [None])


def patient_of(patient: Patient) -> dict[str, str]:
    name, born, sex = QUINN
    known = {"PatientName": name, "PatientBirthDate": born, "PatientSex": sex}
    return {"PatientID": patient[0], **known}


def test_rejection_notes(state: World) -> None:
    """Under any name of study and series: hidden at every door; undone, as before."""
    path = "/api/v1/rejections"
    for study in state.studies:
        image = study.images[-1]
        for asked in study.questions():
            if not asked.series:
                continue
            as_named = instance(SOPInstanceUID=image.SOPInstanceUID, **patient_of(RECEIVED))
            as_named.StudyInstanceUID = asked.study
            as_named.SeriesInstanceUID = asked.series
            made = note("113037", [as_named])
            state.beside.add(str(made.SOPInstanceUID))
            assert state.archive.store(made).Status in (0x0000, 0xB000)
            rest = study.uids - {str(image.SOPInstanceUID)}
            found = set(qido(state, Asked(study=study.studies[0]))) - state.beside
            assert found == rest, asked
            [item] = same(items(state, path, study=each) for each in study.studies)
            assert item["sop_instance_uid"] == image.SOPInstanceUID
            undo = f"/api/v1/coercions/{item['happening']}/undo"
            answer = state.archive.http.post(undo, json={"reason": "it is good"})
            assert answer.status_code == 201, answer.text


def test_the_worklist_by_every_patient(state: World) -> None:
    """What is still scheduled for him, in one identity."""
    told = []
    for identifier, issuer in state.patients:
        keys = {"PatientID": identifier, "IssuerOfPatientID": issuer}
        found, _ = asking.worklist(state.archive, AccessionNumber="", **keys)
        told.append([(each.AccessionNumber, each.PatientID) for each in found])
    assert "EVERY3" in {accession for accession, _ in same(told)}
