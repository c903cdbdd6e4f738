"""Policy: who may associate, and what is negotiated."""

from __future__ import annotations

import pytest

from reconcile.core.facts import Source
from reconcile.dicom.negotiation import AssociateRequest, Proposed, Roles
from reconcile.dicom.policy import (
    CALLED_NOT_RECOGNISED,
    CALLING_NOT_RECOGNISED,
    WRONG_ADDRESS,
    WRONG_CERTIFICATE,
    Certificate,
    Peer,
    Policy,
    agree,
    answer_contexts,
    choose_transfer_syntax,
    storage_extended,
)
from reconcile.dicom.sop_classes import PATIENT_ROOT_GET
from reconcile.errors import ConfigurationError

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.70"
CT = "1.2.840.10008.5.1.4.1.1.2"


def policy(peer: Peer | None, **changes: bool) -> Policy:
    known = {peer.source.ae_title: peer} if peer else {}
    return Policy("ARCHIVE", known.get, **changes)


def test_a_known_peer_is_its_source() -> None:
    """The calling AE title names the source."""
    source = Source("CT_A", domain="A")
    assert policy(Peer(source)).admit("CT_A", "ARCHIVE", "10.0.0.1") is source


def test_an_unknown_peer_is_refused_or_taken_by_setting() -> None:
    """1/1/3 unless `accept_unknown`."""
    assert policy(None).admit("X", "ARCHIVE", "::1") is CALLING_NOT_RECOGNISED
    taken = policy(None, accept_unknown=True).admit("X", "ARCHIVE", "::1")
    assert taken == Source("X", query=False)


def test_another_called_title_is_refused_or_taken_by_setting() -> None:
    """1/1/7 unless any called AE title will do."""
    peer = Peer(Source("CT_A"))
    assert policy(peer).admit("CT_A", "OTHER", "::1") is CALLED_NOT_RECOGNISED
    assert policy(peer, any_called=True).admit("CT_A", "OTHER", "::1") is peer.source


@pytest.mark.parametrize(
    ("address", "came_from", "taken"),
    [
        ("10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7", "10.0.0.8", False),
        ("10.0.0.7", "::ffff:10.0.0.7", True),
        ("10.0.0.0/24", "10.0.0.8", True),
        ("10.0.0.5/24", "10.0.1.8", False),
        ("fe80::1", "fe80::1%eth0", True),
        ("10.0.0.7", "fe80::1", False),
        ("", "10.9.9.9", True),
    ],
)
def test_an_address_is_required_where_named(
    address: str, came_from: str, taken: bool
) -> None:
    """An AE title is no proof of who calls: the address may be required too."""
    verdict = policy(Peer(Source("CT_A"), address)).admit("CT_A", "ARCHIVE", came_from)
    assert (verdict is not WRONG_ADDRESS) == taken


def test_an_address_that_is_none_is_a_wrong_configuration() -> None:
    """Said at the start, not when the peer calls."""
    with pytest.raises(ConfigurationError):
        Peer(Source("CT_A"), "scanner.example")


def test_a_certificate_is_required_where_named() -> None:
    """By fingerprint, common name or DNS name."""
    content = {
        "subject": ((("commonName", "ct-a"),),),
        "subjectAltName": (("DNS", "ct-a.example"), ("IP Address", "10.0.0.1")),
    }
    shown = Certificate.of("ab" * 32, content)
    for wanted in ("ct-a", "ct-a.example", "AB:" * 31 + "AB"):
        peer = Peer(Source("CT_A"), certificate=wanted)
        assert policy(peer).admit("CT_A", "ARCHIVE", "::1", shown) is peer.source
        assert policy(peer).admit("CT_A", "ARCHIVE", "::1") is WRONG_CERTIFICATE
    other = Peer(Source("CT_A"), certificate="10.0.0.1")
    assert policy(other).admit("CT_A", "ARCHIVE", "::1", shown) is WRONG_CERTIFICATE


def proposed(*contexts: tuple[str, list[str]]) -> tuple[Proposed, ...]:
    return tuple(
        Proposed(2 * number + 1, abstract, tuple(syntaxes))
        for number, (abstract, syntaxes) in enumerate(contexts)
    )


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ([IMPLICIT, EXPLICIT], IMPLICIT),
        ([JPEG, IMPLICIT], JPEG),
        ([BIG_ENDIAN, EXPLICIT], BIG_ENDIAN),
        ([DEFLATED], DEFLATED),
        (["1.2.840.113619.5.2", IMPLICIT], IMPLICIT),
        (["1.2.3.4.5"], "1.2.3.4.5"),
        (["1.2.840.10008.1.2.6.1", EXPLICIT], EXPLICIT),
        (["1.2.840.10008.1.2.6.2"], ""),
        (["../x", "", "1" * 65, IMPLICIT], IMPLICIT),
        (["../x"], ""),
        ([], ""),
    ],
)
def test_the_first_listed_transfer_syntax_is_taken(offered: list[str], taken: str) -> None:
    """The sender's first choice, among those that are registered."""
    assert choose_transfer_syntax(offered) == taken


def test_each_context_is_answered_by_itself() -> None:
    """Two contexts of one class may get two transfer syntaxes."""
    answers = answer_contexts(
        proposed(
            (CT, [IMPLICIT, JPEG]),
            (CT, [JPEG, IMPLICIT]),
            ("1.2.840.10008.5.1.4.31", [IMPLICIT]),
            ("1.2.840.10008.1.1", [IMPLICIT]),
            (CT, ["1.2.840.10008.1.2.6.2"]),
        ),
        declared=(),
    )
    assert [(a.context_id, a.result) for a in answers] == [
        (1, 0),
        (3, 0),
        (5, 3),
        (7, 0),
        (9, 4),
    ]
    assert [a.transfer_syntax for a in answers[:2]] == [IMPLICIT, JPEG]


def test_extended_negotiation_says_whether_we_coerce() -> None:
    """PS3.4 B.3.1: level 2, signature level 1, element coercion 1 or 0."""
    assert storage_extended([CT], coerce=True) == {CT: bytes.fromhex("020001000100")}
    assert storage_extended([CT], coerce=False) == {CT: bytes.fromhex("020001000000")}
    assert storage_extended([], coerce=True) == {}


def test_an_agreement_says_who_we_are_and_what_we_take() -> None:
    """Extended negotiation is answered for storage classes that are taken, no other."""
    asked = {CT: b"", "1.2.840.10008.1.1": b"", "1.2.840.10008.5.1.4.1.1.4": b""}
    contexts = proposed((CT, [IMPLICIT]), ("1.2.840.10008.1.1", [IMPLICIT]))
    request = AssociateRequest("CT_A", "ARCHIVE", contexts, extended=asked)
    agreed = agree(request, Source("CT_A", coerce=False), 131072)
    assert [each.result for each in agreed.contexts] == [0, 0]
    assert agreed.extended == {CT: bytes.fromhex("020001000000")}
    assert agreed.maximum_length == 131072


def test_what_a_peer_declares_to_be_storage_is_taken() -> None:
    """SOP Class Common Extended Negotiation (PS3.7 section D.3.3.6)."""
    unknown = "1.2.840.10008.5.1.4.99.1"
    for service, result in (("1.2.840.10008.4.2", 0), ("1.2.840.10008.4.1", 3)):
        request = AssociateRequest(
            "CT_A", "ARCHIVE", proposed((unknown, [IMPLICIT])), declared={unknown: service}
        )
        (answered,) = agree(request, Source("CT_A"), 0).contexts
        assert answered.result == result


@pytest.mark.parametrize(
    ("source", "roles", "agreed"),
    [
        (Source("CT_A"), Roles(scu=False, scp=True), Roles(scu=False, scp=True)),
        (Source("CT_A"), Roles(scu=True, scp=True), Roles(scu=True, scp=True)),
        (
            Source("CT_A", query=False),
            Roles(scu=True, scp=True),
            Roles(scu=True, scp=False),
        ),
        (Source("X", stores=False), Roles(scu=True, scp=True), Roles(scu=False, scp=True)),
    ],
)
def test_who_may_query_may_be_scp(source: Source, roles: Roles, agreed: Roles) -> None:
    """And who may store, SCU (PS3.7 section D.3.3.4); of storage classes alone."""
    contexts = proposed((CT, [IMPLICIT, EXPLICIT]), (PATIENT_ROOT_GET, [IMPLICIT]))
    request = AssociateRequest(
        "CT_A", "ARCHIVE", contexts, roles={CT: roles, PATIENT_ROOT_GET: roles}
    )
    acceptance = agree(request, source, 0)
    assert acceptance.roles == {CT: agreed}
    assert [each.result for each in acceptance.contexts] == [0, 0]
    # who is only given instances is given them in what anything can be said in
    taken = IMPLICIT if agreed.scu else EXPLICIT
    assert acceptance.contexts[0].transfer_syntax == taken


def test_who_neither_stores_nor_queries_has_no_storage_class() -> None:
    """A role that may not be had makes no context."""
    request = AssociateRequest(
        "X", "ARCHIVE", proposed((CT, [IMPLICIT])), roles={CT: Roles(scu=False, scp=True)}
    )
    acceptance = agree(request, Source("X", stores=False, query=False), 0)
    assert ([each.result for each in acceptance.contexts], acceptance.roles) == ([3], {})
