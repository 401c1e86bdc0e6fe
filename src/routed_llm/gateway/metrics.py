"""What the gateway counts, in Prometheus' words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

if TYPE_CHECKING:
    from routed_llm.calls.endpoint_call import Served

__all__ = ["Metrics"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counters of one process; where there are several, one page adds them up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "routed_calls", "Routed calls by who served them.", ("model", "status"), registry=self.registry
        )
        self._by_who: dict[tuple[str, str], Counter] = {}
        self._seconds = Histogram(
            "routed_call_seconds", "Seconds until an answer began.", buckets=_SECONDS, registry=self.registry
        )
        self._attempts = Counter(
            "routed_attempts", "Requests to the provider for routed calls.", registry=self.registry
        )
        self._left = Counter(
            "routed_clients_left", "Calls whose client went away before their end.", registry=self.registry
        )
        self._running = Gauge(
            "routed_running", "Calls under way.", registry=self.registry, multiprocess_mode="livesum"
        )

    def began(self) -> None:
        """Count a call that begins."""
        self._running.inc()

    def ended(self, *, left: bool) -> None:
        """Count a call that ends."""
        self._running.dec()
        if left:
            self._left.inc()

    def served(self, served: Served) -> None:
        """Count an answer that begins."""
        who = (served.headers.get("x-routed-model", ""), str(served.status))
        found = self._by_who.get(who)
        if found is None:
            found = self._by_who[who] = self._calls.labels(*who)
        found.inc()
        self._attempts.inc(int(served.headers.get("x-routed-attempts", "0")))
        self._seconds.observe(served.seconds)

    def page(self) -> bytes:
        """Return all counts as text."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
