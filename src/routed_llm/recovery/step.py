"""The words of recovery: what one attempt came to, how much may be tried, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from routed_llm.errors import PolicyError
from routed_llm.recovery.facts import ErrorFacts, ErrorKind

if TYPE_CHECKING:
    from routed_llm.decision import Change, Decision

__all__ = ["Action", "Attempt", "RetryLimits", "Step"]


class Action(StrEnum):
    """What to do after a failure."""

    RETRY = "retry"
    """Send the same call again, after the delay."""
    CHANGE = "change"
    """Send it to the same model with one Change."""
    MOVE = "move"
    """Send it to the next model that can serve it."""
    STOP = "stop"
    """Raise: nothing that may be done would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLimits:
    """How much may be tried for one call.

    Attributes:
        attempts: requests that may be sent for one call, the first included.
        deadline: seconds after the first request from which no further one is sent.
        patience: seconds worth waiting for the model that was chosen when another could answer at once.
        waits: whether the same model may be asked again. False where something else waits already.
        base: seconds of the first wait that the provider did not ask for; it doubles each time.
        most: seconds of the longest such wait.
    """

    attempts: int = 3
    deadline: float = 120.0
    patience: float = 0.5
    waits: bool = True
    base: float = 0.5
    most: float = 8.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise PolicyError(
                f"attempts={self.attempts!r} leaves no request. Give at least 1.", key="attempts"
            )
        for name in ("deadline", "patience", "base", "most"):
            if getattr(self, name) < 0:
                raise PolicyError(
                    f"{name}={getattr(self, name)!r} is negative. Give seconds of at least 0.", key=name
                )

    @classmethod
    def from_retries(cls, retries: int | None, *, waits: bool = True) -> RetryLimits:
        """Return the limits that an SDK's ``max_retries`` asks for; None leaves the default of both, 2."""
        return cls(waits=waits) if retries is None else cls(attempts=max(0, retries) + 1, waits=waits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request that failed.

    Attributes:
        model: catalog id of the model that was asked.
        effort: the effort it was sent with.
        endpoint: the endpoint that was called.
        error: what went wrong.
        seconds: when that was known, in seconds since the first request of the call was sent.
        action: what was done next.
        reason: why.
        delay: seconds that were waited before the next request.
    """

    model: str
    effort: str | None
    endpoint: str
    error: ErrorFacts
    seconds: float
    action: Action = Action.STOP
    reason: str = ""
    delay: float = 0.0

    @property
    def name(self) -> str:
        """``model`` or ``model@effort``."""
        return self.model if self.effort is None else f"{self.model}@{self.effort}"

    def to_dict(self) -> dict[str, Any]:
        """Return the attempt as JSON-able data."""
        return {
            "model": self.model,
            "effort": self.effort,
            "endpoint": self.endpoint,
            "error": self.error.to_dict(),
            "seconds": round(self.seconds, 3),
            "action": str(self.action),
            "reason": self.reason,
            "delay": round(self.delay, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What comes next.

    Attributes:
        action: retry, change, move or stop.
        reason: why, as a phrase.
        delay: seconds to wait first.
        decision: what to send next, when it is known: with ``change`` the Decision with its Change in it.
        change: the Change, with ``change``.
        avoid: models that this call must not go to, with the reason.
        cool: seconds for which other callers in this process had better not use the model.
        dead: whether the model will not answer any more in this process.
        missing: the endpoint that the address turned out not to have, or None.
        whole: whether the model turned out not to stream for this credential.
        kind: what went wrong; None for an error that is not the provider's.
        error: the exception to raise, with ``stop``; filled in by :class:`Attempts`.
    """

    action: Action
    reason: str
    delay: float = 0.0
    decision: Decision | None = None
    change: Change | None = None
    avoid: Mapping[str, str] = field(default_factory=dict)
    cool: float = 0.0
    dead: bool = False
    missing: str | None = None
    whole: bool = False
    kind: ErrorKind | None = None
    error: BaseException | None = None
