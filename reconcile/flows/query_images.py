"""Answer who asks which instances there are: series by series, some at a time.

What the registry does not keep of an instance is read from it, as it is given out, and
only where it is asked for: one instance after the other, in constant memory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from reconcile.core import attributes as at
from reconcile.core import matchkeys as mk
from reconcile.core import querykeys as qk
from reconcile.core.attributes import Element, Tag
from reconcile.core.matchkeys import Question
from reconcile.core.querykeys import KEYS, Level
from reconcile.dataset.facts import Received
from reconcile.db import views_images, views_retrieve
from reconcile.db.database import Database
from reconcile.db.views_images import Image
from reconcile.db.views_instances import Holding
from reconcile.errors import ReconcileError
from reconcile.flows.meant import values_of
from reconcile.flows.retrieve import RetrieveFlow

LOG = logging.getLogger(__name__)

Answer = Mapping[Tag, Element]
T = TypeVar("T")

#: What this archive changes in instances: of all else the received bytes are as good.
_COERCED = frozenset(tag for tag in qk.READ if KEYS[Level.IMAGE][tag] == "SQ")


@dataclass(frozen=True, slots=True)
class ImageAnswers:
    """What is answered of the instances of series."""

    database: Database
    retrieve: RetrieveFlow
    question: Question

    def pages(
        self, series: Iterable[tuple[UUID, Answer]], skip: int = 0
    ) -> Iterator[list[Answer]]:
        """Answers of the instances of series that match, but the first `skip` of them.

        These are not read where what they say is not asked for.
        """
        found = (page for each, answer in series for page in self._found(each, answer))
        if qk.READ & self.question.tests.keys():
            return after(map(self._answers, found), skip)
        return map(self._answers, after(found, skip))

    def _found(
        self, series_id: UUID, of_series: Answer
    ) -> Iterator[list[tuple[Image, Answer]]]:
        """The instances of a series, each with what is said of that."""
        tests = self.question.tests
        last: UUID | None = None
        while True:
            with self.database.read_only() as connection:
                found = views_images.images(
                    connection,
                    series_id,
                    uids=values_of(tests.get(qk.SOP_INSTANCE_UID)),
                    classes=values_of(tests.get(qk.SOP_CLASS_UID)),
                    after=last,
                )
            yield [(each, of_series) for each in found]
            if len(found) < views_images.PAGE:
                return
            last = found[-1].id

    def _answers(self, page: list[tuple[Image, Answer]]) -> list[Answer]:
        holdings = self._holdings([image for image, _ in page])
        told = ({**of_series, **self._told(i, holdings)} for i, of_series in page)
        return [each for each in told if self._fits(each)]

    @property
    def _wanted(self) -> frozenset[Tag]:
        """What has to be read."""
        return qk.READ & (self.question.shown.keys() | self.question.tests.keys())

    def _holdings(self, found: list[Image]) -> dict[UUID, Holding]:
        if not self._wanted or not found:
            return {}
        with self.database.read_only() as connection:
            given = views_retrieve.of(connection, [each.id for each in found])
        return {key: each.holding for key, each in given.items()}

    def _told(self, image: Image, holdings: Mapping[UUID, Holding]) -> dict[Tag, Element]:
        holding = holdings.get(image.id)
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


def after(pages: Iterable[list[T]], skip: int) -> Iterator[list[T]]:
    """Pages without what stands first in them, so much of it."""
    for page in pages:
        yield page[skip:]
        skip = max(0, skip - len(page))


def _said(state: Received, tag: Tag) -> Element | None:
    try:
        return state.element(tag)
    except ReconcileError:
        return None  # broken or too long: nobody has to read it
