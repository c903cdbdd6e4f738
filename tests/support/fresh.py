"""A data folder as it is after the first start, made once in a run and copied.

An archive of a test's own begins with an empty, migrated database of its own server; to
initialise it takes seconds, and that it can be is tested by whoever asks for it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

#: Names the folder of the run; without it every archive makes its own.
FOLDER = "RECONCILE_TESTS_FOLDER"


def copy(data: Path) -> None:
    """Make a data folder that is not there yet, if this run has one to copy."""
    named = os.environ.get(FOLDER)
    if named is None or data.exists():
        return
    subprocess.run(
        ["cp", "-a", "--reflink=auto", str(_made(Path(named))), str(data)], check=True
    )


def _made(folder: Path) -> Path:
    """The one to copy: made by who comes first."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)  # entered by the server's user, where root runs the tests
    made = folder / "fresh"
    with (folder / "fresh.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = folder / "fresh.new"
            command = [sys.executable, "-m", "reconcile", "db", "upgrade"]
            command += ["--data", str(making)]
            bare = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILE_")}
            subprocess.run(command, check=True, env=bare, stdout=subprocess.DEVNULL)
            making.rename(made)
    return made
