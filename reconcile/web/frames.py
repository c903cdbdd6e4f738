"""Frames and bulk data of one instance (PS3.18 section 10.4.1.1.3 to 10.4.1.1.5).

What is not compressed is sent as application/octet-stream in little endian; a compressed
frame as the bytes that it is stored as, under its media type, or as octets to whoever
takes those in any transfer syntax.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from reconcile.dataset.frames import MEDIA_TYPES, PIXEL_DATA, Frames, frames_of
from reconcile.dataset.metadata import find
from reconcile.dataset.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from reconcile.db.views_instances import Holding
from reconcile.errors import CannotConvert
from reconcile.flows.pixels import PixelFlow
from reconcile.web.accept import ANY, MULTIPART, OCTETS, Range, accept_of, ranges
from reconcile.web.parts import PartsOf, Uid
from reconcile.web.related import Part, begun, in_pieces, related

router = APIRouter(tags=["instances"])

_PIXELS = f"{PIXEL_DATA:08X}"
_PATH = "/dicom-web/studies/{study}/series/{series}/instances/{instance}"

FrameList = Annotated[
    str,
    Path(
        pattern=r"^[0-9]{1,9}(,[0-9]{1,9})*$",
        max_length=8000,
        description="Frame numbers, from 1 on, parted by commas",
    ),
]
Place = Annotated[
    str,
    Path(
        pattern=r"^[0-9A-F]{8}(/[0-9]{1,6}/[0-9A-F]{8}){0,31}$",
        description="A tag, or a tag, the number of an item, and a tag in it, and so on",
    ),
]
_BULK: dict[int | str, dict[str, Any]] = {
    200: {"description": "One part for each", "content": {MULTIPART: {}}},
    406: {"description": "Not Acceptable"},
}


class How(NamedTuple):
    """How frames are sent.

    Attributes:
        plain: not compressed; else as they are stored.
    """

    plain: bool
    media_type: str
    transfer_syntax: str

    @property
    def content_type(self) -> str:
        """Of each part."""
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax}"


@router.get(_PATH + "/frames/{frames}", responses=_BULK, response_class=Response)
def retrieve_frames(
    request: Request,
    parts: PartsOf,
    study: Uid,
    series: Uid,
    instance: Uid,
    frames: FrameList,
) -> Response:
    """Frames of one instance, in the order in which they are asked for."""
    numbers = [int(number) for number in frames.split(",")]
    flow = PixelFlow(parts.retrieve)
    return _sent(request, flow, flow.holding(study, series, instance), numbers)


@router.get(_PATH + "/bulkdata/{place:path}", responses=_BULK, response_class=Response)
def retrieve_bulkdata(
    request: Request,
    parts: PartsOf,
    study: Uid,
    series: Uid,
    instance: Uid,
    place: Place,
) -> Response:
    """The value of an element that metadata names by its address."""
    flow = PixelFlow(parts.retrieve)
    found = flow.holding(study, series, instance)
    if place == _PIXELS and found.kept.transfer_syntax_uid in MEDIA_TYPES:
        return _sent(request, flow, found, None)
    if not any(_takes_octets(each) for each in ranges(accept_of(request))):
        raise CannotConvert(f"{OCTETS} is what bulk data is in")
    return related(begun(_value(flow, found, place)), OCTETS)


def _value(flow: PixelFlow, found: Holding, place: str) -> Generator[Part, None, None]:
    with flow.state(found) as state:
        raw, _ = find(state, place)
        kind = f"{OCTETS}; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}"
        yield Part(kind, in_pieces((raw.value,)))


def _sent(
    request: Request, flow: PixelFlow, found: Holding, numbers: Sequence[int] | None
) -> Response:
    """Frames in the way that is liked best of those in which they can be had.

    Raises:
        CannotConvert: there is none.
    """
    stored = found.kept.transfer_syntax_uid
    for how in _hows(accept_of(request), stored, undone=flow.undoes(stored)):
        with suppress(CannotConvert):
            return related(begun(_frames(flow, found, how, numbers)), how.media_type)
    kept = MEDIA_TYPES.get(stored, OCTETS)
    raise CannotConvert(f"{kept} in transfer syntax {stored} is what is here")


def _frames(
    flow: PixelFlow, found: Holding, how: How, numbers: Sequence[int] | None
) -> Generator[Part, None, None]:
    """A part for each; None: for all there are."""
    with flow.state(found) as state:
        frames = frames_of(state)
        if not frames.compressed and not how.plain:
            raise CannotConvert("pixel data is not as its transfer syntax says")
        for number in _existing(frames, numbers):
            stored = frames.frame(number)
            if frames.compressed and how.plain:
                stored = (flow.decoded(found, frames.shape, stored),)
            yield Part(how.content_type, in_pieces(stored))


def _existing(frames: Frames, numbers: Sequence[int] | None) -> Sequence[int]:
    """These frames.

    Raises:
        NotFound: there is one that does not exist.
    """
    if numbers is None:
        return range(1, len(frames) + 1)
    for number in numbers:
        frames.frame(number)
    return numbers


def _hows(accept: str, stored: str, *, undone: bool) -> Iterator[How]:
    """How frames that are stored in a transfer syntax may be sent, the best way first."""
    compressed = MEDIA_TYPES.get(stored)
    ways = [How(True, OCTETS, EXPLICIT_VR_LITTLE_ENDIAN)]
    if compressed is not None:
        ways = ways if undone else []
        ways += [How(False, compressed, stored), How(False, OCTETS, stored)]
    for each in ranges(accept):
        yield from (
            way for way in ways if _fits(each, way, compressed=compressed is not None)
        )


def _fits(range_: Range, way: How, *, compressed: bool) -> bool:
    if range_.media_type in ("*/*", "multipart/*"):
        kind = ""
    elif range_.media_type == MULTIPART:
        kind = range_.of
    else:
        return False
    octets = way.media_type == OCTETS
    if kind not in ("", "*/*", way.media_type, way.media_type.partition("/")[0] + "/*"):
        return False
    if range_.transfer_syntax == ANY:
        return not way.plain or not compressed
    if range_.transfer_syntax == "":
        return way.plain or not octets
    return range_.transfer_syntax == way.transfer_syntax


def _takes_octets(range_: Range) -> bool:
    if range_.media_type in ("*/*", "multipart/*"):
        return True
    return range_.media_type == MULTIPART and range_.of in ("", "*/*", OCTETS)
