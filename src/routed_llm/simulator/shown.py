"""What a model is shown of functions and of an output schema, as recorded bills tell.

Found by trying renderings on recorded requests until their billed tokens came out: functions stand in a
TypeScript namespace, descriptions are comments, an object none of whose members has a comment is one line;
an output schema is compact JSON, without what only limits values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from routed_llm.simulator.frozen import load

if TYPE_CHECKING:
    from routed_llm.simulator.ask import Tool

_TYPES = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}
_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_MOST = 4_000  # schemas written out, of one function


def functions(tools: Iterable[Tool]) -> str:
    """Return the functions of a request as one text."""
    text = ["namespace functions {", ""]
    for tool in tools:
        text += _lines(tool.description.strip())
        if tool.kind == "custom":
            text += [*_grammar(tool.parameters), f"type {tool.name} = (FREEFORM) => any;", ""]
            continue
        text += [f"type {tool.name} = ({_Shape(tool.parameters).argument()}) => any;", ""]
    return "\n".join([*text, "} // namespace functions"])


def output_schema(schema: Any, *, names: bool = False) -> Any:
    """Return a schema without the keys that only limit values; `names` says that its keys are names."""
    if isinstance(schema, list):
        return [output_schema(row) for row in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = set() if names else set(load("tokens")["schemas"]["hidden"])
    return {
        key: output_schema(value, names=not names and key in ("properties", "$defs", "definitions"))
        for key, value in schema.items()
        if key not in left_out
    }


def said(about: str) -> str:
    """Return a description as it stands above what it describes."""
    return "".join(f"{line}\n" for line in _lines(about.strip()))


def _grammar(shape: Mapping[str, Any]) -> list[str]:
    """Return what is said of the text that a custom tool takes, in as many words of our own."""
    words = load("tokens")["custom"]
    rules = shape.get("grammar") if isinstance(shape.get("grammar"), dict) else shape
    definition = (rules or {}).get("definition")
    if not isinstance(definition, str):
        return _lines(words["text"])
    return [*_lines(words["text"]), *_lines(words["grammar"]), *_lines(definition.strip())]


def _lines(text: Any) -> list[str]:
    if not isinstance(text, str) or not text:
        return []
    return [f"// {line.strip()}".strip() for line in text.split("\n")]


class _Shape:
    """The parameters of one function."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._whole = schema
        self._left = _MOST

    def argument(self) -> str:
        """Return the one argument of the function, or nothing."""
        members = self._whole.get("properties")
        if not isinstance(members, dict) or not members:
            return ""
        above = self._said(self._whole)
        if self._whole.get("title") or not above:
            return f"_: {self._members(self._whole, (), above)}"
        whole = self._members(self._whole, (), [])
        return "\n".join([f"_: {above[0]}", *above[1:], whole])

    def _said(self, row: Mapping[str, Any]) -> list[str]:
        title, about = _lines(row.get("title")), _lines(row.get("description"))
        return [*title, "//", *about] if title and about else [*title, *about]

    def _members(self, row: Mapping[str, Any], seen: tuple[str, ...], above: list[str]) -> str:
        must = row.get("required") or ()
        rows = []
        for name, given in row["properties"].items():
            inner, _ = self._target(given if isinstance(given, dict) else {}, seen)
            rest = _bare if "enum" in inner else _json  # one of a list of values has no quotes
            notes = [] if "default" not in inner else [f"default: {rest(inner['default'])}"]
            notes += [f"{key}: {_bound(inner, key)}" for key in _LIMITS if key in inner]
            note = ", ".join(notes)
            label = name if name in must else f"{name}?"
            kind = self._kind(given, seen)
            between = ":" if kind.startswith("\n") else ": "
            rows.append((self._said(inner), f"{label}{between}{kind}", note))
        other = row.get("additionalProperties")
        if other:
            rows.append(([], f"[key: string]: {'any' if other is True else self._kind(other, seen)}", ""))
        if above or any(said or note or "\n" in line for said, line, note in rows):
            inside = list(above)
            for said, line, note in rows:
                inside += [*said, f"{line}, // {note}" if note else f"{line},"]
            return "\n".join(["{", *inside, "}"])
        return f"{{ {', '.join(line for _, line, _ in rows)} }}"

    def _kind(self, given: Any, seen: tuple[str, ...]) -> str:
        self._left -= 1
        if not isinstance(given, dict) or self._left < 0:
            return "any"
        row, seen = self._target(given, seen)
        if isinstance(row.get("enum"), list):
            kinds = [_json(item) for item in row["enum"]]
        elif "const" in row:
            kinds = [_json(row["const"])]
        else:
            kinds = [*self._kinds(row, seen)] or ["any"]
        if row.get("nullable") is True:
            kinds.append("null")
        return " | ".join(dict.fromkeys(kinds))

    def _kinds(self, row: Mapping[str, Any], seen: tuple[str, ...]) -> Iterator[str]:
        for way in ("anyOf", "oneOf", "allOf"):
            if isinstance(row.get(way), list):
                ways = [(self._above(other, seen), self._kind(other, seen)) for other in row[way]]
                if any(above or kind.startswith("Array<") for above, kind in ways):
                    yield "".join(f"\n | {above}{kind}" for above, kind in ways) + "\n"
                else:
                    yield from (kind for _, kind in ways)
                return
        found = row.get("type")
        for name in found if isinstance(found, list) else [found]:
            if name == "array":
                item, above = self._kind(row.get("items"), seen), self._above(row.get("items"), seen)
                kinds = row["items"].get("anyOf") if isinstance(row.get("items"), dict) else None
                lines = above or "\n" in item or (kinds and " | " in item)
                yield f"Array<\n{above}{item}\n>" if lines else f"{item}[]"
            elif isinstance(row.get("properties"), dict) and row["properties"]:
                yield self._members(row, seen, [])
            else:
                yield "object" if name == "object" else _TYPES.get(str(name), "any")

    def _above(self, given: Any, seen: tuple[str, ...]) -> str:
        """Return what is said of a kind that is no member's own."""
        row, _ = self._target(given if isinstance(given, dict) else {}, seen)
        return "".join(f"{line}\n" for line in self._said(row))

    def _target(
        self, row: Mapping[str, Any], seen: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        path = row.get("$ref")
        if not isinstance(path, str):
            return row, seen
        if path in seen:
            return {}, seen
        at: Any = self._whole
        for step in path.lstrip("#").strip("/").split("/"):
            at = at.get(step) if isinstance(at, dict) else None
        beside = {key: value for key, value in row.items() if key != "$ref"}
        return {**(at or {}), **beside}, (*seen, path)


def _bound(row: Mapping[str, Any], key: str) -> str:
    """Return a limit as it is shown: with decimals, but of integers."""
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _json(value)
    return _json(int(value) if row.get("type") == "integer" else float(value))


def _bare(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
