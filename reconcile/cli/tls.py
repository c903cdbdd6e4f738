"""TLS of the doors, from the settings."""

from __future__ import annotations

import ssl

from reconcile.settings import Settings


def client_context(settings: Settings) -> ssl.SSLContext:
    """TLS towards a destination: its certificate is of our `ca`, or of a public one.

    A private authority vouches for peers; only of public ones must the host's name fit.
    """
    tls = settings.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.ca:
        context.check_hostname = False
        context.load_verify_locations(tls.ca)
    else:
        context.load_default_certs()
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


def audit_context(settings: Settings) -> ssl.SSLContext:
    """TLS towards the audit repository: its certificate is of `ca`, and names its host."""
    audit = settings.audit
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if audit.ca:
        context.load_verify_locations(audit.ca)
    else:
        context.load_default_certs()
    if audit.certificate:
        context.load_cert_chain(audit.certificate, audit.key)
    return context


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
