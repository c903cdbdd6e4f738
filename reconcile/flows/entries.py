"""One event of the log: whether its row still is what was sealed of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from reconcile.core.audit import commitment, entry, happening_body
from reconcile.core.merkle import leaf_hash
from reconcile.db import seal

#: Said in the canonical bytes, and no column of the row.
_OF_THE_BODY = frozenset({"values", "v"})
#: Columns that the canonical bytes hold where they have a value.
_COLUMNS = (
    "id", "position", "happening_id", "level", "instance_id", "receipt_id", "study_id",
    "person_id", "revision", "reason", "source", "sop_instance_uid",
    "series_instance_uid", "study_instance_uid", "received_study_instance_uid",
    "attributes", "recorded_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Broken:
    """One thing that is not as it was sealed.

    Attributes:
        code: "altered", "missing", "order", "added", "rewritten", "log" or "state".
        number: in the log; None: it has none.
        event: its id, where it is known.
        what: in words, without any value.
    """

    code: str
    number: int | None
    event: UUID | None
    what: str

    def __str__(self) -> str:
        named = [f"event {self.event}" if self.event else ""]
        named.append(f"number {self.number}" if self.number else "")
        return (
            f"{self.code}: {', '.join(filter(None, named)) or 'the archive'}: {self.what}"
        )


def wrong_with(row: Any, happened: Any | None) -> Iterator[Broken]:
    """What is wrong with an event by itself: the first is what matters.

    Args:
        row: of `views_seal.leaves`.
        happened: the row of its happening; None: it is gone.
    """
    if not row.is_there:
        if not row.is_erased:
            yield Broken("missing", row.number, row.event_id, "its row was deleted")
        return
    what = _first(row, happened)
    if what:
        code, said = what
        yield Broken(code, row.number, row.event_id, said)


def _first(row: Any, happened: Any | None) -> tuple[str, str] | None:
    body = _parsed(row.body)
    if body is None:
        return "altered", "its canonical bytes cannot be read"
    if str(row.event_id) != body.get("id"):
        return "order", "its canonical bytes are those of another event"
    differing = sorted(_differing(row, body))
    if differing:
        code = "order" if differing == ["position"] else "altered"
        return code, f"{', '.join(differing)} is not what was sealed"
    if happened is None:
        return "missing", "the row of its happening was deleted"
    if happened.sealed is None:
        return "missing", "the sealed bytes of its happening were deleted"
    if row.hash != leaf_hash(entry(row.body, happened.sealed)):
        return "altered", "its bytes are not those that were sealed"
    if happening_body(seal.happening_fields(happened)) != happened.sealed:
        return "altered", f"{_of_happening(happened)} of its happening was changed"
    return _values(row, body)


def _values(row: Any, body: dict[str, Any]) -> tuple[str, str] | None:
    if row.nonce is None:
        told = "its values were deleted, and no erasure is recorded"
        return None if row.is_erased else ("altered", told)
    if commitment(row.nonce, row.personal) != body.get("values"):
        return "altered", "its values are not those that it commits to"
    return None


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _differing(row: Any, body: dict[str, Any]) -> Iterator[str]:
    for name in _COLUMNS:
        held, said = getattr(row, name), body.get(name)
        if isinstance(held, datetime):
            if not isinstance(said, str) or datetime.fromisoformat(said) != held:
                yield name
        elif (str(held) if isinstance(held, UUID) else held) != said:
            yield name
    if set(body) - set(_COLUMNS) - _OF_THE_BODY:
        yield "body"


def _of_happening(happened: Any) -> str:
    """The columns of a happening that are not as they were sealed."""
    sealed = _parsed(happened.sealed) or {}
    fields = seal.happening_fields(happened)
    return ", ".join(n for n, v in fields.items() if sealed.get(n) != v) or "something"
