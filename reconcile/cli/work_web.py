"""The HTTP door over questions and giving out."""

from __future__ import annotations

from reconcile.cli.tls import tls_context
from reconcile.cli.wiring import listed, now, sources, spooling
from reconcile.cli.work import Work
from reconcile.cli.work_hl7 import hl7_door
from reconcile.db import migrate
from reconcile.flows.spooling import unheard
from reconcile.web.app import make_app
from reconcile.web.parts import Parts
from reconcile.web.serve import run as serve


def run(work: Work) -> None:
    """Answer requests until the work is to stop."""
    settings = work.parts.settings
    spooler = spooling(work.parts)
    app = make_app(
        Parts(
            work.parts.database,
            work.parts.storage,
            work.parts.rules,
            work.require_keys,
            schema_findings=lambda: migrate.check(work.owner_url),
            body_bytes_max=settings.limits.http_json_bytes,
            public_url=settings.serve.public_url,
            instance_bytes_max=settings.limits.instance_bytes,
            sources=sources(settings),
            listed=listed(settings),
            clock=now,
            act_again=hl7_door(work.parts).again,
            destinations=[each.ae_title for each in settings.destination],
            heard=spooler.note if spooler else unheard,
        )
    )
    serve(
        app,
        work.sockets,
        work.stop,
        on_ready=work.say_ready,
        tls=lambda door: tls_context(settings, door),
    )
    app.state.stores.stop()
    if spooler:
        spooler.stop()
    app.state.parts.decoding.close()
    work.parts.storage.close()
