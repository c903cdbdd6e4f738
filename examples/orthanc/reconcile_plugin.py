"""Runs inside Orthanc: every instance is decided by `reconcile` before it is stored.

Orthanc's Python plug-in calls `received`. The header goes to POST /api/v1/decide; what is
answered is done to the instance, and the items of Original Attributes Sequence are added.
Where `reconcile` cannot be asked the instance is not taken: its sender keeps it and tries
again, so that nothing is stored that was not decided.

    RECONCILE_URL      http://127.0.0.1:8080
    RECONCILE_SOURCE   the [[source]] as which instances are read; Orthanc does not tell its
                       plug-ins who has sent one
    RECONCILE_KEY      an API key that names the source, in place of it
"""

from __future__ import annotations

import io
import json
import os
import threading
import urllib.parse
import urllib.request
from typing import Any

import orthanc  # type: ignore[import-not-found]
import pydicom
from pydicom.dataset import Dataset

URL = os.environ.get("RECONCILE_URL", "http://127.0.0.1:8080").rstrip("/")
SOURCE = os.environ.get("RECONCILE_SOURCE", "")
KEY = os.environ.get("RECONCILE_KEY", "")
SECONDS = 30
OUT_OF_RESOURCES = 0xA700
#: Orthanc calls both of one instance in one thread, one after the other.
UNDECIDED: set[int] = set()
ACTION = orthanc.ReceivedInstanceAction


def received(data: bytes, origin: Any) -> tuple[Any, bytes | None]:
    """What Orthanc calls for each instance before it stores it."""
    UNDECIDED.discard(threading.get_ident())
    try:
        return coerced(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not decided
        orthanc.LogError(f"an instance is not decided: {type(error).__name__}")
        UNDECIDED.add(threading.get_ident())
        return ACTION.KEEP_AS_IS, None  # `taken` refuses it


def taken(_: Any) -> int:
    """What a C-STORE is answered: 0 as it would be, or A700: try again."""
    return OUT_OF_RESOURCES if threading.get_ident() in UNDECIDED else 0


def coerced(data: bytes) -> tuple[Any, bytes | None]:
    """What is to be stored in the place of what came."""
    instance = pydicom.dcmread(io.BytesIO(data), force=True)
    if "PatientID" not in instance and "StudyInstanceUID" not in instance:
        return ACTION.KEEP_AS_IS, None  # has no patient
    decided = ask(header_of(instance))
    if not decided["replace"] and not decided["remove"]:
        return ACTION.KEEP_AS_IS, None
    apply(instance, decided)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, instance)
    return ACTION.MODIFY, buffer.getvalue()


def header_of(instance: Dataset) -> dict[str, Any]:
    """All but bulk data, in the DICOM JSON model."""
    small = Dataset()
    for element in instance:
        if element.tag.group < 0x7FE0:
            small.add(element)
    said: dict[str, Any] = json.loads(small.to_json(bulk_data_element_handler=None))
    return said


def ask(header: dict[str, Any]) -> dict[str, Any]:
    """What is to be done to an instance. Whatever goes wrong is raised."""
    query = "" if KEY else "?" + urllib.parse.urlencode({"source": SOURCE})
    request = urllib.request.Request(  # noqa: S310 - whoever runs it names the address
        f"{URL}/api/v1/decide{query}",
        json.dumps(header).encode(),
        {"Content-Type": "application/json"},
    )
    if KEY:
        request.add_header("Authorization", f"Bearer {KEY}")
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        decided: dict[str, Any] = json.load(answer)
    return decided


def apply(instance: Dataset, decided: dict[str, Any]) -> None:
    """Do it. What is said is Unicode: the instance is in UTF-8 from now on."""
    instance.decode()
    for tag in decided["remove"]:
        instance.pop(int(tag, 16), None)
    for element in Dataset.from_json(decided["replace"]):
        instance[element.tag] = element
    items = [Dataset.from_json(item) for item in decided["original_attributes"]]
    if items:
        before = list(instance.get("OriginalAttributesSequence", []))
        instance.OriginalAttributesSequence = [*before, *items]
    instance.SpecificCharacterSet = "ISO_IR 192"


orthanc.RegisterIncomingCStoreInstanceFilter(taken)
orthanc.RegisterReceivedInstanceCallback(received)
