"""STOW-RS, over a real server, a real registry and real files."""

from __future__ import annotations

import hashlib
import random
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset

from reconcile.core.facts import Source
from reconcile.flows.keys import make_key
from reconcile.web import stow
from reconcile.web.parts import Parts
from tests.support.archive import open_door
from tests.support.database import Cluster
from tests.support.hospital import CT_A, JANE, Hospital
from tests.support.instances import data_offset, instance, part10, uid
from tests.support.multipart import BOUNDARY, RELATED, body, part

AS_RECEIVED = Source("PLAIN", domain="A", coerce=False)
SILENT = Source("SILENT", domain="A", warn=False)
LISTED = {each.ae_title: each for each in (CT_A, AS_RECEIVED, SILENT)}
STUDIES = "/dicom-web/studies"
LARGE_BYTES = 3 << 20

RETRIEVE_URL, FAILED, REFERENCED, OTHER = "00081190", "00081198", "00081199", "0008119A"
WARNING_REASON, FAILURE_REASON = "00081196", "00081197"


@pytest.fixture(scope="module")
def hospital(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with cluster.database() as urls:
        folder = tmp_path_factory.mktemp("instances")
        found = Hospital.at(urls.writer, folder, urls.reader)
        found.patient(JANE, "100^^^A", "E1^^^E")
        yield found


@contextmanager
def door(hospital: Hospital, **more: Any) -> Iterator[httpx.Client]:
    parts = Parts(
        hospital.database,
        hospital.storage,
        hospital.rules,
        listed=LISTED.get,
        **{"require_keys": False, **more},
    )
    with open_door(parts) as client:
        yield client


@pytest.fixture(scope="module")
def client(hospital: Hospital) -> Iterator[httpx.Client]:
    with door(hospital) as opened:
        yield opened


def post(
    client: httpx.Client,
    content: bytes,
    path: str = STUDIES,
    *,
    source: str = "CT_A",
    content_type: str = RELATED,
    **headers: str,
) -> httpx.Response:
    said = {"Content-Type": content_type, **headers}
    named = {"source": source} if source else {}
    return client.post(path, content=content, params=named, headers=said)


def store(client: httpx.Client, *datasets: Dataset, **more: Any) -> httpx.Response:
    return post(client, body(map(part10, datasets)), **more)


def items(answer: httpx.Response, tag: str) -> list[Any]:
    found: list[Any] = answer.json().get(tag, {}).get("Value", [])
    return found


def one(item: Any, tag: str) -> Any:
    [value] = item[tag]["Value"]
    return value


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not become so"
        time.sleep(0.01)


# -- What is stored ---------------------------------------------------------------------


def test_what_is_coerced_is_told_with_what_was_there_before(client: httpx.Client) -> None:
    """
    202, Warning Reason B000 and the item of Original Attributes; the address given is
    where the instance is, with its received bytes beside it.
    """
    image = instance()
    answer = store(client, image)
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/dicom+json"
    assert "B000" in answer.headers["warning"]
    [told] = items(answer, REFERENCED)
    assert one(told, "00081155") == image.SOPInstanceUID
    assert one(told, "00081150") == image.SOPClassUID
    assert one(told, WARNING_REASON) == 45056
    [originals] = told["04000561"]["Value"]
    assert sorted(originals) == ["04000550", "04000562", "04000563", "04000565"]
    [previous] = originals["04000550"]["Value"]
    assert one(previous, "00100020") == "100"
    assert not items(answer, FAILED)

    address = one(told, RETRIEVE_URL)
    given = client.get(address, headers={"Accept": "application/dicom"})
    assert pydicom.dcmread(BytesIO(given.content)).PatientID == "E1"
    assert address.startswith(one(answer.json(), RETRIEVE_URL))
    assert answer.headers["location"] == one(answer.json(), RETRIEVE_URL)
    got = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/received").content
    came = part10(image)
    assert got[data_offset(got) :] == came[data_offset(came) :]
    [event] = client.get(
        "/api/v1/coercions", params={"instance": str(image.SOPInstanceUID)}
    ).json()["items"]
    assert event["cause"] == "stow-rs"
    assert event["actor"] == "CT_A"
    assert event["cause_id"].startswith("CT_A/stow/")


def test_what_was_stored_so_can_be_taken_back(client: httpx.Client) -> None:
    """
    As after a C-STORE: it is given out as it came, and its study is held.
    """
    image = instance()
    store(client, image)
    wanted = {"instance": str(image.SOPInstanceUID)}
    [event] = client.get("/api/v1/coercions", params=wanted).json()["items"]
    undo = client.post(f"/api/v1/coercions/{event['id']}/undo", json={"reason": "test"})
    assert undo.status_code == 201, undo.text
    given = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/file").content
    came = part10(image)
    assert given[data_offset(given) :] == came[data_offset(came) :]
    holds = client.get("/api/v1/holds", params={"code": "UNDONE"}).json()["items"]
    assert image.SOPInstanceUID in [uid for e in holds for uid in e["sop_instance_uids"]]


@pytest.mark.parametrize("source", ["PLAIN", "SILENT"])
def test_what_nobody_is_to_be_warned_of_is_200(client: httpx.Client, source: str) -> None:
    """
    Nothing was coerced, or the source wants no warning.
    """
    answer = store(client, instance(), source=source)
    assert answer.status_code == 200
    [told] = items(answer, REFERENCED)
    assert WARNING_REASON not in told
    assert "warning" not in answer.headers


def test_many_are_stored_in_one_request(client: httpx.Client) -> None:
    """
    More than are under way at once; each is told in its order.
    """
    study, series = uid(), uid()
    images = [
        instance(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=n)
        for n in range(12)
    ]
    answer = store(client, *images, path=f"{STUDIES}/{study}")
    named = [one(told, "00081155") for told in items(answer, REFERENCED)]
    assert named == [image.SOPInstanceUID for image in images]
    for image in images:
        got = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/received").content
        assert pydicom.dcmread(BytesIO(got)).InstanceNumber == image.InstanceNumber


def test_what_is_large_goes_through_the_spool(
    client: httpx.Client, hospital: Hospital
) -> None:
    """
    Bit for bit, and nothing is left in the spool.
    """
    image = instance(Rows=1024, Columns=1536, PixelData=bytes(range(256)) * 12288)
    assert len(image.PixelData) == LARGE_BYTES
    small = instance()
    answer = store(client, image, small)
    assert len(items(answer, REFERENCED)) == 2
    got = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/received").content
    came = part10(image)
    assert got[data_offset(got) :] == came[data_offset(came) :]
    assert hospital.storage.spooled() == []


@pytest.mark.parametrize("pixels", [32, LARGE_BYTES])
def test_a_bare_data_set_is_taken_too(client: httpx.Client, pixels: int) -> None:
    """
    Without meta information, as an import takes it; in memory and in the spool.
    """
    image = instance(PixelData=bytes(pixels))
    file = part10(image)
    bare = file[data_offset(file) :]
    answer = post(client, body([bare]))
    [told] = items(answer, REFERENCED)
    assert one(told, "00081155") == image.SOPInstanceUID
    got = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/received").content
    assert got[data_offset(got) :] == bare


def test_whatever_comes_is_answered(client: httpx.Client, hospital: Hospital) -> None:
    """
    Files with bytes changed, cut off or put in: stored or refused, and never our fault.
    """
    noise = random.Random(20261125)
    damaged = []
    for _ in range(150):
        file = bytearray(part10(instance()))
        for _ in range(noise.randrange(1, 6)):
            place = noise.randrange(120, len(file))
            file[place : place + noise.randrange(3)] = noise.randbytes(noise.randrange(4))
        damaged.append(bytes(file[: noise.choice((len(file), noise.randrange(len(file))))]))
    answer = post(client, body(damaged))
    assert answer.status_code == 202
    told = [*items(answer, FAILED), *items(answer, OTHER)]
    assert len(told) + len(items(answer, REFERENCED)) == len(damaged)
    reasons = {one(each, FAILURE_REASON) for each in told}
    assert reasons
    assert reasons.isdisjoint({0x0110})
    assert hospital.storage.spooled() == []


def test_the_same_again_is_known(client: httpx.Client) -> None:
    """
    What is sent twice is one instance, told in the same words.
    """
    image = instance()
    first, second = store(client, image), store(client, image)
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()


def test_without_a_source_an_issuer_is_missing(client: httpx.Client) -> None:
    """
    On loopback nobody need say who sends; then nobody says who issued the Patient ID.
    """
    image = instance()
    answer = store(client, image, source="")
    assert answer.status_code in (200, 202)
    holds = client.get("/api/v1/holds", params={"code": "ISSUER-MISSING"}).json()["items"]
    assert [image.SOPInstanceUID] in [each["sop_instance_uids"] for each in holds]


# -- What is refused --------------------------------------------------------------------


def test_what_is_wrong_harms_none_beside_it(client: httpx.Client) -> None:
    """
    Of no DICOM file, one without a UID and one of another type only the reason is told.
    """
    good = instance()
    nameless = part10(instance())
    nameless = nameless.replace(b"\x08\x00\x18\x00UI", b"\x08\x00\x19\x00UI")
    content = b"".join(
        (
            part(b"not a DICOM file"),
            part(part10(good)),
            part(b""),
            part(nameless),
            part(b"{}", {"Content-Type": "application/dicom+json"}),
            f"\r\n--{BOUNDARY}--\r\n".encode("ascii"),
        )
    )
    answer = post(client, content)
    assert answer.status_code == 202
    [told] = items(answer, REFERENCED)
    assert one(told, "00081155") == good.SOPInstanceUID
    reasons = [one(each, FAILURE_REASON) for each in items(answer, OTHER)]
    named = [one(each, FAILURE_REASON) for each in items(answer, FAILED)]
    assert sorted(reasons + named) == [0xC000, 0xC000, 0xC000, 0xC001]


def test_what_came_before_a_fault_is_kept_and_told(client: httpx.Client) -> None:
    """
    A body that is cut off, or goes on as something else.
    """
    broken = f"\r\n--{BOUNDARY}\r\nno field\r\n\r\n".encode("ascii")
    for rest in (broken, part(b"cut off")):
        image = instance()
        answer = post(client, part(part10(image)) + rest)
        assert answer.status_code == 202
        [told] = items(answer, REFERENCED)
        assert one(told, "00081155") == image.SOPInstanceUID
        assert [one(each, FAILURE_REASON) for each in items(answer, OTHER)] == [0xC000]
        found = client.get(f"/api/v1/instances/{image.SOPInstanceUID}/received")
        assert found.status_code == 200


def test_a_body_of_nothing_is_a_problem(client: httpx.Client) -> None:
    """
    400 where no instance can be named.
    """
    closed = f"--{BOUNDARY}--".encode("ascii")
    for content in (b"", closed, b"words", part(b"cut off"), body([b"not DICOM"])):
        answer = post(client, content)
        assert answer.status_code == 400, content
        assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_of_another_study_is_refused(client: httpx.Client) -> None:
    """
    Study Instance UID as sent is compared, before anything is coerced.
    """
    image, other = instance(), instance()
    path = f"{STUDIES}/{image.StudyInstanceUID}"
    refused = store(client, other, path=path)
    assert refused.status_code == 409
    [told] = items(refused, FAILED)
    assert one(told, "00081155") == other.SOPInstanceUID
    assert one(told, FAILURE_REASON) == 0xA902
    both = store(client, image, other, path=path)
    assert both.status_code == 202
    assert [len(items(both, tag)) for tag in (REFERENCED, FAILED)] == [1, 1]
    missing = client.get(f"/api/v1/instances/{other.SOPInstanceUID}/received")
    assert missing.status_code == 404


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/dicom",
        f"multipart/related; boundary={BOUNDARY}",
        f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}',
        f'multipart/form-data; type="application/dicom"; boundary={BOUNDARY}',
    ],
)
def test_another_media_type_is_415(client: httpx.Client, content_type: str) -> None:
    """
    Only instances are taken, in a multipart.
    """
    answer = post(client, body([part10(instance())]), content_type=content_type)
    assert answer.status_code == 415


def test_other_codings_and_answers_are_not_taken(client: httpx.Client) -> None:
    """
    Nothing is inflated; answers are JSON.
    """
    content = body([part10(instance())])
    packed = client.post(
        STUDIES,
        content=content,
        headers={"Content-Type": RELATED, "Content-Encoding": "gzip"},
    )
    assert packed.status_code == 415
    assert post(client, content, Accept="application/dicom+xml").status_code == 406
    unbounded = 'multipart/related; type="application/dicom"'
    assert post(client, content, content_type=unbounded).status_code == 400


def test_what_is_too_large_is_413(hospital: Hospital) -> None:
    """
    Of one instance; what fits is stored beside it. One that never ends is cut off.
    """
    image = instance(PixelData=bytes(150_000))
    with door(hospital, instance_bytes_max=100_000) as client:
        alone = store(client, image)
        beside = store(client, image, instance())
        endless = store(client, instance(PixelData=bytes(500_000)))
    assert alone.status_code == endless.status_code == 413
    assert beside.status_code == 202
    assert len(items(beside, REFERENCED)) == 1
    assert [one(each, FAILURE_REASON) for each in items(beside, OTHER)] == [0xA702]
    assert hospital.storage.spooled() == []


def test_who_goes_away_leaves_nothing(client: httpx.Client, hospital: Hospital) -> None:
    """
    What had come whole is stored; the part that had not is removed from the spool.
    """
    image = instance()
    large = part10(instance(Rows=1024, Columns=1536, PixelData=bytes(LARGE_BYTES)))
    content = part(part10(image)) + part(large[:-1000])
    url = client.base_url
    head = (
        f"POST {STUDIES}?source=CT_A HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n"
        f"Content-Type: {RELATED}\r\nContent-Length: {len(content) + 5000}\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 0), 20) as sender:
        sender.sendall(head.encode("ascii") + content)
        wait_until(lambda: bool(hospital.storage.spooled()))
    wait_until(lambda: not hospital.storage.spooled())
    path = f"/api/v1/instances/{image.SOPInstanceUID}/received"
    wait_until(lambda: client.get(path).status_code == 200)


@pytest.mark.parametrize("drips", [False, True])
def test_a_body_that_does_not_come_is_not_waited_for(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, drips: bool
) -> None:
    """
    Neither one that stands still, nor one that drips; what had come whole is told.
    """
    monkeypatch.setattr(stow, "SILENCE_SECONDS", 0.3)
    image = instance()

    def slow(begin: bytes) -> Iterator[bytes]:
        yield begin
        for _ in range(40):
            time.sleep(0.05 if drips else 2)
            yield b"x" if drips else b""
            if not drips:
                return

    for begin, status in ((part(b"x"), 408), (part(part10(image)) + part(b"x"), 202)):
        answer = client.post(
            STUDIES,
            content=slow(begin),
            params={"source": "CT_A"},
            headers={"Content-Type": RELATED},
        )
        assert answer.status_code == status


# -- Who may ----------------------------------------------------------------------------


def test_a_key_stores_as_its_source(cluster: Cluster, tmp_path: Any) -> None:
    """
    Whatever its role; a key without one, or with one that is gone, stores nothing.
    """
    with cluster.database() as urls:
        hospital = Hospital.at(urls.writer, tmp_path, urls.reader)
        keys = {
            source: make_key(hospital.database, name="x", role="reader", source=source)
            for source in ("CT_A", "GONE", "")
        }
        steward = make_key(hospital.database, name="x", role="steward")
        content = body([part10(instance())])
        with door(hospital, require_keys=True) as client:

            def status(key: str, source: str = "") -> int:
                said = {"Authorization": f"Bearer {key}"}
                return post(client, content, source=source, **said).status_code

            assert post(client, content).status_code == 401
            assert status(keys["CT_A"]) == 202
            assert status(keys["CT_A"], "CT_A") == 202
            assert status(keys["CT_A"], "PLAIN") == 403
            assert status(keys["GONE"]) == 403
            assert status(keys[""]) == status(steward, "CT_A") == 403
            stored = client.get(
                "/api/v1/coercions", headers={"Authorization": f"Bearer {steward}"}
            )
            assert [each["actor"] for each in stored.json()["items"]] == ["CT_A"]


def test_a_source_that_is_not_configured_is_not_taken(client: httpx.Client) -> None:
    """
    400, and nothing is stored under a name that somebody mistyped.
    """
    assert store(client, instance(), source="CT_B").status_code == 400


# -- Memory -----------------------------------------------------------------------------


def test_a_large_instance_is_never_in_memory(client: httpx.Client) -> None:
    """
    Neither on its way in nor on its way out: of 96 MiB a few are held at a time.
    """
    pixels = 96 << 20
    head = part10(instance(Rows=4096, Columns=12288, PixelData=None))
    head += b"\xe0\x7f\x10\x00OW\0\0" + pixels.to_bytes(4, "little")
    digest = hashlib.sha256(head[data_offset(head) :])

    def sent() -> Iterator[bytes]:
        yield part(head)
        for n in range(96):
            chunk = bytes([n]) * (1 << 20)
            digest.update(chunk)
            yield chunk
        yield f"\r\n--{BOUNDARY}--".encode("ascii")

    tracemalloc.start()
    try:
        answer = client.post(
            STUDIES,
            content=sent(),
            params={"source": "PLAIN"},
            headers={"Content-Type": RELATED},
        )
        [told] = items(answer, REFERENCED)
        path = f"/api/v1/instances/{one(told, '00081155')}/receipts"
        [receipt] = client.get(path).json()["items"]
        address = one(told, RETRIEVE_URL)
        with client.stream("GET", address) as given:
            length = sum(map(len, given.iter_raw(1 << 20)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert receipt["digest"] == digest.hexdigest()
    assert length > pixels
    assert peak < 32 << 20
