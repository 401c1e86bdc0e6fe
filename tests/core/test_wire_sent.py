"""Generated Chat requests with every field of the SDK, served on Responses: the provider takes them, and they mean the same.

Two judges that share nothing with the wire: the simulator, which answers or refuses, and a reading of what a
request says in either form (``benchmarks.recovery.meaning``).
"""

# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from random import Random
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatParams
from wire_examples import fields_in, places

from benchmarks.recovery.conversations import STRICT, make
from benchmarks.recovery.every_field import widen
from benchmarks.recovery.meaning import losses
from routed_llm import Policy, Router, read_openai
from routed_llm.calls.wired import Wired
from routed_llm.fields import CHAT
from routed_llm.simulator.faults import FaultPlan
from routed_llm.simulator.service import Service

DAY = date(2026, 11, 22)
MODELS = ("gpt-4.1-mini", "gpt-5", "gpt-5.4", "gpt-6-luna")
STAY = frozenset({"logprobs", "top_logprobs", "web_search_options"})
"""What Responses has another form for, and is served on Chat Completions all the same."""
ONLY_THERE = {
    *("audio", "function_call", "functions", "logit_bias", "n", "prediction", *STAY),
}
"""Parameters that Responses does not have."""
OLD = (
    *("message.function.", "message.assistant.audio", "message.assistant.function_call", "part.input_audio."),
    *("web_search_options.", "location.", "approximate."),
)
"""What stands in these, and messages of forms that only Chat Completions has."""


def asked(number: int) -> dict[str, Any]:
    """Make a request that Responses can serve, as a body of Chat Completions."""
    case = make(7, number)
    random = Random(f"wide {number}")
    messages, parameters = widen(random, case.messages, case.parameters, stream=case.stream, stays=False)
    for message in messages:  # Responses takes no voice
        if isinstance(message.get("content"), list):
            message["content"] = [part for part in message["content"] if part["type"] != "input_audio"]
    if parameters.get("reasoning_effort") in ("minimal", "max"):  # which only some models have
        parameters["reasoning_effort"] = "high"
    parameters = {name: value for name, value in parameters.items() if name not in STAY}
    return {
        "model": "gpt-4o",
        "messages": messages,
        **parameters,
        **({"stream": True} if case.stream else {}),
    }


@pytest.fixture(scope="module")
def service() -> Service:
    """The simulated service without its transport."""
    return Service(at=DAY, seed=0, api_key=None, faults=FaultPlan())


@pytest.fixture(scope="module")
def router() -> Router:
    """A router that learns nothing."""
    return Router(clock=lambda: DAY, observe=False)


def answered(service: Service, body: Mapping[str, Any]) -> str:
    """Send a body to Responses; return why it was refused, or nothing."""
    book = service.journal.open("POST", "/v1/responses", 0, {})
    service.handle("POST", "/v1/responses", {"authorization": "Bearer x"}, json.dumps(body).encode(), book)
    service.reset()
    return book.message


def sent(router: Router, written: dict[str, Any], number: int) -> tuple[dict[str, Any], list[Any]]:
    """Return the body for Responses, and the record's changes."""
    models = [MODELS[number % len(MODELS)], "gpt-5.6-luna"]
    policy = Policy(endpoints=["responses"], at_least=None, models=models)
    wired = Wired(asked=written, catalog=router.catalog)
    decision = router.decide(read_openai(written, emulates=("stop",)), policy=policy)
    body = wired.prepare(decision).body
    wired.opened(decision)
    return body, wired.routing["changes"]


@pytest.mark.parametrize("first", range(0, 2_000, 200))
def test_what_is_served_on_responses_is_taken_and_means_the_same(
    service: Service, router: Router, first: int
) -> None:
    """Nothing that a request says is refused, lost or changed on the way, but for what the record says."""
    for number in range(first, first + 200):
        written = asked(number)
        body, changes = sent(router, written, number)
        assert (number, answered(service, body), losses(written, body, changes)) == (number, "", [])


def test_every_field_is_sent_by_some_of_them() -> None:
    """A field that the SDK adds to its Chat requests fails here until these requests have it."""
    there: dict[str, set[str]] = {}
    places(CHAT, "body", ChatParams, there)
    wanted = {f"{place}.{name}" for place, names in there.items() for name in names}
    found: set[str] = set()
    for number in range(2_000):
        found |= fields_in(CHAT, asked(number))
    missing = {one for one in wanted - found if not one.startswith(OLD)}
    assert {one for one in missing if not one.startswith("body.")} == set()
    assert {one.removeprefix("body.") for one in missing} == ONLY_THERE


SPOILED: dict[str, tuple[str, Any]] = {
    "a turn is lost": ("turns", lambda body: body["input"].pop()),
    "turns change places": ("turns", lambda body: body["input"].reverse()),
    "a turn is sent twice": ("turns", lambda body: body["input"].append(body["input"][0])),
    "a speaker is lost": ("turns", lambda body: body["input"][0].update(content="Hi")),
    "lenient is strict": ("tools function f", lambda body: body["tools"][0].pop("strict")),
    "a tool is lost": ("tools custom c", lambda body: body["tools"].pop()),
    "it is stored": ("store", lambda body: body.pop("store")),
    "any tool will do": ("tool_choice", lambda body: body.update(tool_choice="required")),
    "another form": ("response_format", lambda body: body["text"]["format"].pop("strict")),
    "a mark is lost": ("prompt_cache_breakpoint", lambda body: body["input"][1]["content"][0].popitem()),
    "a detail is lost": ("turns", lambda body: body["input"][1]["content"][1].update(detail="auto")),
    "no cap": ("cap", lambda body: body.pop("max_output_tokens")),
    "a parameter is lost": ("user", lambda body: body.pop("user")),
}
"""What might go wrong with a body, and what of it is found to differ."""
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {}}}
WRITTEN: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [
        {"role": "user", "name": "Ann", "content": "Hi"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {
                    "type": "image_url",
                    "image_url": {"url": "https://upload.wikimedia.org/a.png", "detail": "low"},
                },
            ],
        },
    ],
    "tools": [{"type": "function", "function": FUNCTION}, {"type": "custom", "custom": {"name": "c"}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "strict": True, "schema": STRICT},
    },
    "max_tokens": 50,
    "user": "u",
}


@pytest.mark.parametrize(("where", "spoil"), SPOILED.values(), ids=list(SPOILED))
def test_what_is_lost_is_found(router: Router, where: str, spoil: Any) -> None:
    """The reading of what a request says would notice."""
    body, changes = sent(router, WRITTEN, 0)
    body, changes = json.loads(json.dumps(body)), [one for one in changes if one["parameter"] in ("include",)]
    assert losses(WRITTEN, body, changes) == []
    spoil(body)
    assert where in [one.partition(": ")[0] for one in losses(WRITTEN, body, changes)]
