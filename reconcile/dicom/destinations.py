"""Where instances can be sent, as plain values: `cli` makes them from the configuration."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from reconcile.flows.several import SeveralFlow


@dataclass(frozen=True, slots=True)
class Remote:
    """A peer that takes associations.

    Attributes:
        domain: in which it knows patients; empty: as the archive names them.
        tls: how its certificate is looked at, and ours is shown; None: without TLS.
    """

    ae_title: str
    host: str
    port: int
    domain: str = ""
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Giving:
    """What gives instances out, and to whom a C-MOVE may send them.

    Attributes:
        ae_title: ours, as SCU.
        destinations: by AE title.
    """

    flow: SeveralFlow
    ae_title: str
    destinations: Callable[[str], Remote | None] = lambda _: None
