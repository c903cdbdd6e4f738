"""What a measurement comes to: one row of a results file, by command."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cell:
    """What one measurement came to; where it has a fault, its figures do not count.

    Attributes:
        seconds: from the first byte sent to the last answer.
        server_seconds, database_seconds, client_seconds: of processor time.
        peak_mb: of all processes of the server and its database (PSS).
        receiver_mb: the most that one receiving process ever had (RSS).
    """

    server: str
    kind: str
    associations: int
    round: int
    instances: int = 0
    seconds: float = 0.0
    per_second: float = 0.0
    mb_per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)
    server_seconds: float = 0.0
    database_seconds: float = 0.0
    client_seconds: float = 0.0
    peak_mb: float = 0.0
    receiver_mb: float = 0.0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was given out at one asking.

    Attributes:
        seconds: from the request to the last answer.
        server_seconds, database_seconds: of processor time.
        peak_mb: of all processes of the server and its database (PSS).
        giver_mb: the most that one process that holds associations ever had (RSS).
    """

    server: str
    way: str
    round: int
    instances: int
    seconds: float
    per_second: float
    mb_per_second: float
    server_seconds: float
    database_seconds: float
    peak_mb: float
    giver_mb: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Percent of one processor core while nothing happens.

    Attributes:
        receiving: of the processes that hold associations.
        all: of these, all others of the server and its database.
        all_mb: memory of all of them (PSS).
        receiver_mb: the most that one receiving process has (RSS).
    """

    server: str
    round: int
    associations: int
    receiving: float
    all: float
    all_mb: float
    receiver_mb: float


@dataclass(frozen=True, slots=True)
class Question:
    """Milliseconds that a question took, of so many instances in the registry."""

    question: str
    instances: int
    median_ms: float
    greatest_ms: float


@dataclass(frozen=True, slots=True)
class Sealing:
    """Events that writers recorded in a turn, beside the sealer or without it."""

    name: str
    round: int
    events: int
    per_second: float
    p50_ms: float
    p99_ms: float
    sealer_seconds: float


@dataclass(frozen=True, slots=True)
class Killed:
    """What was left after a kill -9, in instances.

    Attributes:
        missing, altered: acknowledged, and not there or not what was sent.
        without_event: acknowledged, and without its audit row.
        stored_unacknowledged: the answer had not come yet; it may be there or not.
        doctor: findings of `reconcile doctor`, by code.
    """

    kind: str
    round: int
    after_seconds: float
    restart_seconds: float
    acknowledged: int
    answers: dict[str, int]
    missing: int
    altered: int
    without_event: int
    with_two_events: int
    stored_unacknowledged: int
    events_without_instance: int
    doctor: dict[str, int]

    @property
    def lost(self) -> int:
        """Promises that were not kept."""
        broken = self.missing + self.altered + self.without_event + self.with_two_events
        return broken + self.events_without_instance
