"""What tool definitions, tool calls, tool results and output schemas cost.

The cookbook ("How to count tokens with tiktoken", measured for gpt-4o and gpt-4o-mini) covers functions
whose properties are flat: a type, a description, an enum. Such a tool counts by its rule.

What it does not cover (nested objects, arrays, anyOf, $ref and $defs, defaults, a `required` list is
ignored by the rule) counts on the safe side: the compact JSON text of the whole definition plus the rule's
fixed tokens of every property and enum item in it. That is never less than the JSON text alone, nor than
the rule applied to every level, because the JSON holds every name, type and description that the rule
counts. Structured-output schemas count in the same way.

Functions here return the texts to count and the tokens to add to them, so that counting stays lazy.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

FUNC_INIT: Final = 7
PROP_INIT: Final = 3
PROP_KEY: Final = 3
ENUM_INIT: Final = -3
ENUM_ITEM: Final = 3
FUNC_END: Final = 12
"""Once a request that has tools."""

PER_CALL: Final = 8
"""Tokens reserved for the frame of one tool call (its addressee and channel); not published, an allowance."""

_FLAT_PROPERTY = frozenset(("type", "description", "enum", "title"))
_FLAT_PARAMETERS = frozenset(("type", "properties", "required", "additionalProperties", "title", "$schema"))
_LISTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolParts:
    """Texts to count, and tokens to add to their count.

    Attributes:
        texts: counted one by one.
        fixed: tokens beside the texts.
    """

    texts: tuple[str, ...] = ()
    fixed: int = 0


def tool_parts(tool: Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the texts and the fixed tokens of one tool, without the 12 that end the list.

    Args:
        tool: a definition in the form of either API (`{"type": "function", "function": {...}}` or with the
            function's keys beside the type), or any other tool, which counts as its JSON text.
    """
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or "name" not in function:
        return [_compact(tool)], FUNC_INIT
    parameters = function.get("parameters") or {}
    if _is_flat(parameters):
        return _by_rule(function, parameters.get("properties") or {})
    return [_compact(function)], FUNC_INIT + _fixed(parameters)


def schema_parts(response_format: Mapping[str, Any] | None) -> tuple[list[str], int]:
    """Return the texts and the fixed tokens of a structured-output schema.

    Args:
        response_format: `response_format` of Chat Completions or `text.format` of Responses. Formats
            without a schema cost nothing.
    """
    if not response_format or response_format.get("type") != "json_schema":
        return [], 0
    named = response_format.get("json_schema", response_format)
    return [_compact(named)], FUNC_INIT + FUNC_END + _fixed(named.get("schema") or {})


def call_parts(name: str, arguments: str | Mapping[str, Any]) -> tuple[list[str], int]:
    """Return the texts and the fixed tokens of one tool call inside an assistant message."""
    return [name, arguments if isinstance(arguments, str) else _compact(arguments)], PER_CALL


def result_parts(call_id: str, name: str | None = None) -> tuple[list[str], int]:
    """Return what a tool result adds to its message's frame and content.

    The cookbook counts every value of a message, hence the id, though a model may never see it.
    """
    return [call_id, name] if name else [call_id], 0


class ToolLists:
    """The parts of whole tool lists, kept because an agent sends the same list with every call.

    A list is known again by its identity, and compared in full with what it was, so that a list changed in
    place is seen; another object of the same content is known by its canonical JSON. Safe to share
    between threads.
    """

    __slots__ = ("_by_identity", "_by_json", "_limit", "_lock")

    def __init__(self, limit: int = _LISTS) -> None:
        self._by_identity: dict[int, tuple[Any, Any, ToolParts]] = {}
        self._by_json: dict[str, ToolParts] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_json)

    def parts(self, tools: Sequence[Mapping[str, Any]]) -> ToolParts:
        """Return the texts and the fixed tokens of a list of tools; nothing for an empty one."""
        if not tools:
            return ToolParts()
        known = self._by_identity.get(id(tools))
        if known is not None and known[0] is tools and known[1] == tools:
            return known[2]
        key = json.dumps(tools, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
        parts = self._by_json.get(key) or _list_parts(tools)
        with self._lock:
            _keep(self._by_json, key, parts, self._limit)
            # The list itself is kept alive, so that no other one can take its identity.
            _keep(self._by_identity, id(tools), (tools, copy.deepcopy(tools), parts), self._limit)
        return parts


shared: Final = ToolLists()
"""The tool lists of this process."""


def _keep(table: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    if key not in table and len(table) >= limit:
        del table[next(iter(table))]
    table[key] = value


def _list_parts(tools: Sequence[Mapping[str, Any]]) -> ToolParts:
    texts: list[str] = []
    fixed = FUNC_END
    for tool in tools:
        more, tokens = tool_parts(tool)
        texts += more
        fixed += tokens
    return ToolParts(texts=tuple(texts), fixed=fixed)


def _by_rule(function: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[list[str], int]:
    texts = [f"{function['name']}:{_sentence(function)}"]
    fixed = FUNC_INIT + (PROP_INIT if properties else 0)
    for name, schema in properties.items():
        fixed += PROP_KEY
        items = schema.get("enum")
        if items is not None:
            fixed += ENUM_INIT + ENUM_ITEM * len(items)
            texts += [item if isinstance(item, str) else _compact(item) for item in items]
        texts.append(f"{name}:{schema.get('type', '')}:{_sentence(schema)}")
    return texts, fixed


def _sentence(described: Mapping[str, Any]) -> str:
    # The cookbook drops a full stop at the end, as the provider's own rendering seems to do.
    return str(described.get("description") or "").removesuffix(".")


def _is_flat(parameters: Any) -> bool:
    if not isinstance(parameters, Mapping) or not parameters.keys() <= _FLAT_PARAMETERS:
        return False
    properties = parameters.get("properties") or {}
    return isinstance(properties, Mapping) and all(map(_is_flat_property, properties.values()))


def _is_flat_property(schema: Any) -> bool:
    return (
        isinstance(schema, Mapping)
        and schema.keys() <= _FLAT_PROPERTY
        and isinstance(schema.get("type", ""), str)
        and schema.get("type") not in ("object", "array")
        and isinstance(schema.get("enum", []), Sequence)
    )


def _fixed(schema: Any) -> int:
    """Return the rule's fixed tokens of every property and enum item at any depth of a schema."""
    total = 0
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, Mapping):
            properties = node.get("properties")
            if isinstance(properties, Mapping) and properties:
                total += PROP_INIT + PROP_KEY * len(properties)
            items = node.get("enum")
            if isinstance(items, list):
                total += ENUM_ITEM * len(items)
            stack.extend(node.values())
        elif isinstance(node, list | tuple):
            stack.extend(node)
    return total


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
