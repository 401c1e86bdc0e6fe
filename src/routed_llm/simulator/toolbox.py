"""Reads the tools, the tool choice and the output format of a request, in either dialect."""

from __future__ import annotations

import re
from typing import Any

from routed_llm.simulator.ask import Tool
from routed_llm.simulator.checks import check_type, kind_of, required
from routed_llm.simulator.failures import failure, listed
from routed_llm.simulator.models import SimulatedModel
from routed_llm.simulator.strict_schema import objection

_NAME = "^[a-zA-Z0-9_-]+$"
_MOST_TOOLS = 128


def read_tools(body: dict[str, Any], endpoint: str) -> tuple[Tool, ...]:
    """Return the tools of a request.

    Raises:
        ApiFailure: 400, a tool in the other endpoint's form, a bad name, or a schema that cannot be used.
    """
    tools = body.get("tools")
    if tools is None:
        return ()
    if not tools and endpoint == "chat":
        raise failure("empty_array", param="tools")
    if len(tools) > _MOST_TOOLS:
        raise failure("array_too_long", param="tools", maximum=_MOST_TOOLS, length=len(tools))
    return tuple(_tool(row, f"tools[{i}]", endpoint) for i, row in enumerate(tools))


def _tool(row: Any, where: str, endpoint: str) -> Tool:
    if not isinstance(row, dict):
        raise failure("invalid_type", param=where, expected="an object", got=kind_of(row))
    kind = required(row, "type", f"{where}.")
    if kind not in ("function", "custom"):
        if endpoint == "chat":
            raise failure(
                "invalid_value", param=f"{where}.type", value=kind, supported="'function' and 'custom'"
            )
        return Tool(name=str(row.get("name") or kind), kind=str(kind))
    if endpoint == "chat":
        row = required(row, kind, f"{where}.")
        where = f"{where}.{kind}"
        check_type(where, row, ["object"])
    name = required(row, "name", f"{where}.")
    check_type(f"{where}.name", name, ["string"])
    if not re.match(_NAME, name):
        raise failure("pattern", param=f"{where}.name", pattern=_NAME)
    if len(name) > 64:
        raise failure("string_too_long", param=f"{where}.name", maximum=64, length=len(name))
    about = row.get("description") or ""
    if kind == "custom":
        shape = row.get("format")
        return Tool(
            name=name, kind="custom", description=about, parameters=shape if isinstance(shape, dict) else {}
        )
    parameters = row.get("parameters") or {}
    # A strict function that says nothing of its parameters is refused as one that leaves them open.
    open_ = {} if "parameters" in row or not row.get("strict") else {"type": "object"}
    _check_parameters(name, parameters or open_, bool(row.get("strict")), f"{where}.parameters")
    return Tool(name=name, description=about, parameters=parameters, strict=bool(row.get("strict")))


def _check_parameters(name: str, parameters: Any, strict: bool, param: str) -> None:
    check_type(param, parameters, ["object"])
    check_type(f"{param}.properties", parameters.get("properties") or {}, ["object"])
    if parameters and parameters.get("type") != "object":
        kind = parameters.get("type", "None")
        raise failure("function_schema_type", name=name, kind=kind, param=param)
    if strict and parameters:
        why = objection(parameters)
        if why:
            raise failure("strict_function", name=name, why=why, param=param)


def read_choice(body: dict[str, Any], endpoint: str, tools: tuple[Tool, ...]) -> tuple[str, tuple[str, ...]]:
    """Return (none | auto | required, the tools allowed; all when empty)."""
    choice = body.get("tool_choice")
    if choice is None:
        return "auto", ()
    if not tools and endpoint == "chat":
        raise failure("only_with", param="tool_choice", other="tools")
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            supported = listed(["none", "auto", "required"])
            raise failure("invalid_value", param="tool_choice", value=choice, supported=supported)
        return choice, ()
    check_type("tool_choice", choice, ["object"])
    kind = required(choice, "type", "tool_choice.")
    if kind == "allowed_tools":
        inner = required(choice, "allowed_tools", "tool_choice.") if endpoint == "chat" else choice
        return str(inner.get("mode", "auto")), tuple(
            _choice_name(row, endpoint) for row in inner.get("tools", ())
        )
    if kind not in ("function", "custom"):
        return "auto", ()
    name = _choice_name(choice, endpoint)
    if name not in [tool.name for tool in tools]:
        raise failure("tool_choice_unknown", name=name)
    return "required", (name,)


def _choice_name(row: dict[str, Any], endpoint: str) -> str:
    kind = str(row.get("type", "function"))
    if endpoint == "chat":
        inner = required(row, kind, "tool_choice.")
        return str(required(inner, "name", f"tool_choice.{kind}."))
    return str(required(row, "name", "tool_choice."))


def read_format(
    model: SimulatedModel, row: dict[str, Any] | None, endpoint: str
) -> tuple[str, dict[str, Any] | None, str, str]:
    """Return (text | json_object | json_schema, schema, its name, what is said of it), of either endpoint.

    Raises:
        ApiFailure: 400, an unknown type, a model without structured outputs, or a schema that is not strict.
    """
    param = "response_format" if endpoint == "chat" else "text.format"
    if row is None:
        return "text", None, "", ""
    check_type(param, row, ["object"])
    kind = required(row, "type", f"{param}.")
    if kind not in ("text", "json_object", "json_schema"):
        supported = listed(["json_object", "json_schema", "text"])
        raise failure("invalid_value", param=f"{param}.type", value=kind, supported=supported)
    if kind != "json_schema":
        return kind, None, "", ""
    inner, path = row, param
    if endpoint == "chat":
        inner = required(row, "json_schema", f"{param}.")
        path = f"{param}.json_schema"
    name = str(required(inner, "name", f"{path}."))
    if not re.match(_NAME, name):
        raise failure("pattern", param=f"{path}.name", pattern=_NAME)
    if not model.structured_outputs:
        raise failure("structured_outputs", param=param)
    schema = inner.get("schema") if endpoint == "chat" else required(inner, "schema", f"{path}.")
    schema = schema or {"type": "object", "properties": {}}
    check_type(f"{path}.schema", schema, ["object"])
    check_type(f"{path}.schema.properties", schema.get("properties") or {}, ["object"])
    why = objection(schema) if inner.get("strict") else None
    if why:
        raise failure(f"strict_schema_{endpoint}", name=name, why=why)
    return kind, schema, name, str(inner.get("description") or "")
