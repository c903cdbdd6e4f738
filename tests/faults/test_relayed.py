"""Corrections by HL7 and performed steps get to who was away, also after a crash."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from reconcile.db.embedded import Urls
from tests.faults.test_forwarded import viewer
from tests.faults.test_forwarded import wait_until as wait_for
from tests.integration.test_relaying_steps import ris
from tests.support.hl7_receiver import receiving
from tests.support.instances import instance, uid
from tests.support.messages import joined
from tests.support.performing import Step, begun, ended, scheduled
from tests.support.running import HOSPITAL, Archive, code

CONFIG = """
[[destination]]
ae_title = "VIEWER"
host = "127.0.0.1"
port = {viewer}
domain = "A"
on_correction = "hl7"
hl7 = "127.0.0.1:{hl7}"

[[forward]]
to = "VIEWER"

[[destination]]
ae_title = "RIS"
host = "127.0.0.1"
port = {ris}
performed = "coerced"
"""


def wait_until(holds: Callable[[], bool]) -> bool:
    return wait_for(holds, 60)


def test_what_is_told_gets_there_over_a_crash(database_urls: Urls, tmp_path: Path) -> None:
    """
    Neither takes anything while a patient is merged and a step is performed, and the
    archive is killed: then each is told all, in order.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with receiving() as receiver, ris() as peer:
        receiver.answer = lambda message: "AR"
        peer.status = 0x0213
        said = CONFIG.format(viewer=port, hl7=receiver.port, ris=peer.port)
        with Archive(tmp_path / "archive", database_urls, HOSPITAL + said) as archive:
            archive.register()
            path = "/api/v1/deliveries"
            with viewer(port, tmp_path / "got", tmp_path / "storescp.log"):
                archive.store(instance())
                assert wait_until(lambda: any((tmp_path / "got").iterdir()))
                assert wait_until(
                    lambda: (
                        [e["sent"] for e in archive.get(path, done=True)["items"]] == [1]
                    )
                )
            assert code(archive.send(joined("A40", "200^^^A", "100^^^A"))) == "AA"
            step = Step(archive.doors.dicom[1])
            assert step.create(begun(scheduled(uid()))).Status == 0
            assert step.set(ended()).Status == 0

            def waiting() -> dict[str, int]:
                rows = archive.get(path)["messages"]
                return {each["lane"]: each["waiting"] for each in rows if each["error"]}

            assert wait_until(lambda: waiting() == {"patients": 2, step.uid: 2})
            archive.kill()
            receiver.answer, peer.status = lambda message: "AA", 0
            archive.start()
            for each in ("VIEWER", "RIS"):
                done = archive.http.post(f"{path}/retry", json={"destination": each})
                assert done.status_code == 200
            assert wait_until(lambda: len(peer.got) == 2 and len(receiver.got) == 2)
            assert archive.stop() == 0
    assert [each[:2] for each in peer.got] == [
        ("N-CREATE", step.uid),
        ("N-SET", step.uid),
    ]
    create = peer.got[0][2]
    assert (create.PatientID, create.IssuerOfPatientID) == ("E2", "E")
    fields = receiver.values("MSH.9.2", "PID.3.1", "MRG.1.1")
    assert fields == [("A40", "200", "100"), ("A08", "200", "")]
