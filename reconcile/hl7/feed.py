"""Who is at the other end, and which configured sender a message comes from."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from reconcile.core.facts import Feed
from reconcile.hl7.errors import UnknownSender
from reconcile.hl7.message import Header


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection.

    Attributes:
        address: IP address; empty where there is none.
        certificate: subject of its verified TLS certificate ("CN=RIS_A,O=Hospital");
            empty: it has shown none.
        fingerprint: SHA-256 of it, in hex.
        names: its common names and DNS names.
    """

    address: str
    certificate: str = ""
    fingerprint: str = ""
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bound:
    """What the other end must be to speak as a feed.

    Attributes:
        address: IP address or network it must come from; empty: any.
        certificate: SHA-256 fingerprint in hex, common name or DNS name of its TLS
            certificate; empty: any, or none.
    """

    address: str = ""
    certificate: str = ""

    def check(self, peer: Peer) -> None:
        """Raises UnknownSender where the peer is not it."""
        if self.address and not _is_in(self.address, peer.address):
            raise UnknownSender("sender not configured at this address", "MSH^1^3")
        wanted = self.certificate.replace(":", "").lower()
        shown = wanted == peer.fingerprint or self.certificate in peer.names
        if wanted and not shown:
            raise UnknownSender("sender not configured by this certificate", "MSH^1^3")


def _is_in(network: str, address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found) in ipaddress.ip_network(network, strict=False)


def feed_of(feeds: Iterable[Feed], header: Header) -> Feed:
    """The feed that MSH-3 and MSH-4 designate; one that names the facility goes first.

    Raises:
        UnknownSender: they designate none.
    """
    named = [feed for feed in feeds if _is_named_by(feed, header)]
    if not named:
        raise UnknownSender("sender not configured", "MSH^1^3")
    return max(named, key=lambda feed: bool(feed.facility))


def _is_named_by(feed: Feed, header: Header) -> bool:
    if feed.application != header.application:
        return False
    return feed.facility in ("", header.facility)
