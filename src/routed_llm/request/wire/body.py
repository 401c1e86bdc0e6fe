"""From what was asked, in either endpoint's form, and a Decision to the body that is sent. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from routed_llm.fields import CAPS, CHAT, RESPONSES, is_default, rules_out
from routed_llm.parameters import ENCRYPTED, INCLUDED
from routed_llm.request.wire.carry import CHAT_COMPLETIONS, ON_RESPONSES, Carrier, objects
from routed_llm.request.wire.turns import (
    ITEMS,
    MARK,
    Replay,
    chat_messages,
    response_items,
    same_model,
    tidied,
    understood,
    unmarked,
)

if TYPE_CHECKING:
    from routed_llm.decision import Call, Decision

__all__ = ["OPTIONS", "count_body", "form_of", "overlaid", "parameters", "request_body", "translated"]

OPTIONS: Final = frozenset({"extra_headers", "extra_query", "timeout"})
"""Keywords of the SDK that steer the transport and are no part of a body."""

_DECIDED: Final = frozenset({*CAPS, "model", "reasoning_effort", "stream", "stream_options", "include"})
_FIELDS: Final = (CHAT["body"].keys() | RESPONSES["body"].keys()) - {"messages", "input", "stream"}
_LOGPROBS: Final = "message.output_text.logprobs"
_REFUSED_BY_SOME: Final = frozenset({"modalities"})
"""Parameters that models without them refuse at their default, too."""
_NESTED: Final = ("function", "custom")

_COUNTED: Final = frozenset({
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
})  # fmt: skip
"""What ``POST /v1/responses/input_tokens`` takes (openai-python 2.54, InputTokenCountParams)."""


def form_of(asked: Mapping[str, Any]) -> str:
    """Say which endpoint's form a request has: ``chat_completions`` or ``responses``."""
    if "messages" in asked:
        return CHAT_COMPLETIONS
    return ON_RESPONSES if not {"input", "prompt", "conversation"}.isdisjoint(asked) else CHAT_COMPLETIONS


def parameters(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field of a body: ``extra_body`` is read as the fields that it adds, None as not given."""
    values = {name: value for name, value in asked.items() if name not in OPTIONS and name != "extra_body"}
    values.update(asked.get("extra_body") or {})
    return {name: value for name, value in values.items() if value is not None}


def overlaid(own: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the parameters of one call over a model's own: they win, whatever name they use.

    ``extra_body`` is read as what it is, fields of the body, which win; what no endpoint is known to have
    stays in it. What asks for nothing where it stands is refused for it, and left out.
    """
    merged = dict(own)
    if call:
        if any(name in call for name in CAPS):
            for name in CAPS:
                merged.pop(name, None)
        reasoning = call.get("reasoning")
        effort = reasoning.get("effort") if isinstance(reasoning, Mapping) else None
        if (effort or call.get("reasoning_effort")) is not None:
            merged.pop("reasoning_effort", None)
            if isinstance(merged.get("reasoning"), Mapping):
                merged["reasoning"] = {k: v for k, v in merged["reasoning"].items() if k != "effort"}
        merged.update(call)
    extra = merged.get("extra_body")
    if isinstance(extra, Mapping) and not _FIELDS.isdisjoint(extra):
        fields = {name: value for name, value in extra.items() if name in _FIELDS}
        rest = {name: value for name, value in extra.items() if name not in _FIELDS}
        return overlaid({**merged, "extra_body": rest or None}, fields)
    if not merged.get("tools", True):
        del merged["tools"]  # agents without tools give an empty list
    _drop_idle_choice(merged)
    return {name: value for name, value in merged.items() if value is not None}


def _drop_idle_choice(body: dict[str, Any]) -> None:
    """Leave out how to choose among no tools, which Chat Completions refuses; a stored prompt has its own."""
    if body.get("tool_choice") in ("auto", "none") and not any(
        map(body.get, ("tools", "functions", "prompt"))
    ):
        del body["tool_choice"]


def request_body(
    asked: Mapping[str, Any],
    decision: Decision,
    *,
    own: Callable[[str], bool] | None = None,
    defaults: str | None = None,
    encrypted: bool = False,
    stream_usage: bool = True,
    left_out: dict[str, Any] | None = None,
    takes: Callable[[Mapping[str, Any]], bool] | None = None,
) -> dict[str, Any]:
    """Return the body to send for a decided call.

    A request that moves from Chat Completions to Responses keeps the defaults of the endpoint it was written
    for: tools and schemas without ``strict`` stay lenient, and what was not stored is not stored. Then a
    model's reasoning travels with the conversation, encrypted.

    Args:
        asked: what was asked, in the form of either endpoint (``messages`` or ``input``); not changed.
        decision: a Decision that chose.
        own: says of a model's name, as an earlier answer gave it, whether it is the one that is called.
        defaults: whose defaults hold for what is left out; when None, those of the endpoint of that form.
        encrypted: whether the chosen model gives and takes encrypted reasoning.
        stream_usage: whether a stream is asked for its usage, without which its cost is not known.
        left_out: takes what the endpoint has no form for and is a matter of taste, by its place.
        takes: says of an item of reasoning, or a reference to one, whether the chosen model takes it up.

    Raises:
        RequestError: when something has no form on the endpoint; then the Decision did not know of it.
    """
    call = decision.call
    if call is None:
        raise AssertionError("a decision without a choice is raised before anything is sent")
    values = parameters(asked)
    form = form_of(values)
    sent = _surviving(values, call)
    if MARK in call.dropped:
        sent.update({name: unmarked(sent[name]) for name in ("messages", "input") if name in sent})
    if form != call.endpoint:
        lenient = (defaults or form) == CHAT_COMPLETIONS
        own = own or partial(same_model, call.model)
        replay = Replay(own=own, stateless=call.stateless, stored=bool(sent.get("store", not lenient)))
        sent = translated(sent, call.endpoint, replay=replay, lenient=lenient, left_out=left_out)
    elif form == CHAT_COMPLETIONS:
        sent = _as_chat(sent)
    else:
        sent = _as_responses(sent, stateless=call.stateless, takes=takes)
    _drop_idle_choice(sent)
    sent["model"] = call.model
    _set_effort(sent, call.effort, call.endpoint)
    if call.cap is not None:
        sent[_cap_name(decision) if call.endpoint == CHAT_COMPLETIONS else "max_output_tokens"] = call.cap
    _ask_for_reasoning(sent, encrypted=encrypted and ENCRYPTED not in call.dropped, endpoint=call.endpoint)
    if call.stream:
        sent.update(_streamed(values.get("stream_options") or {}, call.endpoint, stream_usage=stream_usage))
    return sent


def _surviving(values: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Return the fields that the decision lets through, and those that it has added."""
    sent = {
        name: value
        for name, value in values.items()
        if name not in _DECIDED and name not in call.dropped and not _lost(name, value, call.endpoint)
    }
    if "verbosity" in call.dropped and isinstance(sent.get("text"), Mapping):
        sent["text"] = {key: item for key, item in sent["text"].items() if key != "verbosity"}
        if not sent["text"]:
            del sent["text"]
    derived = (*INCLUDED, "verbosity", "reasoning")
    added = {
        name: value
        for name, value in call.parameters.items()
        if name in ("include", "store") or (name not in values and name not in derived)
    }
    return {**sent, **added}


def _streamed(options: Mapping[str, Any], endpoint: str, *, stream_usage: bool) -> dict[str, Any]:
    if endpoint == ON_RESPONSES:  # which always reports the usage
        options = {name: value for name, value in options.items() if name != "include_usage"}
    elif stream_usage:
        options = {"include_usage": True, **options}
    return {"stream": True, "stream_options": dict(options)} if options else {"stream": True}


def count_body(asked: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the body for OpenAI's counting endpoint: the request as Responses would take it."""
    values = parameters(asked)
    if form_of(values) == CHAT_COMPLETIONS:
        effort = values.pop("reasoning_effort", None)
        kept = {
            name: value
            for name, value in values.items()
            if name in CHAT["body"] and name not in _DECIDED and not rules_out(name, value, ON_RESPONSES)
        }
        replay = Replay(own=partial(same_model, model))
        values = translated(kept, ON_RESPONSES, replay=replay, lenient=True)
        _set_effort(values, effort, ON_RESPONSES)
    return {**{name: value for name, value in values.items() if name in _COUNTED}, "model": model}


def _lost(name: str, value: Any, endpoint: str) -> bool:
    """Say whether a value asks for what happens anyway, by a name that is not known there."""
    unknown = name in CHAT["body"] if endpoint == ON_RESPONSES else name in _REFUSED_BY_SOME
    return unknown and is_default(name, value)


def translated(
    values: Mapping[str, Any],
    endpoint: str,
    *,
    replay: Replay,
    lenient: bool = True,
    left_out: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a body's fields in the other endpoint's form.

    Args:
        values: the fields, in the form of the endpoint that will not serve the call.
        endpoint: the one that will.
        replay: what of earlier answers may be sent back.
        lenient: whether Chat Completions' defaults hold for what is left out: not strict, not stored.
        left_out: takes what is lost that is a matter of taste, by its place.

    Raises:
        RequestError: when something has no form there.
    """
    carrier = Carrier(endpoint, {} if left_out is None else left_out)
    sent = carrier.carry("body", values, "")
    if endpoint == ON_RESPONSES:
        return {**sent, **_for_responses(values, carrier, replay, lenient=lenient)}
    return {**sent, **_for_chat(values, carrier)}


# ----- Chat Completions to Responses


def _for_responses(
    values: Mapping[str, Any], carrier: Carrier, replay: Replay, *, lenient: bool
) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    if "messages" in values:
        sent["input"] = response_items(values["messages"], carrier, replay)
    text = _text(values, carrier, lenient=lenient)
    if text:
        sent["text"] = text
    tools = [
        _flat_tool(tool, f"tools[{index}]", carrier, lenient=lenient)
        for index, tool in enumerate(objects(values.get("tools") or (), "tools"))
    ]
    if "web_search_options" in values:
        tools.append(_web_search(values["web_search_options"], carrier))
    if tools:
        sent["tools"] = tools
    if "tool_choice" in values:
        sent["tool_choice"] = _flat_choice(values["tool_choice"], carrier)
    if values.get("logprobs") or (lenient and values.get("top_logprobs")):
        # Without the first, Chat Completions refuses the second and Responses would keep it to itself.
        sent["include"] = list(dict.fromkeys([*(values.get("include") or ()), _LOGPROBS]))
    if "store" in values or lenient:
        sent["store"] = bool(values.get("store"))
    return sent


def _text(values: Mapping[str, Any], carrier: Carrier, *, lenient: bool) -> dict[str, Any]:
    text = dict(values.get("text") or {})
    if "response_format" in values:
        text["format"] = _flat_format(values["response_format"], carrier, lenient=lenient)
    if "verbosity" in values:
        text["verbosity"] = values["verbosity"]
    return text


def _flat_tool(tool: Mapping[str, Any], where: str, carrier: Carrier, *, lenient: bool) -> dict[str, Any]:
    kind = str(tool.get("type") or "function")
    if kind not in _NESTED:
        return dict(tool)  # a hosted tool: Responses knows it, or says that it does not
    inner = tool.get(kind)
    if isinstance(inner, Mapping):
        flat = {**carrier.carry(f"tool.{kind}", tool, where), **carrier.carry(kind, inner, f"{where}.{kind}")}
        if isinstance(inner.get("format"), Mapping):
            flat["format"] = _flat_grammar(inner["format"], f"{where}.{kind}.format", carrier)
        flat = {"type": kind, **flat}
        strict = inner.get("strict")
    else:
        flat, strict = {**tool, "type": kind}, tool.get("strict")
    if kind == "function":
        if strict is not None or lenient:
            flat["strict"] = bool(strict)
        flat.setdefault("parameters", None)
    return flat


def _flat_grammar(given: Mapping[str, Any], where: str, carrier: Carrier) -> dict[str, Any]:
    inner = given.get("grammar")
    carried = carrier.carry(f"grammar.{given.get('type')}", given, where)
    return {**carried, **carrier.carry("syntax", inner, where)} if isinstance(inner, Mapping) else carried


def _flat_choice(choice: Any, carrier: Carrier) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    kind = str(choice.get("type"))
    inner = choice.get(kind)
    if not isinstance(inner, Mapping):
        return dict(choice)
    place = "allowed" if kind == "allowed_tools" else "named"
    flat = {
        **carrier.carry(f"choice.{kind}", choice, "tool_choice"),
        **carrier.carry(place, inner, f"tool_choice.{kind}"),
    }
    if kind == "allowed_tools":
        flat["tools"] = [_flat_choice(tool, carrier) for tool in inner.get("tools") or ()]
    return flat


def _flat_format(given: Any, carrier: Carrier, *, lenient: bool) -> Any:
    if not isinstance(given, Mapping):
        return given
    kind = str(given.get("type"))
    inner = given.get("json_schema")
    if kind != "json_schema":
        return dict(given)
    if isinstance(inner, Mapping):
        flat = {
            **carrier.carry("format.json_schema", given, "response_format"),
            **carrier.carry("json_schema", inner, "response_format.json_schema"),
        }
    else:
        flat, inner = dict(given), given
    if inner.get("strict") is not None or lenient:
        flat["strict"] = bool(inner.get("strict"))
    return flat


def _web_search(options: Any, carrier: Carrier) -> dict[str, Any]:
    options = options if isinstance(options, Mapping) else {}
    tool = {"type": "web_search", **carrier.carry("web_search_options", options, "web_search_options")}
    place = options.get("user_location")
    if isinstance(place, Mapping):
        where = "web_search_options.user_location"
        nearby = place.get("approximate")
        tool["user_location"] = {
            **carrier.carry("location.approximate", place, where),
            **(carrier.carry("approximate", nearby, where) if isinstance(nearby, Mapping) else {}),
        }
    return tool


def _as_responses(
    values: Mapping[str, Any], *, stateless: bool, takes: Callable[[Mapping[str, Any]], bool] | None
) -> dict[str, Any]:
    """Return a body in Responses' form, with what frameworks write in Chat Completions' put right."""
    sent = dict(values)
    if not isinstance(sent.get("input"), (str, type(None))):
        given = objects(sent["input"], "input")
        given = given if takes is None else understood(given, takes)
        sent["input"] = tidied(given, stateless=stateless)
    if stateless:
        sent.pop("previous_response_id", None)
    carrier = Carrier(ON_RESPONSES)
    if "tools" in sent:
        sent["tools"] = [
            _flat_tool(tool, f"tools[{index}]", carrier, lenient=False)
            if isinstance(tool.get(str(tool.get("type"))), Mapping)
            else tool
            for index, tool in enumerate(objects(sent["tools"], "tools"))
        ]
    if "tool_choice" in sent:
        sent["tool_choice"] = _flat_choice(sent["tool_choice"], carrier)
    text = _text(sent, carrier, lenient=False)
    sent.pop("response_format", None)
    sent.pop("verbosity", None)
    return {**sent, "text": text} if text else sent


# ----- Responses to Chat Completions


def _for_chat(values: Mapping[str, Any], carrier: Carrier) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "messages": chat_messages(values.get("input"), values.get("instructions"), carrier)
    }
    text = values.get("text")
    if isinstance(text, Mapping):
        sent.update(carrier.carry("text", text, "text"))
        if text.get("format") is not None:
            sent["response_format"] = _nested_format(text["format"])
    if isinstance(values.get("reasoning"), Mapping):
        carrier.carry("reasoning", values["reasoning"], "reasoning")
    if values.get("tools"):
        sent["tools"] = [
            _nested_tool(tool, f"tools[{index}]", carrier)
            for index, tool in enumerate(objects(values["tools"], "tools"))
        ]
    if "tool_choice" in values:
        sent["tool_choice"] = _nested_choice(values["tool_choice"], carrier)
    asked = [item for item in values.get("include") or () if item not in (_LOGPROBS, ENCRYPTED)]
    if asked:
        raise carrier.stays("include", asked)
    if _LOGPROBS in (values.get("include") or ()):
        sent["logprobs"] = True
    if "store" in values:
        sent["store"] = values["store"]
    return sent


def _nested_tool(tool: Mapping[str, Any], where: str, carrier: Carrier) -> dict[str, Any]:
    kind = str(tool.get("type") or "function")
    if kind in _NESTED and isinstance(tool.get(kind), Mapping):
        return dict(tool)
    carrier.carry(f"tool.{kind}", tool, where)
    inner = {key: value for key, value in tool.items() if key != "type" and value is not None}
    schema = inner.get("parameters")
    if kind == "function" and "strict" not in inner and isinstance(schema, Mapping) and _is_strict(schema):
        inner["strict"] = True  # left out it means True there and False here
    if isinstance(inner.get("format"), Mapping):
        inner["format"] = _nested_grammar(inner["format"])
    return {"type": kind, kind: inner}


def _is_strict(schema: Any, *, inside: bool = False) -> bool:
    """Say whether the schema of an object is one that strict mode takes as it stands."""
    if not isinstance(schema, Mapping):
        return (
            all(_is_strict(one, inside=True) for one in schema) if isinstance(schema, (list, tuple)) else True
        )
    if schema.get("type") == "object" or "properties" in schema or not inside:
        names = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or {*names} != {*(schema.get("required") or ())}:
            return False
    return all(_is_strict(one, inside=True) for one in schema.values())


def _nested_grammar(given: Mapping[str, Any]) -> dict[str, Any]:
    if given.get("type") != "grammar" or "grammar" in given:
        return dict(given)
    return {"type": "grammar", "grammar": {key: value for key, value in given.items() if key != "type"}}


def _nested_choice(choice: Any, carrier: Carrier) -> Any:
    if not isinstance(choice, Mapping) or "type" not in choice:
        return choice
    if isinstance(choice.get(str(choice["type"])), Mapping):
        return choice
    kind = str(choice.get("type"))
    carrier.carry(f"choice.{kind}", choice, "tool_choice")
    inner = {key: value for key, value in choice.items() if key != "type"}
    if kind == "allowed_tools":
        inner["tools"] = [_nested_choice(tool, carrier) for tool in inner.get("tools") or ()]
    return {"type": kind, kind: inner}


def _nested_format(given: Any) -> Any:
    if not isinstance(given, Mapping) or given.get("type") != "json_schema" or "json_schema" in given:
        return given
    inner = {key: value for key, value in given.items() if key != "type" and value is not None}
    return {"type": "json_schema", "json_schema": inner}


def _as_chat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body in Chat Completions' form, with what frameworks write in Responses' put right."""
    sent = dict(values)
    carrier = Carrier(CHAT_COMPLETIONS)
    if "messages" in sent:
        sent["messages"] = _without_items(objects(sent["messages"], "messages"))
    if sent.get("tools"):
        sent["tools"] = [
            _nested_tool(tool, f"tools[{index}]", carrier)
            if tool.get("type", "function") in _NESTED
            and not isinstance(tool.get(str(tool.get("type"))), Mapping)
            else tool
            for index, tool in enumerate(objects(sent["tools"], "tools"))
        ]
    if "tool_choice" in sent:
        sent["tool_choice"] = _nested_choice(sent["tool_choice"], carrier)
    if isinstance(sent.get("text"), Mapping):
        text = sent.pop("text")
        sent = {**carrier.carry("text", text, "text"), **sent}  # what is said in its own words wins
        if text.get("format") is not None:
            sent["response_format"] = _nested_format(text["format"])
    elif "response_format" in sent:
        sent["response_format"] = _nested_format(sent["response_format"])
    if isinstance(sent.get("instructions"), str):
        opening = {"role": "system", "content": sent.pop("instructions")}
        sent["messages"] = [opening, *sent.get("messages", ())]
    if isinstance(sent.get("reasoning"), Mapping):
        carrier.carry("reasoning", sent.pop("reasoning"), "reasoning")
    return sent


def _without_items(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages as Chat Completions takes them: without the items that stand beside an answer."""
    return [
        {key: item for key, item in message.items() if key != ITEMS} if ITEMS in message else message
        for message in messages
    ]


# ----- what the decision says


def _set_effort(sent: dict[str, Any], effort: str | None, endpoint: str) -> None:
    if endpoint == CHAT_COMPLETIONS:
        if effort is not None:
            sent["reasoning_effort"] = effort
        return
    rest = {key: value for key, value in (sent.pop("reasoning", None) or {}).items() if key != "effort"}
    if effort is not None:
        rest["effort"] = effort
    if rest:
        sent["reasoning"] = rest


def _ask_for_reasoning(sent: dict[str, Any], *, encrypted: bool, endpoint: str) -> None:
    if endpoint != ON_RESPONSES or sent.get("store") is not False:
        return
    included: Iterable[str] = sent.get("include") or ()
    if encrypted and ENCRYPTED not in included:
        sent["include"] = [*included, ENCRYPTED]


def _cap_name(decision: Decision) -> str:
    asked = decision.facts.cap_name
    renamed = [c.after for c in decision.changes if c.parameter == asked and c.action == "renamed"]
    name = str(renamed[-1]) if renamed else asked
    return "max_completion_tokens" if name == "max_output_tokens" else name
