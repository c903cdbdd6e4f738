"""What a running archive can be told anew, and what only at its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconcile.cli.reload import Serving, forget, refuse_fixed
from reconcile.errors import ConfigurationError, NotFound
from reconcile.settings import Settings


def settings(folder: Path, **said: object) -> Settings:
    return Settings.model_validate({"data_dir": folder, **said})


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"listen": {"http": "127.0.0.1:1"}}, r"\[listen\]"),
        ({"database": {"url": "postgresql://db/x"}}, r"\[database\]"),
        ({"serve": {"receivers": 3}}, r"\[serve\] receivers"),
    ],
)
def test_what_processes_are_started_over_needs_a_restart(
    tmp_path: Path, said: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        refuse_fixed(settings(tmp_path), settings(tmp_path, **said))


def test_peers_feeds_and_rules_do_not(tmp_path: Path) -> None:
    source = {"ae_title": "CT_NEW"}
    refuse_fixed(settings(tmp_path), settings(tmp_path, source=[source]))


def test_who_serves_a_folder_is_known_while_it_lives(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Serving.of(tmp_path)
    Serving(1 << 22).say(tmp_path)
    with pytest.raises(NotFound):
        Serving.of(tmp_path)
    forget(tmp_path)
    forget(tmp_path)
    assert list(tmp_path.iterdir()) == []
