"""The program that undoes lossless compression: in a process of its own, with limits.

Codecs are where archives are broken into. This process has no door, no database, no
credentials and, once it has begun, no file that it could open: it reads frames from its
standard input and writes pixels to its standard output. What it is asked for and what it
answers is bounded by whoever runs it (`reconcile.flows.decoding`), who trusts it no more
than the peer that sent the frame. No other process may load this module.

    python -I -m reconcile.dataset.decoder
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from typing import Any

from reconcile.dataset.piped import JPEG_2000, SYNTAXES, receive, send

sys.modules.pop("gdcm", None)  # hidden from all other processes (`reconcile`)

from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels.decoders.base import get_decoder  # noqa: E402
from pydicom.pixels.utils import get_j2k_parameters  # noqa: E402

#: Of all that this process maps: of a frame of 256 MiB several copies are made.
MEMORY_BYTES = 3 << 30
#: In all, of one process; it is replaced then.
CPU_SECONDS = 600


class Mismatch(ValueError):
    """The frame is not what its header says."""


def decoded(head: dict[str, Any], frame: bytes) -> tuple[dict[str, Any], bytes]:
    """A frame without compression, in little endian, and what is then said of it.

    Args:
        head: "syntax", and what the header says of the image, in pydicom's words.
        frame: as it is stored.

    Raises:
        Exception: of whatever kind a decoder raises.
    """
    image = dict(head["image"])
    _require_j2k(head["syntax"], image, frame)
    pixels, told = get_decoder(head["syntax"]).as_buffer(
        encapsulate([frame], has_bot=False),
        index=0,
        number_of_frames=1,
        pixel_keyword="PixelData",
        **image,
    )
    said: dict[str, Any] = dict(told)
    if said["bits_allocated"] != image["bits_allocated"]:
        raise Mismatch("another number of bits")
    planar = image["planar_configuration"]
    if said["samples_per_pixel"] > 1 and said["planar_configuration"] != planar:
        width = said["bits_allocated"] // 8
        pixels = _arranged(bytes(pixels), said["samples_per_pixel"], width, planar)
    return {"photometric": str(said["photometric_interpretation"])}, bytes(pixels)


def _require_j2k(syntax: str, image: dict[str, Any], frame: bytes) -> None:
    """Where a codestream has another sign, or more bits, pixels would be misread."""
    if syntax != JPEG_2000:
        return
    found: dict[str, Any] = get_j2k_parameters(frame)
    signed = image["pixel_representation"] == 1
    if found and (
        found["is_signed"] != signed or found["precision"] > image["bits_allocated"]
    ):
        raise Mismatch("another sign or precision")


def _arranged(pixels: bytes, samples: int, width: int, planar: int) -> bytes:
    """Samples of `width` bytes by plane (1), or by pixel (0)."""
    found = bytearray(len(pixels))
    plane = len(pixels) // samples
    for sample in range(samples):
        for byte in range(width):
            by_plane = slice(sample * plane + byte, (sample + 1) * plane, width)
            by_pixel = slice(sample * width + byte, None, samples * width)
            if planar:
                found[by_plane] = pixels[by_pixel]
            else:
                found[by_pixel] = pixels[by_plane]
    return bytes(found)


def main() -> None:
    """Decode what comes, until nothing comes any more."""
    _warm_up()
    _limit()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while (head := receive(source)) is not None:
        frame = source.read(int(head["length"]))
        try:
            said, pixels = decoded(head, frame)
        except Exception as error:  # noqa: BLE001 - whatever it is, the frame is not given
            said, pixels = {"error": type(error).__name__}, b""
        send(target, said, pixels)


def _warm_up() -> None:
    """Load what is loaded late, while files can still be opened."""
    image = {
        "rows": 1,
        "columns": 1,
        "samples_per_pixel": 1,
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
        "planar_configuration": 0,
    }
    for syntax in SYNTAXES:
        with suppress(Exception):
            decoded({"syntax": syntax, "image": image}, bytes(64))


def _limit() -> None:
    limits = {
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 3,
    }
    for kind, most in limits.items():
        with suppress(ValueError, OSError):  # a system that does not know it
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
