"""Checks of what a request is given, and the errors that say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from routed_llm.errors import RequestError

__all__ = ["as_json", "check", "short"]


@contextmanager
def as_json(what: str) -> Iterator[None]:
    """Say that something is no JSON when what is done with it fails on that."""
    try:
        yield
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(
            f"{what} cannot be written as JSON ({short(str(error))}). Give plain JSON data.", where=what
        ) from error


def check(where: str, value: Any, kind: type | tuple[type, ...], wanted: str) -> None:
    """Refuse a value that is not of a kind.

    Raises:
        RequestError: which names the place and says what is wanted there.
    """
    if not isinstance(value, kind):
        raise RequestError(f"{where} is {short(value)}. Give {wanted}.", where=where)


def short(value: Any) -> str:
    """Return a value as text of at most 60 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int of thousands of digits; a list that holds itself
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else f"{text[:57]}..."
