"""docs/performance.md says what was measured, and nothing else."""

from __future__ import annotations

from bench.__main__ import COMMANDS
from bench.report import PAGE, SECTIONS, page
from bench.results import FOLDER, committed, load

FILES = committed()


def test_the_page_is_made_of_the_committed_results() -> None:
    """
    Figures are not typed: `python -m bench report` makes the page, of what is committed.
    """
    made = page([load(path) for path in FILES], [path.name for path in FILES])
    assert PAGE.read_text(encoding="utf-8") == made


def test_a_results_file_is_called_by_its_command() -> None:
    """
    A file that is committed can be read, and has the figures of the command it names.
    """
    for path in FOLDER.glob("*-????-??-??.json"):
        assert path.stem.startswith(f"{load(path).command}-"), path.name


def test_every_command_that_measures_is_reported() -> None:
    """
    What can be measured has its place on the page.
    """
    assert set(COMMANDS) - {"report"} == set(SECTIONS)
