"""Settings: what is known of a request besides its messages: parameters, tools, who answered before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from routed_llm.errors import RequestError
from routed_llm.facts import TEXT, Previous
from routed_llm.fields import MOST_STOPS, RANGES
from routed_llm.parameters import INCLUDED
from routed_llm.policy import DIMENSIONS_BY_TASK, EFFORTS
from routed_llm.request.checks import as_json, check, short
from routed_llm.tokens import tools as tool_rules
from routed_llm.usage import hosted_name, setup_of

__all__ = ["FUNCTION_TOOLS", "Settings"]

_CAP_NAMES = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_TIERS = {"auto": "standard", "default": "standard", "fast": "priority"}
_SOLD = frozenset({"standard", "flex", "priority", "batch", "ultrafast"})
_WINDOWS = {"2h": "background_2h", "8h": "background_8h"}
FUNCTION_TOOLS = frozenset({"function", "custom"})
_AIRY = 54
"""Characters of functions that are a token less than those of prose: 316 recorded lists have 0.213 a
character, 9 % fewer than are estimated of prose, in the mean."""
_MOST_TOKENS = 10**12  # no limit of a model comes near it


class Settings:
    """The half of a :class:`~routed_llm.request.builder.RequestBuilder` that knows no message."""

    _fixed = 0
    _schemas = 0
    _shape = 0
    _forced = 0
    _offered: Sequence[Mapping[str, Any]] = ()
    _functions = 0
    _described = 0
    _custom = 0
    _airy = 0
    _role: str | None = None
    _opening: int | None = None
    _outputs: frozenset[str] = TEXT
    _tools = 0
    _builtin: frozenset[str] = frozenset()
    _setups: tuple[tuple[str, str], ...] = ()

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._parameters: dict[str, Any] = {}
        self._values: dict[str, Any] = {}

    def set(self, name: str, value: Any) -> Self:
        """Note a parameter by its name on either endpoint; None counts as not given.

        Raises:
            RequestError: when the value is of a kind that no model takes.
        """
        if value is None:
            return self
        special = _SPECIAL.get(name)
        if special is not None:
            special(self, value)
        elif name in _CAP_NAMES:
            self._set_cap(name, value)
        else:
            if name in RANGES:
                _check_range(name, value)
            self._parameters[name] = value
        return self

    def tools(self, definitions: Sequence[Mapping[str, Any]]) -> Self:
        """Add the tools offered, in the form of either endpoint; hosted tools are recognised by their type.

        Raises:
            RequestError: when they are not a list of objects.
        """
        check("tools", definitions, (list, tuple), "a list of objects")
        for definition in definitions:
            check("tools", definition, Mapping, "a list of objects")
        functions: Sequence[Mapping[str, Any]] = definitions
        kinds = [str(definition.get("type", "function")) for definition in definitions]
        if kinds.count("function") != len(kinds):
            self._custom += kinds.count("custom")
            if not FUNCTION_TOOLS.issuperset(kinds):
                functions = self._hosted(definitions)
        self._end_opening()
        if functions:
            with as_json("tools"):
                text = tool_rules.shared.text(functions)
            self._texts.append(text)
            self._airy += len(text) // _AIRY
            self._described = int(text.startswith(tool_rules.DESCRIBED))
            self._tools += len(functions)
            self._offered = functions
        return self

    def _hosted(self, definitions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        functions = []
        for definition in definitions:
            kind = str(definition.get("type", "function"))
            if kind in FUNCTION_TOOLS:
                functions.append(definition)
            else:
                name = hosted_name(kind)
                self._builtin |= {name}
                setup = setup_of(definition)
                if setup:
                    self._setups = (*self._setups, (name, setup))
        return functions

    def _only(self) -> int:
        """Tokens of the name of the one function that is offered, where one has to be called."""
        if self._tools != 1 or self._values.get("tool_choice") != "required":
            return 0
        return tool_rules.sole_name(self._offered)

    def previous(self, previous: Previous | None) -> Self:
        """Note who answered the turn before."""
        if previous is None:
            self._values.pop("previous", None)
        else:
            self._values["previous"] = previous
        return self

    def locked_to(self, model: str | None) -> Self:
        """Note the model whose stored state the request refers to."""
        if model is None:
            self._values.pop("locked_to", None)
        else:
            self._values["locked_to"] = model
        return self

    def pin(self, model: str | None) -> Self:
        """Note a model that was named for this call only.

        Raises:
            RequestError: when it is not a string.
        """
        if model is not None:
            check("model", model, str, "a model id such as 'gpt-4o'")
        self._values["model"] = model
        return self

    def endpoint(self, endpoint: str | None) -> Self:
        """Note an endpoint that the caller insists on."""
        self._values["endpoint"] = endpoint
        return self

    def emulates(self, *parameters: str) -> Self:
        """Note parameters that the caller makes good itself where no model takes them."""
        self._values["emulates"] = frozenset(parameters)
        return self

    def task(self, task: str | None) -> Self:
        """Note what the caller says this call is for.

        Raises:
            RequestError: when it is none of a policy's tasks.
        """
        if task is not None and task not in DIMENSIONS_BY_TASK:
            valid = ", ".join(DIMENSIONS_BY_TASK)
            raise RequestError(f"task={task!r} is none of {valid}. Use one of these.", where="task")
        self._values["task"] = task
        return self

    def _end_opening(self) -> None:
        if self._opening is None and self._role == "user":
            self._opening = len(self._texts)

    def _set_cap(self, name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_TOKENS:
            raise RequestError(
                f"{name}={short(value)} is not a token count. Give a whole number above 0.", where=name
            )
        self._values["cap"] = value
        self._values["cap_name"] = name

    def _set_effort(self, value: Any) -> None:
        if value not in EFFORTS:
            valid = ", ".join(EFFORTS)
            raise RequestError(
                f"reasoning_effort={value!r} is none of {valid}. Use one of these.", where="reasoning_effort"
            )
        self._values["effort"] = value

    def _set_reasoning(self, value: Any) -> None:
        check("reasoning", value, Mapping, "an object")
        rest = {key: item for key, item in value.items() if key != "effort" and item is not None}
        if value.get("effort") is not None:
            self._set_effort(value["effort"])
        if rest:
            self._parameters["reasoning"] = rest

    def _set_include(self, value: Any) -> None:
        self._parameters["include"] = value
        if isinstance(value, (list, tuple)):
            self._parameters.update((item, True) for item in INCLUDED if item in value)

    def _set_text(self, value: Any) -> None:
        check("text", value, Mapping, "an object")
        self.set("verbosity", value.get("verbosity"))
        self.set("response_format", value.get("format"))

    def _set_response_format(self, value: Mapping[str, Any]) -> None:
        kind = value.get("type") if isinstance(value, Mapping) else "json_schema"
        if kind == "text":
            return
        if kind not in ("json_object", "json_schema"):
            raise RequestError(
                f"response_format has the unknown type {kind!r}. Use text, json_object or json_schema.",
                where="response_format",
            )
        self._values["structured"] = kind
        self._end_opening()
        if kind == "json_schema" and isinstance(value, Mapping):
            check("response_format.json_schema", value.get("json_schema", value), Mapping, "an object")
            with as_json("response_format"):
                self._texts.extend(tool_rules.schema_texts(value))
            self._schemas = 1
            self._shape = tool_rules.name_tokens(tool_rules.schema_name(value))

    def _set_functions(self, value: Any) -> None:
        """Count functions in the form that came before tools; they are sent as they are."""
        check("functions", value, (list, tuple), "a list of objects")
        self._parameters["functions"] = value
        if value:
            self._end_opening()
            with as_json("functions"):
                self._texts.append(
                    tool_rules.namespace([item for item in value if isinstance(item, Mapping)])
                )
            self._functions = len(value)

    def _set_tool_choice(self, value: Any) -> None:
        kind = value if isinstance(value, str) else "named"
        self._values["tool_choice"] = kind if kind in ("none", "auto", "required") else "named"
        if isinstance(value, Mapping):
            self._forced = tool_rules.sole_name([value])

    def _set_stream(self, value: Any) -> None:
        check("stream", value, (bool, type(None)), "true or false")
        self._values["stream"] = bool(value)

    def _set_modalities(self, value: Any) -> None:
        check("modalities", value, (list, tuple, set, frozenset), "a list")
        for item in value:
            check("modalities", item, str, "a list of text and audio")
        self._outputs = TEXT if {*value} <= TEXT else frozenset(value)

    def _set_service_tier(self, value: Any) -> None:
        tier = _TIERS.get(str(value), str(value))
        self._values["service_tier"] = tier if tier in _SOLD else "standard"
        self._parameters["service_tier"] = value

    def _set_background_options(self, value: Any) -> None:
        check("background_options", value, Mapping, "an object")
        window = _WINDOWS.get(str(value.get("completion_window")))
        if window is not None:
            self._values["service_tier"] = window
        self._parameters["background_options"] = value

    def _set_stop(self, value: Any) -> None:
        if isinstance(value, (list, tuple)) and len(value) > MOST_STOPS:
            raise RequestError(
                f"stop has {len(value)} sequences. Give at most {MOST_STOPS}: no model takes more.",
                where="stop",
            )
        self._parameters["stop"] = value

    def _set_web_search(self, value: Any) -> None:
        self._builtin |= {"web_search_options"}
        self._parameters["web_search_options"] = value


def _check_range(name: str, value: Any) -> None:
    """Refuse a number that every model refuses: one that may be lost would else be lost unseen."""
    least, most = RANGES[name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        wanted = f"a number from {least} to {most}"
        raise RequestError(f"{name}={short(value)} is refused by every model. Give {wanted}.", where=name)


_SPECIAL: Mapping[str, Callable[[Settings, Any], object]] = {
    "reasoning_effort": Settings._set_effort,
    "reasoning": Settings._set_reasoning,
    "include": Settings._set_include,
    "text": Settings._set_text,
    "response_format": Settings._set_response_format,
    "tools": Settings.tools,
    "tool_choice": Settings._set_tool_choice,
    "functions": Settings._set_functions,
    "stream": Settings._set_stream,
    "modalities": Settings._set_modalities,
    "service_tier": Settings._set_service_tier,
    "background_options": Settings._set_background_options,
    "stop": Settings._set_stop,
    "web_search_options": Settings._set_web_search,
    "model": Settings.pin,
}
