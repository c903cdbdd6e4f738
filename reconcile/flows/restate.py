"""Let what is stored already be given out as the registry says it now.

Whoever changes who somebody is, or whose something is, ends here: what instances are
given out with is compared with what they should be, study by study, and one event tells
of what changes, however many images there are. Nothing is read but rows.

The caller holds whatever its change needs. Studies are held in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core.attributes import Follow
from reconcile.core.audit import Values
from reconcile.core.facts import OrderFacts, PersonFacts
from reconcile.core.identity import HELD_DOMAIN
from reconcile.core.restating import (
    Restated,
    State,
    held_part,
    patient_part,
    restated,
    state_of,
    study_part,
)
from reconcile.dataset.keywords import keywords
from reconcile.dataset.originals import Coercion, Reason, item_json
from reconcile.db import events, filed, orders, persons, stored
from reconcile.db.database import Connection
from reconcile.db.filed import Assigned, Link, Series, Study
from reconcile.flows.arriving import Moment
from reconcile.flows.rules import Rules


@dataclass(frozen=True, slots=True)
class Said:
    """What has to be said of some series of a study, all filed under one person.

    Attributes:
        patient: {"id", "issuer"} under which they are given out from then on.
    """

    study: Study
    series: tuple[Series, ...]
    person_id: UUID | None
    patient: dict[str, str] | None
    change: Restated


@dataclass(frozen=True, slots=True)
class Known:
    """What studies are given out from: persons and orders by id, links by study."""

    persons: Mapping[str, PersonFacts]
    links: Mapping[UUID, Sequence[Link]]
    orders: Mapping[str, OrderFacts]


@dataclass(frozen=True, slots=True)
class Restate:
    """Says anew what is given out of studies."""

    rules: Rules

    def persons(
        self, moment: Moment, person_ids: Iterable[UUID], reason: Reason = "COERCE"
    ) -> tuple[UUID, ...]:
        """Say anew all studies that are filed under surviving persons."""
        found = filed.studies_of(moment.connection, person_ids)
        return self.studies(moment, found, reason)

    def studies(
        self,
        moment: Moment,
        study_ids: Collection[UUID],
        reason: Reason = "COERCE",
        *,
        renamed: bool = True,
    ) -> tuple[UUID, ...]:
        """Say anew what some studies are given out as; those in which that changed.

        `renamed`: where the Study UID changes, what instances say of their own study is
        said of the new one; else they came out of a study that is still there.
        """
        if not study_ids:
            return ()
        said = self._to_be_said(moment, sorted(study_ids))
        if renamed:
            said = [replace(s, change=_with_references(s.change)) for s in said]
        if not said:
            return ()
        changed = sorted({each.study.id for each in said})
        revisions = filed.raise_studies(moment.connection, changed)
        rows: list[Assigned] = []
        assignments: dict[str, UUID] = {}  # most studies change alike
        told = [self._event(moment, e, revisions[e.study.id], reason) for e in said]
        event_ids = events.record_studies(moment.connection, told)
        for each, event_id in zip(said, event_ids, strict=True):
            key = repr(each.change.assigns)
            if key not in assignments:
                assignments[key] = self._assignment(moment, each.change, reason)
            rows += [
                Assigned(s.id, event_id, assignments[key], revisions[each.study.id])
                for s in each.series
            ]
        filed.assign(
            moment.connection,
            rows,
            coerced_at=moment.now,
            happening_id=moment.happening_id,
        )
        return tuple(changed)

    # -- what is to be said -------------------------------------------------------------

    def _to_be_said(self, moment: Moment, study_ids: Sequence[UUID]) -> list[Said]:
        connection = moment.connection
        studies = filed.locked(connection, study_ids)
        series = filed.series_of(connection, study_ids)
        forms = filed.forms_of(connection, [each.id for each in series])
        known = self._known(connection, study_ids, series)
        said: list[Said] = []
        for study_id, of_it in groupby(series, lambda each: each.study_id):
            study, here = studies[study_id], list[Said]()
            for each in of_it:
                change = self._change(study, each, forms, known)
                if change is not None:
                    patient = _patient(study, each, known.persons)
                    alone = Said(study, (each,), each.person_id, patient, change)
                    here = _with(here, alone)
            said += here
        return said

    def _change(
        self,
        study: Study,
        series: Series,
        forms: Mapping[UUID, Sequence[Sequence[Sequence[at.Change]]]],
        known: Known,
    ) -> Restated | None:
        ways = [state_of(way) for way in forms.get(series.id, ())]
        return restated(ways, self._wanted(study, series, known)) if ways else None

    def _wanted(self, study: Study, series: Series, known: Known) -> State:
        domains = self.rules.domains
        if series.held:
            held = held_part(study.held_id) if study.held_id else {}
            return {**held, **study_part(study.uid, None, "", domains)} if held else {}
        person = known.persons.get(str(series.person_id))
        links = known.links.get(study.id, [])
        order, procedure = None, ""
        if len(links) == 1 and person is not None and person.state == "verified":
            order = known.orders.get(str(links[0].order_id))
            procedure = str(links[0].procedure_id or "")
        if order is not None and person and order.person_id != person.person_id:
            order = None
        whose = patient_part(person, series.received, domains, series.filed)
        return {**whose, **study_part(study.uid, order, procedure, domains)}

    def _known(
        self, connection: Connection, study_ids: Sequence[UUID], series: Sequence[Series]
    ) -> Known:
        ids = {each.person_id for each in series if each.person_id is not None}
        links = filed.links_of(connection, study_ids)
        alone = [found[0].order_id for found in links.values() if len(found) == 1]
        found = orders.find(connection, linked=alone) if alone else ()
        return Known(
            persons.facts(connection, ids, self.rules.archive_domain),
            links,
            {each.order_id: each for each in found},
        )

    # -- saying it ----------------------------------------------------------------------

    def _assignment(self, moment: Moment, change: Restated, reason: Reason) -> UUID:
        return stored.assignment(
            moment.connection,
            assigns=change.assigns,
            modifying_system=self.rules.modifying_system,
            source="",
            reason=reason,
        )

    def _event(
        self, moment: Moment, said: Said, revision: int, reason: Reason
    ) -> tuple[events.StudyEvent, Values]:
        change, system = said.change, self.rules.modifying_system
        coercion = Coercion(change.assigns, moment.now, system, "", reason)
        original = {at.INSTANCE_COERCION_DATETIME: {"vr": "DT"}, **change.original}
        values = Values(
            said.patient,
            item_json(original, coercion),
            change.new,
            change.absent,
            keywords(sorted({at.INSTANCE_COERCION_DATETIME, *change.varies})),
        )
        event = events.StudyEvent(
            moment.happening_id,
            said.study.id,
            said.person_id,
            revision,
            reason,
            said.study.uid,
            said.study.received_uid,
            keywords(sorted(state_of([change.assigns]))),
            moment.now,
        )
        return event, values


def _with_references(change: Restated) -> Restated:
    """With the references of its instances to their own study, where it is renamed."""
    was = at.text(change.original.get(at.STUDY_INSTANCE_UID))
    now = at.text(change.new.get(at.STUDY_INSTANCE_UID))
    if not was or not now:
        return change
    return replace(change, assigns=(*change.assigns, Follow((("", was, now),))))


def _with(said: list[Said], one: Said) -> list[Said]:
    """With one more series; most series of a study change alike, and share an event."""
    for number, each in enumerate(said):
        if replace(each, series=one.series) == one:
            shared = replace(each, series=(*each.series, *one.series))
            return [*said[:number], shared, *said[number + 1 :]]
    return [*said, one]


def _patient(
    study: Study, series: Series, known: Mapping[str, PersonFacts]
) -> dict[str, str] | None:
    """Under whom a series is given out from now on."""
    if series.held:
        held = {"id": study.held_id, "issuer": HELD_DOMAIN.name}
        return held if study.held_id else None
    person = known.get(str(series.person_id))
    shown = series.received.identifier if series.received else None
    if person is not None and person.state == "verified":
        shown = person.assigned or shown
    elif person is not None:
        identifier = shown or series.filed
        shown = person.shown(identifier) if identifier else None
    return {"id": shown.value, "issuer": shown.domain} if shown else None
