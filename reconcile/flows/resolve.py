"""Resolve what waits for a person: what they say is done, and written down.

Two contents under one SOP Instance UID: `replace` lets the one that is held be given out
from now on, decided and filed like an instance that arrives at this moment; `reject`
keeps what is given out. Nothing is ever dropped: every arrival keeps its receipt, its
bytes and its events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from reconcile.core.coercion import RULE, Decision, Outcome, decide
from reconcile.core.facts import RegistryFacts, Source
from reconcile.db import events, holds, merges, versions
from reconcile.db.database import Connection, Row
from reconcile.db.views import uuid_of
from reconcile.db.views_instances import Holding, Kept
from reconcile.errors import NotFound, ReconcileError, WrongUse
from reconcile.flows.arrival import Arrival
from reconcile.flows.arriving import Arriving, Moment
from reconcile.flows.inside import look
from reconcile.flows.recording import Decided, decide_study_of, explanation
from reconcile.flows.retrieve import RetrieveFlow, location_of
from reconcile.flows.store import StoreFlow
from reconcile.storage.content import InFile

REPLACE, REJECT = "replace", "reject"
#: By code of an item: what a person may decide.
ACTIONS: dict[str, tuple[str, ...]] = {Outcome.DUPLICATE_DIFFERS.value: (REPLACE, REJECT)}


class AlreadyDecided(ReconcileError):
    """Somebody else has decided since the item was looked at."""

    title = "Somebody else has decided"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person decided of an item.

    Attributes:
        reason: in their words; kept in the history.
        actor: who decides.
        version: of the item as they saw it; None: whatever it is.
        receipt: id of the arrival that is meant, where the item has several.
    """

    hold_id: str
    action: str
    reason: str
    actor: str
    version: int | None = None
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """An arrival that is kept beside the current one."""

    uid_domain: str
    kept: Kept


@dataclass(frozen=True, slots=True)
class ResolveFlow:
    """The steps of resolving an item; `source` says how instances of a peer are read."""

    store: StoreFlow
    source: Callable[[str], Source]

    def resolve(self, wanted: Wanted) -> UUID:
        """Do what a person decided; the happening that tells of it.

        Raises:
            NotFound: there is no such item.
            AlreadyDecided: it is closed, or another version than they saw.
            WrongUse: it cannot be resolved so, or no reason is given.
            BytesMissing: what is to be given out has no file.
        """
        if not wanted.reason.strip():
            raise WrongUse("a decision needs a reason")
        run = self.store.database.run
        row = run(lambda connection: _open(connection, wanted))
        if wanted.action == REJECT:
            return run(lambda connection: self._reject(connection, wanted))
        receipt_id = run(lambda connection: _receipt_of(connection, row.id, wanted))
        with self.store.database.read_only() as connection:
            uid_domain, kept = versions.arrival(connection, receipt_id)
        with self._arriving(kept) as arriving:
            return run(lambda c: self._replace(c, wanted, Held(uid_domain, kept), arriving))

    def _reject(self, connection: Connection, wanted: Wanted) -> UUID:
        row = _open(connection, wanted)
        happening = self._happening(row, wanted, {})
        happening_id = events.happen(connection, happening)
        holds.close(connection, row.id, wanted.actor, happening.recorded_at)
        return happening_id

    def _replace(
        self, connection: Connection, wanted: Wanted, held: Held, arriving: Arriving
    ) -> UUID:
        """One transaction, as of an arriving instance; may run more than once."""
        merges.share(connection)
        row = _open(connection, wanted)
        receipt_id = held.kept.receipt_id
        loaded = self.store.recording.load(connection, arriving)
        if loaded.uid_domain != held.uid_domain:
            raise WrongUse("its source's `deidentified` was another when it came")
        facts = _as_if_new(loaded.facts)
        decision = decide(arriving.facts, facts, arriving.source, arriving.digest)
        study = decide_study_of(arriving, loaded, decision)
        told = {"receipt": str(receipt_id), **explanation(decision, study)}
        happening = self._happening(row, wanted, told, decision)
        moment = Moment(
            connection, events.happen(connection, happening), happening.recorded_at
        )
        decided = Decided(loaded, decision, study)
        keep = versions.replace_instance
        self.store.recording.record(arriving, decided, moment, receipt_id, keep)
        holds.close(connection, row.id, wanted.actor, moment.now)
        return moment.happening_id

    def _happening(
        self,
        row: Row,
        wanted: Wanted,
        told: dict[str, Any],
        decision: Decision | None = None,
    ) -> events.Happening:
        said = {"action": wanted.action, "reason": wanted.reason, "code": row.code}
        return events.Happening(
            "resolve",
            str(row.id),
            wanted.actor,
            self.store.rules.digest,
            self.store.clock(),
            RULE if decision else "",
            decision.rung if decision else "",
            {**said, **told},
            (row.happening_id,),
        )

    @contextmanager
    def _arriving(self, kept: Kept) -> Iterator[Arriving]:
        """A kept arrival as it is handed on when it comes."""
        store = self.store
        source = self.source(kept.source)
        retrieve = RetrieveFlow(store.database, store.storage)
        with retrieve.state(Holding(kept, ())) as received:
            yield Arriving(
                _arrival(kept, source, store),
                location_of(kept),
                received,
                received.facts(),
                store.rules,
                look(received, source),
            )


def _arrival(kept: Kept, source: Source, store: StoreFlow) -> Arrival:
    extent = store.storage.extent(location_of(kept), kept.length)
    return Arrival(
        InFile(extent.path, extent.offset),
        kept.digest,
        kept.length,
        kept.sop_class_uid,
        kept.sop_instance_uid,
        kept.transfer_syntax_uid,
        source,
        "",
        "",
        0,
        kept.file_meta,
    )


def _open(connection: Connection, wanted: Wanted) -> Row:
    """The item, locked, which may be resolved as it is wanted."""
    hold_id = uuid_of(wanted.hold_id)
    row = holds.locked(connection, hold_id) if hold_id else None
    if row is None:
        raise NotFound("there is no hold of this id")
    if row.state == "closed":
        when = row.closed_at.isoformat(timespec="seconds")
        raise AlreadyDecided(f"resolved by {row.closed_by or 'the archive'} at {when}")
    if wanted.version not in (None, row.version):
        raise AlreadyDecided(f"it has version {row.version} now")
    possible = ACTIONS.get(row.code, ())
    if wanted.action not in possible:
        ways = " or ".join(possible) or "nothing yet"
        raise WrongUse(f"what can be done with {row.code} is: {ways}")
    return row


def _receipt_of(connection: Connection, hold_id: UUID, wanted: Wanted) -> UUID:
    """The arrival that is to be given out: the one that is named, or the only one."""
    found = holds.receipts_of(connection, hold_id)
    if not wanted.receipt and len(found) == 1:
        return found[0]
    named = uuid_of(wanted.receipt)
    if named not in found:
        raise WrongUse(f"receipt is one of {', '.join(map(str, found))}")
    return named


def _as_if_new(facts: RegistryFacts) -> RegistryFacts:
    """The same facts, of an instance of which nothing is here."""
    return replace(facts, stored_digest="", known_digests=frozenset())
