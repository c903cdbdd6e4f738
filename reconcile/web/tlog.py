"""The sealed history for whoever watches it: checkpoint and tiles, as C2SP tlog-tiles.

Tiles are hashes over random bytes and events: nothing can be guessed from them. Entries
are not given out here; `/api/v1/coercions/{id}/proof` proves a single one.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from reconcile.core.tiles import tile_named
from reconcile.errors import NotFound
from reconcile.web.parts import PartsOf

router = APIRouter(prefix="/tlog", tags=["sealed history"])

_FOR_EVER = {"Cache-Control": "max-age=31536000, immutable"}
_NEVER = {"Cache-Control": "no-store"}


@router.get("/checkpoint", response_class=PlainTextResponse)
def checkpoint(parts: PartsOf) -> PlainTextResponse:
    """The newest checkpoint, a signed note."""
    found = parts.storage.tiles.published()
    if found is None:
        raise NotFound("nothing is sealed yet")
    return PlainTextResponse(str(found), headers=_NEVER)


@router.get("/key", response_class=PlainTextResponse)
def key(parts: PartsOf) -> PlainTextResponse:
    """The verifier keys of the log. Compare them with what its keeper tells you."""
    found = parts.storage.tiles.keys()
    if not found:
        raise NotFound("nothing is sealed yet")
    return PlainTextResponse(found, headers=_NEVER)


@router.get("/tile/{path:path}", response_class=Response)
def tile(parts: PartsOf, path: str) -> Response:
    """The hashes of one tile; of a part that is whole by now, those that it had."""
    named = tile_named(path)
    if named is None:
        raise NotFound("there is no such tile")
    content = parts.storage.tiles.read(named)
    return Response(content, media_type="application/octet-stream", headers=_FOR_EVER)
