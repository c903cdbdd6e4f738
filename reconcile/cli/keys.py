"""`reconcile key`: who may come in over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from reconcile.cli.context import (
    AsJson,
    Config,
    Data,
    nothing_found,
    opened,
    say_json,
)
from reconcile.db import views_keys
from reconcile.errors import WrongUse
from reconcile.flows.keys import ROLES, make_key, revoke_key

app = typer.Typer(no_args_is_help=True, help="API keys of the HTTP door.")


@app.command("add")
def add_key(
    name: Annotated[str, typer.Option(help="Who uses it.")],
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")],
    source: Annotated[str, typer.Option(help="AE title that it stores as.")] = "",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it. It cannot be shown again."""
    with opened(config, data, make=True) as archive:
        known = {each.ae_title for each in archive.parts.settings.source}
        if source and source not in known:
            raise WrongUse(f"no [[source]] is named {source}")
        key = make_key(archive.database, name=name, role=role, source=source)
    say_json({"key": key, "name": name, "role": role}) if as_json else typer.echo(key)


@app.command("list")
def list_keys(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """List all keys that were ever made, without their secrets."""
    with opened(config, data) as archive, archive.database.read_only() as connection:
        found = views_keys.all_keys(connection)
    for key in found:
        if as_json:
            say_json(key)
            continue
        state = "revoked" if key.revoked_at else "live"
        typer.echo(f"{key.prefix}  {key.role:<13}  {state:<7}  {key.name}")
    if not found:
        raise nothing_found("there are no keys: the HTTP door is open to this machine only")


@app.command("revoke")
def revoke(
    prefix: Annotated[str, typer.Argument(help="How the key begins: rk_ and 12 digits.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Let a key open nothing any more."""
    with opened(config, data) as archive:
        revoke_key(archive.database, prefix)
    typer.echo(f"revoked {prefix}")
