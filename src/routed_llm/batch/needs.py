"""The libraries that only the extra ``batch`` brings."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from routed_llm.errors import RoutedError

__all__ = ["needed"]


def needed(name: str) -> Any:
    """Import a library of the extra.

    Raises:
        RoutedError: when it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise RoutedError(
            f"Deciding over columns needs {name}. Install it with: pip install 'routed-llm[batch]'"
        ) from error
