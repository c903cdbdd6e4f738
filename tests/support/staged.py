"""What a hospital has to send so that every instance is hard to give out rightly.

Orders know other Study UIDs than the modalities; the Series UIDs are taken by another
study, and many studies come with the same ones; what the references name was stored
before. So Patient ID, Study and Series UID of every instance change, and every reference
must, to what its own study says.
"""

from __future__ import annotations

from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.support.archive import Sent
from tests.support.compared import read
from tests.support.instances import data_offset, instance, uid
from tests.support.iods import transfer_syntax_of
from tests.support.iods_rich import JANE, PEOPLE, Case, Person, Place, cases

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


class Order(NamedTuple):
    """A requested procedure, and the Study UID that it was given."""

    person: Person
    accession: str
    rp_id: str
    study_uid: str


class Stage(NamedTuple):
    """All that is sent, in this order.

    Attributes:
        orders: of every study but the one that took the series.
        taken: one image per Series UID, all of one study that keeps its own.
        named: by the person's number, an image of the study that references name.
        cases: one of each SOP class.
    """

    orders: list[Order]
    taken: list[Dataset]
    named: dict[str, Dataset]
    cases: list[Case]

    @property
    def first(self) -> list[Dataset]:
        """What is stored before the cases."""
        return [*self.taken, *self.named.values()]


def stage() -> Stage:
    """All that is sent, with UIDs of its own."""
    others = {person.number: Place(uid(), uid()) for person in PEOPLE}
    made = cases(others)
    orders = [
        Order(each.person, each.accession, f"RP{each.number}", each.assigned_study)
        for each in made
        if each.has_patient
    ]
    orders += [Order(p, f"NAMED{p.number}", f"RPN{p.number}", uid()) for p in PEOPLE]
    study, series = uid(), {each.received.series for each in made}
    series |= {place.series for place in others.values()}
    taken = [_image(JANE, Place(study, each), "") for each in sorted(series)]
    named = {p.number: _image(p, others[p.number], f"NAMED{p.number}") for p in PEOPLE}
    return Stage(orders, taken, named, made)


def _image(person: Person, place: Place, accession: str) -> Dataset:
    return instance(
        StudyInstanceUID=place.study,
        SeriesInstanceUID=place.series,
        PatientID=person.number,
        PatientName=person.spelt,
        PatientBirthDate=person.said.birth_date,
        PatientSex=person.said.sex,
        AccessionNumber=accession,
    )


def syntax_of(case: Case, turn: int = 0) -> str:
    """The transfer syntax of a case: another one in each turn."""
    wanted = SYNTAXES[(case.number + turn) % len(SYNTAXES)]
    return transfer_syntax_of(case.sop_class, wanted)


def sent(file: bytes) -> Sent:
    """A file as it is announced, its data set byte for byte."""
    meta = read(file).file_meta
    return Sent(
        str(meta.MediaStorageSOPClassUID),
        str(meta.MediaStorageSOPInstanceUID),
        str(meta.TransferSyntaxUID),
        file[data_offset(file) :],
    )
