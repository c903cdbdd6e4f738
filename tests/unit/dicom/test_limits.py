"""Limits: what a peer says about lengths and counts is bounded before it is used."""

from __future__ import annotations

import pytest

from reconcile.dicom.limits import Gate, Limits
from reconcile.errors import LimitExceeded


def test_a_pdu_has_a_length_by_its_type() -> None:
    """P-DATA as negotiated with slack, requests 1 MiB, the rest four bytes."""
    limits = Limits(maximum_pdu=1000, pdu_slack=24)
    assert limits.pdu_bytes(4) == 1024
    assert [limits.pdu_bytes(kind) for kind in (1, 2)] == [1 << 20] * 2
    assert [limits.pdu_bytes(kind) for kind in (3, 5, 6, 7)] == [4] * 4
    for kind in (0, 8, 255):
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
