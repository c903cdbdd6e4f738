"""An instance that was deleted comes again: it is stored anew, or turned away.

Its bytes may go at any moment: whoever records an arrival holds the lock on its digest,
and looks whether they are still there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from reconcile.core.deletion import READMITS, Cause
from reconcile.db import removals, stored, versions
from reconcile.db.database import Connection, Lock, lock_each
from reconcile.db.removals import Grave
from reconcile.errors import NotFound, ServiceUnavailable
from reconcile.flows.arriving import Arriving
from reconcile.storage.local import LocalStorage


@dataclass(frozen=True, slots=True)
class Readmitting:
    """Knows what was deleted."""

    storage: LocalStorage
    said: Mapping[str, bool]

    def grave(
        self, connection: Connection, arriving: Arriving, uid_domain: str
    ) -> Grave | None:
        """That an arriving instance was deleted; from now on its bytes stay.

        Raises:
            ServiceUnavailable: the same bytes were removed a moment ago; once more, and
                they are written anew.
        """
        uid = arriving.facts.sop_instance_uid
        held = Lock(("rejection", uid_domain, uid), shared=True)
        lock_each(connection, [held, removals.of_digest(arriving.digest, shared=True)])
        try:
            self.storage.extent(arriving.location, arriving.arrival.length)
        except NotFound as error:
            raise ServiceUnavailable("its bytes were removed meanwhile") from error
        return removals.grave(connection, uid_domain, uid)

    def takes(self, grave: Grave) -> bool:
        """Whether it is stored anew."""
        return self.said.get(grave.cause, READMITS[Cause(grave.cause)])


def turn_away(
    connection: Connection, receipt: stored.Receipt, outcome: str, grave: Grave | None
) -> None:
    """Keep that it came; where it was deleted, let its bytes go again."""
    receipt_id = stored.keep_receipt(connection, receipt, outcome)
    if grave is not None:
        removals.remove_again(connection, receipt_id, grave.deletion_id)


def keep_again(connection: Connection, **row: Any) -> UUID:
    """Let an instance be here again; the arguments are those of `stored.keep_instance`."""
    receipt: stored.Receipt = row["receipt"]
    named = receipt.uid_domain, receipt.sop_instance_uid
    removals.reopen(connection, *named, row["happening_id"])
    instance_id = versions.replace_instance(connection, **row)
    removals.stored_anew(connection, instance_id, receipt.received_at)
    return instance_id
