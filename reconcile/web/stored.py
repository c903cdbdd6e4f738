"""What a STOW-RS request is told: the Store Instances Response (PS3.18 Annex I).

Each instance is written down when it is known, as bytes: a request of thousands costs no
more memory than its answer. No value of an attribute stands in it, save in the items of
Original Attributes Sequence, which the standard puts there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from reconcile.core import attributes as at
from reconcile.errors import LimitExceeded, ReconcileError, ServiceUnavailable, TooLarge
from reconcile.flows.arrival import Stored
from reconcile.flows.uploading import Became
from reconcile.web.accept import JSON
from reconcile.web.problems import problem

#: Warning Reason (0008,1196): B000, Coercion of Data Elements.
COERCED = 0xB000
#: An item that holds whole sequences can be long; it is optional, and can be retrieved.
ORIGINALS_BYTES_MAX = 64 * 1024

# PS3.18 Table I.1-1
_RETRIEVE_URL, _FAILED, _REFERENCED, _OTHER = "00081190", "00081198", "00081199", "0008119A"
_CLASS, _INSTANCE = "00081150", "00081155"
_WARNING_REASON, _FAILURE_REASON = "00081196", "00081197"


class Report:
    """What became of the parts of one request.

    Attributes:
        stood_still: the body did not come to its end.
    """

    def __init__(self, base: str, *, warn: bool) -> None:
        """Begin.

        Args:
            base: of our own addresses.
            warn: the sender is told of coercion; else it would take it for a failure.
        """
        self.stood_still = False
        self._base = base
        self._warn = warn
        self._warned = False
        self._referenced: list[bytes] = []
        self._failed: list[bytes] = []
        self._others: list[bytes] = []
        self._errors: list[Exception] = []
        self._studies: set[str] = set()

    def stored(self, named: tuple[str, str], stored: Stored, became: Became) -> None:
        """An instance is stored."""
        item = _named(named) | {_RETRIEVE_URL: _url(self._address(named[1], became))}
        if stored.coerced and self._warn:
            item[_WARNING_REASON] = at.element("US", COERCED)
            self._warned = True
        originals = at.element("SQ", *became.originals)
        if became.originals and len(_json(originals)) <= ORIGINALS_BYTES_MAX:
            item[at.ORIGINAL_ATTRIBUTES_SEQUENCE] = originals
        self._referenced.append(_json(item))
        self._studies.add(became.study_uid)

    def refused(self, named: tuple[str, str], error: Exception) -> None:
        """A part is not stored; `named` is empty where it cannot be said which."""
        kind = type(error) if isinstance(error, ReconcileError) else ReconcileError
        reason = kind.dimse_status
        item = {_FAILURE_REASON: at.element("US", reason)}
        if all(named):
            self._failed.append(_json(_named(named) | item))
        else:
            self._others.append(_json(item))
        self._errors.append(error)

    def response(self) -> Response:
        """The answer; where no instance can be named, a problem document."""
        status = self._status()
        if not (self._referenced or self._failed):
            detail = str(self._errors[-1]) if self._errors else "there is no part"
            return problem(status, detail=detail)
        headers = {"Retry-After": "5"} if status == 503 else {}
        if self._warned:
            said = f'B000: elements are coerced, see Warning Reason {COERCED}"'
            headers["Warning"] = f'299 {self._base}/dicom-web "{said}'
        study = self._study_address()
        if study:
            headers["Location"] = study
        return Response(self._body(study), status, headers, JSON)

    def _status(self) -> int:
        """PS3.18 Table 10.5.3-1."""
        if self._referenced:
            return 202 if self._errors or self._warned else 200
        if self.stood_still:
            return 408
        for kind, status in _NONE_STORED:
            if self._errors and all(isinstance(each, kind) for each in self._errors):
                return status
        return 409 if self._errors and self._failed else 400

    def _body(self, study: str) -> bytes:
        told = [(_RETRIEVE_URL, _json(_url(study)))]
        lists = (
            (_FAILED, self._failed),
            (_REFERENCED, self._referenced),
            (_OTHER, self._others),
        )
        for tag, items in lists:
            if items:
                told.append((tag, b'{"vr":"SQ","Value":[' + b",".join(items) + b"]}"))
        return b"{" + b",".join(b'"%s":%s' % (t.encode(), each) for t, each in told) + b"}"

    def _study_address(self) -> str:
        """Of the study that all of them are in."""
        if len(self._studies) != 1 or "" in self._studies:
            return ""
        return f"{self._base}/dicom-web/studies/{next(iter(self._studies))}"

    def _address(self, sop_instance_uid: str, became: Became) -> str:
        if not (became.study_uid and became.series_uid):
            return ""
        place = f"{became.study_uid}/series/{became.series_uid}"
        return f"{self._base}/dicom-web/studies/{place}/instances/{sop_instance_uid}"


# Where nothing is stored, and all is wrong in the same way.
_NONE_STORED = ((ServiceUnavailable, 503), ((TooLarge, LimitExceeded), 413))


def _named(named: tuple[str, str]) -> dict[str, Any]:
    return {_CLASS: at.element("UI", named[0]), _INSTANCE: at.element("UI", named[1])}


def _url(address: str) -> Mapping[str, Any]:
    return at.element("UR", address) if address else at.element("UR")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
