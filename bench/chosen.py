"""What was asked for on the command line: which servers, how often, how long."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import orthanc, storescp
from bench.ours import Reconcile
from bench.servers import Server

#: What keeps a peer from being started; empty: nothing.
PEERS: dict[str, tuple[Callable[[], str], Callable[[Path], Server]]] = {
    "storescp": (storescp.missing, storescp.Storescp),
    "orthanc": (orthanc.missing, orthanc.Orthanc),
}
ALL = ("reconcile", *PEERS)
AGAINST = "against"


def parser(command: str, about: str | None, rounds: int) -> argparse.ArgumentParser:
    """With the options that every command has."""
    made = argparse.ArgumentParser(prog=f"python -m bench {command}", description=about)
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--name", default="", help="of the file with the results")
    return made


def with_servers(made: argparse.ArgumentParser, servers: Sequence[str]) -> None:
    """And with those of a command that measures more than this archive."""
    made.add_argument("--servers", type=some_of(ALL), default=servers)
    made.add_argument("--against", type=Path, help="another checkout with its .venv")


def some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """A kind of option: words of which each is known, with commas between them."""

    def words(said: str) -> list[str]:
        found = said.split(",")
        if unknown := set(found) - set(known):
            raise argparse.ArgumentTypeError(
                f"{', '.join(sorted(unknown))}: known are {', '.join(known)}"
            )
        return found

    return words


def numbers(said: str) -> list[int]:
    """A kind of option: numbers with commas between them."""
    return [int(each) for each in said.split(",")]


class Chosen:
    """The servers that were asked for and can be started.

    Attributes:
        left_out: why others are not, by name.
    """

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self.servers: list[Server] = []
        self.left_out: dict[str, str] = {}
        for name in asked.servers:
            self._choose(name, folder)
        if asked.against:
            self.servers.append(Reconcile(folder, AGAINST, asked.against.resolve()))

    @property
    def versions(self) -> dict[str, str]:
        return {each.name: each.version for each in self.servers}

    def _choose(self, name: str, folder: Path) -> None:
        if name == "reconcile":
            self.servers.append(Reconcile(folder))
            return
        missing, make = PEERS[name]
        if why := missing():
            self.left_out[name] = why
            print(f"{name} is left out: {why}", file=sys.stderr)
        else:
            self.servers.append(make(folder))
