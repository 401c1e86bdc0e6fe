"""Which prompt prefixes a model has seen: the cached tokens of a request."""

from __future__ import annotations

import threading

from routed_llm.simulator.frozen import load

_MOST = 400_000  # remembered steps over all models; the oldest go first


class PrefixMemory:
    """The prompt cache of the simulated service, per model and cache key, for the life of the process."""

    def __init__(self) -> None:
        self._seen: dict[int, None] = {}
        self._lock = threading.Lock()

    def look_up(self, model: str, key: str, ids: list[int]) -> tuple[int, int]:
        """Return (cached, newly written) tokens of a prompt, and remember its prefixes."""
        rule = load("tokens")["cache"]
        step, least = int(rule["step"]), int(rule["minimum"])
        steps = len(ids) // step
        if steps * step < least:
            return 0, 0
        state = hash((model, key))
        marks: list[int] = []
        for i in range(steps):
            state = hash((state, tuple(ids[i * step : (i + 1) * step])))
            marks.append(state)
        with self._lock:
            known = 0
            while known < steps and marks[known] in self._seen:
                known += 1
            for mark in marks:
                self._seen.pop(mark, None)
                self._seen[mark] = None
            while len(self._seen) > _MOST:
                del self._seen[next(iter(self._seen))]
        cached = known * step if known * step >= least else 0
        if cached >= len(ids):
            cached -= step  # the last token is never read from the cache
        cached = cached if cached >= least else 0
        return cached, max(0, steps * step - cached)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seen.clear()
