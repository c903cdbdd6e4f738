"""What is deployed: pinned, by hash, without addresses and without secrets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "requirements.lock", ROOT / "docker" / "requirements.lock"]
PINNED = re.compile(r"^([a-z0-9._-]+)==([^ ]+)", re.MULTILINE)

# Not spelled out, so that this file has none of them either.
LEAKS = re.compile(
    "|".join(
        [
            "pypi" + r"\.org",
            "python" + "hosted",
            "registry" + r"\.npmjs",
            "deb" + r"\.debian",
            "/home" + r"/[a-z]+/",
            "/root" + "/",
            "BEGIN [A-Z ]*PRIVATE" + " KEY",
        ]
    )
)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_lock_has_versions_and_hashes_only(lock: Path) -> None:
    """Every requirement has a version and a hash; none has an address."""
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(PINNED.match(each) and "--hash=sha256:" in each for each in entries)


def test_image_runs_what_was_tested() -> None:
    """The image's lock is a part of the one that the tests run with."""
    tested, shipped = ({*PINNED.findall(each.read_text())} for each in LOCKS)
    assert shipped <= tested
    names = {name for name, _ in shipped}
    assert {"pydicom", "sqlalchemy"} <= names
    assert not {"pytest", "mypy", "ruff"} & names


def compose() -> dict[str, Any]:
    content = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_compose_has_the_archive_and_its_database() -> None:
    """The archive waits for a healthy database and for its migrations."""
    services = compose()["services"]
    assert {"database", "migrate", "archive"} <= services.keys()
    assert re.fullmatch(r"postgres:\d+(\.\d+)?(-\w+)?", services["database"]["image"])
    for name in ("migrate", "archive"):
        assert services[name]["build"] == {"context": "."}
    assert services["archive"]["depends_on"].keys() >= {"database", "migrate"}


def test_compose_holds_no_secret() -> None:
    """Passwords come from files that are not in the repository."""
    content = compose()
    for secret in content["secrets"].values():
        assert secret.keys() == {"file"}
        assert secret["file"].startswith("./secrets/")
    for service in content["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "_URL" in name:
                assert name.endswith("_FILE"), name
                assert str(value).startswith("/run/secrets/"), name
    for service in content["services"].values():
        assert set(service.get("secrets", [])) <= content["secrets"].keys()


def test_archive_does_not_see_the_superuser() -> None:
    """The service that listens gets writer and reader; owner and superuser it does not."""
    services = compose()["services"]
    assert set(services["archive"]["secrets"]) == {
        "writer_url",
        "reader_url",
        "tls_certificate",
        "tls_key",
        "tls_ca",
    }


def test_image_does_not_run_as_root() -> None:
    """The last USER of the Dockerfile is an ordinary one."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")


def test_no_file_names_a_registry_or_a_machine() -> None:
    """A clone builds from wherever its reader gets packages from."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    found = [
        name
        for name in names
        if name and (ROOT / name).is_file() and LEAKS.search(_text(ROOT / name))
    ]
    assert found == []


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")
