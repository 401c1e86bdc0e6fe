"""Hypothesis strategies for facts, bounds and policies."""

from __future__ import annotations

import os
from typing import Any

from core_requests import chat_models
from core_support import AFTER, CATALOG, REVIEW, TODAY, facts
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from routed_llm import Policy, Previous, RequestFacts
from routed_llm.policy import DIMENSIONS_BY_TASK, EFFORTS

EXAMPLES = settings(
    max_examples=int(os.environ.get("ROUTED_TEST_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Settings of every property here; set the variable to more for a longer search."""

DAYS = st.sampled_from([REVIEW, TODAY, AFTER])

EDGES = sorted(
    {
        edge + shift
        for model in CATALOG
        for edge in (
            model.limits.max_input,
            model.limits.context_window - 4_096,
            model.limits.context_window - 16_384,
            64_000,
            272_000,
            1_024,
        )
        for shift in (-3, -1, 0, 1, 3)
        if edge > 0
    }
)

_POLICY: dict[str, list[Any]] = {
    "at_least": [None, None, "baseline", "gpt-4.1-mini", "gpt-5.4"],
    "baseline": ["gpt-4.1", "gpt-4o-mini", "gpt-5.1"],
    "models": ["*", "gpt-*", "gpt-4.1*", ["gpt-4*", "gpt-5*"], ["gpt-5.6*"]],
    "also": ["gpt-5.6-*"],
    "exclude": ["gpt-5.6-*", "gpt-4o*"],
    "optimize": ["quality", "latency"],
    "evidence": ["measured"],
    "incumbent": ["gpt-4o", "gpt-5.4"],
    "max_cost_per_call": ["0.05", "0.01", "0.0005"],
    "cost_cap": ["hard"],
    "min_recall": [40, 70],
    "task": ["coding", "long_context", "tool_use", "summary"],
    "effort": ["low", "high", "max"],
    "output_tokens": [5_000, 20],
    "on_unsupported": ["avoid", "raise"],
    "grace": [0, 90],
    "max_first_token": [1.0, 3.0],
    "max_seconds": [2.0, 20.0],
    "deadline": [1.5, 30.0],
    "slower_than_baseline": [None, 1.0],
    "second_worth": ["0.0001", "0.01"],
    "service_tier": ["priority", "flex"],
    "store": [False],
    "prefer_tier": ["flex"],
    "regional": [True],
    "switch_saving": [0.3, 1.0],
    "horizon": [0, 20],
    "endpoints": ["chat_completions", "responses"],
}
"""Values of each keyword that are not its default."""


@st.composite
def policies(draw: Any) -> Policy:
    """Draw a policy with up to four keywords that are not its defaults."""
    names = draw(st.lists(st.sampled_from([*_POLICY]), max_size=4, unique=True))
    given = {name: draw(st.sampled_from(_POLICY[name])) for name in names}
    if "cost_cap" in given:
        given.setdefault("max_cost_per_call", "0.01")  # a hard cap needs an amount
    return Policy(**given)


POLICIES = policies()

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)

PARAMETERS = st.dictionaries(
    st.sampled_from(
        [
            "temperature",
            "top_p",
            "stop",
            "n",
            "seed",
            "logprobs",
            "logit_bias",
            "verbosity",
            "user",
            "metadata",
            "prediction",
            "store",
            "presence_penalty",
            "reasoning",
            "include",
            "prompt_cache_key",
            "nobody_knows_this",
        ]
    ),
    st.sampled_from([0, 1, 0.7, "x", ["a", "b"], ["1", "2", "3", "4", "5"], {}, {"k": [1]}, True, "24h"])
    | _JSON,
    max_size=3,
)


@st.composite
def previous(draw: Any) -> Previous:
    """Draw who answered the turn before."""
    return Previous(
        model=draw(st.sampled_from(["gpt-4o", "gpt-5.6-luna", "gpt-5.4", "gpt-4.1", "gpt-6-luna"])),
        effort=draw(st.sampled_from([None, "none", "low"])),
        endpoint=draw(st.sampled_from([None, "chat_completions", "responses"])),
        prefix_tokens=draw(st.sampled_from([0, 500, 1_023, 1_024, 5_000, 100_000, 300_000])),
        age=draw(st.sampled_from([None, 10.0, 4_000.0])),
        in_tool_loop=draw(st.booleans()),
    )


@st.composite
def plain_facts(draw: Any, *, exact: bool = True) -> RequestFacts:
    """Draw facts of text requests: counts, cap, tools, parameters, effort, task."""
    given: dict[str, Any] = {}
    if draw(st.booleans()):
        given["cap"] = draw(st.sampled_from([1, 15, 16, 100, 4_096, 16_384, 16_385, 32_768, 128_000, 10**7]))
        given["cap_name"] = draw(
            st.sampled_from(["max_tokens", "max_completion_tokens", "max_output_tokens"])
        )
    if draw(st.booleans()):
        given["tools"] = draw(st.integers(1, 9))
        given["tool_choice"] = draw(st.sampled_from([None, "auto", "named"]))
    if draw(st.integers(0, 3)) == 0:
        given["parameters"] = draw(PARAMETERS)
    if draw(st.integers(0, 5)) == 0:
        given["structured"] = draw(st.sampled_from(["json_schema", "json_object"]))
    if draw(st.integers(0, 5)) == 0:
        given["task"] = draw(st.sampled_from(sorted(DIMENSIONS_BY_TASK)))
    if draw(st.integers(0, 5)) == 0:
        given["effort"] = draw(st.sampled_from(EFFORTS))
    if draw(st.integers(0, 5)) == 0:
        given["service_tier"] = draw(st.sampled_from(["flex", "priority", "batch"]))
    if draw(st.integers(0, 9)) == 0:
        given["stream"] = True
    point = draw(st.sampled_from(EDGES) | st.integers(1, 1_100_000))
    if exact:
        return facts(point, **given)
    other = draw(st.sampled_from(EDGES) | st.integers(0, 3).map(lambda d: point + d))
    return facts((min(point, other), max(point, other)), **given)


@st.composite
def any_facts(draw: Any, *, exact: bool = True) -> RequestFacts:  # noqa: C901 - one line a kind of thing
    """Draw facts of every kind of request."""
    base = draw(plain_facts(exact=exact))
    given: dict[str, Any] = {}
    kinds = {"text"}
    if draw(st.integers(0, 2)) == 0:
        sides = st.none() | st.integers(1, 9_000)
        details = st.sampled_from(["auto", "low", "high", "original"])
        given["images"] = [
            (draw(sides), draw(st.integers(1, 9_000)), draw(details)) for _ in range(draw(st.integers(1, 3)))
        ]
        kinds.add("image")
    if draw(st.integers(0, 5)) == 0:
        given["audio_seconds"] = draw(st.sampled_from([0.1, 30.0, 3_600.0]))
    if draw(st.integers(0, 5)) == 0:
        given["pdf_pages"] = draw(st.integers(1, 300))
    if draw(st.integers(0, 5)) == 0:
        given["previous"] = draw(previous())
    if draw(st.integers(0, 5)) == 0:
        given["model"] = draw(st.sampled_from([*chat_models(), "gpt-4o-2024-08-06", "ft:gpt-4o:o::1"]))
    if draw(st.integers(0, 9)) == 0:
        given["outputs"] = ["text", "audio"]
    if draw(st.integers(0, 9)) == 0:
        given["inputs"] = [draw(st.sampled_from(["file", "video", "pdf", "image"]))]
    if draw(st.integers(0, 9)) == 0:
        given["tool_inputs"] = ["image"]
        given["inputs"] = ["image"]
    if draw(st.integers(0, 9)) == 0:
        given["builtin_tools"] = [draw(st.sampled_from(["web_search", "web_search_options", "unheard_of"]))]
    if draw(st.integers(0, 9)) == 0:
        given["endpoint"] = draw(st.sampled_from(["chat_completions", "responses"]))
    if draw(st.integers(0, 9)) == 0:
        given["locked_to"] = "gpt-5.4"
    kept = {
        name: getattr(base, name)
        for name in [
            "cap",
            "cap_name",
            "tools",
            "tool_choice",
            "structured",
            "task",
            "effort",
            "service_tier",
            "stream",
        ]
    }
    made = facts(0, parameters=dict(base.parameters), **kept, **given)
    return made.with_tokens(base.tokens)
