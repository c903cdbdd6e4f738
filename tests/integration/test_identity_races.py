"""Who is who, said by many at once while images come: an independent oracle judges the end.

The oracle is a dictionary: which identifier belongs to which person when all is said.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import func, select

from reconcile.db import tables as t
from reconcile.db import views_patients
from reconcile.db.embedded import Urls
from tests.support.canonical import given_out
from tests.support.given import disagreements
from tests.support.hospital import JANE, Hospital
from tests.support.instances import instance, uid
from tests.support.running import Archive, code

SOAK = bool(os.environ.get("RECONCILE_SOAK"))
ROUNDS = 500 if SOAK else 25
SECONDS = 60 if SOAK else 4
FEEDS = ASSOCIATIONS = 8
PATIENTS = 50
EARLY = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def hospital(database_urls: Urls, tmp_path: Path) -> Iterator[Hospital]:
    made = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    yield made
    made.database.close()


def roots(hospital: Hospital) -> dict[str, str]:
    """Whom each identifier of domain A belongs to, by SQL of the test's own."""
    link, identity, person = t.identity_link.c, t.identity.c, t.person.c
    query = (
        select(identity.id_norm, person.canonical_id)
        .join(t.identity_link, link.identity_id == identity.id)
        .join(t.person, person.id == link.person_id)
        .where(identity.domain == "A")
        .where(func.upper_inf(identity.valid) & func.upper_inf(link.recorded))
    )
    with hospital.database.read_only() as connection:
        rows = connection.execute(query).all()
    assert len({row.id_norm for row in rows}) == len(rows), "an identifier of two persons"
    return {row.id_norm: str(row.canonical_id) for row in rows}


def assigned(hospital: Hospital) -> dict[str, str]:
    """The archive's own ID of each surviving person."""
    found = {}
    with hospital.database.read_only() as connection:
        for person_id in set(roots(hospital).values()):
            person = views_patients.by_id(connection, person_id)
            found[person_id] = next(i.id for i in person.identifiers if i.issuer == "E")
    return found


# -- A pair of merges, and a study between them --------------------------------------------


@pytest.mark.timeout(3600)
def test_a_merge_and_its_inverse_leave_one_person(hospital: Hospital) -> None:
    """A into B against B into A: one person in the end, found by both, and no deadlock."""
    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            one, other = f"1{number:04}^^^A", f"2{number:04}^^^A"
            hospital.patient(JANE, one)
            hospital.patient(JANE, other)
            both = [
                pool.submit(hospital.merge, a, b, at=EARLY + timedelta(seconds=number))
                for a, b in ((one, other), (other, one))
            ]
            states = sorted(each.result().state for each in both)
            assert states in (["applied", "applied"], ["applied", "stale"])
    whose = roots(hospital)
    for number in range(ROUNDS):
        assert whose[f"1{number:04}"] == whose[f"2{number:04}"]
    assert len(set(whose.values())) == ROUNDS
    live = select(func.count()).where(func.upper_inf(t.merge_edge.c.recorded))
    with hospital.database.read_only() as connection:
        assert connection.execute(live).scalar_one() == ROUNDS


@pytest.mark.timeout(3600)
def test_a_merge_between_two_instances_of_a_study(hospital: Hospital) -> None:
    """One stored before, one after, one beside it: all are given out as the survivor's."""
    images: dict[str, str] = {}
    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            one, other = f"1{number:04}", f"2{number:04}"
            hospital.patient(JANE, f"{one}^^^A")
            hospital.patient(JANE, f"{other}^^^A")
            study, series = uid(), uid()
            three = [
                instance(StudyInstanceUID=study, SeriesInstanceUID=series, PatientID=other)
                for _ in range(3)
            ]
            images |= {str(each.SOPInstanceUID): one for each in three}
            assert hospital.store(three[0]).held == ""
            merged = pool.submit(hospital.merge, f"{one}^^^A", f"{other}^^^A")
            beside = pool.submit(hospital.store, three[1])
            assert merged.result().state == "applied"
            assert beside.result().held == ""
            assert hospital.store(three[2]).held == ""
    whose, own = roots(hospital), assigned(hospital)
    for sop, patient in images.items():
        assert given_out(hospital, sop).PatientID == own[whose[patient]], sop
    assert disagreements(hospital) == []


# -- Eight feeds and eight associations on the same fifty patients -------------------------


@dataclass
class Truth:
    """What must be so in the end, in plain Python, and what was acknowledged.

    Patients come in families of one person: whoever merges says so of two of a family,
    the lower number surviving, so that the end is one person per family.
    """

    images: dict[str, int] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    merged: set[tuple[int, int]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def root(self, patient: int) -> int:
        """Whose a patient's identifier is when all merges are done."""
        above = {prior: surviving for surviving, prior in self.merged}
        while patient in above:
            patient = above[patient]
        return patient


def family(patient: int) -> tuple[str, str]:
    """(name, birth date) of the one person that five patients are."""
    number = patient // 5
    return (
        f"FAMILY{'ABCDEFGHIJ'[number]}^PAT{'QRSTUVWXYZ'[number]}",
        f"19{40 + number}0{1 + number % 9}15",
    )


def pid(patient: int) -> str:
    name, born = family(patient)
    return f"PID|||{1000 + patient}^^^A||{name}||{born}|F"


def message(event: str, feed: int, number: int, *segments: str) -> str:
    """From one of eight connections of the RIS, each with control ids of its own."""
    kind = "ORM^O01" if event == "O01" else f"ADT^{event}"
    at = f"20260301{10 + number // 3600 % 10:02}{number // 60 % 60:02}{number % 60:02}"
    msh = (
        f"MSH|^~\\&|RIS_A|HOSPITAL|RECONCILE|ARCHIVE|{at}||{kind}|F{feed}-{number}|P|2.5.1"
    )
    evn = () if event == "O01" else (f"EVN|{event}|{at}",)
    return "\r".join((f"{msh}||||||UNICODE UTF-8", *evn, *segments)) + "\r"


def spoken(feed: int, number: int, rng: Random, truth: Truth) -> str:
    """The next message of a feed."""
    patient, draw = rng.randrange(PATIENTS), rng.random()
    if draw < 0.25 and patient % 5:
        surviving = patient - 1  # each is said to be the one before: a chain per family
        with truth.lock:
            truth.merged.add((surviving, patient))
        return message("A40", feed, number, pid(surviving), f"MRG|{1000 + patient}^^^A")
    if draw < 0.45:
        accession = f"S{patient}"
        order = f"ORC|NW|P{accession}|F{accession}"
        obr = f"OBR|1|||CT^CT THORAX^L|{'|' * 13}{accession}|RP1"
        return message("O01", feed, number, pid(patient), "PV1||O", order, obr)
    return message(rng.choice(["A08", "A28", "A04"]), feed, number, pid(patient), "PV1||O")


def image_of(rng: Random, studies: dict[int, str]) -> tuple[int, Dataset]:
    """Of one of the fifty; a study of theirs goes on now and then."""
    patient = rng.randrange(PATIENTS)
    if rng.random() < 0.5:
        studies.pop(patient, None)
    study = studies.setdefault(patient, uid())
    name, born = family(patient)
    return patient, instance(
        PatientID=str(1000 + patient),
        PatientName=name,
        PatientBirthDate=born,
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1",
        AccessionNumber=rng.choice(["", f"S{patient}"]),
    )


def feeding(archive: Archive, feed: int, until: float, truth: Truth) -> None:
    rng, number = Random(feed), 0
    while time.monotonic() < until:
        number += 1
        said = spoken(feed, number, rng, truth)
        answer = code(archive.send(said))
        with truth.lock:
            truth.answers[f"{said.split('|')[8]} {answer}"] += 1


def sending(archive: Archive, number: int, until: float, truth: Truth) -> None:
    rng, studies = Random(100 + number), dict[int, str]()
    while time.monotonic() < until:
        some = [image_of(rng, studies) for _ in range(5)]
        told = archive.store_all([each for _, each in some])
        with truth.lock:
            for (patient, each), answer in zip(some, told, strict=True):
                truth.answers[f"C-STORE {answer.Status:04X}"] += 1
                if answer.Status in (0x0000, 0xB000):
                    truth.images[str(each.SOPInstanceUID)] = patient


def at_once(*work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(work)) as pool:
        for each in [pool.submit(one) for one in work]:
            each.result()


@pytest.mark.timeout(1200)
def test_eight_feeds_and_eight_associations_on_the_same_patients(
    database_urls: Urls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is refused for another's sake; every image is under whom the oracle says."""
    truth = Truth()
    with Archive(tmp_path, database_urls) as archive:
        until = time.monotonic() + SECONDS
        feeds = [lambda n=n: feeding(archive, n, until, truth) for n in range(FEEDS)]
        peers = [lambda n=n: sending(archive, n, until, truth) for n in range(ASSOCIATIONS)]
        at_once(*feeds, *peers)
        # Everybody is spoken of once, and every family is told whole once more.
        for patient in range(PATIENTS):
            archive.send(message("A28", 98, patient, pid(patient), "PV1||O"))
        held = Counter(item["code"] for item in archive.items("/api/v1/holds", kind="hold"))
    hospital = Hospital.at(
        database_urls.writer, tmp_path / "data/instances", database_urls.reader
    )
    try:
        judged(hospital, truth)
    finally:
        hospital.database.close()
    with capsys.disabled():
        print(
            f"\n{len(truth.images)} images, {sum(truth.answers.values())} answers in"
            f" {SECONDS} s; held: {dict(held)}; merges: {len(truth.merged)}"
            f"\n{dict(sorted(truth.answers.items()))}"
        )


def judged(hospital: Hospital, truth: Truth) -> None:
    """What must hold of what is there now."""
    refused = [
        each for each in truth.answers if each.split()[-1] not in ("AA", "0000", "B000")
    ]
    assert refused == []
    whose = roots(hospital)
    for one in range(PATIENTS):
        for other in range(one):
            same = truth.root(one) == truth.root(other)
            assert (whose[str(1000 + one)] == whose[str(1000 + other)]) == same, (
                one,
                other,
            )
    own = assigned(hospital)
    query = select(t.series.c.held, t.instance.c.sop_instance_uid).join(
        t.series, t.series.c.id == t.instance.c.series_id
    )
    with hospital.database.read_only() as connection:
        stored = {row.sop_instance_uid: row.held for row in connection.execute(query)}
    assert truth.images.keys() == stored.keys()
    wrong = [
        sop
        for sop, patient in truth.images.items()
        if not stored[sop]
        and given_out(hospital, sop).PatientID != own[whose[str(1000 + patient)]]
    ]
    assert wrong == []
    assert disagreements(hospital) == []
