"""Rate limits per model, off unless they are set, and the headers that report them."""

from __future__ import annotations

import collections
import threading
import time

from routed_llm.simulator.failures import ApiFailure, failure

Spent = collections.deque[tuple[float, int]]
_SHOWN_REQUESTS = 10_000
_SHOWN_TOKENS = 30_000_000


class RateLimits:
    """Tokens and requests per minute, by canonical model name; what no limit is set for is unlimited."""

    def __init__(self) -> None:
        self._tpm: dict[str, int] = {}
        self._rpm: dict[str, int] = {}
        self._spent: dict[str, Spent] = collections.defaultdict(collections.deque)
        self._lock = threading.Lock()

    def set(self, model: str, *, tpm: int | None = None, rpm: int | None = None) -> None:
        """Set a model's limits; None lifts one."""
        with self._lock:
            for table, value in ((self._tpm, tpm), (self._rpm, rpm)):
                if value is None:
                    table.pop(model, None)
                else:
                    table[model] = value

    def clear(self) -> None:
        """Lift every limit and forget what was spent."""
        with self._lock:
            self._tpm.clear()
            self._rpm.clear()
            self._spent.clear()

    def spend(self, model: str, tokens: int) -> dict[str, str]:
        """Count a request and return its rate limit headers.

        Raises:
            ApiFailure: 429, over the limit, or too large for it at any time.
        """
        with self._lock:
            now = time.monotonic()
            spent = self._spent[model]
            while spent and spent[0][0] <= now - 60:
                spent.popleft()
            used = sum(n for _, n in spent)
            tpm, rpm = self._tpm.get(model), self._rpm.get(model)
            if tpm is not None and tokens > tpm:
                raise failure("request_too_large", by="rate_limit", model=model, limit=tpm, requested=tokens)
            if tpm is not None and used + tokens > tpm:
                raise _over(model, spent, now, "tokens", tpm, used, tokens)
            if rpm is not None and len(spent) >= rpm:
                raise _over(model, spent, now, "requests", rpm, len(spent), 1)
            spent.append((now, tokens))
            return headers(tpm or _SHOWN_TOKENS, used + tokens, rpm or _SHOWN_REQUESTS, len(spent))


def _over(
    model: str, spent: Spent, now: float, unit: str, limit: int, used: int, requested: int
) -> ApiFailure:
    """A 429 with the wait until the oldest request leaves the minute, in words and in headers."""
    wait = (spent[0][0] + 60 - now) if spent else 60.0
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
        f"x-ratelimit-reset-{unit}": shown_wait(wait),
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
