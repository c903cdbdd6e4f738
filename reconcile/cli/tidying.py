"""What is deleted beside everything else, since nobody needs it any more."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from reconcile.cli.wiring import Parts, now
from reconcile.errors import ReconcileError
from reconcile.flows.associations import forget

log = logging.getLogger(__name__)

SECONDS = 3600.0


def begin(parts: Parts, stop: threading.Event) -> None:
    """Tidy up now and every hour, in a thread that ends with the process."""
    threading.Thread(target=_every_hour, args=(parts, stop), daemon=True).start()


def _every_hour(parts: Parts, stop: threading.Event) -> None:
    kept = timedelta(days=parts.settings.serve.association_days)
    while not stop.is_set():
        try:
            gone = forget(parts.database, now() - kept)
        except ReconcileError as error:
            log.warning("nothing is tidied up now: %s", error)
        else:
            if gone:
                log.info("associations of long ago: %d deleted", gone)
        stop.wait(SECONDS)
