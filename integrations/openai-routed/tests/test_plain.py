"""Plain data goes out without the SDK looking through it: nobody but the clock may see a difference."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest import mock

import openai
import pytest
from openai import AsyncStream, Stream
from openai._streaming import SSEDecoder
from openai.resources.chat.completions import Completions
from openai.types.chat import ChatCompletionMessage, ChatCompletionUserMessageParam
from openai_routed import AsyncOpenAI, OpenAI

from routed_llm.calls.sdk import DecodedEvents
from routed_llm.simulator import Simulator

SAID: ChatCompletionUserMessageParam = {"role": "user", "content": "Name a sea."}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def generated() -> Iterator[Any]:
    """Messages that can be read once."""
    yield SAID


def answered() -> ChatCompletionMessage:
    """A message as the SDK gives it, with a field that is not to be sent back."""
    return ChatCompletionMessage(role="assistant", content="The Baltic Sea.")


FORMS: dict[str, Callable[[], dict[str, Any]]] = {
    "plain": lambda: {"messages": [SAID], "tools": [TOOL], "temperature": 0.5},
    "left out": lambda: {"messages": [SAID], "seed": openai.omit, "user": openai.NOT_GIVEN},
    "left out inside": lambda: {"messages": [{**SAID, "name": openai.omit}]},
    "a tuple": lambda: {"messages": (SAID,)},
    "a generator": lambda: {"messages": generated()},
    "an object of the SDK's": lambda: {"messages": [SAID, answered(), SAID]},
    "fields of its own": lambda: {"messages": [SAID], "extra_body": {"seed": 7}, "extra_query": {"a": "b"}},
    "headers": lambda: {"messages": [SAID], "extra_headers": {"x-mine": "1"}, "timeout": openai.NOT_GIVEN},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_it_is_what_the_sdk_sends(sim: Simulator, form: Callable[[], dict[str, Any]]) -> None:
    """Whatever a call is made of, its body, path and headers are those of the SDK's own client."""
    for kind, more in (
        (openai.OpenAI, {}),
        (OpenAI, {"policy": {"models": ["gpt-4o"], "on_unsupported": "avoid"}}),
    ):
        with kind(base_url=sim.url, api_key="any", **more) as client:
            client.chat.completions.create(model="gpt-4o", **form())
    own, routed = sim.journal
    assert own.body == routed.body
    assert {**own.headers, "content-length": 0} == {**routed.headers, "content-length": 0}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": "gpt-4o"}, "Missing required arguments; Expected either"),
        ({"messages": [SAID]}, "Missing required arguments; Expected either"),
        ({"messages": [SAID], "model": "gpt-4o", "tone": "dry"}, "unexpected keyword argument 'tone'"),
        ({"messages": [SAID], "model": "gpt-4o", "response_format": ChatCompletionMessage}, "BaseModel"),
    ],
    ids=["no messages", "no model", "a keyword nobody knows", "a class as the format"],
)
def test_what_the_sdk_refuses_it_refuses(client: OpenAI, given: dict[str, Any], says: str) -> None:
    """Its own words say why, before anything is sent."""
    with pytest.raises(TypeError, match=says):
        client.chat.completions.create(**given)


@pytest.mark.parametrize("autospec", [False, True], ids=["any", "of its signature"])
def test_a_stand_in_for_the_sdks_method_is_called(client: OpenAI, *, autospec: bool) -> None:
    """Tests and instruments patch the class, before a client is made or after; each call asks anew."""
    asked: dict[str, Any] = {"model": "gpt-4o", "messages": [SAID]}
    more = {"autospec": True} if autospec else {}
    for made in (client, None):
        with mock.patch("openai.resources.chat.completions.Completions.create", **more) as stand_in:
            part = (made or client.with_options()).chat.completions
            found = part.create(**asked)
        assert found is stand_in.return_value
        stand_in.assert_called_once_with(*([part] if autospec else []), **asked)
    assert client.chat.completions.create(**asked).choices


def test_an_instrument_around_the_sdks_method_sees_the_call(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is called with what the program gave, and its answer is the SDK's."""
    seen: list[dict[str, Any]] = []
    own = Completions.create

    def traced(self: Any, **given: Any) -> Any:
        seen.append(given)
        return own(self, **given)

    monkeypatch.setattr(Completions, "create", traced)
    assert client.chat.completions.create(model="gpt-4o", messages=[SAID]).choices
    assert seen == [{"model": "gpt-4o", "messages": [SAID]}]


async def test_answers_are_of_the_sdks_classes(client: OpenAI, settings: dict[str, Any]) -> None:
    """Whole ones, streams and raw ones, of both endpoints and both clients."""
    asked: dict[str, Any] = {"model": "gpt-4o", "messages": [SAID]}
    assert type(client.chat) is openai.resources.chat.Chat
    assert type(client.chat.completions.create(**asked, stream=True)) is Stream
    assert type(client.responses.create(model="gpt-4o", input="Hi", stream=True)) is Stream
    raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.parse().choices
    assert raw.headers["x-routed-model"]
    async with AsyncOpenAI(**settings) as other:
        assert type(await other.chat.completions.create(**asked, stream=True)) is AsyncStream
        assert (
            type(await other.responses.create(model="gpt-4o", input="Hi")) is openai.types.responses.Response
        )


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("chat", {"messages": [SAID]}),
    "chat, with its usage": ("chat", {"messages": [SAID], "stream_options": {"include_usage": True}}),
    "chat, cut": ("chat", {"messages": [SAID], "max_tokens": 3}),
    "chat, a call": ("chat", {"messages": [SAID], "tools": [TOOL], "tool_choice": "required"}),
    "responses": ("responses", {"input": "Name a sea."}),
    "responses, a call": (
        "responses",
        {
            "input": "Go.",
            "tools": [{"name": "f", **TOOL["function"], "type": "function"}],
            "tool_choice": "required",
        },
    ),
}


class Compared(DecodedEvents):
    """Reads as the clients do, and compares that with what the SDK's own decoder reads of the bytes."""

    def iter_bytes(self, parts: Iterator[bytes]) -> Iterator[Any]:
        """Yield the events."""
        known = [*parts]
        yield from self._compared(known, [*super().iter_bytes(iter(known))])

    async def aiter_bytes(self, parts: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Yield the events."""
        known = [part async for part in parts]
        found = [event async for event in super().aiter_bytes(_later(known))]
        for event in self._compared(known, found):
            yield event

    def _compared(self, parts: list[bytes], found: list[Any]) -> list[Any]:
        read = [event.json() for event in SSEDecoder().iter_bytes(iter(parts)) if event.data != "[DONE]"]
        assert len(read) > 1
        assert [event.json() for event in found] == read
        return found


async def _later(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.4"], ids=["on its endpoint", "on the other"])
@pytest.mark.parametrize(("form", "asked"), ASKED.values(), ids=ASKED)
async def test_what_need_not_be_decoded_is_what_the_bytes_say(
    settings: dict[str, Any], form: str, asked: dict[str, Any], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's own decoder finds the same in what is sent up, for threads and for event loops."""
    settings["policy"] = {"models": [model], "at_least": None}
    for kind in (OpenAI, AsyncOpenAI):
        monkeypatch.setattr(kind, "_make_sse_decoder", lambda _: Compared(SSEDecoder()))

    def ask(client: Any) -> Any:
        create = client.chat.completions.create if form == "chat" else client.responses.create
        return create(model="gpt-4o", stream=True, **asked)

    with OpenAI(**settings) as client:
        assert [*ask(client)]
    async with AsyncOpenAI(**settings) as other:
        assert [event async for event in await ask(other)]
