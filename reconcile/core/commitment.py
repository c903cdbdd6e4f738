"""Storage commitment: of what is asked, what is kept safe, and why the rest is not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum


class Reason(IntEnum):
    """Failure Reason (0008,1197): PS3.3 section C.14.1.1, PS3.4 section J.3.3.1.2."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION = 0x0131


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance as it is named in Referenced SOP Sequence (0008,1199)."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What is told of a request: of each instance why it is not committed, or None."""

    transaction_uid: str
    references: tuple[tuple[Reference, Reason | None], ...]

    @property
    def committed(self) -> frozenset[Reference]:
        """What is kept safe."""
        return frozenset(each for each, reason in self.references if reason is None)


@dataclass(frozen=True, slots=True)
class KeptInstance:
    """An instance of that SOP Instance UID.

    Attributes:
        whole: its bytes are there, all of them.
        retained: it is not one that may be deleted.
    """

    sop_class_uid: str
    whole: bool
    retained: bool = True


def failure(
    asked: Reference, kept: Collection[KeptInstance], *, storable: bool
) -> Reason | None:
    """Why an instance is not committed; None: it is.

    Args:
        asked: the instance, by class and UID; neither is ever coerced.
        kept: what there is of that SOP Instance UID; an instance that was received with
            its identity removed lies apart from another of the same UID.
        storable: whether instances of its class are taken here.
    """
    there = [each for each in kept if each.retained]
    if not there:
        return Reason.NO_SUCH_INSTANCE if storable else Reason.CLASS_NOT_SUPPORTED
    fitting = [each for each in there if each.sop_class_uid == asked.sop_class_uid]
    if not fitting:
        return Reason.CLASS_CONFLICT
    if not any(each.whole for each in fitting):
        return Reason.PROCESSING_FAILURE
    return None
