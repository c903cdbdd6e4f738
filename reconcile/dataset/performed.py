"""The data sets of performed procedure steps: what they say, and as facts to decide on."""

from __future__ import annotations

from collections.abc import Mapping

from reconcile.core import attributes as at
from reconcile.core.attributes import Element, Tag
from reconcile.core.facts import InstanceFacts, RequestItem
from reconcile.core.performed import SCHEDULED_STEP_ATTRIBUTES
from reconcile.dataset.dicom_json import element_json
from reconcile.dataset.facts import (
    ASSIGNABLE,
    Received,
    demographics_of,
    items_of,
    patient_issuer,
    request_item,
    text_as_received,
    undecodable_of,
)


def elements_of(received: Received) -> dict[Tag, Element]:
    """Every element in the DICOM JSON model; group lengths aside.

    Raises:
        CannotUnderstand, LimitExceeded: a sequence is broken.
    """
    return {
        f"{raw.tag:08X}": element_json(raw, received.charsets, received.encoding)
        for raw in received.raw_elements()
        if raw.tag & 0xFFFF
    }


def scheduled(said: Mapping[Tag, Element]) -> tuple[RequestItem, ...]:
    """By what a step was scheduled."""
    return tuple(request_item(i) for i in items_of(said, SCHEDULED_STEP_ATTRIBUTES))


def step_facts(
    received: Received, sop_class_uid: str, sop_instance_uid: str
) -> InstanceFacts:
    """A step as an instance of its study, to be decided like one that arrives.

    It has no series. Its study is that of its first item.
    """
    present = {tag: e for tag in ASSIGNABLE if (e := received.element(tag)) is not None}
    sequence = received.element(SCHEDULED_STEP_ATTRIBUTES)
    requests = scheduled({SCHEDULED_STEP_ATTRIBUTES: sequence} if sequence else {})
    only = requests[0] if len(requests) == 1 else RequestItem()
    return InstanceFacts(
        sop_class_uid,
        sop_instance_uid,
        study_instance_uid=requests[0].study_instance_uid if requests else "",
        patient_id=text_as_received(received, at.PATIENT_ID),
        issuer=patient_issuer(present),
        other_ids=tuple(
            (at.text(item.get(at.PATIENT_ID)), patient_issuer(item))
            for item in items_of(present, at.OTHER_PATIENT_IDS_SEQUENCE)
        ),
        demographics=demographics_of(present),
        accession_number=only.accession_number,
        accession_issuer=only.accession_issuer,
        rp_id=only.rp_id,
        sps_id=only.sps_id,
        requests=requests,
        modality=at.text(received.element(at.MODALITY)),
        undecodable=frozenset(undecodable_of(received)),
        present=present,
    )
