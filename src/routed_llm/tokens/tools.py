"""What tool definitions, tool calls and output schemas cost: the texts that the provider makes of them.

No such text is published. These reproduce what 3,600 recorded exchanges were billed for (2023-04 to 2026-09,
public test suites): functions as a TypeScript namespace, each with its description as a comment, and an
output schema as compact JSON without its limits, its description as a comment, too. What stands around
them, by model and endpoint, is in `framing`.

Functions here return the texts to count, so that counting stays lazy.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from routed_llm.tokens.vocabulary import words

__all__ = [
    "DESCRIBED",
    "ToolLists",
    "call_texts",
    "ends_in_mark",
    "joins",
    "name_tokens",
    "namespace",
    "schema_name",
    "schema_texts",
    "shared",
    "sole_name",
]

_LISTS = 256
_DEEP: Final = 64
_NODES: Final = 20_000
"""Parts of a schema that are written out; a schema that refers to itself over and over has no end."""

_HIDDEN: Final = frozenset(
    (
        *("additionalProperties", "required", "$schema", "default", "format", "pattern"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minLength", "maxLength", "minItems", "maxItems"),
    )
)
"""What a model is not shown of an output schema: it holds the answer to it in another way."""

_MARKS: Final = ("$", "+", "<", "=", ">", "^", "`", "|", "~")
_WORD: Final = re.compile(r"_?[A-Z]?[a-z]+|_?[A-Z]+(?![a-z])|\d{1,3}|_+|[^\w]")
_LONG: Final = 9
"""Letters from which a first word is looked up. Of 315 recorded names 277 are right, 309 within one."""

_NAMED: Final = frozenset(("properties", "$defs", "definitions"))
_SCALARS: Final = {
    "string": "string",
    "boolean": "boolean",
    "null": "null",
    "number": "number",
    "integer": "number",
}


DESCRIBED: Final = "namespace functions {\n\n//"
"""How a list of functions begins whose first one is described."""


def namespace(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return functions as the provider shows them to the model.

    Args:
        tools: definitions in the form of either API (`{"type": "function", "function": {...}}` or with the
            function's keys beside the type), custom tools among them.
    """
    return "namespace functions {\n\n" + "".join(map(_function, tools)) + "} // namespace functions"


def schema_texts(response_format: Mapping[str, Any] | None) -> list[str]:
    """Return the texts of a structured-output schema: its name, its description and itself.

    Args:
        response_format: `response_format` of Chat Completions or `text.format` of Responses. Formats
            without a schema cost nothing.
    """
    if not response_format or response_format.get("type") != "json_schema":
        return []
    named = response_format.get("json_schema", response_format)
    schema = named.get("schema") or {}
    about = named.get("description")
    about = _comment(about.strip()) if isinstance(about, str) else ""
    name = named.get("name")
    texts = [f" {name}" if isinstance(name, str) and name else None, about + compact(_shown(schema, _DEEP))]
    return [text for text in texts if isinstance(text, str) and text]


def call_texts(name: str, arguments: str | Mapping[str, Any]) -> list[str]:
    """Return the texts of one tool call of an earlier turn: its result names the function, too."""
    text = arguments if isinstance(arguments, str) else compact(arguments)
    if ": " in text or ", " in text or "\n" in text or "\\" in text:
        with suppress(ValueError, RecursionError):  # what is no JSON is counted as it stands
            text = compact(json.loads(text))
    return [f"functions.{name}", name, text]


def name_tokens(name: str) -> int:
    """Say how many tokens a function's or a schema's name is, about, without counting: 1 at least."""
    return sum(map(_word_tokens, _WORD.findall(name))) or 1


@lru_cache(maxsize=4096)
def _word_tokens(word: str) -> int:
    if (len(word) < _LONG and word[0] != "_") or not word.strip("_") or word.lower() in words():
        return 1
    return max(2, len(word) // 5)


def sole_name(tools: Sequence[Mapping[str, Any]]) -> int:
    """Say how many tokens the name of the one function in a list is, about; 0 unless there is one."""
    if len(tools) != 1:
        return 0
    tool = tools[0]
    named = tool.get("function") or tool.get("custom") or tool
    name = named.get("name") if isinstance(named, Mapping) else None
    return name_tokens(name) if isinstance(name, str) else 0


def schema_name(response_format: Mapping[str, Any]) -> str:
    """Return the name of a structured-output schema."""
    name = response_format.get("json_schema", response_format).get("name")
    return name if isinstance(name, str) else ""


def joins(text: str) -> int:
    """Say how many tokens a text costs less where functions or a schema are written behind it.

    They follow it, without the spaces at its end, after an empty line, which is one piece with a mark before
    it (o200k's pattern for pieces).
    """
    rest = text.rstrip()
    if not rest:
        return 0
    joined = ends_in_mark(rest)
    lines, _, spaces = text[len(rest) :].rpartition("\n")
    ended = len(rest) + len(lines) + len(spaces) < len(text)
    return joined + (ended and not joined) + bool(spaces)


def ends_in_mark(text: str) -> bool:
    """Say whether a text ends in a mark, which is one piece with the end of its line."""
    return bool(text) and (text.endswith(_MARKS) or unicodedata.category(text[-1])[0] == "P")


class ToolLists:
    """The texts of whole tool lists, kept because an agent sends the same list with every call.

    A list is known again by its identity, and compared in full with what it was, so that a list changed in
    place is seen; another object of the same content is known by its canonical JSON. Safe to share
    between threads.
    """

    __slots__ = ("_by_identity", "_by_json", "_limit", "_lock")

    def __init__(self, limit: int = _LISTS) -> None:
        self._by_identity: dict[int, tuple[Any, Any, str]] = {}
        self._by_json: dict[str, str] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_json)

    def text(self, tools: Sequence[Mapping[str, Any]]) -> str:
        """Return the text of a list of tools; the empty text for an empty one."""
        if not tools:
            return ""
        known = self._by_identity.get(id(tools))
        if known is not None and known[0] is tools and known[1] == tools:
            return known[2]
        key = compact(tools)
        text = self._by_json.get(key) or namespace(tools)
        # Programs that make a new list for each call would pay for a copy that nothing is compared with.
        before = None if known is None or known[0] is not tools else copy.deepcopy(tools)
        with self._lock:
            _keep(self._by_json, key, text, self._limit)
            # The list itself is kept alive, so that no other one can take its identity.
            _keep(self._by_identity, id(tools), (tools, before, text), self._limit)
        return text


shared: Final = ToolLists()
"""The tool lists of this process."""


def compact(value: Any) -> str:
    """Return JSON without a space."""
    return _ENCODER.encode(value)


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str)


def _keep(table: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    if key not in table and len(table) >= limit:
        del table[next(iter(table))]
    table[key] = value


def _function(tool: Mapping[str, Any]) -> str:
    custom = tool.get("custom") if tool.get("type") == "custom" else None
    function = custom if isinstance(custom, Mapping) else tool.get("function", tool)
    if not isinstance(function, Mapping):
        return f"{compact(tool)}\n\n"
    head = _comment(str(function.get("description") or "").strip())
    name = function.get("name", "")
    if tool.get("type") == "custom":
        return f"{head}{_freeform(function.get('format'))}type {name} = (FREEFORM) => any;\n\n"
    parameters = function.get("parameters")
    if not isinstance(parameters, Mapping) or not parameters.get("properties"):
        return f"{head}type {name} = () => any;\n\n"
    return f"{head}type {name} = (_: {_Writer(parameters).top()}) => any;\n\n"


_TEXT: Final = "// What is sent is plain text as it stands, not JSON.\n"
_RULES: Final = (
    "// It has to be a sentence of the grammar below, whose syntax is {}, from its first sign to the last, "
    "or else it is refused again.\n// Grammar:\n"
)
"""In words of our own, of as many tokens as were billed beside description and grammar: 13 or 14 without one,
45 to 48 with one (7 custom tools on record)."""


def _freeform(shape: Any) -> str:
    """Return what is said of the text that a custom tool takes: its grammar, each line without its indent."""
    grammar = shape.get("grammar", shape) if isinstance(shape, Mapping) else None
    definition = grammar.get("definition") if isinstance(grammar, Mapping) else None
    if not isinstance(grammar, Mapping) or not isinstance(definition, str):
        return _TEXT
    return _TEXT + _RULES.format(grammar.get("syntax", "")) + _comment(definition.strip())


def _comment(text: str) -> str:
    # Each line on its own, without what indents it; an empty one keeps its mark.
    return "".join(f"// {line.strip()}".rstrip() + "\n" for line in text.split("\n")) if text else ""


def _about(schema: Mapping[str, Any]) -> str:
    title, text = schema.get("title"), schema.get("description")
    head = _comment(title) if isinstance(title, str) else ""
    if not (isinstance(text, str) and text):
        return head
    return f"{head}//\n{_comment(text)}" if head else _comment(text)


_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def _rest(schema: Mapping[str, Any]) -> str:
    """Return what is written behind a member: its default and its limits, with decimals but of integers."""
    whole = int if schema.get("type") == "integer" else float
    limits = ((key, schema.get(key)) for key in _LIMITS)
    notes = [
        f"{key}: {compact(whole(value))}"
        for key, value in limits
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if "default" in schema:
        rest = schema["default"]
        # One of a list of values stands there without quotes.
        bare = isinstance(rest, str) and "enum" in schema
        notes.insert(0, f"default: {rest if bare else compact(rest)}")
    return f" // {', '.join(notes)}" if notes else ""


@dataclass(slots=True)
class _Writer:
    """Writes the parameters of one function as a TypeScript type."""

    root: Mapping[str, Any]
    left: int = field(default=_NODES)

    def top(self) -> str:
        """Write the whole; only here a title and a description of the object itself are shown."""
        head = _about(self.root)
        return (
            self._object(self.root, (), head)
            if self.root.get("title")
            else head + self._object(self.root, ())
        )

    def _type(self, schema: Any, open_: tuple[str, ...]) -> str:
        self.left -= 1
        if self.left < 0 or len(open_) > _DEEP or not isinstance(schema, Mapping):
            return "any"
        schema, open_ = self._followed(schema, open_)
        if schema.get("nullable") is True:
            bare = {key: value for key, value in schema.items() if key != "nullable"}
            return f"{self._type(bare, open_)} | null"
        if "enum" in schema and isinstance(schema["enum"], Sequence):
            return " | ".join(map(compact, schema["enum"]))
        if "const" in schema:
            return compact(schema["const"])
        for key in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(key), list | tuple):
                return self._union(schema[key], open_)
        return self._named(schema, schema.get("type"), open_)

    def _said(self, schema: Any, open_: tuple[str, ...]) -> tuple[str, str]:
        """Return what is said of a schema that has no line of its own, and its type."""
        shown = self._followed(schema, open_)[0] if isinstance(schema, Mapping) else {}
        return _about(shown), self._type(schema, (*open_, ""))

    def _union(self, parts: Sequence[Any], open_: tuple[str, ...]) -> str:
        """Write alternatives: each on a line of its own where something is said of one."""
        found = [self._said(part, open_) for part in parts]
        if any(head or kind.startswith("Array<") for head, kind in found):
            return "".join(f"\n | {head}{kind}" for head, kind in found) + "\n"
        return " | ".join(dict.fromkeys(kind for _, kind in found))

    def _named(self, schema: Mapping[str, Any], kind: Any, open_: tuple[str, ...]) -> str:
        if isinstance(kind, list | tuple):
            return " | ".join(self._named(schema, one, (*open_, "")) for one in kind if isinstance(one, str))
        if kind == "array":
            head, item = self._said(schema.get("items"), open_)
            # Alternatives, and what takes several lines, stand on lines of their own.
            apart = head or "\n" in item or (" | " in item and item[0] not in '{"')
            return f"Array<\n{head}{item}\n>" if apart else f"{item}[]"
        if kind == "object" or isinstance(schema.get("properties"), Mapping):
            return self._object(schema, open_) if schema.get("properties") else "object"
        return _SCALARS.get(kind, "any") if isinstance(kind, str) else "any"

    def _object(self, schema: Mapping[str, Any], open_: tuple[str, ...], head: str = "") -> str:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return "object"
        asked = schema.get("required")
        required = set(map(str, asked)) if isinstance(asked, list | tuple) else set()
        lines = []
        plain = not head
        for name, given in properties.items():
            shown = self._followed(given, open_)[0] if isinstance(given, Mapping) else {}
            about, more = _about(shown), _rest(shown)
            mark = "" if name in required else "?"
            kind = self._type(given, (*open_, ""))
            gap = "" if kind.startswith("\n") else " "
            plain = plain and not (about or more or "\n" in kind)
            lines.append((about, f"{name}{mark}:{gap}{kind}", more))
        other = schema.get("additionalProperties")
        if other:
            kind = "any" if other is True else self._type(other, (*open_, ""))
            plain = plain and "\n" not in kind
            lines.append(("", f"[key: string]: {kind}", ""))
        if plain:
            return "{ " + ", ".join(line for _, line, _ in lines) + " }"
        return "{\n" + head + "".join(f"{about}{line},{more}\n" for about, line, more in lines) + "}"

    def _followed(
        self, schema: Mapping[str, Any], open_: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return what a reference stands for; nothing for one that leads to itself, or nowhere."""
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema, open_
        if reference in open_:
            return {}, open_
        found: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(step) if isinstance(found, Mapping) else None
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**(found if isinstance(found, Mapping) else {}), **rest}, (*open_, reference)


def _shown(schema: Any, deep: int, named: bool = False) -> Any:
    """Return a schema without what the model is not shown of it."""
    if deep and isinstance(schema, Mapping):
        return {
            key: _shown(value, deep - 1, not named and key in _NAMED)
            for key, value in schema.items()
            if named or key not in _HIDDEN
        }
    if deep and isinstance(schema, list | tuple):
        return [_shown(item, deep - 1) for item in schema]
    return schema
