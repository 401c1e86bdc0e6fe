"""The OpenAI client with the model chosen for each call: ``from openai_routed import OpenAI``.

Whatever else ``openai`` has is here, too, so that a line that imports several names changes in one word.
"""

from typing import Any

import openai

from openai_routed._clients import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI, module_client
from openai_routed._transports import AsyncRoutedTransport, RoutedTransport

__all__ = [
    "AsyncAzureOpenAI",
    "AsyncOpenAI",
    "AsyncRoutedTransport",
    "AzureOpenAI",
    "OpenAI",
    "RoutedTransport",
]


Client, AsyncClient = OpenAI, AsyncOpenAI


def __getattr__(name: str) -> Any:
    """Return what the SDK's module has; ``chat``, ``responses`` and ``beta`` are routed, set up as it is."""
    if name in ("chat", "responses", "beta"):
        return getattr(module_client(), name)
    if hasattr(openai, name) and not name.startswith("_"):
        return getattr(openai, name)
    raise AttributeError(f"module 'openai_routed' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
