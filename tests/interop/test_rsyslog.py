"""An audit repository that is not ours: rsyslog of Debian, over TLS."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconcile.core import audit_message as a
from reconcile.core.audit_message import AuditMessage, Participant
from reconcile.flows.auditing import NotTaken
from reconcile.web.syslog import repository
from tests.support import atna
from tests.support.certificates import server_and_client

RSYSLOGD = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
CONFIGURATION = """
global(
    workDirectory="{folder}" maxMessageSize="64k"
    defaultNetstreamDriver="gtls"
    defaultNetstreamDriverCAFile="{folder}/certificate.pem"
    defaultNetstreamDriverCertFile="{folder}/certificate.pem"
    defaultNetstreamDriverKeyFile="{folder}/certificate.pem"
    parser.escapeControlCharactersOnReceive="off"
)
module(
    load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
    streamDriver.authMode="x509/certvalid"
)
template(name="raw" type="string" string="%rawmsg%\\n")
input(
    type="imtcp" port="0" address="127.0.0.1" listenPortFileName="{folder}/port"
    ruleset="all"
)
ruleset(name="all") {{ action(type="omfile" file="{folder}/log" template="raw") }}
"""


def until(found, seconds=30.0):
    """What it finds, once it does."""
    ends = time.monotonic() + seconds
    while not (there := found()):
        assert time.monotonic() < ends
        time.sleep(0.05)
    return there


@contextmanager
def rsyslog(folder: Path) -> Iterator[int]:
    """The server's port, while it runs; what it takes it writes to `log`."""
    assert RSYSLOGD
    file = folder / "rsyslog.conf"
    file.write_text(CONFIGURATION.format(folder=folder))
    command = [RSYSLOGD, "-n", "-f", str(file), "-i", str(folder / "pid")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        port = folder / "port"
        try:
            yield int(until(lambda: port.exists() and port.read_text()))
        finally:
            run.send_signal(signal.SIGTERM)
            run.wait(20)


@pytest.mark.skipif(not RSYSLOGD, reason="rsyslog is not installed")
def test_rsyslog_takes_every_message_in_its_order(tmp_path: Path) -> None:
    """
    What counts as taken stands in the log of rsyslog, whole and in its order; what does
    not show our certificate is not taken.
    """
    _, client, _ = server_and_client(tmp_path)
    messages = [
        AuditMessage(
            a.TRANSFERRED,
            "C",
            datetime.now(UTC),
            (Participant("CT Ä <&>", a.SOURCE, True), Participant("R", a.DESTINATION)),
            (a.study(f"1.2.{number}", [("1.2.3", 1)]), a.patient("1^^^A")),
        )
        for number in range(300)
    ]
    with rsyslog(tmp_path) as port:
        repository(("127.0.0.1", port), client, "RECONCILE")(messages)
        lines = until(lambda: _lines(tmp_path / "log", 300))
        nobody = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
        with pytest.raises(NotTaken):
            repository(("127.0.0.1", port), nobody, "RECONCILE")(messages[:1])
    told = [atna.logged(line) for line in lines]
    assert [each.ids("110180") for each in told] == [[f"1.2.{n}"] for n in range(300)]
    assert {each.msgid for each in told} == {"DICOM+RFC3881"}


def _lines(file: Path, number: int) -> list[bytes]:
    if not file.exists():
        return []
    lines = file.read_bytes().splitlines()
    return lines if len(lines) >= number else []
