"""Patients who are protected, as they are shown to who may not see them: not at all.

Lists keep their items, so that pages and counts stay what they are, and lose what says
who it is. What is asked for by a UID of theirs is refused before it is looked up
(`auth`). DICOM is not asked through here: its peers are the configured ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends

from reconcile.core.identity import PatientIdentifier
from reconcile.db import protection
from reconcile.db.database import Connection
from reconcile.db.suggesting import Suggestion
from reconcile.db.taken import Studied
from reconcile.db.views import Page
from reconcile.db.views_audit import Event
from reconcile.db.views_holds import Hold, WholeMessage
from reconcile.db.views_orders import Order
from reconcile.db.views_patients import Person
from reconcile.db.views_people import Known
from reconcile.db.views_performed import PerformedStep
from reconcile.errors import NotAuthorised
from reconcile.web.parts import Asking, PartsOf

T = TypeVar("T")
#: In place of a person's state.
PROTECTED = "protected"


@dataclass(frozen=True, slots=True)
class Mask:
    """What one who asks may see; `sees`: everybody."""

    sees: bool

    def page(self, found: Page[T], items: Sequence[T]) -> Page[T]:
        """The same page with other items."""
        return replace(found, items=tuple(items))

    def whole(self, found: Sequence[T], seen: Sequence[T]) -> None:
        """For a page that shows one thing in full, or nothing.

        Raises:
            NotAuthorised: something of it is hidden.
        """
        if list(found) != list(seen):
            raise NotAuthorised("the patient is protected")

    def nobody(self, connection: Connection, persons: Iterable[UUID]) -> None:
        """The same, of persons whom a page names.

        Raises:
            NotAuthorised: one of them is hidden.
        """
        if self._persons(connection, persons):
            raise NotAuthorised("the patient is protected")

    def persons(self, connection: Connection, found: Sequence[Person]) -> Sequence[Person]:
        """Persons; of a protected one only that there is somebody."""
        hidden = self._persons(connection, (each.id for each in found))
        return [_nobody(each) if each.id in hidden else each for each in found]

    def known(
        self, connection: Connection, found: Mapping[UUID, Known]
    ) -> dict[UUID, Known]:
        """Persons in short; the same."""
        hidden = self._persons(connection, found)
        return {
            each: Known(each, PROTECTED, who.merged_into, (), {}) if each in hidden else who
            for each, who in found.items()
        }

    def names(
        self, connection: Connection, found: Mapping[str, tuple[str, ...]]
    ) -> dict[str, tuple[str, ...]]:
        """Identifiers by the id of their person; none of a protected one."""
        hidden = {str(each) for each in self._persons(connection, map(_uuid, found))}
        return {each: named for each, named in found.items() if each not in hidden}

    def studied(
        self, connection: Connection, found: Sequence[Studied]
    ) -> Sequence[Studied]:
        """What an undo would change; of a protected patient's which attributes."""
        if self.sees:
            return found
        uids = {each.study_instance_uid for each in found if each.study_instance_uid}
        hidden = protection.studies(connection, uids)
        return [
            replace(each, now={}, then={}) if each.study_instance_uid in hidden else each
            for each in found
        ]

    def events(self, connection: Connection, found: Sequence[Event]) -> Sequence[Event]:
        """Events; of a protected patient's which attributes changed, and no value."""
        if self.sees:
            return found
        uids = {each.study_instance_uid for each in found if each.study_instance_uid}
        studies = protection.studies(connection, uids)
        named = protection.identifiers(connection, map(_identifier, _patients(found)))
        return [
            _without_values(each)
            if each.study_instance_uid in studies
            or (each.patient and _identifier(each.patient) in named)
            else each
            for each in found
        ]

    def holds(self, connection: Connection, found: Sequence[Hold]) -> Sequence[Hold]:
        """Holds; neither what came of a protected patient nor who they may be."""
        if self.sees:
            return found
        uids = {each.study_instance_uid for each in found if each.study_instance_uid}
        studies = protection.studies(connection, uids)
        offered = (_uuid(c.get("patient")) for each in found for c in each.candidates)
        persons = self._persons(connection, offered)
        return [
            replace(
                each,
                received=each.received if _is_open(each, studies) else {},
                candidates=_candidates(each.candidates, persons),
            )
            for each in found
        ]

    def orders(self, connection: Connection, found: Sequence[Order]) -> Sequence[Order]:
        """Orders; of a protected patient's not whose they are."""
        hidden = self._persons(connection, (each.person for each in found))
        return [
            replace(each, person=None, identifiers=()) if each.person in hidden else each
            for each in found
        ]

    def suggestions(
        self, connection: Connection, found: Sequence[Suggestion]
    ) -> Sequence[Suggestion]:
        """Pairs of patients."""
        offered = (_uuid(p.get("patient")) for each in found for p in each.patients)
        hidden = self._persons(connection, offered)
        return [
            replace(each, patients=_candidates(each.patients, hidden)) for each in found
        ]

    def steps(self, found: Sequence[PerformedStep]) -> Sequence[PerformedStep]:
        """Performed steps; it cannot be told whose, so that nothing said is shown."""
        return found if self.sees else [replace(each, said={}) for each in found]

    def message(self, found: WholeMessage) -> WholeMessage:
        """A message; the same."""
        return found if self.sees else replace(found, text="")

    def _persons(self, connection: Connection, found: Iterable[UUID | None]) -> set[UUID]:
        if self.sees:
            return set()
        return protection.persons(connection, {each for each in found if each})


def _mask(parts: PartsOf, asking: Asking) -> Mask:
    return Mask(parts.sees_protected(asking))


Masked = Annotated[Mask, Depends(_mask)]


def _nobody(person: Person) -> Person:
    return Person(person.id, PROTECTED, (), {}, person.merged_into, (), (), ())


def _without_values(event: Event) -> Event:
    return replace(
        event,
        patient=None,
        original_attributes=_emptied(event.original_attributes),
        new_attributes=_emptied(event.new_attributes),
    )


def _emptied(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return (
        None
        if said is None
        else {tag: {"vr": each["vr"]} for tag, each in said.items() if "vr" in each}
    )


def _is_open(hold: Hold, studies: set[str]) -> bool:
    """Whether what came is no protected patient's; of no study, it cannot be told."""
    uid = hold.study_instance_uid
    return uid is not None and uid not in studies


def _candidates(
    offered: Sequence[Mapping[str, Any]], hidden: set[UUID]
) -> Sequence[Mapping[str, Any]]:
    return [
        {"patient": each["patient"], "identifiers": [], "reasons": [PROTECTED]}
        if _uuid(each.get("patient")) in hidden
        else each
        for each in offered
    ]


def _patients(found: Sequence[Event]) -> list[Mapping[str, str]]:
    return [each.patient for each in found if each.patient]


def _identifier(patient: Mapping[str, str]) -> PatientIdentifier:
    return PatientIdentifier(patient["id"], patient["issuer"])


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None
