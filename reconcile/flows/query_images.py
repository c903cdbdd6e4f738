"""Answer who asks which instances there are: series by series, some at a time.

What the registry does not keep of an instance is read from it, as it is given out, and
only where it is asked for: one instance after the other, in constant memory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core import matchkeys as mk
from reconcile.core import querykeys as qk
from reconcile.core.attributes import Element, Tag
from reconcile.core.matchkeys import Question
from reconcile.core.querykeys import KEYS, Level
from reconcile.dataset.facts import Received
from reconcile.db import views_images, views_retrieve
from reconcile.db.database import Connection, Database
from reconcile.db.views_images import Image
from reconcile.db.views_instances import Holding
from reconcile.errors import ReconcileError
from reconcile.flows.meant import values_of
from reconcile.flows.retrieve import RetrieveFlow

LOG = logging.getLogger(__name__)

Answer = Mapping[Tag, Element]

#: What this archive changes in instances: of all else the received bytes are as good.
_COERCED = frozenset(tag for tag in qk.READ if KEYS[Level.IMAGE][tag] == "SQ")


@dataclass(frozen=True, slots=True)
class ImageAnswers:
    """What is answered of the instances of series."""

    database: Database
    retrieve: RetrieveFlow
    question: Question

    def pages(self, series: Iterable[tuple[UUID, Answer]]) -> Iterator[list[Answer]]:
        """Answers of the instances of series that match, each with what is said of it."""
        for series_id, answer in series:
            yield from self._of(series_id, answer)

    def _of(self, series_id: UUID, of_series: Answer) -> Iterator[list[Answer]]:
        tests = self.question.tests
        after: UUID | None = None
        while True:
            with self.database.read_only() as connection:
                found = views_images.images(
                    connection,
                    series_id,
                    uids=values_of(tests.get(qk.SOP_INSTANCE_UID)),
                    classes=values_of(tests.get(qk.SOP_CLASS_UID)),
                    after=after,
                )
                holdings = self._holdings(connection, found)
            answers = ({**of_series, **self._told(each, holdings)} for each in found)
            yield [each for each in answers if self._fits(each)]
            if len(found) < views_images.PAGE:
                return
            after = found[-1].id

    @property
    def _wanted(self) -> frozenset[Tag]:
        """What has to be read."""
        return qk.READ & (self.question.shown.keys() | self.question.tests.keys())

    def _holdings(self, connection: Connection, found: list[Image]) -> dict[UUID, Holding]:
        if not self._wanted or not found:
            return {}
        receipts = [each.receipt_id for each in found]
        return views_retrieve.holdings(connection, receipts)

    def _told(self, image: Image, holdings: Mapping[UUID, Holding]) -> dict[Tag, Element]:
        holding = holdings.get(image.receipt_id)
        return {
            qk.SOP_CLASS_UID: at.element("UI", image.sop_class_uid),
            qk.SOP_INSTANCE_UID: at.element("UI", image.sop_instance_uid),
            **({} if holding is None else self._read(holding)),
        }

    def _read(self, holding: Holding) -> dict[Tag, Element]:
        """What an instance says; what cannot be read is told as if it were not there."""
        wanted = self._wanted
        if not wanted & _COERCED:
            holding = Holding(holding.kept, ())
        try:
            with self.retrieve.state(holding) as state:
                return {tag: said for tag in wanted if (said := _said(state, tag))}
        except ReconcileError as error:
            LOG.warning(
                "instance not read for a query instance=%s error=%s",
                holding.kept.sop_instance_uid,
                type(error).__name__,
            )
            return {}

    def _fits(self, answer: Answer) -> bool:
        tests = self.question.tests.items()
        return all(mk.fits(test, answer.get(tag)) for tag, test in tests if tag in qk.READ)


def _said(state: Received, tag: Tag) -> Element | None:
    try:
        return state.element(tag)
    except ReconcileError:
        return None  # broken or too long: nobody has to read it
