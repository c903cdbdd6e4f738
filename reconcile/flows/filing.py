"""File a decided instance: its study, its series, the identity it hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from reconcile.core.attributes import Assign, Change
from reconcile.core.coercion import Decision, Outcome
from reconcile.core.following import Followed, Own
from reconcile.core.identity import HELD_DOMAIN, Domain, PatientIdentifier
from reconcile.core.issuers import header_identifier
from reconcile.core.study import StudyDecision, StudyRule
from reconcile.core.survivorship import IMAGE_AUTHORITY
from reconcile.core.targets import shown_identity, targets
from reconcile.dataset.overlay import Plan, Refusal
from reconcile.db import (
    domains,
    evidence,
    filed,
    orders,
    performed,
    persons,
    studies,
    unresolved,
)
from reconcile.db.ids import new_uid
from reconcile.db.registry import Loaded
from reconcile.db.unresolved import Met
from reconcile.flows import inside
from reconcile.flows.arriving import Arriving, Moment, Placed
from reconcile.flows.headers import keep_header

# What is said of a value that was kept as received because it could not be written.
_REVIEW_OF = {Refusal.VALUE: "IMPLAUSIBLE", Refusal.TAG: "IMPLAUSIBLE"}


def file_instance(
    arriving: Arriving,
    loaded: Loaded,
    decision: Decision,
    study: StudyDecision,
    moment: Moment,
) -> Placed:
    """File an instance that belongs to a study, and plan what it must become there."""
    row = _study(arriving, loaded, study, moment)
    whose = whose_it_is(arriving, loaded, decision, moment)
    evidence.keep(moment.connection, row.id, loaded.evidence)
    revision = row.revision
    if _changes_what_is_known(loaded, decision, study, whose.person_id):
        revision = evidence.raise_study(moment.connection, row.id)
    found = _series(arriving, loaded, decision, row.id, whose, moment)
    series = found.row
    held_id = _held_id(arriving, decision, row.id, moment)
    filed_under = _filed_under(loaded, decision, series.id, whose, moment)
    wanted = targets(
        decision,
        arriving.facts,
        loaded.facts,
        study_uid=row.study_instance_uid,
        series_uid=series.series_instance_uid,
        held_id=held_id,
        procedure_id=_procedure(loaded, study, row.id, moment),
        filed=filed_under,
    )
    own = _own(arriving, row, series)
    links = inside.followed(arriving.inside, own, loaded.renamed)
    hidden = decision.outcome.is_hold and not held_id
    assigns, changes = _planned(arriving, wanted.assigns, links, hidden=hidden)
    kept = inside.flags(arriving.inside, links, own, loaded.renamed, changes)
    said = (*decision.reviews, *wanted.reviews, *_reviews(study, changes), *kept)
    return Placed(
        row.id,
        series.id,
        whose.person_id,
        revision,
        row.study_instance_uid,
        series.series_instance_uid,
        assigns,
        changes,
        tuple(dict.fromkeys(said)),
        _patient(decision, loaded, held_id, filed_under),
        frozenset() if hidden else links.unmet,
        tuple(_met(arriving, loaded, row, series, moment)) if found.awaited else (),
        _names_more_orders(loaded, study),
    )


def _own(arriving: Arriving, study: Any, series: Any) -> Own:
    """Study and series as it names its own, and as they are given out."""
    return Own(
        arriving.facts.study_instance_uid,
        study.study_instance_uid,
        arriving.facts.series_instance_uid,
        series.series_instance_uid,
    )


def _changes_what_is_known(
    loaded: Loaded, decision: Decision, study: StudyDecision, person_id: UUID | None
) -> bool:
    """Whether others of the study would be decided otherwise from now on."""
    known = loaded.facts.study
    if known is None:
        return False
    new_person = not decision.outcome.is_hold and person_id is not None
    new_person = new_person and str(person_id) not in known.person_ids
    return new_person or _names_more_orders(loaded, study)


def _names_more_orders(loaded: Loaded, study: StudyDecision) -> bool:
    """Whether a study that is here already is linked to an order more."""
    known = loaded.facts.study
    return known is not None and not known.order_ids.issuperset(study.order_ids)


def _reviews(study: StudyDecision, changes: Plan) -> Iterator[str]:
    if study.rule is StudyRule.SECOND_STUDY:
        yield "SECOND-STUDY"
    for why in changes.refused.values():
        yield _REVIEW_OF.get(why, why.value)


def _series(
    arriving: Arriving,
    loaded: Loaded,
    decision: Decision,
    study_id: UUID,
    whose: Whose,
    moment: Moment,
) -> studies.Found:
    found = studies.make_series(
        moment.connection,
        study_id=study_id,
        uid_domain=loaded.uid_domain,
        study_uid=arriving.facts.study_instance_uid,
        received_uid=arriving.facts.series_instance_uid,
        identity_id=whose.received_id,
        filed_identity_id=whose.filed_id,
        held=decision.outcome.value if decision.outcome.is_hold else None,
        new_uid=new_uid(arriving.rules.uid_root),
        happening_id=moment.happening_id,
    )
    if found.row.happening_id == moment.happening_id:
        keep_header(arriving, found.row.id, moment)
        if arriving.facts.step_uid:
            performed.refer(moment.connection, found.row.id, arriving.facts.step_uid)
    return found


def _met(
    arriving: Arriving, loaded: Loaded, study: Any, series: Any, moment: Moment
) -> Iterator[tuple[Met, str]]:
    """Who waited for the study or the series, where this instance brought it."""
    facts, connection = arriving.facts, moment.connection
    if loaded.study is None:
        assigned = study.study_instance_uid
        uid = facts.study_instance_uid
        for met in unresolved.met_study(connection, loaded.uid_domain, uid):
            yield met, assigned
    if series.happening_id == moment.happening_id:
        assigned, uid = series.series_instance_uid, facts.series_instance_uid
        for met in unresolved.met_series(connection, loaded.uid_domain, study.id, uid):
            yield met, assigned


def file_without_study(arriving: Arriving) -> Placed:
    """An instance of no patient: only its codes may change (PS3.4 Annex GG)."""
    assigns, changes = _planned(arriving, (), Followed(None), hidden=False)
    return Placed(assigns=assigns, changes=changes)


def _planned(
    arriving: Arriving, wanted: tuple[Assign, ...], links: Followed, *, hidden: bool
) -> tuple[tuple[Change, ...], Plan]:
    if hidden or not arriving.source.coerce:
        return (), Plan()
    within = inside.changes(arriving.inside, links, arriving.source)
    return inside.planned(
        arriving.received, arriving.facts, arriving.source, (*wanted, *within)
    )


def _study(arriving: Arriving, loaded: Loaded, study: StudyDecision, moment: Moment) -> Any:
    """The study, made, mapped and linked where it is new."""
    connection, happening_id = moment.connection, moment.happening_id
    row = loaded.study
    if row is None:
        row = studies.make_study(
            connection,
            uid_domain=loaded.uid_domain,
            assigned_uid=study.assigned_uid,
            happening_id=happening_id,
        )
        studies.map_study(
            connection,
            uid_domain=loaded.uid_domain,
            received_uid=arriving.facts.study_instance_uid,
            assigned_uid=row.study_instance_uid,
            rule=study.rule.value,
            happening_id=happening_id,
        )
    link_orders(loaded, study, row.id, moment)
    return row


def _procedure(loaded: Loaded, study: StudyDecision, study_id: UUID, moment: Moment) -> str:
    """The one requested procedure that a study answers; empty if it is not one."""
    if loaded.study is not None or len(study.order_ids) != 1:
        return studies.linked_procedure(moment.connection, study_id)
    return str(_answered(study) or "")


def _answered(study: StudyDecision) -> UUID | None:
    answers = study.rule not in (StudyRule.KNOWN, StudyRule.GROUP_CASE)
    return UUID(study.procedure_id) if study.procedure_id and answers else None


def link_orders(
    loaded: Loaded, study: StudyDecision, study_id: UUID, moment: Moment
) -> None:
    """Link a study to the orders that were decided for it, where it is not yet."""
    procedure = _answered(study)
    known = loaded.facts.study.order_ids if loaded.facts.study else frozenset()
    for order_id in study.order_ids:
        if order_id not in known:
            studies.link_order(
                moment.connection, study_id, UUID(order_id), procedure, moment.happening_id
            )


class Whose(NamedTuple):
    """The identity that a series came under, the one that it hangs on, and its person."""

    received_id: UUID | None = None
    filed_id: UUID | None = None
    person_id: UUID | None = None


def whose_it_is(
    arriving: Arriving, loaded: Loaded, decision: Decision, moment: Moment
) -> Whose:
    """Whose an instance is; the person and the identity are made where both are new."""
    person_id = UUID(decision.person_id) if decision.person_id else None
    own = loaded.identities.get(decision.identity) if decision.identity else None
    remembered = loaded.facts.remembered
    if remembered and not decision.outcome.is_hold:
        return Whose(own, UUID(remembered.identity_id), person_id)
    if own is not None:
        return Whose(_received_id(arriving, loaded, own), own, person_id)
    if decision.outcome.is_hold:
        return Whose()
    if person_id is not None:
        return Whose(None, _identity_by_evidence(decision, moment), person_id)
    if decision.identity is None:
        return Whose()
    own, person_id = _new_person(arriving, loaded, decision, moment)
    return Whose(own, own, person_id)


def _received_id(arriving: Arriving, loaded: Loaded, own: UUID) -> UUID | None:
    """What it came under by its own words, where a migration's list says whose it is."""
    if arriving.facts.listed is None:
        return own
    domains = dict(arriving.rules.domains)
    said = header_identifier(arriving.facts, domains, arriving.source)
    return loaded.identities.get(said) if said else None


def _identity_by_evidence(decision: Decision, moment: Moment) -> UUID | None:
    """Of an order, else any that the person has: the header's own is not linked."""
    if decision.order_ids:
        return orders.identity_of(moment.connection, UUID(decision.order_ids[0]))
    return persons.any_identity(moment.connection, UUID(decision.person_id))


def _new_person(
    arriving: Arriving, loaded: Loaded, decision: Decision, moment: Moment
) -> tuple[UUID, UUID]:
    assert decision.identity is not None
    connection, facts = moment.connection, arriving.facts
    name = decision.identity.domain
    if name not in loaded.facts.domains:
        issuer = facts.issuer
        met = Domain(name, issuer.universal_id, issuer.universal_id_type)
        domains.meet(connection, met)
    state = "test" if decision.outcome is Outcome.TEST else "provisional"
    person_id = persons.create(connection, state, moment.happening_id)
    identity_id = persons.own(
        connection, decision.identity, facts.patient_id, person_id, moment.happening_id
    )
    persons.say(
        connection,
        person_id,
        persons.said_as_json(facts.demographics),
        source=arriving.source.ae_title,
        authority=IMAGE_AUTHORITY,
        said_at=moment.now,
        happening_id=moment.happening_id,
    )
    return identity_id, person_id


def _held_id(arriving: Arriving, decision: Decision, study_id: UUID, moment: Moment) -> str:
    if not decision.outcome.is_hold or arriving.hides(decision.outcome):
        return ""
    return studies.held_id(moment.connection, study_id)


def _filed_under(
    loaded: Loaded, decision: Decision, series_id: UUID, whose: Whose, moment: Moment
) -> PatientIdentifier | None:
    """What a series is filed under, where it came under none of a provisional patient's."""
    person = loaded.facts.persons.get(decision.person_id)
    verified = person is None or person.state == "verified"
    if verified or decision.outcome.is_hold or whose.received_id == whose.filed_id:
        return None
    return filed.filed_under(moment.connection, series_id)


def _patient(
    decision: Decision,
    loaded: Loaded,
    held_id: str,
    filed_under: PatientIdentifier | None,
) -> dict[str, str] | None:
    if held_id:
        return {"id": held_id, "issuer": HELD_DOMAIN.name}
    person = loaded.facts.persons.get(decision.person_id)
    shown = shown_identity(decision, loaded.facts, filed_under)
    if decision.outcome is Outcome.COERCE and person and person.assigned:
        shown = person.assigned
    return {"id": shown.value, "issuer": shown.domain} if shown else None
