"""Request: RequestFacts together with the texts that may still have to be counted.

An adapter walks over its framework's messages and tells a :class:`RequestBuilder` what it sees, in
OpenAI's words. The builder never keeps a framework's object and never fetches anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from routed_llm.errors import RequestError
from routed_llm.facts import ImageFacts, Previous, RequestFacts, TokenCount, freeze_parameters
from routed_llm.policy import DIMENSIONS_BY_TASK, EFFORTS
from routed_llm.request import files
from routed_llm.tokens import tools as tool_rules
from routed_llm.tokens.messages import PER_MESSAGE, PER_NAME, PER_ROLE, REPLY_PRIMING
from routed_llm.tokens.text import bounds_of, likely_of

__all__ = ["Request", "RequestBuilder"]

_CAP_NAMES = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_TIERS = {"auto": "standard", "default": "standard", "fast": "priority"}
_FUNCTION_TOOLS = frozenset({"function", "custom"})
_TEXT = frozenset({"text"})
_DETAILS = ("auto", "low", "high", "original")
_MOST_TOKENS = 10**12  # no limit of a model comes near it


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the router reads it.

    Attributes:
        facts: what the choice depends on; its token count is a bound until it is counted.
        texts: every text whose tokens are counted, in order.
        fixed: tokens that are known without counting (message and tool overheads).
        opening: how many of the texts open the conversation, its first user message included: they are
            the same on every turn. 0 when it is not known.
    """

    facts: RequestFacts
    texts: tuple[str, ...] = field(repr=False)
    fixed: int = 0
    opening: int = 0


class RequestBuilder:
    """Collects what is known of a request, part by part, and builds a Request.

    Not safe to share between threads; make one for each request.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._fixed = 0
        self._role: str | None = None
        self._messages = 0
        self._opening: int | None = None
        self._images: list[ImageFacts] = []
        self._audio_seconds = 0.0
        self._pdf_pages = 0
        self._unknown_files = 0
        self._inputs: set[str] = {"text"}
        self._outputs: set[str] = {"text"}
        self._tool_inputs: set[str] = set()
        self._tools = 0
        self._builtin: set[str] = set()
        self._parameters: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._estimates: list[str] = []

    def message(self, role: str, *, name: str | None = None) -> RequestBuilder:
        """Begin a message; the parts told next belong to it."""
        self._end_opening()
        self._role = role
        self._messages += 1
        if name is not None:
            _check(f"{self._where()} name", name, str, "a string")
        self._fixed += PER_MESSAGE + PER_ROLE
        if name:
            self._fixed += PER_NAME
            self._texts.append(name)
        return self

    def text(self, text: str) -> RequestBuilder:
        """Add text to the current message.

        Raises:
            RequestError: when it is not a string.
        """
        if type(text) is not str:
            _check(self._where(), text, str, "text")
        if text:
            self._texts.append(text)
        return self

    def image(self, source: str | bytes | None, *, detail: str | None = None) -> RequestBuilder:
        """Add an image.

        Args:
            source: a data URL, a web URL (never fetched), the file's bytes, or None for a file id.
            detail: ``auto``, ``low``, ``high``, ``original`` or None for the default.

        Raises:
            RequestError: when inline data is not an image that the API takes.
        """
        self._kind("image")
        if detail is not None and detail not in _DETAILS:
            valid = ", ".join(_DETAILS)
            raise RequestError(
                f"{self._where()} has an image of detail {detail!r}. Use one of {valid}.", where=self._where()
            )
        if source is not None:
            _check(f"{self._where()} image", source, (str, bytes), "a data URL, a web URL or bytes")
        size = files.image_size(source, where=self._where()) if source is not None else None
        if size is None:
            self._estimates.append("an image given by reference is counted at the rule's worst case")
        width, height = size or (None, None)
        self._images.append(ImageFacts(width, height, detail or "auto"))
        return self

    def audio(self, data: str | bytes | None, *, format: str | None = None) -> RequestBuilder:
        """Add a voice clip: base64 text or bytes, with its format (``wav``, ``mp3``, ...).

        Raises:
            RequestError: when the data cannot be read as audio.
        """
        self._kind("audio")
        if data is None:
            self._estimates.append("a voice clip given by reference is counted at one hour")
            self._audio_seconds += 3600.0
        else:
            _check(f"{self._where()} audio", data, (str, bytes), "base64 text or bytes")
            if format is not None:
                _check(f"{self._where()} audio format", format, str, "a name such as 'wav'")
            self._audio_seconds += files.audio_seconds(data, format, where=self._where())
        return self

    def document(
        self,
        data: str | bytes | None,
        *,
        mime: str | None = None,
        filename: str | None = None,
        reference: bool = False,
    ) -> RequestBuilder:
        """Add a file.

        Args:
            data: base64 text, a data URL or bytes; None for a file given by id or URL.
            mime: its MIME type where the caller gives one.
            filename: its name, which tells the type when ``mime`` does not.
            reference: True for a file id or URL: size and type are unknown and it is never fetched.

        Raises:
            RequestError: when inline data is not what it says it is.
        """
        if data is None or reference:
            self._kind("pdf")
            self._unknown_files += 1
            self._estimates.append("a file given by reference is of unknown size and is not in the count")
            return self
        _check(f"{self._where()} file", data, (str, bytes), "base64 text, a data URL or bytes")
        for text in (mime, filename):
            if text is not None:
                _check(f"{self._where()} file name or type", text, str, "a string")
        found = files.document(data, mime=mime, filename=filename, where=self._where())
        if found.kind == "image":
            return self.image(found.data)
        if found.kind == "audio":
            return self.audio(found.data)
        self._kind(found.kind)
        self._pdf_pages += found.pages
        self._fixed += found.unread
        self._texts.extend(found.texts)
        self._estimates.extend(found.estimates)
        return self

    def video(self) -> RequestBuilder:
        """Note a video, which no model takes on these endpoints."""
        self._kind("video")
        return self

    def tool_call(self, name: str, arguments: Any) -> RequestBuilder:
        """Add a tool call that the model made in an earlier turn."""
        with _as_json("a tool call's arguments"):
            texts, fixed = tool_rules.call_parts(name, arguments)
        self._texts.extend(texts)
        self._fixed += fixed
        return self

    def tool_result(self, call_id: str, name: str | None = None) -> RequestBuilder:
        """Note which tool call the current message answers."""
        texts, fixed = tool_rules.result_parts(call_id, name)
        self._texts.extend(texts)
        self._fixed += fixed
        return self

    def unknown(self, kind: Any, *, where: str | None = None) -> RequestError:
        """Return the error for a content block of a kind that nobody knows; the caller raises it."""
        place = where or self._where()
        return RequestError(
            f"{place} has a content block of the unknown type {kind!r}. "
            "Use text, image_url, input_audio or file blocks, or the framework's standard ones.",
            where=place,
        )

    def tools(self, definitions: Sequence[Mapping[str, Any]]) -> RequestBuilder:
        """Add the tools offered, in the form of either endpoint; hosted tools are told by their type.

        Raises:
            RequestError: when they are not a list of objects.
        """
        _check("tools", definitions, (list, tuple), "a list of objects")
        for definition in definitions:
            _check("tools", definition, Mapping, "a list of objects")
        functions: Sequence[Mapping[str, Any]] = definitions
        if any(str(definition.get("type", "function")) not in _FUNCTION_TOOLS for definition in definitions):
            functions = self._hosted(definitions)
        self._end_opening()
        if functions:
            with _as_json("tools"):
                parts = tool_rules.shared.parts(functions)
            self._tools += len(functions)
            self._texts.extend(parts.texts)
            self._fixed += parts.fixed
        return self

    def _hosted(self, definitions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        functions = []
        for definition in definitions:
            kind = str(definition.get("type", "function"))
            if kind in _FUNCTION_TOOLS:
                functions.append(definition)
            else:
                self._builtin.add(_builtin_name(kind))
        return functions

    def set(self, name: str, value: Any) -> RequestBuilder:
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
            self._parameters[name] = value
        return self

    def previous(self, previous: Previous | None) -> RequestBuilder:
        """Note who answered the turn before."""
        self._values["previous"] = previous
        return self

    def locked_to(self, model: str | None) -> RequestBuilder:
        """Note the model whose stored state the request refers to."""
        self._values["locked_to"] = model
        return self

    def pin(self, model: str | None) -> RequestBuilder:
        """Note a model that was named for this call only.

        Raises:
            RequestError: when it is not a string.
        """
        if model is not None:
            _check("model", model, str, "a model id such as 'gpt-4o'")
        self._values["model"] = model
        return self

    def endpoint(self, endpoint: str | None) -> RequestBuilder:
        """Note an endpoint that the caller insists on."""
        self._values["endpoint"] = endpoint
        return self

    def emulates(self, *parameters: str) -> RequestBuilder:
        """Note parameters that the caller makes good itself where no model takes them."""
        self._values["emulates"] = frozenset(parameters)
        return self

    def task(self, task: str | None) -> RequestBuilder:
        """Note what the caller says this call is for.

        Raises:
            RequestError: when it is none of a policy's tasks.
        """
        if task is not None and task not in DIMENSIONS_BY_TASK:
            valid = ", ".join(DIMENSIONS_BY_TASK)
            raise RequestError(f"task={task!r} is none of {valid}. Use one of these.", where="task")
        self._values["task"] = task
        return self

    def build(self) -> Request:
        """Return the Request.

        Raises:
            RequestError: when it has no message.
        """
        if not self._messages:
            raise RequestError("The request has no messages. Send at least one message.", where="messages")
        fixed = self._fixed + REPLY_PRIMING
        parameters: tuple[tuple[str, Any], ...] = ()
        if self._parameters:
            with _as_json("parameters"):
                parameters = freeze_parameters(self._parameters)
        facts = RequestFacts(
            tokens=_bound(self._texts, fixed),
            images=tuple(self._images),
            audio_seconds=self._audio_seconds,
            pdf_pages=self._pdf_pages,
            unknown_files=self._unknown_files,
            inputs=_TEXT if self._inputs == _TEXT else frozenset(self._inputs),
            outputs=_TEXT if self._outputs == _TEXT else frozenset(self._outputs),
            tool_inputs=frozenset(self._tool_inputs),
            tools=self._tools,
            builtin_tools=frozenset(self._builtin),
            parameters=parameters,
            estimates=tuple(dict.fromkeys(self._estimates)),
            **self._values,
        )
        self._end_opening()
        return Request(facts=facts, texts=tuple(self._texts), fixed=fixed, opening=self._opening or 0)

    def _end_opening(self) -> None:
        if self._opening is None and self._role == "user":
            self._opening = len(self._texts)

    def _kind(self, kind: str) -> None:
        self._inputs.add(kind)
        if self._role in ("tool", "function"):
            self._tool_inputs.add(kind)

    def _where(self) -> str:
        return f"message {self._messages} ({self._role})"

    def _set_cap(self, name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_TOKENS:
            raise RequestError(
                f"{name}={_short(value)} is not a token count. Give a whole number above 0.", where=name
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
        _check("reasoning", value, Mapping, "an object")
        rest = {key: item for key, item in value.items() if key != "effort" and item is not None}
        if value.get("effort") is not None:
            self._set_effort(value["effort"])
        if rest:
            self._parameters["reasoning"] = rest

    def _set_text(self, value: Any) -> None:
        _check("text", value, Mapping, "an object")
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
            _check("response_format.json_schema", value.get("json_schema", value), Mapping, "an object")
            with _as_json("response_format"):
                texts, fixed = tool_rules.schema_parts(value)
            self._texts.extend(texts)
            self._fixed += fixed

    def _set_tool_choice(self, value: Any) -> None:
        kind = value if isinstance(value, str) else "named"
        self._values["tool_choice"] = kind if kind in ("none", "auto", "required") else "named"

    def _set_stream(self, value: Any) -> None:
        self._values["stream"] = bool(value)

    def _set_modalities(self, value: Any) -> None:
        _check("modalities", value, (list, tuple, set, frozenset), "a list")
        for item in value:
            _check("modalities", item, str, "a list of text and audio")
        self._outputs = set(value) or {"text"}

    def _set_service_tier(self, value: Any) -> None:
        tier = _TIERS.get(str(value), str(value))
        self._values["service_tier"] = (
            tier if tier in ("standard", "flex", "priority", "batch") else "standard"
        )
        self._parameters["service_tier"] = value

    def _set_web_search(self, value: Any) -> None:
        self._builtin.add("web_search_options")
        self._parameters["web_search_options"] = value


_SPECIAL: Mapping[str, Callable[[RequestBuilder, Any], object]] = {
    "reasoning_effort": RequestBuilder._set_effort,
    "reasoning": RequestBuilder._set_reasoning,
    "text": RequestBuilder._set_text,
    "response_format": RequestBuilder._set_response_format,
    "tools": RequestBuilder.tools,
    "tool_choice": RequestBuilder._set_tool_choice,
    "stream": RequestBuilder._set_stream,
    "modalities": RequestBuilder._set_modalities,
    "service_tier": RequestBuilder._set_service_tier,
    "web_search_options": RequestBuilder._set_web_search,
    "model": RequestBuilder.pin,
}


@contextmanager
def _as_json(what: str) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(
            f"{what} cannot be written as JSON ({_short(str(error))}). Give plain JSON data.", where=what
        ) from error


def _check(where: str, value: Any, kind: type | tuple[type, ...], wanted: str) -> None:
    if not isinstance(value, kind):
        raise RequestError(f"{where} is {_short(value)}. Give {wanted}.", where=where)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int of thousands of digits; a list that holds itself
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _bound(texts: Sequence[str], fixed: int) -> TokenCount:
    low, high = bounds_of(texts)
    return TokenCount(low + fixed, min(max(likely_of(texts), low), high) + fixed, high + fixed)


def _builtin_name(kind: str) -> str:
    # Hosted tools carry their version in their type: web_search_preview_2025_03_11, computer_use_preview.
    for stem in ("web_search", "file_search", "code_interpreter", "computer", "image_generation", "mcp"):
        if kind.startswith(stem):
            return stem
    return kind
