"""How people name a patient in a question: `ID^^^DOMAIN`, as HL7 writes CX."""

from __future__ import annotations

from collections.abc import Mapping

from reconcile.core.identity import Domain, Issuer, PatientIdentifier
from reconcile.core.issuers import issuer_domain
from reconcile.errors import WrongUse

#: A question is not a place to keep things in.
CX_CHARACTERS_MAX = 512


def identifier_of(cx: str, domains: Mapping[str, Domain]) -> PatientIdentifier:
    """The identifier that a CX names: "100^^^A", or "100^^^&1.2.3&ISO".

    Args:
        cx: as people write it; what stands in other components does not matter.
        domains: configured domains; an alias or a universal ID finds its domain, whose
            rules then say which spellings are the same ID.

    Raises:
        WrongUse: it does not name both an ID and its domain.

    Source:
        HL7 v2.5 2A.14 (CX) and 2A.33 (HD).
    """
    if len(cx) > CX_CHARACTERS_MAX:
        raise WrongUse(f"a patient is named in at most {CX_CHARACTERS_MAX} characters")
    parts = [part.strip() for part in cx.split("^")]
    authority = Issuer(*(parts[3] if len(parts) > 3 else "").split("&")[:3])
    if not parts[0] or not authority:
        raise WrongUse("a patient is named ID^^^DOMAIN")
    domain = issuer_domain(authority, dict(domains)).domain
    if domain is None:
        raise WrongUse("the domain's name and its universal ID are of two domains")
    return PatientIdentifier(domain.normalise(parts[0]), domain.name)
