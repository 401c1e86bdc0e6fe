"""Writes the answer to a Responses request, whole or as typed events."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from routed_llm.simulator import moderation
from routed_llm.simulator.answer import Answer
from routed_llm.simulator.ask import Ask, Call
from routed_llm.simulator.billing import Used
from routed_llm.simulator.frozen import load
from routed_llm.simulator.hosted import Ran
from routed_llm.simulator.logprobs import logprobs, obfuscation
from routed_llm.simulator.models import SimulatedModel
from routed_llm.simulator.responses_request import conversation_of, seal
from routed_llm.simulator.tokens import pieces_of

_NOTHING = Ran()
_SUMMARY = "Weighing what is asked against what is given, then choosing the plainest answer."


def usage(used: Used) -> dict[str, Any]:
    """Return the usage in the words of the Responses API."""
    return {
        "input_tokens": used.prompt,
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.written},
        "output_tokens": used.completion,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.prompt + used.completion,
    }


def whole(
    response_id: str,
    created: int,
    model: SimulatedModel,
    body: dict[str, Any],
    ask: Ask,
    answer: Answer,
    used: Used,
    today: date,
    ran: Ran = _NOTHING,
) -> dict[str, Any]:
    """Return the finished response."""
    cut = answer.finish == "length"
    response = _frame(response_id, created, model, body, ask, used.tier)
    _add_news(response, model, ask, today)
    response["status"] = "incomplete" if cut else "completed"
    response["incomplete_details"] = {"reason": "max_output_tokens"} if cut else None
    response["completed_at"] = None if cut else created
    output = _output(response_id, model, body, ask, answer)
    thinking = [item for item in output if item["type"] == "reasoning"]
    response["output"] = [*thinking, *map(dict, ran.items), *output[len(thinking) :]]
    if ran.searches and "tool_usage" in response:
        response["tool_usage"]["web_search"]["num_requests"] = ran.searches
    if body.get("prompt_cache_options"):
        response["prompt_cache_options"] = body["prompt_cache_options"]
    if body.get("prompt"):
        response["prompt"] = _prompt(body["prompt"])
        response["instructions"] = copy.deepcopy(load("shapes")["prompt"]["instructions"])
    if ask.moderation:
        response["moderation"] = moderation.results(ask.moderation, "responses")
    conversation = conversation_of(body)
    if conversation:
        response["conversation"] = {"id": conversation}
    phase = load("shapes")["phase"]
    if today >= phase["since"] and model.family in phase["families"]:
        for item in response["output"]:
            if item["type"] == "message":
                item["phase"] = "commentary" if answer.calls else "final_answer"
    response["usage"] = usage(used)
    return response


def _frame(
    response_id: str, created: int, model: SimulatedModel, body: dict[str, Any], ask: Ask, tier: str
) -> dict[str, Any]:
    reasoning = body.get("reasoning") or {}
    text = body.get("text") or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": bool(body.get("background", False)),
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": model.served,
        "output": [],
        "parallel_tool_calls": ask.parallel,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "prompt_cache_retention": body.get("prompt_cache_retention"),
        "reasoning": {
            **{key: reasoning[key] for key in ("context", "mode") if key in reasoning},
            "effort": ask.effort if model.reasons else None,
            "summary": reasoning.get("summary"),
        },
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": tier,
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": ask.verbosity},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": [_shown_tool(row) for row in body.get("tools") or ()],
        "top_logprobs": body.get("top_logprobs", 0),
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _prompt(given: dict[str, Any]) -> dict[str, Any]:
    """Return a stored prompt as it is said back, its variables in the form of content."""
    named = given.get("variables")
    variables = {
        name: {"type": "input_text", "text": value} if isinstance(value, str) else value
        for name, value in (named if isinstance(named, dict) else {}).items()
    }
    return {"id": given.get("id"), "variables": variables, "version": str(given.get("version") or "1")}


def _add_news(response: dict[str, Any], model: SimulatedModel, ask: Ask, today: date) -> None:
    """Add the keys that responses had by then."""
    rows = load("shapes")

    def there(name: str) -> bool:
        return bool(today >= rows[name]["since"])

    for name in ("frequency_penalty", "presence_penalty", "billing", "moderation", "tool_usage"):
        if there(name) and not (ask.stream and rows[name].get("whole_only")):
            response[name] = copy.deepcopy(rows[name].get("value"))
    programs = rows["access_programs"]
    if there("access_programs") and model.family in programs["families"]:
        response.setdefault("access_programs", dict(programs["value"]))
    reasoning = response["reasoning"]
    if there("reasoning.context"):
        seen = "all_turns" if model.family in rows["reasoning.context"]["all_turns"] else "current_turn"
        reasoning["context"] = (reasoning.get("context") or seen) if model.reasons else None
    if there("reasoning.mode") and model.reasons:
        reasoning["mode"] = reasoning.get("mode") or rows["reasoning.mode"]["value"]
    _add_to_tools(response["tools"], today, schemas=there("tools.output_schema"))
    form = response["text"]["format"]
    if form.get("type") == "json_schema" and there("text.format.description"):
        response["text"]["format"] = {"description": None, **form}


def _add_to_tools(tools: list[dict[str, Any]], today: date, *, schemas: bool) -> None:
    for tool in tools:
        _echo(tool, today)
        for one in (tool, *(tool.get("tools") or ())) if schemas else ():
            if one.get("type") == "function":
                one.setdefault("output_schema", None)


def _echo(tool: dict[str, Any], today: date) -> None:
    """Add what is said of a hosted tool where the request does not say it, and drop what is not shown."""
    for rule in load("shapes")["hosted"].get(tool.get("type"), ()):
        if rule.get("dropped"):
            tool.pop(rule["key"], None)
        elif rule.get("since", today) <= today < rule.get("until", date.max):
            value = copy.deepcopy(rule.get("value"))
            if isinstance(value, dict):
                value |= dict.fromkeys(rule.get("nulls", ()))
            if tool.get(rule["key"]) is None:
                tool[rule["key"]] = value


def _shown_tool(row: dict[str, Any]) -> dict[str, Any]:
    if row.get("type") == "namespace":
        return {**row, "tools": [_shown_tool(one) for one in row.get("tools") or ()]}
    if row.get("type") != "function":
        return dict(row)
    strict = row.get("strict")
    return {"description": None, "parameters": None, **row, "strict": True if strict is None else strict}


def _output(
    response_id: str, model: SimulatedModel, body: dict[str, Any], ask: Ask, answer: Answer
) -> list[dict[str, Any]]:
    stem = response_id.removeprefix("resp_")
    status = "incomplete" if answer.finish == "length" else "completed"
    items: list[dict[str, Any]] = []
    if answer.reasoning or (model.reasons and ask.effort != "none"):
        items.append(_reasoning_item(f"rs_{stem}", model, body, answer.reasoning))
    items += [_call_item(f"{stem}{i:02d}", call, status) for i, call in enumerate(answer.calls)]
    if answer.refusal:
        items.append(_message(stem, status, {"type": "refusal", "refusal": answer.refusal}))
    elif not answer.calls and (answer.visible or answer.finish == "stop"):
        rows = logprobs(answer.text, ask.top_logprobs) if ask.logprobs else []
        block = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": rows}
        items.append(_message(stem, status, block))
    return items


def _message(stem: str, status: str, block: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"msg_{stem}", "type": "message", "status": status, "role": "assistant", "content": [block]}


def _reasoning_item(item_id: str, model: SimulatedModel, body: dict[str, Any], tokens: int) -> dict[str, Any]:
    asked = (body.get("reasoning") or {}).get("summary") or (body.get("reasoning") or {}).get(
        "generate_summary"
    )
    item: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": []}
    if asked:
        item["summary"] = [{"type": "summary_text", "text": _SUMMARY}]
    if "reasoning.encrypted_content" in (body.get("include") or ()):
        item["encrypted_content"] = seal(model.name, item_id, tokens)
    return item


def _call_item(stem: str, call: Call, status: str) -> dict[str, Any]:
    if call.custom:
        return {"id": f"ctc_{stem}", "type": "custom_tool_call", "status": status, "call_id": call.id,
                "name": call.name, "input": call.arguments}  # fmt: skip
    return {"id": f"fc_{stem}", "type": "function_call", "status": status, "call_id": call.id,
            "name": call.name, "arguments": call.arguments}  # fmt: skip


def events(response: dict[str, Any], *, obfuscated: bool = True) -> Iterator[dict[str, Any]]:
    """Yield the typed events that tell a finished response, numbered from 0."""
    for number, event in enumerate(_events(response)):
        if obfuscated and event["type"].endswith(".delta") and event["type"] != "response.refusal.delta":
            event = {**event, "obfuscation": obfuscation(event)}
        yield {**event, "sequence_number": number}


def kept_alive(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield events with what is sent while nothing else is to be said yet."""
    more = 0
    for event in events:
        yield {**event, "sequence_number": event["sequence_number"] + more}
        if event["type"] == "response.in_progress":
            more = 1
            yield {"type": "keepalive", "sequence_number": event["sequence_number"] + more}


def opening(response: dict[str, Any]) -> dict[str, Any]:
    """Return the response as it stands before anything was said."""
    begun = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None,
             "completed_at": None}  # fmt: skip
    return {**begun, "moderation": None} if "moderation" in begun else begun


def _events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    start = opening(response)
    yield {"type": "response.created", "response": start}
    if start["background"]:
        yield {"type": "response.queued", "response": {**start, "status": "queued"}}
    yield {"type": "response.in_progress", "response": start}
    for index, item in enumerate(response["output"]):
        yield from _item_events(index, item)
    yield {"type": f"response.{response['status']}", "response": response}


def _item_events(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.output_item.added", "output_index": index, "item": _empty(item)}
    at = {"item_id": item["id"], "output_index": index}
    kind = item["type"]
    if kind == "reasoning":
        for i, part in enumerate(item["summary"]):
            yield from _summary_events({**at, "summary_index": i}, part["text"])
    elif kind == "function_call":
        for piece in pieces_of(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": piece}
        yield {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]}
    elif kind == "custom_tool_call":
        for piece in pieces_of(item["input"]):
            yield {"type": "response.custom_tool_call_input.delta", **at, "delta": piece}
        yield {"type": "response.custom_tool_call_input.done", **at, "input": item["input"]}
    elif kind == "message":
        yield from _content_events({**at, "content_index": 0}, item["content"][0])
    else:
        yield {"type": f"response.{kind}.in_progress", **at}
        yield {"type": f"response.{kind}.completed", **at}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _empty(item: dict[str, Any]) -> dict[str, Any]:
    """The item as it is announced, before its content."""
    empty = copy.copy(item)
    for key, value in (("content", []), ("arguments", ""), ("input", ""), ("summary", []), ("queries", [])):
        if key in empty:
            empty[key] = value
    if "action" in empty:
        empty["action"] = {"type": empty["action"]["type"]}
    if "status" in empty:
        empty["status"] = "in_progress"
    return empty


def _summary_events(at: dict[str, Any], text: str) -> Iterator[dict[str, Any]]:
    kind = "response.reasoning_summary"
    yield {"type": f"{kind}_part.added", **at, "part": {"type": "summary_text", "text": ""}}
    for piece in pieces_of(text):
        yield {"type": f"{kind}_text.delta", **at, "delta": piece}
    yield {"type": f"{kind}_text.done", **at, "text": text}
    yield {"type": f"{kind}_part.done", **at, "part": {"type": "summary_text", "text": text}}


def _content_events(at: dict[str, Any], block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "refusal":
        yield {"type": "response.content_part.added", **at, "part": {"type": "refusal", "refusal": ""}}
        for piece in pieces_of(block["refusal"]):
            yield {"type": "response.refusal.delta", **at, "delta": piece}
        yield {"type": "response.refusal.done", **at, "refusal": block["refusal"]}
    else:
        empty = {**block, "text": "", "logprobs": []}
        yield {"type": "response.content_part.added", **at, "part": empty}
        rows = block["logprobs"]
        for i, piece in enumerate(pieces_of(block["text"])):
            yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": rows[i : i + 1]}
        yield {"type": "response.output_text.done", **at, "text": block["text"], "logprobs": rows}
    part = {**block, "logprobs": []} if "logprobs" in block else block
    yield {"type": "response.content_part.done", **at, "part": part}
