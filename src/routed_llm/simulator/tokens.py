"""Counts a prompt as the API would: text with o200k_base, and the published overheads."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from routed_llm.simulator.frozen import load
from routed_llm.tokens.vocabulary import o200k_encoding

if TYPE_CHECKING:
    from routed_llm.simulator.ask import Ask, Tool, Turn

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


def tools_tokens(tools: tuple[Tool, ...]) -> int:
    """Return what the tool definitions add to the prompt."""
    rule = load("tokens")["tools"]
    offered = [tool for tool in tools if tool.kind in ("function", "custom")]
    if not offered:
        return 0
    return sum(_tool_tokens(tool, rule) for tool in offered) + int(rule["end"])


def turn_ids(turn: Turn) -> list[int]:
    """Return the tokens of one message, its overhead and media included (as repeated marks)."""
    rule = load("tokens")["messages"]
    ids = [-1] * int(rule["per_message"]) + encode(turn.role)
    if turn.name:
        ids += encode(turn.name) + [-2] * int(rule["per_name"])
    for part in turn.parts:
        if part.text and part.kind in ("text", "refusal"):
            ids += encode(part.text)
        elif part.tokens:
            ids += [hash((part.kind, part.mime, part.data, part.text))] * part.tokens
    for call in turn.calls:
        ids += encode(call.name) + encode(call.arguments)
    return ids


def prompt_ids(ask: Ask) -> list[int]:
    """Return the tokens of the whole prompt, tools and schema first, in the order that caching sees."""
    ids: list[int] = []
    tools = tools_tokens(ask.tools)
    if tools:
        mark = hash("".join(tool_text(tool) for tool in ask.tools))
        ids += [mark] * tools
    if ask.schema is not None:
        ids += encode(json.dumps(ask.schema, ensure_ascii=False, separators=(",", ":")))
    for turn in ask.turns:
        ids += turn_ids(turn)
    return ids + [-3] * int(load("tokens")["messages"]["reply"])


def tool_text(tool: Tool) -> str:
    """Return a tool definition as one text, to tell two definitions apart."""
    return json.dumps([tool.kind, tool.name, tool.description, tool.parameters], sort_keys=True)


def call_tokens(name: str, arguments: str) -> int:
    """Return what a tool call costs as output."""
    return count(name) + count(arguments) + 3


def _tool_tokens(tool: Tool, rule: dict[str, Any]) -> int:
    total = int(rule["per_function"]) + count(f"{tool.name}:{tool.description.rstrip('.')}")
    properties = tool.parameters.get("properties")
    if not isinstance(properties, dict) or not properties:
        return total
    total += int(rule["per_properties"])
    for key, value in properties.items():
        row = value if isinstance(value, dict) else {}
        total += int(rule["per_property"])
        if isinstance(row.get("enum"), list):
            total += int(rule["enum"])
            total += sum(int(rule["per_enum_item"]) + count(str(item)) for item in row["enum"])
        kind = row.get("type", "")
        total += count(f"{key}:{kind if isinstance(kind, str) else 'any'}:{_about(row)}")
    nested = {k: v for k, v in tool.parameters.items() if k in ("$defs", "definitions")}
    return total + (count(json.dumps(nested, separators=(",", ":"))) if nested else 0)


def _about(row: dict[str, Any]) -> str:
    """The rest of a property's schema as text; the cookbook counts the description, real schemas nest."""
    text = str(row.get("description", "")).rstrip(".")
    inner = {k: v for k, v in row.items() if k in ("properties", "items", "anyOf", "oneOf", "allOf")}
    return text + (json.dumps(inner, separators=(",", ":")) if inner else "")


def _pieces(text: str) -> list[str]:
    cuts = [0]
    while len(text) - cuts[-1] > _PIECE:
        found = _SAFE_SPLIT.search(text, cuts[-1] + _PIECE // 2, cuts[-1] + 8 * _PIECE)
        cuts.append(found.start() if found else min(cuts[-1] + 8 * _PIECE, len(text)))
    return [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True) if a < b]
