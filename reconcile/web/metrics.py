"""Figures for Prometheus: this door's requests, and what the registry holds.

Other processes store and coerce: their figures are read from the database when they are
asked for. No label may hold anything of a patient, nor a UID.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reconcile.db import views_checks, views_outbox, views_seal
from reconcile.db.database import Database
from reconcile.errors import ServiceUnavailable
from reconcile.storage.room import Room


class Metrics:
    """The figures of one process."""

    def __init__(self, database: Database, room: Room | None = None) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "reconcile_http_requests",
            "Requests that were answered",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "reconcile_http_request_seconds",
            "Time to the end of the answer",
            ("route",),
            registry=self._registry,
        )
        self._registry.register(_Held(database))
        if room is not None:
            self._registry.register(_Disk(room))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the template, never the path."""
        known = method if method in ("GET", "HEAD", "POST", "PUT", "DELETE") else "other"
        self._requests.labels(known, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def exposition(self) -> bytes:
        """All figures in the text format."""
        return generate_latest(self._registry)


class _Disk(Collector):
    """What is free where instances are kept."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for name, text, value in (
            ("reconcile_storage_free_bytes", "Free for instances", self._room.free),
            (
                "reconcile_storage_free_bytes_min",
                "Below this nothing is taken",
                self._room.free_bytes_min,
            ),
        ):
            gauge = GaugeMetricFamily(name, text)
            gauge.add_metric([], value)
            yield gauge


class _Held(Collector):
    """What the registry holds, asked when somebody looks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("reconcile_database_up", "Whether the database answers")
        try:
            with self._database.read_only() as connection:
                items = views_checks.open_items(connection)
                estimates = views_checks.estimates(connection)
                untold = views_outbox.untold(connection)
                lag = views_seal.lag(connection)
        except ServiceUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield _by_code(items)
        yield _estimated(estimates)
        yield _untold(untold)
        yield from _sealed(lag)


def _sealed(lag: views_seal.Lag) -> Iterator[Metric]:
    late = (datetime.now(UTC) - lag.oldest).total_seconds() if lag.oldest else 0.0
    for name, text, value in (
        ("reconcile_sealed_events", "Events in the sealed history", lag.sealed),
        ("reconcile_unsealed_events", "Events that are not sealed yet", lag.unsealed),
        ("reconcile_seal_lag_seconds", "Age of the oldest that is not sealed", late),
    ):
        yield GaugeMetricFamily(name, text, value=value)


def _untold(found: Iterable[views_outbox.Untold]) -> Metric:
    text = "What nobody could be told yet, by who is to be told"
    rows = GaugeMetricFamily("reconcile_notifications", text, labels=("target", "state"))
    for each in found:
        rows.add_metric([each.target, "waiting"], each.waiting)
        rows.add_metric([each.target, "failing"], each.failing)
        rows.add_metric([each.target, "given-up"], each.given_up)
    return rows


def _by_code(items: Iterable[views_checks.OpenItems]) -> Metric:
    labels = ("kind", "code")
    held = GaugeMetricFamily(
        "reconcile_open_items", "What waits for a person", labels=labels
    )
    for each in items:
        held.add_metric([each.kind, each.code], each.count)
    return held


def _estimated(estimates: dict[str, int]) -> Metric:
    text = "Rows, as PostgreSQL last estimated them"
    rows = GaugeMetricFamily("reconcile_rows_estimate", text, labels=("what",))
    for name, count in estimates.items():
        rows.add_metric([name], count)
    return rows
