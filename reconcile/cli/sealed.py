"""`reconcile audit verify`, `proof`, `witness` and what belongs to them."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from reconcile.cli.audit import app
from reconcile.cli.context import (
    FINDING,
    AsJson,
    Config,
    Cursor,
    Data,
    Limit,
    Opened,
    nothing_found,
    opened,
    reported,
    say_json,
    say_next,
    told,
)
from reconcile.cli.sealer import key_file
from reconcile.core.note import Note, VerifierKey, verifier_key
from reconcile.db import readings
from reconcile.db.views import Where
from reconcile.errors import ConfigurationError, WrongUse
from reconcile.flows.proof import ProofFails, check, prove
from reconcile.flows.questions import time_of
from reconcile.flows.signing import Signer
from reconcile.flows.verify import Verify
from reconcile.flows.witness import Source, Witness, held_in, tiles_of
from reconcile.settings import load
from reconcile.storage.faults import Fence
from reconcile.storage.tiles import Tiles

Held = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoint",
        "--witness",
        help="What somebody else holds: a checkpoint, or a witness's file or folder.",
        show_default=False,
    ),
]
Key = Annotated[
    list[str] | None,
    typer.Option("--key", help="NAME+ID+KEY, or a file of it.", show_default=False),
]


@app.command("verify")
def verify_history(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    held: Held = None,
    key: Key = None,
    every: Annotated[bool, typer.Option("--all", help="Name all that is broken.")] = False,
) -> None:
    """Verify that the history is what was sealed. Exits 1 with the first broken event.

    Compares rows with their canonical bytes, those with the hashes, the tree with what was
    signed, and with what is held elsewhere; and what is given out with the events.
    """
    with opened(config, data) as archive:
        shown = _Shown(not as_json)
        notes = [each for path in held or [] for each in held_in(path)]
        keys = [*_own_keys(archive), *_keys(key or [])]
        _refuse_others(notes, keys)
        tiles = archive.parts.storage.tiles
        wrong = 0
        seen = [tiles_of(each) for each in held or [] if (each / "tlog").is_dir()]
        verify = Verify(archive.database, tiles, keys, notes, seen, shown)
        for broken in verify.broken():
            wrong += 1
            shown.end()
            say_json(broken) if as_json else typer.echo(str(broken))
            if not every:
                break
        shown.end()
        published = tiles.published()
    said = str(published.checkpoint) if published else ""
    if as_json:
        say_json({"holds": not wrong, "checkpoint": said, "compared_with": len(notes)})
    elif not wrong:
        typer.echo(f"the history holds: {said or 'nothing is sealed yet'}")
    if wrong:
        raise typer.Exit(FINDING)


@app.command("key")
def show_key(config: Config = None, data: Data = None) -> None:
    """Print the verifier keys of the log: what others need to check what it signs."""
    with reported():
        settings = load(config, data, os.environ)
        for each in Signer.read_all(key_file(settings)):
            typer.echo(str(each.key))


@app.command("add-key")
def add_key(config: Config = None, data: Data = None) -> None:
    """Add a key that signs beside the others, from the next start or reload on.

    To change a key: add one, tell its line to those who verify, and take the old line out
    of the file when all of them have it.
    """
    with reported():
        path = key_file(load(config, data, os.environ))
        first, *_ = Signer.read_all(path)
        added = Signer.new(first.key.name)
        added.write(path, beside=True)
        typer.echo(str(added.key))


@app.command("readings")
def list_readings(
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
    actor: Annotated[str, typer.Option(help="Who read.", show_default=False)] = "",
    since: Annotated[str, typer.Option("--from", help="Time.", show_default=False)] = "",
    until: Annotated[str, typer.Option("--to", help="Time.", show_default=False)] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> None:
    """List who read the history, and when, the newest first. Itself written down.

    What was asked may name a patient: it is printed with --json only.
    """
    begin, end = time_of("from", since), time_of("to", until)
    with opened(config, data) as archive:
        told(archive, "audit readings", actor=actor)
        where = Where(limit, cursor)
        with archive.database.read_only() as connection:
            page = readings.readings(connection, where, actor=actor, since=begin, until=end)
    for each in page.items:
        when = each.read_at.isoformat(timespec="seconds")
        plain = f"{when}  {each.door:<4}  {each.actor:<16}  {each.what}"
        say_json(each) if as_json else typer.echo(plain)
    say_next(page.next)


@app.command("checkpoint")
def show_checkpoint(config: Config = None, data: Data = None) -> None:
    """Print the newest checkpoint, to be kept elsewhere."""
    with opened(config, data) as archive:
        found = archive.parts.storage.tiles.published()
    if found is None:
        raise nothing_found("nothing is sealed yet")
    typer.echo(str(found), nl=False)


@app.command("proof")
def proof(
    event: Annotated[str, typer.Argument(metavar="EVENT")],
    config: Config = None,
    data: Data = None,
    values: Annotated[
        bool, typer.Option("--values", help="With the personal values: patient data.")
    ] = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Under this one, as a witness cosigned it.", show_default=False),
    ] = None,
) -> None:
    """Print the proof that an event is in the log, one JSON document."""
    with opened(config, data) as archive:
        told(archive, "audit proof", event=event, values="true" if values else "")
        under = held_in(checkpoint)[-1] if checkpoint else None
        tiles = archive.parts.storage.tiles
        made = prove(archive.database, tiles, event, with_values=values, under=under)
    typer.echo(json.dumps(made, ensure_ascii=False))


@app.command("check-proof")
def check_proof(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False)],
    key: Annotated[str, typer.Option("--key", help="The log's, or a file of it.")],
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness-key", help="Who must have cosigned.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a proof: needs no archive, only the file and the log's verifier key."""
    with reported():
        found = check(_document(file), _keys([key])[0], _keys(witness or []))
    if as_json:
        say_json(found)
        return
    typer.echo(f"event {found.event.get('id')} is number {found.number} of {found.origin}")
    typer.echo(f"  recorded at {found.event.get('recorded_at')}")
    changed = " ".join(found.event.get("attributes") or [])
    typer.echo(
        f"  {found.happening.get('cause')} by {found.happening.get('actor')}: {changed}"
    )
    typer.echo(f"  under checkpoint {found.checkpoint}")
    for name in found.cosigned_by:
        typer.echo(f"  cosigned by {name}")


@app.command("witness")
def witness(
    log: Annotated[str, typer.Argument(metavar="LOG", help="URL (.../tlog), or a folder.")],
    key: Annotated[str, typer.Option("--key", help="The log's, or a file of it.")],
    state: Annotated[Path, typer.Option("--state", help="The witness's own folder.")],
    name: Annotated[str, typer.Option("--name", help="Who cosigns.")] = "witness",
    api_key_file: Annotated[
        Path | None, typer.Option(help="An API key of the archive.", show_default=False)
    ] = None,
    keep_hashes: Annotated[
        bool,
        typer.Option("--keep-hashes", help="Of every event: tells which was rewritten."),
    ] = False,
) -> None:
    """See the newest checkpoint and cosign it, if the log goes on from what was seen.

    Needs no database; runs on another host, by another user. Prints the cosigned
    checkpoint. A log that is shorter or of another past is refused with exit code 1.
    """
    with reported():
        watching = Witness(state, _keys([key])[0], name, keep_hashes)
        made = watching.look(_source(log, api_key_file), int(time.time()))
        typer.echo(str(made), nl=False)
        typer.echo(f"cosigned by {watching.key()}", err=True)


def _source(log: str, api_key_file: Path | None) -> Source:
    if log.startswith(("http://", "https://")):
        from reconcile.web.watching import HttpLog

        return HttpLog(log, _secret(api_key_file) if api_key_file else "")
    return FolderLog(Path(log))


class FolderLog:
    """A log in a folder: `tlog` of an archive, of a backup, or a copy of it."""

    def __init__(self, folder: Path) -> None:
        root = folder.absolute().parent if folder.name == "tlog" else folder
        self._tiles = Tiles(root, Fence(root))
        self.tile = self._tiles.read

    def checkpoint(self) -> str:
        """The newest signed note; raises NotFound, ServiceUnavailable."""
        found = self._tiles.published()
        if found is None:
            raise WrongUse("there is no checkpoint in this folder")
        return str(found)


def _own_keys(archive: Opened) -> list[VerifierKey]:
    try:
        signers = Signer.read_all(key_file(archive.parts.settings))
    except ConfigurationError:
        return []
    return [each.key for each in signers]


def _keys(said: list[str]) -> list[VerifierKey]:
    """Verifier keys, each by itself or in a file, whose first line it is."""
    return [verifier_key(_secret(Path(s)) if _is_file(s) else s) for s in said]


def _is_file(said: str) -> bool:
    return len(said) < 1024 and Path(said).is_file()


def _secret(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read") from error
    return lines[0] if lines else ""


def _document(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongUse(f"{file}: this is no proof") from error
    if not isinstance(found, dict):
        raise WrongUse(f"{file}: this is no proof")
    return found


def _refuse_others(notes: list[Note], keys: list[VerifierKey]) -> None:
    from reconcile.flows.signing import is_signed

    for each in notes:
        if not any(is_signed(each, key) for key in keys):
            raise ProofFails(f"the checkpoint {each.checkpoint} is not signed by our keys")


class _Shown:
    """How far it is, on a line of standard error, where somebody looks."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted and sys.stderr.isatty()
        self._said = ""

    def __call__(self, done: int, of: int) -> None:
        if self._wanted:
            self._said = f"{done:,} of {of:,} events"
            typer.echo(f"\r{self._said}", nl=False, err=True)

    def end(self) -> None:
        """Leave the line clean."""
        if self._said:
            typer.echo("\r" + " " * len(self._said) + "\r", nl=False, err=True)
            self._said = ""
