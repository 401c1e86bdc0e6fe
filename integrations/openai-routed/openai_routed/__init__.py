"""The OpenAI client with the model chosen for each call: ``from openai_routed import OpenAI``."""

from typing import Any

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


def __getattr__(name: str) -> Any:
    """Return ``chat``, ``responses`` or ``beta`` of a client that is set up as the module ``openai`` is."""
    if name in ("chat", "responses", "beta"):
        return getattr(module_client(), name)
    raise AttributeError(f"module 'openai_routed' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
