"""What was deleted and comes again: who decided the deletion decides that too."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Cause(StrEnum):
    """Who wanted a deletion: a person, a rule of retention, a rejection note."""

    STEWARD = "steward"
    RULE = "rule"
    NOTE = "iocm"


#: Whether what was deleted is stored when it comes again, where nothing else is said:
#: what a person deleted was wrong here, what a rule deleted was only old.
READMITS: Mapping[Cause, bool] = {Cause.STEWARD: False, Cause.RULE: True, Cause.NOTE: True}
