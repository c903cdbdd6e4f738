"""What is sent as multipart/related (RFC 2387), made on its way, in constant memory."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse

from reconcile.flows.opened import read_through
from reconcile.web.accept import MULTIPART

Chunks = Generator[bytes, None, None]

_GATHERED_BYTES = 512 << 10
T = TypeVar("T")


class Part(NamedTuple):
    """One part; its chunks are closed when it is sent, or will not be."""

    content_type: str
    chunks: Chunks
    location: str = ""


def related(
    parts: Generator[Part, None, None],
    of: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> StreamingResponse:
    """A multipart of some parts; `of` is the media type that its parts are of."""
    boundary = secrets.token_hex(16)
    kind = f'{MULTIPART}; type="{of}"; boundary={boundary}'
    body = streamed(_written(parts, boundary))
    return StreamingResponse(body, status, dict(headers or {}), kind)


async def streamed(chunks: Chunks) -> AsyncIterator[bytes]:
    """Chunks that are made in threads; closed also where nobody reads to the end."""
    try:
        async for chunk in iterate_in_threadpool(_gathered(chunks)):
            yield chunk
    finally:
        chunks.close()


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Small chunks joined: a turn of the loop and a thread's for each costs more than they
    do. What came before a fault is passed on before it.
    """
    held: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            held.append(chunk)
            size += len(chunk)
            if size >= _GATHERED_BYTES:
                yield b"".join(held)
                held, size = [], 0
    except Exception:
        yield b"".join(held)
        raise
    if held:
        yield b"".join(held)


def in_pieces(values: Iterable[memoryview | bytes]) -> Chunks:
    """Copies of 1 MiB each; mapped pages are given back on the way."""
    for value in values:
        for piece in read_through(memoryview(value)):
            yield bytes(piece)


def begun(made: Generator[T, None, None], number: int = 1) -> Generator[T, None, None]:
    """The same, the first ones made now: what fails, fails before an answer."""
    rest = _rest(list(islice(made, number)), made)
    next(rest)  # to the first yield, so that closing it closes what it holds
    return rest


def _rest(first: list[T], made: Generator[T, None, None]) -> Generator[Any, None, None]:
    try:
        yield None
        yield from first
        yield from made
    finally:
        made.close()


def _written(parts: Generator[Part, None, None], boundary: str) -> Chunks:
    with closing(parts):
        for part in parts:
            with closing(part.chunks):
                yield _head(part, boundary)
                yield from part.chunks
                yield b"\r\n"
    yield f"--{boundary}--\r\n".encode("ascii")


def _head(part: Part, boundary: str) -> bytes:
    said = "".join(f"{name}: {value}\r\n" for name, value in _fields(part))
    return f"--{boundary}\r\n{said}\r\n".encode("ascii")


def _fields(part: Part) -> Iterator[tuple[str, str]]:
    yield "Content-Type", part.content_type
    if part.location:
        yield "Content-Location", part.location
