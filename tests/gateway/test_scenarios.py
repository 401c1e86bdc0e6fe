"""What programs written for gpt-4o ask, through the client and the gateway: all is answered, none refused.

The simulator enforces the real API's rules for each model.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import openai
import openai_routed
import pytest
from adapter_fixtures import TODAY

from routed_llm import Router
from routed_llm.gateway import Settings
from routed_llm.simulator import Simulator, serve
from tests.gateway.conftest import running
from tests.samples import pdf, png, wav

LATER = date(2027, 1, 15)
HARD = "Prove that the square root of two is irrational, step by step, and name each assumption."
NAMED = {
    "name": "tide",
    "description": "Tell the tide at a place, at an hour of a day, above or below the mean level of the sea.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
TOOL = {"type": "function", "function": NAMED}
FORM = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
SEA = {"type": "json_schema", "json_schema": {"name": "sea", "strict": True, "schema": FORM}}


def said(*parts: Mapping[str, Any] | str, **parameters: Any) -> dict[str, Any]:
    """Write a call with one message."""
    content = [part if isinstance(part, Mapping) else {"type": "text", "text": part} for part in parts]
    return {"messages": [{"role": "user", "content": content}], **parameters}


def data(kind: str, content: bytes) -> str:
    """Write a data URL."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


ASKED: dict[str, dict[str, Any]] = {
    "short": said("Hi"),
    "hard": said(HARD),
    "hard, warm and short": said(HARD, temperature=0.2, max_tokens=50),
    "hard, with a tool": said(HARD, tools=[TOOL]),
    "200K tokens": said("tide " * 200_000),
    "126.7K tokens and room for 16K": said("tide " * 126_700, max_tokens=16_000),
    "1.005M tokens": said("tide " * 1_005_000),
    "an image": said(
        "What is it?", {"type": "image_url", "image_url": {"url": data("image/png", png(640, 480))}}
    ),
    "a form": said("Name a sea.", response_format=SEA),
    "30 tools": said("Hi", tools=[TOOL] * 30, tool_choice="required"),
    "a PDF of 400 KB": said(
        "Sum it up.",
        {
            "type": "file",
            "file": {
                "filename": "a.pdf",
                "file_data": data("application/pdf", pdf(9) + b"%" + b"x" * 400_000),
            },
        },
    ),
    "audio": said(
        "What is said?",
        {
            "type": "input_audio",
            "input_audio": {"data": base64.b64encode(wav(3)).decode(), "format": "wav"},
        },
    ),
    "a reasoning model by name, warm": said("Hi", model="gpt-5", temperature=0.2),
    "all that is taste": said("Hi", temperature=0, top_p=0.9, presence_penalty=0.1, seed=7, user="someone"),
    "stop sequences": said("Count to ten.", stop=["five", "\n\n"]),
}


@contextmanager
def by_client(sim: Simulator, router: Router) -> Iterator[openai.OpenAI]:
    """Make a routed client."""
    with openai_routed.OpenAI(base_url=sim.url, api_key="any", max_retries=0, router=router) as client:
        yield client


@contextmanager
def by_gateway(sim: Simulator, router: Router) -> Iterator[openai.OpenAI]:
    """Make the SDK's client of a gateway."""
    settings = Settings(upstream=sim.url, upstream_key="any", retries=0)
    with (
        running(settings, router) as gateway,
        openai.OpenAI(base_url=gateway.url, api_key="any", max_retries=0) as client,
    ):
        yield client


WAYS = {"client": by_client, "gateway": by_gateway}


def whole(client: openai.OpenAI, asked: Mapping[str, Any]) -> Any:
    """Return the message of an answer."""
    return client.chat.completions.create(**{"model": "gpt-4o", **asked}).choices[0].message


def streamed(client: openai.OpenAI, asked: Mapping[str, Any]) -> Any:
    """Return the message that a stream comes to."""
    chunks = client.chat.completions.create(**{"model": "gpt-4o", **asked}, stream=True)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    text = "".join(delta.content or "" for delta in deltas)
    return openai.types.chat.ChatCompletionMessage.construct(content=text, tool_calls=calls)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("ask", [whole, streamed], ids=["whole", "streamed"])
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_every_call_is_answered(sim: Simulator, way: Any, ask: Any, asked: dict[str, Any]) -> None:
    """One request, no refusal, and something is said."""
    with way(sim, Router(clock=lambda: TODAY)) as client:
        message = ask(client, asked)
    assert message.content or message.tool_calls
    assert sim.refused == []
    assert len(sim.journal) == 1


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_second_turn_stays_with_its_model(sim: Simulator, way: Any) -> None:
    """Thanks for a long answer go to who gave it."""
    question = {"role": "user", "content": HARD * 100}
    with way(sim, Router(clock=lambda: TODAY)) as client:
        answer = whole(client, {"messages": [question]})
        whole(client, {"messages": [question, answer, {"role": "user", "content": "Thanks!"}]})
    assert sim.refused == []
    assert len({entry.model for entry in sim.journal}) == 1


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_day_after_the_model_is_gone(way: Any) -> None:
    """Programs that name it are answered by others."""
    with serve(at=LATER) as sim, way(sim, Router(clock=lambda: LATER)) as client:
        assert whole(client, ASKED["hard, warm and short"]).content
        assert whole(client, ASKED["hard, with a tool"])
        assert streamed(client, ASKED["a form"]).content
        assert sim.refused == []
        assert "gpt-4o" not in {entry.model for entry in sim.journal}
