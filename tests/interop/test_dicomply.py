"""dicomply's own checks against the running archive."""

from __future__ import annotations

import subprocess
import sys

from tests.support.running import Archive


def test_dicomply_check(archive: Archive) -> None:
    """It finds nothing wrong; release 0.0.1 looks for nothing, and says so."""
    url = "http://{}:{}/dicom-web".format(*archive.doors.http)
    done = subprocess.run(
        [sys.executable, "-m", "dicomply", "check", "--url", url],
        capture_output=True,
        text=True,
        timeout=120,
    )
    checks_nothing = "0.0.1: conformance checks are not implemented yet" in done.stderr
    assert (done.returncode, checks_nothing) in ((0, False), (2, True)), done.stderr
