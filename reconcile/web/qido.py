"""QIDO-RS: which studies, series and instances there are (PS3.18 section 10.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from reconcile.core import attributes as at
from reconcile.core import matchkeys as mk
from reconcile.core import querykeys as qk
from reconcile.core.attributes import Element, Tag
from reconcile.core.matchkeys import Question
from reconcile.core.querykeys import KEYS, Level
from reconcile.dataset.keywords import tag_of
from reconcile.db import protection
from reconcile.errors import WrongUse
from reconcile.flows.keys import Principal
from reconcile.flows.query import Answer, only, showing
from reconcile.web.parts import Asking, Parts, PartsOf, Uid
from reconcile.web.problems import problem

router = APIRouter(tags=["queries"])

JSON = "application/dicom+json"
#: Answers of one request, at most and where no limit is named.
ANSWERS_MAX = 1000

_AVAILABILITY, _RETRIEVE_URL = "00080056", "00081190"
# Answered without being asked for: PS3.18 Tables 10.6.3-3 to 10.6.3-5, and what tells
# whose ID it is.
_STUDY = (
    at.STUDY_DATE,
    qk.STUDY_TIME,
    at.ACCESSION_NUMBER,
    qk.MODALITIES_IN_STUDY,
    at.REFERRING_PHYSICIAN_NAME,
    at.STUDY_DESCRIPTION,
    at.PATIENT_NAME,
    at.PATIENT_ID,
    at.ISSUER_OF_PATIENT_ID,
    at.PATIENT_BIRTH_DATE,
    at.PATIENT_SEX,
    at.STUDY_INSTANCE_UID,
    qk.STUDY_ID,
    qk.STUDY_RELATED_SERIES,
    qk.STUDY_RELATED_INSTANCES,
)
_SERIES = (
    at.MODALITY,
    "0008103E",
    at.STUDY_INSTANCE_UID,
    at.SERIES_INSTANCE_UID,
    "00200011",
    qk.SERIES_RELATED_INSTANCES,
    "00400244",
    "00400245",
    at.REQUEST_ATTRIBUTES_SEQUENCE,
)
_IMAGE = (
    qk.SOP_CLASS_UID,
    qk.SOP_INSTANCE_UID,
    at.STUDY_INSTANCE_UID,
    at.SERIES_INSTANCE_UID,
    "00200013",
    "00280008",
    "00280010",
    "00280011",
    "00280100",
)
_NOT_ATTRIBUTES = frozenset({"limit", "offset", "includefield", "fuzzymatching", "accept"})
_TAKEN = re.compile(r"application/(dicom\+json|json|\*)|\*/\*")

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Matches", "content": {JSON: {}}},
    204: {"description": "There are none"},
    406: {"description": "Not Acceptable"},
}


@router.get("/dicom-web/studies", responses=_ANSWERS, response_class=Response)
def search_studies(request: Request, parts: PartsOf, asking: Asking) -> Response:
    """Studies by their attributes, the newest first; one answer for each patient in one."""
    return _search(request, parts, asking, Level.STUDY, _STUDY)


@router.get("/dicom-web/series", responses=_ANSWERS, response_class=Response)
def search_series(request: Request, parts: PartsOf, asking: Asking) -> Response:
    """Series of all studies by their attributes."""
    return _search(request, parts, asking, Level.SERIES, (*_STUDY, *_SERIES))


@router.get(
    "/dicom-web/studies/{study}/series", responses=_ANSWERS, response_class=Response
)
def search_series_of_study(
    request: Request, parts: PartsOf, asking: Asking, study: Uid
) -> Response:
    """Series of a study, by its received or assigned UID."""
    return _search(request, parts, asking, Level.SERIES, _SERIES, _within(study))


@router.get("/dicom-web/instances", responses=_ANSWERS, response_class=Response)
def search_instances(request: Request, parts: PartsOf, asking: Asking) -> Response:
    """Instances of all studies by their attributes."""
    return _search(request, parts, asking, Level.IMAGE, (*_STUDY, *_SERIES, *_IMAGE))


@router.get(
    "/dicom-web/studies/{study}/instances", responses=_ANSWERS, response_class=Response
)
def search_instances_of_study(
    request: Request, parts: PartsOf, asking: Asking, study: Uid
) -> Response:
    """Instances of a study, by its received or assigned UID."""
    return _search(request, parts, asking, Level.IMAGE, (*_SERIES, *_IMAGE), _within(study))


@router.get(
    "/dicom-web/studies/{study}/series/{series}/instances",
    responses=_ANSWERS,
    response_class=Response,
)
def search_instances_of_series(
    request: Request, parts: PartsOf, asking: Asking, study: Uid, series: Uid
) -> Response:
    """Instances of a series, by its received or assigned UIDs."""
    return _search(request, parts, asking, Level.IMAGE, _IMAGE, _within(study, series))


def _within(study: str, series: str = "") -> dict[Tag, Element]:
    """The keys that a path stands for."""
    found = {at.STUDY_INSTANCE_UID: at.element("UI", study)}
    return found | ({at.SERIES_INSTANCE_UID: at.element("UI", series)} if series else {})


def _search(
    request: Request,
    parts: Parts,
    asking: Principal,
    level: Level,
    shown: Iterable[Tag],
    within: Mapping[Tag, Element] | None = None,
) -> Response:
    accept = ",".join(request.headers.getlist("accept")) or "*/*"
    if not _TAKEN.search(accept):
        return problem(406, detail=f"{JSON} is what answers are in")
    said = request.query_params.multi_items()
    question = mk.question_of(level, {**_keys(said, KEYS[level]), **(within or {})})
    question = showing(question, _shown(said, level, shown))
    limit, offset = _number(said, "limit", ANSWERS_MAX), _number(said, "offset", 0)
    limit = min(limit, ANSWERS_MAX)
    answers = chain.from_iterable(parts.query.pages(question, skip=offset))
    found = list(islice(answers, limit + 1))
    seen = _seen(parts, asking, found[:limit])
    base = f"{str(request.base_url).rstrip('/')}/dicom-web/studies"
    told = [_told(each, question, base) for each in seen]
    if not told:
        return Response(status_code=204)
    headers = _warnings(question, base, more=len(found) > limit)
    return JSONResponse(told, headers=headers, media_type=JSON)


def _seen(parts: Parts, asking: Principal, found: list[Answer]) -> list[Answer]:
    """What they may see of it: nothing of a patient who is protected."""
    if parts.sees_protected(asking):
        return found
    uids = {at.text(each.get(at.STUDY_INSTANCE_UID)) for each in found}
    with parts.database.read_only() as connection:
        hidden = protection.studies(connection, uids)
    return [e for e in found if at.text(e.get(at.STUDY_INSTANCE_UID)) not in hidden]


def _keys(said: Iterable[tuple[str, str]], known: Mapping[Tag, str]) -> dict[Tag, Element]:
    """The attributes that are asked for; of one that is named twice all values."""
    found: dict[Tag, list[str]] = {}
    for name, value in said:
        tag = tag_of(name.split(".")[0]) if name not in _NOT_ATTRIBUTES else None
        if tag is not None:
            listed = known.get(tag) in ("UI", "CS")
            found.setdefault(tag, []).extend(
                re.split(r"[,\\]", value) if listed else [value]
            )
    return {tag: at.element(known.get(tag, "LO"), *held) for tag, held in found.items()}


def _shown(
    said: Iterable[tuple[str, str]], level: Level, shown: Iterable[Tag]
) -> dict[Tag, str]:
    known = KEYS[level]
    fields = [f for name, value in said if name == "includefield" for f in value.split(",")]
    if "all" in fields:
        return dict(known)
    asked = (tag_of(field) or "" for field in fields)
    return {tag: known[tag] for tag in (*shown, *asked) if tag in known}


def _number(said: Iterable[tuple[str, str]], name: str, default: int) -> int:
    values = [value for key, value in said if key == name]
    if not values:
        return default
    if not (values[-1].isascii() and values[-1].isdigit() and len(values[-1]) <= 9):
        raise WrongUse(f"{name} is a number that is not negative")
    return int(values[-1])


def _told(answer: Answer, question: Question, base: str) -> dict[Tag, Element]:
    study = at.text(answer.get(at.STUDY_INSTANCE_UID))
    series = at.text(answer.get(at.SERIES_INSTANCE_UID))
    url = f"{base}/{study}"
    if question.level is not Level.STUDY:
        url = f"{url}/series/{series}"
    if question.level is Level.IMAGE:
        url = f"{url}/instances/{at.text(answer.get(qk.SOP_INSTANCE_UID))}"
    about = {
        at.SPECIFIC_CHARACTER_SET: at.element("CS", "ISO_IR 192"),
        _AVAILABILITY: at.element("CS", "ONLINE"),
        _RETRIEVE_URL: at.element("UR", url),
    }
    return dict(sorted({**only(answer, question), **about}.items()))


def _warnings(question: Question, base: str, *, more: bool) -> dict[str, str]:
    """Whoever is told less than there is, or more than was asked, is told so (8.3.4.4)."""
    said = []
    if more:
        said.append("There are additional results that can be requested")
    if question.unsupported:
        said.append("An attribute that was asked for is not looked at")
    told = ", ".join(f'299 {base}: "{words}"' for words in said)
    return {"Warning": told} if told else {}
