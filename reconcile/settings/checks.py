"""What no key can say alone: names that occur twice, or that nobody has."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import partial

from reconcile.settings.document import Place, Problem
from reconcile.settings.model import Settings

#: Domain of the Patient IDs under which held studies are given out; built in.
HELD_DOMAIN = "H"


def problems(settings: Settings) -> Iterator[Problem]:
    """What no field can say alone: names that occur twice, or that nobody has."""
    yield from _repeated("domain", [each.name for each in settings.domain], "name")
    yield from _repeated("source", [each.ae_title for each in settings.source], "ae_title")
    senders = [(each.application, each.facility) for each in settings.feed]
    yield from _repeated("feed", senders, "application")
    titles = [each.ae_title for each in settings.destination]
    yield from _repeated("destination", titles, "ae_title")
    yield from _repeated("notify", [each.name for each in settings.notify], "name")
    yield from _repeated("retention", [each.name for each in settings.retention], "name")
    yield from _notify(settings)
    yield from _audit(settings)
    yield from _forward(settings)
    yield from _destinations(settings)
    yield from _ambiguous_domains(settings)
    yield from _unknown_domains(settings)
    yield from _doors(settings)


def _repeated(table: str, keys: Sequence[Hashable], name: str) -> Iterator[Problem]:
    for at, key in enumerate(keys):
        if key in keys[:at]:
            yield Problem((table, at, name), f"a [[{table}]] that is not named before")


def _forward(settings: Settings) -> Iterator[Problem]:
    """What is forwarded goes to a destination."""
    known = [each.ae_title for each in settings.destination]
    titles = ", ".join(sorted(known)) or "there is none"
    for at, each in enumerate(settings.forward):
        if each.to not in known:
            yield Problem(("forward", at, "to"), f"a [[destination]]: {titles}")


def _destinations(settings: Settings) -> Iterator[Problem]:
    """A destination is a DICOM peer or a web address, and is told where it can be told."""
    for at, each in enumerate(settings.destination):
        place = partial(_of_destination, at)
        if each.url and (each.host or each.port):
            yield place("url", "either `url`, or `host` and `port`")
        if not each.url and not each.host:
            yield place("host", "a name or an address; or `url` in its place")
        if not each.url and not each.port:
            yield place("port", "at least 1")
        if (each.key_file or each.key_env) and not each.url:
            yield place("key_file" if each.key_file else "key_env", "`url` beside it")
        if each.key_file and each.key_env:
            yield place("key_env", "either `key_file` or `key_env`")
        if each.url and (each.availability or each.performed != "no"):
            key = "availability" if each.availability else "performed"
            yield place(key, "`host` and `port` beside it: it goes over DICOM")
        if each.on_correction == "hl7" and (not each.hl7 or each.hl7.endswith(":0")):
            yield place("on_correction", '"hl7" with the address `hl7` beside it')


def _of_destination(at: int, key: str, allowed: str) -> Problem:
    return Problem(("destination", at, key), allowed)


def _ambiguous_domains(settings: Settings) -> Iterator[Problem]:
    """Every name and every universal ID designates one domain, "H" the built-in one."""
    archive = settings.archive
    if HELD_DOMAIN in (archive.domain, archive.deidentified_domain):
        yield Problem(("archive", "domain"), f'a name other than "{HELD_DOMAIN}": built in')
    if archive.domain == archive.deidentified_domain:
        yield Problem(("archive", "deidentified_domain"), "a domain other than `domain`")
    taken = {HELD_DOMAIN: -1}
    for at, each in enumerate(settings.domain):
        for field, names in (("name", (each.name,)), ("aliases", each.aliases)):
            for name in names:
                if taken.setdefault(name, at) != at:
                    yield Problem(("domain", at, field), "names that no other domain has")
    universal = [each.universal_id or at for at, each in enumerate(settings.domain)]
    yield from _repeated("domain", universal, "universal_id")


def _unknown_domains(settings: Settings) -> Iterator[Problem]:
    archive = settings.archive
    known = {each.name for each in settings.domain}
    known |= {archive.domain, archive.deidentified_domain}
    allowed = "the name of a [[domain]]: " + ", ".join(sorted(known))
    named: list[tuple[Place, tuple[str, ...]]] = [
        *((("source", at, "domain"), (x.domain,)) for at, x in enumerate(settings.source)),
        *((("feed", at, "authority"), x.authority) for at, x in enumerate(settings.feed)),
        *(
            (("destination", at, "domain"), (x.domain,))
            for at, x in enumerate(settings.destination)
        ),
    ]
    for place, names in named:
        if any(name and name not in known for name in names):
            yield Problem(place, allowed)


def _notify(settings: Settings) -> Iterator[Problem]:
    """Everybody who is told has one address, and a name that no [[destination]] has."""
    mail = settings.mail
    titles = [each.ae_title for each in settings.destination if each.availability]
    for at, each in enumerate(settings.notify):
        if bool(each.url) == bool(each.mail):
            yield Problem(("notify", at, "name"), "either `url` or `mail` beside it")
        if each.secret_file and not each.url:
            yield Problem(("notify", at, "secret_file"), "`url` beside it")
        if each.mail and not (mail.host and mail.sender):
            yield Problem(("notify", at, "mail"), "[mail] host and sender beside it")
        if each.name in titles:
            allowed = "a name that no [[destination]] with availability has"
            yield Problem(("notify", at, "name"), allowed)
    if bool(mail.user) != bool(mail.password_file):
        yield Problem(("mail", "user"), "`user` and `password_file`, or neither")
    if mail.user and not mail.starttls:
        yield Problem(("mail", "starttls"), "true, where a password is sent")


def _audit(settings: Settings) -> Iterator[Problem]:
    """Who shows a certificate has its key."""
    audit = settings.audit
    if bool(audit.certificate) != bool(audit.key):
        yield Problem(("audit", "certificate"), "`certificate` and `key`, or neither")


def _doors(settings: Settings) -> Iterator[Problem]:
    """TLS needs its files, and no two doors open at one place."""
    listen, tls = settings.listen.model_dump(), settings.tls
    open_tls = [door for door in listen if door.endswith("_tls") and listen[door]]
    if open_tls and not (tls.certificate and tls.key):
        yield Problem(("listen", open_tls[0]), "[tls] certificate and key beside it")
    if open_tls and tls.client != "none" and not tls.ca:
        yield Problem(("tls", "client"), '"none", or else `ca` beside it')
    taken = [address if not address.endswith(":0") else "" for address in listen.values()]
    for at, door in enumerate(listen):
        if taken[at] and taken[at] in taken[:at]:
            yield Problem(("listen", door), "an address that no other door has")
