"""Which domain an issuer designates, and which identifiers a header names."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconcile.core.facts import InstanceFacts, Source
from reconcile.core.identity import Domain, Issuer, PatientIdentifier, bare

#: More than any authority's name has, less than an index can hold: a longer one is none.
NAME_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True)
class Named:
    """The domain that an issuer designates.

    `unknown`: nobody configured it. `contradicts`: its two names are of two domains.
    """

    domain: Domain | None = None
    unknown: bool = False
    contradicts: bool = False


def issuer_domain(issuer: Issuer, domains: dict[str, Domain] | None) -> Named:
    """The domain that `issuer` designates, by universal ID or by local name.

    The two must designate the same authority where both are said (PS3.3 10.15).
    A domain that nobody configured is made from the issuer itself.
    """
    known = list((domains or {}).values())
    by_uid = [d for d in known if d.universal_id and d.universal_id == issuer.universal_id]
    by_name = [d for d in known if issuer.namespace in (d.name, *d.aliases)]
    both = by_name and issuer.universal_id and by_name[0].universal_id
    if both and not by_name[0].is_named_by(issuer):
        return Named(contradicts=True)
    found = by_uid or by_name
    if found:
        return Named(found[0])
    if max(len(issuer.namespace), len(issuer.universal_id)) > NAME_CHARACTERS_MAX:
        return Named()
    name = issuer.namespace or issuer.universal_id
    made = Domain(name, issuer.universal_id, issuer.universal_id_type)
    return Named(made, unknown=True)


def received_identifier(instance: InstanceFacts, source: Source) -> tuple[str, Issuer]:
    """Patient ID and issuer as the header says them, or as the source is known to.

    A source with `cx_in_patient_id` writes HL7 CX ("100^^^A") into (0010,0020).
    """
    if source.cx_in_patient_id and "^" in instance.patient_id:
        parts = bare(instance.patient_id).split("^")
        authority = (parts[3] if len(parts) > 3 else "").split("&")
        return parts[0], Issuer(*(part.strip() for part in authority[:3]))
    return instance.patient_id, instance.issuer


def named_identifiers(
    instance: InstanceFacts, registry_domains: dict[str, Domain], source: Source
) -> tuple[PatientIdentifier, ...]:
    """Every identifier that a header names in a known domain: what to look up."""
    raw, issuer = received_identifier(instance, source)
    said = [(raw, issuer or Issuer(source.domain)), *instance.other_ids]
    if instance.listed:
        said.insert(0, (instance.listed.patient_id, Issuer(instance.listed.domain)))
    found = []
    for value, authority in said:
        domain = issuer_domain(authority, registry_domains).domain if authority else None
        if domain and bare(value) and not domain.denies(value):
            found.append(PatientIdentifier(domain.normalise(value), domain.name))
    return tuple(dict.fromkeys(found))


def header_identifier(
    instance: InstanceFacts, registry_domains: dict[str, Domain], source: Source
) -> PatientIdentifier | None:
    """What a header calls its patient, whatever a migration's list says."""
    alone = replace(instance, listed=None, other_ids=())
    return next(iter(named_identifiers(alone, registry_domains, source)), None)
