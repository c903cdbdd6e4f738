"""Production's doors: TLS on all three, a client certificate, an API key with a role."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from contextlib import suppress

import httpx
import pytest
from hl7.client import MLLPClient
from pynetdicom.ae import ApplicationEntity

from tests.support.certificates import server_and_client
from tests.support.door import eventually
from tests.support.instances import CT, instance
from tests.support.messages import adt
from tests.support.running import Archive

CONFIG = """
[listen]
dicom = ""
hl7 = ""
http = ""
dicom_tls = "127.0.0.1:0"
hl7_tls = "127.0.0.1:0"
http_tls = "127.0.0.1:0"

[tls]
certificate = "{pem}"
key = "{pem}"
ca = "{pem}"

[[domain]]
name = "A"

[[source]]
ae_title = "CT_A"
domain = "A"
certificate = "{fingerprint}"

[[source]]
ae_title = "CT_B"
domain = "A"
certificate = "{other}"

[[feed]]
application = "RIS_A"
authority = ["A", "E"]
certificate = "{fingerprint}"

[[feed]]
application = "RIS_B"
authority = ["A"]
certificate = "{other}"
"""


@pytest.fixture(scope="module")
def production(cluster, tmp_path_factory):
    """An archive with nothing but TLS doors, the client's context and a reader's key."""
    folder = tmp_path_factory.mktemp("production")
    with cluster.database() as urls:
        yield from doors(folder, urls)


def doors(folder, urls):
    """The archive of `folder` over a database, its doors open."""
    _, client, fingerprint = server_and_client(folder)
    pem = folder / "certificate.pem"
    config = CONFIG.format(pem=pem, fingerprint=fingerprint, other="0" * 64)
    (folder / "hospital.toml").write_text(config, encoding="utf-8")
    archive = Archive(folder, urls, config)
    key = reconcile(archive, "key", "add", "--name", "test", "--role", "reader").strip()
    with archive:
        yield archive, client, key, pem


def reconcile(archive: Archive, *words: str) -> str:
    """What a command of an archive prints."""
    folder = archive.folder
    named = ("--config", str(folder / "hospital.toml"), "--data", str(folder / "data"))
    command = [sys.executable, "-m", "reconcile", *words, *named]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **archive.environment()},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def associate(production, title, context):
    archive = production[0]
    scu = ApplicationEntity(title)
    scu.add_requested_context(CT, "1.2.840.10008.1.2.1")
    host, port = archive.doors.dicom
    tls = (context, "localhost") if context else None
    return scu.associate(host, port, ae_title="RECONCILE", tls_args=tls)


def test_a_known_certificate_stores_over_tls(production):
    """
    The scanner shows the certificate that its source names, and is answered B000.
    """
    association = associate(production, "CT_A", production[1])
    assert association.is_established

    assert 0xB000 == association.send_c_store(instance()).Status
    association.release()


@pytest.mark.parametrize(("title", "shows"), [("CT_B", True), ("CT_A", False)])
def test_who_shows_another_certificate_or_none_is_not_let_in(production, title, shows):
    """
    An AE title is no authentication: it is bound to a certificate.
    """
    assert not associate(production, title, production[1] if shows else None).is_established


@pytest.mark.parametrize(("sender", "told"), [("RIS_A", "AA"), ("RIS_B", "AR")])
def test_messages_come_over_tls(production, sender, told):
    """
    MLLP within TLS (ITI-19); each feed by the certificate that it is bound to.
    """
    archive, context, _, _ = production
    client = MLLPClient(*archive.doors.hl7)
    client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
    message = adt("A28", "100^^^A", "DOE^JANE", "19800102", "F", sender=sender)
    answer = client.send_message(archive.numbered(message))
    client.close()

    assert f"MSA|{told}".encode() in answer


@pytest.mark.parametrize(
    ("key", "status"), [("", 401), ("rk_000000000000_" + "a" * 43, 401), (None, 200)]
)
def test_the_pages_ask_for_a_key(production, key, status):
    """
    Nobody without a key, nobody with a wrong one.
    """
    archive, _, good, pem = production
    url = "https://{}:{}/api/v1/coercions".format(*archive.doors.http)
    shown = good if key is None else key
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}

    assert (
        status
        == httpx.get(
            url, headers=headers, verify=ssl.create_default_context(cafile=str(pem))
        ).status_code
    )


def test_the_doors_are_closed_without_tls(production):
    """
    There is no plain HTTP behind the TLS port.
    """
    host, port = production[0].doors.http
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{host}:{port}/healthz")


def test_who_was_turned_away_is_told_with_certificate_and_reason(production):
    """
    The last of it is the handshake of one without a certificate.
    """
    archive, context, _, _ = production
    assert not associate(production, "CT_B", context).is_established
    assert eventually(lambda: bool(told_of(archive, "--ae", "CT_B")), 60)
    [last, *_] = told_of(archive, "--ae", "CT_B")
    reason = "calling AE title not recognised by certificate"
    assert (last["outcome"], last["reason"], last["tls"]) == ("rejected", reason, True)
    assert last["certificate"]

    assert not associate(production, "CT_A", None).is_established
    assert eventually(lambda: bool(told_of(archive, "--outcome", "failed")), 60)


def told_of(archive: Archive, *words: str) -> list[dict[str, object]]:
    with suppress(AssertionError):
        lines = reconcile(archive, "association", "list", "--json", *words)
        return [json.loads(line) for line in lines.splitlines()]
    return []
