"""What refuses a call before it is sent, as our error and as the SDK's own: programs catch either."""

from __future__ import annotations

from routed_llm import Served
from routed_llm.calls.problems import both

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
        return both(served.error, error)
    if served.failure is not None:
        for note in getattr(served.failure, "__notes__", ()):
            error.add_note(note)
        error.attempts = getattr(served.failure, "attempts", ())  # type: ignore[attr-defined]
    return error
