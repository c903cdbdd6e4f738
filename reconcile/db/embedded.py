"""A private PostgreSQL for who has none: one cluster, one owner, started and stopped.

Nothing outside the given folder and one socket folder is created or changed. The
superuser only makes roles, database and extension; it is never handed out. The server
outlives an owner that was killed; whoever starts next takes it over.

    FOLDER/pg18          the cluster, named by its major version
    FOLDER/pg18.lock     held by the owner as long as it lives
    FOLDER/programs/     the server's programs, only where its user cannot enter the wheel
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg

from reconcile.db.programs import Programs, wheel_version
from reconcile.db.roles import DATABASE, ROLES, prepare
from reconcile.errors import ServiceUnavailable

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
    # What PostgreSQL logs of a failed statement quotes values: patient data.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
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
        self.cluster = self.folder / f"pg{wheel_version().split('.', 1)[0]}"
        self._programs = Programs(self.folder / "programs")
        self._lock: int | None = None

    def start(self) -> Urls:
        """Start the server, or take over one whose owner was killed; own it.

        Raises:
            ServiceUnavailable: a folder cannot be entered, somebody else owns the
                server, or it does not start.
        """
        self._make_folder()
        self._own()
        try:
            if not self.is_running():
                self._initialise()
                self._forget_dead_server()
                self._launch()
            self._bootstrap()
            return self.attach()
        except BaseException:
            self._disown()
            raise

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
            ServiceUnavailable: it does not stop, or somebody else owns it.
        """
        sockets = self._socket_in_use()
        if sockets is None or not self.is_running():
            self._disown()
            return
        self._own()
        try:
            self._run(
                "pg_ctl", "stop", "-D", str(self.cluster), "-m", "fast", "-w",
                "-t", str(STOP_SECONDS),
            )  # fmt: skip
            with contextlib.suppress(OSError):
                sockets.rmdir()
        finally:
            self._disown()

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
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True)
                # Ours, made a moment ago; one that was there is never changed.
                self.folder.chmod(self._programs.folder_mode)
        except OSError as error:
            raise ServiceUnavailable(
                f"the data folder {self.folder} cannot be made: {error.strerror}"
            ) from error
        closed = self._programs.first_closed(self.folder)
        if closed is not None:
            raise ServiceUnavailable(
                f"the database server runs as {self._programs.user_name} and cannot enter "
                f"{closed}: allow it with `chmod o+x {shlex.quote(str(closed))}` "
                "or choose another data folder"
            )

    @property
    def socket_folder(self) -> Path:
        """Where a server that starts now listens: a socket's path has 107 bytes at most."""
        name = "rcl-" + hashlib.sha256(bytes(self.cluster)).hexdigest()[:12]
        return Path(tempfile.gettempdir(), name)

    def _make_socket_folder(self) -> Path:
        """Make it for the server's user alone.

        Everybody may write to the temporary folder: a folder made there by another
        user under our name is refused.
        """
        path = self.socket_folder
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
        wanted = self._programs.user_id
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

    def _own(self) -> None:
        """Be the only one who starts and stops: a lock that ends with the process."""
        if self._lock is not None:
            return
        path = self.cluster.with_name(self.cluster.name + ".lock")
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServiceUnavailable(
                f"{path} cannot be opened: {error.strerror}"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise ServiceUnavailable(
                f"another process runs an archive on {self.folder}: stop it first"
            ) from error
        self._lock = handle

    def _disown(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there: whole, or not at all."""
        if (self.cluster / "PG_VERSION").exists():
            return
        fresh = self.cluster.with_name(self.cluster.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, self._programs.user_id, -1)
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
        done = self._programs.run(program, *arguments)
        if done.returncode:
            said = f"see {self._log}" if self._log.exists() else _last(done.stdout)
            raise ServiceUnavailable(f"{program} failed: {said}")


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
