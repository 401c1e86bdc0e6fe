"""Answers that other servers write in ways of their own. The frameworks' classes read them; so do ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attack_support import STREAMED, WAYS, booked_router, lying, says

ENDPOINTS = {
    "/chat/completions": {"models": ["gpt-4o"], "endpoints": ["chat_completions"]},
    "/responses": {"models": ["gpt-5"], "at_least": None, "endpoints": ["responses"]},
}
TEXT = "one two"
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
USED = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
HEAD = {"id": "c1", "created": 1, "model": "gpt-4o"}
SAYS = {"role": "assistant", "content": TEXT}
PART = {"type": "output_text", "text": TEXT, "annotations": []}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [PART]}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": []}
Rows = dict[str, Any]


def without(given: dict[str, Any], *names: str) -> dict[str, Any]:
    """Leave fields out."""
    return {name: value for name, value in given.items() if name not in names}


def chat(message: Any = SAYS, drop: tuple[str, ...] = (), choice: Any = None, **more: Any) -> dict[str, Any]:
    """Write a Chat Completion."""
    first = {"index": 0, "message": message, "finish_reason": "stop", **(choice or {})}
    whole = {**HEAD, "object": "chat.completion", "choices": [without(first, *drop)], "usage": USAGE, **more}
    return without(whole, *drop)


def reply(*items: Any, drop: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Write a reply of Responses."""
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-5"}
    asked = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    output = {"output": list(items or (MESSAGE,)), "usage": USED}
    return without({**whole, **asked, **output, **more}, *drop)


def part(**more: Any) -> dict[str, Any]:
    """Write a message with another part."""
    return {**MESSAGE, "content": [without({**PART, **more}, *[k for k, v in more.items() if v is ...])]}


WHOLE: Rows = {
    "no id": chat(drop=("id",)),
    "no date": chat(drop=("created",)),
    "no kind": chat(drop=("object",)),
    "no index": chat(drop=("index",)),
    "no reason": chat(drop=("finish_reason",)),
    "a reason of its own": chat(choice={"finish_reason": "eos"}),
    "no usage": chat(drop=("usage",)),
    "a usage with a price": chat(usage={**USAGE, "cost": 0.1, "prompt_tokens_details": None}),
    "a usage of numbers with a point": chat(usage={name: float(value) for name, value in USAGE.items()}),
    "calls that are null": chat({**SAYS, "tool_calls": None, "function_call": None}),
    "no calls": chat({**SAYS, "tool_calls": []}),
    "reasoning": chat({**SAYS, "reasoning_content": "hm", "reasoning": "hm"}),
    "an empty refusal": chat({**SAYS, "refusal": ""}),
    "filters": chat(prompt_filter_results=[{"prompt_index": 0}]),
    "an error that is null": chat(error=None),
    "a tier of its own": chat(service_tier="scale"),
    "a model of its own": chat(model="mine"),
}
REPLIES: Rows = {
    "a text alone": reply({**MESSAGE, "content": TEXT}),
    "a part of Chat Completions": reply(part(type="text")),
    "no annotations": reply(part(annotations=...)),
    "annotations that are null": reply(part(annotations=None)),
    "no id of the item": reply(without(MESSAGE, "id")),
    "no status of the item": reply(without(MESSAGE, "status")),
    "no status": reply(drop=("status",)),
    "no date": reply(drop=("created_at",)),
    "a date with a point": reply(created_at=1.5),
    "nothing of what was asked": reply(drop=("tools", "tool_choice", "parallel_tool_calls")),
    "a usage without details": reply(usage=USED),
    "no usage": reply(drop=("usage",)),
    "reasoning": reply(THOUGHT, MESSAGE),
    "reasoning in full": reply({**THOUGHT, "content": [{"type": "reasoning_text", "text": "hm"}]}, MESSAGE),
    "an item that nobody knows": reply({"id": "x", "type": "magic"}, MESSAGE),
}


def chunk(delta: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """Write a chunk of Chat Completions."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice], **more}


FIRST, LAST = chunk({"role": "assistant", "content": ""}), chunk({}, "stop")
TEXTS = [chunk({"content": "one "}), chunk({"content": "two"})]
USE = {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
FILTERS = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
CHUNKS: Rows = {
    "filters first": [FILTERS, FIRST, *TEXTS, LAST, USE],
    "a role without a text": [chunk({"role": "assistant"}), *TEXTS, LAST, USE],
    "a text that is null": [chunk({"role": "assistant", "content": None}), *TEXTS, LAST, USE],
    "no role": [*TEXTS, LAST, USE],
    "a role each time": [chunk({"role": "assistant", "content": t}) for t in ("one ", "two")] + [LAST, USE],
    "an end that is null": [FIRST, *TEXTS, chunk(None, "stop"), USE],
    "an end with a text": [FIRST, TEXTS[0], chunk({"content": "two"}, "stop"), USE],
    "two ends": [FIRST, *TEXTS, LAST, LAST, USE],
    "a reason of its own": [FIRST, *TEXTS, chunk({}, "eos"), USE],
    "all at once": [chunk(SAYS, "stop"), USE],
    "a usage each time": [{**one, "usage": USAGE} for one in (FIRST, *TEXTS, LAST, USE)],
    "a usage with the end": [FIRST, *TEXTS, {**LAST, "usage": USAGE}],
    "a usage first": [USE, FIRST, *TEXTS, LAST],
    "no usage": [FIRST, *TEXTS, LAST],
    "reasoning": [
        chunk({"role": "assistant", "reasoning_content": "hm", "content": None}),
        *TEXTS,
        LAST,
        USE,
    ],
    "no calls": [chunk({"role": "assistant", "content": "", "tool_calls": []}), *TEXTS, LAST, USE],
    "no id": [without(one, "id") for one in (FIRST, *TEXTS, LAST, USE)],
    "a model that is null": [{**one, "model": None} for one in (FIRST, *TEXTS, LAST, USE)],
    "an error that is null": [{**one, "error": None} for one in (FIRST, *TEXTS, LAST, USE)],
}


def event(kind: str, **more: Any) -> dict[str, Any]:
    """Write an event of Responses."""
    return {"type": f"response.{kind}", "sequence_number": 0, **more}


PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
BEGUN = event("created", response=reply(status="in_progress", usage=None, output=[]))
ADDED = event("output_item.added", output_index=0, item={**MESSAGE, "content": []})
DELTAS = [event("output_text.delta", delta=text, logprobs=[], **PLACE) for text in ("one ", "two")]
DONE, ENDED = event("output_item.done", output_index=0, item=MESSAGE), event("completed", response=reply())
EVENTS: Rows = {
    "no beginning": [ADDED, *DELTAS, DONE, ENDED],
    "nothing but an end": [BEGUN, ENDED],
    "no parts": [BEGUN, ADDED, *DELTAS, DONE, ENDED],
    "no deltas": [BEGUN, ADDED, event("output_text.done", text=TEXT, logprobs=[], **PLACE), DONE, ENDED],
    "whole items": [BEGUN, DONE, ENDED],
    "no items": [BEGUN, *DELTAS, ENDED],
    "no places": [BEGUN, ADDED, *[without(one, *PLACE) for one in DELTAS], DONE, ENDED],
    "an event that nobody knows": [BEGUN, event("magic"), ADDED, *DELTAS, DONE, ENDED],
    "a ping": [BEGUN, {"type": "keepalive"}, ADDED, *DELTAS, DONE, ENDED],
    "an end without items": [BEGUN, ADDED, *DELTAS, DONE, event("completed", response=reply(output=[]))],
    "an end with a text alone": [
        BEGUN,
        ADDED,
        *DELTAS,
        event("completed", response=reply({**MESSAGE, "content": TEXT})),
    ],
    "no usage": [BEGUN, ADDED, *DELTAS, DONE, event("completed", response=reply(drop=("usage",)))],
}
TABLES = {
    ("/chat/completions", False): WHOLE,
    ("/responses", False): REPLIES,
    ("/chat/completions", True): CHUNKS,
    ("/responses", True): EVENTS,
}
CASES = [
    pytest.param(path, way, body, id=f"{path[1:]}-{way}-{name}")
    for (path, streams), rows in TABLES.items()
    for name, body in rows.items()
    for way in WAYS
    if (way in STREAMED) == streams
]


@pytest.mark.parametrize(("path", "way", "body"), CASES)
def test_it_is_read(path: str, way: str, body: Any) -> None:
    """The text arrives, and one request is in the books."""
    raw, kind = json.dumps(body).encode(), "application/json"
    if way in STREAMED:
        lines = [f"data: {json.dumps(one)}\n\n" for one in body]
        if path == "/responses":
            lines = [f"event: {one['type']}\n{line}" for one, line in zip(body, lines, strict=True)]
        raw, kind = "".join(lines).encode(), "text/event-stream"
    make, call = WAYS[way]
    router = booked_router()
    with lying(None, says(200, raw, kind)) as liar:
        got = call(make(liar.url, router, policy=ENDPOINTS[path], max_retries=0))
    assert (got.text, [one.path for one in liar.asked]) == (TEXT, [f"/v1{path}"])
    (entry,) = router.ledger.entries()
    assert (entry.outcome, entry.booked > 0) == ("answered", True)
