"""Failures on demand: by plan, by the control endpoint, or by the request header ``x-simulator-fault``."""

from __future__ import annotations

import dataclasses
import random
import threading
from typing import Any

from routed_llm.simulator.failures import ApiFailure, failure

REFUSALS = (
    "429",
    "429_no_headers",
    "tpm_too_large",
    "insufficient_quota",
    "no_access",
    "cut_short",
    "500",
    "502_html",
    "503",
)
TRANSPORT = ("sse_error", "cut", "truncate", "stall", "slow_first_token", "slow_chunks", "hang")
UNREADABLE = ("200_html", "200_error", "200_empty")
"""What stands before the provider spoils the answer: it was given, and is billed, and nobody can read it."""
KINDS = REFUSALS + TRANSPORT + UNREADABLE
COUNTING = "input_tokens"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One planned failure.

    Attributes:
        kind: one of `KINDS`.
        model: only for this model (as requested, or its canonical name); empty for any.
        endpoint: ``chat`` or ``responses``; empty for both. ``input_tokens`` for the counting endpoint,
            which no other fault strikes.
        nth: only for the nth matching request (from 1), 0 for every one.
        times: how often it strikes; 0 means always.
        share: the part of the matching requests that it strikes, from 0 to 1, drawn by the simulator's seed.
        seconds: how long a stall, hang or slow answer waits; the Retry-After of a 429. At most 60.
        after_chunks: events that a stream sends before it fails.
    """

    kind: str
    model: str = ""
    endpoint: str = ""
    nth: int = 0
    times: int = 1
    share: float = 1.0
    seconds: float = 0.05
    after_chunks: int = 2

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"There is no fault of kind {self.kind!r}. Use one of: {', '.join(KINDS)}.")
        if not 0 <= self.share <= 1:
            raise ValueError(f"A fault strikes a share of 0 to 1, not {self.share}. Give a part of 1.")
        if not 0 <= self.seconds <= 60:
            raise ValueError(f"A fault may wait 0 to 60 seconds, not {self.seconds}. Give fewer seconds.")


def parse(value: str | dict[str, Any]) -> Fault:
    """Return a fault from ``kind`` or ``kind;seconds=1;after_chunks=3``, or from a JSON object.

    Raises:
        ValueError: An unknown kind or key.
    """
    if isinstance(value, dict):
        row = dict(value)
    else:
        kind, *pairs = (part.strip() for part in value.split(";"))
        row = {"kind": kind, **dict(pair.split("=", 1) for pair in pairs if "=" in pair)}
    types = {"nth": int, "times": int, "after_chunks": int, "seconds": float, "share": float}
    known = {field.name for field in dataclasses.fields(Fault)}
    for key in row:
        if key not in known:
            raise ValueError(f"A fault has no {key!r}. Use: {', '.join(sorted(known))}.")
    return Fault(**{key: types.get(key, str)(item) for key, item in row.items()})


class FaultPlan:
    """The faults still to strike, in the order they were added; the first that matches strikes."""

    def __init__(self, faults: tuple[Fault, ...] = (), seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311 - the same seed, the same faults
        self._rows: list[list[Any]] = []  # fault, matches seen, strikes left
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault | str | dict[str, Any] | None = None, /, **fields: Any) -> Fault:
        """Add a fault, given whole or by its fields, and return it.

        Raises:
            ValueError: An unknown kind or key.
        """
        if fault is None:
            fault = parse(fields)
        elif not isinstance(fault, Fault):
            fault = parse(fault)
        with self._lock:
            self._rows.append([fault, 0, fault.times])
        return fault

    def clear(self) -> None:
        """Remove every fault."""
        with self._lock:
            self._rows.clear()

    def pending(self) -> list[Fault]:
        """Return the faults that may still strike."""
        with self._lock:
            return [fault for fault, _, left in self._rows if fault.times == 0 or left > 0]

    def strike(self, endpoint: str, names: tuple[str, ...]) -> Fault | None:
        """Return the fault for a request to a model known by `names`, and count it as used."""
        with self._lock:
            for row in self._rows:
                fault: Fault = row[0]
                if fault.model and fault.model not in names:
                    continue
                if fault.endpoint != endpoint and (fault.endpoint or endpoint == COUNTING):
                    continue
                if fault.times and row[2] <= 0:
                    continue
                row[1] += 1
                if fault.nth and row[1] != fault.nth:
                    continue
                if fault.share < 1 and self._random.random() >= fault.share:
                    continue
                row[2] -= 1
                return fault
        return None


def refusal(fault: Fault, model: str) -> tuple[ApiFailure, dict[str, str]]:
    """Return the failure and extra headers of a fault that answers with an error status."""
    if fault.kind in ("429", "429_no_headers"):
        wait = f"{round(fault.seconds * 1000)}ms"
        error = failure("rate_limit", by="fault", model=model, unit="tokens", name="tokens per min (TPM)",
                        limit=30000, used=29937, requested=385, wait=wait)  # fmt: skip
        if fault.kind == "429_no_headers":
            return error, {}
        return error, {
            "retry-after-ms": str(round(fault.seconds * 1000)),
            "retry-after": str(max(1, round(fault.seconds))),
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-tokens": "63",
            "x-ratelimit-reset-tokens": wait,
        }
    if fault.kind == "tpm_too_large":
        return failure("request_too_large", by="fault", model=model, limit=30000, requested=30601), {}
    if fault.kind == "no_access":
        return failure("model_not_found", by="fault", model=model), {}
    names = {"500": "server_error", "503": "overloaded", "sse_error": "stream_error"}
    name = names.get(fault.kind, fault.kind)
    return failure(name, by="fault"), {}
