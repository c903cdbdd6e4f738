"""Coercion events as FHIR R4 resources: AuditEvent and Provenance, and what carries them.

An AuditEvent says who changed what of whom and when, in the terms of DICOM's audit
messages (PS3.15 A.5), from which FHIR took it. A Provenance says of the same event how
the instance or study came to be as it is given out. Both are made of the event alone.

Source:
    HL7 FHIR R4 (4.0.1): AuditEvent, Provenance, Bundle, OperationOutcome.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconcile.core.identity import Domain
from reconcile.db.views_audit import Event

MEDIA_TYPE = "application/fhir+json"
VERSION = "4.0.1"

DCM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMS = "http://terminology.hl7.org/CodeSystem"
#: Causes of coercion, as the history names them; an OID of ours, made from a UUID.
CAUSES = "urn:oid:2.25.187293406617209733217352118411283507417"
DICOM_UID = "urn:dicom:uid"

# PS3.16 CID 400 and 402
ACCESSED = ("110103", "DICOM Instances Accessed")
_SOURCE, _APPLICATION = ("110153", "Source Role ID"), ("110150", "Application")
# What is stored of an instance was changed on its arrival, or when more was known.
ACTION, OUTCOME = "U", "0"

Resource = dict[str, Any]


def audit_event(event: Event, domains: Mapping[str, Domain], system: str) -> Resource:
    """What an event tells an audit repository; `system` is this archive."""
    return _whole(
        {
            "resourceType": "AuditEvent",
            "id": str(event.id),
            "type": _coding(DCM, *ACCESSED),
            "subtype": [_coding(CAUSES, event.cause)],
            "action": ACTION,
            "recorded": event.recorded_at.isoformat(timespec="milliseconds"),
            "outcome": OUTCOME,
            "agent": [
                _agent(event.actor, _SOURCE, requestor=True),
                _agent(system, _APPLICATION, requestor=False),
            ],
            "source": {
                "observer": _named("Device", system),
                "type": [_coding(f"{_TERMS}/security-source-type", "4")],
            },
            "entity": list(_entities(event, domains)),
        }
    )


def provenance(event: Event, domains: Mapping[str, Domain], system: str) -> Resource:
    """How what an event changed came to be what it is."""
    at = event.recorded_at.isoformat(timespec="milliseconds")
    participant = f"{_TERMS}/provenance-participant-type"
    return _whole(
        {
            "resourceType": "Provenance",
            "id": str(event.id),
            "target": list(_targets(event, domains)),
            "occurredDateTime": at,
            "recorded": at,
            "reason": [{"text": event.reason}],
            "activity": {
                "coding": [_coding(f"{_TERMS}/v3-DataOperation", "UPDATE")],
                "text": f"{event.rule} {event.rung}".strip(),
            },
            "agent": [
                {
                    "type": {"coding": [_coding(participant, "enterer")]},
                    "who": _named("Device", event.actor),
                },
                {
                    "type": {"coding": [_coding(participant, "assembler")]},
                    "who": _named("Device", system),
                },
            ],
            "entity": list(_origins(event)),
        }
    )


def bundle(
    resources: Iterable[Resource],
    links: Mapping[str, str],
    base: str,
    said: Resource | None,
) -> Resource:
    """The answer of a search; `said`: what there is to say of the search itself."""
    entries: list[Resource] = [
        {
            "fullUrl": f"{base}/{each['resourceType']}/{each['id']}",
            "resource": each,
            "search": {"mode": "match"},
        }
        for each in resources
    ]
    if said is not None:
        entries.append({"resource": said, "search": {"mode": "outcome"}})
    return _whole(
        {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": [{"relation": name, "url": url} for name, url in links.items()],
            "entry": entries,
        }
    )


def outcome(severity: str, code: str, text: str) -> Resource:
    """What went wrong, or is to be known."""
    issue = {"severity": severity, "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def system_of(domain: Domain | None) -> str:
    """The URI of a domain; empty where it has a name only."""
    if domain is None or not domain.universal_id:
        return ""
    prefix = {"ISO": "urn:oid:", "UUID": "urn:uuid:"}.get(domain.universal_id_type, "")
    return f"{prefix}{domain.universal_id}"


# -- Parts --------------------------------------------------------------------------


def _entities(event: Event, domains: Mapping[str, Domain]) -> Iterator[Resource]:
    if event.patient:
        yield {
            "what": _patient(event.patient, domains),
            "type": _coding(f"{_TERMS}/audit-entity-type", "1"),
            "role": _coding(f"{_TERMS}/object-role", "1"),
        }
    if event.study_instance_uid:
        yield {
            **_object("ImagingStudy", event.study_instance_uid),
            "detail": list(_details(event)),
        }
    if event.sop_instance_uid:
        yield _object("", event.sop_instance_uid)


def _object(kind: str, uid: str) -> Resource:
    return {
        "what": _of_uid(kind, uid),
        "type": _coding(f"{_TERMS}/audit-entity-type", "2"),
        "role": _coding(f"{_TERMS}/object-role", "3"),
    }


def _details(event: Event) -> Iterator[Resource]:
    """Pairs of a name and a value in base 64, as DICOM's audit messages have them."""
    told = {
        "happening": str(event.happening),
        "cause id": event.cause_id,
        "rule": event.rule,
        "reason": event.reason,
        "received Study Instance UID": event.received_study_instance_uid or "",
        "attributes": " ".join(event.attributes),
        "undone by": str(event.undone_by or ""),
    }
    for name, item in (
        ("OriginalAttributesSequence item, DICOM JSON", event.original_attributes),
        ("new attributes, DICOM JSON", event.new_attributes),
    ):
        told[name] = "" if item is None else json.dumps(item, ensure_ascii=False)
    for name, value in told.items():
        if value:
            encoded = base64.b64encode(value.encode()).decode("ascii")
            yield {"type": name, "valueBase64Binary": encoded}


def _targets(event: Event, domains: Mapping[str, Domain]) -> Iterator[Resource]:
    if event.sop_instance_uid:
        yield _of_uid("", event.sop_instance_uid)
    if event.study_instance_uid:
        yield _of_uid("ImagingStudy", event.study_instance_uid)
    if not (event.sop_instance_uid or event.study_instance_uid):
        yield (
            _patient(event.patient, domains) if event.patient else {"display": event.level}
        )


def _origins(event: Event) -> Iterator[Resource]:
    if event.received_study_instance_uid:
        received = _of_uid("ImagingStudy", event.received_study_instance_uid)
        yield {"role": "revision", "what": received}
    yield {"role": "source", "what": _named("", event.cause_id, event.cause)}
    if event.undone_by:
        yield {"role": "removal", "what": _named("", str(event.undone_by), "undo")}


def _agent(name: str, role: tuple[str, str], *, requestor: bool) -> Resource:
    return {
        "type": {"coding": [_coding(DCM, *role)]},
        "who": _named("Device", name),
        "name": name,
        "requestor": requestor,
    }


def _patient(patient: Mapping[str, str], domains: Mapping[str, Domain]) -> Resource:
    issuer = patient.get("issuer", "")
    identifier = {
        "system": system_of(domains.get(issuer)),
        "value": patient.get("id", ""),
        "assigner": {"display": issuer},
    }
    return {"type": "Patient", "identifier": identifier}


def _of_uid(kind: str, uid: str) -> Resource:
    return {"type": kind, "identifier": {"system": DICOM_UID, "value": f"urn:oid:{uid}"}}


def _named(kind: str, value: str, display: str = "") -> Resource:
    return {"type": kind, "identifier": {"value": value}, "display": display or value}


def _coding(system: str, code: str, display: str = "") -> Resource:
    return {"system": system, "code": code, "display": display}


def _whole(resource: Resource) -> Resource:
    """Without empty texts, lists and objects: FHIR has none."""
    cleaned: Resource = _without_nothing(resource)
    return cleaned


def _without_nothing(value: Any) -> Any:
    if isinstance(value, Mapping):
        cleaned = {name: _without_nothing(held) for name, held in value.items()}
        return {
            name: held for name, held in cleaned.items() if held not in ("", {}, [], None)
        }
    if isinstance(value, list):
        return [_without_nothing(held) for held in value]
    return value
