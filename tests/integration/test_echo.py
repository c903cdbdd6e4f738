"""`reconcile echo`: peers that are there, that refuse, and that are not."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from typer.testing import CliRunner

from reconcile.cli.main import app

VERIFICATION, CT = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"


def test_each_destination_is_asked(tmp_path: Path) -> None:
    """One that answers, one that fails, one without Verification, one that is away."""
    answers, fails, without = (ApplicationEntity(t) for t in ("GOOD", "BAD", "ODD"))
    answers.add_supported_context(VERIFICATION)
    fails.add_supported_context(VERIFICATION)
    without.add_supported_context(CT)
    said: list[Any] = [(evt.EVT_C_ECHO, lambda _: 0x0110)]
    servers: list[Any] = [
        answers.start_server(("127.0.0.1", 0), block=False),
        fails.start_server(("127.0.0.1", 0), block=False, evt_handlers=said),
        without.start_server(("127.0.0.1", 0), block=False),
    ]
    with socket.create_server(("127.0.0.1", 0)) as free:
        ports = [free.getsockname()[1]]
    ports = [server.socket.getsockname()[1] for server in servers] + ports
    (tmp_path / "reconcile.toml").write_text(
        "".join(
            f'[[destination]]\nae_title = "{title}"\nhost = "127.0.0.1"\nport = {port}\n'
            for title, port in zip(("GOOD", "BAD", "ODD", "AWAY"), ports, strict=True)
        )
    )
    data = ["--data", str(tmp_path)]
    try:
        done = CliRunner().invoke(app, ["echo", *data, "--json"])
        assert done.exit_code == 1
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert [row["ok"] for row in rows] == [True, False, False, False]
        assert "0110" in rows[1]["error"]
        assert "reached" in rows[3]["error"]
        done = CliRunner().invoke(app, ["echo", "GOOD", *data])
        assert (done.exit_code, done.stdout.split()) == (0, ["GOOD", "answers"])
        assert CliRunner().invoke(app, ["echo", "NOBODY", *data]).exit_code == 1
    finally:
        for server in servers:
            server.shutdown()
