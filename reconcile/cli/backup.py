"""`reconcile backup` and `restore`: database and bytes together."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from reconcile.cli import wiring
from reconcile.cli.context import (
    AsJson,
    Config,
    Data,
    database_of,
    opened,
    reported,
    say_json,
)
from reconcile.db.embedded import EmbeddedPostgres
from reconcile.errors import WrongUse
from reconcile.flows import backup as flow
from reconcile.flows.backup import Backup
from reconcile.settings import load
from reconcile.storage.local import LocalStorage

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", file_okay=False)]


def backup(
    folder: Folder,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    verify: Annotated[
        bool, typer.Option(help="Read the copy again and compare it with the digests.")
    ] = False,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Make none: compare one that is there.")
    ] = False,
) -> None:
    """Back up database and instances as of one moment, while the archive runs.

    The same folder again: only what is new is copied. The configuration and its keys are
    not in it.
    """
    shown = _Shown()
    if check_only:
        with reported():
            _tell(flow.verify(folder, shown), shown, as_json)
        return
    with opened(config, data) as archive:
        made = flow.back_up(
            archive.urls.owner,
            archive.parts.storage,
            folder,
            wiring.now(),
            shown,
            verify=verify,
        )
    _tell(made, shown, as_json)


def restore(
    folder: Folder, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Restore a backup into an archive that has nothing yet, and upgrade its schema."""
    shown = _Shown()
    with reported():
        settings = load(config, data, os.environ)
        flow.read(folder)
        embedded = EmbeddedPostgres(settings.data_dir)
        if not settings.database.url and embedded.is_running():
            raise WrongUse("an archive runs on this data folder: restore into a new one")
        with database_of(settings, make=True) as urls:
            storage = LocalStorage(wiring.storage_root(settings))
            made = flow.restore(folder, urls.owner, storage, shown)
    _tell(made, shown, as_json)


def _tell(made: Backup, shown: _Shown, as_json: bool) -> None:
    shown.end()
    if as_json:
        say_json(made)
        return
    typer.echo(
        f"as of {made.taken_at}: {made.instances} instances, schema {made.revision},"
        f" {shown.counted['copied'] >> 20} MiB copied"
    )


class _Shown:
    """What is done, on a line of standard error, where somebody looks."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self._last = ""

    def __call__(self, what: str, much: int) -> None:
        self.counted[what] += much
        said = what
        if what == "copied":
            said = f"copied {self.counted[what] >> 20} MiB"
        elif what == "checked":
            said = f"checked {self.counted[what] // 1000},000 instances"
        if said != self._last and sys.stderr.isatty():
            typer.echo(f"\r{said:<60}", nl=False, err=True)
        self._last = said

    def end(self) -> None:
        """Leave the line."""
        if self._last and sys.stderr.isatty():
            typer.echo("", err=True)
