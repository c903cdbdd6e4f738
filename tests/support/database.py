"""One PostgreSQL for a whole run of tests, and a database of its own for each test.

The first worker that needs it starts the server and migrates a template; all others
find what it wrote down. RECONCILE_TEST_DATABASE_URL names a server of somebody else, by
its superuser.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from reconcile.db import migrate
from reconcile.db.embedded import EmbeddedPostgres, Urls
from reconcile.db.roles import OWNER, ROLES, make_extension, make_roles

SERVER_VARIABLE = "RECONCILE_TEST_DATABASE_URL"

# The server that this process owns.
STARTED: list[EmbeddedPostgres] = []


@dataclass(frozen=True)
class Cluster:
    """A server, its superuser, and a migrated database to copy."""

    superuser: str
    passwords: dict[str, str]
    template: str

    def urls(self, database: str) -> Urls:
        owner, writer, reader = (self._url(role, database) for role in ROLES)
        return Urls(owner, writer, reader)

    def create(self, database: str, template: str) -> None:
        """A database of the owner's; `template0` for an empty one."""
        statement = "create database {} owner {} template {}"
        with self.connect() as connection:
            connection.execute(_named(statement, database, OWNER, template))

    def drop(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(_named("drop database if exists {} with (force)", database))

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """The superuser, for what tests prepare and clear away."""
        url = make_url(self.superuser).set(drivername="postgresql", database=database)
        return psycopg.connect(_text(url), autocommit=True)

    @contextlib.contextmanager
    def database(self, template: str = "") -> Iterator[Urls]:
        """A database as long as the context: a copy of `template`, else migrated."""
        name = f"test_{uuid.uuid4().hex}"
        self.create(name, template or self.template)
        try:
            yield self.urls(name)
        finally:
            self.drop(name)

    def _url(self, role: str, database: str) -> str:
        url = make_url(self.superuser).set(
            drivername="postgresql+psycopg", username=role, database=database
        )
        if role in self.passwords:
            url = url.set(password=self.passwords[role])
        return _text(url)


def name_folder() -> Path:
    """A folder for one run, which nobody has made yet."""
    return Path(tempfile.gettempdir(), f"reconcile-tests-{uuid.uuid4().hex[:12]}")


def obtain(folder: Path) -> Cluster:
    """The run's cluster: started by who comes first, found by all others."""
    # Entered by the server's user, where root runs the tests.
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o711)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = folder / "cluster.json"
        if not known.exists():
            cluster = _prepare(folder)
            known.touch(mode=0o600)
            known.write_text(json.dumps(asdict(cluster)))
        return Cluster(**json.loads(known.read_text()))


def release(folder: Path) -> None:
    """Stop what `obtain` has started, when all workers have ended."""
    known = folder / "cluster.json"
    if known.exists() and os.environ.get(SERVER_VARIABLE):
        cluster = Cluster(**json.loads(known.read_text()))
        cluster.drop(cluster.template)
    if (folder / "data").exists():
        (STARTED or [EmbeddedPostgres(folder / "data")])[0].stop()
    shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path) -> Cluster:
    given = os.environ.get(SERVER_VARIABLE, "")
    superuser = given or _superuser(_start(folder / "data"))
    passwords = {role: secrets.token_urlsafe() for role in ROLES} if given else {}
    cluster = Cluster(superuser, passwords, f"template_{uuid.uuid4().hex}")
    with cluster.connect() as connection:
        # It outlives no crash of the machine; one of the server loses nothing by it.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        make_roles(connection, passwords)
    cluster.create(cluster.template, "template0")
    with cluster.connect(cluster.template) as connection:
        make_extension(connection)
    migrate.upgrade(cluster.urls(cluster.template).owner)
    return cluster


def _start(folder: Path) -> Urls:
    STARTED.append(EmbeddedPostgres(folder))
    return STARTED[0].start()


def _superuser(urls: Urls) -> str:
    return _text(make_url(urls.owner).set(username="postgres", database="postgres"))


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _named(template: str, *names: str) -> sql.Composed:
    return sql.SQL(template).format(*map(sql.Identifier, names))
