"""C-STORE: from its command set to an arrival, and from what became of it to an answer."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from reconcile.dataset.part10 import file_meta
from reconcile.dicom.commands import C_STORE_RQ, CommandSet
from reconcile.dicom.limits import Limits
from reconcile.dicom.messages import Context
from reconcile.dicom.storing import StoreRequest
from reconcile.errors import StorageFull
from reconcile.flows.arrival import Stored
from reconcile.storage.content import InFile, InMemory
from tests.support.door import CT, EXPLICIT, changed
from tests.unit.dicom.peers import SomePeer

CONTEXT = Context(CT, EXPLICIT)
DATA = b"data set" * 100


def request(peer: SomePeer, uid: str = "1.2.3", content: bytes = DATA) -> StoreRequest:
    """One that has come whole."""
    made = StoreRequest(peer, 1, CONTEXT, CommandSet(C_STORE_RQ, 17, 1, CT, uid))
    for at in range(0, len(content), 300):
        made.write(memoryview(content[at : at + 300]))
    made.finish()
    return made


def answered(peer: SomePeer) -> Dataset:
    return decode(BytesIO(peer.responses[-1]), True, True)


@pytest.mark.parametrize("length", range(1, 65))
def test_the_head_of_a_file_is_made_for_every_uid(tmp_path: Path, length: int) -> None:
    """What is remembered of it gives what would have been made anew."""
    for digit in "19":
        peer, uid = SomePeer(tmp_path), digit * length
        request(peer, uid).serve()
        ((arrival, _),) = peer.submitted
        assert isinstance(arrival.content, InMemory)
        assert arrival.content.head == file_meta(CT, uid, EXPLICIT, "CT_A")


def test_a_small_data_set_arrives_in_memory(tmp_path: Path) -> None:
    """With all that is known of it; no file is made."""
    peer = SomePeer(tmp_path)
    made = request(peer)
    assert made.ready
    made.serve()
    ((arrival, _),) = peer.submitted
    assert isinstance(arrival.content, InMemory)
    assert arrival.content.data == DATA
    assert (arrival.digest, arrival.length) == (sha256(DATA).hexdigest(), len(DATA))
    assert (arrival.sop_class_uid, arrival.sop_instance_uid) == (CT, "1.2.3")
    assert (arrival.transfer_syntax, arrival.message_id) == (EXPLICIT, 17)
    assert (arrival.source, arrival.association) == (peer.source, "a-1")
    assert not list(tmp_path.iterdir())


def test_a_large_data_set_arrives_in_a_file(tmp_path: Path) -> None:
    """Ready when it is written; the peer is told to look."""
    peer = SomePeer(tmp_path, changed(memory_bytes=100))
    made = request(peer)
    assert not made.ready
    peer.serve_posted()
    assert made.ready
    assert peer.looks
    made.serve()
    ((arrival, _),) = peer.submitted
    assert isinstance(arrival.content, InFile)
    kept = arrival.content.path.read_bytes()
    assert kept == file_meta(CT, "1.2.3", EXPLICIT, "CT_A") + DATA
    assert kept[arrival.content.data_offset :] == DATA
    assert arrival.digest == sha256(DATA).hexdigest()
    made.discard()
    assert not list(tmp_path.iterdir())


def test_what_became_of_it_is_said_in_the_doors_own_thread(tmp_path: Path) -> None:
    """The answer comes from another thread: nothing is sent there."""
    peer = SomePeer(tmp_path)
    request(peer).serve()
    for settled, status in ((Stored(), 0), (StorageFull("no room"), 0xA701)):
        peer.submitted[0][1](settled)
        sent = len(peer.responses)
        peer.serve_posted()
        assert len(peer.responses) == sent + 1
        assert answered(peer).Status == status


def test_an_answer_that_comes_too_late_leaves_no_file(tmp_path: Path) -> None:
    """The door is gone, and nobody is left who would clean up."""
    peer = SomePeer(tmp_path, changed(memory_bytes=0))
    made = request(peer)
    peer.serve_posted()
    made.serve()
    assert list(tmp_path.iterdir())
    peer.is_gone = True
    peer.submitted[0][1](Stored())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (CommandSet(C_STORE_RQ, 1, 1, "", "1.2"), 0xC001),
        (CommandSet(C_STORE_RQ, 1, 1, CT, ""), 0xC001),
        (CommandSet(C_STORE_RQ, 1, 1, CT, "../x"), 0xC002),
        (CommandSet(C_STORE_RQ, 1, 1, "1.2", "1.2"), 0x0122),
        (CommandSet(C_STORE_RQ, 1, 0x0101, CT, "1.2"), 0xC000),
    ],
)
def test_what_cannot_be_stored_is_refused_in_the_end(
    tmp_path: Path, command: CommandSet, status: int
) -> None:
    """Nothing of its data set is kept, and the flow never hears of it."""
    peer = SomePeer(tmp_path)
    made = StoreRequest(peer, 1, CONTEXT, command)
    made.write(memoryview(bytes(1000)))
    assert peer.spools.held == 0
    made.finish()
    made.serve()
    assert answered(peer).Status == status
    assert not peer.submitted


def test_a_flow_that_takes_nothing_is_an_answer_too(tmp_path: Path) -> None:
    """0110, and not a word of what it said."""

    class Broken(SomePeer):
        def submit(self, *_: object) -> None:
            raise ValueError("DOE^JANE")

    peer = Broken(tmp_path, Limits())
    request(peer).serve()
    assert answered(peer).Status == 0x0110
    assert "DOE" not in str(answered(peer))
