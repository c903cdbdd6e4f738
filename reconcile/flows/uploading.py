"""Take in files that come in pieces over a network, by the same flow as C-STORE.

A file is in memory while it is small and in the spool when it grows, its data set digested
on the way: memory is bounded, whatever comes. As with an import nothing was announced that
could be compared, so a file is what its data set says. What a request looks like may not
be put here.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reconcile.core import attributes as at
from reconcile.core.attributes import Item, text, values
from reconcile.core.facts import InstanceFacts, Source
from reconcile.dataset.part10 import Part10, announced, file_meta, split
from reconcile.db import views_instances
from reconcile.errors import ReconcileError, TooLarge
from reconcile.flows.arrival import Arrival, Stored
from reconcile.flows.opened import opened
from reconcile.flows.retrieve import RetrieveFlow
from reconcile.storage.content import Content, InFile, InMemory
from reconcile.storage.local import IN_MEMORY_BYTES_MAX, storage_error

#: Bytes that are written to a file at a time.
CHUNK_BYTES = 1 << 20
_PREAMBLE_BYTES = 132


class StudyMismatch(ReconcileError):
    """An instance is not of the study that it was to be stored in."""

    title = "Data set is of another study"
    dimse_status = 0xA902
    http_status = 409


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that has come whole, and what it says."""

    arrival: Arrival
    facts: InstanceFacts


class Upload:
    """One file on its way in; used by one thread at a time.

    Attributes:
        error: why it is refused; more of it is then taken and forgotten.
        named: (SOP Class UID, SOP Instance UID) as far as they are known.
    """

    def __init__(
        self,
        spool_dir: Path,
        source: Source,
        bytes_max: int,
        require_room: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin.

        Args:
            spool_dir: on the storage's file system.
            source: who sends it.
            bytes_max: of the whole.
            require_room: raises where nothing more is to be written.
        """
        self._require_room = require_room
        self.error: ReconcileError | None = None
        self.named = ("", "")
        self._spool_dir = spool_dir
        self._source = source
        self._bytes_max = bytes_max
        self._held = bytearray()
        self._length = 0
        self._hash = hashlib.sha256()
        self._file: _SpoolFile | None = None
        self._came: Part10 | None = None

    @property
    def due(self) -> bool:
        """Whether so much waits in memory that it should be flushed."""
        most = IN_MEMORY_BYTES_MAX if self._file is None else CHUNK_BYTES
        return len(self._held) > most

    def write(self, chunk: bytes) -> None:
        """Take the next piece; nothing is written yet.

        Raises:
            TooLarge: it keeps coming long after it was too much.
        """
        self._length += len(chunk)
        if self._length > 2 * self._bytes_max:
            raise TooLarge("an instance does not end")
        if self._length > self._bytes_max:
            self.refuse(TooLarge(f"an instance is longer than {self._bytes_max} bytes"))
        if self.error is None:
            self._held += chunk

    def refuse(self, error: ReconcileError) -> None:
        """Take no more of it: this is what is wrong. The first error stays."""
        self.error = self.error or error
        self.discard()

    def flush(self) -> None:
        """Write what is held. What fails is said in the end."""
        try:
            self._flush()
        except OSError as error:
            self.refuse(storage_error(error))
        except ReconcileError as error:
            self.refuse(error)

    def finish(self, association: str, number: int, peer_address: str = "") -> Uploaded:
        """All has come: what it is. Its content is the caller's to discard.

        Raises:
            ReconcileError: it is refused; nothing is left of it.
        """
        if self._file is not None:
            self.flush()
        try:
            if self.error is not None:
                raise self.error
            return self._finish(association, number, peer_address)
        except ReconcileError:
            self.discard()
            raise

    def discard(self) -> None:
        """Leave nothing behind. May be called more than once."""
        self._held = bytearray()
        if self._file is not None:
            self._file.remove()

    def _flush(self) -> None:
        held, self._held = self._held, bytearray()
        if self._file is None:
            self._require_room()
            came = self._begin(held)
            # What its meta information says: the data set cannot be read before it is
            # whole, and nobody reads the head of a file that is kept.
            head = file_meta(*self.named, came.transfer_syntax)
            self._file = _SpoolFile(self._spool_dir, head)
            del held[: came.data_set_offset]
        self._hash.update(held)
        self._file.write(held)

    def _begin(self, held: bytearray) -> Part10:
        came = split(held)
        self.named = announced(came.meta)
        self._came = came
        return came

    def _finish(self, association: str, number: int, peer_address: str) -> Uploaded:
        content = self._whole()
        came = self._came
        assert came is not None
        arrival = Arrival(
            content=content,
            digest=self._hash.hexdigest(),
            length=self._length - came.data_set_offset,
            sop_class_uid="",
            sop_instance_uid="",
            transfer_syntax=came.transfer_syntax,
            source=self._source,
            peer_address=peer_address,
            association=association,
            message_id=number,
            file_meta=_without_preamble(came.meta),
        )
        facts = self._facts(arrival)
        self.named = facts.sop_class_uid, facts.sop_instance_uid
        if isinstance(content, InMemory):
            head = file_meta(*self.named, came.transfer_syntax)
            content = InMemory(head, content.data)
        told = replace(
            arrival,
            content=content,
            sop_class_uid=facts.sop_class_uid,
            sop_instance_uid=facts.sop_instance_uid,
        )
        return Uploaded(told, facts)

    def _whole(self) -> Content:
        if self._file is not None:
            return self._file.close()
        held, self._held = self._held, bytearray()
        came = self._begin(held)
        del held[: came.data_set_offset]
        self._hash.update(held)
        return InMemory(b"", held)

    def _facts(self, arrival: Arrival) -> InstanceFacts:
        with opened(arrival, self._spool_dir) as received:
            return received.facts()


class _SpoolFile:
    """A file in the spool, with its head."""

    def __init__(self, folder: Path, head: bytes) -> None:
        self._head = len(head)
        self._descriptor, name = tempfile.mkstemp(suffix=".part", dir=folder)
        self._path = Path(name)
        try:
            self.write(head)
        except OSError:
            self.remove()
            raise

    def write(self, content: bytes | bytearray) -> None:
        """Append to it."""
        with memoryview(content) as view:
            written = 0
            while written < len(view):
                written += os.write(self._descriptor, view[written:])

    def close(self) -> InFile:
        """Nothing more comes."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        return InFile(self._path, self._head)

    def remove(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):
            self.close().discard()


def _without_preamble(meta: bytes) -> bytes:
    return meta[_PREAMBLE_BYTES:] if meta[128:132] == b"DICM" else meta


# -- What its sender is told -------------------------------------------------------------

#: What a response may say of an item of (0400,0561): PS3.18 Annex I, Table I.2-1.
_TOLD = ("04000550", "04000562", "04000563", "04000565")


@dataclass(frozen=True, slots=True)
class Became:
    """Under which UIDs a stored instance is given out, and what was there before.

    Attributes:
        study_uid: empty where it belongs to none, or is hidden.
        originals: items of Original Attributes Sequence that this archive made.
    """

    study_uid: str = ""
    series_uid: str = ""
    originals: tuple[Item, ...] = ()


def became(retrieve: RetrieveFlow, uploaded: Uploaded, stored: Stored) -> Became:
    """What became of an instance that is stored; empty where it cannot be said now."""
    facts = uploaded.facts
    if not (stored.coerced or stored.held or stored.already):
        return Became(facts.study_instance_uid, facts.series_instance_uid)
    try:
        with retrieve.database.read_only() as connection:
            found = views_instances.holding(connection, facts.sop_instance_uid)
        with retrieve.state(found) as given:
            made = values(given.element(at.ORIGINAL_ATTRIBUTES_SEQUENCE))
            own = made[len(made) - given.appended :]
            return Became(
                text(given.element(at.STUDY_INSTANCE_UID)),
                text(given.element(at.SERIES_INSTANCE_UID)),
                tuple({tag: item[tag] for tag in _TOLD if tag in item} for item in own),
            )
    except ReconcileError:  # stored it is, come what may
        return Became()
