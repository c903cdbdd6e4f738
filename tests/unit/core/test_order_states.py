"""States of an order, as its messages lead through them."""

import pytest

from reconcile.core.order import STATE_AFTER, OrderControl, OrderState, state_after


@pytest.mark.parametrize("control", OrderControl)
def test_every_message_has_a_state_whatever_its_status(control: OrderControl) -> None:
    """
    Each control code has a row for the statuses that no other row names.
    """
    assert (control, "") in STATE_AFTER
    assert isinstance(state_after(control, "no such status", None), OrderState)


@pytest.mark.parametrize(
    ("control", "status", "before", "after"),
    [
        (OrderControl.NEW, "", None, OrderState.SCHEDULED),
        (OrderControl.NEW, "SC", None, OrderState.SCHEDULED),
        (OrderControl.NEW, "IP", None, OrderState.IN_PROGRESS),
        (OrderControl.NEW, "", OrderState.COMPLETED, OrderState.COMPLETED),
        (OrderControl.NEW, "SC", OrderState.IN_PROGRESS, OrderState.IN_PROGRESS),
        (OrderControl.NEW, "", OrderState.CANCELLED, OrderState.SCHEDULED),
        (OrderControl.CHANGE, "CA", OrderState.SCHEDULED, OrderState.CANCELLED),
        (OrderControl.CHANGE, "SC", OrderState.COMPLETED, OrderState.SCHEDULED),
        (OrderControl.CHANGE, "", None, OrderState.SCHEDULED),
        (OrderControl.CHANGE, "", OrderState.IN_PROGRESS, OrderState.IN_PROGRESS),
        (OrderControl.CHANGE, "CM", OrderState.IN_PROGRESS, OrderState.COMPLETED),
        (OrderControl.CHANGE, "DC", OrderState.SCHEDULED, OrderState.DISCONTINUED),
        (OrderControl.CANCEL, "", OrderState.SCHEDULED, OrderState.CANCELLED),
        (OrderControl.CANCEL, "CA", None, OrderState.CANCELLED),
        (OrderControl.DISCONTINUE, "", OrderState.IN_PROGRESS, OrderState.DISCONTINUED),
        (OrderControl.STATUS, "", OrderState.COMPLETED, OrderState.COMPLETED),
        (OrderControl.STATUS, "IP", OrderState.SCHEDULED, OrderState.IN_PROGRESS),
        (OrderControl.STATUS, "CA", OrderState.SCHEDULED, OrderState.CANCELLED),
    ],
)
def test_a_message_leads_to_the_state_that_it_says(
    control: OrderControl, status: str, before: OrderState | None, after: OrderState
) -> None:
    """
    A status decides where it is named; a message without one leaves the order as it was.
    """
    assert after is state_after(control, status, before)


@pytest.mark.parametrize(("control", "status"), STATE_AFTER)
def test_the_same_message_again_changes_nothing(control: OrderControl, status: str) -> None:
    """
    A replayed message finds the order where it left it.
    """
    once = state_after(control, status, OrderState.SCHEDULED)
    assert once is state_after(control, status, once)
