"""What the tests of the DICOM door share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.door import Doorway, doorway


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Doorway]:
    """A door that is open, with nothing behind it but a folder."""
    with doorway(tmp_path) as opened:
        yield opened
