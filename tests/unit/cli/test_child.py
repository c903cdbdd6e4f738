"""A process that is forked: when it is ready, when it ends, what it says of a failure."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Forked from a process with one thread, which this one may not be.
SUPERVISOR = """
import os
from reconcile.cli.child import Child
from reconcile.cli.logs import configure_logging
from reconcile.errors import ConfigurationError
{work}
configure_logging()
child = Child("web", work, {{}})
child.start(())
print("ready", child.is_ready(30))
{then}
print("ended", child.ends_within(30), child.code)
"""


def said(work: str, then: str = "") -> subprocess.CompletedProcess[str]:
    script = SUPERVISOR.format(work=work, then=then)
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )


def test_it_ends_with_its_leash() -> None:
    """It says that it is ready, and works until nobody holds the other end."""
    work = "def work(ends, sockets):\n    ends.say_ready()\n    os.read(ends.leash, 1)"
    done = said(work, "assert child.alive; child._drop()")
    assert done.stdout == "ready True\nended True 0\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("ValueError('DOE^JANE')", "failed=ValueError"),
        ("ConfigurationError('no such key')", "failed=ConfigurationError no such key"),
    ],
)
def test_how_it_failed_quotes_no_value(error: str, told: str) -> None:
    """Where, and of what kind; only our own errors say more, and name no patient."""
    done = said(f"def work(ends, sockets):\n    raise {error}")
    assert done.stdout == "ready False\nended True 1\n"
    assert f"process=web {told}" in done.stderr
    assert ", in work" in done.stderr
    assert "DOE" not in done.stderr
