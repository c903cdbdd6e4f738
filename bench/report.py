"""docs/performance.md, made of results: `python -m bench report FILE...`.

Without a file it is made of those that are committed, the newest of each command; so the
page has one table of a kind, however often it is measured. A test compares the two.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import figures, states, tables
from bench.results import Run, committed, load
from bench.rows import Cell, Idle, Killed, Question, Retrieved, Sealing
from bench.tables import Table

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
TEXTS = Path(__file__).with_name("texts")

Rows = list[dict[str, Any]]
#: What a command's rows are as tables, in the order of the page.
SECTIONS: dict[str, Callable[[Rows], list[Table]]] = {
    "receive": lambda rows: figures.receiving([Cell(**each) for each in rows]),
    "large": lambda rows: figures.large([Cell(**each) for each in rows]),
    "retrieve": lambda rows: states.retrieve([Retrieved(**each) for each in rows]),
    "idle": lambda rows: [states.idle([Idle(**each) for each in rows])],
    "registry": lambda rows: figures.registry([Cell(**each) for each in rows]),
    "history": lambda rows: [states.history([Question(**each) for each in rows])],
    "events": lambda rows: [states.events([Question(**each) for each in rows])],
    "merge": lambda rows: [states.merge([Question(**each) for each in rows])],
    "find": lambda rows: [states.find([Question(**each) for each in rows])],
    "seal": lambda rows: [states.sealing([Sealing(**each) for each in rows])],
    "durability": lambda rows: [states.durability([Killed(**each) for each in rows])],
}


def page(runs: Sequence[Run], names: Sequence[str]) -> str:
    """The whole page; `names` are those of the files."""
    ordered = sorted(runs, key=lambda run: list(SECTIONS).index(run.command))
    made = [table for run in ordered for table in SECTIONS[run.command](run.rows)]
    lines = ["\n".join(_head(names)), _text("how")]
    lines += ["\n".join(tables.markdown(each)) for each in made]
    lines.append(_text("limits"))
    lines.append("\n".join(_measured(ordered)))
    return "\n".join(lines).rstrip() + "\n"


def _head(names: Sequence[str]) -> Iterator[str]:
    of = ", ".join(names) or "no results"
    yield f"<!-- Made by `python -m bench report` of {of}. Do not edit it. -->"
    yield ""
    yield "# Performance"
    yield ""


def _text(name: str) -> str:
    return (TEXTS / f"{name}.md").read_text(encoding="utf-8")


def _measured(runs: Sequence[Run]) -> Iterator[str]:
    """When, where and of what."""
    table = Table("What was measured", ("command", "date", "settings"))
    if not runs:
        table.notes.append("Nothing yet: no results are committed.")
    of: dict[str, list[str]] = {}
    for run in runs:
        settings = ", ".join(f"{name} {value}" for name, value in run.settings.items())
        table.rows.append((run.command, run.date[:10], settings))
        for line in (*_servers(run), _machine(run.machine)):
            of.setdefault(line, []).append(run.command)
    notes = [f"- {line} ({', '.join(commands)})" for line, commands in of.items()]
    table.notes.append("\n".join(notes))
    yield from tables.markdown(table)


def _servers(run: Run) -> Iterator[str]:
    for name, version in run.servers.items():
        yield f"{name}: {version}"
    for name, why in run.left_out.items():
        yield f"{name} was left out: {why}"


def _machine(facts: dict[str, Any]) -> str:
    kept = (facts["processor"], facts["file_system"], facts["system"])
    return f"On {facts['cores']} cores, {facts['memory_gb']} GB, {', '.join(kept)}"


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m bench report", description=__doc__)
    options.add_argument("files", type=Path, nargs="*", help="instead of those committed")
    asked = options.parse_args(arguments)
    files = asked.files or committed()
    runs = [load(each) for each in files]
    if len({run.command for run in runs}) < len(runs):
        options.error("two files of one command: the page has one of each")
    made = page(runs, [each.name for each in files])
    PAGE.write_text(made, encoding="utf-8")
    print(f"{PAGE.name}: of {', '.join(each.name for each in files) or 'nothing'}")
    return 0
