"""What the parameters and answers of lists have in common."""

from __future__ import annotations

import json
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel
from starlette.responses import JSONResponse

from reconcile.db.views import LIMIT_MAX, Page, Where, plain

T = TypeVar("T")

#: The longest value that a filter is compared with: a CX with its universal ID.
Text = Annotated[str, Query(max_length=512)]
Cursor = Annotated[str, Query(max_length=256, description="`next` of the page before")]
AsOf = Annotated[str, Query(max_length=64, description="what was known at this time")]
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
