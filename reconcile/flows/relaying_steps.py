"""Relay performed procedure steps: RAD-6, RAD-7 as this archive says whose they are.

A step is relayed as it came, or coerced: the patient as an arriving image of the step
would be given out now, in the domain of the receiver, and studies and series under the
UIDs that they are given out under. Of a step that would be held, or whose source is not
coerced, only UIDs change. Nothing of it is recorded: a step is kept as it came.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core import performed as core
from reconcile.core.attributes import Assign, Element, Item, Tag
from reconcile.core.coercion import Decision, decide
from reconcile.core.facts import InstanceFacts, RegistryFacts, Source
from reconcile.core.performed import SCHEDULED_STEP_ATTRIBUTES
from reconcile.core.shown import coerced, in_view
from reconcile.core.targets import targets
from reconcile.dataset.facts import read
from reconcile.dataset.performed import elements_of, step_facts
from reconcile.db import performed, registry, unresolved
from reconcile.db.database import Connection
from reconcile.db.registry import Before, Named
from reconcile.db.relays import Due
from reconcile.db.unresolved import Renamed
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.performed import SOP_CLASS
from reconcile.flows.relay import Sent

CREATE = "N-CREATE"
_UTF_8 = at.element("CS", "ISO_IR 192")
_REFERENCED_STUDY_SEQUENCE = "00081110"
#: What of a decision a step can say at its top level (PS3.4 Table F.7.2-1).
_PATIENT = frozenset(
    {
        at.PATIENT_NAME,
        at.PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID,
        at.ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
        at.PATIENT_BIRTH_DATE,
        at.PATIENT_SEX,
    }
)
#: And of its order, where it was scheduled as just one.
_ORDER = frozenset({at.ACCESSION_NUMBER, at.ISSUER_OF_ACCESSION_NUMBER_SEQUENCE})


@dataclass(frozen=True, slots=True)
class Relayed:
    """An N-CREATE or N-SET that is relayed; `said` in the DICOM JSON model."""

    operation: str
    sop_instance_uid: str
    said: Mapping[Tag, Element]


#: Sends one; the status of the answer. Raises NotDelivered where it is not taken.
Relay = Callable[[Relayed], int]


@dataclass(frozen=True, slots=True)
class Steps:
    """What relays steps to one destination.

    Attributes:
        coerce: as this archive says whose they are; False: as they came.
        domain: in which the destination knows patients; empty: the archive's own.
    """

    kept: KeptArrivals
    relay: Relay
    domain: str = ""
    coerce: bool = True

    def __call__(self, due: Due) -> Sent:
        """See `relay.Send`."""
        assert due.message_id is not None
        message_id = due.message_id
        database = self.kept.recording.database
        said = database.run(lambda c: self._said(c, message_id, due.lane))
        status = self.relay(Relayed(due.kind, due.lane, said))
        return Sent(f"{status:04X}")

    def _said(
        self, connection: Connection, message_id: UUID, step_uid: str
    ) -> Mapping[Tag, Element]:
        step_id, message = performed.message(connection, message_id)
        source = self.kept.source(message.source)
        received = read(message.body, message.transfer_syntax_uid, source.charset)
        said = elements_of(received)
        said.pop(at.SPECIFIC_CHARACTER_SET, None)  # JSON is Unicode: see `_in_unicode`
        if not self.coerce:
            return _in_unicode(said)
        if message.operation == CREATE:
            facts = step_facts(received, SOP_CLASS, step_uid)
            said = self._coerced(connection, said, facts, source)
        else:
            said = {tag: e for tag, e in said.items() if tag not in core.SAID_ONCE}
        studies = performed.study_uids(connection, step_id)
        known = unresolved.renamed(connection, "", {*studies, *core.series_uids(said)})
        study = known.studies.get(studies[0], "") if studies else ""
        return _in_unicode(_renamed(said, known, study))

    def _coerced(
        self,
        connection: Connection,
        said: Mapping[Tag, Element],
        facts: InstanceFacts,
        source: Source,
    ) -> dict[Tag, Element]:
        """An N-CREATE, of the patient and the order that it is decided to be of."""
        frame = self.kept.recording.frame
        loaded = registry.load(connection, facts, source, frame, Named(), Before(""))
        decision = decide(facts, loaded.facts, source, "")
        if decision.outcome.is_hold or not source.coerce:
            return dict(said)
        uid = facts.study_instance_uid
        assigns = targets(
            decision, facts, loaded.facts, study_uid=uid, series_uid=""
        ).assigns
        patient = [each for each in assigns if each.tag in _PATIENT]
        patient += self._viewed(decision, loaded.facts)
        order = [each for each in assigns if each.tag in _ORDER]
        made = coerced(said, patient)
        items = at.values(made.get(SCHEDULED_STEP_ATTRIBUTES))
        if len(items) == 1 and order:
            item = coerced(items[0], order)
            made[SCHEDULED_STEP_ATTRIBUTES] = at.element("SQ", item)
        return made

    def _viewed(self, decision: Decision, facts: RegistryFacts) -> list[Assign]:
        """What names the patient in the domain of the destination."""
        person = facts.persons.get(decision.person_id)
        if person is None:
            return []
        domains = self.kept.recording.rules.domains
        return [e for e in in_view(person, domains, self.domain) if e.tag in _PATIENT]


def _in_unicode(said: Mapping[Tag, Element]) -> dict[Tag, Element]:
    """The same with its character set, where there is text beyond ASCII."""
    plain = json.dumps(said, ensure_ascii=False).isascii()
    return {**said} if plain else {at.SPECIFIC_CHARACTER_SET: _UTF_8, **said}


def _renamed(said: Item, known: Renamed, study: str) -> dict[Tag, Element]:
    """The same under the UIDs that are given out; `study` is that of the series."""

    def uid(tag: Tag, value: Any, within: Tag) -> Any:
        if tag == at.STUDY_INSTANCE_UID:
            return known.studies.get(value, value)
        if tag == at.SERIES_INSTANCE_UID:
            return known.series.get((study, value), value)
        if within == _REFERENCED_STUDY_SEQUENCE and tag == at.REFERENCED_SOP_INSTANCE_UID:
            return known.studies.get(value, value)
        return value

    def through(item: Item, within: Tag) -> dict[Tag, Element]:
        return {tag: changed(tag, element, within) for tag, element in item.items()}

    def changed(tag: Tag, element: Element, within: Tag) -> Element:
        if element.get("vr") == "SQ":
            items = [through(each, tag) for each in at.values(element)]
            return at.element("SQ", *items)
        if element.get("vr") == "UI":
            return at.element("UI", *(uid(tag, v, within) for v in at.values(element)))
        return element

    return through(said, "")
