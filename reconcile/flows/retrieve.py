"""Give one instance out: RAD-16 Retrieve Images, or the bytes as they came.

An instance is its rows and its received bytes; what is given out is made on the way, in
pieces, so that an instance of any size takes constant memory. The file is mapped, and
pages that have been passed on are given back.
"""

from __future__ import annotations

import logging
import mmap
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from reconcile.core.attributes import Change
from reconcile.dataset.convert import chosen, converted
from reconcile.dataset.elements import encoding_of
from reconcile.dataset.facts import Received, read
from reconcile.dataset.inflate import deflate
from reconcile.dataset.originals import Coercion, Reason
from reconcile.dataset.overlay import Plan, given, pieces_of, steps, viewed
from reconcile.dataset.part10 import file_meta
from reconcile.db import removals, used, views_as_of, views_instances
from reconcile.db.database import Database, DatabaseFault
from reconcile.db.views_instances import Holding, Kept, Live
from reconcile.errors import CannotConvert, NotFound, ReconcileError
from reconcile.flows.decoding import Decoding
from reconcile.flows.opened import data_set, readable
from reconcile.storage.content import Extent, Location
from reconcile.storage.local import LocalStorage

LOG = logging.getLogger(__name__)

Chunks = Generator[bytes, None, None]

_CHUNK_BYTES = 1 << 20
#: Mapped pages count as this process's memory until they are given back.
_GIVEN_BACK_BYTES = 32 << 20
_PREAMBLE = bytes(128) + b"DICM"


class BytesMissing(ReconcileError):
    """The registry has an instance whose file is gone or cut off."""

    title = "The bytes of an instance are missing"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An instance on its way out.

    Attributes:
        header: preamble and File Meta Information; `chunks` is the data set alone.
        chunks: at most 1 MiB each; close it if it is not read to its end.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    header: bytes
    chunks: Chunks

    def file(self) -> Chunks:
        """The whole as a DICOM file (PS3.10 section 7.1)."""
        try:
            yield self.header
            yield from self.chunks
        finally:
            self.chunks.close()


@dataclass(frozen=True, slots=True)
class RetrieveFlow:
    """The steps of giving an instance out.

    Attributes:
        decoding: undoes lossless compression; None: it is given out as it is stored.
    """

    database: Database
    storage: LocalStorage
    decoding: Decoding | None = None

    def instance(
        self,
        sop_instance_uid: str,
        study: str = "",
        series: str = "",
        syntaxes: Sequence[str] = (),
    ) -> Outgoing:
        """An instance as of today; study and series by received or assigned UID.

        Args:
            sop_instance_uid: of whatever UID domain.
            study: that it must belong to; empty: any.
            series: likewise.
            syntaxes: transfer syntaxes that whoever asks can take, in order of
                preference; none: as it is stored.

        Raises:
            NotFound: there is none, not in this study and series, or it is hidden.
            BytesMissing: there is a row and no file.
            CannotConvert: it cannot be given out in any of `syntaxes`.
        """
        with self.database.read_only() as connection:
            found = views_instances.holding(connection, sop_instance_uid, study, series)
            unused = used.unused_study(connection, found.kept.receipt_id)
        if unused is not None:
            self.use(unused)
        return self.as_given(found, syntaxes)

    def as_of(
        self, sop_instance_uid: str, when: datetime, *, hidden: bool = True
    ) -> Outgoing:
        """An instance as it was given out at a time, as it is stored.

        `hidden`: whether to give one that is hidden now.

        Raises:
            NotFound: there was none.
            BytesMissing: there is a row and no file.
        """
        with self.database.read_only() as connection:
            found = views_as_of.holding_at(
                connection, sop_instance_uid, when, hidden=hidden
            )
        return self.as_given(found)

    def use(self, study_id: UUID) -> None:
        """Note that a study is used: it keeps its UID. Given out it is, come what may."""
        try:
            self.database.run(lambda connection: used.use(connection, study_id))
        except (ReconcileError, DatabaseFault) as error:
            LOG.warning("use not noted study=%s error=%s", study_id, type(error).__name__)

    def received(
        self, sop_instance_uid: str, receipt: str = "", *, hidden: bool = True
    ) -> Outgoing:
        """An instance as it came: its data set is byte for byte what was received.

        Meta information is what came with the file, or made where none came.

        Args:
            sop_instance_uid: of whatever UID domain.
            receipt: id of an arrival; empty: the one that is given out now.
            hidden: whether to give one that is held and hidden.

        Raises:
            NotFound: there is none.
            Deleted: it was deleted on purpose.
            BytesMissing: there is a row and no file.
        """
        with self.database.read_only() as connection:
            kept = views_instances.received(
                connection, sop_instance_uid, receipt, hidden=hidden
            )
            gone = removals.removal(connection, kept.receipt_id)
        if gone is not None:
            raise gone
        return self._outgoing(kept, self._as_it_came(kept), kept.file_meta)

    def target(self, stored: str, syntaxes: Sequence[str]) -> str:
        """In which of some transfer syntaxes an instance is given out.

        Raises:
            CannotConvert: in none of them.
        """
        return chosen(stored, syntaxes, self.decoding.syntaxes if self.decoding else ())

    def can_give(self, stored: str, syntaxes: Sequence[str]) -> bool:
        """Whether what is stored in one transfer syntax can be given out in others."""
        try:
            self.target(stored, syntaxes)
        except CannotConvert:
            return False
        return True

    def as_given(
        self,
        found: Holding,
        syntaxes: Sequence[str] = (),
        view: Sequence[Change] = (),
    ) -> Outgoing:
        """What is given out of a holding: as stored where that will do, else converted.

        Args:
            found: what it is given out from.
            syntaxes: as for `instance`.
            view: how whoever is given it knows the patient; no event tells of it.

        Raises:
            BytesMissing: there is a row and no file.
            CannotConvert: it cannot be given out in any of `syntaxes`.
        """
        target = self.target(found.kept.transfer_syntax_uid, syntaxes)
        kept = replace(found.kept, transfer_syntax_uid=target)
        return self._outgoing(kept, self._given(found, target, view))

    def as_received(self, found: Holding) -> Outgoing:
        """The data set of a holding as it came."""
        return self._outgoing(found.kept, self._as_it_came(found.kept))

    def _outgoing(self, kept: Kept, chunks: Chunks, came_with: bytes = b"") -> Outgoing:
        meta = _PREAMBLE + came_with if came_with else fresh_meta(kept)
        uids = (kept.sop_class_uid, kept.sop_instance_uid, kept.transfer_syntax_uid)
        return Outgoing(*uids, meta, _begun(chunks))

    def _as_it_came(self, kept: Kept) -> Chunks:
        with data_set(self._extent(kept)) as view:
            yield from _passed_on(view, (view,))

    def _given(self, found: Holding, target: str, named: Sequence[Change]) -> Chunks:
        kept = found.kept
        syntax = kept.transfer_syntax_uid
        if not (found.live or named) and target == syntax:
            yield from self._as_it_came(kept)
            return
        coercions = [_coercion(live) for live in found.live]
        with (
            data_set(self._extent(kept)) as view,
            readable(view, syntax, self.storage.spool_dir) as buffer,
        ):
            received = read(buffer, syntax, kept.text_charset)
            try:
                state = viewed(given(received, coercions), named)
                with self._written(state, syntax, target) as (within, pieces):
                    chunks = _passed_on(within or buffer, pieces)
                    yield from deflate(chunks) if encoding_of(target).deflated else chunks
            finally:
                received.close()

    @contextmanager
    def _written(
        self, state: Received, stored: str, target: str
    ) -> Iterator[tuple[memoryview | None, Iterator[bytes | memoryview]]]:
        """(buffer that it is read from, if another; an instance in a transfer syntax)."""
        if target == stored:
            yield None, pieces_of(state)
        elif self.decoding is None or stored not in self.decoding.syntaxes:
            yield None, converted(state, target)
        else:
            with self.decoding.undone(state, stored, self.storage.spool_dir) as plain:
                yield plain.header.buffer, converted(plain, target)

    @contextmanager
    def state(self, found: Holding) -> Iterator[Received]:
        """The header of an instance as it is given out now, to be asked.

        Raises:
            BytesMissing: there is a row and no file.
        """
        syntax = found.kept.transfer_syntax_uid
        with (
            data_set(self._extent(found.kept)) as view,
            readable(view, syntax, self.storage.spool_dir) as buffer,
        ):
            received = read(buffer, syntax, found.kept.text_charset)
            try:
                yield given(received, [_coercion(live) for live in found.live])
            finally:
                received.close()

    @contextmanager
    def steps(self, found: Holding) -> Iterator[Iterator[tuple[Coercion, Plan, Received]]]:
        """What each assignment of an instance changes in it, in their order.

        Raises:
            BytesMissing: there is a row and no file.
        """
        with self.state(Holding(found.kept, ())) as received:
            yield steps(received, [_coercion(live) for live in found.live])

    def _extent(self, kept: Kept) -> Extent:
        """Where the bytes of a data set are."""
        try:
            return self.storage.extent(location_of(kept), kept.length)
        except NotFound as error:
            raise BytesMissing(str(error)) from error


def location_of(kept: Kept) -> Location:
    """Where an arrival is kept."""
    return Location(kept.digest, kept.segment, kept.segment_offset)


def fresh_meta(kept: Kept) -> bytes:
    """Preamble and meta information for an instance that came without."""
    return file_meta(
        kept.sop_class_uid, kept.sop_instance_uid, kept.transfer_syntax_uid, kept.source
    )


def _coercion(live: Live) -> Coercion:
    reason: Reason = "CORRECT" if live.reason == "CORRECT" else "COERCE"
    return Coercion(
        live.assigns, live.coerced_at, live.modifying_system, live.source, reason
    )


def _begun(chunks: Chunks) -> Chunks:
    """The same chunks, the first one made now: what fails, fails before an answer."""
    first = next(chunks, b"")
    rest = _rest(first, chunks)
    next(rest)  # to the first yield, so that closing it closes what it holds
    return rest


def _rest(first: bytes, chunks: Chunks) -> Chunks:
    try:
        yield b""
        yield first
        yield from chunks
    finally:
        chunks.close()


def _passed_on(source: memoryview, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Copies of at most 1 MiB; pages of the mapped source are given back on the way."""
    mapped = source.obj
    passed = 0
    for piece in pieces:
        for start in range(0, len(piece), _CHUNK_BYTES):
            chunk = bytes(piece[start : start + _CHUNK_BYTES])
            yield chunk
            passed += len(chunk)
            if passed >= _GIVEN_BACK_BYTES and isinstance(mapped, mmap.mmap):
                mapped.madvise(mmap.MADV_DONTNEED)
                passed = 0
