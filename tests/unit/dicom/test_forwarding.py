"""What an answer to a forwarded instance means: taken, refused, or another time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconcile.dicom import forwarding
from reconcile.dicom.moving import Mover
from reconcile.dicom.requestor import Lost
from reconcile.errors import SOPClassNotSupported
from reconcile.flows.delivering import NotDelivered
from reconcile.flows.several import Ready


class Answering:
    """A way to a peer that answers so, or fails."""

    def __init__(self, how: int | Exception) -> None:
        self.how = how
        self.closed = False

    def prepare(self, _: Ready) -> Any:
        if isinstance(self.how, SOPClassNotSupported):
            raise self.how
        return SimpleNamespace(chunks=self)

    def send(self, _: object) -> None:
        """It is sent."""

    def answer(self) -> int:
        if isinstance(self.how, Exception):
            raise self.how
        return self.how

    def close(self) -> None:
        self.closed = True


def delivered(how: int | Exception) -> int:
    mover = Answering(how)
    courier = forwarding._Courier(cast(Mover, mover))
    try:
        return courier.deliver(cast(Ready, None))
    finally:
        assert mover.closed or isinstance(how, SOPClassNotSupported)


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB007, 0x0001, 0x0107])
def test_success_and_warnings_are_taken(status: int) -> None:
    assert delivered(status) == status


@pytest.mark.parametrize(
    ("how", "away"),
    [
        (0xA700, True),
        (0xA702, True),
        (Lost("closed"), True),
        (0xA900, False),
        (0xC000, False),
        (0x0110, False),
        (0x0122, False),
        (SOPClassNotSupported("not taken"), False),
    ],
)
def test_out_of_resources_is_another_time_and_any_other_failure_is_the_instances(
    how: int | Exception, away: bool
) -> None:
    with pytest.raises(NotDelivered) as raised:
        delivered(how)
    assert raised.value.away is away
    assert raised.value.status == (how if isinstance(how, int) else None)
