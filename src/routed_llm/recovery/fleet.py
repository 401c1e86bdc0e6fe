"""FleetCooldowns: cool-downs that the processes of a fleet share through Redis, beside each one's own.

No call ever waits for Redis. What a process meets is reported in a thread; what others have met is fetched in
one, once a second at most while calls are made. While Redis is away each process relies on what it has
met itself.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from routed_llm.recovery.cooldowns import Cooldowns
from routed_llm.recovery.shared import KEEP, Exchanger, text

__all__ = ["FleetCooldowns"]

_MOST: Final = 1_000
"""Untold events that are kept; the oldest are dropped."""

# The same rules as Cooldowns, by the clock of the server. KEYS: strikes, until. ARGV: field, why, seconds,
# threshold, base, most, seconds to keep.
_FAILED: Final = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local strikes = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local last = tonumber(string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '0', '^[%d.]+'))
if last > 0 and last <= now then strikes = math.max(strikes, tonumber(ARGV[4]) - 1) end
strikes = strikes + 1
redis.call('HSET', KEYS[1], ARGV[1], strikes)
local over, out = strikes - tonumber(ARGV[4]), tonumber(ARGV[3])
if over >= 0 then out = math.max(out, tonumber(ARGV[5]) * 2 ^ math.min(over, 30)) end
out = math.min(out, tonumber(ARGV[6]))
if out > 0 and now + out > last then
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%.3f|%s', now + out, ARGV[2]))
end
redis.call('EXPIRE', KEYS[1], ARGV[7])
redis.call('EXPIRE', KEYS[2], ARGV[7])
"""
_ANSWERED: Final = "redis.call('HDEL', KEYS[1], ARGV[1]) redis.call('HDEL', KEYS[2], ARGV[1])"
_FETCH: Final = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local found, rows = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #rows, 2 do
  local left = tonumber(string.match(rows[i + 1], '^[%d.]+')) - now
  if left > 0 then
    found[#found + 1] = rows[i]
    found[#found + 1] = string.format('%.3f', left)
    found[#found + 1] = string.match(rows[i + 1], '|(.*)$')
  end
end
return found
"""


class FleetCooldowns(Cooldowns):
    """Cool-downs shared through Redis (or Valkey) 6 or later. A Router whose ledger is in Redis makes one.

    Args:
        client: a ``redis.Redis``.
        prefix: begins every key.
        refresh: seconds between two looks at what the others have met.
        clock: the clock that ``now`` is read from everywhere.
        threshold: failures in a row, of all processes together, that take a model out.
        base: seconds of the first time out.
        most: seconds of the longest.
    """

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "routed",
        refresh: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        threshold: int = 3,
        base: float = 2.0,
        most: float = 120.0,
    ) -> None:
        super().__init__(threshold=threshold, base=base, most=most)
        self._client = client
        self._keys = ["{" + prefix + "}:strikes", "{" + prefix + "}:cooling"]
        self._clock = clock
        self._untold: deque[tuple[str, list[str]]] = deque(maxlen=_MOST)
        self._exchanger = Exchanger(
            self._exchange, "cool-downs", refresh=refresh, clock=clock, more=lambda: self._untold
        )

    def failed(
        self, model: str, why: str, *, now: float, seconds: float = 0.0, credential: str = ""
    ) -> float:
        """Note a failure here and tell the fleet; see :class:`Cooldowns`."""
        out = super().failed(model, why, now=now, seconds=seconds, credential=credential)
        limits = [f"{seconds:.3f}", str(self.threshold), str(self.base), str(self.most), str(KEEP)]
        self._untold.append((_FAILED, [_field(credential, model), why, *limits]))
        self._exchanger.start(now)
        return out

    def answered(self, model: str, *, credential: str = "") -> None:
        """Note an answer here and, when the model had failed, tell the fleet."""
        key = (credential, model)
        if key not in self._strikes and key not in self._until:
            return
        super().answered(model, credential=credential)
        self._untold.append((_ANSWERED, [_field(credential, model)]))
        self._exchanger.start(self._clock())

    def cooling(self, now: float, *, credential: str = "") -> Mapping[str, str]:
        """Return the models that are out, here or in the fleet as it was last seen."""
        self._exchanger.look(now)
        return super().cooling(now, credential=credential)

    def _exchange(self) -> None:
        while self._untold:
            script, arguments = self._untold[0]
            self._client.eval(script, 2, *self._keys, *arguments)
            self._untold.popleft()
        rows = self._client.eval(_FETCH, 1, self._keys[1])
        self._take([text(row) for row in rows])

    def _take(self, rows: list[str]) -> None:
        """Put what the fleet knows beside what is known here."""
        now = self._clock()
        with self._lock:
            for field, left, why in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
                credential, _, model = field.partition("/")
                self._rest((credential, model), now + float(left), why, float(left))


def _field(credential: str, model: str) -> str:
    return f"{credential}/{model}"
