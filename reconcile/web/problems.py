"""Every error as a problem document (RFC 9457), and nothing of a patient in it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from reconcile.errors import ReconcileError, ServiceUnavailable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_RETRY_SECONDS = "5"

#: What any route may answer, for the description of the interface.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
    for status in (400, 401, 403, 404, 409, 410, 413, 414, 503)
}


def problem(
    status: int,
    title: str = "",
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """A problem document; `type` is about:blank, `title` says what it is."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": title or HTTPStatus(status).phrase,
    }
    told |= {"status": status, **({"detail": detail} if detail else {}), **more}
    return JSONResponse(told, status, dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error of this application be answered so."""
    app.add_exception_handler(ReconcileError, _deliberate)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def of_error(error: ReconcileError) -> Response:
    """The document of a deliberate error; its message holds no patient data."""
    wait = isinstance(error, ServiceUnavailable)
    headers = {"Retry-After": _RETRY_SECONDS} if wait else None
    return problem(error.http_status, error.title, str(error), headers)


def of_bug(error: Exception) -> Response:
    """The document of what should not have happened.

    The log gets where it happened and of what kind it is; the message may quote values.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(frames))
    log.error("error=%s at=%s", type(error).__name__, where)
    return problem(500, "Internal error", "see the archive's log")


async def _deliberate(request: Request, error: Exception) -> Response:
    assert isinstance(error, ReconcileError)
    return of_error(error)


async def _invalid(request: Request, error: Exception) -> Response:
    """Names the parameters, and never says what was in them."""
    assert isinstance(error, RequestValidationError)
    wrong = [
        {"parameter": ".".join(map(str, each["loc"])), "reason": each["msg"]}
        for each in error.errors()
    ]
    return problem(400, "A parameter is wrong", errors=wrong)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, headers=error.headers)
