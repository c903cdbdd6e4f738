"""Take in DICOM files from a disk, by the same flow as C-STORE.

What is known by its digest already is passed over, so that an import that was stopped
can be run again. A file is copied into the spool first: nothing outside the archive's
own folders is moved or changed.

What stands in folders beside images (texts, programs, the directory of a medium) is
passed over, and named; what looks like DICOM and cannot be read is refused.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconcile.core.facts import InstanceFacts, Listed, Source
from reconcile.dataset.facts import read
from reconcile.dataset.part10 import Part10, announced, file_meta, has_prefix, split
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
#: Media Storage Directory Storage (PS3.3 Annex F): it names files, and is no instance.
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
DIRECTORY_NAME = "DICOMDIR"


class Became(StrEnum):
    """What became of a file."""

    STORED = "stored"
    COERCED = "coerced"
    HELD = "held"
    ALREADY = "already stored"
    PASSED_OVER = "passed over"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class File:
    """A file that is to be imported; `medium`: the folder of the medium that it is on."""

    path: Path
    medium: Path | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one file.

    Attributes:
        why: the code of a hold, or why it was refused or passed over.
        digest: of its data set; empty where it has none that is kept.
        facts: of its header; None where nobody needs them.
    """

    path: Path
    became: Became
    why: str = ""
    digest: str = ""
    facts: InstanceFacts | None = None


def files_in(paths: Iterable[Path], *, media: bool = False) -> Iterator[File]:
    """The files in some folders, in order; links to folders are not followed.

    A folder that cannot be looked into is told in the place of its files. What lies
    with a DICOMDIR, or below one, is on one medium; `media`: each of `paths` is one.
    """
    for path in paths:
        medium = path if media else None
        if path.is_dir():
            yield from _walk(path, medium)
        else:
            yield File(path, medium)


def _walk(root: Path, medium: Path | None) -> Iterator[File]:
    waiting = [File(root, medium)]
    while waiting:
        folder, medium = waiting[-1].path, waiting.pop().medium
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            yield File(folder, medium)
            continue
        folders = [e for e in entries if e.is_dir(follow_symlinks=False)]
        files = [e for e in entries if not e.is_dir(follow_symlinks=False)]
        if any(entry.name.upper() == DIRECTORY_NAME for entry in files):
            medium = medium or folder
        yield from (File(Path(entry.path), medium) for entry in files)
        waiting += [File(Path(entry.path), medium) for entry in reversed(folders)]


class NotTaken(ReconcileError):
    """What a migration's list says of a study cannot be followed: it is not imported."""

    title = "The list cannot be followed"


#: What the list of a migration says of the study of an instance.
Lists = Callable[[InstanceFacts], Listed | None]


def no_list(facts: InstanceFacts) -> Listed | None:
    """There is none: headers speak for themselves."""
    return None


@dataclass(frozen=True, slots=True)
class ImportFlow:
    """The steps of importing files; `run` tells the receipts of one import apart.

    `lists` may raise NotTaken.
    """

    store: StoreFlow
    source: Source
    run: str
    lists: Lists = no_list

    def take(self, path: Path, number: int, *, looked_at: bool = False) -> Imported:
        """Store one file, or say why not; only what would stop all of them is raised.

        `looked_at`: its facts are wanted too, also where it is stored already.

        Raises:
            ServiceUnavailable, StorageFull: try again later, the rest would fail too.
        """
        try:
            return self._take(path, number, looked_at=looked_at)
        except ReconcileError as error:
            if isinstance(error, ServiceUnavailable):
                raise
            return Imported(path, Became.REFUSED, str(error) or error.title)
        except OSError as error:
            return Imported(path, Became.REFUSED, os.strerror(error.errno or 0))

    def _take(self, path: Path, number: int, *, looked_at: bool) -> Imported:
        if path.is_symlink() and path.is_dir():
            return Imported(path, Became.PASSED_OVER, "a link to a folder")
        size = _size_of(path)
        with data_set(whole(path)) as view:
            if not has_prefix(view) and not _is_bare_data_set(view):
                return Imported(path, Became.PASSED_OVER, "no DICOM file")
            file = split(view)
        if _is_directory(path, file):
            return Imported(path, Became.PASSED_OVER, "the directory of a medium")
        length = size - file.data_set_offset
        if length > DATA_SET_BYTES_MAX:
            raise TooLarge("the data set is longer than this archive takes")
        digest = digest_of(path, file.data_set_offset)
        if self._is_known(digest):
            facts = self._facts(path, file) if looked_at else None
            return Imported(path, Became.ALREADY, "", digest, facts)
        self.store.storage.room.require()
        facts = self._facts(path, file)
        became, why = self._stored(self._spool(path, file, facts, digest, length, number))
        return Imported(path, became, why, digest, facts)

    def _stored(self, arrival: Arrival) -> tuple[Became, str]:
        try:
            stored = self.store.receive(arrival)
        finally:
            with suppress(OSError):
                arrival.content.discard()
        if stored.held:
            return Became.HELD, stored.held
        if stored.already:
            return Became.ALREADY, ""
        return (Became.COERCED if stored.coerced else Became.STORED), ""

    def _is_known(self, digest: str) -> bool:
        with self.store.database.read_only() as connection:
            return views_instances.is_known(connection, digest)

    def _spool(
        self,
        path: Path,
        file: Part10,
        facts: InstanceFacts,
        digest: str,
        length: int,
        number: int,
    ) -> Arrival:
        syntax, meta, offset = file
        listed = self._listed(facts)
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
            listed=listed,
        )

    def _listed(self, facts: InstanceFacts) -> Listed | None:
        """What a list says of it, unless nobody's list may: it is kept apart from all."""
        apart = facts.identity_removed and self.source.deidentified == "separate"
        return self.lists(facts) if facts.patient_scoped and not apart else None

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


def _size_of(path: Path) -> int:
    """Of a file that can be read to its end.

    Raises:
        CannotUnderstand: it is none, or empty.
        OSError: it is a folder that cannot be looked into, or a link to nothing.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        os.scandir(path).close()
    if not stat.S_ISREG(found.st_mode):
        raise CannotUnderstand("it is no file")
    if found.st_size == 0:
        raise CannotUnderstand("the file is empty")
    with path.open("rb") as file:
        file.read(_CHUNK_BYTES)  # a medium that is damaged here kills who has it mapped
    return found.st_size


def _is_bare_data_set(view: memoryview) -> bool:
    """Whether what has no prefix may be a data set all the same."""
    try:
        split(view)
    except CannotUnderstand:
        return False
    return True


def _is_directory(path: Path, file: Part10) -> bool:
    said = announced(file.meta)[0]
    return said == DIRECTORY_CLASS or (not said and path.name.upper() == DIRECTORY_NAME)


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
