"""Roles and names: who may ask what."""

from __future__ import annotations

import pytest

from reconcile.flows.keys import ROLES
from reconcile.web.auth import is_local_name, may


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "path",
    [
        "/dicom-web/studies/1/series/2/instances/3",
        "/api/v1/coercions",
        "/api/v1/instances/1/received",
        "/api/v1/patients",
        "/api/v1/holds",
        "/metrics",
        "/docs",
    ],
)
def test_every_role_reads(role, path):
    """
    Whoever has a key may look up; what was coerced stands in every instance anyway.
    """
    assert may(role, "GET", path)
    assert may(role, "HEAD", path)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("reader", False), ("steward", True), ("administrator", True), ("auditor", True)],
)
def test_the_inbox_is_for_insiders(role, allowed):
    """
    Messages of the RIS are not for readers.
    """
    assert may(role, "GET", "/api/v1/messages") is allowed


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("reader", False), ("steward", True), ("administrator", True), ("auditor", False)],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_stewards_and_administrators_change(role, allowed, method):
    """
    Whatever is not a question needs a role that may change things.
    """
    assert may(role, method, "/api/v1/anything") is allowed


@pytest.mark.parametrize("role", ROLES)
def test_whoever_names_a_source_stores(role):
    """
    The role does not decide who may store: the key's source does, later.
    """
    assert may(role, "POST", "/dicom-web/studies")
    assert may(role, "POST", "/dicom-web/studies/1.2")
    assert not may("king", "POST", "/dicom-web/studies")


def test_an_unknown_role_may_nothing():
    """
    A role that the table does not know opens nothing.
    """
    assert not may("king", "GET", "/docs")


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1", True),
        ("127.0.0.1:1", True),
        ("[::1]", True),
        ("[::1]:8080", True),
        ("", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:80", False),
        ("evil.example:127.0.0.1", False),
        ("::1", False),
        ("10.0.0.1", False),
    ],
)
def test_a_local_name_is_one_of_three(host, local):
    """
    Only names that every machine has for itself alone are local.
    """
    assert is_local_name(host) is local


@pytest.mark.parametrize("role", ["reader", "steward", "auditor", "administrator"])
def test_administrators_erase(role: str) -> None:
    """What others may plan can be cancelled; this cannot."""
    assert may(role, "POST", "/api/v1/erasures") is (role == "administrator")
