"""An instance of a JSON schema, with values that the prompt makes evident where it does."""

from __future__ import annotations

import random
import re
from typing import Any

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)|(?<=\()-?\d+(?:\.\d+)?")
_QUOTED = re.compile(
    r"[\"“]([^\"”\n]{1,200})[\"”]|(?<![A-Za-z])'([^'\n]{1,200})'(?![A-Za-z])|`([^`\n]{1,200})`"
)
_PROPER = re.compile(r"(?<=[a-z,:;(] )((?:[A-Z][\w’'-]*)(?:,? (?:[A-Z][\w’'-]*))*)")
_PAIR = re.compile(r"(\w+)[\"']?\s*(?:=|:|\bis\b|\bof\b)\s*(?:\"([^\"]*)\"|'([^']*)'|([\w.+-]+))")
_DEPTH = 12


class Hints:
    """What a prompt offers as values: numbers, quoted words, names and `key = value` pairs, in order."""

    def __init__(self, text: str, rng: random.Random) -> None:
        self.text = text[-20_000:]
        self.rng = rng
        self.numbers = [float(found) for found in _NUMBER.findall(self.text)]
        self.quoted: list[str] = [next(g for g in groups if g) for groups in _QUOTED.findall(self.text)]
        self.proper: list[str] = [name.strip(" ,") for name in _PROPER.findall(self.text)]
        self.pairs: dict[str, str] = {k.lower(): a or b or c for k, a, b, c in _PAIR.findall(self.text)}
        self._taken = 0
        self._words = 0

    def number(self, name: str) -> float | None:
        """Return the value given for this name, else the next number of the prompt."""
        given = self.pairs.get(name.lower())
        if given is not None and _NUMBER.fullmatch(given):
            return float(given)
        if self._taken < len(self.numbers):
            self._taken += 1
            return self.numbers[self._taken - 1]
        return None

    def words(self, name: str) -> str:
        """Return the words given for this name, else the next quoted words or name, else the prompt's."""
        given = self.pairs.get(name.lower())
        if given and given.lower() not in ("a", "an", "the"):
            return given
        offered = self.quoted or self.proper
        if offered:
            self._words += 1
            return offered[(self._words - 1) % len(offered)]
        sentence = re.split(r"(?<=[.!?])\s", self.text.strip())[-1] if self.text.strip() else name
        return f"{name.replace('_', ' ')}: {sentence[:80].rstrip('.?! ')}"


def instance(schema: dict[str, Any], hints: Hints) -> Any:
    """Return a value that conforms to the schema."""
    return _value(schema, schema, hints, "value", 0)


def _value(schema: Any, root: dict[str, Any], hints: Hints, name: str, depth: int) -> Any:
    if not isinstance(schema, dict):
        return hints.words(name)
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return _enum(schema["enum"], hints)
    for word in ("anyOf", "oneOf"):
        if schema.get(word):
            return _value(_branch(schema[word], depth), root, hints, name, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null") if depth < _DEPTH else kind[-1]
    if kind is None:
        kind = "object" if "properties" in schema else "string"
    if kind == "object":
        return _object(schema, root, hints, depth)
    if kind == "array":
        return _array(schema, root, hints, name, depth)
    return _scalar(kind, schema, hints, name)


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    for _ in range(20):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            found: Any = root
            for step in reference[1:].strip("/").split("/"):
                key = step.replace("~1", "/").replace("~0", "~")
                found = found.get(key, {}) if isinstance(found, dict) and key else found
            schema = {**(found if isinstance(found, dict) else {}), **_without(schema, "$ref")}
        elif schema.get("allOf"):
            merged: dict[str, Any] = _without(schema, "allOf")
            for part in schema["allOf"]:
                inner = _resolved(part, root)
                for key, value in inner.items():
                    both = isinstance(value, dict) and isinstance(merged.get(key), dict)
                    merged[key] = {**merged[key], **value} if both else value
            schema = merged
        else:
            break
    return schema


def _without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in schema.items() if k != key}


def _branch(branches: list[Any], depth: int) -> Any:
    """The first branch that says something; deep inside a recursion the null or the plainest one."""
    nulls = [b for b in branches if isinstance(b, dict) and b.get("type") == "null"]
    others = [b for b in branches if b not in nulls]
    if depth >= _DEPTH:
        plain = [b for b in others if isinstance(b, dict) and b.get("type") not in ("object", "array", None)]
        return (nulls or plain or branches)[0]
    return (others or branches)[0]


def _enum(values: list[Any], hints: Hints) -> Any:
    lowered = hints.text.lower()
    for value in values:
        if re.search(rf"(?<!\w){re.escape(str(value).lower())}(?!\w)", lowered):
            return value
    return values[hints.rng.randrange(len(values))]


def _object(schema: dict[str, Any], root: dict[str, Any], hints: Hints, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    needed = schema.get("required") or []
    result: dict[str, Any] = {}
    for name, row in properties.items():
        if name in needed or (depth < 2 and _mentioned(name, hints)):
            result[name] = _value(row, root, hints, name, depth + 1)
    more = schema.get("additionalProperties")
    if not properties and isinstance(more, dict):
        result["value"] = _value(more, root, hints, "value", depth + 1)
    return result


def _mentioned(name: str, hints: Hints) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.replace('_', ' '))}(?!\w)", hints.text, re.I) is not None


def _array(schema: dict[str, Any], root: dict[str, Any], hints: Hints, name: str, depth: int) -> list[Any]:
    least = int(schema.get("minItems", 0))
    most = int(schema.get("maxItems", max(least, 50)))
    given = schema.get("items")
    items: dict[str, Any] = given if isinstance(given, dict) else {}
    inner = _resolved(items, root)
    if depth >= _DEPTH and least == 0:
        return []
    wanted = max(least, 1)
    if inner.get("type") in ("integer", "number") and hints.numbers:
        wanted = max(least, len(hints.numbers) - hints._taken, 1)
    elif inner.get("type") == "string" and not inner.get("enum"):
        wanted = max(least, len(hints.quoted or hints.proper), 1)
    return [_value(items, root, hints, name, depth + 1) for _ in range(min(wanted, most, 50))]


def _scalar(kind: Any, schema: dict[str, Any], hints: Hints, name: str) -> Any:
    if kind == "null":
        return None
    if kind == "boolean":
        return re.search(r"\b(?:not|no|false|never|off)\b", hints.text, re.I) is None
    if kind in ("integer", "number"):
        return _number(kind, schema, hints, name)
    return _string(schema, hints, name)


def _number(kind: str, schema: dict[str, Any], hints: Hints, name: str) -> int | float:
    given = hints.number(name)
    value = float(hints.rng.randint(1, 10)) if given is None else given
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("exclusiveMinimum") is not None:
        low = schema["exclusiveMinimum"] + 1
    if schema.get("exclusiveMaximum") is not None:
        high = schema["exclusiveMaximum"] - 1
    value = max(value, low) if low is not None else value
    value = min(value, high) if high is not None else value
    step = schema.get("multipleOf")
    if step:
        value = round(value / step) * step
    return int(value) if kind == "integer" or value == int(value) else value


def _string(schema: dict[str, Any], hints: Hints, name: str) -> str:
    formats = {
        "date": "2026-11-22", "date-time": "2026-11-22T12:00:00Z", "time": "12:00:00Z",
        "email": "someone@example.com", "uri": "https://example.com/", "ipv4": "192.0.2.1",
        "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "hostname": "example.com", "duration": "P1D",
    }  # fmt: skip
    text = formats.get(str(schema.get("format"))) or hints.words(name)
    least = int(schema.get("minLength", 0))
    text += "." * max(0, least - len(text))
    return text[: int(schema["maxLength"])] if schema.get("maxLength") else text
