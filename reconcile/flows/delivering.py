"""What delivers to a destination, and what it means that something was not taken."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol

from reconcile.errors import ReconcileError
from reconcile.flows.several import Ready


class NotDelivered(ReconcileError):
    """Something was not taken; `away`: nor would anything else have been, now."""

    title: ClassVar[str] = "A destination did not take what it was sent"

    def __init__(self, why: str, *, away: bool, status: int | None = None) -> None:
        super().__init__(why)
        self.away = away
        self.status = status


class Courier(Protocol):
    """A way to a destination that is open."""

    def deliver(self, ready: Ready) -> int:
        """Hand an instance over; the status of the answer, success or a warning.

        Raises:
            NotDelivered: it was not taken.
            CannotConvert, BytesMissing: it cannot be given out so.
        """


#: (SOP Class UID, stored Transfer Syntax UID) of what is to be delivered -> a courier.
Opened = Callable[[Collection[tuple[str, str]]], AbstractContextManager[Courier]]
