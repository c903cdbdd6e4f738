"""What is committed: every reason, in order of precedence."""

from __future__ import annotations

import pytest

from reconcile.core.commitment import (
    Answered,
    KeptInstance,
    Reason,
    Reference,
    failure,
)

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
ASKED = Reference(CT, "1.2.3")
KEPT = KeptInstance(CT, whole=True)


@pytest.mark.parametrize(
    ("kept", "storable", "reason"),
    [
        ([], True, Reason.NO_SUCH_INSTANCE),
        ([], False, Reason.CLASS_NOT_SUPPORTED),
        ([KeptInstance(CT, whole=True, retained=False)], True, Reason.NO_SUCH_INSTANCE),
        ([KeptInstance(MR, whole=True)], True, Reason.CLASS_CONFLICT),
        ([KeptInstance(MR, whole=True)], False, Reason.CLASS_CONFLICT),
        ([KeptInstance(CT, whole=False)], True, Reason.PROCESSING_FAILURE),
        ([KEPT], True, None),
        ([KEPT], False, None),
        ([KeptInstance(CT, whole=False), KEPT], True, None),
        ([KeptInstance(MR, whole=True), KEPT], True, None),
    ],
)
def test_an_instance_is_committed_where_it_is_kept_whole(
    kept: list[KeptInstance], storable: bool, reason: Reason | None
) -> None:
    """
    Unknown, of another class, without its bytes: the first of these is told.
    """
    assert failure(ASKED, kept, storable=storable) is reason


def test_what_is_committed_is_what_has_no_reason() -> None:
    """
    And an answer of nothing commits nothing.
    """
    other = Reference(CT, "1.2.4")
    answered = Answered("1", ((ASKED, None), (other, Reason.NO_SUCH_INSTANCE)))
    assert answered.committed == {ASKED}
    assert Answered("1", ()).committed == frozenset()
