"""Give many instances out: RAD-16 Retrieve Images of a patient, a study or a series.

They come in a stable order, page by page, so that any number of them takes constant
memory. Whoever is given them sees the patient in its own domain (IHE MIMA): that is how
they are shown and no coercion, so no event and no Original Attributes item tells of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from uuid import UUID

from reconcile.core.attributes import Change
from reconcile.core.matchkeys import Question
from reconcile.core.querykeys import Level
from reconcile.core.shown import in_view
from reconcile.dataset.facts import Received
from reconcile.dataset.overlay import viewed
from reconcile.db import persons, views_retrieve
from reconcile.db.database import Connection
from reconcile.db.views_found import Asked
from reconcile.db.views_instances import Holding
from reconcile.db.views_retrieve import After, Given
from reconcile.flows.inventories import Inventories
from reconcile.flows.query import QueryFlow
from reconcile.flows.retrieve import Outgoing, RetrieveFlow


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be given out.

    Attributes:
        question: names patients, studies or series by their unique keys; whatever else it
            asks is not looked at.
        sop_instance_uids: only these of them; none: all.
        view: the domain of whoever is given them; an ID without an issuer is read in it.
            Empty: of every domain, and as the archive names them.
    """

    question: Question
    sop_instance_uids: tuple[str, ...] = ()
    view: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """An instance that can be given out.

    Attributes:
        transfer_syntax_uid: as it is stored.
        study_uid: as it is given out, like `series_uid`.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    study_uid: str
    series_uid: str
    _flow: RetrieveFlow
    _given: Given
    _view: Sequence[Change]

    @property
    def made_from(self) -> tuple[object, ...]:
        """All that decides what it is given out as."""
        holding = self._given.holding
        return (holding.kept.digest, holding.live, self._view)

    @property
    def digest(self) -> str:
        """SHA-256 of the data set as it is kept, in hex."""
        return self._given.holding.kept.digest

    @property
    def changes(self) -> Iterator[Change]:
        """What is changed in it, in order; how its receiver sees the patient aside."""
        return (each for live in self._given.holding.live for each in live.assigns)

    @property
    def person(self) -> UUID | None:
        """Whose it is; None: it is held, or nobody's."""
        return self._given.person_id

    @property
    def unused(self) -> UUID | None:
        """Its study, where nobody was given of it before."""
        return self._given.unused

    def give(self, syntaxes: Sequence[str] = ()) -> Outgoing:
        """Give it out, as stored where that is acceptable, else converted.

        Raises:
            BytesMissing: there is a row and no file.
            CannotConvert: it cannot be given out in any of `syntaxes`.
        """
        return self._flow.as_given(self._given.holding, syntaxes, self._view)

    def state(self) -> AbstractContextManager[Received]:
        """Its header as it is given out now, to be asked.

        Raises:
            BytesMissing: there is a row and no file.
        """
        return self._flow.state(self._given.holding)

    @contextmanager
    def seen(self) -> Iterator[Received]:
        """Its header as its receiver sees it, to be asked.

        Raises:
            BytesMissing: there is a row and no file.
        """
        with self.state() as state:
            yield viewed(state, self._view)


@dataclass(frozen=True, slots=True)
class SeveralFlow:
    """The steps of giving many instances out."""

    retrieve: RetrieveFlow
    query: QueryFlow

    def kinds(self, wanted: Wanted) -> dict[tuple[str, str], int]:
        """How many there are, by (SOP Class UID, stored Transfer Syntax UID).

        Raises:
            ServiceUnavailable: the database is away.
        """
        if wanted.question.level is Level.INVENTORY:
            return Inventories(self.retrieve).kinds(wanted.sop_instance_uids)
        asked = self.query.narrowed(wanted.question, wanted.view)
        if asked is None:
            return {}
        with self.retrieve.database.read_only() as connection:
            return views_retrieve.kinds(connection, asked, wanted.sop_instance_uids)

    def instances(
        self, wanted: Wanted, sop_classes: Collection[str] = ()
    ) -> Iterator[Ready]:
        """The instances as of today, those of one series together.

        Args:
            wanted: which.
            sop_classes: only these of them; none: all.

        Raises:
            ServiceUnavailable: the database is away.
        """
        if wanted.question.level is Level.INVENTORY:
            yield from self._inventories(wanted)
            return
        asked = self.query.narrowed(wanted.question, wanted.view)
        after: After | None = None
        used: set[UUID] = set()
        while asked is not None:
            found, after = self._page(asked, after, wanted, sop_classes)
            for given, view in found:
                if given.unused is not None and given.unused not in used:
                    used.add(given.unused)
                    self.retrieve.use(given.unused)
                yield self._ready(given, view)
            if after is None:
                return

    def _inventories(self, wanted: Wanted) -> Iterator[Ready]:
        for holding in Inventories(self.retrieve).holdings(wanted.sop_instance_uids):
            yield self._ready(Given(holding, "", "", None, True, None), ())

    def of(
        self, connection: Connection, instance_ids: Collection[UUID], view: str = ""
    ) -> dict[UUID, Ready]:
        """Some instances as of today, by their ids; those that are hidden are left out."""
        found = views_retrieve.of(connection, instance_ids)
        viewed = self._viewed(connection, list(found.values()), view)
        ready = {id(given): self._ready(given, named) for given, named in viewed}
        return {key: ready[id(given)] for key, given in found.items()}

    def used(self, given: Iterable[Ready]) -> None:
        """Note that the studies of what is given out are used."""
        for study_id in {each.unused for each in given} - {None}:
            assert study_id is not None
            self.retrieve.use(study_id)

    def views(self, sop_instance_uid: str) -> list[tuple[Holding, Sequence[Change]]]:
        """What an instance is given out from, and how each domain knows the patient.

        Only of domains in which that is not as the archive does.
        """
        only, rules = (sop_instance_uid,), self.query.rules
        with self.retrieve.database.read_only() as connection:
            found, _ = views_retrieve.page(
                connection, Asked(Level.STUDY), sop_instance_uids=only
            )
            whose = {each.person_id for each in found if each.person_id}
            known = persons.facts(connection, whose, rules.archive_domain)
        views: list[tuple[Holding, Sequence[Change]]] = []
        for each in found:
            person = known.get(str(each.person_id))
            if person is None or each.as_received:
                continue
            domains = dict.fromkeys(i.domain for i in person.identifiers)
            told = (in_view(person, rules.domains, domain) for domain in domains)
            views += [(each.holding, view) for view in told if view]
        return views

    def _page(
        self,
        asked: Asked,
        after: After | None,
        wanted: Wanted,
        sop_classes: Collection[str],
    ) -> tuple[list[tuple[Given, Sequence[Change]]], After | None]:
        with self.retrieve.database.read_only() as connection:
            found, after = views_retrieve.page(
                connection,
                asked,
                after,
                sop_instance_uids=wanted.sop_instance_uids,
                sop_classes=sop_classes,
            )
            return self._viewed(connection, found, wanted.view), after

    def _viewed(
        self, connection: Connection, found: list[Given], view: str
    ) -> list[tuple[Given, Sequence[Change]]]:
        rules = self.query.rules
        whose = {each.person_id for each in found if view and each.person_id}
        known = persons.facts(connection, whose, rules.archive_domain)
        named = {
            person_id: in_view(person, rules.domains, view)
            for person_id, person in known.items()
        }
        return [
            (each, () if each.as_received else named.get(str(each.person_id), ()))
            for each in found
        ]

    def _ready(self, given: Given, view: Sequence[Change]) -> Ready:
        kept = given.holding.kept
        return Ready(
            kept.sop_class_uid,
            kept.sop_instance_uid,
            kept.transfer_syntax_uid,
            given.study_uid,
            given.series_uid,
            self.retrieve,
            given,
            view,
        )
