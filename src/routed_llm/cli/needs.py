"""Imports of what the core does not depend on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from routed_llm.cli.errors import CommandError

__all__ = ["required"]


def required(module: str, *, extra: str) -> Any:
    """Import a module that is not a dependency of the core.

    Args:
        module: its dotted name.
        extra: what to install for it.

    Raises:
        CommandError: when it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if not module.startswith(f"{error.name}"):
            raise
        raise CommandError(f"This needs {error.name}. Run `pip install {extra}`.") from None
