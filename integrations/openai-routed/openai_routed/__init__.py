"""The OpenAI client with the model chosen for each call: ``from openai_routed import OpenAI``."""

from openai_routed._clients import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from openai_routed._transports import AsyncRoutedTransport, RoutedTransport

__all__ = [
    "AsyncAzureOpenAI",
    "AsyncOpenAI",
    "AsyncRoutedTransport",
    "AzureOpenAI",
    "OpenAI",
    "RoutedTransport",
]
