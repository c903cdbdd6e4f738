"""What becomes of tests, for tables that are told of them."""

from __future__ import annotations

import pytest


class Verdicts:
    """Hears from pytest what becomes of each test: "passed", "failed" or "skipped"."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2].partition("[")[0]
        if report.failed:
            self.of[name] = "failed"
        elif report.skipped:
            self.of.setdefault(name, "skipped")
        elif report.when == "call":
            self.of.setdefault(name, "passed")
