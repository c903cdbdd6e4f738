"""Metadata of instances: all but their bulk data (PS3.18 section 10.4.1.1.2)."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from reconcile.dataset.metadata import write_metadata
from reconcile.flows.several import Ready, Wanted
from reconcile.web.accept import JSON, accept_of, takes_json
from reconcile.web.dicomweb import absent, address_of, wanted
from reconcile.web.parts import Parts, PartsOf, Uid
from reconcile.web.problems import problem
from reconcile.web.related import Chunks, begun, streamed

router = APIRouter(tags=["instances"])

#: What is written of one instance is in memory up to here, then in a file.
_IN_MEMORY_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 18

_METADATA: dict[int | str, dict[str, Any]] = {
    200: {"description": "Metadata", "content": {JSON: {}}},
    406: {"description": "Not Acceptable"},
}


@router.get(
    "/dicom-web/studies/{study}/metadata", responses=_METADATA, response_class=Response
)
def study_metadata(request: Request, parts: PartsOf, study: Uid) -> Response:
    """Of all instances of a study as given out today."""
    return _metadata(request, parts, wanted(study))


@router.get(
    "/dicom-web/studies/{study}/series/{series}/metadata",
    responses=_METADATA,
    response_class=Response,
)
def series_metadata(request: Request, parts: PartsOf, study: Uid, series: Uid) -> Response:
    """Of all instances of a series."""
    return _metadata(request, parts, wanted(study, series))


@router.get(
    "/dicom-web/studies/{study}/series/{series}/instances/{instance}/metadata",
    responses=_METADATA,
    response_class=Response,
)
def instance_metadata(
    request: Request, parts: PartsOf, study: Uid, series: Uid, instance: Uid
) -> Response:
    """Of one instance."""
    return _metadata(request, parts, wanted(study, series, instance))


def _metadata(request: Request, parts: Parts, asked: Wanted) -> Response:
    if not takes_json(accept_of(request)):
        return problem(406, detail=f"{JSON} is what metadata is in")
    found = parts.several.instances(asked)
    first = next(found, None)
    if first is None:
        raise absent(parts, next(reversed(request.path_params.values())))
    said = _listed(request, parts.storage.spool_dir, chain((first,), found))
    return StreamingResponse(streamed(begun(said, 2)), media_type=JSON)


def _listed(request: Request, spool: Path, found: Iterator[Ready]) -> Chunks:
    before = b"["
    for ready in found:
        yield before
        yield from _of_one(f"{address_of(request, ready)}/bulkdata", spool, ready)
        before = b","
    yield b"]"


def _of_one(bulk: str, spool: Path, ready: Ready) -> Generator[bytes, None, None]:
    """Written whole before any of it is sent: what is said of an element may be unsaid."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, "w+b", dir=str(spool)) as file:
        with ready.state() as state:
            try:
                write_metadata(state, bulk, file)
            finally:
                state.close()
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
