"""Have lossless compression undone, by processes that may break and harm nobody.

A process is asked for one frame at a time, has a time limit for each, and is replaced when
it breaks it or dies. What it answers is compared with what the header says before it is
believed. An instance is decoded whole, into a file without a name, before any of it is
given out: what cannot be decoded is then still given as it is stored.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from reconcile.dataset.elements import encode_element, tail_elements
from reconcile.dataset.facts import Received, read
from reconcile.dataset.frames import Frames, Pieces, Shape, frames_of
from reconcile.dataset.framing import EXPLICIT
from reconcile.dataset.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from reconcile.dataset.piped import SYNTAXES, receive, send
from reconcile.dataset.splice import SIGNATURES
from reconcile.errors import CannotConvert, NotFound, ServiceUnavailable
from reconcile.flows.opened import written

LOG = logging.getLogger(__name__)

#: Decoding at once; each is a process of up to some hundred MiB.
AT_ONCE = max(2, (os.cpu_count() or 1) // 2)
#: One frame takes milliseconds; a large one on a busy machine seconds.
FRAME_SECONDS = 60.0
#: Whoever waits for others for so long is told to come again.
WAIT_SECONDS = 60.0
FRAME_BYTES_MAX = 256 << 20
#: Of pixel data with a length of 32 bits.
_PIXEL_BYTES_MAX = 0xFFFFFFFE
_PIXEL_DATA = 0x7FE00010
_AFTER_PIXELS = 0x7FE10000
_PHOTOMETRIC = 0x00280004
_PROGRAM = (sys.executable, "-I", "-m", "reconcile.dataset.decoder")


class Decoder:
    """One process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.broken = False
        self._process = subprocess.Popen(
            _PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def frame(self, syntax: str, shape: Shape, stored: Pieces) -> tuple[str, bytes]:
        """(photometric interpretation, pixels in little endian) of a compressed frame.

        Raises:
            CannotConvert: it cannot be decoded, or not within the limits.
        """
        size = shape.bits // 8
        if not 0 < size <= FRAME_BYTES_MAX or shape.bits % 8:
            raise CannotConvert("a frame is larger than is decoded, or of no size")
        try:
            said, pixels = self._answer(syntax, shape, b"".join(stored), size)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.close()
            raise CannotConvert("a frame could not be decoded within limits") from error
        if said is None:
            raise CannotConvert("a frame could not be decoded")
        return said, pixels

    def _answer(
        self, syntax: str, shape: Shape, frame: bytes, size: int
    ) -> tuple[str | None, bytes]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        head = {"syntax": syntax, "image": _image(shape)}
        timer = threading.Timer(self._seconds, process.kill)
        timer.start()
        try:
            send(process.stdin, head, frame)
            told = receive(process.stdout)
            if told is None:
                raise OSError("the decoder has ended")
            if "error" in told:
                LOG.warning("not decoded syntax=%s error=%.40r", syntax, told["error"])
                return None, b""
            photometric = told["photometric"]
            if told["length"] != size or not isinstance(photometric, str):
                raise ValueError("not what the header says")
            pixels = process.stdout.read(size)
        finally:
            timer.cancel()
        if len(pixels) != size or not photometric.isascii() or len(photometric) > 16:
            raise ValueError("not what the header says")
        return photometric, pixels

    def close(self) -> None:
        """End the process, whatever it does."""
        self.broken = True
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()


class Decoding:
    """The processes of this one; the next frame is decoded by one that is idle.

    Attributes:
        syntaxes: transfer syntaxes whose compression can be undone.
    """

    def __init__(self, seconds: float = FRAME_SECONDS) -> None:
        self.syntaxes = SYNTAXES
        self._seconds = seconds
        self._places = threading.Semaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._idle: list[Decoder] = []

    @contextmanager
    def decoder(self) -> Iterator[Decoder]:
        """A process for one instance.

        Raises:
            ServiceUnavailable: all are busy for too long.
        """
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise ServiceUnavailable("too much is being decoded")
        try:
            found = self._taken() or Decoder(self._seconds)
            try:
                yield found
            finally:
                if not found.broken:
                    with self._lock:
                        self._idle.append(found)
        finally:
            self._places.release()

    def _taken(self) -> Decoder | None:
        """One that is idle and alive."""
        with self._lock:
            while self._idle:
                found = self._idle.pop()
                if found.alive:
                    return found
                found.close()
        return None

    @contextmanager
    def undone(self, state: Received, syntax: str, scratch: Path) -> Iterator[Received]:
        """An instance as it stands, in Explicit VR Little Endian.

        Args:
            state: an instance as received, or as given out.
            syntax: one of `syntaxes`, that it is stored in.
            scratch: folder for a file that holds it while it is used.

        Raises:
            CannotConvert: it cannot be decoded.
            ServiceUnavailable: all processes are busy for too long.
        """
        try:
            frames = frames_of(state)
        except NotFound as error:
            raise CannotConvert(str(error)) from error
        if not frames.compressed or not len(frames):
            raise CannotConvert("pixel data is not as its transfer syntax says")
        with written(scratch, partial(self._write, state, syntax, frames)) as view:
            found = read(view, EXPLICIT_VR_LITTLE_ENDIAN, state.assumed_charset)
            try:
                yield found
            finally:
                found.close()

    def frame(self, syntax: str, shape: Shape, stored: Pieces) -> bytes:
        """One frame.

        Raises:
            CannotConvert, ServiceUnavailable: as `undone`.
        """
        with self.decoder() as decoder:
            return decoder.frame(syntax, shape, stored)[1]

    def _write(self, state: Received, syntax: str, frames: Frames, file: BinaryIO) -> None:
        with self.decoder() as decoder:
            _write(decoder, state, syntax, frames, file)

    def close(self) -> None:
        """End what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.close()


def _write(
    decoder: Decoder, state: Received, syntax: str, frames: Frames, file: BinaryIO
) -> None:
    """The data set with its pixels, frame by frame."""
    shape = frames.shape
    size = len(frames) * shape.bits // 8
    if size > _PIXEL_BYTES_MAX:
        raise CannotConvert("pixel data would be longer than can be said")
    photometric, pixels = decoder.frame(syntax, shape, frames.frame(1))
    said = encode_element(_PHOTOMETRIC, "CS", photometric.encode("ascii"), EXPLICIT)
    changed = (
        state if photometric == shape.photometric else state.edited({_PHOTOMETRIC: said})
    )
    file.writelines(changed.pieces())
    file.write(_head(size + size % 2, shape))
    file.write(pixels)
    for number in range(2, len(frames) + 1):
        same, pixels = decoder.frame(syntax, shape, frames.frame(number))
        if same != photometric:
            raise CannotConvert("frames are of several kinds")
        file.write(pixels)
    file.write(b"\0" * (size % 2))
    _write_rest(state, file)


def _write_rest(state: Received, file: BinaryIO) -> None:
    """What follows pixel data."""
    for raw in tail_elements(state.header):
        if raw.tag >= _AFTER_PIXELS and raw.tag != SIGNATURES:
            file.write(raw.whole)
    signatures = state.raw_element(SIGNATURES)
    if signatures is not None:
        file.write(signatures.whole)


def _head(length: int, shape: Shape) -> bytes:
    vr = "OW" if shape.bits_allocated > 8 else "OB"
    tag = _PIXEL_DATA.to_bytes(4, "big")
    swapped = tag[1::-1] + tag[:1:-1]
    return swapped + vr.encode("ascii") + b"\0\0" + length.to_bytes(4, "little")


def _image(shape: Shape) -> dict[str, Any]:
    """What the header says, as pydicom's decoders are told it."""
    return {
        "rows": shape.rows,
        "columns": shape.columns,
        "samples_per_pixel": shape.samples,
        "bits_allocated": shape.bits_allocated,
        "bits_stored": shape.bits_stored,
        "pixel_representation": int(shape.signed),
        "photometric_interpretation": shape.photometric,
        "planar_configuration": shape.planar,
    }
