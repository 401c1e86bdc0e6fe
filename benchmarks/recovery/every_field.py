"""Requests with every field that Chat Completions has, of which each says something that a provider takes.

:func:`widen` adds to a generated conversation what the plain one lacks: speakers, parts, refusals, custom
tools, choices among tools, marks for the cache, places for a search and so on.
"""

from __future__ import annotations

from random import Random
from typing import Any

__all__ = ["widen"]

MARK = {"mode": "explicit"}
SPEAKERS = ("Ann", "Bob", "planner")
GRAMMAR = {"type": "grammar", "grammar": {"definition": "start: /[a-z]+/", "syntax": "lark"}}
FORMATS: tuple[dict[str, Any], ...] = (
    {},
    {"format": {"type": "text"}},
    {"format": GRAMMAR},
    {"format": {"type": "grammar", "grammar": {"definition": "[a-z]+", "syntax": "regex"}}},
)
SOURCE = {"start_index": 0, "end_index": 1, "title": "A page", "url": "https://example.com/"}
CITED = [{"type": "url_citation", "url_citation": SOURCE}]
NEAR = {"city": "Lima", "country": "PE", "region": "Lima", "timezone": "America/Lima"}
SEARCHES: tuple[dict[str, Any], ...] = (
    {},
    {"search_context_size": "high"},
    {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": NEAR}},
)
MODERATED = {
    "model": "omni-moderation-latest",
    "policy": {"input": {"mode": "score"}, "output": {"mode": "score"}},
}
MORE: dict[str, tuple[Any, ...]] = {
    "prompt_cache_options": ({"mode": "explicit", "ttl": "30m"}, {"mode": "implicit"}, {"ttl": "30m"}),
    "moderation": (MODERATED, {"model": "omni-moderation-latest"}),
    "modalities": (["text"],),
}
OLD = [{"name": "old", "description": "An older form.", "parameters": {"type": "object", "properties": {}}}]
OF_RESPONSES: dict[str, Any] = {
    "instructions": "Answer briefly.",
    "truncation": "auto",
    "max_tool_calls": 3,
    "include": ["file_search_call.results"],
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"verbosity": "low"},
}
ONLY_CHAT = ("n", "logit_bias", "prediction", "functions", "function_call", "audio")
"""What no form on Responses has."""


def widen(
    random: Random,
    messages: list[dict[str, Any]],
    parameters: dict[str, Any],
    *,
    stream: bool,
    stays: bool = True,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return a conversation and parameters with more fields set.

    Args:
        random: where the choices come from.
        messages: a conversation; not changed.
        parameters: the rest of its request; not changed.
        stream: whether the answer is streamed.
        stays: whether there may be fields that only Chat Completions has.
    """
    parameters = dict(parameters)
    customs = _tools(random, parameters) if random.random() < 0.6 else []
    turns = [_widened(random, message) for message in messages]
    last = turns[-1]
    if isinstance(last["content"], list) and last["role"] == "user" and random.random() < 0.05:
        last["content"] = [*last["content"], {"type": "file", "file": {"file_id": "file-1"}}]
    if random.random() < 0.4 and last["role"] == "user":
        turns = [*_called(random, customs), *turns]
    _more(random, parameters, stream=stream)
    if stays:
        _elsewhere(random, parameters)
    else:
        parameters = {name: value for name, value in parameters.items() if name not in ONLY_CHAT}
    return turns, parameters


def _more(random: Random, parameters: dict[str, Any], *, stream: bool) -> None:
    for name in random.sample(sorted(MORE), k=random.choice((0, 0, 1, 2))):
        parameters[name] = random.choice(MORE[name])
    if stream and random.random() < 0.3:
        parameters["stream_options"] = {
            "include_usage": random.random() < 0.5,
            **({"include_obfuscation": random.random() < 0.5} if random.random() < 0.7 else {}),
        }
    if random.random() < 0.06:
        parameters["web_search_options"] = random.choice(SEARCHES)
    form = parameters.get("response_format", {})
    if form.get("type") == "json_schema" and random.random() < 0.5:
        named = {**form["json_schema"], "description": "What was found."}
        parameters["response_format"] = {**form, "json_schema": named}


def _elsewhere(random: Random, parameters: dict[str, Any]) -> None:
    """Add what only one endpoint has."""
    if not parameters.get("tools") and random.random() < 0.03:
        parameters["functions"] = OLD
        if random.random() < 0.5:
            parameters["function_call"] = random.choice(("auto", "none", {"name": "old"}))
    if random.random() < 0.08:
        name = random.choice(sorted(OF_RESPONSES))
        parameters.setdefault(name, OF_RESPONSES[name])


def _tools(random: Random, parameters: dict[str, Any]) -> list[str]:
    """Make tools stricter or looser and add custom ones; return the names of these."""
    tools = [_stricter(random, tool) for tool in parameters.get("tools", ())]
    customs = [f"custom_{at}" for at in range(random.choice((0, 0, 1, 2)))]
    for name in customs:
        about = {"description": "Takes a text."} if random.random() < 0.7 else {}
        tools.append({"type": "custom", "custom": {"name": name, **about, **random.choice(FORMATS)}})
    if not tools:
        return []
    parameters["tools"] = tools
    if random.random() < 0.4:
        named = [_reference(tool) for tool in tools]
        allowed = {"mode": random.choice(("auto", "required")), "tools": random.sample(named, k=1)}
        parameters["tool_choice"] = random.choice(
            (random.choice(named), {"type": "allowed_tools", "allowed_tools": allowed})
        )
    return customs


def _reference(tool: dict[str, Any]) -> dict[str, Any]:
    kind = tool["type"]
    return {"type": kind, kind: {"name": tool[kind]["name"]}}


def _stricter(random: Random, tool: dict[str, Any]) -> dict[str, Any]:
    about = dict(tool["function"])
    if random.random() < 0.2:
        about.pop("description", None)
    if random.random() < 0.1 and not about.get("strict"):
        about.pop("parameters", None)
    elif random.random() < 0.4 and "strict" not in about:
        properties = {k: v for k, v in about["parameters"]["properties"].items() if k != "where"}
        closed = {"additionalProperties": False, "required": list(properties)}
        about["parameters"] = {"type": "object", "properties": properties, **closed}
        about["strict"] = True
    elif random.random() < 0.3:
        about["strict"] = bool(about.get("strict", False))
    return {**tool, "function": about}


def _widened(random: Random, message: dict[str, Any]) -> dict[str, Any]:
    role, content = message["role"], message.get("content")
    wide = dict(message)
    if random.random() < 0.2:
        wide["name"] = random.choice(SPEAKERS)
    if isinstance(content, str) and content and random.random() < 0.3:
        halves = (content[: len(content) // 2], content[len(content) // 2 :])
        wide["content"] = [{"type": "text", "text": half} for half in halves if half.strip()] or content
    if role == "assistant":
        _assistant(random, wide)
    elif isinstance(wide["content"], list) and random.random() < 0.3:
        at = random.randrange(len(wide["content"]))
        if wide["content"][at]["type"] != "input_audio":
            marked = {**wide["content"][at], "prompt_cache_breakpoint": MARK}
            wide["content"] = [*wide["content"][:at], marked, *wide["content"][at + 1 :]]
    return wide


def _assistant(random: Random, wide: dict[str, Any]) -> None:
    drawn = random.random()
    if drawn < 0.1 and "tool_calls" not in wide:
        wide |= {"content": None, "refusal": "I cannot help with that."}
    elif drawn < 0.2 and isinstance(wide.get("content"), list) and "tool_calls" not in wide:
        wide["content"] = [{"type": "refusal", "refusal": "I would rather not."}]
    elif drawn < 0.3 and isinstance(wide.get("content"), str):
        wide["annotations"] = CITED


def _called(random: Random, customs: list[str]) -> list[dict[str, Any]]:
    """Make an earlier turn with calls, of custom tools too, whose ids may come again."""
    identity = random.choice(("call_0", "call_old"))
    found: list[dict[str, Any]] = []
    for _ in range(random.choice((1, 1, 2))):
        call: dict[str, Any] = {
            "type": "function",
            "function": {"name": "tool_0", "arguments": '{"p0": "x"}'},
        }
        if customs and random.random() < 0.6:
            call = {"type": "custom", "custom": {"name": customs[0], "input": "some text"}}
        output: dict[str, Any] = {"role": "tool", "tool_call_id": identity, "content": "done"}
        if random.random() < 0.3:
            output["name"] = call[call["type"]]["name"]
        if random.random() < 0.3:
            output["content"] = [{"type": "text", "text": "done"}, {"type": "text", "text": "and more"}]
        found += [
            {"role": "user", "content": "Do it."},
            {"role": "assistant", "content": None, "tool_calls": [{"id": identity, **call}]},
            output,
        ]
    return found
