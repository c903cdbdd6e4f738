"""Find and give out inventories, ours and those of others (PS3.4 Annex JJ).

An inventory is kept like any instance; what is asked of it is read from it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from reconcile.core import matchkeys as mk
from reconcile.core import querykeys as qk
from reconcile.core.attributes import Element, Tag
from reconcile.core.matchkeys import Question
from reconcile.core.querykeys import KEYS, Level
from reconcile.dataset.facts import Received
from reconcile.db import views_instances, views_inventories
from reconcile.db.views_instances import Holding
from reconcile.errors import NotFound, ReconcileError
from reconcile.flows.meant import values_of
from reconcile.flows.retrieve import RetrieveFlow

LOG = logging.getLogger(__name__)

Answer = Mapping[Tag, Element]


@dataclass(frozen=True, slots=True)
class Inventories:
    """The inventories that are here."""

    retrieve: RetrieveFlow

    def pages(self, question: Question) -> Iterator[list[Answer]]:
        """What is answered of each that matches, the newest one first."""
        named = values_of(question.tests.get(qk.SOP_INSTANCE_UID))
        for page in self._pages(named or ()):
            told = (self._answer(holding) for holding in page)
            yield [each for each in told if _fits(question, each)]

    def holdings(self, uids: Collection[str]) -> Iterator[Holding]:
        """What these are given out from."""
        for page in self._pages(uids):
            yield from page

    def kinds(self, uids: Collection[str]) -> dict[tuple[str, str], int]:
        """How many there are, by (SOP Class UID, stored Transfer Syntax UID)."""
        kept = [each.kept for each in self.holdings(uids)]
        return dict(Counter((k.sop_class_uid, k.transfer_syntax_uid) for k in kept))

    def _pages(self, uids: Collection[str]) -> Iterator[list[Holding]]:
        last: UUID | None = None
        while True:
            with self.retrieve.database.read_only() as connection:
                found = views_inventories.inventories(connection, uids, last)
                page = []
                for _, uid in found:
                    try:
                        page.append(views_instances.holding(connection, uid))
                    except NotFound:
                        continue
            yield page
            if len(found) < views_inventories.PAGE:
                return
            last = found[-1][0]

    def _answer(self, holding: Holding) -> dict[Tag, Element]:
        try:
            with self.retrieve.state(holding) as state:
                tags = KEYS[Level.INVENTORY]
                return {tag: said for tag in tags if (said := _said(state, tag))}
        except ReconcileError as error:
            LOG.warning(
                "inventory not read instance=%s error=%s",
                holding.kept.sop_instance_uid,
                type(error).__name__,
            )
            return {}


def _said(state: Received, tag: Tag) -> Element | None:
    try:
        return state.element(tag)
    except ReconcileError:
        return None


def _fits(question: Question, answer: Answer) -> bool:
    if not answer:
        return False
    return all(mk.fits(test, answer.get(tag)) for tag, test in question.tests.items())
