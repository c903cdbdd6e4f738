"""Open what waits for a person, or wants one's eye, when an instance is stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from reconcile.core.candidates import Sought, rank
from reconcile.core.coercion import Decision, Outcome
from reconcile.core.hints import is_near_miss
from reconcile.core.identity import Domain
from reconcile.db import holds, persons
from reconcile.db.registry import Loaded
from reconcile.flows.arriving import Arriving, Moment, Placed

#: A list that nobody reads to its end is no help.
CANDIDATES_MAX = 10


def open_items(
    arriving: Arriving,
    loaded: Loaded,
    decision: Decision,
    placed: Placed,
    moment: Moment,
    receipt_id: UUID,
) -> tuple[UUID, ...]:
    """Open an item for the hold and for each review; one that is open is added to."""
    subject = str(decision.identity or "")
    wanted = [("review", code) for code in placed.reviews]
    if decision.outcome.is_hold:
        wanted.append(("hold", decision.outcome.value))
    elif _is_new(decision) and _is_near_miss(arriving, decision, moment):
        wanted.append(("review", "NEAR-MISS"))
    found: list[UUID] = []
    for kind, code in wanted:
        item_id = holds.add_to_open(
            moment.connection, placed.study_id, code, subject, receipt_id
        )
        if item_id is None:
            item = holds.Item(
                kind,
                code,
                subject,
                arriving.source.ae_title,
                placed.study_id,
                received=arriving.identity(),
                candidates=_candidates(arriving, loaded, decision, placed, moment),
            )
            item_id = holds.open_item(
                moment.connection, item, moment.happening_id, receipt_id
            )
        found.append(item_id)
    return tuple(found)


def hold_duplicate(
    arriving: Arriving, loaded: Loaded, moment: Moment, receipt_id: UUID
) -> None:
    """Hold other content under a SOP Instance UID that is taken: the first one stays."""
    item = holds.Item(
        "hold",
        Outcome.DUPLICATE_DIFFERS.value,
        arriving.facts.sop_instance_uid,
        arriving.source.ae_title,
        loaded.study.id if loaded.study is not None else None,
        received=arriving.identity(),
    )
    holds.open_item(moment.connection, item, moment.happening_id, receipt_id)


def _is_new(decision: Decision) -> bool:
    """Whether the instance made its person."""
    return decision.rung == "P"


def _is_near_miss(arriving: Arriving, decision: Decision, moment: Moment) -> bool:
    """Whether the new person has nearly an identifier that somebody else has."""
    value = decision.identity.value if decision.identity else ""
    near = persons.alike(moment.connection, value, arriving.facts.demographics.birth_date)
    known = persons.facts(moment.connection, near, arriving.rules.archive_domain)
    return is_near_miss(decision.identity, known.values())


def _candidates(
    arriving: Arriving,
    loaded: Loaded,
    decision: Decision,
    placed: Placed,
    moment: Moment,
) -> list[dict[str, Any]]:
    """Persons to suggest, ranked; for people only, nothing acts on them."""
    header = arriving.facts.demographics
    alike = persons.alike(moment.connection, arriving.facts.patient_id, header.birth_date)
    near = persons.facts(moment.connection, alike, arriving.rules.archive_domain)
    known = {**near, **loaded.facts.persons}
    if _is_new(decision):
        known.pop(str(placed.person_id), None)
    name = decision.identity.domain if decision.identity else arriving.source.domain
    domain = arriving.rules.domains.get(name, Domain(name))
    sought = Sought(header, decision.identity, domain, arriving.facts.study_date)
    named = loaded.facts.persons
    return [
        {
            "patient": candidate.person_id,
            "identifiers": [str(i) for i in known[candidate.person_id].identifiers],
            "bits": candidate.bits,
            "reasons": list(candidate.reasons),
        }
        for place, candidate in enumerate(rank(sought, list(known.values())))
        # Whom the evidence names is part of the question, however little they fit.
        if place < CANDIDATES_MAX or candidate.person_id in named
    ]
