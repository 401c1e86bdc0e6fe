"""Reads a Responses request: its items, what earlier responses add, then what it asks of a model."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Protocol

from routed_llm.simulator import media, moderation
from routed_llm.simulator.ask import Ask, Call, Part, Turn
from routed_llm.simulator.checks import check_known, check_type, kind_of, required
from routed_llm.simulator.failures import failure, listed
from routed_llm.simulator.frozen import load
from routed_llm.simulator.models import SimulatedModel
from routed_llm.simulator.rules import check_breakpoint, uses_cache
from routed_llm.simulator.toolbox import read_choice, read_format, read_tools

Item = dict[str, Any]
_MESSAGE_KEYS = ["type", "role", "content", "id", "status", "phase", "name"]
_SEAL = "gAAAAAB"
_LONGEST_CALL_ID = 64
_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}


class Kept(Protocol):
    """What a request may refer to: items by id, and the reasoning item that an output item needs."""

    def items_of(self, response_id: str) -> list[Item] | None:
        """Return everything said up to and including a stored response, or None."""

    def conversation(self, conversation: str) -> list[Item] | None:
        """Return everything said in a conversation, or None."""

    def item(self, item_id: str) -> Item | None:
        """Return a stored item, or None."""

    def reasoning_of(self, item_id: str) -> str | None:
        """Return the id of the reasoning item that came with a stored output item, or None."""


def read_items(body: Mapping[str, Any], kept: Kept) -> list[Item]:
    """Return all input items, those of the previous response first, references replaced.

    Raises:
        ApiFailure: 400, an item of the wrong form, or a call without output.
    """
    given = [] if body.get("prompt") and "input" not in body else required(dict(body), "input")
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": given}]
    check_type("input", given, ["array"])
    earlier: list[Item] = []
    conversation = conversation_of(body)
    if conversation:
        known = kept.conversation(conversation)
        if known is None:
            raise failure("conversation", id=conversation)
        earlier = known
    if body.get("previous_response_id"):
        found = kept.items_of(body["previous_response_id"])
        if found is None:
            raise failure("previous_response", id=body["previous_response_id"])
        earlier = found
    items = [*earlier, *(_item(i, row, kept) for i, row in enumerate(given))]
    if not items and not body.get("prompt"):
        raise failure("empty_array", param="input")
    _check_once(items, items[len(earlier) :])
    _check_calls(items)
    return items


def conversation_of(body: Mapping[str, Any]) -> str:
    """Return the id of the conversation that a request goes on with, or nothing."""
    given = body.get("conversation") or ""
    return str(given.get("id") or "") if isinstance(given, Mapping) else str(given)


def _item(i: int, row: Any, kept: Kept) -> Item:
    where = f"input[{i}]"
    if not isinstance(row, dict):
        raise failure("invalid_type", param=where, expected="an object", got=kind_of(row))
    kind = row.get("type", "message")
    if kind == "item_reference":
        found = kept.item(str(row.get("id")))
        if found is None:
            raise failure("item_not_stored", id=row.get("id"))
        return found
    if kind == "message":
        check_known(row, _MESSAGE_KEYS, where)
        role = required(row, "role", f"{where}.")
        roles = load("fields")["values"]["responses_roles"]
        if role not in roles:
            raise failure("invalid_value", param=f"{where}.role", value=role, supported=listed(roles))
        _check_content(where, role, required(row, "content", f"{where}."))
    else:
        _check_item(kind, row, where)
    stored = bool(row.get("id")) and kept.item(str(row["id"])) is not None
    return {**row, "type": kind, "where": where, **({"stored": True} if stored else {})}


def _check_item(kind: str, row: Item, where: str) -> None:
    """Refuse an item that is no message when what makes it one is missing."""
    needed: tuple[str, ...] = ()
    if kind in _CALLS:
        needed = ("call_id", "name", "input" if kind == "custom_tool_call" else "arguments")
    elif kind in _CALLS.values():
        needed = ("call_id", "output")
    elif kind == "reasoning":
        needed = ("summary",)
    for key in needed:
        value = required(row, key, f"{where}.")
        if key == "arguments":  # as on Chat Completions
            check_type(f"{where}.arguments", value, ["string"])
        if key == "call_id" and len(str(value)) > _LONGEST_CALL_ID:
            size = len(str(value))
            raise failure("string_too_long", param=f"{where}.call_id", maximum=_LONGEST_CALL_ID, length=size)


def _check_content(where: str, role: str, content: Any) -> None:
    if isinstance(content, str):
        return
    check_type(f"{where}.content", content, ["array"])
    known = load("fields")["responses_parts"]
    allowed = ["output_text", "refusal"] if role == "assistant" else [
        kind for kind in known if kind.startswith("input_")
    ]  # fmt: skip
    for j, block in enumerate(content):
        path = f"{where}.content[{j}]"
        if not isinstance(block, dict):
            raise failure("invalid_type", param=path, expected="an object", got=kind_of(block))
        kind = required(block, "type", f"{path}.")
        if kind not in allowed:
            raise failure("invalid_value", param=path, value=kind, supported=listed(allowed))
        check_known(block, known[kind], path)


def _check_calls(items: list[Item]) -> None:
    made = [row["call_id"] for row in items if row["type"] in _CALLS]
    searched = [row.get("call_id") for row in items if row["type"] == "tool_search_call"]
    answered = [row["call_id"] for row in items if row["type"] in _CALLS.values()]
    for call in answered:
        if call not in made and call not in searched:
            raise failure("no_tool_call", id=call)
    for call in made:
        if call not in answered:
            raise failure("no_tool_output", id=call)


def _check_once(items: list[Item], given: list[Item]) -> None:
    """Refuse an item that is there twice, or a call or the output of one that is given twice.

    A call that a stored response holds may be given again (3 recorded requests).
    """
    sides = [("id", "item", row) for row in items]
    for row in given:
        kind = row["type"]
        side = "call" if kind in _CALLS else "output" if kind in _CALLS.values() else ""
        sides += [("call_id", side, row)] if side else []
    seen: set[tuple[str, str]] = set()
    for name, key, row in sides:
        value = row.get(name)
        if value and (key, value) in seen:
            raise failure("duplicate_item" if name == "id" else "duplicate_call", id=value)
        seen.add((key, str(value)))


def _check_followed(items: list[Item], *, stored: bool) -> None:
    """Refuse reasoning that nothing of its turn comes after; a stored one also before a bare message."""
    alone: Item | None = None
    for row in [*items, {"type": "message", "role": "user"}]:
        kind = row["type"]
        if kind == "reasoning":
            alone = alone or (row if row.get("id") else None)
            continue
        ended = kind in _CALLS.values() or row.get("role", "assistant") != "assistant"
        # Recorded of a message in the short form, a role and a text: it is no item that was ever given out.
        short = kind == "message" and isinstance(row.get("content"), str) and not row.get("id")
        other = short and stored and alone is not None and alone.get("id")
        if alone is not None and (ended or other):
            raise failure("reasoning_alone", id=alone.get("id"))
        alone = None


def check_reasoning(items: list[Item], model: SimulatedModel, kept: Kept, *, stored: bool) -> None:
    """Refuse reasoning that this model cannot take up: none of its own, unstored, left out, or too late."""
    given: set[str] = set()
    for row in items:
        if row["type"] == "reasoning":
            _check_reasoning_item(row, model, kept)
            given.add(str(row.get("id")))
        elif row.get("id") and model.reasons:
            needed = kept.reasoning_of(str(row["id"]))
            if needed is not None and needed not in given and row["type"] in ("function_call", "message"):
                raise failure("reasoning_missing", id=row["id"], reasoning=needed, kind=row["type"])
    _check_followed(items, stored=stored)


def _check_reasoning_item(row: Item, model: SimulatedModel, kept: Kept) -> None:
    if not model.reasons:
        raise failure("reasoning_to_plain_model")
    sealed = row.get("encrypted_content")
    if sealed:
        opened = unseal(str(sealed))
        if opened is None or opened[0] != model.name:
            raise failure("encrypted_content", excerpt=f"{str(sealed)[:4]}...{str(sealed)[-4:]}")
    elif row.get("id") and kept.item(str(row["id"])) is None:
        raise failure("item_not_stored", id=row["id"])


def seal(model: str, item_id: str, tokens: int = 0) -> str:
    """Return encrypted reasoning that only the same model takes back, as long as so many tokens make it."""
    rule = load("tokens")["sealed"]
    text = json.dumps([model, item_id, tokens])
    length = int((tokens + rule["less"]) / rule["tokens_per_character"]) * 3 // 4
    return _SEAL + base64.urlsafe_b64encode(text.ljust(length).encode()).decode()


def unseal(text: str) -> tuple[str, int] | None:
    """Return the model that encrypted reasoning belongs to and its tokens, or None when it is not ours."""
    try:
        model, _, tokens = json.loads(base64.urlsafe_b64decode(text.removeprefix(_SEAL)))
    except (ValueError, TypeError):
        return None
    return str(model), int(tokens)


def _thought(body: dict[str, Any], model: SimulatedModel, items: list[Item]) -> int:
    """Count the reasoning that the model is shown: of the turn that goes on, or of all of them."""
    rows = load("shapes")["reasoning.context"]
    asked = (body.get("reasoning") or {}).get("context")
    every = asked == "all_turns" or (asked != "current_turn" and model.family in rows["all_turns"])
    begun = max((i for i, row in enumerate(items) if row.get("role") == "user"), default=-1)
    shown = items if every else items[begun + 1 :]
    found = [unseal(str(row.get("encrypted_content") or "")) for row in shown if row["type"] == "reasoning"]
    return sum(one[1] for one in found if one is not None)


def read(body: dict[str, Any], model: SimulatedModel, effort: str, items: list[Item]) -> Ask:
    """Return what the request asks, its media decoded and checked against the model."""
    tools = read_tools(body, "responses")
    choice, allowed = read_choice(body, "responses", tools)
    text = body.get("text") or {}
    check_known(text, ["format", "verbosity"], "text")
    kind, schema, name, about = read_format(model, text.get("format"), "responses")
    turns = tuple(turn for i, row in enumerate(items) if (turn := _turn(model, i, row)) is not None)
    if kind == "json_object" and not any("json" in turn.text.lower() for turn in turns):
        raise failure("json_word_responses")
    if "audio" in model.outputs and not any(p.kind == "audio" for turn in turns for p in turn.parts):
        raise failure("audio_model_without_audio")
    if body.get("instructions"):
        said = Part(kind="text", where="instructions", text=body["instructions"])
        turns = (Turn(role="developer", parts=(said,)), *turns)
    return Ask(
        endpoint="responses",
        turns=turns,
        tools=tools,
        choice=choice,
        allowed=allowed,
        parallel=body.get("parallel_tool_calls", True),
        cap=body.get("max_output_tokens"),
        effort=effort,
        verbosity=text.get("verbosity") or "medium",
        format=kind,
        schema=schema,
        schema_name=name,
        schema_about=about,
        logprobs="message.output_text.logprobs" in (body.get("include") or ()),
        top_logprobs=body.get("top_logprobs", 0),
        moderation=moderation.asked(body),
        thought=_thought(body, model, items),
        tier=body.get("service_tier", "auto"),
        window=body.get("background_options", {}).get("completion_window", "")
        if body.get("background")
        else "",
        cache_key=body.get("prompt_cache_key", ""),
        cache_ttl=str((body.get("prompt_cache_options") or {}).get("ttl", "")),
        cached=uses_cache(body),
        stream=bool(body.get("stream")),
        obfuscated=(body.get("stream_options") or {}).get("include_obfuscation", True) is not False,
    )


def _turn(model: SimulatedModel, i: int, row: Item) -> Turn | None:
    kind = row["type"]
    if kind == "message":
        return Turn(role=row["role"], parts=_parts(model, i, row["content"]))
    if kind in _CALLS:
        custom = kind == "custom_tool_call"
        arguments = str(row.get("input" if custom else "arguments") or "")
        call = Call(id=row["call_id"], name=row["name"], arguments=arguments, custom=custom)
        return Turn(role="assistant", calls=(call,), kept=bool(row.get("stored")))
    if kind in _CALLS.values():
        return Turn(role="tool", parts=_parts(model, i, row["output"], "output"), answers=row["call_id"])
    return None


def _parts(model: SimulatedModel, i: int, content: Any, key: str = "content") -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Part(kind="text", where=f"input[{i}].{key}", text=content),)
    return tuple(_part(model, i, j, block, key) for j, block in enumerate(content))


def _part(model: SimulatedModel, i: int, j: int, block: dict[str, Any], key: str) -> Part:
    where = f"input[{i}].{key}[{j}]"
    check_breakpoint(model, block, where)
    kind = block.get("type")
    if kind == "input_image":
        media.check_image(model, "responses", i, j)
        url = str(block.get("image_url") or f"file-{block.get('file_id', '')}")
        return media.image_part(model, "responses", url, str(block.get("detail") or "auto"), where)
    if kind == "input_audio":
        media.check_audio(model, "responses", i)
        return media.audio_part(block.get("input_audio") or {}, f"{where}.input_audio")
    if kind == "input_file":
        return media.file_part(model, "responses", block, where)
    said = block.get("refusal") if kind == "refusal" else block.get("text")
    return Part(kind="refusal" if kind == "refusal" else "text", where=where, text=str(said or ""))
