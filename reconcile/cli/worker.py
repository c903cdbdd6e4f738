"""One process of the archive: a receiver, the HL7 door or the web door.

It is told on standard input what to do, on sockets that are bound already, says "ready"
on standard output when its door is open, and stops when standard input ends: so no child
outlives its supervisor, whatever killed it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any

from reconcile.cli import wiring
from reconcile.cli.logs import configure_logging
from reconcile.hl7 import server as hl7
from reconcile.settings import Settings
from reconcile.web import serve as web

POOL = {"receiver": 24, "hl7": 20, "web": 16}


def main() -> None:
    """Do what the supervisor says, until it says stop or is gone."""
    role = sys.argv[1]
    configure_logging()
    orders = json.loads(sys.stdin.readline())
    settings = Settings.model_validate_json(orders["settings"])
    parts = wiring.parts(settings, orders["writer"], orders["reader"], pool_size=POOL[role])
    sockets = {door: socket.socket(fileno=fd) for door, fd in orders["fds"].items()}
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_stop_with_supervisor, args=(stop,), daemon=True).start()
    run: dict[str, Callable[..., None]] = {"receiver": _receiver, "hl7": _hl7, "web": _web}
    run[role](parts, sockets, stop, orders)
    parts.database.close()
    logging.shutdown()


def _stop_with_supervisor(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def say_ready() -> None:
    """Tell the supervisor that this process's door is open."""
    print("ready", flush=True)


Sockets = dict[str, socket.socket]
Orders = dict[str, Any]


def _receiver(
    parts: wiring.Parts, sockets: Sockets, stop: threading.Event, _: Orders
) -> None:
    door = parts.dicom_door()
    for name, opened in sockets.items():
        door.serve(opened, tls_context(parts.settings, name))
    say_ready()
    stop.wait()
    door.stop()


def _hl7(parts: wiring.Parts, sockets: Sockets, stop: threading.Event, _: Orders) -> None:
    asyncio.run(_hl7_doors(parts, sockets, stop))


async def _hl7_doors(parts: wiring.Parts, sockets: Sockets, stop: threading.Event) -> None:
    door, ended = parts.hl7_door(), asyncio.Event()
    doors = [
        hl7.serve(
            [opened],
            door.handle,
            stop=ended,
            refuse=door.refuse,
            ssl=tls_context(parts.settings, name),
            message_bytes_max=parts.settings.limits.message_bytes,
            connections_max=parts.settings.limits.max_hl7_connections,
        )
        for name, opened in sockets.items()
    ]
    running = asyncio.gather(*doors)
    say_ready()
    await asyncio.to_thread(stop.wait)
    ended.set()
    await running


def _web(
    parts: wiring.Parts, sockets: Sockets, stop: threading.Event, orders: Orders
) -> None:
    app = parts.http_app(orders["owner"], require_keys=orders["require_keys"])
    web.run(
        app,
        sockets,
        stop,
        on_ready=say_ready,
        tls=lambda door: tls_context(parts.settings, door),
    )


def tls_context(settings: Settings, door: str) -> ssl.SSLContext | None:
    """TLS of a door, after the BCP 195 profile (PS3.15 B.12): 1.2 or newer."""
    if not door.endswith("_tls"):
        return None
    tls = settings.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.ca:
        context.load_verify_locations(tls.ca)
    # People's browsers have no certificate; their keys say who they are.
    client = "none" if door == "http_tls" else tls.client
    wanted = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL}
    context.verify_mode = wanted.get(client, ssl.CERT_NONE)
    return context


if __name__ == "__main__":
    main()
