"""Who is at the other end, and which configured sender a message comes from."""

from __future__ import annotations

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
    """

    address: str
    certificate: str = ""


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
