"""What the command line does before it has a database."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from reconcile import __version__
from reconcile.cli.main import app


def run(*arguments, data):
    return CliRunner().invoke(app, list(arguments), env={"RECONCILE_DATA_DIR": str(data)})


def test_version():
    """
    `python -m reconcile version` prints the version.
    """
    command = [sys.executable, "-m", "reconcile", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


@pytest.mark.parametrize(
    "arguments",
    [
        ("audit", "list"),
        ("patient", "show", "1^^^A"),
        ("study", "explain", "1.2"),
        ("instance", "get", "1.2"),
        ("hold", "list"),
        ("key", "list"),
        ("doctor",),
    ],
)
def test_a_look_up_makes_no_archive(arguments, tmp_path):
    """
    A wrong --data is one sentence and exit code 1, and leaves nothing behind.
    """
    done = run(*arguments, data=tmp_path / "none")

    assert done.exit_code == 1
    assert "there is no archive" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "none").exists()


def test_a_wrong_configuration_is_wrong_use(tmp_path):
    """
    Exit code 2, with the line and the key.
    """
    config = tmp_path / "reconcile.toml"
    config.write_text("[archive]\ncolour = 'red'\n")
    done = run("audit", "list", "--config", str(config), data=tmp_path)

    assert done.exit_code == 2
    assert "line 2" in done.stderr


def test_a_database_that_is_away_is_exit_code_3(tmp_path):
    """
    What cannot be reached is told as such.
    """
    done = CliRunner().invoke(
        app,
        ["audit", "list"],
        env={
            "RECONCILE_DATA_DIR": str(tmp_path),
            "RECONCILE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        },
    )

    assert done.exit_code == 3
    assert done.stderr == "reconcile: the database cannot be reached\n"


def test_wrong_use_is_exit_code_2(tmp_path):
    """
    An option that there is not.
    """
    assert run("audit", "list", "--nothing", data=tmp_path).exit_code == 2
