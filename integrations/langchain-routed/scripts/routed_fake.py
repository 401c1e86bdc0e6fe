"""A pytest plugin that puts real classes in the place of the fake model of LangChain's agent tests.

With ``ROUTED_SWAP=plain`` the fake becomes a ChatOpenAI that answers as the fake does, otherwise a
RoutedChatModel whose every call is decided and then answered by such a ChatOpenAI. ``bind_tools``, streaming,
tracing and the rest are those of the class. Neither has a profile, since the fake has none, and the record of
the decision is left off the answers, since the tests compare whole messages with those of the fake.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_routed import RoutedChatModel
from routed_swap import CHAT_OPENAI, DAY

from routed_llm import Router

MODELS = ("tests.unit_tests.agents.model", "tests.model")
USED: dict[str, None] = {}


@lru_cache(maxsize=1)
def router() -> Router:
    """One router for all tests, as a program has."""
    return Router(clock=lambda: DAY)


def bare(message: Any) -> Any:
    """Take the record of the decision off an answer."""
    for name in ("routing", "model_name"):
        message.response_metadata.pop(name, None)
    return message


def chunk_of(message: Any) -> ChatGenerationChunk:
    """Make the one chunk of a streamed answer."""
    fields = message.model_dump(exclude={"type", "tool_calls"})
    calls = [
        {**call, "args": json.dumps(call["args"]), "index": at} for at, call in enumerate(message.tool_calls)
    ]
    return ChatGenerationChunk(message=AIMessageChunk(**fields, tool_call_chunks=calls))


def plain_of(fake: Any) -> Any:
    """Make a ChatOpenAI that answers as a fake model does."""

    class Plain(CHAT_OPENAI):
        tool_calls: Any = None
        structured_response: Any = None
        index: int = 0
        tool_style: str = "openai"
        asked: Any = None

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**{"model": "gpt-4o", "profile": {}, **kwargs})

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
            return fake._generate(self.asked or self, messages, stop, run_manager, **kwargs)

        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            return self._generate(*args, **kwargs)

        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            yield chunk_of(self._generate(*args, **kwargs).generations[0].message)

        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            yield chunk_of(self._generate(*args, **kwargs).generations[0].message)

    return Plain


def routed_of(plain: Any) -> Any:
    """Make a RoutedChatModel whose calls are answered as a fake model answers them."""

    class Routed(RoutedChatModel):
        tool_calls: Any = None
        structured_response: Any = None
        index: int = 0
        tool_style: str = "openai"

        def __init__(self, **kwargs: Any) -> None:
            ours = {"router": router(), "factory": lambda _: plain(asked=self), "profile": {}}
            super().__init__(**{**ours, **kwargs})
            USED[os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]] = None

        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            result = super()._generate(*args, **kwargs)
            bare(result.generations[0].message)
            return result

        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            if type(self)._generate is not Routed._generate:
                return self._generate(*args, **kwargs)  # a test's own fake, without a coroutine of its own
            result = await super()._agenerate(*args, **kwargs)
            bare(result.generations[0].message)
            return result

        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            for chunk in super()._stream(*args, **kwargs):
                bare(chunk.message)
                yield chunk

        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            async for chunk in super()._astream(*args, **kwargs):
                bare(chunk.message)
                yield chunk

    return Routed


def pytest_sessionfinish() -> None:
    """Leave a list of the tests in which a model was swapped."""
    if USED:
        here = Path.cwd()
        (here.parent / f"swapped-{here.name}.txt").write_text("\n".join(sorted(USED)))


for name in MODELS:
    if Path(*name.split(".")).with_suffix(".py").exists():
        module = importlib.import_module(name)
        fake = module.FakeToolCallingModel
        swapped = plain_of(fake)
        if os.environ.get("ROUTED_SWAP") != "plain":
            swapped = routed_of(swapped)
        swapped.__name__ = swapped.__qualname__ = fake.__name__
        if "with_structured_output" in vars(fake):
            swapped.with_structured_output = fake.with_structured_output
        module.FakeToolCallingModel = swapped
