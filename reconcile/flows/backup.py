"""Database and bytes together, as of one moment, while the archive runs; and back.

    FOLDER/backup.json      of which moment, by which release; written last
    FOLDER/database.dump    for pg_restore
    FOLDER/inventory.tsv    what the database says is kept: digest, length, segment, offset
    FOLDER/instances/       the bytes, and in tlog/ the sealed history as of the moment

Rule 1: the moment is the dump's. Bytes are durable before their row is, and stay: copied
        after it, they hold all that it names.
Rule 2: a folder is used again. Until the new moment is whole, the old one is.
Rule 3: what was deleted on purpose is not kept here either: once the new moment is whole,
        its bytes leave the folder. While bytes are copied, none are removed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from reconcile import __version__
from reconcile.db import dump, migrate
from reconcile.errors import NotFound, ReconcileError, WrongUse
from reconcile.storage.content import Location
from reconcile.storage.copying import copy_all, sync
from reconcile.storage.local import LocalStorage

FORM = 1
_SAID, _DUMP, _INVENTORY = "backup.json", "database.dump", "inventory.tsv"
_NEW = ".new"
_CHUNK_BYTES = 1 << 20

Progress = Callable[[str, int], None]


class BackupIncomplete(ReconcileError):
    """A backup lacks bytes that its database names, or they are not those."""

    title = "The backup is not whole"


@dataclass(frozen=True, slots=True)
class Backup:
    """What a folder holds: `taken_at` is the moment, `revision` of the schema."""

    form: int
    version: str
    revision: str
    taken_at: str
    instances: int


def back_up(
    owner_url: str,
    storage: LocalStorage,
    folder: Path,
    now: datetime,
    progress: Progress,
    *,
    verify: bool = False,
) -> Backup:
    """Make a backup, or bring one in this folder up to now.

    Args:
        owner_url: of the database.
        storage: whose bytes are copied.
        folder: made where it is missing.
        now: what the time is.
        progress: told what is done, and of how many bytes or instances.
        verify: read all of it again, and compare with the digests.

    Raises:
        BackupIncomplete: bytes are missing, in the archive too.
        ServiceUnavailable, StorageFull: try again; what was there before still is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with dump.nothing_is_removed(owner_url):
        return _back_up(owner_url, storage, folder, now, progress, verify=verify)


def _back_up(
    owner_url: str,
    storage: LocalStorage,
    folder: Path,
    now: datetime,
    progress: Progress,
    *,
    verify: bool,
) -> Backup:
    with dump.moment(owner_url) as moment:
        progress("database", 0)
        _private(folder / (_DUMP + _NEW))
        dump.dump(owner_url, moment.snapshot, folder / (_DUMP + _NEW))
        count = _write_inventory(moment, folder / (_INVENTORY + _NEW))
        revision, sealed = moment.revision, moment.sealed()
    _copy_log(storage, sealed, folder / "instances", progress)
    for copied in copy_all(storage, folder / "instances"):
        progress("copied", copied)
    _check(folder, folder / (_INVENTORY + _NEW), progress, verify=verify)
    made = Backup(FORM, __version__, revision, now.isoformat(timespec="seconds"), count)
    _say(folder, made)
    _forget(owner_url, storage, LocalStorage(folder / "instances"))
    return made


def _forget(owner_url: str, storage: LocalStorage, copy: LocalStorage) -> None:
    """Let leave a copy what was deleted on purpose; segments were copied anew."""
    with dump.moment(owner_url) as moment:
        for digest in moment.removed_files():
            if not storage.files.path(digest).exists():
                copy.files.remove(digest)


def restore(
    folder: Path, owner_url: str, storage: LocalStorage, progress: Progress
) -> Backup:
    """Fill an empty archive from a backup, and bring its schema up to this release.

    The database comes last, and whole: what was stopped before can be run again.

    Raises:
        WrongUse: the archive is not empty, or the backup is none that can be read.
        BackupIncomplete: it lacks bytes.
    """
    made = read(folder)
    if not dump.is_empty(owner_url):
        raise WrongUse("the database is not empty: restore into a new one")
    _check(folder, folder / _INVENTORY, progress, verify=True)
    kept = LocalStorage(folder / "instances")
    for copied in copy_all(kept, storage.root):
        progress("copied", copied)
    if log := kept.tiles.published():
        _copy_log(kept, (log.checkpoint.size, str(log)), storage.root, progress)
    progress("database", 0)
    dump.restore(owner_url, folder / _DUMP)
    migrate.upgrade(owner_url)
    return made


def read(folder: Path) -> Backup:
    """What a backup says of itself.

    Raises:
        NotFound: there is none.
        WrongUse: it is of a form that this release cannot read.
    """
    try:
        said = json.loads((folder / _SAID).read_text())
    except FileNotFoundError as error:
        raise NotFound(f"there is no backup in {folder}") from error
    except (OSError, ValueError) as error:
        raise WrongUse(f"{folder / _SAID} cannot be read") from error
    if not isinstance(said, dict) or said.get("form") != FORM:
        raise WrongUse("the backup was made by another release, in another form")
    return Backup(**said)


def verify(folder: Path, progress: Progress) -> Backup:
    """Compare all bytes of a backup with what its database says of them.

    Raises:
        NotFound, WrongUse: there is none.
        BackupIncomplete: bytes are missing or not those.
    """
    made = read(folder)
    _check(folder, folder / _INVENTORY, progress, verify=True)
    return made


def _copy_log(
    storage: LocalStorage, sealed: tuple[int, str], into: Path, progress: Progress
) -> None:
    """The tree as the database knows it: what is sealed later is not in the backup.

    Where a crash has cut tiles off, they are made again from the rows, here and there.
    """
    try:
        for copied in storage.tiles.copy(*sealed, into):
            progress("copied", copied)
    except NotFound:
        progress("the tiles of the history are not whole", 0)


def _write_inventory(moment: dump.Moment, file: Path) -> int:
    count = 0
    _private(file)
    with file.open("w") as written:
        for digest, length, segment, offset in moment.locations():
            written.write(f"{digest}\t{length}\t{segment}\t{offset}\n")
            count += 1
        written.flush()
        os.fsync(written.fileno())
    return count


def _check(folder: Path, inventory: Path, progress: Progress, *, verify: bool) -> None:
    storage = LocalStorage(folder / "instances")
    wrong = 0
    for location, length in _listed(inventory):
        wrong += not _holds(storage, location, length, verify=verify)
        progress("checked", 1)
    if wrong:
        raise BackupIncomplete(
            f"{wrong} instances that the database names are missing or not as they came:"
            " see `reconcile doctor`"
        )


def _listed(inventory: Path) -> Iterator[tuple[Location, int]]:
    with inventory.open() as lines:
        for line in lines:
            digest, length, segment, offset = line.rstrip("\n").split("\t")
            where = Location(digest, segment, int(offset)) if segment else Location(digest)
            yield where, int(length)


def _holds(storage: LocalStorage, location: Location, length: int, *, verify: bool) -> bool:
    try:
        extent = storage.extent(location, length)
    except NotFound:
        return False
    if not verify:
        return True
    found = hashlib.sha256()
    with extent.path.open("rb") as file:
        file.seek(extent.offset)
        left = length
        while left and (piece := file.read(min(left, _CHUNK_BYTES))):
            found.update(piece)
            left -= len(piece)
    return not left and found.hexdigest() == location.digest


def _say(folder: Path, made: Backup) -> None:
    """The new moment, in the place of the old one."""
    for name in (_DUMP, _INVENTORY):
        (folder / (name + _NEW)).rename(folder / name)
    fresh = folder / (_SAID + _NEW)
    _private(fresh)
    fresh.write_text(json.dumps(asdict(made)) + "\n")
    fresh.rename(folder / _SAID)
    sync(folder)


def _private(file: Path) -> None:
    """Make a file that only its owner may read."""
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
