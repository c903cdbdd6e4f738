"""The HTTP door over questions and giving out."""

from __future__ import annotations

from datetime import timedelta

from reconcile.cli.tls import tls_context
from reconcile.cli.wiring import listed, now, sources, spooling
from reconcile.cli.work import Work
from reconcile.cli.work_hl7 import hl7_door
from reconcile.db import migrate
from reconcile.db.database import Database
from reconcile.flows.people import Claims, People
from reconcile.flows.spooling import unheard
from reconcile.settings.model import Settings
from reconcile.settings.shown import in_force
from reconcile.web.app import make_app
from reconcile.web.openid import Client, Entrance, Provider
from reconcile.web.parts import Parts
from reconcile.web.serve import run as serve


def entrance(settings: Settings, database: Database) -> Entrance | None:
    """How people come in: by the identity provider, where one is configured."""
    auth = settings.auth
    if not auth.oidc_issuer:
        return None
    client = Client(
        auth.oidc_issuer,
        auth.oidc_client_id,
        auth.oidc_client_secret_file,
        auth.oidc_audience,
        auth.oidc_scope,
    )
    granted_by = {str(role): values for role, values in auth.roles.items()}
    claims = Claims(auth.oidc_name_claim, auth.oidc_roles_claim, granted_by)
    lasts = timedelta(hours=auth.session_hours)
    idle = timedelta(minutes=auth.session_idle_minutes)
    return Entrance(Provider(client), claims, People(database, now, lasts, idle))


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
            entrance=entrance(settings, work.parts.database),
            protected_roles=settings.auth.protected,
            two_persons=settings.deletion.two_persons,
            destinations=[each.ae_title for each in settings.destination],
            doors=work.doors,
            in_force=in_force(settings),
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
    app.state.readings.stop()
    if spooler:
        spooler.stop()
    app.state.parts.decoding.close()
    work.parts.storage.close()
