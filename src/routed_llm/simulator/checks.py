"""The first look at a request body: known fields, types, ranges, closed values."""

from __future__ import annotations

from typing import Any

from routed_llm.simulator.failures import failure, listed
from routed_llm.simulator.frozen import load

_KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "decimal": ("a decimal", (int, float)),
    "integer": ("an integer", (int,)),
    "boolean": ("a boolean", (bool,)),
    "string": ("a string", (str,)),
    "array": ("an array", (list,)),
    "object": ("an object", (dict,)),
}


def clean_body(body: Any, endpoint: str) -> dict[str, Any]:
    """Return the body without its nulls (which mean absent), every field known and of the right type.

    Raises:
        ApiFailure: 400, naming the first field that is wrong.
    """
    if not isinstance(body, dict):
        raise failure("bad_json")
    fields = load("fields")
    for key in body:
        if key not in fields[endpoint]:
            raise failure("unknown_parameter", param=key)
    cleaned = {key: value for key, value in body.items() if value is not None}
    for key, value in cleaned.items():
        check_type(key, value, fields["types"].get(key))
        if key in fields[f"{endpoint}_inner"]:
            check_known(value, fields[f"{endpoint}_inner"][key], key)
        allowed = fields["values"].get(key)
        for item in value if isinstance(value, list) else [value]:
            if allowed and item not in allowed:
                raise failure("invalid_value", param=key, value=item, supported=listed(allowed))
    return cleaned


def check_type(param: str, value: Any, rule: list[Any] | None) -> None:
    """Refuse a value of the wrong type or out of range; no rule, no check."""
    if rule is None:
        return
    kind = rule[0]
    expected, types = _KINDS[kind]
    wrong_bool = isinstance(value, bool) and kind in ("decimal", "integer")
    if wrong_bool or not isinstance(value, types):
        raise failure("invalid_type", param=param, expected=expected, got=kind_of(value))
    if kind not in ("decimal", "integer"):
        return
    least: Any = rule[1] if len(rule) > 1 else ""
    most: Any = rule[2] if len(rule) > 2 else ""
    if least != "" and value < least:
        raise failure(f"{kind}_below", param=param, minimum=least, value=number(value))
    if most != "" and value > most:
        raise failure(f"{kind}_above", param=param, maximum=most, value=number(value))


def kind_of(value: Any) -> str:
    """Return the name of a JSON type as error bodies write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def number(value: Any) -> str:
    """Return a number or a boolean as error bodies write it: as it was sent."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def required(body: dict[str, Any], param: str, path: str = "") -> Any:
    """Return a field that must be there."""
    if body.get(param) is None:
        raise failure("missing_parameter", param=path + param)
    return body[param]


def check_known(block: dict[str, Any], allowed: list[str], path: str) -> None:
    """Refuse a block with a field that the API does not know, by its path."""
    for key in block:
        if key not in allowed:
            raise failure("unknown_parameter", param=f"{path}.{key}")
