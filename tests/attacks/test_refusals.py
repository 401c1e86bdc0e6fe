"""What OpenAI refuses of every model is refused: no parameter is lost because its value is wrong."""

from __future__ import annotations

from typing import Any

import openai
import openai_routed
import pytest
from attack_support import ASK, DAY, WAYS

from routed_llm import RequestError, Router, read_openai
from routed_llm.simulator import Simulator


def function(name: str = "f", **more: Any) -> dict[str, Any]:
    """Return a tool."""
    return {"type": "function", "function": {"name": name, **more}}


OPEN = {"type": "object", "properties": {"x": {"type": "string"}}}
REFUSED: dict[str, dict[str, Any]] = {
    "temperature too high": {"temperature": 3},
    "temperature too low": {"temperature": -1},
    "temperature as text": {"temperature": "hot"},
    "top_p too high": {"top_p": 2},
    "presence_penalty too high": {"presence_penalty": 5},
    "frequency_penalty too low": {"frequency_penalty": -3},
    "a truth for a number": {"temperature": True},
    "no answers": {"n": 0},
    "200 answers": {"n": 200},
    "too many top_logprobs": {"logprobs": True, "top_logprobs": 30},
    "five stop sequences": {"stop": ["a", "b", "c", "d", "e"]},
    "a number for a stop sequence": {"stop": [1]},
    "a cap of nothing": {"max_tokens": 0},
    "a cap as text": {"max_tokens": "many"},
    "an unknown verbosity": {"verbosity": "loud"},
    "an unknown effort": {"reasoning_effort": "enormous"},
    "an unknown tier": {"service_tier": "gold"},
    "a seed as text": {"seed": "abc"},
    "a number for a user": {"user": 5},
    "a tool that is not there": {"tools": [function()], "tool_choice": function("g")},
    "a choice among no tools": {"tool_choice": "required"},
    "129 tools": {"tools": [function(f"f{number}") for number in range(129)]},
    "a blank in a tool's name": {"tools": [function("a b")]},
    "a tool that takes a string": {"tools": [function(parameters={"type": "string"})]},
    "a strict tool that is open": {"tools": [function(strict=True, parameters=OPEN)]},
    "an unknown form": {"response_format": {"type": "xml"}},
    "a strict form that is open": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "strict": True, "schema": OPEN},
        }
    },
    "JSON that is not spoken of": {"response_format": {"type": "json_object"}},
    "a list for biases": {"logit_bias": [1]},
    "text for a truth": {"store": "yes"},
    "a number for a cache key": {"prompt_cache_key": 5},
    "a modality that there is not": {"modalities": ["smell"]},
    "text for a prediction": {"prediction": "x"},
}
"""Parameters, as a call's own."""


def ask(client: Any, **call: Any) -> None:
    """Ask with the SDK."""
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": ASK}], **call)


@pytest.mark.parametrize("given", REFUSED.values(), ids=list(REFUSED))
def test_the_sdk_and_the_routed_client_refuse_alike(sim: Simulator, given: dict[str, Any]) -> None:
    """The plain client's error is the routed client's, or ours that is also the SDK's."""
    about: dict[str, Any] = {"base_url": sim.url, "api_key": "own-key", "max_retries": 0}
    with pytest.raises(openai.BadRequestError):
        ask(openai.OpenAI(**about), **given)
    with pytest.raises(openai.BadRequestError):
        ask(openai_routed.OpenAI(**about, router=Router(clock=lambda: DAY)), **given)


@pytest.mark.filterwarnings("ignore:Invalid schema for OpenAI's structured output")
@pytest.mark.parametrize("way", ["invoke", "astream", "achat", "stream_chat", "create", "acreate_stream"])
@pytest.mark.parametrize("given", REFUSED.values(), ids=list(REFUSED))
def test_what_the_provider_refuses_is_refused(sim: Simulator, way: str, given: dict[str, Any]) -> None:
    """Handlers written for the framework's own class catch it."""
    make, call = WAYS[way]
    with pytest.raises(openai.BadRequestError):
        call(make(sim.url, Router(clock=lambda: DAY), max_retries=0), **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"temperature": 3}, "temperature=3 is refused by every model. Give a number from 0 to 2."),
        ({"top_p": "x"}, "top_p='x' is refused by every model. Give a number from 0 to 1."),
        ({"stop": list("abcde")}, "stop has 5 sequences. Give at most 4: no model takes more."),
    ],
    ids=["too much", "of another kind", "too many"],
)
def test_what_is_wrong_is_said(given: dict[str, Any], message: str) -> None:
    """The sentence names the value and what to give."""
    with pytest.raises(RequestError) as caught:
        read_openai({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], **given})
    assert str(caught.value) == message
