"""Rejection notes: RAD-66 Rejection Note Stored (IOCM).

A note is stored like any other instance, under the UIDs that its sender knows. What it
names is hidden, or only noted, as its title is configured; that is a happening of its
own, which a steward can take back. Bytes, rows and history of what is rejected stay,
until it is deleted where its title is configured to plan that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from reconcile.core.deletion import Cause
from reconcile.core.rejection import (
    EVIDENCE,
    KEY_OBJECT_SELECTION,
    TITLE,
    TREATMENTS,
    Again,
    Code,
    Note,
    Treatment,
    note_of,
)
from reconcile.db import deletions, events, evidence, filed, holds, rejections
from reconcile.db.database import Connection, lock
from reconcile.errors import ReconcileError
from reconcile.flows.arriving import Arriving, Moment
from reconcile.flows.rules import Rules

REVIEW = "REJECTION-NOTE"


@dataclass(frozen=True, slots=True)
class Rejecting:
    """Does what a note says, and knows what was rejected when it comes again."""

    rules: Rules

    def _treatment(self, code: Code) -> Treatment:
        return self.rules.rejection.get(code.value, TREATMENTS[code])

    # -- a note has come -----------------------------------------------------------------

    def take(self, moment: Moment, arriving: Arriving, uid_domain: str) -> None:
        """Reject what an instance that has just been stored names, if it is a note."""
        note = _note(arriving)
        if note is None:
            return
        connection = moment.connection
        uids = {each.sop_instance_uid for each in note.rejected}
        lock(connection, [("rejection", uid_domain, uid) for uid in uids], shared=False)
        studies = {each.study_instance_uid for each in note.rejected}
        named = {filed.study_named(connection, uid) for uid in studies} - {None}
        for study_id in sorted(filter(None, named)):  # what comes now is seen below
            evidence.raise_study(connection, study_id)
        found = rejections.named(connection, uid_domain, note.rejected)
        happening_id = self._happen(moment, arriving, note, len(found))
        if found:
            rejections.reject(
                connection,
                uid_domain,
                found,
                code=note.code,
                note=arriving.facts.sop_instance_uid,
                hides=self._treatment(note.code).hides,
                happening_id=happening_id,
            )
            if self._treatment(note.code).deletes:
                self._plan(moment, arriving, found, happening_id)
        for study_id in sorted({each.study_id for each in found if each.study_id}):
            source = arriving.source.ae_title
            item = holds.Item("review", REVIEW, note.code.value, source, study_id)
            holds.open_item(connection, item, happening_id)

    def _plan(
        self,
        moment: Moment,
        arriving: Arriving,
        found: Sequence[rejections.Named],
        happening_id: UUID,
    ) -> None:
        """Let what is rejected be deleted after a while; what is planned already is so."""
        uids = [each.sop_instance_uid for each in found if each.study_id]
        guarded = deletions.named(moment.connection, uids)
        said = deletions.Plan(
            Cause.NOTE,
            arriving.facts.sop_instance_uid,
            "its retention has expired, a rejection note says",
            arriving.source.ae_title,
            moment.now,
            moment.now + timedelta(days=self.rules.note_days),
        )
        instances = [each for each, is_guarded in guarded.items() if not is_guarded]
        if instances:
            deletions.plan(moment.connection, said, instances, happening_id)

    def _happen(self, moment: Moment, arriving: Arriving, note: Note, found: int) -> UUID:
        told = {"code": note.code.value, "named": len(note.rejected), "rejected": found}
        happening = events.Happening(
            "iocm",
            arriving.facts.sop_instance_uid,
            arriving.source.ae_title,
            self.rules.digest,
            moment.now,
            explanation=told,
            depends_on=(moment.happening_id,),
        )
        return events.happen(moment.connection, happening)

    # -- what was rejected comes again ---------------------------------------------------

    def is_hidden(self, connection: Connection, uid_domain: str, uid: str) -> bool:
        """Whether an instance is to be hidden as it comes; nobody rejects it meanwhile."""
        return rejections.code_of(connection, uid_domain, uid)[1]

    def refuses(
        self,
        connection: Connection,
        arriving: Arriving,
        uid_domain: str,
        now: datetime,
        *,
        known: bool,
    ) -> bool:
        """Whether an instance is not taken, for it was rejected.

        Where it may come again, it is rejected no more; `known`: it was here before.
        Whoever asks holds the lock on its rejection (`readmitting`).
        """
        uid = arriving.facts.sop_instance_uid
        code, _ = rejections.code_of(connection, uid_domain, uid)
        if not code:
            return False
        again = self._treatment(Code(code)).again
        if again is Again.RESTORE and known:
            happening = events.Happening(
                "iocm-restore",
                uid,
                arriving.source.ae_title,
                self.rules.digest,
                now,
                explanation={"code": code},
            )
            happening_id = events.happen(connection, happening)
            rejections.end(connection, uid_domain, uid, happening_id)
        return again is Again.REFUSE


def _note(arriving: Arriving) -> Note | None:
    """What is broken is no note."""
    if arriving.facts.sop_class_uid != KEY_OBJECT_SELECTION:
        return None
    try:
        received = arriving.received
        return note_of(received.element(TITLE), received.element(EVIDENCE))
    except ReconcileError:
        return None
