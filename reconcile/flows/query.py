"""Answer who asks which studies there are: RAD-14 Query Images.

Whoever asks is answered as of today: under the UIDs and identifiers that are given out,
found by those that were received, too. Rows are read page by page, each in a transaction
of its own, so that a slow peer keeps nothing but its own patience waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core import matchkeys as mk
from reconcile.core import querykeys as qk
from reconcile.core.attributes import Element, Tag
from reconcile.core.matchkeys import Question
from reconcile.core.querykeys import Level
from reconcile.core.shown import coerced, of_person
from reconcile.core.worklist import nested
from reconcile.db import persons, views_counted, views_query
from reconcile.db.database import Connection, Database
from reconcile.db.views_counted import Counted, OfPatient
from reconcile.db.views_found import Asked, narrowing
from reconcile.db.views_query import After, Part
from reconcile.flows.inventories import Inventories
from reconcile.flows.meant import Meant, Nobody, values_of
from reconcile.flows.query_images import ImageAnswers, after
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.flows.rules import Rules
from reconcile.flows.scheduled import ScheduledFlow
from reconcile.storage.local import LocalStorage

Answer = Mapping[Tag, Element]

#: Found by what they have become, or by SQL alone: not compared with what is shown.
_RESOLVED = frozenset(
    {
        at.PATIENT_ID,
        at.STUDY_INSTANCE_UID,
        at.SERIES_INSTANCE_UID,
        at.ACCESSION_NUMBER,
    }
)
#: Of an instance: compared when that is looked at.
_OF_IMAGES = frozenset({qk.SOP_CLASS_UID, qk.SOP_INSTANCE_UID}) | qk.READ
_COUNTS = frozenset(
    {qk.MODALITIES_IN_STUDY, qk.STUDY_RELATED_SERIES, qk.STUDY_RELATED_INSTANCES}
)


@dataclass(frozen=True, slots=True)
class QueryFlow:
    """The steps of answering a question."""

    database: Database
    rules: Rules
    storage: LocalStorage

    def pages(
        self, question: Question, view: str = "", skip: int = 0
    ) -> Iterator[list[Answer]]:
        """Answers, some at a time, maybe none; the newest study first.

        Scheduled steps, where these are asked for, by their start.

        Args:
            question: what is asked.
            view: the domain of whoever asks; an ID without an issuer is read in it, and
                patients are named in it. Empty: of every domain, and as the archive does.
            skip: answers that are left out at the beginning.

        Raises:
            ServiceUnavailable: the database is away.
        """
        if question.level is Level.WORKLIST:
            scheduled = ScheduledFlow(self.database, self.rules)
            return after(scheduled.pages(question, view), skip)
        retrieve = RetrieveFlow(self.database, self.storage)
        if question.level is Level.INVENTORY:
            return after(Inventories(retrieve).pages(question), skip)
        parts = self._parts(question, view)
        if question.level is Level.IMAGE:
            series = ((row.series_id, answer) for page in parts for row, answer in page)
            return ImageAnswers(self.database, retrieve, question).pages(series, skip)
        return after(([answer for _, answer in page] for page in parts), skip)

    def narrowed(self, question: Question, view: str) -> Asked | None:
        """What a question narrows the rows to; None: nothing can match."""
        try:
            return self._asked(question, view)
        except Nobody:
            return None

    def _parts(
        self, question: Question, view: str
    ) -> Iterator[list[tuple[Part, dict[Tag, Element]]]]:
        """Parts of studies, or series, that match, with what is answered of each."""
        asked = self.narrowed(question, view)
        if asked is None:
            return
        with self.database.read_only() as connection:
            asked = narrowing(connection, asked)
        last: After | None = None
        while True:
            with self.database.read_only() as connection:
                rows, last = views_query.parts(connection, asked, last)
                answers = self._answers(connection, question, rows, view)
            pairs = zip(rows, answers, strict=True)
            yield [pair for pair in pairs if _fits(question, pair[1])]
            if last is None:
                return

    def _asked(self, question: Question, view: str) -> Asked:
        """What narrows the rows.

        Raises:
            Nobody: nothing can match.
        """
        tests, meant = question.tests, Meant(self.rules, view)
        return Asked(
            question.level,
            meant.patient(question),
            meant.issuer(question),
            values_of(tests.get(at.STUDY_INSTANCE_UID)),
            values_of(tests.get(at.SERIES_INSTANCE_UID)),
            tests.get(at.ACCESSION_NUMBER),
            tests.get(at.PATIENT_NAME),
            tests.get(at.PATIENT_BIRTH_DATE),
            tests.get(at.STUDY_DATE),
            tests.get(qk.MODALITIES_IN_STUDY),
            tests.get(at.MODALITY),
            values_of(tests.get(qk.SOP_INSTANCE_UID)),
        )

    def _answers(
        self, connection: Connection, question: Question, rows: list[Part], view: str
    ) -> list[dict[Tag, Element]]:
        if not rows:
            return []
        series = [row.series_id for row in rows]
        whose = {row.person_id for row in rows if row.person_id}
        known = persons.facts(connection, whose, self.rules.archive_domain)
        changes = views_query.assigned(connection, series)
        counts = _counts(connection, question, rows)
        answers = []
        for row in rows:
            found = coerced(row.elements, changes.get(row.series_id, ()))
            person = known.get(str(row.person_id))
            if person is not None and not row.as_received:
                found = of_person(found, person, self.rules.domains, view)
            found[at.STUDY_INSTANCE_UID] = at.element("UI", row.study_uid)
            found[at.SERIES_INSTANCE_UID] = at.element("UI", row.series_uid)
            answers.append({**found, **counts.get(row.series_id, {})})
        return answers


# -- Counts -------------------------------------------------------------------------


def _counts(
    connection: Connection, question: Question, rows: list[Part]
) -> dict[UUID, dict[Tag, Element]]:
    """What there is of each row, by its series; only of what is asked for."""
    asked = question.shown.keys() | question.tests.keys()
    studies, of_patient = {row.study_id for row in rows}, bool(asked & qk.OF_PATIENT)
    found: dict[UUID, dict[Tag, Element]] = {row.series_id: {} for row in rows}
    if asked & _COUNTS or of_patient:
        counted = views_counted.counted(connection, studies)
        whose = {row.person_id for row in rows if row.person_id} if of_patient else set()
        patients = views_counted.patients(connection, whose) if whose else {}
        for row in rows:
            part = counted.get((row.study_id, row.person_id, row.held))
            if part is not None:
                has = patients.get(row.person_id) if row.person_id else None
                found[row.series_id] |= {**_told(part), **_of_patient(has, part)}
    if qk.SOP_CLASSES_IN_STUDY in asked:
        classes = views_counted.classes(connection, studies)
        for row in rows:
            uids = classes.get((row.study_id, row.person_id, row.held), ())
            found[row.series_id][qk.SOP_CLASSES_IN_STUDY] = at.element("UI", *uids)
    if qk.SERIES_RELATED_INSTANCES in asked:
        numbers = views_counted.instances_of(connection, found)
        for series, number in numbers.items():
            found[series][qk.SERIES_RELATED_INSTANCES] = at.element("IS", str(number))
    return found


def _told(counted: Counted) -> dict[Tag, Element]:
    return {
        qk.MODALITIES_IN_STUDY: at.element("CS", *counted.modalities),
        qk.STUDY_RELATED_SERIES: at.element("IS", str(counted.series)),
        qk.STUDY_RELATED_INSTANCES: at.element("IS", str(counted.instances)),
    }


def _of_patient(counted: OfPatient | None, part: Counted) -> dict[Tag, Element]:
    """Of one whose part it is; who is nobody has that part and no other."""
    has = counted or OfPatient(1, part.series, part.instances)
    return {
        qk.PATIENT_RELATED_STUDIES: at.element("IS", str(has.studies)),
        qk.PATIENT_RELATED_SERIES: at.element("IS", str(has.series)),
        qk.PATIENT_RELATED_INSTANCES: at.element("IS", str(has.instances)),
    }


# -- What is answered ---------------------------------------------------------------


def _fits(question: Question, answer: Answer) -> bool:
    passed = _RESOLVED | _OF_IMAGES if question.level is Level.IMAGE else _RESOLVED
    return all(
        mk.fits(test, answer.get(tag))
        for tag, test in question.tests.items()
        if tag not in passed
    )


def only(answer: Answer, question: Question) -> dict[Tag, Element]:
    """What was asked for of an answer; what it does not have is there and empty."""
    return nested(
        {
            tag: answer.get(tag) or at.element(vr)
            for tag, vr in sorted(question.shown.items())
            if tag not in qk.ASIDE
        }
    )


def showing(question: Question, tags: Mapping[Tag, str]) -> Question:
    """The same question, with more to be shown."""
    return replace(question, shown={**tags, **question.shown})
