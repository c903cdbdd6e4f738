"""A private PostgreSQL for a peer: Debian's own, stock settings, fsync on.

It refuses to run as root; root runs it as the user that its package made.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil
import psycopg

from bench.servers import free_port, tree

INSTALLED = Path("/usr/lib/postgresql")
RUN_AS = "postgres"
SUPERUSER = "postgres"
OLDEST = 15

Connection = psycopg.Connection[tuple[Any, ...]]


def programs() -> Path | None:
    """Where the programs of the oldest version are that will do; None: nowhere."""
    found = [each for each in INSTALLED.glob("*/bin/initdb") if each.parts[-3].isdigit()]
    fit = {int(each.parts[-3]): each.parent for each in found}
    return (
        fit[min(v for v in fit if v >= OLDEST)] if any(v >= OLDEST for v in fit) else None
    )


class Cluster:
    """One server over a folder of its own, on loopback, behind a password."""

    def __init__(self, folder: Path) -> None:
        bin_ = programs()
        assert bin_ is not None, "look for it first"
        self._bin = bin_
        self._data = folder / "pg"
        self._log = self._data / "server.log"
        self._account = pwd.getpwnam(RUN_AS) if os.geteuid() == 0 else None
        self.password = secrets.token_hex(16)
        self.port = 0
        self.version = self._run("postgres", "--version").strip()

    def start(self) -> None:
        """Make it if it is not there, and start it."""
        if not (self._data / "PG_VERSION").exists():
            self._make()
        self.port = free_port()
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1"
        options += " -c unix_socket_directories=''"
        where = ["-D", str(self._data), "-l", str(self._log)]
        self._run("pg_ctl", "start", *where, "-w", "-o", options)

    def stop(self) -> None:
        """Nothing, where it does not run."""
        if self.processes():
            self._run("pg_ctl", "stop", "-D", str(self._data), "-m", "fast", "-w")

    def connect(self, database: str = "postgres") -> Connection:
        """As the superuser, each statement by itself."""
        return psycopg.connect(self.dsn(database), autocommit=True)

    def dsn(self, database: str) -> str:
        at = f"127.0.0.1:{self.port}"
        return f"postgresql://{SUPERUSER}:{self.password}@{at}/{database}"

    def processes(self) -> list[psutil.Process]:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []
        return tree(int(lines[0]))

    def _make(self) -> None:
        self._data.mkdir(mode=0o700)
        secret = self._data.with_name("pg.password")
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self._account:
            for each in (self._data, secret):
                shutil.chown(each, self._account.pw_uid, self._account.pw_gid)
        said = ["-D", str(self._data), "-U", SUPERUSER, "-A", "scram-sha-256"]
        said += ["-E", "UTF8", "--locale=C.UTF-8", f"--pwfile={secret}"]
        self._run("initdb", *said)

    def _run(self, program: str, *arguments: str) -> str:
        """Not into a pipe: a server that stays would hold it open."""
        account = self._account
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "postgres" else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            check=False,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed, see {self._log}")
        return done.stdout or ""
