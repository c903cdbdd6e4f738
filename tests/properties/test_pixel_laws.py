"""Laws of finding frames and saying metadata, whatever the bytes."""

from __future__ import annotations

import io
import json
import random

from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from reconcile.dataset.facts import read
from reconcile.dataset.frames import frames_of
from reconcile.dataset.metadata import write_metadata
from reconcile.errors import ReconcileError
from tests.support.instances import data_offset, instance, part10, with_meta

MUTATIONS = 1500
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


def damaged(noise: random.Random, file: bytes) -> bytes:
    found = bytearray(file)
    for _ in range(noise.randrange(1, 4)):
        place = noise.randrange(len(found))
        size = noise.randrange(1, 3)
        put = size if noise.random() < 0.9 else noise.randrange(4)
        found[place : place + size] = noise.randbytes(put)
    cut = noise.random() < 0.2
    return bytes(found[: noise.randrange(1, len(found))] if cut else found)


def files() -> list[tuple[str, bytes]]:
    compressed = instance(NumberOfFrames=2, PixelData=encapsulate([b"a" * 9, b"b" * 8]))
    compressed["PixelData"].is_undefined_length = True
    both = (instance(NumberOfFrames=1), with_meta(compressed, JPEG2000Lossless))
    whole = [(str(each.file_meta.TransferSyntaxUID), part10(each)) for each in both]
    return [(syntax, file[data_offset(file) :]) for syntax, file in whole]


FILES = files()


def test_damaged_instances_have_frames_and_metadata_or_say_why_not() -> None:
    """
    Every frame that is promised can be had, and every metadata is JSON.
    """
    noise = random.Random(7)
    had = said = 0
    for number in range(MUTATIONS):
        own, file = FILES[number % len(FILES)]
        syntax = own if noise.random() < 0.8 else noise.choice(SYNTAXES)
        try:
            state = read(damaged(noise, file), syntax)
        except ReconcileError:
            continue
        try:
            frames = frames_of(state)
            for index in range(1, min(len(frames), 50) + 1):
                had += len(b"".join(frames.frame(index))) > 0
        except ReconcileError:
            pass
        written = io.BytesIO()
        try:
            write_metadata(state, "bulk", written)
        except ReconcileError:
            continue
        said += isinstance(json.loads(written.getvalue()), dict)
    assert had > MUTATIONS / 10
    assert said > MUTATIONS / 4
