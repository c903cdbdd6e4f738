"""Answer who asks what is to be done: RAD-5 Query Modality Worklist.

A scanner that asks here takes the identity that the registry knows today, named in the
scanner's own domain, and the Study Instance UID that the order will be found by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core import worklist as wl
from reconcile.core.attributes import Element, Tag
from reconcile.core.matchkeys import Question
from reconcile.core.shown import of_ordered
from reconcile.db import persons, scheduled
from reconcile.db.database import Connection, Database
from reconcile.db.scheduled import After, Asked, Row
from reconcile.flows.meant import Meant, Nobody, values_of
from reconcile.flows.rules import Rules

Answer = Mapping[Tag, Element]

#: Looked at by SQL, which knows what they have become.
_RESOLVED = frozenset({at.PATIENT_ID, at.STUDY_INSTANCE_UID})
_ADMISSION_ID = "00380010"
#: Procedures that are given a UID in one transaction.
_GIVEN_MAX = 64


@dataclass(frozen=True, slots=True)
class ScheduledFlow:
    """The steps of answering what is scheduled."""

    database: Database
    rules: Rules

    def pages(self, question: Question, view: str = "") -> Iterator[list[Answer]]:
        """Answers, some at a time, maybe none; what begins first is answered first.

        Raises:
            ServiceUnavailable: the database is away.
        """
        try:
            asked = self._asked(question, view)
        except Nobody:
            return
        after: After | None = None
        while True:
            with self.database.read_only() as connection:
                rows, after = scheduled.steps(connection, asked, after)
                answers = self._answers(connection, rows, view)
            pairs = zip(rows, answers, strict=True)
            found = [p for p in pairs if wl.fits(question, p[1], _RESOLVED)]
            yield self._with_uids(found)
            if after is None:
                return

    def _asked(self, question: Question, view: str) -> Asked:
        tests, meant = question.tests, Meant(self.rules, view)
        return Asked(
            meant.patient(question),
            meant.issuer(question),
            tests.get(at.PATIENT_NAME),
            tests.get(at.ACCESSION_NUMBER),
            tests.get(_ADMISSION_ID),
            values_of(tests.get(at.STUDY_INSTANCE_UID)),
            tests.get(wl.START_DATE),
            tests.get(wl.MODALITY),
            tests.get(wl.STATION_AE),
        )

    def _answers(
        self, connection: Connection, rows: list[Row], view: str
    ) -> list[dict[Tag, Element]]:
        domains, whose = self.rules.domains, {row.person_id for row in rows}
        known = persons.facts(connection, whose, self.rules.archive_domain)
        return [
            wl.entry(row.step, domains)
            | of_ordered(row.identifier, known[str(row.person_id)], domains, view)
            for row in rows
        ]

    def _with_uids(self, found: list[tuple[Row, dict[Tag, Element]]]) -> list[Answer]:
        """The same answers, each with a Study Instance UID that stays its order's."""
        without = list({row.procedure_id for row, _ in found if not row.step.study_uid})
        given: dict[UUID, str] = {}
        for start in range(0, len(without), _GIVEN_MAX):
            some = without[start : start + _GIVEN_MAX]
            root = self.rules.uid_root
            give = partial(scheduled.give_uids, procedures=some, uid_root=root)
            given |= self.database.run(give)
        return [_under(given.get(row.procedure_id, ""), answer) for row, answer in found]


def _under(uid: str, answer: dict[Tag, Element]) -> Answer:
    return {**answer, at.STUDY_INSTANCE_UID: at.element("UI", uid)} if uid else answer
