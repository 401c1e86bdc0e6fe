"""Prometheus: the metrics of :mod:`routed_llm.telemetry` as a page that a Prometheus server reads.

``ROUTED_METRICS=9464`` (or ``host:port``) lets a process answer at ``/metrics``; ``routed serve`` has them on
its own page. Names and units are those that OpenTelemetry's exporter for Prometheus gives the same metrics,
so that dashboards and alerts fit both. It takes ``pip install 'routed-llm[prometheus]'``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from routed_llm.errors import PolicyError, RoutedError
from routed_llm.events import WARNING, emit

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Meters", "expose"]

_CALL: Final = ("gen_ai.request.model", "gen_ai.response.model", "error.type")
LABELS: Final[Mapping[str, Sequence[str]]] = {
    "gen_ai.client.token.usage": (*_CALL, "gen_ai.token.type"),
    "gen_ai.client.operation.duration": _CALL,
    "gen_ai.client.operation.time_to_first_chunk": _CALL,
    "routed_llm.cost": _CALL,
    "routed_llm.failed_requests": ("gen_ai.request.model", "error.type", "routed_llm.action"),
    "routed_llm.changed_parameters": ("gen_ai.request.model", "routed_llm.parameter", "routed_llm.action"),
    "routed_llm.events": ("routed_llm.event", "routed_llm.level"),
    "routed_llm.catalog.verified": (),
    "routed_llm.model.shutdown": ("gen_ai.request.model",),
}
"""The attributes that each metric has; one that a value lacks is an empty label."""

_lock = threading.Lock()
_made: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
_exposed: set[str] = set()


class Meters:
    """A provider of OpenTelemetry's meters that keeps what it is given for Prometheus.

    Args:
        registry: where the metrics are kept; prometheus-client's own when left out.

    Raises:
        RoutedError: when prometheus-client is not installed.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            import prometheus_client
        except ImportError as error:
            raise RoutedError(
                "Metrics for Prometheus need its client. Install it: pip install 'routed-llm[prometheus]'."
            ) from error
        self._client = prometheus_client
        self.registry = prometheus_client.REGISTRY if registry is None else registry

    def get_meter(self, *_: Any) -> Meters:
        """Return what makes instruments."""
        return self

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> _Instrument:
        """Make a histogram with the given buckets."""
        buckets = explicit_bucket_boundaries_advisory or self._client.Histogram.DEFAULT_BUCKETS
        return self._instrument("Histogram", name, unit, description, buckets=buckets)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> _Instrument:
        """Make a counter."""
        return self._instrument("Counter", name, unit, description)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> _Instrument:
        """Make a gauge; of several processes the largest value is shown."""
        return self._instrument("Gauge", name, unit, description, multiprocess_mode="max")

    def _instrument(self, kind: str, name: str, unit: str, description: str, **more: Any) -> _Instrument:
        labels = LABELS[name]
        with _lock:  # routers of one process count together
            known = _made.setdefault(self.registry, {})
            if name not in known:
                known[name] = getattr(self._client, kind)(
                    _plain(name) + ("_seconds" if unit == "s" else ""),
                    description,
                    [_plain(label) for label in labels],
                    registry=self.registry,
                    **more,
                )
            return _Instrument(known[name], labels)


class _Instrument:
    """One metric, as OpenTelemetry's instruments are called."""

    __slots__ = ("_known", "_labels", "_metric")

    def __init__(self, metric: Any, labels: Sequence[str]) -> None:
        self._metric, self._labels = metric, labels
        self._known: dict[tuple[str, ...], Any] = {}  # no more than the metric keeps itself

    def record(self, value: float, attributes: Mapping[str, str] | None = None) -> None:
        """Put a value into a histogram."""
        self._of(attributes).observe(value)

    def add(self, value: float, attributes: Mapping[str, str] | None = None) -> None:
        """Count."""
        self._of(attributes).inc(value)

    def set(self, value: float, attributes: Mapping[str, str] | None = None) -> None:
        """Set a gauge."""
        self._of(attributes).set(value)

    def _of(self, attributes: Mapping[str, str] | None) -> Any:
        if not self._labels:
            return self._metric
        given = attributes or {}
        values = tuple([given.get(label, "") for label in self._labels])
        found = self._known.get(values)
        if found is None:
            found = self._known[values] = self._metric.labels(*values)
        return found


def expose(address: str, registry: CollectorRegistry | None = None) -> None:
    """Answer at an address, once in a process; where that cannot be had, calls go on and a warning says so.

    Args:
        address: a port of this machine's loopback, or ``host:port``.
        registry: what is shown; prometheus-client's own when left out.

    Raises:
        PolicyError: when it is no address.
        RoutedError: when prometheus-client is not installed.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) <= 65535:
        raise PolicyError(
            f"metrics={address!r} is not a port. Give one such as 9464, or host:port.", key="metrics"
        )
    meters = Meters(registry)
    with _lock:
        if address in _exposed:
            return
        _exposed.add(address)
    try:
        meters._client.start_http_server(int(port), host.strip("[]") or "127.0.0.1", meters.registry)
    except OSError as error:
        emit(
            WARNING,
            "metrics_unseen",
            "metrics of this process cannot be read at {address}: {error}",
            loud=True,
            address=address,
            error=error.strerror or str(error),
        )


def _plain(name: str) -> str:
    return name.replace(".", "_")
