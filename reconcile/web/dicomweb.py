"""Instances over HTTP: as given out today (WADO-RS, PS3.18 10.4), or as they came."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from reconcile.core import attributes as at
from reconcile.core.matchkeys import question_of
from reconcile.core.querykeys import Level
from reconcile.db import removals
from reconcile.errors import CannotConvert, NotFound, ReconcileError
from reconcile.flows.pixels import PixelFlow
from reconcile.flows.questions import time_of
from reconcile.flows.retrieve import Outgoing
from reconcile.flows.several import Ready, Wanted
from reconcile.web.accept import DICOM, Form, Taken, accept_of, taken
from reconcile.web.auth import INSIDERS
from reconcile.web.paging import AsOf
from reconcile.web.parts import Asking, Parts, PartsOf, Uid, base_of
from reconcile.web.related import Part, related, streamed

LOG = logging.getLogger(__name__)

router = APIRouter(tags=["instances"])

_Responses = dict[int | str, dict[str, Any]]
_FILE: _Responses = {200: {"description": "A DICOM file", "content": {DICOM: {}}}}
_PARTS: _Responses = {
    200: {"description": "The instance", "content": {"multipart/related": {}, DICOM: {}}},
    406: {"description": "Not Acceptable"},
}
_SEVERAL: _Responses = {
    200: {"description": "The instances", "content": {"multipart/related": {}}},
    206: {
        "description": "Those that can be given so",
        "content": {"multipart/related": {}},
    },
    406: {"description": "Not Acceptable"},
}


class Incomplete(ReconcileError):
    """Not all that was promised could be sent: the answer is cut off."""


@router.get("/dicom-web/studies/{study}", responses=_SEVERAL, response_class=Response)
def retrieve_study(request: Request, parts: PartsOf, study: Uid) -> Response:
    """All instances of a study as given out today, by received or assigned UID."""
    return _several(request, parts, wanted(study), study)


@router.get(
    "/dicom-web/studies/{study}/series/{series}",
    responses=_SEVERAL,
    response_class=Response,
)
def retrieve_series(request: Request, parts: PartsOf, study: Uid, series: Uid) -> Response:
    """All instances of a series."""
    return _several(request, parts, wanted(study, series), series)


@router.get(
    "/dicom-web/studies/{study}/series/{series}/instances/{instance}",
    responses=_PARTS,
    response_class=Response,
)
def retrieve_instance(
    request: Request, parts: PartsOf, study: Uid, series: Uid, instance: Uid
) -> Response:
    """One instance; study and series by received or assigned UID."""
    held = PixelFlow(parts.retrieve).holding(study, series, instance)
    give = partial(parts.retrieve.as_given, held)
    for each in taken(accept_of(request)):
        try:
            found = given(give, held.kept.transfer_syntax_uid, each)
        except CannotConvert:
            continue
        return _file(found) if each.form is Form.SINGLE else related(_one(found), DICOM)
    raise CannotConvert("in none of the media types and transfer syntaxes asked for")


@router.get(
    "/api/v1/instances/{sop_instance_uid}/file", responses=_FILE, response_class=Response
)
def instance_file(
    parts: PartsOf, asking: Asking, sop_instance_uid: Uid, as_of: AsOf = ""
) -> Response:
    """Any instance as of today, or of a time, with or without a patient, as a file."""
    when = time_of("as_of", as_of)
    if when is not None:
        hidden = asking.role in INSIDERS
        return _file(parts.retrieve.as_of(sop_instance_uid, when, hidden=hidden))
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


def wanted(study: str, series: str = "", instance: str = "") -> Wanted:
    """Instances by their place, of which each UID may be received or assigned."""
    keys = {at.STUDY_INSTANCE_UID: at.element("UI", study)}
    if series:
        keys[at.SERIES_INSTANCE_UID] = at.element("UI", series)
    return Wanted(question_of(Level.SERIES, keys), (instance,) if instance else ())


def absent(parts: Parts, uid: str) -> NotFound:
    """Why there is nothing under a UID: it was deleted, or it was never there."""
    with parts.database.read_only() as connection:
        gone = removals.absence(connection, uid)
    return gone or NotFound("there is no such instance to be given out")


def address_of(request: Request, ready: Ready) -> str:
    """Where an instance is retrieved from, by the UIDs that it is given out under."""
    base = f"{base_of(request)}/dicom-web"
    place = f"studies/{ready.study_uid}/series/{ready.series_uid}"
    return f"{base}/{place}/instances/{ready.sop_instance_uid}"


def given(give: Callable[[Sequence[str]], Outgoing], stored: str, how: Taken) -> Outgoing:
    """An instance as it is asked for.

    Raises:
        CannotConvert: it cannot be given so.
    """
    *ways, last = how.ways(stored)
    for way in ways:
        with suppress(CannotConvert):
            return give(way)
    return give(last)


def _several(request: Request, parts: Parts, asked: Wanted, uid: str) -> Response:
    kinds = parts.several.kinds(asked)
    if not kinds:
        raise absent(parts, uid)
    how = next((e for e in taken(accept_of(request)) if e.form is Form.MULTIPART), None)
    if how is None:
        raise CannotConvert(f'multipart/related; type="{DICOM}" is what is here')
    left = {stored for _, stored in kinds if not _can(parts, stored, how)}
    lost = sum(number for (_, stored), number in kinds.items() if stored in left)
    if lost == sum(kinds.values()):
        raise CannotConvert("none of them in a transfer syntax that was asked for")
    ready = (e for e in parts.several.instances(asked) if e.transfer_syntax_uid not in left)
    sent = _each(ready, how, lambda each: address_of(request, each))
    if not lost:
        return related(sent, DICOM)
    said = f"{lost} instances cannot be given in a transfer syntax that was asked for"
    return related(sent, DICOM, 206, {"Warning": f'299 {base_of(request)}: "{said}"'})


def _can(parts: Parts, stored: str, how: Taken) -> bool:
    return any(parts.retrieve.can_give(stored, way) for way in how.ways(stored))


def _each(
    ready: Iterator[Ready], how: Taken, address: Callable[[Ready], str]
) -> Generator[Part, None, None]:
    """Each of them; one that is broken is left out, and the end is then not sent.

    Raises:
        Incomplete: at the end.
    """
    missed = 0
    for each in ready:
        try:
            found = given(each.give, each.transfer_syntax_uid, how)
        except ReconcileError as error:
            missed += 1
            LOG.error(
                "not given instance=%r error=%s",
                each.sop_instance_uid,
                type(error).__name__,
            )
            continue
        yield _part(found, address(each))
    if missed:
        raise Incomplete(f"{missed} instances could not be given")


def _file(found: Outgoing) -> Response:
    name = f'attachment; filename="{found.sop_instance_uid}.dcm"'
    headers = {"Content-Disposition": name}
    return StreamingResponse(streamed(found.file()), headers=headers, media_type=DICOM)


def _one(found: Outgoing) -> Generator[Part, None, None]:
    yield _part(found)


def _part(found: Outgoing, location: str = "") -> Part:
    kind = f"{DICOM}; transfer-syntax={found.transfer_syntax_uid}"
    return Part(kind, found.file(), location)
