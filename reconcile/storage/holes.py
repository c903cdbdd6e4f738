"""Let a stretch of a file hold nothing: its room is given back where the system can.

Elsewhere zeros are written over it: nothing of it can be read either way.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Any

_KEEP_SIZE_AND_PUNCH = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
_CHUNK = bytes(1 << 20)


def punch(descriptor: int, offset: int, length: int) -> None:
    """Let bytes read as zeros from now on; durable once the file is synced.

    Raises:
        OSError: they cannot be written over.
    """
    if length > 0 and not _given_back(descriptor, offset, length):
        _write_over(descriptor, offset, length)


def _given_back(descriptor: int, offset: int, length: int) -> bool:
    fallocate = _fallocate()
    if fallocate is None:
        return False
    return bool(fallocate(descriptor, _KEEP_SIZE_AND_PUNCH, offset, length) == 0)


def _write_over(descriptor: int, offset: int, length: int) -> None:
    end = offset + length
    while offset < end:
        offset += os.pwrite(descriptor, _CHUNK[: min(len(_CHUNK), end - offset)], offset)


@cache
def _fallocate() -> Any:
    """The system call of Linux; None: there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        found = ctypes.CDLL(None, use_errno=True).fallocate64
    except (OSError, AttributeError):
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    found.restype = ctypes.c_int
    return found
