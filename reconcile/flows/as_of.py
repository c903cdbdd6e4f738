"""What the instances of a study were given out as at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Tag
from reconcile.dataset.keywords import keyword
from reconcile.db import views_as_of
from reconcile.db.views import Page, Where
from reconcile.errors import NotFound
from reconcile.flows.arriving import IDENTITY_TAGS
from reconcile.flows.retrieve import RetrieveFlow

_TOLD: tuple[Tag, ...] = (*IDENTITY_TAGS, at.SERIES_INSTANCE_UID)


@dataclass(frozen=True, slots=True)
class GivenOut:
    """Who an instance was of, and in which study.

    Attributes:
        elements: in the DICOM JSON model, by keyword; patient data.
        changes: how many coercions and corrections were live.
    """

    sop_instance_uid: str
    elements: Mapping[str, Element]
    changes: int


@dataclass(frozen=True, slots=True)
class AsOfFlow:
    """Tells what was given out."""

    retrieve: RetrieveFlow

    def study(
        self, uid: str, when: datetime, where: Where, *, hidden: bool = True
    ) -> Page[GivenOut]:
        """The instances that are in a study today, as they were given out at a time.

        Args:
            uid: received, assigned or alias.
            when: those that came later are left out.
            where: which page.
            hidden: whether to tell of those that are hidden now.

        Raises:
            NotFound: no study is known by this UID, or nothing of it on the first page.
            BytesMissing: there is a row and no file.
        """
        with self.retrieve.database.read_only() as connection:
            found = views_as_of.instances_of(connection, uid, where)
        if not (found.items or where.cursor):
            raise NotFound("no study is known by this UID")
        return Page(tuple(self._each(found.items, when, hidden=hidden)), found.next)

    def _each(
        self, uids: tuple[str, ...], when: datetime, *, hidden: bool
    ) -> Iterator[GivenOut]:
        for uid in uids:
            try:
                with self.retrieve.database.read_only() as connection:
                    held = views_as_of.holding_at(connection, uid, when, hidden=hidden)
            except NotFound:
                continue
            with self.retrieve.state(held) as given:
                present = given.facts().present
                said = {keyword(tag): present[tag] for tag in _TOLD if tag in present}
                yield GivenOut(uid, said, len(held.live))
