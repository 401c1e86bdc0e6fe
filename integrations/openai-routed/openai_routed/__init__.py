"""The OpenAI client with the model chosen for each call: ``from openai_routed import OpenAI``."""

from typing import Any

import openai

from openai_routed._clients import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI, module_client
from openai_routed._transports import AsyncRoutedTransport, RoutedTransport

__all__ = ["AsyncAzureOpenAI", "AsyncOpenAI", "AsyncRoutedTransport", "AzureOpenAI", "OpenAI"]
__all__ += ["RoutedTransport"]

Client, AsyncClient = OpenAI, AsyncOpenAI


def __getattr__(name: str) -> Any:
    """Return what the SDK's module has; ``chat``, ``responses`` and ``beta`` are routed, set up as it is."""
    if name.startswith("_") or not hasattr(openai, name):
        raise AttributeError(f"module 'openai_routed' has no attribute {name!r}")
    return getattr(module_client() if name in ("chat", "responses", "beta") else openai, name)


def __dir__() -> list[str]:
    return [name for name in {*__all__, *dir(openai)} if not name.startswith("_")]
