"""What stands around the texts of a request, and costs tokens by model and endpoint. Pure.

A request's texts count alike on every model of the o200k vocabulary. What the provider writes around them
does not: it opens the reply, marks who speaks, frames tools, schemas, tool calls and files. `Framed` says
how often a request has each of these, `Framing` what each costs on one endpoint of one family (catalog,
`framing.toml`). `RequestFacts.tokens` is counted by `REFERENCE`, so that `Framing.beside` is what another
configuration counts more, or less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["MESSAGE", "PLAIN", "REFERENCE", "Framed", "Framing"]

MESSAGE: Final = 4
"""Tokens of the frame of a message, its role included: the same on every model and endpoint."""


class Framed(NamedTuple):
    """How often a request has what costs tokens by model and endpoint.

    Where nothing is said, as of facts that somebody wrote down, every model counts the tokens alike.

    Attributes:
        replies: 1 for a request, whose reply has to be opened.
        assistants: messages of the assistant, and items that stand for one.
        calls: calls of functions made in earlier turns, with their results.
        parallel: those of them that stand beside another one in the same turn.
        spoken: turns that say something and call a function, too.
        tools: functions offered.
        system: 1 where the request has a system or developer message, else 0.
        schemas: 1 where the answer has to follow a JSON schema, else 0.
        single: 1 where functions are to be called one at a time, else 0.
        files: files given inline whose text is counted.
        thought: tokens of reasoning handed back for the turn that goes on, estimated from their length.
        unsure: tokens that may come on top at most, of what cannot be read here.
        turns: turns that make several calls at once.
        named: tokens, about, of the names of the functions that these turns call.
        kept: calls that stand alone in their turn and that the provider keeps, by their ids.
        recalled: tokens of reasoning handed back of turns that have ended, estimated from their length.
        forced: tokens, about, of the name of the one function that has to be called; 0 where none has to.
        only: the same of the one function that is offered, where a call is required and none is named.
        shape: tokens, about, of the name of the JSON schema; 0 without one.
        joined: tokens that the first system message costs less where functions or a schema stand behind it.
        described: 1 where the first function is described, else 0.
        names: messages that say who speaks.
        lines: results of calls of one turn, but the last of each, that end in a mark: a line ends with it.
        custom: functions among those offered that take text as it stands.
        later: lists of functions that are offered in the course of the conversation.
    """

    replies: int = 0
    assistants: int = 0
    calls: int = 0
    parallel: int = 0
    spoken: int = 0
    tools: int = 0
    system: int = 0
    schemas: int = 0
    single: int = 0
    files: int = 0
    thought: int = 0
    unsure: int = 0
    turns: int = 0
    named: int = 0
    kept: int = 0
    recalled: int = 0
    forced: int = 0
    only: int = 0
    shape: int = 0
    joined: int = 0
    described: int = 0
    names: int = 0
    lines: int = 0
    custom: int = 0
    later: int = 0

    @property
    def varies(self) -> bool:
        """Whether the request has something that grows with its conversation."""
        return bool(
            self.assistants
            or self.calls
            or self.files
            or self.thought
            or self.unsure
            or self.recalled
            or self.names
            or self.later
        )


_FILE: Final = (192, 64)
"""Tokens that the text of a file may be less, and more, than is read of it here, a page of a PDF apart."""
_NAME: Final = 2
"""Tokens that a name may be off either way, one in fifty more than one (232 recorded names)."""

PLAIN: Final = Framed()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Framing:
    """What one endpoint of one family writes around a request's texts, in tokens.

    Attributes:
        opening: once a request.
        assistant: each message of the assistant, beside `MESSAGE`.
        call: each call of a function with its result, beside the messages, the function's name (twice),
            the arguments and the result.
        turn: each turn that makes several calls at once.
        parallel: each further call of such a turn; it may be less than none.
        once: 1 where such turns name each function once only, and their results are lines of one text.
        kept: each call of its own that the provider keeps.
        spoken: each turn that says something and calls a function, too.
        tools: once where functions are offered, beside their text.
        tools_system: the same where there is a system message, too.
        schemas: once where there is a JSON schema, beside its text.
        schemas_system: the same where there is a system message, too.
        shape: each answer that follows the schema, the one asked for included, beside the schema's name;
            0 where answers do not name it.
        both: once where there are functions and a JSON schema; it may be less than none.
        both_system: the same where there is a system message, too.
        forced: once where one function has to be called, beside its name; 0 where it is not named again.
        only: 1 where a call that is required of the one function that is offered counts as forced, else 0.
        joined: 1 where functions and a schema stand in the first system message, else 0.
        described: once where functions are offered and the first is described.
        single: once where functions are to be called one at a time.
        name: each message that says who speaks, beside the name.
        file: each file, beside its text.
        page: each page of a PDF, beside its text.
        pictured: 1 where a page may be billed as the image that it is, else 0.
        thought: 1 where reasoning counts that is handed back for the turn that goes on, else 0.
        recalled: 1 where reasoning of turns that have ended counts, too, else 0.
        later: each list of functions that is offered in the course of the conversation, beside its text.
        hosted: name of a hosted tool to what its description costs, whether it is used or not.
        off_all: how many tokens less, and more, a request may count than said here, whatever is in it.
        off_tools: the same, for a list of functions.
        off_tool: the same, for each function in it.
        off_custom: the same, for each function that takes text as it stands.
        off_later: the same, for each list of functions offered later.
        off_call: the same, for each call.
        off_schemas: the same, for a schema.
    """

    opening: int = 0
    assistant: int = 0
    call: int = 0
    turn: int = 0
    parallel: int = 0
    once: int = 0
    kept: int = 0
    spoken: int = 0
    tools: int = 0
    tools_system: int = 0
    schemas: int = 0
    schemas_system: int = 0
    shape: int = 0
    both: int = 0
    both_system: int = 0
    forced: int = 0
    only: int = 0
    joined: int = 0
    described: int = 0
    single: int = 0
    name: int = 0
    file: int = 0
    page: int = 0
    pictured: int = 0
    thought: int = 0
    recalled: int = 0
    later: int = 0
    hosted: Mapping[str, int] = field(default_factory=dict)
    off_all: tuple[int, int] = (0, 0)
    off_tools: tuple[int, int] = (0, 0)
    off_tool: tuple[int, int] = (0, 0)
    off_custom: tuple[int, int] = (0, 0)
    off_later: tuple[int, int] = (0, 0)
    off_call: tuple[int, int] = (0, 0)
    off_schemas: tuple[int, int] = (0, 0)

    @lru_cache(maxsize=1024)  # noqa: B019 - there are some ten framings, which live as long as the catalog
    def is_within(self, other: Framing) -> bool:
        """Say whether nothing costs more here, or is less sure, than there."""
        return (
            self.once >= other.once
            and self.joined >= other.joined
            and all(getattr(self, name) <= getattr(other, name) for name in _COUNTED)
            and all(getattr(self, name)[1] <= getattr(other, name)[1] for name in _UNSURE)
        )

    def of(self, framed: Framed) -> int:
        """Return the tokens of all frames but those of the messages, as well as they are known."""
        (
            replies,
            assistants,
            calls,
            parallel,
            spoken,
            tools,
            system,
            schemas,
            single,
            files,
            thought,
            _,
            turns,
            named,
            kept,
            recalled,
            forced,
            only,
            shape,
            joined,
            described,
            names,
            lines,
            _,
            later,
        ) = framed
        total = self.opening * replies + self.assistant * assistants
        if calls:
            total += self.call * calls + self.spoken * spoken + self.kept * kept
            if parallel:
                total += self.turn * turns + self.parallel * parallel - self.once * (named + lines)
        if tools:
            total += (self.tools_system if system else self.tools) + self.described * described
            if forced or only:
                called = forced or self.only * only
                total += self.forced + called if called and self.forced else 0
        if schemas:
            total += self.schemas_system if system else self.schemas
            if self.shape:
                # Turns that call functions follow no schema.
                total += (self.shape + shape) * (replies + max(assistants - calls + parallel, 0))
            if tools:
                total += self.both_system if system else self.both
        if joined and (tools or schemas):
            total -= self.joined * joined
        if single or files or thought or recalled or names or later:
            total += self.single * single + self.file * files + self.name * names + self.later * later
            total += self.thought * thought + self.recalled * recalled
        return total

    def beside(self, framed: Framed) -> int:
        """Return what these frames count more than those of `REFERENCE`; it may be less than none."""
        return self.of(framed) - REFERENCE.of(framed)

    def off(self, framed: Framed) -> tuple[int, int]:
        """Return by how many tokens the true count may be less, and more, than what is known."""
        _, assistants, calls, _, _, tools, _, schemas, _, files, thought, unsure = framed[:12]
        less = more = 0
        thought = self.thought * thought + self.recalled * framed.recalled
        if files or thought or unsure:
            # The provider reads a file in its own way; how much was thought is known from its length only.
            less += _FILE[0] * files + thought
            more += _FILE[1] * files + (thought // 2 + 64 if thought else 0) + unsure
        if tools:
            less += self.off_tools[0] + self.off_tool[0] * tools
            more += self.off_tools[1] + self.off_tool[1] * tools
            if self.forced and (framed.forced or framed.only):
                less, more = less + _NAME, more + _NAME
            less += self.off_custom[0] * framed.custom
            more += self.off_custom[1] * framed.custom
        if framed.later:
            less += self.off_later[0] * framed.later
            more += self.off_later[1] * framed.later
        if calls:
            less += self.off_call[0] * calls
            more += self.off_call[1] * calls
        if schemas:
            less += self.off_schemas[0]
            more += self.off_schemas[1]
            if self.shape:
                less, more = less + _NAME * assistants, more + _NAME * assistants
        return less, more


_UNSURE: Final = tuple(name for name in Framing.__slots__ if name.startswith("off_"))
_COUNTED: Final = tuple(
    name for name in Framing.__slots__ if name not in (*_UNSURE, "hosted", "once", "joined")
)

REFERENCE: Final = Framing(
    opening=3,
    call=4,
    turn=22,
    once=1,
    spoken=4,
    tools=9,
    tools_system=6,
    schemas=10,
    schemas_system=7,
    shape=2,
    both=-7,
    both_system=-3,
    forced=7,
    joined=1,
    file=16,
    page=980,
)
"""The frames of gpt-4o on Chat Completions, by which `RequestFacts.tokens` is counted."""
