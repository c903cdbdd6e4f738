"""Requests that nobody thought of: the interface answers as it describes itself.

Schemathesis makes them of /openapi.json. No answer is a failure of the server (5xx), none
has a status or a media type that is not described.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    status_code_conformance,
)

from reconcile.db.embedded import Urls
from tests.support.archive import http_door
from tests.support.hospital import JANE, Hospital
from tests.support.instances import instance

#: Of each route; `make soak` makes more.
LIMITS = settings(
    max_examples=100 if os.environ.get("RECONCILE_SOAK") else 1,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


@pytest.fixture
def door(database_urls: Urls, tmp_path: Path) -> Iterator[str]:
    hospital = Hospital.at(database_urls.writer, tmp_path, database_urls.reader)
    hospital.patient(JANE, "100^^^A", "E1^^^E")
    hospital.store(instance())
    with http_door(hospital) as client:
        yield str(client.base_url)
    hospital.database.close()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_is_answered_otherwise_than_described(
    door: str, mode: GenerationMode
) -> None:
    """Each route is asked with what fits its description, or with what does not."""
    schema = schemathesis.openapi.from_url(f"{door}/openapi.json")
    statuses: Counter[int] = Counter()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        strategy = found.ok().as_strategy(generation_mode=mode)

        @LIMITS
        @given(case=strategy)
        def ask(case: schemathesis.Case[Any]) -> None:
            response = case.call()
            statuses[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        with suppress(Unsatisfiable):  # nothing is wrong for a route that takes anything
            ask()
    assert statuses.total() > 60
    assert statuses[200] or mode is GenerationMode.NEGATIVE
