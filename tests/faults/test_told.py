"""Nothing that happened goes untold, whatever is killed; as it is run, over real doors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from reconcile.db.embedded import Urls
from tests.support.instances import instance, uid
from tests.support.listening import Heard, availability_scp, web_server
from tests.support.running import HOSPITAL, Archive, code

CONFIG = """
[[notify]]
name = "ops"
url = "{url}"
secret_file = "secret"
on = ["hold", "message", "study-received"]

[[destination]]
ae_title = "WORKFLOW"
host = "127.0.0.1"
port = {port}
availability = true
"""


def wait_until(holds: Callable[[], bool], seconds: float = 150) -> bool:
    """Whether something holds within some time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.2)
    return False


def told(heard: Heard, event: str) -> list[str]:
    """The studies, or items, that were told of, each notice once."""
    notices = {json.loads(body)["id"]: json.loads(body) for _, body in list(heard.requests)}
    return [
        each.get("study_instance_uid") or each["item"]
        for each in notices.values()
        if each["event"] == event
    ]


def held_study() -> dict[str, str]:
    """A patient whom name and birth date contradict."""
    return {
        "StudyInstanceUID": uid(),
        "PatientName": "OTHER^BODY",
        "PatientBirthDate": "20010101",
    }


def test_all_is_told_over_kill_9_of_who_tells_and_of_all(
    database_urls: Urls, tmp_path
) -> None:
    """
    Stored, then killed: the jobs process alone, then the whole tree. What was stored is
    told once it is back, each study once; and SIGTERM ends it all in order.
    """
    (tmp_path / "secret").write_text("s3cret")
    with web_server() as heard, availability_scp() as peer:
        config = HOSPITAL.replace("receivers = 1", "receivers = 1\nquiet = 1")
        config += CONFIG.format(url=heard.url, port=peer.port)
        archive = Archive(tmp_path, database_urls, config)
        with archive:
            archive.register()
            first = held_study()
            archive.store(instance(**first))
            [jobs] = archive.workers("jobs")
            jobs.kill()
            second = held_study()
            archive.store(instance(**second))
            studies = {first["StudyInstanceUID"], second["StudyInstanceUID"]}
            assert wait_until(lambda: set(told(heard, "hold")) == studies)
            assert wait_until(lambda: set(told(heard, "study-received")) == studies)
            third = held_study()
            archive.store(instance(**third))
            archive.kill()
            studies.add(third["StudyInstanceUID"])

            archive.start()
            unknown = (
                "MSH|^~\\&|RIS_A||RECONCILE||20260301100000||ADT^A08^ADT_A01|{id}|P|2.5\r"
            )
            unknown += "EVN||20260301100000\rPID|||1^^^NOBODYS||DOE^JANE||19800102|F\r"
            assert "AA" == code(archive.send(unknown))
            assert wait_until(lambda: 1 == len(told(heard, "message")))
            assert wait_until(lambda: set(told(heard, "hold")) == studies)
            assert wait_until(lambda: set(told(heard, "study-received")) == studies)
            assert wait_until(lambda: len(peer.told) == 3)
            assert sorted(told(heard, "hold")) == sorted(studies)
            listed = archive.items("/api/v1/notifications")
            assert {each["state"] for each in listed} <= {"sent", "waiting"}
            assert 0 == archive.stop()
        assert "Traceback" not in archive.log()
        assert {said.StudyInstanceUID for _, said in peer.told} == studies
        assert "OTHER" not in archive.log()
