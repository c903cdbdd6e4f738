"""Histories drawn from a seed: what a small hospital's feeds and modalities might do."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.support.hospital import CT_A, MR_B
from tests.support.instances import instance
from tests.support.story import Act, Archive, Image, Message, Step, Who

#: Who somebody really is; the first two are one, registered twice.
PEOPLE = (
    Who("DOE^JANE", "19800102", "F"),
    Who("DOE^JANE^MARY", "19800102", "F"),
    Who("ROE^RICHARD", "19750506", "M"),
    Who("MEIER^ANNA", "19900304", "F"),
    Who("KOCH^LEO", "19631224", "M"),
)
ROOT = "1.2.826.0.1.3680043.10.9999"


@dataclass
class Drawn:
    """Draws steps, one after the other; what was drawn before is drawn upon."""

    rng: Random
    number: int = 0
    studies: list[tuple[int, str]] = field(default_factory=list)

    # -- parts -------------------------------------------------------------------------

    def patient(self) -> int:
        return self.rng.randrange(len(PEOPLE))

    def two(self) -> tuple[int, int]:
        one, other = self.rng.sample(range(len(PEOPLE)), 2)
        return one, other

    def who(self, patient: int) -> Who:
        """As a feed describes one: sometimes married, sometimes less, seldom another."""
        said = PEOPLE[patient]
        chance = self.rng.random()
        if chance < 0.15:
            return Who("SMITH^" + said.name.split("^", 1)[1], said.birth_date, said.sex)
        if chance < 0.25:
            return Who(said.name, "", said.sex)
        if chance < 0.32:
            return PEOPLE[self.patient()]
        return said

    def next(self) -> int:
        self.number += 1
        return self.number

    # -- steps -------------------------------------------------------------------------

    def update(self) -> Message:
        patient, domain = self.patient(), self.rng.choice("AAAB")
        sender = self.rng.choice([f"RIS_{domain}"] * 3 + ["EMPI"])
        ids = f"{patient}00^^^{domain}"
        if sender == "EMPI" and self.rng.random() < 0.5:
            ids = f"{patient}00^^^A~{patient}00^^^B"
        event = self.rng.choice(["A08", "A28", "A04", "A31", "A02"])
        return Message(sender, event, ids, self.who(patient), number=self.next())

    def merge(self) -> Message:
        one, other = self.two()
        domain = self.rng.choice("AAB")
        sender = self.rng.choice([f"RIS_{domain}"] * 3 + ["EMPI"])
        event = self.rng.choice(["A40", "A40", "A40", "A18", "A37"])
        return self._pair(sender, event, f"{one}00^^^{domain}", f"{other}00^^^{domain}")

    def identifier(self) -> Message:
        one, other = self.two()
        event = self.rng.choice(["A47", "A43", "A24", "A37"])
        new = self.rng.choice([f"{one}00^^^A", f"{one}0{self.number % 7}^^^A"])
        return self._pair("RIS_A", event, new, f"{other}00^^^A")

    def _pair(self, sender: str, event: str, one: str, other: str) -> Message:
        return Message(sender, event, one, Who(), other, self.next())

    def order(self) -> Message:
        patient, number = self.patient(), self.rng.randrange(6)
        uid = f"{ROOT}.1.{number}" if number % 2 else ""
        control = self.rng.choice(["NW", "NW", "XO", "CA"])
        return Message(
            "RIS_A",
            "O01",
            f"{patient}00^^^A",
            PEOPLE[patient],
            number=self.next(),
            accession=f"ACC{number}",
            study_uid=uid,
            control=control,
        )

    def image(self) -> Image:
        """Of a new study, or one more of another; seldom with a wrong header."""
        patient, number = self.patient(), self.next()
        study = f"{ROOT}.2.{number}"
        if self.studies and self.rng.random() < 0.4:
            patient, study = self.rng.choice(self.studies)
        self.studies.append((patient, study))
        said = PEOPLE[patient if self.rng.random() < 0.85 else self.patient()]
        accession = self.rng.choice(["", "", f"ACC{self.rng.randrange(6)}"])
        source = CT_A if self.rng.random() < 0.75 else MR_B
        values: dict[str, Any] = {
            "PatientID": self.rng.choice([f"{patient}00"] * 6 + [""]),
            "PatientName": said.name,
            "PatientBirthDate": said.birth_date,
            "PatientSex": said.sex,
            "StudyInstanceUID": study,
            "SeriesInstanceUID": f"{study}.{self.rng.randrange(2)}",
            "SOPInstanceUID": f"{ROOT}.3.{number}",
            "AccessionNumber": accession,
        }
        return Image(instance(**values), source)

    def act(self, archive: Archive) -> Act | None:
        """What a steward might do now; None: there is nothing to be done."""
        patient = f"{self.patient()}00^^^A"
        kind = self.rng.choice(["resolve", "resolve", "resolve", "assign", "undo"])
        if kind == "assign" and self.studies:
            return Act(
                "assign", patient=patient, study_uid=self.rng.choice(self.studies)[1]
            )
        if kind == "undo":
            happened = len(archive.happenings())
            return Act("undo", self.rng.randrange(happened)) if happened else None
        holds = archive.open_items()
        if not holds:
            return None
        number, _, _ = self.rng.choice(holds)
        action = self.rng.choice(["accept", "assign", "assign", "new-patient", "reject"])
        named = patient if action == "assign" else ""
        return Act("resolve", number, action, named)

    def step(self, archive: Archive) -> Step | None:
        """The next one."""
        draw = self.rng.random()
        if draw < 0.28:
            return self.update()
        if draw < 0.42:
            return self.merge()
        if draw < 0.52:
            return self.identifier()
        if draw < 0.62:
            return self.order()
        if draw < 0.85:
            return self.image()
        return self.act(archive)


def lived(archive: Archive, seed: int, steps: int, *, undoing: bool = True) -> list[Step]:
    """Let a history drawn from a seed happen; what happened. Or one without undoing."""
    drawn, done = Drawn(Random(seed)), []
    for _ in range(steps):
        step = drawn.step(archive)
        is_undo = isinstance(step, Act) and step.kind == "undo"
        if step is not None and (undoing or not is_undo):
            archive.do(step)
            done.append(step)
    return done


# -- Of senders that each keep their order -------------------------------------------------

#: Who patients are, where only who is the same is merged: two persons in all.
ONE_OF = (PEOPLE[0], PEOPLE[0], PEOPLE[0], PEOPLE[4], PEOPLE[4])


def senders(rng: Random) -> list[list[Step]]:
    """What each of four senders says, in its own order; no two of them disagree.

    Each feed speaks of its own domain alone, nobody is merged twice, only who is described
    alike is merged, and headers of images are what the feeds say of the patient.
    """
    drawn = Drawn(rng)
    feeds = [_agreed(drawn, domain) for domain in "AB"]
    images: list[list[Step]] = [
        [_agreed_image(drawn, domain) for _ in range(4)] for domain in "AB"
    ]
    return [*feeds, *images]


def _agreed(drawn: Drawn, domain: str) -> list[Step]:
    """Registrations, updates, merges down a list, and orders of one feed."""
    rng, said = drawn.rng, list[Step]()
    sender = f"RIS_{domain}"
    priors = list(range(1, len(ONE_OF)))
    for _ in range(8):
        patient, draw = drawn.patient(), rng.random()
        named = f"{patient}00^^^{domain}"
        if draw < 0.5:
            event = rng.choice(["A28", "A08", "A04"])
            said.append(Message(sender, event, named, ONE_OF[patient], number=drawn.next()))
        elif draw < 0.75 and priors:
            prior = priors.pop(rng.randrange(len(priors)))
            alike = [n for n in range(prior) if ONE_OF[n] == ONE_OF[prior]]
            if not alike:
                continue
            one, other = f"{rng.choice(alike)}00^^^{domain}", f"{prior}00^^^{domain}"
            said.append(Message(sender, "A40", one, Who(), other, drawn.next()))
        else:
            number = drawn.next()
            accession = f"ACC{domain}{number}"
            order = Message(sender, "O01", named, ONE_OF[patient], "", number, accession)
            said.append(order)
    return said


def _agreed_image(drawn: Drawn, domain: str) -> Image:
    """Of a study of its own, under the identifier that its modality's domain knows."""
    patient, number = drawn.patient(), drawn.next()
    said = ONE_OF[patient]
    values: dict[str, Any] = {
        "PatientID": f"{patient}00",
        "PatientName": said.name,
        "PatientBirthDate": said.birth_date,
        "PatientSex": said.sex,
        "StudyInstanceUID": f"{ROOT}.2.{number}",
        "SeriesInstanceUID": f"{ROOT}.2.{number}.1",
        "SOPInstanceUID": f"{ROOT}.3.{number}",
    }
    return Image(instance(**values), CT_A if domain == "A" else MR_B)


def interleaved(each: list[list[Step]], rng: Random) -> list[Step]:
    """All that senders say, in some order that keeps the order of each."""
    left, found = [list(said) for said in each], list[Step]()
    while any(left):
        found.append(rng.choice([said for said in left if said]).pop(0))
    return found
