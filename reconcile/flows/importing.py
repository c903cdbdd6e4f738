"""Take in DICOM files from a disk, by the same flow as C-STORE.

What is known by its digest already is passed over, so that an import that was stopped
can be run again. A file is copied into the spool first: nothing outside the archive's
own folders is moved or changed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconcile.core.facts import InstanceFacts, Source
from reconcile.dataset.facts import read
from reconcile.dataset.part10 import Part10, file_meta, split
from reconcile.db import views_instances
from reconcile.errors import CannotUnderstand, ReconcileError, ServiceUnavailable, TooLarge
from reconcile.flows.arrival import Arrival
from reconcile.flows.opened import data_set, readable, whole
from reconcile.flows.store import StoreFlow
from reconcile.storage.content import InFile
from reconcile.storage.local import digest_of, storage_error

#: The source of an import that names no other: it has no domain of its own.
IMPORT_SOURCE = Source("IMPORT")
#: As much as a C-STORE may bring.
DATA_SET_BYTES_MAX = 4 << 30
_CHUNK_BYTES = 1 << 20
_PREAMBLE_BYTES = 132


class Became(StrEnum):
    """What became of a file."""

    STORED = "stored"
    COERCED = "coerced"
    HELD = "held"
    ALREADY = "already stored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file; `why` is the code of a hold, or why it was refused."""

    path: Path
    became: Became
    why: str = ""


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The regular files in some folders, in order; links to folders are not followed."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, inner, names in os.walk(path):
            inner.sort()
            yield from (Path(folder, name) for name in sorted(names))


@dataclass(frozen=True, slots=True)
class ImportFlow:
    """The steps of importing files; `run` tells the receipts of one import apart."""

    store: StoreFlow
    source: Source
    run: str

    def take(self, path: Path, number: int) -> Imported:
        """Store one file, or say why not; only what would stop all of them is raised.

        Raises:
            ServiceUnavailable, StorageFull: try again later, the rest would fail too.
        """
        try:
            return self._take(path, number)
        except (CannotUnderstand, TooLarge) as error:
            return Imported(path, Became.REFUSED, error.title)
        except ReconcileError as error:
            if isinstance(error, ServiceUnavailable):
                raise
            return Imported(path, Became.REFUSED, error.title)
        except OSError as error:
            return Imported(path, Became.REFUSED, os.strerror(error.errno or 0))

    def _take(self, path: Path, number: int) -> Imported:
        if path.stat().st_size == 0:
            raise CannotUnderstand("the file is empty")
        with data_set(whole(path)) as view:
            file = split(view)
        length = path.stat().st_size - file.data_set_offset
        if length > DATA_SET_BYTES_MAX:
            raise TooLarge("the data set is longer than this archive takes")
        digest = digest_of(path, file.data_set_offset)
        if self._is_known(digest):
            return Imported(path, Became.ALREADY)
        self.store.storage.room.require()
        arrival = self._spool(path, file, digest, length, number)
        try:
            stored = self.store.receive(arrival)
        finally:
            with suppress(OSError):
                arrival.content.discard()
        if stored.held:
            return Imported(path, Became.HELD, stored.held)
        if stored.already:
            return Imported(path, Became.ALREADY)
        return Imported(path, Became.COERCED if stored.coerced else Became.STORED)

    def _is_known(self, digest: str) -> bool:
        with self.store.database.read_only() as connection:
            return views_instances.is_known(connection, digest)

    def _spool(
        self, path: Path, file: Part10, digest: str, length: int, number: int
    ) -> Arrival:
        syntax, meta, offset = file
        facts = self._facts(path, file)
        head = file_meta(facts.sop_class_uid, facts.sop_instance_uid, syntax)
        return Arrival(
            content=InFile(
                _copied(path, offset, head, self.store.storage.spool_dir), len(head)
            ),
            digest=digest,
            length=length,
            sop_class_uid=facts.sop_class_uid,
            sop_instance_uid=facts.sop_instance_uid,
            transfer_syntax=syntax,
            source=self.source,
            peer_address="",
            association=self.run,
            message_id=number,
            file_meta=meta[_PREAMBLE_BYTES:] if meta[128:132] == b"DICM" else meta,
        )

    def _facts(self, path: Path, file: Part10) -> InstanceFacts:
        """A file announces nothing that could be compared: its data set is believed."""
        syntax, scratch = file.transfer_syntax, self.store.storage.spool_dir
        with (
            data_set(whole(path, file.data_set_offset)) as view,
            readable(view, syntax, scratch) as buffer,
        ):
            received = read(buffer, syntax, self.source.charset)
            try:
                return received.facts()
            finally:
                received.close()


def _copied(source: Path, offset: int, head: bytes, folder: Path) -> Path:
    """A spooled file of `head` and what stands in `source` from `offset` on.

    Read and not mapped: mapped pages would count as this process's memory.
    """
    name = ""
    try:
        descriptor, name = tempfile.mkstemp(suffix=".part", dir=folder)
        with open(descriptor, "wb") as copy, source.open("rb") as file:
            copy.write(head)
            file.seek(offset)
            shutil.copyfileobj(file, copy, _CHUNK_BYTES)
    except OSError as error:
        with suppress(OSError):
            os.unlink(name)
        raise storage_error(error) from error
    return Path(name)
