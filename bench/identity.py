"""Whose an instance is: identifiers that are numbered, and of the same length in all.

Every study of a run is somebody else's. What its modality says of it and what was ordered
differ, as they do in life: the archive has to find one by the other.
"""

from __future__ import annotations

from dataclasses import dataclass

SEED = 20260301
RUNS, STUDIES = 10**6, 10**4
RUN_DIGITS, STUDY_DIGITS, COUNTER_DIGITS = 6, 4, 5
INSTANCES_PER_STUDY = 20
#: Who sends, and who tells of patients and orders.
CALLING = "BENCH"


@dataclass(frozen=True, slots=True)
class Identity:
    """One study, its patient and its order.

    Args:
        run: number of the measurement, from 1.
        study: number of the study in it.
    """

    run: int
    study: int

    def __post_init__(self) -> None:
        assert 0 <= self.run < RUNS
        assert 0 <= self.study < STUDIES

    @property
    def number(self) -> str:
        """The digits that all identifiers of a study have and nobody else's have."""
        return f"{self.run:0{RUN_DIGITS}}{self.study:0{STUDY_DIGITS}}"

    @property
    def patient_id(self) -> str:
        return f"P{self.number}"

    @property
    def enterprise_id(self) -> str:
        """Under which the patient is given out."""
        return f"E{self.number}"

    @property
    def patient_name(self) -> str:
        return f"BENCH^PATIENT{self.number}"

    @property
    def accession(self) -> str:
        return f"ACC{self.number}"

    @property
    def study_uid(self) -> str:
        return self.uid(1)

    @property
    def series_uid(self) -> str:
        return self.uid(2)

    @property
    def ordered_study_uid(self) -> str:
        return self.uid(3)

    def instance_uid(self, counter: int) -> str:
        """SOP Instance UID of one of its instances; the first has 1."""
        return f"{self.uid(4)}{counter:0{COUNTER_DIGITS}}"

    def uid(self, kind: int) -> str:
        """A UID below 2.25: at most 39 digits (PS3.5 B.2)."""
        return f"2.25.{SEED}{self.number}{kind}"
