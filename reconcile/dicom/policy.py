"""Who may associate, and what is negotiated with them (PS3.7 Annex D, PS3.4 B.3.1).

Pure: an association request and what is known of its sender in, a refusal or an
agreement out. The door's loop does what is said here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom._uid_dict import UID_dictionary

from reconcile.core.facts import Source
from reconcile.dataset.convert import in_order
from reconcile.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from reconcile.dicom.negotiation import (
    Acceptance,
    Answered,
    AssociateRequest,
    Proposed,
    Roles,
)
from reconcile.dicom.sop_classes import (
    FIND,
    NORMALIZED,
    RETRIEVE,
    STORAGE_SERVICE_CLASS,
    VERIFICATION,
    is_storage,
    is_uid,
)
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

_REGISTERED = frozenset(
    uid for uid, said in UID_dictionary.items() if said[1] == "Transfer Syntax"
)
_DEFAULT = "1.2.840.10008.1.2"
_PULLS = FIND | RETRIEVE
_PLAIN = frozenset({_DEFAULT, "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})


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
        accept_unknown: others may store too, with the defaults of a source.
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
            unknown = Source(calling, query=False)
            return unknown if self.accept_unknown else CALLING_NOT_RECOGNISED
        if not peer.is_at(address):
            return WRONG_ADDRESS
        if not peer.shows(certificate):
            return WRONG_CERTIFICATE
        return peer.source


def agree(request: AssociateRequest, source: Source, maximum_pdu: int) -> Acceptance:
    """What is answered to who may associate.

    Args:
        request: of an association.
        source: whose it is.
        maximum_pdu: the longest P-DATA-TF that we take, in bytes.
    """
    declared = declared_storage(request.declared)
    roles = answer_roles(request.roles, source, declared)
    gives = frozenset(uid for uid, agreed in roles.items() if agreed.scp and not agreed.scu)
    contexts = answer_contexts(
        request.contexts, declared, stores=source.stores, gives=gives
    )
    taken = {each.abstract_syntax for each in contexts if each.result == ACCEPTANCE}
    others = {VERIFICATION} | _PULLS | NORMALIZED
    asked = [uid for uid in request.extended if uid in taken - others]
    queries = {
        uid: request.extended[uid] for uid in request.extended if uid in taken & _PULLS
    }
    return Acceptance(
        contexts,
        maximum_pdu,
        IMPLEMENTATION_CLASS_UID,
        IMPLEMENTATION_VERSION_NAME,
        storage_extended(asked, coerce=source.coerce) | find_extended(queries),
        {uid: agreed for uid, agreed in roles.items() if uid in taken},
    )


def answer_roles(
    proposed: Mapping[str, Roles], source: Source, declared: Container[str]
) -> dict[str, Roles]:
    """The roles that a peer may have of storage SOP classes (PS3.7 section D.3.3.4).

    SCP, to be given instances by C-GET, where it may query; SCU where it may store.
    """
    return {
        uid: Roles(asked.scu and source.stores, asked.scp and source.query)
        for uid, asked in proposed.items()
        if is_storage(uid, declared)
    }


def answer_contexts(
    proposed: Iterable[Proposed],
    declared: Container[str],
    *,
    stores: bool = True,
    gives: Container[str] = (),
) -> tuple[Answered, ...]:
    """The result of each proposed presentation context (PS3.8 section 7.1.1.14).

    Of the transfer syntaxes of a context the first one that the peer lists is taken, as
    long as it is registered: what is stored is kept as it comes, so the sender's first
    choice costs nobody a conversion. An unregistered one is taken where there is no other.
    Queries are taken in one of the three that are neither compressed nor encapsulated;
    and what is given out in one of these, if any is offered: anything native can be. All
    that is no instance is taken so. Commitment and performed steps are for who stores.

    Args:
        proposed: contexts, in their order.
        declared: SOP classes that the peer declares as storage.
        stores: whether instances of this peer are taken at all.
        gives: SOP classes of which it is given instances, and stores none.
    """
    return tuple(_answer(context, declared, stores, gives) for context in proposed)


def _answer(
    context: Proposed, declared: Container[str], stores: bool, gives: Container[str]
) -> Answered:
    abstract = context.abstract_syntax
    offered = context.transfer_syntaxes
    if abstract in _PULLS | NORMALIZED:
        offered = tuple(uid for uid in offered if uid in _PLAIN)
    elif abstract in gives:
        offered = tuple(in_order(offered))
    chosen = choose_transfer_syntax(offered)
    served = abstract == VERIFICATION or abstract in _PULLS or abstract in gives
    served = served or (stores and abstract in NORMALIZED)
    if not served and not (stores and is_storage(abstract, declared)):
        result = ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif not chosen:
        result = TRANSFER_SYNTAXES_NOT_SUPPORTED
    else:
        result = ACCEPTANCE
    return Answered(context.context_id, result, abstract, chosen or _DEFAULT)


def choose_transfer_syntax(offered: Iterable[str]) -> str:
    """The one that is taken; empty where none can be."""
    unregistered = ""
    for uid in offered:
        if uid in NOT_A_DATA_SET or not is_uid(uid):
            continue
        if uid in _REGISTERED:
            return uid
        unregistered = unregistered or uid
    return unregistered


def declared_storage(services: Mapping[str, str]) -> frozenset[str]:
    """The SOP classes that a peer declares as storage (PS3.7 section D.3.3.6).

    Args:
        services: Service Class UID by SOP Class UID.
    """
    return frozenset(
        uid for uid, service in services.items() if service == STORAGE_SERVICE_CLASS
    )


def storage_extended(proposed: Iterable[str], *, coerce: bool) -> dict[str, bytes]:
    """Answers to Storage extended negotiation (PS3.4 section B.3.1, Table B.3-1).

    Level 2 (Full); signature level 1; element coercion 1 (may), or 0 for a source whose
    instances are not coerced. Only classes that were proposed with the sub-item answer.
    """
    answer = bytes((2, 0, 1, 0, int(coerce), 0))
    return dict.fromkeys(proposed, answer)


def find_extended(proposed: Mapping[str, bytes]) -> dict[str, bytes]:
    """Answers to C-FIND extended negotiation (PS3.4 section C.5.1.1, Table C.5.1-1).

    Relational queries for who asks for them; of the other bytes nothing is done.
    """
    return {
        uid: bytes((*asked[:1], *bytes(max(0, len(asked) - 1))))
        for uid, asked in proposed.items()
    }
