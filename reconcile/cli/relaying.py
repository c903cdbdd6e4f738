"""How destinations are told what is no instance: corrections by HL7, performed steps."""

from __future__ import annotations

from reconcile.cli.tls import client_context
from reconcile.cli.wiring import Parts, now, sources
from reconcile.flows.correcting import Correction, Telling
from reconcile.flows.kept import KeptArrivals
from reconcile.flows.relay import Post, RelayFlow, Send
from reconcile.flows.relaying_steps import Steps
from reconcile.settings.model import Destination


def relaying(parts: Parts) -> RelayFlow:
    """What relays, to all destinations that something is relayed to."""
    said = parts.settings.destination
    posts = [
        Post(each.ae_title, _corrections(parts, each), _steps(parts, each)) for each in said
    ]
    return RelayFlow(parts.database, posts, now)


def _corrections(parts: Parts, said: Destination) -> Send | None:
    if not said.hl7:
        return None
    # Only who tells by HL7 has the door's code in memory.
    from reconcile.hl7.client import Receiver, say
    from reconcile.hl7.sending import Parties, message

    settings = parts.settings
    host, _, port = said.hl7.rpartition(":")
    tls = client_context(settings) if said.hl7_tls else None
    receiver = Receiver(host.strip("[]"), int(port), tls)
    ours = settings.archive.modifying_system
    parties = Parties(ours, "", said.hl7_application, said.hl7_facility)

    def tell(told: Correction) -> str:
        made = message(told, parties, parts.rules.domains, now())
        return say(receiver, made, told.control_id)

    return Telling(parts.several, said.domain, tell)


def _steps(parts: Parts, said: Destination) -> Send | None:
    if said.performed == "no":
        return None
    from reconcile.cli.work_receiver import destinations
    from reconcile.dicom.relaying import relaying_steps

    settings = parts.settings
    remote = destinations(settings)[said.ae_title]
    kept = KeptArrivals(parts.store("mpps").recording, sources(settings))
    way = relaying_steps(remote, settings.archive.ae_title)
    return Steps(kept, way, said.domain, coerce=said.performed == "coerced")
