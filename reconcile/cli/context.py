"""What every command has in common: its options, its parts, its exit codes.

A command attaches to the database that the settings name. An embedded server that is
not running is started for as long as the command takes.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from reconcile.cli import wiring
from reconcile.db import domains, migrate, views_checks
from reconcile.db.database import Database
from reconcile.db.embedded import EmbeddedPostgres, Urls
from reconcile.db.readings import Reading, keep
from reconcile.db.views import plain
from reconcile.errors import NotFound, ReconcileError
from reconcile.settings import Settings, load

Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration file.", show_default=False)
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000)]
Cursor = Annotated[str, typer.Option("--cursor", help="Where the list before ended.")]

#: Nothing found, or something found wrong.
FINDING = 1
_POOL = 4
#: Who is no key, but a user of this machine.
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Opened:
    """The parts of the archive, with the database they stand on."""

    parts: wiring.Parts
    urls: Urls

    @property
    def database(self) -> Database:
        """The registry."""
        return self.parts.database


@contextmanager
def reported() -> Iterator[None]:
    """Turn a deliberate error into one sentence and its exit code."""
    try:
        yield
    except ReconcileError as error:
        typer.echo(f"reconcile: {str(error) or error.title}", err=True)
        raise typer.Exit(error.exit_code) from error


@contextmanager
def opened(
    config: Path | None, data: Path | None, *, make: bool = False
) -> Iterator[Opened]:
    """The parts of the archive that these options mean.

    Args:
        config: --config.
        data: --data.
        make: make the archive where there is none yet, and bring its schema up.

    Raises:
        typer.Exit: with the code of what went wrong, after it was said.
    """
    with reported():
        settings = load(config, data, os.environ)
        with database_of(settings, make=make) as urls:
            parts = wiring.parts(settings, urls.writer, urls.reader, pool_size=_POOL)
            try:
                if make:
                    _prepare(parts, urls)
                yield Opened(parts, urls)
            finally:
                parts.database.close()


def urls_of(settings: Settings) -> Urls:
    """URLs of a server of somebody else's, by role."""
    database = settings.database
    owner = database.owner_url or database.url
    return Urls(owner, database.url, database.reader_url or database.url)


@contextmanager
def database_of(settings: Settings, *, make: bool) -> Iterator[Urls]:
    """The database that is configured; `make`: an embedded one where there is none.

    Raises:
        NotFound: there is none yet.
        ServiceUnavailable: it cannot be reached or started.
    """
    if settings.database.url:
        yield urls_of(settings)
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    if postgres.is_running():
        yield postgres.attach()
        return
    if not make and not (postgres.cluster / "PG_VERSION").exists():
        raise NotFound(f"there is no archive in {settings.data_dir}")
    urls = postgres.start()
    try:
        yield urls
    finally:
        _stop_if_alone(postgres, urls)


def _stop_if_alone(postgres: EmbeddedPostgres, urls: Urls) -> None:
    """Leave the server running where an archive was started on it meanwhile."""
    database = Database(urls.reader, pool_size=1)
    try:
        with database.read_only() as connection:
            others = views_checks.others_are_connected(connection)
    finally:
        database.close()
    if not others:
        postgres.stop()


def _prepare(parts: wiring.Parts, urls: Urls) -> None:
    migrate.upgrade(urls.owner)
    configured = list(parts.rules.domains.values())
    parts.database.run(lambda connection: domains.keep(connection, configured))


def told(archive: Opened, what: str, **asked: str) -> None:
    """Write down who reads the history with this command, before it is answered."""
    said = {name: value for name, value in asked.items() if value}
    read = Reading(wiring.now(), f"{LOCAL}:{_user()}", "cli", what, said)
    archive.database.run(lambda connection: keep(connection, [read]))


def _user() -> str:
    """Whose command this is, as the system calls them; else their number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def say_json(row: Any) -> None:
    """One JSON object on one line."""
    typer.echo(json.dumps(plain(row), ensure_ascii=False))


def say_next(cursor: str | None) -> None:
    """Where a list goes on, beside what it lists."""
    if cursor is not None:
        typer.echo(f"there is more: --cursor {cursor}", err=True)


def nothing_found(what: str) -> typer.Exit:
    """Say that there is nothing; exit code 1."""
    typer.echo(f"reconcile: {what}", err=True)
    return typer.Exit(FINDING)
