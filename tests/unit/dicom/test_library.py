"""pynetdicom's settings, where it is used at all."""

from __future__ import annotations

import logging

from pynetdicom import _config

from reconcile.dicom.library import configure_pynetdicom


def test_the_library_logs_nothing() -> None:
    """Its loggers may print data sets, and messages that quote them."""
    configure_pynetdicom()
    assert _config.LOG_HANDLER_LEVEL == "none"
    for name in ("pynetdicom.dul", "pynetdicom.dimse", "pydicom"):
        assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)
