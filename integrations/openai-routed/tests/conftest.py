"""What every test may use: a simulated OpenAI on this machine, and clients that talk to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from openai_routed import AsyncOpenAI, OpenAI

from routed_llm import Router
from routed_llm.calls import runners
from routed_llm.simulator import Simulator

pytest_plugins = ["adapter_fixtures"]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note the waits between attempts instead of waiting."""
    noted: list[float] = []
    yielding = asyncio.sleep

    async def sleep(seconds: float) -> None:
        noted.append(seconds)
        await yielding(0)

    monkeypatch.setattr(runners, "time", SimpleNamespace(sleep=noted.append))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return noted


@pytest.fixture
def settings(sim: Simulator, router: Router) -> dict[str, Any]:
    """What a client of the simulator is made with: no retries, a router for its day."""
    return {
        "base_url": sim.url,
        "api_key": "sk-simulated",
        "max_retries": 0,
        "router": router,
    }


@pytest.fixture
def client(settings: dict[str, Any]) -> Iterator[OpenAI]:
    """A client of the simulator."""
    with OpenAI(**settings) as made:
        yield made


@dataclass
class Said:
    """What a call came back with, however it was made.

    Attributes:
        text: the text.
        routing: the last routing record.
        first: the first routing record of a stream.
        parts: chunks or events of a stream.
        whole: the completion or response of a call that was not streamed.
    """

    text: str
    routing: dict[str, Any]
    first: dict[str, Any] | None = None
    parts: list[Any] | None = None
    whole: Any = None


@dataclass
class Way:
    """One way to make a call: which client, which endpoint, streamed or not."""

    kind: str
    form: str
    stream: bool

    def __call__(self, settings: dict[str, Any], text: str = "What is a tide?", **more: Any) -> Said:
        """Make a call and return what it came back with."""
        asked: dict[str, Any] = {"model": "gpt-4o", **more}
        if self.form == "chat":
            asked.setdefault("messages", [{"role": "user", "content": text}])
        else:
            asked.setdefault("input", text)
            if "max_tokens" in asked:
                asked["max_output_tokens"] = asked.pop("max_tokens")
        if self.kind == "async":
            return asyncio.run(self._async(settings, asked))
        with OpenAI(**settings) as client:
            create = client.chat.completions.create if self.form == "chat" else client.responses.create
            found = create(**asked, stream=self.stream)
            return self._said(list(found) if self.stream else found)

    async def _async(self, settings: dict[str, Any], asked: dict[str, Any]) -> Said:
        async with AsyncOpenAI(**settings) as client:
            create: Callable[..., Any]
            create = client.chat.completions.create if self.form == "chat" else client.responses.create
            found = await create(**asked, stream=self.stream)
            return self._said([part async for part in found] if self.stream else found)

    def _said(self, found: Any) -> Said:
        if not self.stream:
            text = found.choices[0].message.content if self.form == "chat" else found.output_text
            return Said(text, found.routing, whole=found)
        if self.form == "chat":
            text = "".join(one.choices[0].delta.content or "" for one in found if one.choices)
            return Said(text, found[-1].routing, found[0].routing, found)
        text = "".join(one.delta for one in found if one.type == "response.output_text.delta")
        return Said(text, found[-1].response.routing, found[0].response.routing, found)


WAYS = [
    Way(kind, form, stream)
    for kind in ("sync", "async")
    for form in ("chat", "responses")
    for stream in (False, True)
]


@pytest.fixture(
    params=WAYS,
    ids=[f"{way.kind}-{way.form}-{'stream' if way.stream else 'whole'}" for way in WAYS],
)
def way(request: pytest.FixtureRequest) -> Way:
    """Each of the eight ways to make a call."""
    found: Way = request.param
    return found
