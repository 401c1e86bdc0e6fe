"""What one simulator remembers between requests."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import UTC, date, datetime
from datetime import time as clock_time
from typing import Any

from routed_llm.simulator.answer import Script
from routed_llm.simulator.batches import Batches
from routed_llm.simulator.faults import FaultPlan
from routed_llm.simulator.journal import Journal
from routed_llm.simulator.limits import RateLimits
from routed_llm.simulator.models import SimulatedModel
from routed_llm.simulator.prefixes import PrefixMemory
from routed_llm.simulator.store import Store


class State:
    """The date, the books and the plans of one simulator; safe to use from many threads.

    Attributes:
        seed: part of the key of every answer.
        api_key: the only key accepted, or None.
    """

    def __init__(self, *, at: date | str | None, seed: int, api_key: str | None, faults: FaultPlan) -> None:
        self.at = at
        self.seed = seed
        self.api_key = api_key
        self.faults = faults
        self.journal = Journal()
        self.limits = RateLimits()
        self.prefixes = PrefixMemory()
        self.store = Store()
        self.passed = 0
        """Seconds of simulated time that were let pass (:meth:`Simulator.advance`)."""
        self.batches = Batches(self.seconds)
        self._scripts: list[list[Any]] = []
        self._lock = threading.Lock()

    @property
    def at(self) -> date | None:
        """The simulated date, or None for today's."""
        return self._at

    @at.setter
    def at(self, value: date | str | None) -> None:
        self._at = _day(value)

    @property
    def today(self) -> date:
        """The simulated date."""
        return self.at or datetime.now(UTC).date()

    def seconds(self) -> int:
        """Return the simulated time as seconds since 1970: noon of a set date, else the clock's."""
        if self.at is None:
            return int(time.time()) + self.passed
        return int(datetime.combine(self.at, clock_time(12), UTC).timestamp()) + self.passed

    def add_script(self, script: Script) -> None:
        """Queue what a later request gets for an answer."""
        with self._lock:
            self._scripts.append([script, script.times])

    def take_script(self, model: SimulatedModel, asked: str, prompt: str) -> Script | None:
        """Return the first script for a request, and count it as used."""
        with self._lock:
            for row in self._scripts:
                script: Script = row[0]
                if script.model and script.model not in (asked, model.name, model.served):
                    continue
                if script.contains not in prompt:
                    continue
                if script.times:
                    row[1] -= 1
                    if row[1] <= 0:
                        self._scripts.remove(row)
                return script
        return None

    def reset(self) -> None:
        """Forget journal, faults, limits, caches, stored responses, batches and scripts; the date stays."""
        self.journal.clear()
        self.faults.clear()
        self.limits.clear()
        self.prefixes.clear()
        self.store.clear()
        self.batches.clear()
        with self._lock:
            self._scripts.clear()


def _day(value: Any) -> date | None:
    """Return a day as it may be given.

    Raises:
        ValueError: when it is none.
    """
    with suppress(ValueError):
        read = date.fromisoformat(value) if isinstance(value, str) else value
        if read is None or isinstance(read, date):
            return read.date() if isinstance(read, datetime) else read
    raise ValueError(f"at={value!r} is not a day. Give a date, or one as text: '2027-01-15'.")
