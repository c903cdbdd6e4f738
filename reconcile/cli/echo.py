"""`reconcile echo`: whether destinations are there and let us in."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from reconcile.cli.context import FINDING, AsJson, Config, Data, reported, say_json
from reconcile.errors import NotFound
from reconcile.settings import load

Titles = Annotated[list[str] | None, typer.Argument(metavar="[AE]...")]


def echo(
    titles: Titles = None, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """C-ECHO destinations, all where none is named. Exits 1 where one does not answer."""
    from reconcile.cli.work_receiver import destinations, limits
    from reconcile.dicom.echo import echo as asked
    from reconcile.dicom.requestor import Lost

    with reported():
        settings = load(config, data, os.environ)
        known = destinations(settings)
        for title in set(titles or ()) - set(known):
            raise NotFound(f"no [[destination]] is named {title}")
        failed = 0
        for title in titles or list(known):
            try:
                status = asked(known[title], settings.archive.ae_title, limits(settings))
                error = f"answered {status:04X}" if status else ""
            except Lost as lost:
                error = str(lost)
            failed += bool(error)
            row = {"ae_title": title, "ok": not error, "error": error}
            say_json(row) if as_json else typer.echo(f"{title:<16}  {error or 'answers'}")
    if failed:
        raise typer.Exit(FINDING)
