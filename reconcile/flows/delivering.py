"""What it means that a destination did not take something."""

from __future__ import annotations

from typing import ClassVar

from reconcile.errors import ReconcileError


class NotDelivered(ReconcileError):
    """Something was not taken; `away`: nor would anything else have been, now."""

    title: ClassVar[str] = "A destination did not take what it was sent"

    def __init__(self, why: str, *, away: bool, status: int | None = None) -> None:
        super().__init__(why)
        self.away = away
        self.status = status
