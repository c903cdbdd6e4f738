"""What an error of the disk means, and the fence that a failed sync raises.

A failed sync is never followed by one that succeeds: Linux reports a lost write once and
calls the pages clean afterwards (PostgreSQL learnt it in 2018). A file whose sync fails
is not adopted, a segment whose sync fails is given up. After a folder whose sync fails
the storage takes nothing more, in any process, until a person has looked, removed the
file `FENCED` and started the archive again.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from reconcile.errors import ReconcileError, ServiceUnavailable, StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def storage_error(error: OSError) -> ReconcileError:
    """What an error of the file system means to who wants to store."""
    name = errno.errorcode.get(error.errno or 0, "unknown")
    if error.errno in _FULL:
        return StorageFull(f"no room on the file system of the storage ({name})")
    return ServiceUnavailable(f"the storage cannot be written or read ({name})")


class Fence:
    """Whether a storage may still be written to. Shared by all processes through a file."""

    def __init__(self, root: Path) -> None:
        self._path = root / "FENCED"
        self._raised = False

    @property
    def stands(self) -> bool:
        """Whether a sync has failed, here or in another process."""
        return self._raised or self._path.exists()

    def put_up(self) -> None:
        """A sync has failed: take nothing more."""
        self._raised = True
        with contextlib.suppress(OSError):
            self._path.touch(mode=0o600)

    def pass_by(self) -> None:
        """Go on, if one may.

        Raises:
            ServiceUnavailable: the fence stands.
        """
        if self.stands:
            raise ServiceUnavailable("the storage is fenced after a failed sync")
