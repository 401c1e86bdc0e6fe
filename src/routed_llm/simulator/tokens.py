"""Counts a prompt as the API does: text with o200k_base, and what recorded requests were billed around it."""

from __future__ import annotations

import functools
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from routed_llm.simulator.frozen import load
from routed_llm.simulator.shown import functions, output_schema, said
from routed_llm.tokens.vocabulary import o200k_encoding

if TYPE_CHECKING:
    from routed_llm.simulator.ask import Ask, Call, Tool, Turn
    from routed_llm.simulator.models import SimulatedModel

_PIECE = 60_000  # characters; tiktoken's regular expression overflows on whitespace runs of about a million
_SAFE_SPLIT = re.compile(r"(?<=[A-Za-z0-9])(?= [A-Za-z])|(?<=\n)(?=[A-Za-z0-9])")


def encode(text: str) -> list[int]:
    """Return the tokens of a text; special tokens are read as ordinary text."""
    encoding = o200k_encoding()
    if len(text) <= _PIECE:
        return encoding.encode_ordinary(text)
    tokens: list[int] = []
    for piece in _pieces(text):
        tokens.extend(encoding.encode_ordinary(piece))
    return tokens


def decode(tokens: list[int]) -> str:
    """Return the text of tokens; bytes that are no whole character are left out."""
    return o200k_encoding().decode(tokens, errors="ignore")


def pieces_of(text: str) -> list[str]:
    """Return the text cut at token borders into pieces that are whole characters, as a stream sends them."""
    encoding = o200k_encoding()
    pieces: list[str] = []
    pending = b""
    for token in encode(text):
        pending += encoding.decode_single_token_bytes(token)
        try:
            pieces.append(pending.decode())
        except UnicodeDecodeError:
            continue
        pending = b""
    if pending:
        pieces.append(pending.decode(errors="replace"))
    return pieces


@functools.lru_cache(maxsize=2048)
def count(text: str) -> int:
    """Return the number of tokens of a text."""
    return len(encode(text))


def prompt_ids(model: SimulatedModel, ask: Ask) -> list[int]:
    """Return the tokens of the whole prompt, tools and schema first, in the order that caching sees."""
    frame = _frame(model.name, ask.endpoint)
    system = next((turn for turn in ask.turns if turn.role in ("system", "developer")), None)
    where = "alone" if system is None else "with_system"
    ids: list[int] = []
    offered = [tool for tool in ask.tools if tool.kind in ("function", "custom")]
    less = _joined(system, frame) if offered or ask.schema is not None else 0
    if offered:
        alone = 0 if ask.parallel else frame.get("single", 0)
        described = frame.get("described", 0) if offered[0].description else 0
        ids += [-4] * (frame["tools"][where] + described + alone - less) + encode(functions(offered))
        less = 0
    label: list[int] = []
    if ask.schema is not None:
        text = json.dumps(output_schema(ask.schema), ensure_ascii=False, separators=(",", ":"))
        text = said(ask.schema_about) + text
        opening = frame["schema"][where] - less - (frame["schema_and_tools"][where] if offered else 0)
        ids += [-5] * max(opening, 0) + encode(text) + encode(f" {ask.schema_name}")
        if "label" in frame:
            label = [-6] * frame["label"] + encode(ask.schema_name)
    for turns, following in itertools.pairwise((*_grouped(ask.turns), ())):
        ids += _turn_ids(turns, frame, label)
        if "wrapper" in frame["several"] and following and turns[0].role == following[0].role == "tool":
            ids = _in_lines(ids)
    forced = _forced(ask, offered, frame)
    return ids + [-7] * ask.thought + [-3] * frame["reply"] + label + forced


def _frame(name: str, endpoint: str) -> dict[str, Any]:
    """Return what stands around texts, by the age of the model."""
    frames = load("tokens")["frames"]
    ages = frames["ages"].items()
    age = next((age for age, begins in ages if f"{name}-".startswith(tuple(begins))), "new")
    found: dict[str, Any] = frames["new"][endpoint] | frames[age].get(endpoint, {})
    return found


def _joined(system: Turn | None, frame: dict[str, Any]) -> int:
    """Return how much less a system message costs where functions or a schema follow it after a line."""
    if system is None or not frame.get("joined"):
        return 0
    text = "".join(part.text for part in system.parts)
    return len(encode(text)) + 1 - len(encode(text.rstrip() + "\n\n"))


def _grouped(turns: tuple[Turn, ...]) -> list[tuple[Turn, ...]]:
    """Return turns, calls beside each other (as items of Responses are) in one group."""
    groups: list[tuple[Turn, ...]] = []
    for turn in turns:
        if turn.calls and groups and groups[-1][-1].calls:
            groups[-1] = (*groups[-1], turn)
        else:
            groups.append((turn,))
    return groups


def _in_lines(ids: list[int]) -> list[int]:
    """Return the tokens with a result at their end made a line: a mark and the line's end are one token."""
    return ids[:-1] if ids and ids[-1] >= 0 and len(encode(decode(ids[-1:]) + "\n")) == 1 else ids


def _forced(ask: Ask, offered: list[Tool], frame: dict[str, Any]) -> list[int]:
    """Return what a reply is begun with when one function has to be called."""
    names = ask.allowed or (tuple(tool.name for tool in offered) if frame.get("sole") else ())
    if ask.choice != "required" or len(names) != 1 or "forced" not in frame:
        return []
    return [-8] * frame["forced"] + encode(names[0])


def _turn_ids(turns: tuple[Turn, ...], frame: dict[str, Any], label: list[int]) -> list[int]:
    """Return the tokens of one message, its frame and media included (as repeated marks)."""
    ids: list[int] = []
    turn = turns[0]
    calls = [call for one in turns for call in one.calls]
    if calls:
        ids += [-1] * (frame["said"] if turn.text else 0)
    elif turn.role != "tool":
        ids += encode(turn.role) + [-1] * (
            frame["message"] - 1 + frame["assistant"] * (turn.role == "assistant")
        )
        ids += label if turn.role == "assistant" else []
    for one in turns:
        if one.name:
            ids += [-9] * frame.get("name", 0) + encode(one.name)
        # Text blocks beside each other were billed as one text.
        for is_text, parts in itertools.groupby(
            one.parts, key=lambda part: part.kind == "text" and not part.mime
        ):
            if is_text:
                ids += encode("".join(part.text for part in parts))
                continue
            for part in parts:
                if part.text and part.kind in ("text", "refusal"):
                    ids += encode(part.text)
                elif part.tokens:
                    ids += [hash((part.kind, part.mime, part.data, part.text))] * part.tokens
    return ids + _call_ids(calls, frame, kept=turn.kept)


def _call_ids(calls: list[Call], frame: dict[str, Any], *, kept: bool) -> list[int]:
    """Return the tokens of the calls of one turn and of what stands around their results."""
    if not calls:
        return []
    several = frame["several"]
    if len(calls) > 1 and "wrapper" in several:
        uses = ",".join(
            f'{{"recipient_name":"functions.{call.name}","parameters":{_tight(call.arguments)}}}'
            for call in calls
        )
        around = several["wrapper"] + several["each"] * len(calls)
        return [-2] * around + encode(f'{{"tool_uses":[{uses}]}}')
    around = several["turn"] + several["each"] * len(calls) if len(calls) > 1 else frame["call"]
    ids = [-2] * (around + (frame.get("kept", 0) if kept and len(calls) == 1 else 0))
    for call in calls:
        names = encode(f"functions.{call.name}")
        ids += names + (names if frame.get("both") else encode(call.name)) + encode(_tight(call.arguments))
    return ids


def _tight(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        return arguments


def call_tokens(name: str, arguments: str) -> int:
    """Return what a tool call costs as output."""
    return count(name) + count(arguments) + 3


def _pieces(text: str) -> list[str]:
    cuts = [0]
    while len(text) - cuts[-1] > _PIECE:
        found = _SAFE_SPLIT.search(text, cuts[-1] + _PIECE // 2, cuts[-1] + 8 * _PIECE)
        cuts.append(found.start() if found else min(cuts[-1] + 8 * _PIECE, len(text)))
    return [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True) if a < b]
