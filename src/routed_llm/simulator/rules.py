"""What a model refuses: endpoint, parameters, tools with reasoning, caps, context. Rules are data."""

from __future__ import annotations

import functools
import json
from typing import Any

from routed_llm.simulator.checks import number
from routed_llm.simulator.failures import failure, listed
from routed_llm.simulator.frozen import load
from routed_llm.simulator.models import SimulatedModel, names
from routed_llm.simulator.models import model as model_of


def check_renamed(raw: Any) -> None:
    """Refuse a parameter that has another name for the model before its value is looked at.

    Recorded of gpt-5-nano with ``max_tokens=0``.
    """
    if not isinstance(raw, dict) or raw.get("model") not in names():
        return
    for rule in _rules(model_of(raw["model"]), "chat"):
        if rule["kind"] == "use" and raw.get(rule["param"]) is not None:
            raise failure("unsupported_parameter_use", param=rule["param"], instead=rule["instead"])


def check_endpoint(model: SimulatedModel, asked: str, endpoint: str) -> None:
    """Refuse a model on an endpoint that does not serve it."""
    if endpoint in model.endpoints:
        return
    if endpoint == "chat":
        raise failure(model.chat_refusal)
    raise failure("not_in_responses", model=asked)


def effort_in_force(model: SimulatedModel, given: str | None) -> str:
    """Return the reasoning effort that the model will use."""
    if not model.reasons:
        return "none"
    return given or model.default_effort


def check_effort(model: SimulatedModel, asked: str, endpoint: str, given: str | None) -> None:
    """Refuse an effort that does not exist or that the model does not offer on this endpoint."""
    param = "reasoning_effort" if endpoint == "chat" else "reasoning.effort"
    data = load("parameters")
    if given is None:
        return
    if given not in data["efforts"]["known"]:
        raise failure("invalid_value", param=param, value=given, supported=listed(data["efforts"]["known"]))
    if not model.reasons:
        return  # the parameter itself is refused by its own rule
    refused = data["chat_only_efforts"]["refused"] if endpoint == "chat" else ()
    offered = [effort for effort in model.efforts if effort not in refused]
    if given in offered:
        return
    name = "unsupported_value" if endpoint == "chat" else "unsupported_effort_responses"
    raise failure(name, param=param, value=given, model=asked, supported=listed(offered))


def check_parameters(
    model: SimulatedModel, endpoint: str, body: dict[str, Any], raw: dict[str, Any], effort: str
) -> None:
    """Refuse the first parameter that the model does not take.

    `body` is the request without nulls, `raw` the request as it came, for the rules to which null is a value;
    `effort` is the one in force.
    """
    search = load("parameters")["search"]
    if model.family in search["families"]:
        extra = sorted(param for param in body if param not in search["allowed"])
        if extra:
            raise failure(
                "search_parameters" if len(extra) > 1 else "search_parameter", param=", ".join(extra)
            )
    for rule in _rules(model, endpoint):
        for param in rule.get("params") or [rule["param"]]:
            source = raw if rule.get("null_counts") else body
            found, value = _lookup(source, param)
            if rule.get("unless") in body:
                continue
            if found and not (param in ("logprobs", "top_logprobs") and not value):
                _apply(rule, param, value, effort)
    _check_prediction(body)


def check_breakpoint(model: SimulatedModel, block: dict[str, Any], where: str) -> None:
    """Refuse a block's mark for the prompt cache on a model that takes none."""
    if block.get("prompt_cache_breakpoint") is None:
        return
    if model.family in load("parameters")["cache_breakpoint"]["families"]:
        raise failure("cache_breakpoint", where=where)


def uses_cache(body: dict[str, Any]) -> bool:
    """Say whether a request uses the prompt cache: not in explicit mode without a breakpoint.

    openai-python 3.54.0, PromptCacheOptions.mode: "If there are no explicit breakpoints, the request does not
    use prompt caching."
    """
    options = body.get("prompt_cache_options")
    if not isinstance(options, dict) or options.get("mode") != "explicit":
        return True
    return '"prompt_cache_breakpoint": {' in json.dumps(body)


def check_tools(model: SimulatedModel, asked: str, tools: bool, effort: str, given: str | None) -> None:
    """Refuse function tools with reasoning on Chat Completions, model by model."""
    data = load("parameters")
    rule = data["tools_on_chat_models"].get(model.name) or data["tools_on_chat"].get(model.family)
    if not tools or rule is None:
        return
    refused = effort != "none" if rule["refused"] == "effort_given" else given != "none"
    if refused:
        raise failure(rule["error"], model=asked)


def check_cap(model: SimulatedModel, endpoint: str, cap: int | None) -> None:
    """Refuse a cap above the model's most output tokens."""
    if cap is None or cap <= model.max_output:
        return
    if endpoint == "chat":
        raise failure("output_cap", param="max_tokens", value=cap, maximum=model.max_output)
    raise failure("output_cap_responses", value=cap, maximum=model.max_output)


def check_context(model: SimulatedModel, endpoint: str, tokens: int, cap: int | None) -> None:
    """Refuse a prompt that is over the input limit, or over the window together with the cap."""
    over_input = tokens > model.max_input
    over_window = tokens + (cap or 0) > model.window
    if not over_input and not over_window:
        return
    if endpoint == "responses":
        raise failure("context_responses")
    if not over_input and cap is not None:
        raise failure("context_with_output", window=model.window, total=tokens + cap, tokens=tokens, cap=cap)
    if model.shared_window:
        raise failure("context_shared", window=model.window, tokens=tokens)
    raise failure("context_input_limit", limit=model.max_input, tokens=tokens)


@functools.cache
def _family_rules(family: str, endpoint: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        rule
        for rule in load("parameters")["rule"]
        if family in rule["families"] and rule["endpoint"] in (endpoint, "both")
    )


def _rules(model: SimulatedModel, endpoint: str) -> list[dict[str, Any]]:
    rows = _family_rules(model.family, endpoint)
    return [
        rule
        for rule in rows
        if model.name not in rule.get("except_models", ())
        and model.name in rule.get("only_models", (model.name,))
    ]


def _lookup(body: dict[str, Any], param: str) -> tuple[bool, Any]:
    value: Any = body
    for key in param.split("."):
        if not isinstance(value, dict) or key not in value:
            return False, None
        value = value[key]
    nested_null = "." in param and value is None
    return not nested_null, value


def _apply(rule: dict[str, Any], param: str, value: Any, effort: str) -> None:
    kind = rule["kind"]
    if kind == "with_effort_none":
        if effort == "none":
            return
        kind = rule["otherwise"]
    if "default" in rule and value == rule["default"]:
        return
    if kind == "only_values":
        if value not in rule["values"]:
            raise failure("unsupported_value", param=param, value=value, supported=listed(rule["values"]))
    elif kind == "only_default":
        raise failure(
            "unsupported_value_default", param=param, value=number(value), default=number(rule["default"])
        )
    elif kind == "without_items":
        if any(item in rule["items"] for item in value):
            raise failure(rule["error"])
    elif kind == "use":
        raise failure("unsupported_parameter_use", param=param, instead=rule["instead"])
    else:
        raise failure(rule.get("error", "unsupported_parameter"), param=param)


def _check_prediction(body: dict[str, Any]) -> None:
    if "prediction" not in body:
        return
    for param in load("parameters")["prediction"]["excluded"]:
        value = body.get(param)
        if value and not (param == "n" and value == 1):
            raise failure("prediction_with", param=param)
