"""Request: RequestFacts together with the texts that may still have to be counted.

An adapter walks over its framework's messages and gives a :class:`RequestBuilder` what it sees, in
OpenAI's words. The builder never keeps a framework's object and never fetches anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

from routed_llm.errors import RequestError
from routed_llm.facts import TEXT, ImageFacts, Previous, RequestFacts, TokenCount, freeze_parameters
from routed_llm.fields import CAPS, MOST_STOPS, RANGES
from routed_llm.framing import MESSAGE as FRAME
from routed_llm.framing import REFERENCE, Framed
from routed_llm.parameters import INCLUDED
from routed_llm.policy import DIMENSIONS_BY_TASK, EFFORTS
from routed_llm.request.checks import as_json, check, short
from routed_llm.request.conversations import MESSAGE, SHORTEST, Conversation, copy_of, shared, size_of
from routed_llm.tokens import tools as tool_rules
from routed_llm.tokens.counting import Counting
from routed_llm.tokens.text import bounds_of, estimates_of
from routed_llm.usage import hosted_name, setup_of

__all__ = ["Request", "RequestBuilder"]

_LARGE = 250_000  # tokens, at most: a little less than the first price tier
_KEPT = 512
_PLAIN = frozenset({bool, int, float})
"""Kinds of parameters' values of which many requests have the same."""
_DENSE = 8  # bytes of a file that cannot be read to each token that is expected of it
_ALIKE: dict[Any, RequestFacts] = {}
_DETAILS = ("auto", "low", "high", "original")
_TIERS = {"auto": "standard", "default": "standard", "fast": "priority"}
_SOLD = frozenset({"standard", "flex", "priority", "batch", "ultrafast"})
_WINDOWS = {"2h": "background_2h", "8h": "background_8h"}
_ELSEWHERE = frozenset({"previous_response_id", "conversation"})  # what holds messages of its own
_FUNCTION_TOOLS = frozenset({"function", "custom"})
_AIRY = 54
"""Characters of functions that are a token less than those of prose: 316 recorded lists have 0.213 a
character, 9 % fewer than are estimated of prose, in the mean."""
_MOST_TOKENS = 10**12  # no limit of a model comes near it
_TALK = (
    *("_fixed", "_role", "_opening", "_system", "_assistants", "_names", "_lines", "_thought", "_recalled"),
    *("_calls", "_calling", "_parallel", "_spoken", "_turns", "_named", "_kept", "_last"),
)
"""What a builder knows of a conversation, and goes on from when it is sent again."""


@dataclass(slots=True, kw_only=True)  # not frozen, which takes four times as long to make
class Request:
    """A request as the router reads it; to be treated as frozen.

    Attributes:
        facts: what the choice depends on; its token count is a bound until it is counted.
        texts: every text whose tokens are counted, in order.
        fixed: tokens that are known without counting (message and tool overheads).
        opening: how many of the texts open the conversation, its first user message included: they are
            the same on every turn. 0 when it is not known.
        conversation: its messages as a conversation that is recognised when it is sent again, or None.
    """

    facts: RequestFacts
    texts: tuple[str, ...] = field(repr=False)
    fixed: int = 0
    opening: int = 0
    conversation: Conversation | None = field(default=None, repr=False, compare=False)


class RequestBuilder:
    """Collects what is known of a request, part by part, and builds a Request.

    Not safe to share between threads; make one for each request.
    """

    # What most requests have none of stands here: to set it for each one took longer than to read a text.
    _messages = 0
    _assistants = 0
    _system = 0
    _calls = 0
    _parallel = 0
    _spoken = 0
    _thought = 0
    _files = 0
    _unsure = 0
    _calling = False
    _turns = 0
    _named = 0
    _kept = 0
    _recalled = 0
    _names = 0
    _lines = 0
    _later = 0
    _last: tuple[int, int] | None = None
    _begin = 0
    _joins = -1
    _images: tuple[ImageFacts, ...] = ()
    _audio_seconds = 0.0
    _pdf_pages = 0
    _unknown_files = 0
    _inputs: frozenset[str] = TEXT
    _tool_inputs: frozenset[str] = frozenset()
    _estimates: tuple[str, ...] = ()
    _conversation: Conversation | None = None
    _from_the_start = False
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
    takes_foreign = False
    """Whether content of a type that nobody knows is taken for text."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._parameters: dict[str, Any] = {}
        self._values: dict[str, Any] = {}

    def resume(self, messages: list[Any]) -> int:
        """Take over what was read of a conversation's leading messages when these were sent before.

        To be called first; then the messages after those are added, and :meth:`remember` is called.

        Args:
            messages: the messages as plain data, with everything that is added of them: dicts with their
                ``content``, or tuples of a kind and the content, and whatever else. They are compared by
                content, all the way down.

        Returns:
            How many of them need not be added.
        """
        if len(messages) < SHORTEST or self._messages:
            return 0
        self._from_the_start = True
        conversation = shared.find(messages)
        if conversation is None:
            return 0
        self._conversation = conversation
        self._texts.extend(conversation.texts)
        vars(self).update(conversation.state)
        self._messages = len(conversation.seen)
        return self._messages

    def messages(self, roles: Sequence[str], texts: Sequence[str]) -> Self:
        """Tell messages that hold nothing but a text each, all at once.

        Raises:
            RequestError: when one is not a string.
        """
        if {*map(type, texts)} - {str}:
            for role, text in zip(roles, texts, strict=True):
                self.message(role).text(text)
            return self
        self._end_opening()
        if self._opening is None and len(roles) > 1 and "user" in roles[:-1]:
            first = roles.index("user") + 1
            self._opening = len(self._texts) + sum(map(bool, texts[:first]))
        begun = len(self._texts)
        self._texts.extend(texts if all(texts) else filter(None, texts))
        self._role = roles[-1] if roles else self._role
        self._messages += len(texts)
        self._fixed += FRAME * len(texts)
        self._assistants += roles.count("assistant")
        if self._thought and "user" in roles:
            self._recalled, self._thought = self._recalled + self._thought, 0
        if not self._system and ("system" in roles or "developer" in roles):
            first = next(at for at, role in enumerate(roles) if role in ("system", "developer"))
            self._system = begun + sum(map(bool, texts[:first])) + 1
        return self

    def remember(self, messages: list[Any], *, plain: bool = False) -> None:
        """Keep what was added of a conversation's messages, where that is nothing but text.

        To be called once all of them are added, and before anything else is.

        Args:
            messages: as :meth:`resume` was given them.
            plain: True where each of those that were added is known to be a dict of strings.
        """
        known = self._conversation
        begun, before = (0, 0) if known is None else (len(known.seen), len(known.texts))
        if not self._from_the_start or begun == len(messages) or self._inputs != TEXT or self._values:
            return
        if self._parameters or self._unknown_files:
            return  # a message that is not read again could not tell its mark again
        new = messages[begun:]
        try:
            seen = [*map(dict.copy, new)] if plain else [*map(copy_of, new)]
        except (TypeError, RecursionError):
            return
        size = MESSAGE * len(new) + sum(map(len, self._texts[before:])) if plain else size_of(new)
        mine = vars(self)
        self._conversation = Conversation(
            seen if known is None else known.seen + seen,
            tuple(self._texts),
            state={name: mine[name] for name in _TALK if name in mine},
            tokens=self._bounds(0),
            size=size if known is None else known.size + size,
        )
        shared.keep(self._conversation)

    def message(self, role: str, *, name: str | None = None) -> Self:
        """Begin a message; the parts added next belong to it."""
        self._end_opening()
        if role == "tool" == self._role:  # results of one turn are lines of one text
            self._lines += len(self._texts) > self._begin and tool_rules.ends_in_mark(self._texts[-1])
        self._role = role
        self._messages += 1
        if name is not None:
            check(f"{self._where()} name", name, str, "a string")
        self._fixed += FRAME
        if role == "assistant":
            self._assistants += 1
        elif role in ("system", "developer"):
            self._system = self._system or len(self._texts) + bool(name) + 1
        elif self._thought and role == "user":
            # What was thought for an earlier turn is shown to few models.
            self._recalled, self._thought = self._recalled + self._thought, 0
        if name:
            self._texts.append(name)
            self._names += 1
        self._begin = len(self._texts)
        self._joins = -1
        return self

    def text(self, text: str) -> Self:
        """Add text to the current message.

        Texts that follow each other in a message are one text for its tokens: recorded requests with several
        were billed so (7 of 7 of other test suites, 2025-10 to 2026-08).

        Raises:
            RequestError: when it is not a string.
        """
        if type(text) is not str:
            check(self._where(), text, str, "text")
        if not text:
            return self
        if self._joins == len(self._texts):
            self._texts[-1] += text
        else:
            self._texts.append(text)
            self._joins = len(self._texts)
        return self

    def ends(self) -> Self:
        """Note that what follows is no more of the same text: a breakpoint of the cache stands between."""
        self._joins = -1
        return self

    def image(self, source: str | bytes | None, *, detail: str | None = None) -> Self:
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
            check(f"{self._where()} image", source, (str, bytes), "a data URL, a web URL or bytes")
        size = None
        if source is not None:
            from routed_llm.request import files  # only media needs it: importing routed_llm must stay quick

            size = files.image_size(source, where=self._where())
        if size is None:
            self._estimates += ("an image given by reference is counted at the rule's worst case",)
        width, height = size or (None, None)
        self._images += (ImageFacts(width, height, detail or "auto"),)
        return self

    def audio(self, data: str | bytes | None, *, format: str | None = None) -> Self:
        """Add a voice clip: base64 text or bytes, with its format (``wav``, ``mp3``, ...).

        Raises:
            RequestError: when the data cannot be read as audio.
        """
        self._kind("audio")
        if data is None:
            self._estimates += ("a voice clip given by reference is counted at one hour",)
            self._audio_seconds += 3600.0
        else:
            check(f"{self._where()} audio", data, (str, bytes), "base64 text or bytes")
            if format is not None:
                check(f"{self._where()} audio format", format, str, "a name such as 'wav'")
            from routed_llm.request import files

            self._audio_seconds += files.audio_seconds(data, format, where=self._where())
        return self

    def document(
        self,
        data: str | bytes | None,
        *,
        mime: str | None = None,
        filename: str | None = None,
        reference: bool = False,
    ) -> Self:
        """Add a file.

        Args:
            data: base64 text, a data URL or bytes; None for a file given by id or URL.
            mime: its MIME type where the caller gives one.
            filename: its name, which shows the type when ``mime`` does not.
            reference: True for a file id or URL: size and type are unknown and it is never fetched.

        Raises:
            RequestError: when inline data is not what it says it is.
        """
        if data is None or reference:
            self._kind("pdf")
            self._unknown_files += 1
            self._estimates += ("a file given by reference is of unknown size and is not in the count",)
            return self
        check(f"{self._where()} file", data, (str, bytes), "base64 text, a data URL or bytes")
        for text in (mime, filename):
            if text is not None:
                check(f"{self._where()} file name or type", text, str, "a string")
        from routed_llm.request import files

        found = files.document(data, mime=mime, filename=filename, where=self._where())
        if found.kind == "image":
            return self.image(found.data)
        if found.kind == "audio":
            return self.audio(found.data)
        self._kind(found.kind)
        self._pdf_pages += found.pages
        self._unknown_files += found.unknown
        self._files += bool(found.pages or found.texts or found.unread)
        self._fixed += found.unread // _DENSE
        self._unsure += found.unread - found.unread // _DENSE + found.unsure
        self._texts.extend(found.texts)
        self._estimates += tuple(found.estimates)
        return self

    def video(self) -> Self:
        """Note a video, which no model takes on these endpoints."""
        self._kind("video")
        return self

    def tool_call(self, name: str, arguments: Any, *, kept: bool = False) -> Self:
        """Add a tool call that the model made in an earlier turn.

        Args:
            name: the function's name.
            arguments: as JSON, or as the object that it stands for.
            kept: whether the provider keeps the call, and is given its id.
        """
        with as_json("a tool call's arguments"):
            texts = tool_rules.call_texts(name, arguments)
        self._calls += 1
        # Empty arguments and what closes them behind are fewer tokens together.
        words = tool_rules.name_tokens(name) - (texts[-1] == "{}")
        if self._calling:
            if self._last is not None:  # the second of its turn: the first is none of its own any more
                self._turns += 1
                self._named += self._last[0]
                self._kept -= self._last[1]
                self._last = None
            self._parallel += 1
            self._named += words
        else:
            self._spoken += len(self._texts) > self._begin
            self._last = (words, int(kept))
            self._kept += kept
        self._texts.extend(filter(None, texts))
        self._calling = True
        return self

    def stored_prompt(self) -> Self:
        """Note that the provider keeps what is said, so that nothing is known of its size."""
        self.message("user")
        self._unknown_files += 1
        self._estimates += ("a stored prompt is of unknown size and is not in the count",)
        return self

    def kept_item(self) -> Self:
        """Note an item that the provider keeps, or a hosted tool left: nothing is known of its size."""
        self._unknown_files += 1
        self._estimates += ("an item that the provider keeps is of unknown size and is not in the count",)
        return self

    def later_tools(self, definitions: Any) -> Self:
        """Add a list of functions that is offered in the course of the conversation.

        With hosted tools in it, nothing is known of its size.

        Raises:
            RequestError: when it is not a list of objects.
        """
        check("additional_tools", definitions, (list, tuple), "a list of objects")
        for definition in definitions:
            check("additional_tools", definition, Mapping, "a list of objects")
        kinds = {str(definition.get("type", "function")) for definition in definitions}
        self._from_the_start = False  # what is kept of conversations does not say it
        self.message("assistant")
        if not _FUNCTION_TOOLS.issuperset(kinds):
            return self.kept_item()
        with as_json("additional_tools"):
            self._texts.append(tool_rules.namespace(definitions))
        self._later += 1
        return self

    def reasoning(self, encrypted: Any) -> Self:
        """Add reasoning of an earlier turn, in its encrypted form; by reference nothing is known of it."""
        if not (isinstance(encrypted, str) and encrypted):
            return self.kept_item()
        self._thought += max((3 * len(encrypted)) // 20 - 120, 24)
        return self

    @property
    def is_calling(self) -> bool:
        """Whether the last thing added was a tool call, which another one would stand beside."""
        return self._calling

    def tool_result(self) -> Self:
        """Note that the current message answers a tool call, which has counted what its result repeats."""
        self._calling = False
        return self

    def unknown(self, kind: Any, *, where: str | None = None) -> RequestError:
        """Return the error for a content block of a kind that nobody knows; the caller raises it."""
        place = where or self._where()
        return RequestError(
            f"{place} has a content block of the unknown type {kind!r}. "
            "Use text, image_url, input_audio or file blocks, or the framework's standard ones.",
            where=place,
        )

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
        elif name in CAPS:
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
            if not _FUNCTION_TOOLS.issuperset(kinds):
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
            if kind in _FUNCTION_TOOLS:
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

    def _set_metadata(self, value: Any) -> None:
        if value != {}:  # which says nothing
            self._parameters["metadata"] = value

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

    def build(self) -> Request:
        """Return the Request.

        Raises:
            RequestError: when it has no message.
        """
        is_kept = self._unknown_files or not _ELSEWHERE.isdisjoint(self._parameters)
        if not self._messages and not is_kept:
            raise RequestError("The request has no messages. Send at least one message.", where="messages")
        thought, recalled = self._thinking() if self._recalled else (self._thought, 0)
        counts = (  # in Framed's order: by name takes twice as long
            1,
            self._assistants,
            self._calls,
            self._parallel,
            self._spoken,
            self._tools + self._functions,
            int(bool(self._system)),
            self._schemas,
            int(bool(self._tools) and self._parameters.get("parallel_tool_calls") is False),
            self._files,
            thought,
            self._unsure,
        )
        offers = self._tools or self._functions or self._schemas
        if self._calls or offers or recalled or self._names or self._later or "tool_choice" in self._values:
            calls = (self._turns, self._named, self._kept)
            ends = (
                self._joined() if offers and self._system else 0,
                self._described,
                self._names,
                self._lines,
                self._custom,
                # What describes how functions are found says this, too.
                self._later if "tool_search" not in self._builtin else 0,
            )
            framed = Framed(*counts, *calls, recalled, self._forced, self._only(), self._shape, *ends)
            fixed = self._fixed + REFERENCE.of(framed)
        else:
            framed, frames = _framed(counts)
            fixed = self._fixed + frames
        self._end_opening()
        facts = self._alike() or self._facts()
        return Request(
            facts=facts.with_tokens(self._bounds(fixed), framed),
            texts=tuple(self._texts),
            fixed=fixed,
            opening=self._opening or 0,
            conversation=self._conversation,
        )

    def _joined(self) -> int:
        """Say how much less the first system message costs where functions or a schema stand behind it."""
        return tool_rules.joins(self._texts[self._system - 1]) if self._system <= len(self._texts) else 0

    def _thinking(self) -> tuple[int, int]:
        """Return the reasoning of the turn that goes on and of earlier ones, by what is asked to be shown."""
        reasoning = self._parameters.get("reasoning")
        context = reasoning.get("context") if isinstance(reasoning, Mapping) else None
        if context == "all_turns":
            return self._thought + self._recalled, 0
        return self._thought, 0 if context == "current_turn" else self._recalled

    def _alike(self) -> RequestFacts | None:
        """Return the facts of another request of nothing but text that differs in no setting."""
        if self._inputs is not TEXT or self._outputs is not TEXT or self._builtin:
            return None
        if self._estimates or "previous" in self._values:
            return None
        key: tuple[Any, ...] = (self._tools, *self._values.items())
        if self._parameters:
            # 1 equals 1.0 and True, but is written differently.
            said = [(name, type(value), value) for name, value in self._parameters.items()]
            if not all(kind in _PLAIN for _, kind, _ in said):
                return None
            key = (*key, *said)
        kept = _ALIKE.get(key)
        if kept is None:
            if len(_ALIKE) >= _KEPT:
                _ALIKE.clear()
            kept = _ALIKE[key] = self._facts()
        return kept

    def _facts(self) -> RequestFacts:
        """Return the facts, but for what is counted."""
        parameters: tuple[tuple[str, Any], ...] = ()
        if self._parameters:
            with as_json("parameters"):
                parameters = freeze_parameters(self._parameters)
        return RequestFacts(
            images=self._images,
            audio_seconds=self._audio_seconds,
            pdf_pages=self._pdf_pages,
            unknown_files=self._unknown_files,
            inputs=self._inputs,
            outputs=self._outputs,
            tool_inputs=self._tool_inputs,
            tools=self._tools,
            builtin_tools=self._builtin,
            setups=self._setups,
            parameters=parameters,
            estimates=tuple(dict.fromkeys(self._estimates)),
            **self._values,
        )

    def _bounds(self, fixed: int) -> TokenCount:
        """Return bounds of all texts' tokens, from what is known of the conversation's beginning."""
        conversation = self._conversation
        if conversation is None:
            return _bound(self._texts, fixed, self._airy)
        known, new = conversation.tokens, self._texts[len(conversation.texts) :]
        if not new:
            return known.plus(fixed)
        rest = _bound(new, fixed, self._airy)
        return TokenCount(rest.low + known.low, rest.likely + known.likely, rest.high + known.high)

    def _kind(self, kind: str) -> None:
        self._joins = -1
        self._inputs |= {kind}
        if self._role in ("tool", "function"):
            self._tool_inputs |= {kind}

    def _where(self) -> str:
        return f"message {self._messages} ({self._role})"


@lru_cache(maxsize=256)
def _framed(counts: tuple[int, ...]) -> tuple[Framed, int]:
    """Return what is framed in a request of nothing but messages, and the tokens of its frames."""
    framed = Framed(*counts)
    return framed, REFERENCE.of(framed)


def _bound(texts: Sequence[str], fixed: int, airy: int) -> TokenCount:
    if sum(map(len, texts)) > _LARGE // 4 and bounds_of(texts)[1] > _LARGE:
        # So much may have to be counted, and may have been: a look costs less than a second decision.
        counting = Counting(texts, known=fixed)
        counting.recall()
        return TokenCount(counting.low, counting.likely, counting.high)
    low, middle, high = estimates_of(texts)
    return TokenCount(low + fixed, middle + fixed - airy, high + fixed)


def _check_range(name: str, value: Any) -> None:
    """Refuse a number that every model refuses: one that may be lost would else be lost unseen."""
    least, most = RANGES[name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        wanted = f"a number from {least} to {most}"
        raise RequestError(f"{name}={short(value)} is refused by every model. Give {wanted}.", where=name)


_SPECIAL: Mapping[str, Callable[[RequestBuilder, Any], object]] = {
    "reasoning_effort": RequestBuilder._set_effort,
    "reasoning": RequestBuilder._set_reasoning,
    "include": RequestBuilder._set_include,
    "text": RequestBuilder._set_text,
    "response_format": RequestBuilder._set_response_format,
    "tools": RequestBuilder.tools,
    "tool_choice": RequestBuilder._set_tool_choice,
    "functions": RequestBuilder._set_functions,
    "stream": RequestBuilder._set_stream,
    "modalities": RequestBuilder._set_modalities,
    "service_tier": RequestBuilder._set_service_tier,
    "background_options": RequestBuilder._set_background_options,
    "stop": RequestBuilder._set_stop,
    "web_search_options": RequestBuilder._set_web_search,
    "metadata": RequestBuilder._set_metadata,
    "model": RequestBuilder.pin,
}
