# ruff: noqa: E501  tables of cases are read by the row
"""The frozen data against what others publish, and against itself."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses import input_token_count_params
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from openai.types.shared import chat_model

from routed_llm.simulator.frozen import load
from routed_llm.simulator.models import model, names


@pytest.mark.parametrize(
    ("endpoint", "type_"),
    [
        ("chat", CompletionCreateParamsBase),
        ("responses", ResponseCreateParamsBase),
        ("input_tokens", input_token_count_params.InputTokenCountParams),
    ],
)
def test_fields_are_the_sdks(endpoint: str, type_: Any) -> None:
    """The fields an endpoint knows are those of the SDK's request type, and `stream`."""
    assert set(type_.__annotations__) <= set(load("fields")[endpoint])
    newer = {"access_programs", "background_options", "image"}  # in openai 3.54, not in 2.54
    recorded = {"client_metadata"}  # Codex sends it, and is answered
    assert set(load("fields")[endpoint]) - set(type_.__annotations__) <= {"stream", *newer, *recorded}


def test_every_rule_and_error_has_a_source() -> None:
    """No rule and no text without the place it comes from, or the word that there is none."""
    for rule in load("parameters")["rule"]:
        assert rule["source"], rule
    for name, row in load("errors").items():
        assert row["source"], name
    for name, row in load("models")["models"].items():
        assert row["limits_source"], name
        assert row["prices_source"], name
        assert "shutdown" not in row or row["shutdown_source"], name


def test_families_of_rules_exist() -> None:
    """A rule names only families that some model has."""
    families = {row["family"] for row in load("models")["models"].values()}
    for rule in load("parameters")["rule"]:
        assert set(rule["families"]) <= families, rule


def test_models_are_whole() -> None:
    """Limits fit into the window, prices have input and output, image rules exist."""
    rules = load("tokens")["images"]["rules"]
    for name in names():
        found = model(name)
        assert 0 < found.max_input <= found.window, name
        assert 0 < found.max_output <= found.window, name
        assert found.image_rule is None or found.image_rule in rules, name
        assert not found.efforts or found.default_effort in found.efforts, name
        assert {"input", "output"} <= found.prices["standard"]["short"].keys(), name


def test_long_context_multiples() -> None:
    """Where there are long rates they are twice the input's and one and a half times the output's."""
    for name in load("models")["models"]:
        for sizes in model(name).prices.values():
            if "long" in sizes:
                assert sizes["long"]["input"] == 2 * sizes["short"]["input"], name
                assert sizes["long"]["output"] * 2 == 3 * sizes["short"]["output"], name


# Each difference with the reason why the simulator is right.
KNOWN_DIFFERENCES = {
    "gpt-5.4": "langchain-openai publishes the window as max input; OpenAI's page leaves 922,000 beside 128,000 out",
    "gpt-5.4-mini": "the same: 272,000 of 400,000",
    "gpt-5.4-nano": "the same: 272,000 of 400,000, printed on the nano page",
    "gpt-5.4-pro": "the same: 922,000 of 1,050,000",
    "gpt-5.5": "the same: 922,000 of 1,050,000",
    "gpt-5.5-pro": "the same: 922,000 of 1,050,000",
    "gpt-5.6-sol": "the page prints 'Maximum input tokens: 922,000'",
    "gpt-5.6-terra": "the page prints 'Maximum input tokens: 922,000'",
    "gpt-5.6-luna": "the page prints 'Maximum input tokens: 922,000'",
    "gpt-6-astra": "the page prints 'Maximum input tokens: 922,000'",
    "gpt-6-sol": "the page prints 'Maximum input tokens: 922,000'",
    "gpt-6-luna": "the page prints 'Maximum input tokens: 922,000'",
    "gpt-6.1-sol": "litellm: 922,000",
    "gpt-6.1-terra": "litellm: 922,000",
    "gpt-5.3-codex": "the same: 272,000 of 400,000",
}


def test_limits_against_langchain_profiles() -> None:
    """Limits agree with langchain-openai's profiles, except where this says why not."""
    profiles = pytest.importorskip("langchain_openai.data._profiles")._PROFILES
    different = set()
    for name, row in load("models")["models"].items():
        profile = profiles.get(name)
        if not profile or row["family"] == "retired":
            continue
        if profile.get("max_output_tokens"):
            assert profile["max_output_tokens"] == row["max_output"], name
        if profile.get("max_input_tokens") != row["max_input"]:
            different.add(name)
    assert different <= KNOWN_DIFFERENCES.keys(), different - KNOWN_DIFFERENCES.keys()


def test_every_chat_model_of_the_sdk_is_known_or_gone() -> None:
    """The ids in the SDK's ChatModel that nothing is known of are all of families that were shut down."""
    import typing

    listed = set(typing.get_args(chat_model.ChatModel))
    gone = {name for row in load("models")["retired"] for name in row["ids"]}
    left = set(listed - names().keys() - gone)
    dead = ("gpt-4", "gpt-3.5", "o1", "o3", "o4", "gpt-5.1-mini", "codex-mini", "gpt-4o-audio", "gpt-4o-mini-audio",
            "gpt-4o-search", "gpt-4o-mini-search", "gpt-5-chat")  # fmt: skip
    assert {name for name in left if not name.startswith(dead)} == set()
