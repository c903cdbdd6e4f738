"""pynetdicom's settings.

It keeps them in module globals: they are set here, once, and nowhere else. Its own
loggers are silenced: at some levels they print data sets, and an exception's message
may quote one.
"""

from __future__ import annotations

import logging
import warnings

from pynetdicom import _config

from reconcile.dicom.steady import make_steady

_SILENT = logging.CRITICAL + 1


def configure_pynetdicom() -> None:
    """Set pynetdicom's globals for a process that uses it. May be called again."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_RECV_CHUNKED_DATASET = False
    _config.UNRESTRICTED_STORAGE_SERVICE = False
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).setLevel(_SILENT)
    make_steady()
    warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom)(\..*)?")
