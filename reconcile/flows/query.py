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
from reconcile.core.attributes import Element, Tag
from reconcile.core.identity import HELD_DOMAIN, Issuer, PatientIdentifier, bare
from reconcile.core.issuers import issuer_domain
from reconcile.core.matchkeys import OneOf, Question, Test, Wild
from reconcile.core.shown import coerced, of_person
from reconcile.db import persons, views_query
from reconcile.db.database import Connection, Database
from reconcile.db.views_found import Asked, PatientKey, narrowing
from reconcile.db.views_query import After, Counted, Part
from reconcile.flows.rules import Rules

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
_COUNTS = frozenset(
    {mk.MODALITIES_IN_STUDY, mk.STUDY_RELATED_SERIES, mk.STUDY_RELATED_INSTANCES}
)


@dataclass(frozen=True, slots=True)
class QueryFlow:
    """The steps of answering a question."""

    database: Database
    rules: Rules

    def pages(self, question: Question, view: str = "") -> Iterator[list[Answer]]:
        """Answers, some at a time, maybe none; the newest study first.

        Args:
            question: what is asked.
            view: the domain of whoever asks; an ID without an issuer is read in it, and
                patients are named in it. Empty: of every domain, and as the archive does.

        Raises:
            ServiceUnavailable: the database is away.
        """
        asked = self._asked(question, view)
        if asked is None:
            return
        with self.database.read_only() as connection:
            asked = narrowing(connection, asked)
        after: After | None = None
        while True:
            with self.database.read_only() as connection:
                rows, after = views_query.parts(connection, asked, after)
                answers = self._answers(connection, question, rows, view)
            yield [each for each in answers if _fits(question, each)]
            if after is None:
                return

    # -- What is asked ---------------------------------------------------------------

    def narrowed(self, question: Question, view: str) -> Asked | None:
        """What a question narrows the rows to; None: nothing can match."""
        return self._asked(question, view)

    def _asked(self, question: Question, view: str) -> Asked | None:
        """What narrows the rows; None: nothing can match."""
        tests = question.tests
        patient, issuer = None, ""
        if at.PATIENT_ID in tests:
            patient = self._patient(tests[at.PATIENT_ID], question.issuer, view)
            if patient is None:
                return None
        elif question.issuer:
            domain = issuer_domain(question.issuer, dict(self.rules.domains)).domain
            if domain is None:
                return None
            issuer = domain.name
        return Asked(
            question.level,
            patient,
            issuer,
            _values(tests.get(at.STUDY_INSTANCE_UID)),
            _values(tests.get(at.SERIES_INSTANCE_UID)),
            tests.get(at.ACCESSION_NUMBER),
            tests.get(at.PATIENT_NAME),
            tests.get(at.PATIENT_BIRTH_DATE),
            tests.get(at.STUDY_DATE),
            tests.get(mk.MODALITIES_IN_STUDY),
            tests.get(at.MODALITY),
        )

    def _patient(self, test: Test, issuer: Issuer, view: str) -> PatientKey | None:
        """Whom a Patient ID may mean, by its issuer, else by who asks."""
        if isinstance(test, OneOf) and len(test.values) == 1 and not issuer:
            test, issuer = _cx(test.values[0])
        names = self._domains(issuer, view)
        if names is None:
            return None
        if isinstance(test, Wild):
            pattern = bare(test.pattern)
            held = pattern if not names or HELD_DOMAIN.name in names else ""
            return PatientKey(pattern=pattern, domains=names, held=held)
        values = _values(test)
        held = values[0] if values and (not names or HELD_DOMAIN.name in names) else ""
        anywhere = () if names else tuple(bare(value) for value in values)
        owned = names or tuple(self.rules.domains)
        return PatientKey(
            tuple(self._identifier(value, name) for value in values for name in owned),
            anywhere,
            held=held,
        )

    def _domains(self, issuer: Issuer, view: str) -> tuple[str, ...] | None:
        """In which domains an ID is looked for; empty: in all; None: in none."""
        if issuer:
            domain = issuer_domain(issuer, dict(self.rules.domains)).domain
            return (domain.name,) if domain is not None else None
        if not view:
            return ()
        return tuple(dict.fromkeys((view, self.rules.archive_domain, HELD_DOMAIN.name)))

    def _identifier(self, value: str, name: str) -> PatientIdentifier:
        domain = self.rules.domains.get(name)
        return PatientIdentifier(domain.normalise(value) if domain else bare(value), name)

    # -- What is answered ------------------------------------------------------------

    def _answers(
        self, connection: Connection, question: Question, rows: list[Part], view: str
    ) -> list[Answer]:
        if not rows:
            return []
        series = [row.series_id for row in rows]
        whose = {row.person_id for row in rows if row.person_id}
        known = persons.facts(connection, whose, self.rules.archive_domain)
        changes = views_query.assigned(connection, series)
        counts = _counts(connection, question, rows)
        answers: list[Answer] = []
        for row in rows:
            found = coerced(row.elements, changes.get(row.series_id, ()))
            person = known.get(str(row.person_id))
            if person is not None and not row.as_received:
                found = of_person(found, person, self.rules.domains, view)
            found[at.STUDY_INSTANCE_UID] = at.element("UI", row.study_uid)
            found[at.SERIES_INSTANCE_UID] = at.element("UI", row.series_uid)
            answers.append({**found, **counts.get(row.series_id, {})})
        return answers


def _counts(
    connection: Connection, question: Question, rows: list[Part]
) -> dict[UUID, Answer]:
    """What the parts of studies have, by the series that stands for each; if asked for."""
    asked = question.shown.keys() | question.tests.keys()
    found: dict[UUID, Answer] = {}
    if asked & _COUNTS:
        counted = views_query.counted(connection, {row.study_id for row in rows})
        for row in rows:
            part = counted.get((row.study_id, row.person_id, row.held))
            found[row.series_id] = _told(part)
    if mk.SERIES_RELATED_INSTANCES in asked:
        series = [row.series_id for row in rows]
        for each, number in views_query.instances_of(connection, series).items():
            told = {mk.SERIES_RELATED_INSTANCES: at.element("IS", str(number))}
            found[each] = {**found.get(each, {}), **told}
    return found


def _told(counted: Counted | None) -> dict[Tag, Element]:
    if counted is None:
        return {}
    return {
        mk.MODALITIES_IN_STUDY: at.element("CS", *counted.modalities),
        mk.STUDY_RELATED_SERIES: at.element("IS", str(counted.series)),
        mk.STUDY_RELATED_INSTANCES: at.element("IS", str(counted.instances)),
    }


def _fits(question: Question, answer: Answer) -> bool:
    return all(
        mk.fits(test, answer.get(tag))
        for tag, test in question.tests.items()
        if tag not in _RESOLVED
    )


def _values(test: Test | None) -> tuple[str, ...]:
    return test.values if isinstance(test, OneOf) else ()


def _cx(value: str) -> tuple[Test, Issuer]:
    """An ID and its issuer, of one in HL7 components: "100^^^A"."""
    parts = [part.strip() for part in value.split("^")]
    authority = Issuer(*(parts[3] if len(parts) > 3 else "").split("&")[:3])
    return OneOf((parts[0] if authority else value,)), authority


def only(answer: Answer, question: Question) -> dict[Tag, Element]:
    """What was asked for of an answer; what it does not have is there and empty."""
    return {
        tag: answer.get(tag) or at.element(vr)
        for tag, vr in sorted(question.shown.items())
        if tag not in mk.ASIDE
    }


def showing(question: Question, tags: Mapping[Tag, str]) -> Question:
    """The same question, with more to be shown."""
    return replace(question, shown={**tags, **question.shown})
