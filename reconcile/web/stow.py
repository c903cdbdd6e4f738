"""STOW-RS: instances are stored over HTTP (PS3.18 section 10.5).

A body is taken part by part: at most one part is being read, some are being stored, and
none is held any longer. What was stored before a fault stays stored, and is told. Nothing
that becomes of one instance ends the request; what is to become of it may not be put here.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, NamedTuple

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from reconcile.core.facts import Source
from reconcile.errors import (
    CannotUnderstand,
    LimitExceeded,
    NotAuthorised,
    ReconcileError,
    TooLarge,
    WrongUse,
)
from reconcile.flows.keys import Principal
from reconcile.flows.settling import Settled
from reconcile.flows.uploading import StudyMismatch, Upload, Uploaded, became
from reconcile.web.accept import DICOM, JSON, MULTIPART, accept_of, takes_json
from reconcile.web.auth import LOCAL
from reconcile.web.multipart import Began, Broke, Came, Event, Reader, media_type
from reconcile.web.parts import Asking, Parts, PartsOf, Uid, base_of
from reconcile.web.problems import problem
from reconcile.web.stored import Report
from reconcile.web.stores import Busy, Stores

log = logging.getLogger(__name__)

router = APIRouter(tags=["instances"])

#: Of whoever names none on loopback: like an import, it has no domain.
BARE_SOURCE = Source("STOW_RS")
#: Of one request: the answer has a line for each.
PARTS_MAX = 10_000
#: Parts that are being stored while the next one is read.
PIPELINED = 4
#: A body may stand still for as long, and must not be slower on the whole: who drips
#: bytes would keep a place for ever.
SILENCE_SECONDS = 60.0
SLOWEST_BYTES_PER_SECOND = 1024
#: Of a body that is refused: who is still sending cannot read an answer.
DRAINED_BYTES_MAX = 16 << 20

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "All instances are stored as they came", "content": {JSON: {}}},
    202: {"description": "Some are coerced, or some were refused", "content": {JSON: {}}},
    406: {"description": "Not Acceptable"},
    408: {"description": "The body stood still"},
    409: {"description": "None is stored", "content": {JSON: {}}},
    413: {"description": "Larger than the limit"},
    415: {"description": "Unsupported Media Type"},
}
SourceName = Annotated[
    str, Query(max_length=16, description="AE title of a source; on loopback without keys")
]


@router.post("/dicom-web/studies", responses=_ANSWERS, response_class=Response)
async def store(
    request: Request, parts: PartsOf, asking: Asking, source: SourceName = ""
) -> Response:
    """Store instances, as `multipart/related; type="application/dicom"`."""
    return await _store(request, parts, source_of(parts, asking, source))


@router.post("/dicom-web/studies/{study}", responses=_ANSWERS, response_class=Response)
async def store_in_study(
    request: Request, parts: PartsOf, asking: Asking, study: Uid, source: SourceName = ""
) -> Response:
    """The same; of every instance the Study Instance UID must be this one, as sent."""
    return await _store(request, parts, source_of(parts, asking, source), study)


def source_of(parts: Parts, asking: Principal, named: str) -> Source:
    """Whose instances these are: the key's source, or on loopback whoever is named.

    Raises:
        NotAuthorised: the key names none, or one that is not configured any more.
        WrongUse: no such source is configured.
    """
    if asking is not LOCAL:
        found = parts.listed(asking.source) if asking.source else None
        if found is None or named not in ("", asking.source):
            raise NotAuthorised("this key may not store as that source, or as none")
        return found
    if not named:
        return BARE_SOURCE
    found = parts.listed(named)
    if found is None:
        raise WrongUse("source names none that is configured")
    return found


async def _store(
    request: Request, parts: Parts, source: Source, study: str = ""
) -> Response:
    said, parameters = media_type(request.headers.get("content-type", ""))
    encoded = request.headers.get("content-encoding", "identity").lower()
    if said != MULTIPART or parameters.get("type", "").lower() != DICOM:
        return problem(415, detail=f'{MULTIPART}; type="{DICOM}" is what is taken')
    if encoded != "identity":
        return problem(415, detail="a body is taken as it is, without content coding")
    if not takes_json(accept_of(request)):
        return problem(406, detail=f"{JSON} is what answers are in")
    reader = Reader(parameters.get("boundary", ""))
    stores: Stores = request.app.state.stores
    try:
        with stores.place():
            taking = _Taking(request, parts, stores, source, study)
            return await taking.all_of(reader)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it
    except Busy:
        return problem(503, headers={"Retry-After": "5"})


class _Under(NamedTuple):
    """A part that is being stored."""

    number: int
    uploaded: Uploaded
    settled: asyncio.Future[Settled]


class _Taking:
    """One request, from its first part to its answer."""

    def __init__(
        self, request: Request, parts: Parts, stores: Stores, source: Source, study: str
    ) -> None:
        self._request = request
        self._parts = parts
        self._stores = stores
        self._source = source
        self._study = study
        self._association = f"stow/{secrets.token_hex(4)}"
        self._report = Report(base_of(request), warn=source.warn)
        self._under: deque[_Under] = deque()
        self._upload: Upload | None = None
        self._number = 0

    async def all_of(self, reader: Reader) -> Response:
        """Store what there is, and say what became of it."""
        chunks = _chunks(self._request)
        try:
            error = await self._read(reader, chunks)
            if error is not None:
                self._refuse(error, ("", ""), self._number)
            while self._under:
                await self._tell()
            if error is not None:
                await _drain(chunks)
        finally:
            self._leave_nothing()
        return self._report.response()

    async def _read(
        self, reader: Reader, chunks: AsyncIterator[bytes]
    ) -> ReconcileError | None:
        """Take the parts; why it ended before its end, or None."""
        try:
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    await self._on(event)
            for event in reader.finish():
                await self._on(event)
        except _Over as over:
            return over.error
        except TimeoutError:
            self._report.stood_still = True
            return CannotUnderstand("the body stood still")
        except TooLarge as error:
            return error
        return None

    async def _on(self, event: Event) -> None:
        if isinstance(event, Broke):
            raise _Over(event.error)
        if isinstance(event, Began):
            await self._begin(event)
            return
        assert self._upload is not None
        if isinstance(event, Came):
            self._upload.write(event.data)
            if self._upload.due:
                await to_thread.run_sync(self._upload.flush)
        else:
            await self._end(self._upload)

    async def _begin(self, began: Began) -> None:
        if self._number == PARTS_MAX:
            raise _Over(LimitExceeded(f"more than {PARTS_MAX} parts"))
        self._number += 1
        while len(self._under) >= PIPELINED:
            await self._tell()
        storage, most = self._parts.storage, self._parts.instance_bytes_max
        room = storage.room.require
        self._upload = Upload(storage.spool_dir, self._source, most, room)
        if not _is_taken(began):
            self._upload.refuse(CannotUnderstand(f"a part is not {DICOM}"))

    async def _end(self, upload: Upload) -> None:
        number = self._number
        client = self._request.client
        finish = partial(
            upload.finish, self._association, number, client.host if client else ""
        )
        try:
            uploaded = await to_thread.run_sync(finish)
        except ReconcileError as error:
            self._refuse(error, upload.named, number)
            return
        finally:
            self._upload = None
        if self._study and uploaded.facts.study_instance_uid != self._study:
            uploaded.arrival.content.discard()
            self._refuse(StudyMismatch("of another study"), upload.named, number)
            return
        settled = self._stores.submit(uploaded.arrival)
        self._under.append(_Under(number, uploaded, settled))

    async def _tell(self) -> None:
        """Wait for the first of those under way, and say what became of it."""
        number, uploaded, settling = self._under.popleft()
        settled = await settling
        named = uploaded.arrival.sop_class_uid, uploaded.arrival.sop_instance_uid
        if isinstance(settled, Exception):
            self._refuse(settled, named, number)
            return
        found = await to_thread.run_sync(became, self._parts.retrieve, uploaded, settled)
        self._report.stored(named, settled, found)

    def _refuse(self, error: Exception, named: tuple[str, str], number: int) -> None:
        self._report.refused(named, error)
        log.log(
            logging.WARNING if isinstance(error, ReconcileError) else logging.ERROR,
            "store refused association=%s part=%d instance=%r error=%s",
            self._association,
            number,
            named[1][:64],
            type(error).__name__,
        )

    def _leave_nothing(self) -> None:
        """Of what is not whole. What is being stored goes on, and removes its file."""
        if self._upload is not None:
            self._upload.discard()


class _Over(Exception):
    """The body is not read on."""

    def __init__(self, error: ReconcileError) -> None:
        super().__init__()
        self.error = error


def _is_taken(began: Began) -> bool:
    """Whether a part says that it is an instance; one that says nothing is believed."""
    kind, _ = media_type(began.headers.get("content-type", DICOM))
    coding = began.headers.get("content-transfer-encoding", "binary").lower()
    return kind == DICOM and coding in ("binary", "8bit", "7bit")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes; only what we wait for it is counted.

    Raises:
        TimeoutError: it stood still, or comes too slowly.
    """
    body, clock = request.stream(), asyncio.get_running_loop().time
    patience = SILENCE_SECONDS
    while True:
        begun = clock()
        async with asyncio.timeout(min(patience, SILENCE_SECONDS)):
            chunk = await anext(body, None)
        if chunk is None:
            return
        patience += len(chunk) / SLOWEST_BYTES_PER_SECOND - (clock() - begun)
        yield chunk


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read on for a while, so that the answer can be read."""
    left = DRAINED_BYTES_MAX
    with suppress(TimeoutError, ClientDisconnect):
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                return
