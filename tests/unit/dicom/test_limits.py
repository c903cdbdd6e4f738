"""Limits: what a peer says about lengths and counts is bounded before it is used."""

from __future__ import annotations

import struct

import pytest

from reconcile.dicom.limits import Gate, Limits
from reconcile.errors import LimitExceeded

FIXED = bytes(68)


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def context(syntaxes: int) -> bytes:
    subs = item(0x30, b"1.2") + item(0x40, b"1.2.840.10008.1.2") * syntaxes
    return item(0x20, bytes(4) + subs)


def test_an_ordinary_request_passes() -> None:
    """128 contexts of 45 transfer syntaxes are what a generous SCU proposes."""
    body = FIXED + item(0x10, b"1.2") + context(45) * 128 + item(0x50, item(0x51, bytes(4)))
    Limits().check_request(body)


@pytest.mark.parametrize(
    "body",
    [
        FIXED + context(1) * 129,
        FIXED + context(129),
        FIXED + item(0x50, item(0x51, b"") * 1025),
        FIXED + b"\x20\0\xff\xff" + bytes(10),
        FIXED + b"\x20\0",
        FIXED + item(0x20, bytes(4) + b"\x30\0\xff\xff"),
    ],
    ids=["contexts", "syntaxes", "user items", "too long", "cut short", "inner too long"],
)
def test_too_many_or_too_long_is_refused(body: bytes) -> None:
    """No item is made of a request that has too many, or whose lengths lie."""
    with pytest.raises(LimitExceeded):
        Limits().check_request(body)


def test_a_pdu_has_a_length_by_its_type() -> None:
    """P-DATA as negotiated with slack, requests 1 MiB, the rest four bytes."""
    limits = Limits(maximum_pdu=1000, pdu_slack=24)
    assert [limits.pdu_bytes(kind) for kind in (1, 4, 5, 6, 7)] == [1 << 20, 1024, 4, 4, 4]
    for kind in (0, 2, 3, 8, 255):
        with pytest.raises(LimitExceeded):
            limits.pdu_bytes(kind)


def test_a_gate_counts_in_all_and_by_address() -> None:
    """Past a limit a few are told so, then connections are not taken at all."""
    gate = Gate(Limits(associations=3, associations_per_peer=2, overflow=1))
    assert [gate.enter("a"), gate.enter("a")] == [True, True]
    assert gate.enter("a") is False
    assert gate.enter("a") is None
    gate.leave("a", admitted=False)
    assert gate.enter("b") is True
    assert gate.enter("c") is False
    gate.leave("c", admitted=False)
    gate.leave("a", admitted=True)
    assert gate.enter("c") is True
    assert gate.inside == 3
