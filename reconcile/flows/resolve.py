"""Resolve what waits for a person: what they say is done, and written down.

Two contents under one SOP Instance UID: `replace` lets the one that is held be given out
from now on, decided and filed like an instance that arrives at this moment; `reject`
keeps what is given out. A held study is the patient's whom a person names, or stays
under an ID of its own. A message is acted on again, or never. Nothing is ever dropped:
every arrival keeps its receipt, its bytes and its events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core.coercion import RULE, Decision, Outcome, decide
from reconcile.core.facts import Source
from reconcile.db import events, holds, merges, versions
from reconcile.db.database import Connection, Row
from reconcile.db.views import uuid_of
from reconcile.db.views_instances import Kept
from reconcile.errors import NotFound, ReconcileError, WrongUse
from reconcile.flows.arriving import Arriving, Moment
from reconcile.flows.kept import KeptArrivals, as_if_new
from reconcile.flows.message import Asked
from reconcile.flows.recording import Decided, decide_study_of, explanation
from reconcile.flows.replay import (
    OF_A_MESSAGE,
    REJECT,
    REPLAY,
    ReplayFlow,
    lock_message_of,
    reject,
)
from reconcile.flows.store import StoreFlow
from reconcile.flows.whose import ACCEPT, ASSIGN, NEW_PATIENT, Whose

REPLACE = "replace"
_OF_IDENTITY = (ACCEPT, ASSIGN, NEW_PATIENT, REJECT)
#: By code of a hold: what a person may decide.
ACTIONS: dict[str, tuple[str, ...]] = {
    outcome.value: _OF_IDENTITY for outcome in Outcome if outcome.is_hold
} | {Outcome.DUPLICATE_DIFFERS.value: (REPLACE, REJECT)}
#: A review is seen; that is all.
OF_A_REVIEW = (ACCEPT,)


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
        patient: ID^^^DOMAIN, to whom it is assigned.
    """

    hold_id: str
    action: str
    reason: str
    actor: str
    version: int | None = None
    receipt: str = ""
    patient: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """An arrival that is kept beside the current one."""

    uid_domain: str
    kept: Kept


@dataclass(frozen=True, slots=True)
class ResolveFlow:
    """The steps of resolving an item.

    Attributes:
        source: how instances of a peer are read.
        replays: acts again on messages; None: there is no door that reads them.
    """

    store: StoreFlow
    source: Callable[[str], Source]
    replays: ReplayFlow | None = None

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
        if row.kind == "message":
            return self._message(wanted)
        if wanted.action == REJECT or row.kind == "review":
            return run(lambda connection: self._close(connection, wanted))
        if wanted.action != REPLACE:
            return run(lambda connection: self._identify(connection, wanted))
        receipt_id = run(lambda connection: _receipt_of(connection, row.id, wanted))
        with self.store.database.read_only() as connection:
            uid_domain, kept = versions.arrival(connection, receipt_id)
        kept_arrivals = KeptArrivals(self.store.recording, self.source)
        with kept_arrivals.arriving(kept) as arriving:
            return run(lambda c: self._replace(c, wanted, Held(uid_domain, kept), arriving))

    def _message(self, wanted: Wanted) -> UUID:
        """Act on a message again, or never; then on what waited for it."""
        replays = self.replays or ReplayFlow(self.store.database)

        def decided(connection: Connection) -> tuple[UUID, UUID]:
            item_id = uuid_of(wanted.hold_id)
            message_id = lock_message_of(connection, item_id) if item_id else None
            row = _open(connection, wanted)
            assert message_id is not None
            if wanted.action == REJECT:
                reject(connection, message_id)
                return self._close(connection, wanted), message_id
            happening = self._happening(row, wanted, {})
            return events.happen(connection, happening), message_id

        happening_id, message_id = self.store.database.run(decided)
        if wanted.action == REPLAY:
            replays.replay(str(message_id), Asked(wanted.actor, wanted.reason))
        else:
            replays.release_after()
        return happening_id

    def _close(self, connection: Connection, wanted: Wanted) -> UUID:
        """Nothing changes but the item."""
        row = _open(connection, wanted)
        happening = self._happening(row, wanted, {})
        happening_id = events.happen(connection, happening)
        self._closed(connection, row, wanted, happening_id, happening.recorded_at)
        return happening_id

    def _identify(self, connection: Connection, wanted: Wanted) -> UUID:
        """Held series are the patient's whom a person names."""
        merges.share(connection)
        row = _open(connection, wanted)
        happening = self._happening(row, wanted, {})
        happening_id = events.happen(connection, happening)
        moment = Moment(connection, happening_id, happening.recorded_at)
        whose = Whose(KeptArrivals(self.store.recording, self.source))
        whose.settle(moment, row, wanted.action, wanted.patient)
        self._closed(connection, row, wanted, happening_id, moment.now)
        holds.close_of(connection, row.study_id, row.code, wanted.actor, moment.now)
        return happening_id

    def _closed(
        self,
        connection: Connection,
        row: Row,
        wanted: Wanted,
        happening_id: UUID,
        at: datetime,
    ) -> None:
        told = {"action": wanted.action, "reason": wanted.reason}
        told["happening"] = str(happening_id)
        holds.close(connection, row.id, wanted.actor, at, told)

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
        facts = as_if_new(loaded.facts)
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
        self._closed(connection, row, wanted, moment.happening_id, moment.now)
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
    by_kind = {"review": OF_A_REVIEW, "message": OF_A_MESSAGE}
    possible = by_kind.get(row.kind) or ACTIONS.get(row.code, ())
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
