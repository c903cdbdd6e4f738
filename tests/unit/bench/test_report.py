"""From rows to a page: what counts, what is paired, and what is left out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bench import figures, tables
from bench.report import SECTIONS, page
from bench.results import Run, committed, load, text
from bench.rows import Cell, Idle, Killed, Question, Retrieved, Sealing

CELL = Cell("reconcile", "ct", 8, 1, 100, 2.0, 50.0, 26.3, 5.0, 9.0, server_seconds=0.5)
SLOWER = replace(CELL, server="orthanc", instances=20, per_second=10.0)
ROWS: dict[str, list[Any]] = {
    "receive": [CELL, SLOWER],
    "large": [replace(CELL, kind="multiframe", associations=1, instances=1)],
    "retrieve": [
        Retrieved("reconcile", "c-move", 1, 1000, 5.0, 200.0, 106.2, 2.0, 0.5, 400.0, 90.0)
    ],
    "idle": [Idle("reconcile", 1, 100, 0.5, 1.5, 400.0, 90.0)],
    "registry": [replace(CELL, server="2 000"), replace(CELL, server="2 000 000")],
    "history": [Question("history of an instance", 1000, 5.0, 9.0)],
    "events": [
        Question("a day, first page", 1000, 5.0, 9.0),
        Question("bytes of an event: disk", 1000, 2500, 2500),
    ],
    "merge": [Question("A40, to its acknowledgement", 1000, 900.0, 950.0)],
    "find": [Question("studies of a patient", 1000, 9.0, 12.0)],
    "seal": [
        Sealing("without it", 1, 1000, 500.0, 2.0, 9.0, 0.0),
        Sealing("beside the sealer", 1, 1000, 490.0, 2.0, 9.5, 0.1),
    ],
    "durability": [Killed("ct", 1, 2.0, 5.0, 900, {}, 0, 0, 0, 0, 3, 0, {"a-code": 2})],
}


def run(command: str) -> Run:
    machine = {
        "cores": 2,
        "memory_gb": 4.0,
        "processor": "One",
        "file_system": "ext4",
        "system": "Linux 6.1",
    }
    rows = [asdict(each) for each in ROWS[command]]
    versions = {"python": "3.11"}
    servers = {"reconcile": "commit 0a1b2c"}
    left_out = {"storescp": "DCMTK is not installed"}
    settings = {"rounds": 1}
    return Run(command, "2026-03-01", machine, versions, servers, left_out, settings, rows)


def test_every_command_has_its_part_of_the_page() -> None:
    """
    What was measured is on the page, with its commit, and with who was left out.
    """
    made = page([run(command) for command in ROWS], ["receive-2026-03-01.json"])
    for heading in (
        "Receiving",
        "Beside its peers",
        "What an instance costs",
        "One large object",
        "A study given out by C-MOVE",
        "Idle associations",
        "Questions by the number of events",
        "A large registry",
        "Questions to the history",
        "A merge of 1 000 studies",
        "Queries",
        "After kill -9",
    ):
        assert f"\n## {heading}\n" in made
    assert "disk: 2 500 of 1 000 events" in made
    assert "of receive-2026-03-01.json. Do not edit" in made
    assert "- reconcile: commit 0a1b2c (receive, large" in made
    assert "storescp was left out: DCMTK is not installed" in made
    assert set(ROWS) == set(SECTIONS)


def test_a_page_without_results_says_so() -> None:
    """
    No figure is better than an old or a noisy one.
    """
    assert "no results are committed" in page([], [])


def test_ratios_are_paired_within_a_round() -> None:
    """
    A slow round is slow for both; a round that one has missed makes no ratio.
    """
    cells = [CELL, SLOWER, replace(CELL, round=2, instances=300), replace(CELL, round=3)]
    cells.append(replace(SLOWER, round=2))
    assert figures.paired(cells, ("ct", 8), "reconcile", "orthanc") == [5.0, 15.0]


def test_what_has_a_fault_does_not_count() -> None:
    """
    A figure of instances that were held or refused is no figure; it is listed with why.
    """
    faulty = replace(CELL, round=2, fault="answered {'A700': 1}")
    first, *_, last = figures.receiving([CELL, faulty])
    assert [row[3] for row in first.rows] == ["50.0"]
    assert last.title == "Not counted"
    assert "A700" in last.rows[0][-1]


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (0.0513, "0.051"), (1.234, "1.23"), (56.78, "56.8"), (123456.7, "123 457")],
)
def test_figures_have_as_many_digits_as_mean_anything(value: float, said: str) -> None:
    """
    Three digits, and all of those before the point.
    """
    assert tables.figure(value) == said


def test_a_results_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """
    One line for each row, so that two runs differ in lines; and nothing is lost in it.
    """
    path = tmp_path / "receive-2026-03-01.json"
    path.write_text(text(run("receive")))
    assert load(path) == run("receive")
    assert sum("per_second" in line for line in path.read_text().splitlines()) == 2


def test_the_newest_of_each_command_is_told(tmp_path: Path) -> None:
    """
    What is called by its date is committed; what is called by its time is one's own.
    """
    names = ["idle-2026-03-01", "idle-2026-04-01", "large-2026-01-01"]
    for name in (*names, "large-20260501T101500Z", "try"):
        (tmp_path / f"{name}.json").touch()
    assert [path.stem for path in committed(tmp_path)] == names[1:]
