"""Whether a JSON schema may be used with `strict: true`, in the words of the API's refusal."""

from __future__ import annotations

from typing import Any

_REFUSED = (
    "oneOf",
    "allOf",
    "not",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "patternProperties",
    "uniqueItems",
    "unevaluatedProperties",
    "propertyNames",
)


def objection(schema: dict[str, Any]) -> str | None:
    """Return why the schema is not strict, as the API words it, or None when it is."""
    if schema.get("type") != "object" or "anyOf" in schema:
        kind = schema.get("type")
        shown = f'"{kind}"' if isinstance(kind, str) else "None"
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {shown}'."
    return _walk(schema, ())


def _walk(schema: Any, path: tuple[str, ...]) -> str | None:
    if not isinstance(schema, dict):
        return None
    context = f"In context={_shown(path)}"
    if "$ref" not in schema and not ({"type", "anyOf", "enum", "const"} & schema.keys()):
        return f"{context}, schema must have a 'type' key."
    for word in _REFUSED:
        if word in schema:
            return f"{context}, '{word}' is not permitted."
    kinds = schema.get("type")
    if kinds == "object":  # one that may be null, too, may have open keys: 2 recorded requests were accepted
        found = _object(schema, context)
        if found:
            return found
    if kinds == "array" and "items" not in schema:
        return f"{context}, array schema missing items."
    return _children(schema, path)


def _object(schema: dict[str, Any], context: str) -> str | None:
    if schema.get("additionalProperties") is not False:
        return f"{context}, 'additionalProperties' is required to be supplied and to be false."
    properties = schema.get("properties", {})
    wanted = schema.get("required", [])
    for name in properties:
        if name not in wanted:
            return (
                f"{context}, 'required' is required to be supplied and to be an array including every key "
                f"in properties. Missing '{name}'."
            )
    return None


def _children(schema: dict[str, Any], path: tuple[str, ...]) -> str | None:
    inner: list[tuple[Any, tuple[str, ...]]] = []
    for group in ("properties", "$defs", "definitions"):
        rows = schema.get(group)
        if isinstance(rows, dict):
            inner += [(row, (*path, group, name)) for name, row in rows.items()]
    if "items" in schema:
        inner.append((schema["items"], (*path, "items")))
    if isinstance(schema.get("anyOf"), list):
        inner += [(row, (*path, "anyOf", str(i))) for i, row in enumerate(schema["anyOf"])]
    return next((found for row, where in inner if (found := _walk(row, where))), None)


def _shown(path: tuple[str, ...]) -> str:
    """The path as Python writes a tuple, which is how the API shows it."""
    return "(" + ", ".join(f"'{step}'" for step in path) + ("," if len(path) == 1 else "") + ")"
