"""What the tests of the deciding core share: days, facts by keyword, requests in OpenAI's own form."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Mapping
from datetime import date
from typing import Any

from PIL import Image

from routed_llm import (
    Call,
    Catalog,
    Decision,
    ImageFacts,
    Policy,
    Request,
    RequestFacts,
    Router,
    TokenCount,
    select,
)
from routed_llm.decide.table import Table, prepare
from routed_llm.errors import PolicyError
from routed_llm.facts import freeze_parameters

CATALOG = Catalog.load()
REVIEW = date(2026, 4, 22)
TODAY = date(2026, 11, 22)
AFTER = date(2027, 1, 15)


def facts(tokens: int | tuple[int, int] = 1_000, **given: Any) -> RequestFacts:
    """Make facts from plain values; ``images`` are (width, height[, detail]) and give their own input kind."""
    if isinstance(tokens, tuple):
        low, high = tokens
        given["tokens"] = TokenCount(low, (low + high) // 2, high)
    else:
        given["tokens"] = TokenCount.of(tokens)
    kinds = set(given.pop("inputs", ())) | {"text"}
    if "images" in given:
        given["images"] = tuple(ImageFacts(*image) for image in given["images"])
        kinds.add("image")
    if "audio_seconds" in given:
        kinds.add("audio")
    if "pdf_pages" in given:
        kinds.add("pdf")
    given["parameters"] = freeze_parameters(given.pop("parameters", {}))
    for name in ("outputs", "tool_inputs", "builtin_tools"):
        if name in given:
            given[name] = frozenset(given[name])
    return RequestFacts(inputs=frozenset(kinds), **given)


def table_of(policy: Policy, at: date) -> Table | None:
    """Make the table, or None when the policy names what the catalog has not got."""
    try:
        return prepare(CATALOG, policy, at)
    except PolicyError:
        return None


def decide(
    asked: RequestFacts, at: date = TODAY, *, catalog: Catalog = CATALOG, allowance: Any = None, **policy: Any
) -> Decision:
    """Select with a policy given by keywords."""
    return select(
        asked,
        policy=Policy(**policy),
        catalog=catalog,
        at=at,
        **({"allowance": allowance} if allowance else {}),
    )


def codes(decision: Decision, model: str) -> list[str]:
    """List the codes of the Reasons against a model, without repetition."""
    return list(dict.fromkeys(reason.code for reason in decision.reasons_against(model)))


def sentences(decision: Decision, model: str) -> list[str]:
    """List the sentences of the Reasons against a model, without repetition."""
    return list(dict.fromkeys(reason.text for reason in decision.reasons_against(model)))


def router(at: date = TODAY, **policy: Any) -> Router:
    """Make a Router with its clock stopped at a day."""
    return Router(catalog=CATALOG, policy=Policy(**policy), clock=lambda: at)


def whole(asked: RequestFacts) -> Request:
    """Make a Request of facts whose count is exact, with no text left to count."""
    return Request(facts=asked, texts=(), fixed=asked.tokens.low)


@functools.lru_cache(maxsize=64)
def png(width: int, height: int) -> str:
    """Make a real PNG of a size as a data URL."""
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def body_of(call: Call, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Write the HTTP path and body that a Call asks for, from a Chat Completions payload."""
    if call.endpoint == "responses":
        return "/responses", _responses_body(call, payload)
    body = {"model": call.model, "messages": payload["messages"], **call.parameters}
    for name in ("tools", "tool_choice", "response_format", "stream", "modalities"):
        if name in payload:
            body[name] = payload[name]
    if call.effort is not None:
        body["reasoning_effort"] = call.effort
    if call.cap is not None:
        body["max_completion_tokens"] = call.cap
    return "/chat/completions", body


def _responses_body(call: Call, payload: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"model": call.model, "input": _items(payload["messages"]), **call.parameters}
    text: dict[str, Any] = {}
    if "verbosity" in body:
        text["verbosity"] = body.pop("verbosity")
    if "response_format" in payload:
        form = payload["response_format"]
        text["format"] = {"type": form["type"], **form.get("json_schema", {})}
    if text:
        body["text"] = text
    if "tools" in payload:
        body["tools"] = [
            {"type": "function", **tool["function"]} if tool["type"] == "function" else tool
            for tool in payload["tools"]
        ]
    choice = payload.get("tool_choice")
    if choice is not None:
        named = isinstance(choice, dict)
        body["tool_choice"] = {"type": "function", **choice["function"]} if named else choice
    if "stream" in payload:
        body["stream"] = payload["stream"]
    if call.effort is not None:
        body["reasoning"] = {"effort": call.effort}
    if call.cap is not None:
        body["max_output_tokens"] = call.cap
    return body


def _items(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for message in messages:
        content = message.get("content")
        if message["role"] == "tool":
            output = content if isinstance(content, str) else [_part(part, "user") for part in content or ()]
            items.append(
                {"type": "function_call_output", "call_id": message["tool_call_id"], "output": output}
            )
            continue
        if content:
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            items.append(
                {"role": message["role"], "content": [_part(part, message["role"]) for part in parts]}
            )
        items += [
            {"type": "function_call", "call_id": call["id"], **call["function"]}
            for call in message.get("tool_calls", ())
        ]
    return items


def _part(part: dict[str, Any], role: str) -> dict[str, Any]:
    if part["type"] == "image_url":
        image = part["image_url"]
        return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail", "auto")}
    if part["type"] == "file":
        return {"type": "input_file", **part["file"]}
    return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
