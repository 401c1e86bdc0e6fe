"""What the report says of a site is what the routed class there would really do."""

from __future__ import annotations

import random
import warnings
from datetime import date
from typing import Any

import pytest
from langchain_core.tools import tool
from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM
from pydantic import BaseModel

from routed_llm import Catalog, Decision, Router
from routed_llm.migrate.asked import PROMPT
from routed_llm.migrate.effects import Effects
from routed_llm.migrate.found import Options, Site
from routed_llm.migrate.ids import shared
from routed_llm.migrate.rules.base import UNKNOWN
from routed_llm.migrate.scan import Scanner

EFFECTS = Effects(Options(at="2026-11-22"), Catalog.load())
MODELS = ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4o-2024-08-06"]
LANGCHAIN: dict[str, list[Any]] = {
    "temperature": [0, 0.2, 1, 1.5, None],
    "top_p": [0.5, 1, None],
    "n": [1, 2],
    "stop": [["\n"], ["a", "b"], "x", None],
    "stop_sequences": [["X"]],
    "seed": [1],
    "logprobs": [True, False],
    "top_logprobs": [3],
    "logit_bias": [{"50256": -100}],
    "frequency_penalty": [0.0, 0.5],
    "presence_penalty": [0.0, 0.5],
    "max_tokens": [1, 16, 256, 4096, 16384, 100_000],
    "max_completion_tokens": [500],
    "max_retries": [3],
    "timeout": [30],
    "streaming": [True, False],
    "stream_usage": [True],
    "reasoning_effort": ["low", "high"],
    "reasoning": [{"effort": "low"}],
    "service_tier": ["flex", "priority", "auto"],
    "verbosity": ["low"],
    "use_responses_api": [True, False],
    "output_version": ["responses/v1"],
    "store": [True, False],
    "model_kwargs": [{"top_p": 0.3}, {"response_format": {"type": "json_object"}}, {"stop": ["q"]}, {}],
    "extra_body": [{"a": 1}],
    "user": ["u"],
    "metadata": [{"a": "b"}],
    "include": [["x"]],
    "truncation": ["auto"],
    "tags": [["x"]],
}
LLAMA_INDEX: dict[str, list[Any]] = {
    "temperature": [0, 0.2, 1, 1.5],
    "max_tokens": [1, 16, 256, 4096, 16384, 100_000],
    "additional_kwargs": [
        {"top_p": 0.3},
        {"stop": ["q"]},
        {"response_format": {"type": "json_object"}},
        {"frequency_penalty": 0.4, "presence_penalty": 0.1},
        {"logprobs": True, "top_logprobs": 2},
        {"max_completion_tokens": 99},
        {"n": 2},
    ],
    "max_retries": [3],
    "timeout": [60.0],
    "reuse_client": [False],
    "strict": [True],
    "reasoning_effort": ["low", "high"],
    "modalities": [["text"]],
    "system_prompt": ["You are terse."],
    "context_window": [9000],
}
ALONE = [("max_tokens", "max_completion_tokens"), ("stop", "stop_sequences"), ("streaming", "n")]


@tool
def look_up() -> str:
    """Look something up."""
    return ""


class Answer(BaseModel):
    """A structured answer."""

    text: str


def drawn(table: dict[str, list[Any]], chance: random.Random) -> dict[str, Any]:
    """Return some keywords of a constructor."""
    names = chance.sample(list(table), chance.randint(0, 4))
    for first, second in ALONE:
        if first in names and second in names:
            names.remove(second)
    return {name: chance.choice(table[name]) for name in names}


def site(becomes: str, model: str, parameters: dict[str, Any], uses: tuple[str, ...] = ()) -> Site:
    """Return a site as the rules find it."""
    return Site(
        path="a.py",
        line=1,
        rule="RM001",
        name="x",
        becomes=becomes,
        model=model,
        parameters=parameters,
        uses=uses,
    )


def by_langchain(model: str, parameters: dict[str, Any], uses: tuple[str, ...], at: date) -> Decision:
    """Return what RoutedChatModel decides."""
    llm = RoutedChatModel(model=model, api_key="x", router=Router(clock=lambda: at), **parameters)
    call: dict[str, Any] = {"stream": True} if parameters.get("streaming") else {}
    if "tools" in uses:
        call |= llm.bind_tools([look_up]).kwargs
    if "structured" in uses:
        call |= llm.with_structured_output(Answer).first.kwargs
    if "stop" in uses:
        call["stop"] = ["\n"]
    return llm.explain(PROMPT, **call)


def by_llama_index(model: str, parameters: dict[str, Any], at: date) -> Decision:
    """Return what RoutedLLM decides."""
    llm = RoutedLLM(model=model, api_key="x", router=Router(clock=lambda: at), **parameters)
    return llm.explain([ChatMessage(PROMPT)])


def shown(effect: Any) -> Any:
    """Return what an effect says."""
    changes = sorted(
        (item["parameter"], item["action"], repr(item["after"])) for item in effect.get("changes", ())
    )
    return effect.get("model"), effect.get("effort"), effect.get("endpoint"), changes


def decided(decision: Decision) -> Any:
    """Return what a Decision says, in the same form."""
    if decision.chosen is None:
        return None, None, None, []
    made = [change.to_dict() for change in decision.changes]
    changes = sorted((item["parameter"], item["action"], repr(item["after"])) for item in made)
    return decision.model, decision.effort, decision.endpoint, changes


@pytest.mark.filterwarnings("ignore")
def test_generated_langchain_sites() -> None:
    """For 150 drawn constructors the report says what RoutedChatModel decides once the model has stopped."""
    chance = random.Random(11)
    for _ in range(150):
        model, parameters = chance.choice(MODELS), drawn(LANGCHAIN, chance)
        uses = tuple(use for use in ("tools", "structured", "stop") if chance.random() < 0.15)
        effect = EFFECTS(site("RoutedChatModel", model, parameters, uses))
        at = date.fromisoformat(effect["at"])
        assert shown(effect) == decided(by_langchain(model, parameters, uses, at)), (model, parameters, uses)


def test_generated_llama_index_sites() -> None:
    """For 60 drawn constructors the report says what RoutedLLM decides once the model has stopped."""
    chance = random.Random(12)
    for _ in range(60):
        model, parameters = chance.choice(MODELS), drawn(LLAMA_INDEX, chance)
        effect = EFFECTS(site("RoutedLLM", model, parameters))
        at = date.fromisoformat(effect["at"])
        assert shown(effect) == decided(by_llama_index(model, parameters, at)), (model, parameters)


LC = "from langchain_openai import ChatOpenAI\n"
LI = "from llama_index.llms.openai import OpenAI, OpenAIResponses\n"
TEXTS = [
    pytest.param(
        LC + "a = ChatOpenAI(model='gpt-4o', stop=['x'])", {"stop": "emulated"}, id="stop is cut here"
    ),
    pytest.param(
        LC + "a = ChatOpenAI(model='gpt-4o')\na.bind(stop=['x'])", {"stop": "emulated"}, id="bound stop"
    ),
    pytest.param(
        LC + "a = ChatOpenAI(model='gpt-4o', temperature=T)", {"temperature": "dropped"}, id="a variable"
    ),
    pytest.param(
        LI + "a = OpenAI(model='gpt-4o')", {"temperature": "dropped"}, id="LlamaIndex's own temperature"
    ),
    pytest.param(LI + "a = OpenAI('gpt-4o', 0.3)", {"temperature": "dropped"}, id="by position"),
    pytest.param(
        LI + "a = OpenAIResponses('gpt-4o', max_output_tokens=1)",
        {"max_tokens": "renamed"},
        id="Responses' cap",
    ),
    pytest.param(
        LC + "class A(ChatOpenAI):\n    model: str = 'gpt-4o'\n    temperature: float = 0.1\n",
        {"temperature": "dropped"},
        id="fields of a subclass",
    ),
    pytest.param(LC + "a = ChatOpenAI(model='gpt-4o', logprobs=True)", {}, id="a model that takes it"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_sites_of_programs(text: str, expected: dict[str, str]) -> None:
    """What changes at a site, besides an effort that is added and a cap's other name."""
    found = Scanner(shared(None), Options(at="2026-11-22")).scan_bytes((text + "\n").encode(), "app.py")
    assert found is not None
    (place,) = found.sites
    assert place.blocked is None
    assert place.effect is not None
    changes = {item["parameter"]: item["action"] for item in place.effect["changes"]}
    changes.pop("reasoning_effort", None)
    assert changes == expected


def test_unknown_values_stand_for_typical_ones() -> None:
    """A keyword that is no literal is judged by a typical value; one that has none is left out."""
    effect = EFFECTS(site("RoutedChatModel", "gpt-4o", {"temperature": UNKNOWN, "service_tier": UNKNOWN}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same = by_langchain("gpt-4o", {"temperature": 0.7}, (), date.fromisoformat(effect["at"]))
    assert shown(effect) == decided(same)
