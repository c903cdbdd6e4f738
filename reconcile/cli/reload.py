"""`reconcile reload`: the configuration of a running archive, read anew; and how it went.

The supervisor says in a file of the data folder who it is and what became of the last
time that it was asked.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from reconcile.cli.context import Config, Data, reported
from reconcile.errors import ConfigurationError, NotFound, ServiceUnavailable
from reconcile.settings import Settings, load

#: Of the whole file; these are what processes are started over.
FIXED = ("data_dir", "database", "storage", "listen")
WAIT_SECONDS = 180.0

_FILE = "serve.json"


@dataclass(frozen=True, slots=True)
class Serving:
    """What a running archive says of itself; `error`: why the last reload was not done."""

    pid: int
    reloads: int = 0
    error: str = ""

    def say(self, data: Path) -> None:
        """Write it down for whoever asks."""
        fresh = data / (_FILE + ".new")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.rename(data / _FILE)

    @staticmethod
    def of(data: Path) -> Serving:
        """What the archive on a data folder says.

        Raises:
            NotFound: none is running there.
        """
        try:
            said = Serving(**json.loads((data / _FILE).read_text()))
            command = Path("/proc", str(said.pid), "cmdline").read_bytes()
        except (OSError, ValueError, TypeError) as error:
            raise NotFound(f"no archive is running on {data}") from error
        if b"reconcile" not in command:
            raise NotFound(f"no archive is running on {data}")
        return said


def forget(data: Path) -> None:
    """Nobody serves this folder any more."""
    (data / _FILE).unlink(missing_ok=True)


def refuse_fixed(before: Settings, after: Settings) -> None:
    """See that only what can change while an archive runs has changed.

    Raises:
        ConfigurationError: something else has.
    """
    changed = [n for n in FIXED if getattr(before, n) != getattr(after, n)]
    if before.serve.receivers != after.serve.receivers:
        changed.append("serve] receivers [")
    if changed:
        names = ", ".join(f"[{name}]" for name in changed).replace(" []", "")
        raise ConfigurationError(f"{names}: stop the archive and start it to change this")


def reload(config: Config = None, data: Data = None) -> None:
    """Let a running archive read its configuration again: peers, feeds, rules.

    What is being received goes on under the old one until its association ends.
    """
    with reported():
        folder = load(config, data, os.environ).data_dir
        before = Serving.of(folder)
        os.kill(before.pid, signal.SIGHUP)
        ends = time.monotonic() + WAIT_SECONDS
        while (now := Serving.of(folder)).reloads == before.reloads:
            if time.monotonic() > ends:
                raise ServiceUnavailable("the archive does not answer: see its log")
            time.sleep(0.1)
        if now.error:
            raise ConfigurationError(now.error)
    typer.echo("reloaded")
