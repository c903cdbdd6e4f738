"""Instances over HTTP: as given out today (WADO-RS, PS3.18 10.4), or as they came."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Generator
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from reconcile.flows.retrieve import Outgoing
from reconcile.web.accept import DICOM, Form, chosen_form
from reconcile.web.auth import INSIDERS
from reconcile.web.parts import Asking, PartsOf, Uid
from reconcile.web.problems import problem

router = APIRouter(tags=["instances"])

_Responses = dict[int | str, dict[str, Any]]
_FILE: _Responses = {200: {"description": "A DICOM file", "content": {DICOM: {}}}}
_PARTS: _Responses = {
    200: {"description": "The instance", "content": {"multipart/related": {}, DICOM: {}}}
}
Chunks = Generator[bytes, None, None]


@router.get(
    "/dicom-web/studies/{study}/series/{series}/instances/{instance}",
    responses={**_PARTS, 406: {"description": "Not Acceptable"}},
    response_class=Response,
)
def retrieve_instance(
    request: Request, parts: PartsOf, study: Uid, series: Uid, instance: Uid
) -> Response:
    """One instance as given out today; study and series by received or assigned UID."""
    found = parts.retrieve.instance(instance, study, series)
    accept = ",".join(request.headers.getlist("accept"))
    form = chosen_form(accept, found.transfer_syntax_uid)
    if form is None:
        found.chunks.close()
        held = found.transfer_syntax_uid
        return problem(406, detail=f"{DICOM} in transfer syntax {held} is what is here")
    return _file(found) if form is Form.SINGLE else _multipart(found)


@router.get(
    "/api/v1/instances/{sop_instance_uid}/file", responses=_FILE, response_class=Response
)
def instance_file(parts: PartsOf, sop_instance_uid: Uid) -> Response:
    """Any instance as of today, with or without a patient, as a file."""
    return _file(parts.retrieve.instance(sop_instance_uid))


@router.get(
    "/api/v1/instances/{sop_instance_uid}/received",
    responses=_FILE,
    response_class=Response,
)
def instance_received(
    parts: PartsOf, asking: Asking, sop_instance_uid: Uid, receipt: str = ""
) -> Response:
    """A file whose data set is byte for byte what was received."""
    hidden = asking.role in INSIDERS
    return _file(parts.retrieve.received(sop_instance_uid, receipt, hidden=hidden))


def _file(found: Outgoing) -> Response:
    name = f'attachment; filename="{found.sop_instance_uid}.dcm"'
    headers = {"Content-Disposition": name}
    return StreamingResponse(_streamed(found.file()), headers=headers, media_type=DICOM)


def _multipart(found: Outgoing) -> Response:
    boundary = secrets.token_hex(16)
    kind = f'multipart/related; type="{DICOM}"; boundary={boundary}'
    return StreamingResponse(_streamed(_one_part(found, boundary)), media_type=kind)


def _one_part(found: Outgoing, boundary: str) -> Chunks:
    """RFC 2387, with one part."""
    chunks = found.file()
    kind = f"{DICOM}; transfer-syntax={found.transfer_syntax_uid}"
    try:
        yield f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode("ascii")
        yield from chunks
        yield f"\r\n--{boundary}--\r\n".encode("ascii")
    finally:
        chunks.close()


async def _streamed(chunks: Chunks) -> AsyncIterator[bytes]:
    try:
        async for chunk in iterate_in_threadpool(chunks):
            yield chunk
    finally:
        chunks.close()
