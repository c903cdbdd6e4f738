"""The same instance in another transfer syntax, decoded and written by pydicom."""

from __future__ import annotations

import warnings
from copy import deepcopy

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.support.instances import with_meta

NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def transcoded(dataset: Dataset, transfer_syntax: str) -> Dataset:
    """A native data set in another transfer syntax, its values the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.decode()
    other = Dataset()
    for element in deepcopy(dataset):
        other.add(element)
    if transfer_syntax == RLELossless:
        plain = with_meta(other)
        plain.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        return other
    if transfer_syntax == ExplicitVRBigEndian and "PixelData" in other:
        held = bytearray(other.PixelData)
        if other.BitsAllocated > 8:
            held[0::2], held[1::2] = held[1::2], held[0::2]
        other.PixelData = bytes(held)
    return with_meta(other, transfer_syntax)
