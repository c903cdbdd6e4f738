"""A DICOM archive back-end that decides, explains and remembers identity."""

import sys
from typing import Any

__version__ = "0.1.0"

# pydicom loads every codec that it finds. Pixels are decoded in one process only, which
# takes this back before it loads pydicom (`reconcile.dataset.decoder`): no process that
# talks to anybody has a codec in its memory.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("gdcm", None)
