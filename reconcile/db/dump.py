"""The database as one file, and back: by PostgreSQL's own programs, from the wheel.

They are of the newest major version that is supported, and serve older servers too. How
to reach the server is told them in their environment: a command line can be read by
everybody on the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, create_engine, make_url, pool, text
from sqlalchemy.exc import OperationalError

from reconcile.db import removals, views_checks, views_seal
from reconcile.db.programs import PROGRAMS, wheel_folder
from reconcile.errors import ServiceUnavailable

# Made by who may, before: the owner of the database is no superuser.
_EXTENSION = "btree_gist"
_BARE = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
# Before the first object of a script stand its settings.
_HEAD_LINES = 40
_ENVIRONMENT = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """The database as it was at one moment, while it goes on.

    Attributes:
        snapshot: by which a dump sees the same.
        revision: of the schema.
    """

    connection: Connection
    snapshot: str
    revision: str

    def removed_files(self) -> Iterator[str]:
        """Digests of what was kept as a file of its own, and was removed on purpose."""
        return removals.removed_files(self.connection)

    def locations(self) -> Iterator[tuple[str, int, str, int]]:
        """(digest, length, segment, offset in it) of everything that was kept then."""
        return views_checks.locations(self.connection)

    def sealed(self) -> tuple[int, str]:
        """Size and checkpoint of the sealed history; (0, ""): nothing was sealed."""
        return views_seal.note(self.connection)


@contextmanager
def moment(owner_url: str) -> Iterator[Moment]:
    """Hold on to what the database is now, for as long as the context.

    Raises:
        ServiceUnavailable: the server is away.
    """
    engine = create_engine(owner_url, poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                snapshot = connection.execute(text("SELECT pg_export_snapshot()"))
                revision = connection.execute(
                    text("SELECT version_num FROM alembic_version")
                )
                yield Moment(connection, snapshot.scalar_one(), revision.scalar_one())
    except OperationalError as error:
        raise ServiceUnavailable("the database cannot be reached") from error


@contextmanager
def nothing_is_removed(owner_url: str) -> Iterator[None]:
    """For as long as the context, no bytes are removed that were there before.

    Raises:
        ServiceUnavailable: the server is away.
    """
    engine = create_engine(owner_url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            number = {"number": removals.COPYING}
            connection.execute(text("SELECT pg_advisory_lock_shared(:number)"), number)
            yield
    except OperationalError as error:
        raise ServiceUnavailable("the database cannot be reached") from error


def dump(owner_url: str, snapshot: str, file: Path) -> None:
    """Write the database as of a snapshot into a file, for `restore`.

    Raises:
        ServiceUnavailable: it cannot be dumped.
    """
    _run(
        owner_url,
        "pg_dump",
        "--format=custom",
        f"--snapshot={snapshot}",
        f"--exclude-extension={_EXTENSION}",
        "--no-password",
        f"--file={file}",
    )


def restore(owner_url: str, file: Path) -> None:
    """Fill an empty database from a file that `dump` wrote: whole, or not at all.

    Raises:
        ServiceUnavailable: it cannot be restored.
    """
    read = [_program("pg_restore"), "--no-owner", "--file=-", str(file)]
    run = [_program("psql"), "--no-psqlrc", "--quiet", "--single-transaction"]
    run += ["--set=ON_ERROR_STOP=1", "--no-password"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            read, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=_BARE
        ) as reading,
        subprocess.Popen(
            run,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=_BARE | _environment(owner_url),
        ) as writing,
    ):
        assert reading.stdout is not None
        assert writing.stdin is not None
        with suppress(BrokenPipeError), writing.stdin:
            _pass_on(reading.stdout, writing.stdin)
        reading.stdout.close()
    if reading.returncode or writing.returncode:
        raise _failed("pg_restore", reading.returncode or writing.returncode)


def _pass_on(script: IO[bytes], into: IO[bytes]) -> None:
    """A script, but for the one setting of its head that servers before 17 do not know."""
    for line in islice(script, _HEAD_LINES):
        if line != b"SET transaction_timeout = 0;\n":
            into.write(line)
    shutil.copyfileobj(script, into, 1 << 20)


def is_empty(owner_url: str) -> bool:
    """Whether a database has no schema of ours.

    Raises:
        ServiceUnavailable: the server is away.
    """
    engine = create_engine(owner_url, poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT to_regclass('alembic_version')"))
            return found.scalar_one() is None
    except OperationalError as error:
        raise ServiceUnavailable("the database cannot be reached") from error


def _run(owner_url: str, program: str, *arguments: str) -> None:
    done = subprocess.run(
        [_program(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_BARE | _environment(owner_url),
        check=False,
    )
    if done.returncode:
        raise _failed(program, done.returncode)


def _failed(program: str, code: int) -> ServiceUnavailable:
    # What the program says may quote values of rows.
    return ServiceUnavailable(f"{program} failed with exit code {code}")


def _program(name: str) -> str:
    return str(wheel_folder() / PROGRAMS / "bin" / name)


def _environment(owner_url: str) -> dict[str, str]:
    url = make_url(owner_url)
    said = url.translate_connect_args(database="dbname", username="user") | url.query
    return {
        _ENVIRONMENT[name]: str(value)
        for name, value in said.items()
        if name in _ENVIRONMENT
    }
