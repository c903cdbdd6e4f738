"""What N-services do: storage commitment, and performed procedure steps."""

from __future__ import annotations

from dataclasses import dataclass

from reconcile.db.ids import new_uid
from reconcile.flows.commitment import Asked, Commitment, CommitmentFlow
from reconcile.flows.performed import PerformedFlow, Told


@dataclass(frozen=True, slots=True)
class NormalizedFlow:
    """The flows of a door's N-services; `uid_root`: of UIDs that are ours to give."""

    commitments: CommitmentFlow
    steps: PerformedFlow
    uid_root: str

    def commit(self, asked: Asked) -> Commitment:
        """Look what of it is kept safe, and write that down."""
        return self.commitments.commit(asked)

    def told(self, commitment: Commitment, status: int | None) -> None:
        """Note what became of telling it over the same association."""
        self.commitments.told(commitment, status)

    def create(self, told: Told) -> None:
        """Keep a new performed step."""
        self.steps.create(told)

    def update(self, told: Told) -> None:
        """Keep what is said of a performed step."""
        self.steps.update(told)

    def new_uid(self) -> str:
        """A UID for a step that came without one."""
        return new_uid(self.uid_root)
