"""Clients of the archive's own front doors, small ones, for the sample hospital.

They know what any peer knows: an address, an AE title, a URL. Nothing here reaches into
the archive from behind.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pydicom
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from reconcile.errors import ReconcileError, ServiceUnavailable
from reconcile.hl7.mllp import Framer, frame

SECONDS = 60
ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Answered:
    """Status of a C-STORE response, and its Error Comment."""

    status: int
    comment: str


class Doors:
    """The three doors of a running archive.

    Args:
        addresses: HOST:PORT by door: dicom, hl7, http.
        ae_title: of the archive.
    """

    def __init__(self, addresses: Mapping[str, str], ae_title: str) -> None:
        self._dicom = _host_port(addresses["dicom"])
        self._hl7 = _host_port(addresses["hl7"])
        self.http = f"http://{_spelled(*_host_port(addresses['http']))}"
        self._ae_title = ae_title

    def tell(self, message: str) -> str:
        """Send an HL7 message; the acknowledgement code that came back.

        Raises:
            ServiceUnavailable: the door closed without an answer.
        """
        framer = Framer()
        with socket.create_connection(self._hl7, timeout=SECONDS) as peer:
            peer.sendall(frame(message.encode("utf-8")))
            while data := peer.recv(65536):
                for answer in framer.feed(data):
                    return _acknowledged(answer.decode("utf-8"))
        raise ServiceUnavailable("the HL7 door did not answer")

    def send(self, scanner: str, *instances: Dataset) -> list[Answered]:
        """C-STORE instances as `scanner`, over one association.

        Raises:
            ServiceUnavailable: the association was refused, or ended.
        """
        entity = ApplicationEntity(scanner)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = SECONDS
        for each in instances:
            entity.add_requested_context(each.SOPClassUID, each.file_meta.TransferSyntaxUID)
        host, port = self._dicom
        association = entity.associate(host, port, ae_title=self._ae_title)
        if not association.is_established:
            raise ServiceUnavailable(f"the DICOM door refused {scanner}")
        try:
            return [_answered(association.send_c_store(each)) for each in instances]
        finally:
            association.release()

    def url(self, path: str, **query: str) -> str:
        """Where the HTTP door answers for this."""
        return self.http + path + (f"?{urlencode(query)}" if query else "")

    def ask(self, path: str, **query: str) -> Any:
        """What the HTTP door says, as JSON."""
        return json.loads(self._read(self.url(path, **query)))

    def image(self, sop_instance_uid: str, form: str) -> Dataset:
        """An instance as it was "received", or as it is given out: "file"."""
        path = f"/api/v1/instances/{sop_instance_uid}/{form}"
        return pydicom.dcmread(BytesIO(self._read(self.url(path))))

    def _read(self, url: str) -> bytes:
        assert url.startswith("http://")
        with urlopen(url, timeout=SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content


class NotTaken(ReconcileError):
    """The archive answered otherwise than the story goes."""


def _answered(response: Dataset) -> Answered:
    if "Status" not in response:
        raise ServiceUnavailable("the DICOM door ended the association")
    return Answered(int(response.Status), str(response.get("ErrorComment", "")))


def _acknowledged(answer: str) -> str:
    """MSA-1."""
    for segment in answer.split("\r"):
        name, *fields = segment.split("|")
        if name == "MSA" and fields:
            return fields[0]
    return ""


def _host_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return ANY_HOST.get(host, host), int(port)


def _spelled(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
