"""What the archive is told: one frozen Settings from TOML and environment.

Validated once, at start. A wrong key or value stops the start with file, line, key and
what is allowed; values are never repeated, for some are secrets. Nothing below the shell
imports this: every door gets what it needs as arguments.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from reconcile.settings.checks import HELD_DOMAIN, problems
from reconcile.settings.document import Document
from reconcile.settings.model import Settings

__all__ = ["HELD_DOMAIN", "Settings", "digest", "load"]

ROOT_DATA_DIR = Path("/var/lib/reconcile")

#: Environment variables that stand above the file.
OVERRIDES = {
    "RECONCILE_DATABASE_URL": ("database", "url"),
    "RECONCILE_DATABASE_OWNER_URL": ("database", "owner_url"),
    "RECONCILE_DATABASE_READER_URL": ("database", "reader_url"),
    "RECONCILE_STORAGE_URL": ("storage", "url"),
}


def load(config: Path | None, data: Path | None, env: Mapping[str, str]) -> Settings:
    """Read the configuration.

    Args:
        config: as given on the command line; it stands above RECONCILE_CONFIG.
        data: as given on the command line; it stands above RECONCILE_DATA_DIR.
        env: the environment. `NAME_FILE` names a file that holds the value of `NAME`.

    Raises:
        ConfigurationError: a wrong key or value, or a file that is not there.
    """
    data_dir = (data or _data_dir(env)).expanduser().absolute()
    document = Document.read(_config_file(config, data_dir, env))
    for name, place in OVERRIDES.items():
        document.override(name, place, env)
    settings = document.validate(Settings, data_dir=data_dir)
    document.refuse_first(problems(settings))
    return settings


def digest(settings: Settings) -> str:
    """SHA-256 in hex of what decisions depend on: recorded with every happening."""
    parts = {"archive", "holds", "rejection", "deletion", "domain", "source", "feed"}
    content = settings.model_dump(mode="json", include=parts)
    content["timezone"] = settings.serve.timezone
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _data_dir(env: Mapping[str, str]) -> Path:
    if named := env.get("RECONCILE_DATA_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return ROOT_DATA_DIR
    return Path(env.get("XDG_DATA_HOME") or "~/.local/share", "reconcile")


def _config_file(
    config: Path | None, data_dir: Path, env: Mapping[str, str]
) -> Path | None:
    if named := config or env.get("RECONCILE_CONFIG"):
        return Path(named).expanduser().absolute()
    usual = data_dir / "reconcile.toml"
    return usual if usual.is_file() else None
