"""The overrides fit the version of pynetdicom that they were written for."""

from __future__ import annotations

import inspect
import logging
import socket
import time

import pynetdicom
import pytest
from pynetdicom import _config
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket

from reconcile.dicom.association import DoorACSE, DoorAssociation
from reconcile.dicom.library import configure_pynetdicom
from reconcile.dicom.messages import DoorMessages
from reconcile.dicom.upper_layer import DataTransfer, DoorSocket, UpperLayer, Waker
from reconcile.errors import LimitExceeded


def test_the_library_is_the_one_that_was_read() -> None:
    """Another version must be read again before these overrides are trusted."""
    assert pynetdicom.__version__ == "3.0.4"


@pytest.mark.parametrize(
    ("ours", "theirs", "names"),
    [
        (UpperLayer, DULServiceProvider, ["run_reactor", "_read_pdu_data"]),
        (DoorSocket, AssociationSocket, ["send"]),
        (DoorMessages, DIMSEServiceProvider, ["receive_primitive"]),
        (DoorACSE, ACSE, ["_negotiate_as_acceptor"]),
        (
            DoorAssociation,
            Association,
            ["run_reactor", "_run_reactor", "kill", "_abort_blocking"],
        ),
    ],
)
def test_what_is_overridden_exists(ours: type, theirs: type, names: list[str]) -> None:
    """A method that the library no longer has would silently never be called."""
    assert issubclass(ours, theirs)
    for name in names:
        expected = inspect.signature(getattr(theirs, name)).parameters
        assert list(inspect.signature(getattr(ours, name)).parameters) == list(expected)


def test_the_library_logs_nothing() -> None:
    """Its loggers may print data sets, and messages that quote them."""
    configure_pynetdicom()
    assert _config.LOG_HANDLER_LEVEL == "none"
    for name in ("pynetdicom.dul", "pynetdicom.dimse", "pydicom"):
        assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)


def test_values_are_taken_apart_without_copying() -> None:
    """A P-DATA-TF holds any number of presentation data values."""
    body = bytearray(b"\0\0\0\x04\x01\x03ab" + b"\0\0\0\x02\x05\x02")
    values = DataTransfer(body).presentation_data_value_list
    assert [(number, bytes(value)) for number, value in values] == [
        (1, b"\x03ab"),
        (5, b"\x02"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0\0\x01\x01",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff\x01\x03",
        b"\0\0\0\x04\x01\x03a",
        b"\0",
    ],
)
def test_values_that_do_not_fit_are_refused(body: bytes) -> None:
    """The length of a value is bounded by its PDU."""
    with pytest.raises(LimitExceeded):
        DataTransfer(bytearray(body))


def test_a_closed_waker_may_still_be_called() -> None:
    """Late answers to a peer that has gone disturb nobody."""
    waker = Waker()
    for _ in range(100_000):
        waker.wake()
    waker.settle()
    waker.close()
    waker.wake()
    waker.settle()


def test_a_deadline_is_for_all_bytes_together() -> None:
    """A peer that drips bytes gets no more time than one that is silent."""
    one, other = socket.socketpair()
    door_socket = DoorSocket.__new__(DoorSocket)
    door_socket.socket = one
    other.send(b"abc")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        door_socket.receive(4, began + 0.2)
    assert time.monotonic() - began < 2
    other.send(b"abcdef")
    assert door_socket.receive(4, time.monotonic() + 5) == b"abcd"
    other.close()
    with pytest.raises(EOFError):
        door_socket.receive(4, time.monotonic() + 5)
    one.close()
