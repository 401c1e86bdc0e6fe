"""Streams: Responses' events as Chat Completions' chunks, and back, one at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from routed_llm.request.wire.answers import (
    chat_completion,
    chat_moderation,
    chat_usage,
    citation,
    finish_reason,
    output_items,
    response,
)
from routed_llm.request.wire.turns import ITEMS
from routed_llm.usage import hosted_calls

__all__ = ["ChunkStream", "EventStream", "says_something"]

_COMMON: Final = frozenset({"id", "object", "created", "model", "choices"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_CALLS: Final[Mapping[str, tuple[str, str]]] = {
    "function_call": ("function", "arguments"),
    "custom_tool_call": ("custom", "input"),
}


def says_something(chunk: Mapping[str, Any]) -> bool:
    """Say whether a chunk holds a token of the answer: until then another model may still answer instead."""
    return any(
        any(value for name, value in (choice.get("delta") or {}).items() if name not in ("role", ITEMS))
        for choice in chunk.get("choices") or ()
    )


def _text_of(choices: Any) -> str | None:
    """Return the text of choices that bring nothing else; None for others."""
    choice = choices[0] if type(choices) is list and len(choices) == 1 else None
    if type(choice) is not dict or choice.get("index") or choice.get("finish_reason"):
        return None
    delta = choice.get("delta")
    text = delta.get("content") if type(delta) is dict and len(delta) == 1 else None
    return text if type(text) is str else None


class ChunkStream:
    """Turns a stream of either endpoint into one shape: that of Chat Completions, usage on its last chunk.

    Args:
        endpoint: ``chat_completions`` or ``responses``: which one the stream comes from.
        usage_apart: whether the usage comes in a chunk of its own without choices, as somebody who asks for
            ``include_usage`` expects it; else it stands on the chunk with the finish reason.

    Attributes:
        usage: what was reported until now, in Chat Completions' form, or None.
        hosted: calls of hosted tools that were reported until now, as :func:`hosted_calls` gives them.
        model: the model that answers, as the stream names it, or None.
        service_tier: the tier that the stream names, or None.
        id: the answer's id, or None.
        finished: whether the stream has said that the answer is finished.
        begun: whether a token of the answer has come.
        text: the text that has come.
    """

    def __init__(self, endpoint: str, *, usage_apart: bool = False) -> None:
        self.usage: dict[str, Any] | None = None
        self.hosted: tuple[tuple[str, str, int], ...] = ()
        self.model: str | None = None
        self.service_tier: str | None = None
        self.id: str | None = None
        self.finished = False
        self.begun = False
        self._said: list[str] = []
        self._apart = usage_apart
        self._responses = endpoint == "responses"
        self._created = 0
        self._role = False
        self._held: dict[str, Any] | None = None
        self._extra: dict[str, Any] = {}
        self._calls: dict[int, int] = {}  # an item's place in the output to its number among the calls
        self._given: dict[Any, int] = {}  # characters of a text or a call that deltas have brought

    @property
    def text(self) -> str:
        """The text that has come."""
        return "".join(self._said)

    def feed(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Take a chunk or an event and return the chunks to pass on now; a chunk that stays is itself.

        An event that reports a failure is not for here: ask :func:`failure_of` first.
        """
        found = self._event(event) if self._responses else self._chunk(event)
        for chunk in found:
            self.begun = self.begun or says_something(chunk)
            for choice in chunk["choices"]:
                if not choice.get("index"):
                    delta = choice.get("delta") or {}
                    self._said.append(delta.get("content") or delta.get("refusal") or "")
        return found

    def only_text(self, event: Mapping[str, Any]) -> str | None:
        """Take an event that does nothing but go on with a text, as most do, and return what it brings.

        None for any other, and before the answer has begun: it is to be fed.
        """
        if not self.begun or self.finished or self._extra or "error" in event:
            return None
        if self._responses:
            if event.get("type") != "response.output_text.delta":
                return None
            place = (event.get("output_index"), event.get("content_index"))
            text: str | None = self._more(("text", *place), event.get("delta"))
        else:
            if event.get("usage") is not None or event.get("model") != self.model:
                return None
            if event.get("service_tier") not in (None, self.service_tier):
                return None
            text = _text_of(event.get("choices"))
        if text is not None:
            self._said.append(text)
        return text

    def end(self) -> list[dict[str, Any]]:
        """Return what is still held back, now that the stream has ended."""
        held, self._held = self._held, None
        return [] if held is None else [held]

    # ----- chunks of Chat Completions: only the usage may have to move

    def _chunk(self, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        chunk = given if isinstance(given, dict) else dict(given)
        self.id = chunk.get("id") or self.id
        self.model = chunk.get("model") or self.model
        self.service_tier = chunk.get("service_tier") or self.service_tier
        usage, choices = chunk.get("usage"), chunk.get("choices") or ()
        if isinstance(usage, Mapping):
            self.usage = dict(usage)
        if any("delta" not in choice for choice in choices):  # Azure's filter results come so
            choices = [{"delta": {}, **choice} for choice in choices]
            chunk = {**chunk, "choices": choices}
        ends = any(choice.get("finish_reason") for choice in choices)
        self.finished = self.finished or ends
        if self._apart:
            return [chunk]
        before = self.end()
        if not choices:
            # Somebody who did not ask for the usage reads `choices[0]` of every chunk: what comes without
            # (the usage; Azure's filter results, which come first) moves to one that has a choice.
            more = {name: value for name, value in chunk.items() if name not in _COMMON and value is not None}
            if before:
                self._held = {**before[0], **more}
            else:
                self._extra.update(more)
            return []
        if self._extra:
            chunk, self._extra = {**self._extra, **chunk}, {}
        if ends:
            self._held = chunk
            return before
        return [*before, chunk]

    # ----- events of Responses

    def _event(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        kind = str(event.get("type"))
        held = event.get("response")
        if isinstance(held, Mapping):
            self._note(held)
            if kind in _ENDS:
                return self._last(held)
        delta = self._delta(kind, event)
        return [] if delta is None else [self._made(delta, logprobs=event.get("logprobs"))]

    def _note(self, held: Mapping[str, Any]) -> None:
        self.id = held.get("id") or self.id
        self.model = held.get("model") or self.model
        self.service_tier = held.get("service_tier") or self.service_tier
        self._created = int(held.get("created_at") or self._created)
        self.usage = chat_usage(held.get("usage")) or self.usage
        self.hosted = hosted_calls(held) or self.hosted

    def _delta(self, kind: str, event: Mapping[str, Any]) -> dict[str, Any] | None:
        place = (event.get("output_index"), event.get("content_index"))
        if kind == "response.output_text.delta":
            return {"content": self._more(("text", *place), event.get("delta"))}
        if kind == "response.refusal.delta":
            return {"refusal": self._more(("refusal", *place), event.get("delta"))}
        if kind == "response.output_text.done":
            return self._rest("content", ("text", *place), event.get("text"))
        if kind == "response.refusal.done":
            return self._rest("refusal", ("refusal", *place), event.get("refusal"))
        if kind == "response.output_text.annotation.added" and isinstance(event.get("annotation"), Mapping):
            note = citation(event["annotation"])
            return None if note is None else {"annotations": [note]}
        if kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            return self._call_more(kind, event, str(event.get("delta") or ""))
        if kind in ("response.function_call_arguments.done", "response.custom_tool_call_input.done"):
            whole = str(event.get("arguments") or event.get("input") or "")
            given = self._given.get(("call", event.get("output_index")), 0)
            return self._call_more(kind, event, whole[given:]) if len(whole) > given else None
        if kind in ("response.output_item.added", "response.output_item.done"):
            return self._call_begun(event)
        return None

    def _more(self, key: Any, text: Any) -> str:
        words = str(text or "")
        self._given[key] = self._given.get(key, 0) + len(words)
        return words

    def _rest(self, name: str, key: Any, whole: Any) -> dict[str, Any] | None:
        """Return what deltas have not brought of a text that is done."""
        rest = str(whole or "")[self._given.get(key, 0) :]
        return {name: self._more(key, rest)} if rest else None

    def _call_begun(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        item, place = event.get("item"), event.get("output_index")
        if not isinstance(item, Mapping) or item.get("type") not in _CALLS or not isinstance(place, int):
            return None
        kind, said = _CALLS[str(item["type"])]
        whole = str(item.get(said) or "")
        if place not in self._calls:
            number = self._calls[place] = len(self._calls)
            called = {"name": item.get("name"), said: self._more(("call", place), whole)}
            return {"tool_calls": [{"index": number, "id": item.get("call_id"), "type": kind, kind: called}]}
        given = self._given.get(("call", place), 0)
        if len(whole) <= given:
            return None
        rest = self._more(("call", place), whole[given:])
        return {"tool_calls": [{"index": self._calls[place], kind: {said: rest}}]}

    def _call_more(self, kind: str, event: Mapping[str, Any], text: str) -> dict[str, Any] | None:
        number = self._calls.get(event.get("output_index"))  # type: ignore[arg-type]
        if number is None or not text:
            return None
        form, said = _CALLS["custom_tool_call" if "custom" in kind else "function_call"]
        more = self._more(("call", event.get("output_index")), text)
        return {"tool_calls": [{"index": number, form: {said: more}}]}

    def _last(self, held: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.finished = True
        whole = chat_completion(held)["choices"][0]["message"]
        delta = {ITEMS: whole[ITEMS]} if ITEMS in whole else {}
        chunks = []
        if not self.begun and not self._said:
            # A stream that brought nothing but its end still has an answer.
            first = {name: whole[name] for name in ("content", "refusal") if whole.get(name)}
            calls = [{"index": at, **call} for at, call in enumerate(whole.get("tool_calls") or ())]
            if calls:
                first["tool_calls"] = calls
            # Chat Completions begins even an empty answer with one.
            chunks.append(self._made(first or {"content": ""}))
        last = {**self._made(delta, reason=finish_reason(held)), **chat_moderation(held)}
        if self._apart:
            usage = {**self._made({}), "choices": [], "usage": self.usage}
            return [*chunks, last, usage] if self.usage is not None else [*chunks, last]
        return [*chunks, {**last, "usage": self.usage}]

    def _made(
        self, delta: dict[str, Any], *, logprobs: Any = None, reason: str | None = None
    ) -> dict[str, Any]:
        if not self._role:
            self._role = True
            # Where it refuses or speaks, Chat Completions begins with an empty content.
            empty = {"content": ""} if "refusal" in delta else {}
            delta = {"role": "assistant", **empty, **delta}
        found = {"content": list(logprobs), "refusal": None} if logprobs else None
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": found}],
            "service_tier": self.service_tier,
            "system_fingerprint": None,
        }


class EventStream:
    """Turns Chat Completions' chunks into the events of Responses.

    Args:
        asked: what was asked, in Responses' form; the events repeat its fields.
    """

    def __init__(self, asked: Mapping[str, Any] | None = None) -> None:
        self._asked = asked or {}
        self._number = 0
        self._first: dict[str, Any] = {}
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._reason: str | None = None
        self._usage: Any = None
        self._logprobs: list[Any] = []
        self._items: list[Any] = []  # what stands at each place of the output: "message" or a call's index
        self._parts: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}

    def feed(self, chunk: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Take a chunk and return the events to pass on now."""
        events: list[dict[str, Any]] = []
        if not self._first:
            self._first = {key: chunk.get(key) for key in ("id", "created", "model", "service_tier")}
            for kind in ("response.created", "response.in_progress"):
                begun = {**response(self._completion(), self._asked), "status": "in_progress", "output": []}
                events.append(self._event(kind, response={**begun, "incomplete_details": None}))
        self._usage = chunk.get("usage") or self._usage
        self._first["service_tier"] = chunk.get("service_tier") or self._first["service_tier"]
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue  # Responses gives one answer
            delta = choice.get("delta") or {}
            self._reason = choice.get("finish_reason") or self._reason
            said = (choice.get("logprobs") or {}).get("content") or []
            self._logprobs.extend(said)
            if delta.get("content"):
                events += self._text("output_text", "content", delta["content"], said)
            if delta.get("refusal"):
                events += self._text("refusal", "refusal", delta["refusal"], ())
            for call in delta.get("tool_calls") or ():
                events += self._call(call)
            if delta.get("annotations"):
                self._message.setdefault("annotations", []).extend(delta["annotations"])
        return events

    def end(self) -> list[dict[str, Any]]:
        """Return the events that end the answer, now that the chunks have ended."""
        if self._calls:
            self._message["tool_calls"] = [self._calls[at] for at in sorted(self._calls)]
        whole = response(self._completion(), self._asked)
        events: list[dict[str, Any]] = []
        items = {self._key(item): item for item in whole["output"]}
        ordered = [items[key] for key in self._items if key in items]
        ordered += [item for key, item in items.items() if key not in self._items]
        whole["output"] = ordered
        for place, item in enumerate(ordered):
            events += self._done(place, item)
        kind = "response.incomplete" if whole["status"] == "incomplete" else "response.completed"
        return [*events, self._event(kind, response=whole)]

    def _completion(self) -> dict[str, Any]:
        logprobs = {"content": self._logprobs} if self._logprobs else None
        choice = {"message": self._message, "finish_reason": self._reason, "logprobs": logprobs}
        return {**self._first, "choices": [choice], "usage": self._usage}

    def _key(self, item: Mapping[str, Any]) -> Any:
        if item["type"] == "message":
            return "message"
        return next(
            (at for at, call in self._calls.items() if call.get("id") == item.get("call_id")), item["id"]
        )

    def _place(self, key: Any) -> tuple[int, bool]:
        if key in self._items:
            return self._items.index(key), False
        self._items.append(key)
        return len(self._items) - 1, True

    def _text(self, kind: str, name: str, words: str, logprobs: Any) -> list[dict[str, Any]]:
        place, new = self._place("message")
        identity = f"msg_{self._first['id']}"
        events = []
        if new:
            item = {
                "id": identity,
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            events.append(self._event("response.output_item.added", output_index=place, item=item))
        at = {"output_index": place, "item_id": identity}
        if name not in self._parts:
            self._parts.append(name)
            part = (
                {"type": "refusal", "refusal": ""}
                if kind == "refusal"
                else {"type": kind, "text": "", "annotations": [], "logprobs": []}
            )
            at["content_index"] = self._parts.index(name)
            events.append(self._event("response.content_part.added", **at, part=part))
        at["content_index"] = self._parts.index(name)
        self._message[name] = (self._message.get(name) or "") + words
        more = {"logprobs": list(logprobs)} if kind == "output_text" else {}
        return [*events, self._event(f"response.{kind}.delta", **at, delta=words, **more)]

    def _call(self, call: Mapping[str, Any]) -> list[dict[str, Any]]:
        at = int(call.get("index") or 0)
        place, new = self._place(at)
        events = []
        if new:
            kind = str(call.get("type") or "function")
            said = "arguments" if kind == "function" else "input"
            held = call.get(kind) or {}
            whole = {"id": call.get("id"), "type": kind, kind: {"name": held.get("name"), said: ""}}
            self._calls[at] = whole
            item = output_items({"tool_calls": [whole]}, None, "")[0]
            begun = {**item, "status": "in_progress"}
            events.append(self._event("response.output_item.added", output_index=place, item=begun))
        whole = self._calls[at]
        kind = whole["type"]
        said = "arguments" if kind == "function" else "input"
        words = (call.get(kind) or {}).get(said)
        if words:
            whole[kind][said] += words
            name = "function_call_arguments" if kind == "function" else "custom_tool_call_input"
            identity = output_items({"tool_calls": [whole]}, None, "")[0]["id"]
            events.append(
                self._event(f"response.{name}.delta", output_index=place, item_id=identity, delta=words)
            )
        return events

    def _done(self, place: int, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        at = {"output_index": place, "item_id": item.get("id")}
        events = []
        for index, part in enumerate(item.get("content") or () if item["type"] == "message" else ()):
            name = "refusal" if part["type"] == "refusal" else "text"
            kind = "refusal" if name == "refusal" else "output_text"
            more = {} if name == "refusal" else {"logprobs": part.get("logprobs") or []}
            done = {name: part[name], **more}
            events.append(self._event(f"response.{kind}.done", **at, content_index=index, **done))
            events.append(
                self._event("response.content_part.done", **at, content_index=index, part=dict(part))
            )
        if item["type"] == "function_call":
            done = {"arguments": item["arguments"], "name": item["name"]}
            events.append(self._event("response.function_call_arguments.done", **at, **done))
        elif item["type"] == "custom_tool_call":
            events.append(self._event("response.custom_tool_call_input.done", **at, input=item["input"]))
        return [*events, self._event("response.output_item.done", output_index=place, item=dict(item))]

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        number, self._number = self._number, self._number + 1
        return {"type": kind, "sequence_number": number, **fields}
