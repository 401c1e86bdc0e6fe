"""FleetRateLimits: what is left of rate limits, shared by the processes of a fleet through Redis.

No call ever waits for Redis. Once a second a thread reports what this process has sent and seen, and takes
its part of what is left: with as many parts as there are processes, all of them together cannot send more
than there is, whatever they do until they ask again. While Redis is away each relies on what it sees itself.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from routed_llm.recovery.ratelimits import Mark, RateLimits, Ticket, Unit
from routed_llm.recovery.shared import KEEP, Exchanger, text

__all__ = ["FleetRateLimits"]

_KEPT: Final = 64
"""Reports that are remembered."""
_ALIVE: Final = 3.0
"""Seconds after its last report for which a process counts."""

# KEYS: processes, one hash for each unit of the model. ARGV: process, seconds for which one counts, seconds
# to keep, and for each unit: sent since the last report; then, where an answer was seen (else empty), the
# limit, what it left, what was sent from here since, its rate, and the sum of all reports before its request.
# At most what it left is left, less what was sent from here since; at least that, less what all have sent.
_REPORT: Final = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[3])
local found = {tostring(redis.call('ZCARD', KEYS[1]))}
for unit = 1, 2 do
  local key, at = KEYS[unit + 1], 4 + (unit - 1) * 6
  local sum = redis.call('HINCRBY', key, 'sum', ARGV[at])
  redis.call('EXPIRE', key, ARGV[3])
  local row = redis.call('HMGET', key, 'limit', 'left', 'rate', 'at')
  local limit, left, rate = row[1], nil, row[3]
  if limit then
    local full = tonumber(row[2]) + tonumber(rate) * (now - tonumber(row[4]))
    left = math.min(tonumber(limit), full) - tonumber(ARGV[at])
  end
  if ARGV[at + 1] ~= '' then
    limit, rate = ARGV[at + 1], ARGV[at + 4]
    local said = tonumber(ARGV[at + 2])
    local most, least = said - tonumber(ARGV[at + 3]), said - (sum - tonumber(ARGV[at + 5]))
    left = math.max(least, math.min(left or least, most))
  end
  found[#found + 1] = tostring(sum)
  if left then
    local values = {'limit', limit, 'left', string.format('%.3f', left), 'rate', rate}
    redis.call('HSET', key, 'at', string.format('%.6f', now), unpack(values))
    found[#found + 1] = limit
    found[#found + 1] = string.format('%.3f', left)
    found[#found + 1] = rate
  else
    for _ = 1, 3 do found[#found + 1] = '' end
  end
end
return found
"""


class FleetRateLimits(RateLimits):
    """Rate limits shared through Redis (or Valkey) 6 or later. A Router whose ledger is in Redis makes one.

    Args:
        client: a ``redis.Redis``.
        prefix: begins every key.
        refresh: seconds between two reports.
        clock: the clock that ``now`` is read from everywhere.
        name: of this process, among those of the fleet.
    """

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "routed",
        refresh: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        name: str,
    ) -> None:
        super().__init__()
        self.refresh = refresh
        self._client, self._prefix, self._clock, self._name = client, prefix, clock, name
        self._reports: dict[tuple[str, str], deque[tuple[Mark, tuple[int, int]]]] = {}
        self._exchanger = Exchanger(self.report, "rate limits", refresh=refresh, clock=clock)

    def take(
        self, model: str, tokens: int, now: float, *, credential: str = "", hurries: bool = True
    ) -> tuple[Ticket, float]:
        """Note that a request is to be sent, and report it soon; see :class:`RateLimits`."""
        self._exchanger.look(now)
        return super().take(model, tokens, now, credential=credential, hurries=hurries)

    def turn(self, ticket: Ticket, now: float) -> float:
        """Return the seconds until a request has room; what others sent meanwhile counts."""
        self._exchanger.look(now)
        return super().turn(ticket, now)

    def report(self) -> None:
        """Report what was sent and seen, and take this process's part of what is left."""
        for (credential, model), heard in self.heard().items():
            reports = self._reports.setdefault((credential, model), deque([(Mark(0, 0), (0, 0))], _KEPT))
            before, sums = reports[-1][0], _sums_before(reports, heard.noted)
            rows: list[Any] = []
            for at, unit in enumerate((heard.requests, heard.tokens)):
                rows.append(heard.sent[at] - before[at])
                if unit is None:
                    rows += [""] * 5
                else:
                    limit, left, rate = unit
                    later = heard.sent[at] - heard.noted[at]
                    rows += [limit, left + later, later, rate, sums[at]]
            key = f"{{{self._prefix}}}:limits:{credential}/{model}"
            keys = [f"{key}:processes", f"{key}:requests", f"{key}:tokens"]
            alive = _ALIVE * self.refresh
            reply = [
                text(one) for one in self._client.eval(_REPORT, 3, *keys, self._name, alive, KEEP, *rows)
            ]
            reports.append((heard.sent, (int(reply[1]), int(reply[5]))))
            units: list[Unit | None] = [
                (float(limit), float(left), float(rate)) if limit else None
                for limit, left, rate in (reply[2:5], reply[6:9])
            ]
            parts = max(int(reply[0]), 1)
            self.adopt(model, units, heard.sent, self._clock(), parts=parts, credential=credential)


def _sums_before(reports: Iterable[tuple[Mark, tuple[int, int]]], noted: Mark) -> tuple[int, int]:
    """Return what all had reported before a request was sent from here."""
    sums = (0, 0)
    for sent, known in reports:
        if sent.requests < noted.requests:
            sums = known
    return sums
