"""Where a run of tests makes its files: in memory, where there is room for them.

Making a database is making a thousand files, and there are as many tests that want one. On
some file systems each of these takes a millisecond. TMPDIR, if it is set, is obeyed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

VARIABLE = "TMPDIR"
MEMORY = Path("/dev/shm")
#: What a run may need at most, and what it leaves to everybody else.
ROOM_BYTES = 8 << 30


def choose() -> None:
    """Let this process and all that it starts make temporary files in memory."""
    if VARIABLE not in os.environ and _has_room(MEMORY):
        os.environ[VARIABLE] = str(MEMORY)
        tempfile.tempdir = None  # what was chosen before


def _has_room(folder: Path) -> bool:
    if not os.access(folder, os.W_OK):
        return False
    free = shutil.disk_usage(folder).free
    return min(free, psutil.virtual_memory().available) > ROOM_BYTES
