"""The sealer of one archive, and the file of its key. Only who seals loads this."""

from __future__ import annotations

from pathlib import Path

from reconcile.cli.wiring import Parts, now
from reconcile.flows.seal import Sealer
from reconcile.flows.signing import log_keys
from reconcile.settings import Settings


def key_file(settings: Settings) -> Path:
    """Where the key is that signs the history: beside the data, outside the database."""
    said = settings.audit.key_file
    return Path(said) if said else settings.data_dir / "audit.key"


def sealer(parts: Parts) -> Sealer:
    """What seals the history; makes its key where there is none.

    Raises:
        ConfigurationError: the key cannot be read, or others can.
    """
    signers = log_keys(key_file(parts.settings))
    return Sealer(parts.database, parts.storage.tiles, signers, now)
