"""What a process of the archive is told, and how it says that its door is open."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconcile.cli.wiring import Parts


@dataclass(frozen=True, slots=True)
class Work:
    """The orders of one process.

    Attributes:
        sockets: bound and listening, by the name of the door.
        stop: set when it shall take nothing new, finish what it began, and end.
        at_once: set when that must not take long; another process goes on otherwise.
        owner_url: of the database, for whoever looks at the schema.
        require_keys: nobody is let in over HTTP without one.
        doors: addresses of all doors of the archive, by name.
        say_ready: to be called once, when the door is open.
    """

    parts: Parts
    sockets: Mapping[str, socket.socket]
    stop: threading.Event
    owner_url: str
    require_keys: bool
    at_once: threading.Event = field(default_factory=threading.Event)
    doors: Mapping[str, str] = field(default_factory=dict)
    say_ready: Callable[[], None] = lambda: None
