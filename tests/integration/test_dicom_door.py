"""The DICOM door on real sockets: what goes through, and what is negotiated."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import _config
from pynetdicom.pdu_primitives import (
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
)

from reconcile import errors
from reconcile.core.facts import Source
from reconcile.dicom.acceptor import DicomDoor, listen
from reconcile.dicom.limits import Limits
from reconcile.dicom.policy import Peer, Policy
from reconcile.flows.arrival import Arrival, Stored
from tests.support.certificates import server_and_client
from tests.support.door import (
    CT,
    EXPLICIT,
    IMPLICIT,
    MR,
    PEERS,
    VERIFICATION,
    Doorway,
    Wire,
    associate_rq,
    c_store_rq,
    changed,
    connect,
    doorway,
    eventually,
    instance,
    p_data,
    scu,
    serving,
)
from tests.support.kept import digests, file_of


def test_echo(way: Doorway) -> None:
    """C-ECHO is answered 0000 (PS3.4 Annex A)."""
    association = connect(way)
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert way.is_empty()


def test_an_instance_is_stored_as_it_was_sent(way: Doorway) -> None:
    """The bytes of the data set are in the storage, and the flow was told about them."""
    association = connect(way)
    status = association.send_c_store(instance(), msg_id=17)
    association.release()
    assert status.Status == 0x0000
    assert "ErrorComment" not in status
    (arrival,) = way.arrivals
    assert (arrival.sop_class_uid, arrival.sop_instance_uid) == (CT, "1.2.3.4")
    assert (arrival.transfer_syntax, arrival.message_id) == (EXPLICIT, 17)
    assert (arrival.source, arrival.peer_address) == (Source("CT_A"), "127.0.0.1")
    stored = dcmread(BytesIO(file_of(way.storage, arrival.digest)))
    assert stored == instance()
    assert way.spool_is_empty()


def test_coerced_is_answered_with_the_elements(way: Doorway) -> None:
    """B000 with Offending Element and Error Comment arrives at the sender."""
    way.answer = lambda _: Stored(coerced=("00100020", "0020000D"))
    association = connect(way)
    status = association.send_c_store(instance())
    association.release()
    assert status.Status == 0xB000
    assert list(status.OffendingElement) == [0x00100020, 0x0020000D]
    assert status.ErrorComment == "coerced PatientID StudyInstanceUID"


def test_a_source_that_wants_no_warning_is_answered_success(way: Doorway) -> None:
    """`warn = false`: 0000 although something was coerced."""
    way.answer = lambda _: Stored(coerced=("00100020",))
    association = connect(way, title="CT_QUIET")
    assert association.send_c_store(instance()).Status == 0x0000
    association.release()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.StorageFull("no room"), 0xA701),
        (errors.SOPInstanceMismatch("1.2"), 0xA901),
        (errors.CannotUnderstand("not DICOM"), 0xC000),
        (errors.NotAuthorised("no"), 0x0124),
    ],
)
def test_an_error_of_the_flow_is_a_status(
    way: Doorway, error: errors.ReconcileError, code: int
) -> None:
    """The association lives on, and nothing stays in the spool."""

    def refuse(_: Arrival) -> Stored:
        raise error

    way.answer = refuse
    association = connect(way)
    status = association.send_c_store(instance())
    assert (status.Status, status.ErrorComment) == (code, str(error))
    assert way.spool_is_empty()
    way.answer = lambda _: Stored()
    assert association.send_c_store(instance()).Status == 0x0000
    association.release()


def test_an_unexpected_error_is_0110_and_says_nothing(
    way: Doorway, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the answer nor the log repeats what may be patient data."""

    def fail(_: Arrival) -> Stored:
        raise ValueError("DOE^JANE")

    way.answer = fail
    association = connect(way)
    with caplog.at_level(logging.INFO):
        status = association.send_c_store(instance())
    assert status.Status == 0x0110
    assert "DOE" not in str(status) + caplog.text
    assert "ValueError" in caplog.text
    assert "1.2.3.4" in caplog.text
    assert association.send_c_echo().Status == 0x0000
    association.release()
    assert way.spool_is_empty()


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("CT_small.dcm", "1.2.840.10008.1.2.1"),
        ("MR_small_implicit.dcm", "1.2.840.10008.1.2"),
        ("MR_small_bigendian.dcm", "1.2.840.10008.1.2.2"),
        ("MR_small_RLE.dcm", "1.2.840.10008.1.2.5"),
        ("image_dfl.dcm", "1.2.840.10008.1.2.1.99"),
        ("SC_rgb_jpeg_dcmtk.dcm", "1.2.840.10008.1.2.4.50"),
        ("MR_small_jpeg_ls_lossless.dcm", "1.2.840.10008.1.2.4.80"),
        ("JPEG2000.dcm", "1.2.840.10008.1.2.4.91"),
    ],
)
def test_every_transfer_syntax_is_taken_as_it_is(
    way: Doorway, name: str, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compressed, deflated and big endian: nothing is converted."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)  # send it as it is
    path = str(get_testdata_file(name))
    sent = dcmread(path)
    association = connect(way, (str(sent.file_meta.MediaStorageSOPClassUID), syntax))
    assert association.send_c_store(path).Status == 0x0000
    association.release()
    (arrival,) = way.arrivals
    assert arrival.transfer_syntax == syntax
    assert Path(path).read_bytes().endswith(way.data_sets()[0])


@pytest.mark.parametrize(
    "uid", ["1.3.46.670589.11.0.0.12.1", "1.2.840.10008.5.1.4.1.1.999"]
)
def test_a_class_that_no_library_knows_is_stored(way: Doorway, uid: str) -> None:
    """Private storage classes, and standard ones to come."""
    association = connect(way, (uid, EXPLICIT))
    assert association.send_c_store(instance(sop_class=uid)).Status == 0x0000
    association.release()


def test_many_contexts_are_negotiated_quickly(way: Doorway) -> None:
    """128 contexts with 40 transfer syntaxes each do not stall the door."""
    from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts

    uids = [str(cx.abstract_syntax) for cx in AllStoragePresentationContexts[:128]]
    began = time.perf_counter()
    association = connect(way, *((uid, list(ALL_TRANSFER_SYNTAXES)) for uid in uids))
    print(f"128 x {len(ALL_TRANSFER_SYNTAXES)}: {time.perf_counter() - began:.2f} s")
    assert len(association.accepted_contexts) == 128
    association.release()


@pytest.mark.parametrize(("title", "coerces"), [("CT_A", 1), ("CT_PLAIN", 0)])
def test_extended_negotiation_is_answered(way: Doorway, title: str, coerces: int) -> None:
    """Six bytes for each class proposed with the sub-item, and for no other."""
    proposal = SOPClassExtendedNegotiation()
    proposal.sop_class_uid = CT
    proposal.service_class_application_information = bytes((3, 0, 0, 0, 2, 0))
    association = connect(
        way, (CT, EXPLICIT), (MR, EXPLICIT), title=title, ext_neg=[proposal]
    )
    assert association.acceptor.sop_class_extended == {CT: bytes((2, 0, 1, 0, coerces, 0))}
    association.release()


def test_a_declared_storage_class_is_taken(way: Doorway) -> None:
    """SOP Class Common Extended Negotiation makes an unknown class storage."""
    uid = "1.2.840.10008.5.1.4.99.1"
    declaration = SOPClassCommonExtendedNegotiation()
    declaration.sop_class_uid = uid
    declaration.service_class_uid = "1.2.840.10008.4.2"
    cases: list[tuple[list[Any], bool]] = [([declaration], True), ([], False)]
    for ext_neg, taken in cases:
        ae = scu((VERIFICATION, IMPLICIT), (uid, EXPLICIT))
        association = ae.associate(
            "127.0.0.1", way.port, ae_title="RECONCILE", ext_neg=ext_neg
        )
        accepted = {str(cx.abstract_syntax) for cx in association.accepted_contexts}
        assert (uid in accepted) == taken
        association.release()


def test_what_is_not_storage_is_refused_by_context(way: Doorway) -> None:
    """Result 3 for print, media storage and unified steps; the association stands."""
    others = ["1.2.840.10008.5.1.1.9", "1.2.840.10008.1.3.10"]
    others += ["1.2.840.10008.5.1.4.34.6.1"]
    association = connect(
        way, (VERIFICATION, IMPLICIT), *((uid, EXPLICIT) for uid in others)
    )
    assert {str(cx.abstract_syntax): cx.result for cx in association.rejected_contexts} == (
        dict.fromkeys(others, 3)
    )
    association.release()


@pytest.mark.parametrize(
    ("calling", "called", "expected"),
    [
        ("NOBODY", "RECONCILE", (1, 1, 3)),
        ("CT_A", "OTHER", (1, 1, 7)),
        ("CT_FAR", "RECONCILE", (1, 1, 3)),
    ],
)
def test_who_is_not_expected_is_rejected(
    tmp_path: Path, calling: str, called: str, expected: tuple[int, ...]
) -> None:
    """Unknown calling AE title, wrong called AE title, wrong address."""
    peers = {"CT_A": Peer(Source("CT_A")), "CT_FAR": Peer(Source("CT_FAR"), "10.0.0.1")}
    with doorway(tmp_path, peers=peers) as way, Wire(way.port) as wire:
        wire.send(associate_rq(calling, called))
        kind, body = wire.receive()
        assert (kind, tuple(body[1:])) == (3, expected)
        assert wire.receive() == (0, b"")


def test_unknown_peers_are_taken_if_the_setting_says_so(tmp_path: Path) -> None:
    """`accept_unknown` with the defaults of a source; they may not query."""
    with doorway(tmp_path, accept_unknown=True) as way:
        association = connect(way, title="NOBODY")
        association.send_c_store(instance())
        association.release()
        assert way.arrivals[0].source == Source("NOBODY", query=False)


def test_idle_associations_cost_nothing(tmp_path: Path) -> None:
    """No thread each, and nothing polls: the processor time of 100 is printed."""
    with doorway(tmp_path, changed(associations=100, associations_per_peer=100)) as way:
        with Wire(way.port) as wire:
            wire.associate()  # the door's own threads are there now
            threads = threading.active_count()
        wires = [Wire(way.port) for _ in range(100)]
        for wire in wires:
            wire.associate()
        assert threading.active_count() == threads
        process = psutil.Process()
        before = sum(process.cpu_times()[:2])
        time.sleep(2)
        spent = sum(process.cpu_times()[:2]) - before
        print(f"100 idle associations: {spent / 2:.1%} of a core")
        assert way.door.associations == 100
        for wire in wires:
            wire.socket.close()
        assert way.is_empty()


def test_an_answer_comes_in_one_piece(way: Doorway) -> None:
    """A whole C-STORE-RSP in one segment: no peer waits for the rest of it."""
    with Wire(way.port) as wire:
        wire.associate()
        for number in range(20):
            wire.send(p_data(3, c_store_rq(number)), p_data(2, b"data set"))
            answer = wire.socket.recv(65536)
            assert len(answer) == 6 + int.from_bytes(answer[2:6], "big")


def test_many_peers_store_at_once(way: Doorway) -> None:
    """Eight associations, fifty instances each: all there, each answered once."""

    def send(number: int) -> None:
        association = connect(way)
        for n in range(50):
            assert association.send_c_store(instance(f"1.{number}.{n}")).Status == 0
        association.release()

    senders = [threading.Thread(target=send, args=(n,)) for n in range(1, 9)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len({a.sop_instance_uid for a in way.arrivals}) == 400
    assert len(digests(way.storage)) == 400
    assert way.is_empty()


def test_two_processes_serve_one_socket(tmp_path: Path) -> None:
    """A door answers on a socket that was bound elsewhere and came by descriptor."""
    listening = listen("127.0.0.1", 0)
    with serving(tmp_path, listening) as process:
        way = Doorway(None, None, listening.getsockname()[1])  # type: ignore[arg-type]
        association = connect(way)
        assert association.send_c_store(instance()).Status == 0x0000
        association.release()
        assert process.poll() is None


def test_connections_spread_over_processes(tmp_path: Path) -> None:
    """Of those that come at once no process takes all; how even it is, is printed."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    taken = []
    with (
        serving(tmp_path / "one", listening) as one,
        serving(tmp_path / "two", listening) as two,
    ):
        for _ in range(5):
            with ThreadPoolExecutor(8) as threads:
                wires = list(threads.map(Wire, [port] * 8))
                list(threads.map(Wire.associate, wires))
            taken.append([established(process.pid, port) for process in (one, two)])
            for wire in wires:
                wire.socket.close()
            assert eventually(lambda: established(one.pid, port) == 0)
            assert eventually(lambda: established(two.pid, port) == 0)
    print(f"of 8 at once: {taken}")
    assert all(sum(counts) == 8 for counts in taken)
    assert min(map(sum, zip(*taken, strict=True))) >= 10


def established(pid: int, port: int) -> int:
    """How many associations a process has."""
    return sum(
        each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port
        for each in psutil.Process(pid).net_connections("tcp")
    )


def test_a_port_that_is_taken_is_said_in_one_sentence() -> None:
    """Wrong configuration, not a traceback."""
    taken = listen("127.0.0.1", 0)
    with pytest.raises(errors.ConfigurationError):
        listen("127.0.0.1", taken.getsockname()[1])
    taken.close()


def test_an_ae_title_that_is_none_is_a_wrong_configuration(tmp_path: Path) -> None:
    """Said when the door is built."""
    with pytest.raises(errors.ConfigurationError):
        DicomDoor(Policy("X" * 17, PEERS.get), lambda *_: None, tmp_path, Limits())


def test_tls_contexts_are_what_they_seem(tmp_path: Path) -> None:
    """The certificates of these tests require a client certificate."""
    server, _, _ = server_and_client(tmp_path)
    assert server.verify_mode is ssl.CERT_REQUIRED
