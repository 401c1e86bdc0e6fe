"""The one error that the command line adds to those of the package."""

from __future__ import annotations

from routed_llm.errors import RoutedError

__all__ = ["CommandError"]


class CommandError(RoutedError):
    """The command cannot do what it was asked; the last sentence of the message says what to do."""
