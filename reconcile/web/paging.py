"""What the parameters and answers of lists have in common."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel
from starlette.responses import JSONResponse

from reconcile.db.views import LIMIT_MAX, Page, Where, plain
from reconcile.errors import WrongUse

T = TypeVar("T")

#: The longest value that a filter is compared with: a CX with its universal ID.
Text = Annotated[str, Query(max_length=512)]
Cursor = Annotated[str, Query(max_length=256, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]


class Listed(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None


class ListedEvents(Listed[T], Generic[T]):
    """A page of events; what is older than `sealed_through` answers the same for ever."""

    sealed_through: int | None = None


class Json(JSONResponse):
    """Rows of the views, with names of patients as they are written."""

    def render(self, content: Any) -> bytes:
        return json.dumps(
            plain(content), ensure_ascii=False, separators=(",", ":")
        ).encode()


def _where(limit: Limit = 100, cursor: Cursor = "") -> Where:
    return Where(limit, cursor)


Asked = Annotated[Where, Depends(_where)]


def listed(page: Page[Any], **more: Any) -> Json:
    """The answer of a list."""
    return Json({"items": page.items, "next": page.next, **more})


def time_of(name: str, said: str) -> datetime | None:
    """A time of ISO 8601; UTC where it names no zone; None where none is said.

    Raises:
        WrongUse: it is no time.
    """
    if not said:
        return None
    # A "+" that was not escaped arrives as a blank.
    head, blank, zone = said.rpartition(" ")
    try:
        found = datetime.fromisoformat(f"{head}+{zone}" if blank and "T" in head else said)
    except ValueError as error:
        raise WrongUse(f"{name} is a time such as 2026-11-22T20:15:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
