"""Who may associate, and what is negotiated with them (PS3.7 Annex D, PS3.4 B.3.1).

Pure: an association request and what is known of its sender in, a refusal or an
agreement out. The door's loop does what is said here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext

from reconcile.core.facts import Source
from reconcile.dicom.sop_classes import STORAGE_SERVICE_CLASS, VERIFICATION, is_storage
from reconcile.errors import ConfigurationError

# result of a presentation context: PS3.8 Table 9-18
ACCEPTANCE = 0x00
ABSTRACT_SYNTAX_NOT_SUPPORTED = 0x03
TRANSFER_SYNTAXES_NOT_SUPPORTED = 0x04

# encapsulations and streams, in which no C-STORE data set can be written
NOT_A_DATA_SET = frozenset(
    {
        "1.2.840.10008.1.2.6.1",  # RFC 2557 MIME Encapsulation
        "1.2.840.10008.1.2.6.2",  # XML Encoding
        "1.2.840.10008.1.2.7.1",  # SMPTE ST 2110-20 Uncompressed Progressive Active Video
        "1.2.840.10008.1.2.7.2",  # SMPTE ST 2110-20 Uncompressed Interlaced Active Video
        "1.2.840.10008.1.2.7.3",  # SMPTE ST 2110-30 PCM Digital Audio
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An A-ASSOCIATE-RJ: result, source, reason (PS3.8 Table 9-21)."""

    result: int
    source: int
    reason: int
    why: str


CALLING_NOT_RECOGNISED = Refusal(1, 1, 3, "calling AE title not recognised")
CALLED_NOT_RECOGNISED = Refusal(1, 1, 7, "called AE title not recognised")
WRONG_ADDRESS = Refusal(1, 1, 3, "calling AE title not recognised at this address")
WRONG_CERTIFICATE = Refusal(1, 1, 3, "calling AE title not recognised by certificate")
LIMIT_EXCEEDED = Refusal(2, 3, 2, "local limit exceeded")
CLOSING = Refusal(2, 3, 1, "temporary congestion: closing")


@dataclass(frozen=True, slots=True)
class Peer:
    """A DICOM peer that is known.

    Attributes:
        source: how its instances are read.
        address: IP address or network it must come from; empty: any.
        certificate: what its TLS certificate must be: SHA-256 fingerprint in hex, or
            common name or DNS name; empty: any.
    """

    source: Source
    address: str = ""
    certificate: str = ""

    def __post_init__(self) -> None:
        """Raises ConfigurationError where the address is none."""
        if self.address:
            try:
                ipaddress.ip_network(self.address, strict=False)
            except ValueError as error:
                raise ConfigurationError(
                    f"address of {self.source.ae_title}: an IP address or a network"
                ) from error

    def is_at(self, address: str) -> bool:
        """Whether the peer may come from there."""
        if not self.address:
            return True
        network = ipaddress.ip_network(self.address, strict=False)
        return _plain(address) in network

    def shows(self, certificate: Certificate | None) -> bool:
        """Whether this is the peer's certificate."""
        if not self.certificate:
            return True
        wanted = self.certificate.replace(":", "").lower()
        return certificate is not None and (
            wanted == certificate.fingerprint or self.certificate in certificate.names
        )


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a verified client certificate says."""

    fingerprint: str
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, fingerprint: str, content: Mapping[str, Any]) -> Certificate:
        """From `SSLSocket.getpeercert()`."""
        subject = (pair for part in content.get("subject", ()) for pair in part)
        names = {value for key, value in subject if key == "commonName"}
        names |= {value for key, value in content.get("subjectAltName", ()) if key == "DNS"}
        return cls(fingerprint, frozenset(names))


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may associate.

    Attributes:
        ae_title: ours.
        peers: who is known by a calling AE title.
        accept_unknown: others may come too, with the defaults of a source.
        any_called: take associations that call us by another name.
    """

    ae_title: str
    peers: Callable[[str], Peer | None]
    accept_unknown: bool = False
    any_called: bool = False

    def admit(
        self,
        calling: str,
        called: str,
        address: str,
        certificate: Certificate | None = None,
    ) -> Source | Refusal:
        """Whose association this is, or why it is refused."""
        if not self.any_called and called != self.ae_title:
            return CALLED_NOT_RECOGNISED
        peer = self.peers(calling)
        if peer is None:
            return Source(calling) if self.accept_unknown else CALLING_NOT_RECOGNISED
        if not peer.is_at(address):
            return WRONG_ADDRESS
        if not peer.shows(certificate):
            return WRONG_CERTIFICATE
        return peer.source


def answer_contexts(
    proposed: Iterable[PresentationContext], declared: Container[str]
) -> list[PresentationContext]:
    """The result of each proposed presentation context (PS3.8 section 7.1.1.14).

    Of the transfer syntaxes of a context the first one that the peer lists is taken, as
    long as it is registered: what is stored is kept as it comes, so the sender's first
    choice costs nobody a conversion. An unregistered one is taken where there is no other.
    """
    return [_answer(context, declared) for context in proposed]


def _answer(context: PresentationContext, declared: Container[str]) -> PresentationContext:
    answer = PresentationContext()
    answer.context_id = context.context_id
    answer.abstract_syntax = context.abstract_syntax
    offered = [str(uid) for uid in context.transfer_syntax]
    chosen = choose_transfer_syntax(offered)
    abstract = str(context.abstract_syntax)
    if abstract != VERIFICATION and not is_storage(abstract, declared):
        answer.result = ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif not chosen:
        answer.result = TRANSFER_SYNTAXES_NOT_SUPPORTED
    else:
        answer.result = ACCEPTANCE
    answer.transfer_syntax = [UID(chosen or next(iter(offered), "1.2.840.10008.1.2"))]
    answer._as_scu = False
    answer._as_scp = answer.result == ACCEPTANCE
    return answer


def choose_transfer_syntax(offered: Iterable[str]) -> str:
    """The one that is taken; empty where none can be."""
    usable = [uid for uid in offered if uid not in NOT_A_DATA_SET]
    registered = [uid for uid in usable if UID(uid).type == "Transfer Syntax"]
    return next(iter(registered or usable), "")


def declared_storage(items: Mapping[Any, Any]) -> frozenset[str]:
    """The SOP classes that a peer declares as storage (PS3.7 section D.3.3.6).

    Args:
        items: SOP Class Common Extended Negotiation items by SOP Class UID.
    """
    return frozenset(
        str(uid)
        for uid, item in items.items()
        if str(item.service_class_uid) == STORAGE_SERVICE_CLASS
    )


def storage_extended(proposed: Iterable[str], *, coerce: bool) -> dict[str, bytes]:
    """Answers to Storage extended negotiation (PS3.4 section B.3.1, Table B.3-1).

    Level 2 (Full); signature level 1; element coercion 1 (may), or 0 for a source whose
    instances are not coerced. Only classes that were proposed with the sub-item answer.
    """
    answer = bytes((2, 0, 1, 0, int(coerce), 0))
    return dict.fromkeys(proposed, answer)
