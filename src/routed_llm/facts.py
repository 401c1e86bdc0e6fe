"""RequestFacts: what is known of a request before a model is chosen.

Nothing of a framework is in it and nothing in it refers to text: the same request gives the same
facts whichever adapter read it, and recorded facts can be replayed through another policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

from routed_llm.framing import PLAIN, Framed

__all__ = ["TEXT", "Framed", "ImageFacts", "Previous", "RequestFacts", "TokenCount", "freeze", "thaw"]

TEXT: Final = frozenset({"text"})
"""What most requests take in and give out; one object, so that it is compared by identity."""

_MOST_CHOICES: Final = 128
"""The largest ``n`` that Chat Completions takes (openai-python 3.54.0, completion_create_params.py)."""


class TokenCount(NamedTuple):
    """A number of tokens that may not be known exactly.

    Attributes:
        low: certainly not fewer.
        likely: the best estimate; used for money.
        high: certainly not more; used for limits.
        bounded: False where nobody knows before the answer what comes on top, or is left out, so that the
            bounds are certain of the rest only: what hosted tools find, files by reference, what the provider
            keeps or condenses.
    """

    low: int
    likely: int
    high: int
    bounded: bool = True

    @property
    def exact(self) -> bool:
        """Whether the number is known."""
        return self.low == self.high and self.bounded

    @classmethod
    def of(cls, tokens: int) -> TokenCount:
        """Make an exact count."""
        return cls(tokens, tokens, tokens)

    def plus(self, tokens: int) -> TokenCount:
        """Return this and so many tokens more."""
        return TokenCount(self.low + tokens, self.likely + tokens, self.high + tokens, self.bounded)


_NO_TOKENS: Final = TokenCount(0, 0, 0)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image: its size in pixels and the detail asked for.

    Attributes:
        width: pixels, or None when the data was not there (a URL or a file id).
        height: pixels, or None likewise.
        detail: ``auto``, ``low``, ``high`` or ``original``.
    """

    width: int | None
    height: int | None
    detail: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """Who answered the turn before, in the same conversation.

    Attributes:
        model: catalog id of the model that answered.
        effort: the effort it was sent, or None.
        endpoint: the endpoint it answered on, or None when it is not known.
        prefix_tokens: input tokens of this request that stood in that one too, so that the
            provider's cache may hold them; 0 when it is not known.
        age: seconds since that call, or None when it is not known.
        in_tool_loop: True when this request answers tool calls that the model made.
    """

    model: str
    effort: str | None = None
    endpoint: str | None = None
    prefix_tokens: int = 0
    age: float | None = None
    in_tool_loop: bool = False


def freeze(value: Any) -> Any:
    """Turn JSON-like data into an equal hashable value, dicts becoming sorted tuples of pairs."""
    if isinstance(value, Mapping):
        named = {str(k): freeze(v) for k, v in value.items()}
        return ("{}", tuple(sorted(named.items(), key=lambda item: item[0])))
    if isinstance(value, (list, tuple)):
        return ("[]", tuple(freeze(v) for v in value))
    if isinstance(value, (set, frozenset)):
        return ("[]", tuple(sorted((freeze(v) for v in value), key=repr)))
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def thaw(value: Any) -> Any:
    """Undo :func:`freeze`."""
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "{}":
        return {k: thaw(v) for k, v in value[1]}
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "[]":
        return [thaw(v) for v in value[1]]
    return value


_LASTING: Final[Mapping[str, str]] = {
    "background": "a background response",
    "store": "a stored response",
    "conversation": "a stored response",
    "prompt": "what the tools of a stored prompt do",
}
"""Parameters with which a request leaves something behind, and what it is."""

STATE: Final = frozenset(
    (
        *("previous_response_id", "conversation", "prompt", "web_search_options"),
        *("context_management", "prediction"),
    )
)
"""Parameters by which something is read that is not in the request, or is not read that is."""


@dataclass(frozen=True, kw_only=True)  # without slots a copy is one step, and every request is one
class RequestFacts:
    """Everything that the choice of a model depends on, and nothing else.

    Attributes:
        tokens: text tokens of messages, tools and schemas with their frames, as gpt-4o counts them on Chat
            Completions; images, audio and documents are apart since every model counts them by its own rule.
        framed: how often there is something whose frame other models and endpoints count otherwise.
        images: one entry per image, wherever it stands (tool messages included).
        audio_seconds: seconds of audio given.
        pdf_pages: pages of documents given inline; each also counts as an image on vision models.
        unknown_files: files given by id or URL, and what the provider keeps, of unknown size and type.
        inputs: kinds of input: ``text``, ``image``, ``audio``, ``pdf``, ``file``, ``video``.
        outputs: kinds of output asked for: ``text``, ``audio``.
        tool_inputs: kinds of input other than text that stand inside tool messages.
        tools: number of function or custom tools offered.
        builtin_tools: hosted tools asked for, such as ``web_search``.
        setups: of hosted tools that cost more or less by how they are set up, the tool and that, such as
            ``("code_interpreter", "4g")``.
        tool_choice: ``none``, ``auto``, ``required``, ``named`` or None when not given.
        structured: ``json_object``, ``json_schema`` or None.
        parameters: every other parameter given, by its Chat Completions name, frozen, sorted.
        cap: most output tokens the caller wants, or None.
        cap_name: the name under which the caller gave the cap.
        effort: reasoning effort the caller asked for, or None.
        model: a model named for this call only (a pin), or None.
        endpoint: ``chat_completions`` or ``responses`` when the caller insists on one, or None.
        service_tier: ``standard``, ``flex``, ``priority``, ``batch``, ``ultrafast``, ``background_2h`` or
            ``background_8h``: decides the price row.
        stream: whether the answer is to be streamed.
        task: what the caller says the call is for, or None.
        previous: who answered the turn before, or None.
        emulates: parameters that the caller makes good itself where no model takes them (``stop``: it
            cuts the answer).
        locked_to: the model whose stored state the request refers to (``previous_response_id``,
            encrypted reasoning), or None.
        estimates: what could not be known and was counted at its worst case, in words.
    """

    tokens: TokenCount = _NO_TOKENS
    framed: Framed = PLAIN
    images: tuple[ImageFacts, ...] = ()
    audio_seconds: float = 0.0
    pdf_pages: int = 0
    unknown_files: int = 0
    inputs: frozenset[str] = frozenset({"text"})
    outputs: frozenset[str] = TEXT
    tool_inputs: frozenset[str] = frozenset()
    tools: int = 0
    builtin_tools: frozenset[str] = frozenset()
    setups: tuple[tuple[str, str], ...] = ()
    tool_choice: str | None = None
    structured: str | None = None
    parameters: tuple[tuple[str, Any], ...] = ()
    cap: int | None = None
    cap_name: str = "max_tokens"
    effort: str | None = None
    model: str | None = None
    endpoint: str | None = None
    service_tier: str = "standard"
    stream: bool = False
    task: str | None = None
    previous: Previous | None = None
    emulates: frozenset[str] = frozenset()
    locked_to: str | None = None
    estimates: tuple[str, ...] = ()
    shape: tuple[Any, ...] = field(init=False, repr=False, compare=False)
    made_of: tuple[Any, ...] = field(init=False, repr=False, compare=False)
    kind: tuple[Any, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Everything that is not a number or a parameter's value: requests of one shape share the outcome of
        # most rules.
        shape = (
            self.inputs,
            self.outputs,
            self.tool_inputs,
            bool(self.tools),
            self.builtin_tools,
            self.tool_choice,
            self.structured,
            tuple([name for name, _ in self.parameters]),
            self.cap is not None,
            self.cap_name,
            self.effort,
            self.model,
            self.endpoint,
            self.service_tier,
            self.stream,
            self.task,
            self.emulates,
            self.locked_to,
        )
        made_of = (
            self.tools > 0,
            self.tool_choice,
            self.structured,
            self.inputs,
            self.outputs,
            self.task,
            self.previous is not None and self.previous.in_tool_loop,
        )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "made_of", made_of)
        # What it counts as when outputs are observed: what it is made of, its size, if it goes on. What a cap
        # has cut short says nothing of answers that are not, whatever their size.
        cap = 0 if self.cap is None else self.cap.bit_length()
        kind = ((made_of, cap), _size(self.tokens), self.previous is not None)
        object.__setattr__(self, "kind", kind)

    @property
    def cache_steered(self) -> bool:
        """Whether the caller steers the prompt cache with parameters of its own."""
        return any(name.startswith("prompt_cache_") for name, _ in self.parameters)

    @property
    def bounded(self) -> bool:
        """Whether nothing of unknown size comes on top of what can be counted."""
        if self.builtin_tools or self.unknown_files:
            return False
        if not self.parameters:
            return True
        reasoning = self.parameter("reasoning")
        pro = isinstance(reasoning, Mapping) and "mode" in reasoning
        return not pro and STATE.isdisjoint([name for name, _ in self.parameters])

    @property
    def purpose(self) -> tuple[Any, ...]:
        """What a request counts as when it is observed how often conversations go on."""
        return (self.tools > 0, self.structured, self.inputs, self.outputs, self.task)

    def with_tokens(self, tokens: TokenCount, framed: Framed | None = None) -> RequestFacts:
        """Return the same facts with another text token count and, where given, other frames."""
        # Every other field is as it was, so that there is nothing to work out again. A dict that is copied
        # whole is made in half the time of one that is put together.
        values = self.__dict__.copy()
        values["tokens"] = tokens
        if framed is not None:
            values["framed"] = framed
        made_of, _, goes_on = self.kind
        values["kind"] = (made_of, _size(tokens), goes_on)
        copy = object.__new__(RequestFacts)
        object.__setattr__(copy, "__dict__", values)
        return copy

    @property
    def lasting(self) -> str | None:
        """What of the request leaves something behind and must not be done twice, or None."""
        if self.builtin_tools:
            return "what hosted tools do"
        return next((what for name, what in _LASTING.items() if self.parameter(name)), None)

    def parameter(self, name: str, default: Any = None) -> Any:
        """Return the value of a parameter as it was given."""
        for key, value in self.parameters:
            if key == name:
                return thaw(value)
        return default

    @property
    def choices(self) -> int:
        """How many answers are asked for (``n``)."""
        asked = self.parameter("n", 1)
        return asked if isinstance(asked, int) and 1 <= asked <= _MOST_CHOICES else 1

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-able data; no prompt text is in it."""
        plain: dict[str, Any] = {}
        for item in fields(self):
            if not item.init:
                continue
            value = getattr(self, item.name)
            if value == item.default:
                continue
            plain[item.name] = _plain(item.name, value)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RequestFacts:
        """Read what :meth:`to_dict` wrote.

        Raises:
            TypeError: when a key is not a field of RequestFacts.
        """
        values = dict(data)
        if "tokens" in values:
            values["tokens"] = TokenCount(*values["tokens"])
        if "framed" in values:
            values["framed"] = Framed(**values["framed"])
        if "images" in values:
            values["images"] = tuple(ImageFacts(*image) for image in values["images"])
        for name in ("inputs", "outputs", "tool_inputs", "builtin_tools", "emulates"):
            if name in values:
                values[name] = frozenset(values[name])
        if "setups" in values:
            values["setups"] = tuple([(tool, setup) for tool, setup in values["setups"]])
        if "parameters" in values:
            values["parameters"] = freeze_parameters(values["parameters"])
        if values.get("previous"):
            values["previous"] = Previous(**values["previous"])
        if "estimates" in values:
            values["estimates"] = tuple(values["estimates"])
        return cls(**values)


def _size(tokens: TokenCount) -> int:
    """Say how large a text is, in powers of four tokens."""
    return tokens.likely.bit_length() // 2


def freeze_parameters(
    parameters: Mapping[str, Any] | Iterable[tuple[str, Any]],
) -> tuple[tuple[str, Any], ...]:
    """Sort and freeze parameters for :attr:`RequestFacts.parameters`."""
    items = parameters.items() if isinstance(parameters, Mapping) else parameters
    return tuple(sorted(((name, freeze(value)) for name, value in items), key=lambda item: item[0]))


def jsonable(value: Any) -> Any:
    """Return a value as JSON-able data: what JSON does not know becomes its text."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(v) for v in value]
    return str(value)


def _plain(name: str, value: Any) -> Any:
    if name == "tokens":
        return [value.low, value.likely, value.high]
    if name == "framed":
        return {key: count for key, count in value._asdict().items() if count}
    if name == "images":
        return [[image.width, image.height, image.detail] for image in value]
    if name == "parameters":
        return {key: jsonable(thaw(item)) for key, item in value}
    if name == "previous":
        return {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return list(value)
    return value
