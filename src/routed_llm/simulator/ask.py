"""A request in one form, whichever endpoint it came by.

`chat.py` and `responses.py` translate their own wire form into an `Ask`; counting, answering, limits and
billing see only this.
"""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One block of content.

    Attributes:
        kind: ``text``, ``image``, ``audio``, ``file`` or ``refusal``.
        where: the path of the block in the request, as error bodies name it.
        data: decoded bytes, or None for what is only referred to.
        tokens: what the block costs, filled in when it is counted (text is counted as text).
    """

    kind: str
    where: str
    text: str = ""
    data: bytes | None = None
    mime: str = ""
    detail: str = "auto"
    tokens: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call: `arguments` is JSON for a function and plain text for a custom tool."""

    id: str
    name: str
    arguments: str
    custom: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message; `answers` is the id of the call that a tool message answers, `kept` that it is stored."""

    role: str
    parts: tuple[Part, ...] = ()
    name: str = ""
    calls: tuple[Call, ...] = ()
    answers: str = ""
    kept: bool = False

    @property
    def text(self) -> str:
        """The text of all blocks."""
        return "\n".join(part.text for part in self.parts if part.text)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool on offer; `kind` is ``function``, ``custom`` or the name of a hosted tool.

    `parameters` are a function's, or the format of what a custom tool is sent.
    """

    name: str
    kind: str = "function"
    description: str = ""
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    strict: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Everything a request asks for.

    Attributes:
        choice: ``none``, ``auto`` or ``required``.
        allowed: the tools that may be called; all when empty.
        cap: most output tokens, reasoning included, or None.
        format: ``text``, ``json_object`` or ``json_schema``.
        cached: whether the prompt cache is used.
        functions: whether the tools came in the form before tools, and a call goes back in it.
        obfuscated: whether the events of a stream are padded, as they are unless that is switched off.
        moderation: the model that moderates what is said, or an empty string.
        thought: tokens of earlier reasoning that the model is shown.
        audio: the audio format asked for, or an empty string.
        media: size and tokens of images, audio and files by kind, for usage and billing.
    """

    endpoint: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    allowed: tuple[str, ...] = ()
    parallel: bool = True
    cap: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    effort: str = "none"
    verbosity: str = "medium"
    format: str = "text"
    schema: dict[str, Any] | None = None
    schema_name: str = ""
    schema_about: str = ""
    logprobs: bool = False
    top_logprobs: int = 0
    moderation: str = ""
    thought: int = 0
    audio: str = ""
    prediction: str = ""
    tier: str = "auto"
    window: str = ""
    cache_key: str = ""
    cache_ttl: str = ""
    cached: bool = True
    stream: bool = False
    functions: bool = False
    obfuscated: bool = False

    @property
    def last_user(self) -> str:
        """The text of the last user message."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    def tail(self) -> tuple[Turn, ...]:
        """The turns after the last user message: the tool calls made for it and their results."""
        index = max((i for i, turn in enumerate(self.turns) if turn.role == "user"), default=-1)
        return self.turns[index + 1 :]
