"""What refuses a call before it is sent, as our error and as the SDK's own: programs catch either."""

from __future__ import annotations

from functools import cache
from typing import Any

from routed_llm import RoutedError, Served

__all__ = ["told"]


def told(error: Exception, served: Served | None) -> Exception:
    """Return the SDK's error for a response, with what routing knows of it.

    Args:
        error: what the SDK makes of the response.
        served: the answer that was made up or passed on; None for a response that was not routed.
    """
    if served is None:
        return error
    if served.error is not None:
        return _both(served.error, error)
    if served.failure is not None:
        for note in getattr(served.failure, "__notes__", ()):
            error.add_note(note)
        error.attempts = getattr(served.failure, "attempts", ())  # type: ignore[attr-defined]
    return error


def _both(ours: RoutedError, sdk: Exception) -> Exception:
    # Neither constructor knows what the other one wants.
    made: Any = _class((type(ours), type(sdk)))
    error: Exception = made.__new__(made)
    Exception.__init__(error, str(ours))
    error.__dict__.update({**vars(sdk), **vars(ours), "message": str(ours)})
    return error


@cache
def _class(both: tuple[type[Exception], ...]) -> type[Exception]:
    ours = both[0]
    return type(ours.__name__, both, {"__module__": ours.__module__, "__doc__": ours.__doc__})
