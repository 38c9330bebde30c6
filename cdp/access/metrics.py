"""What /metrics says: counters of this process group and gauges read from PostgreSQL at the scrape.

Labels are routes, methods, statuses and our own fixed names; never a value of a person.
With several web processes set ``PROMETHEUS_MULTIPROC_DIR`` to an empty folder, so that counters add up over all of them;
without it they are those of the process that answered. Gauges come from the database and are right either way.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

requests_total = Counter("cdp_http_requests", "Requests answered.", ["route", "method", "status"])
request_seconds = Histogram("cdp_http_request_seconds", "Time to answer.", ["route"], buckets=SECONDS)


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge of the database: ``sql`` gives rows of (label values …, value)."""

    name: str
    help: str
    labels: tuple[str, ...]
    sql: str


_gauges: dict[str, Gauge] = {}


def gauge_register(gauge: Gauge) -> None:
    """Add a slice's gauge; registering a name again replaces it."""
    _gauges[gauge.name] = gauge


def gauges_registered() -> Sequence[Gauge]:
    return tuple(_gauges.values())


class _Readings:
    """A prometheus collector over readings taken just now."""

    def __init__(self, readings: Iterable[tuple[Gauge, Sequence[tuple[object, ...]]]]) -> None:
        self.readings = list(readings)

    def collect(self) -> Iterable[Metric]:
        for gauge, rows in self.readings:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
            for *labels, value in rows:
                family.add_metric([str(label) for label in labels], float(value or 0))  # type: ignore[arg-type]
            yield family


def exposition(readings: Iterable[tuple[Gauge, Sequence[tuple[object, ...]]]]) -> bytes:
    """The text a Prometheus server reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(readings))
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(REGISTRY) + generate_latest(registry)
