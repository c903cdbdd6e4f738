"""One JSON file for each run, and where a run keeps what it writes meanwhile.

A run is called by its command and its time, and is not committed. What is to be
committed is called by its date (`--name receive-2026-03-01`); of these the newest of
each command make docs/performance.md.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine

FOLDER = Path(__file__).parent / "results"
COMMITTED = re.compile(r"([a-z]+)-\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Run:
    """What a command has measured.

    Attributes:
        servers: version of each, by name.
        left_out: why a server was not measured, by name.
        rows: one for each measurement; what is in them depends on the command.
    """

    command: str
    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    servers: dict[str, str]
    left_out: dict[str, str]
    settings: dict[str, Any]
    rows: list[dict[str, Any]]


class Record:
    """The file of one run, written anew whenever there is more to tell."""

    def __init__(self, command: str, name: str, folder: Path) -> None:
        now = datetime.now(UTC)
        self.path = FOLDER / f"{name or f'{command}-{now:%Y%m%dT%H%M%SZ}'}.json"
        self._head = {
            "command": command,
            "date": now.isoformat(timespec="minutes"),
            "machine": machine.facts(folder),
            "versions": machine.versions(),
        }

    def write(
        self,
        rows: Iterable[Any],
        servers: Mapping[str, str],
        settings: Mapping[str, Any],
        left_out: Mapping[str, str] | None = None,
    ) -> Run:
        """All rows so far, which are dataclasses."""
        run = Run(
            **self._head,  # type: ignore[arg-type]
            servers=dict(servers),
            left_out=dict(left_out or {}),
            settings=dict(settings),
            rows=[asdict(row) for row in rows],
        )
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text(run), encoding="utf-8")
        return run


def text(run: Run) -> str:
    """As JSON, a line for each row: a later run differs in lines."""
    head = asdict(run)
    rows = ",\n".join("  " + json.dumps(each) for each in head.pop("rows"))
    return json.dumps(head, indent=1)[:-2] + f',\n "rows": [\n{rows}\n ]\n}}\n'


def load(path: Path) -> Run:
    return Run(**json.loads(path.read_text(encoding="utf-8")))


def committed(folder: Path = FOLDER) -> list[Path]:
    """The newest of each command."""
    newest: dict[str, Path] = {}
    for path in sorted(folder.glob("*.json")):
        if found := COMMITTED.fullmatch(path.stem):
            newest[found[1]] = path
    return [newest[command] for command in sorted(newest)]


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on a real disk that a database's user can enter, deleted in the end."""
    folder = Path(tempfile.mkdtemp(prefix="reconcile-bench-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
