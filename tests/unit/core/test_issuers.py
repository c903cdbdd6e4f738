"""Which identifier a header names."""

from __future__ import annotations

import pytest

from reconcile.core.facts import InstanceFacts, Source
from reconcile.core.identity import Domain, Issuer, PatientIdentifier
from reconcile.core.issuers import named_identifiers, received_identifier

CT = "1.2.840.10008.5.1.4.1.1.2"
DOMAINS = {"A": Domain("A", "1.2.3.1", "ISO", aliases=("HISA",), deny=("UNKNOWN",))}
CX, PLAIN = Source("CT_CX", cx_in_patient_id=True), Source("CT_A", domain="A")


def header(patient_id: str) -> InstanceFacts:
    return InstanceFacts(CT, "1.1", "1.2", "1.3", patient_id)


@pytest.mark.parametrize(
    ("written", "issuer"),
    [
        ("100^^^A", Issuer("A")),
        ("100^^^A ", Issuer("A")),
        ("100^^^HISA&1.2.3.1&ISO", Issuer("HISA", "1.2.3.1", "ISO")),
        ("100^^^&1.2.3.1&ISO\0", Issuer("", "1.2.3.1", "ISO")),
    ],
)
def test_hl7_components_are_an_id_and_its_issuer(written: str, issuer: Issuer) -> None:
    """
    Padding to an even length is no part of the issuer's name.
    """
    assert received_identifier(header(written), CX) == ("100", issuer)
    assert named_identifiers(header(written), DOMAINS, CX) == (
        PatientIdentifier("100", "A"),
    )


def test_other_sources_write_ids_as_they_are() -> None:
    """
    Without `cx_in_patient_id` a caret is a character like any other.
    """
    assert named_identifiers(header("100^^^A"), DOMAINS, PLAIN) == (
        PatientIdentifier("100^^^A", "A"),
    )


@pytest.mark.parametrize("nothing", ["", " ", "\0", "\u3000", "\u00a0", "unknown "])
def test_what_says_nothing_names_nobody(nothing: str) -> None:
    """
    Blanks of any encoding and denied words are no identifiers.
    """
    assert named_identifiers(header(nothing), DOMAINS, PLAIN) == ()
