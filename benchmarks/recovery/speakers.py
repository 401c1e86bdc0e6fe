"""The same case said in the words of each framework, and the four ways to call a model in it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from inspect import signature
from typing import Any, Final, Protocol

import openai
import openai_routed
from langchain_core.messages import AIMessage, convert_to_messages
from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ToolCallBlock,
)
from llama_index.llms.openai import OpenAI
from llama_index.llms.routed import RoutedLLM

from benchmarks.recovery.conversations import Case
from benchmarks.recovery.every_field import OF_RESPONSES
from benchmarks.recovery.judge import PATHS
from routed_llm import Router

__all__ = ["LangChain", "LlamaIndex", "OpenAIClient", "Speaker"]


class Speaker(Protocol):
    """One adapter with one baseline."""

    def __init__(self, url: str, baseline: str, router: Router) -> None: ...

    defaults: dict[str, Any]
    """What the framework adds to every call."""
    own: frozenset[str]
    """What it does not send, for it means something else to it."""

    def record(self, answer: Any) -> dict[str, Any]:
        """Return the routing record of an answer."""

    def paths(self, parameters: dict[str, Any]) -> tuple[str, ...]:
        """Return the endpoints that the framework can send such a call to."""

    def messages(self, case: Case) -> list[Any]:
        """Return the conversation as the framework has it."""

    def written(self, case: Case) -> list[dict[str, Any]]:
        """Return what of the conversation the framework has a form for."""

    def followed(self, messages: list[Any], answer: Any, said: str) -> list[Any]:
        """Return the conversation with an answer and what is said next."""

    def call(
        self, case: Case, messages: list[Any], parameters: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> Any:
        """Make the call and return its answer, a stream's in one piece."""

    def control(
        self, case: Case, messages: list[Any], parameters: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> Any:
        """Make the call with the framework's own class and the baseline."""

    def is_on_responses(self, parameters: dict[str, Any]) -> bool:
        """Say whether the framework's own class would send these to Responses, though that may raise."""


class LangChain:
    """RoutedChatModel."""

    def __init__(self, url: str, baseline: str, router: Router) -> None:
        common: dict[str, Any] = {"base_url": url, "api_key": "k", "timeout": 60, "max_retries": 0}
        self.defaults = {}
        self.own = frozenset({"metadata"})  # the trace's
        self._llm = RoutedChatModel(model=baseline, router=router, **common)
        self._plain = ChatOpenAI(model=baseline, **common)

    def record(self, answer: Any) -> dict[str, Any]:
        """Return the routing record of a message."""
        return dict(answer.response_metadata["routing"])

    def paths(self, parameters: dict[str, Any]) -> tuple[str, ...]:
        """Return both endpoints; the SDK takes a form beside loose tools on Responses only."""
        loose = [one for one in parameters.get("tools", ()) if not one["function"].get("strict")]
        return PATHS[1:] if loose and "response_format" in parameters else PATHS

    def messages(self, case: Case) -> list[Any]:
        """Return the conversation as LangChain's messages."""
        rows = [_native(row) for row in case.messages] if case.native else case.messages
        return list(convert_to_messages([_with_custom_calls(row) for row in rows]))

    def written(self, case: Case) -> list[dict[str, Any]]:
        """Return the whole conversation."""
        return case.messages

    def followed(self, messages: list[Any], answer: Any, said: str) -> list[Any]:
        """Return the conversation with an answer, the results of its tools, and what is said next."""
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "3"}
            for call in (*answer.tool_calls, *answer.invalid_tool_calls)
        ]
        return [*messages, answer, *convert_to_messages([*results, {"role": "user", "content": said}])]

    def call(
        self, case: Case, messages: list[Any], parameters: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> Any:
        """Make the call."""
        pin = {"model": case.pinned} if case.pinned else {}
        return self._made(self._llm, case, messages, {**parameters, "routing": case.policy, **pin}, loop)

    def control(
        self, case: Case, messages: list[Any], parameters: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> Any:
        """Make the call with ChatOpenAI."""
        return self._made(self._plain, case, messages, dict(parameters), loop)

    def is_on_responses(self, parameters: dict[str, Any]) -> bool:
        """Ask ChatOpenAI, which goes by the model and by the parameters."""
        asked = {"model": self._plain.model_name, **parameters}
        return not OF_RESPONSES.keys().isdisjoint(parameters) or self._plain._use_responses_api(asked)

    def _made(
        self, llm: ChatOpenAI, case: Case, messages: list[Any], keywords: dict[str, Any], loop: Any
    ) -> Any:
        keywords.pop("metadata", None)
        if case.stream and case.asynchronous:
            return _sum(loop.run_until_complete(_all(llm.astream(messages, **keywords))))
        if case.stream:
            return _sum(list(llm.stream(messages, **keywords)))
        if case.asynchronous:
            return loop.run_until_complete(llm.ainvoke(messages, **keywords))
        return llm.invoke(messages, **keywords)


def _with_custom_calls(row: dict[str, Any]) -> Any:
    """Put calls of custom tools where LangChain keeps what it has no field for."""
    if not any(call["type"] == "custom" for call in row.get("tool_calls", ())):
        return row
    return AIMessage(row["content"] or "", additional_kwargs={"tool_calls": row["tool_calls"]})


async def _all(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


def _sum(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


def _native(row: dict[str, Any]) -> dict[str, Any]:
    """Write media as LangChain's own content blocks."""
    if not isinstance(row.get("content"), list):
        return row
    return {**row, "content": [_block(block) for block in row["content"]]}


def _block(block: dict[str, Any]) -> dict[str, Any]:
    kind = block["type"]
    if "prompt_cache_breakpoint" in block or "file_id" in block.get("file", ()):
        return block
    if (
        kind == "image_url"
        and block["image_url"]["url"].startswith("data:")
        and "detail" not in block["image_url"]
    ):
        return {"type": "image", "base64": _data(block["image_url"]["url"]), "mime_type": "image/png"}
    if kind == "input_audio":
        return {"type": "audio", "base64": block["input_audio"]["data"], "mime_type": "audio/wav"}
    if kind == "file":
        about = {"base64": _data(block["file"]["file_data"]), "mime_type": "application/pdf"}
        return {"type": "file", **about, "filename": block["file"]["filename"]}
    return block


def _data(url: str) -> str:
    return url.partition("base64,")[2]


class LlamaIndex:
    """RoutedLLM."""

    def __init__(self, url: str, baseline: str, router: Router) -> None:
        common: dict[str, Any] = {"api_base": url, "api_key": "k", "timeout": 60, "max_retries": 0}
        self.defaults = {"temperature": 0.1}
        self.own = frozenset()
        self._llm = RoutedLLM(model=baseline, router=router, **common)
        self._plain = OpenAI(model=baseline, **common)

    def record(self, answer: Any) -> dict[str, Any]:
        """Return the routing record of a response."""
        return dict(answer.additional_kwargs["routing"])

    def paths(self, parameters: dict[str, Any]) -> tuple[str, ...]:  # noqa: ARG002 - it makes no difference here
        """Return both endpoints."""
        return PATHS

    def messages(self, case: Case) -> list[Any]:
        """Return the conversation as LlamaIndex's messages."""
        return [_message(row) for row in case.messages]

    def written(self, case: Case) -> list[dict[str, Any]]:
        """Return the conversation without marks for the cache and files that were uploaded."""
        return [
            {**row, "content": [_unmarked(part) for part in row["content"] if not _is_uploaded(part)]}
            if isinstance(row.get("content"), list)
            else row
            for row in case.messages
        ]

    def followed(self, messages: list[Any], answer: Any, said: str) -> list[Any]:
        """Return the conversation with an answer, the results of its tools, and what is said next."""
        results = [
            ChatMessage("3", role="tool", additional_kwargs={"tool_call_id": block.tool_call_id})
            for block in answer.message.blocks
            if isinstance(block, ToolCallBlock)
        ]
        return [*messages, answer.message, *results, ChatMessage(said)]

    def call(
        self, case: Case, messages: list[Any], parameters: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> Any:
        """Make the call."""
        pin = {"model": case.pinned} if case.pinned else {}
        return self._made(self._llm, case, messages, {**parameters, "routing": case.policy, **pin}, loop)

    def control(
        self, case: Case, messages: list[Any], parameters: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> Any:
        """Make the call with LlamaIndex's OpenAI."""
        return self._made(self._plain, case, messages, parameters, loop)

    def is_on_responses(self, parameters: dict[str, Any]) -> bool:
        """Say whether a parameter is one of Responses'; LlamaIndex has another class for that endpoint."""
        return not OF_RESPONSES.keys().isdisjoint(parameters)

    def _made(self, llm: OpenAI, case: Case, messages: list[Any], keywords: dict[str, Any], loop: Any) -> Any:
        if case.stream and case.asynchronous:
            return loop.run_until_complete(_last(llm.astream_chat(messages, **keywords)))
        if case.stream:
            return list(llm.stream_chat(messages, **keywords))[-1]
        if case.asynchronous:
            return loop.run_until_complete(llm.achat(messages, **keywords))
        return llm.chat(messages, **keywords)


async def _last(stream: Any) -> Any:
    return [chunk async for chunk in await stream][-1]


def _message(row: dict[str, Any]) -> ChatMessage:
    content = row.get("content") or []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    refused = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
    shown = [part for part in parts if part["type"] != "refusal" and not _is_uploaded(part)]
    blocks = [_part(part) for part in shown]
    calls = row.get("tool_calls", ())
    extra = {name: row[name] for name in ("tool_call_id", "name", "refusal", "annotations") if row.get(name)}
    extra |= {"refusal": refused} if refused else {}
    if any(call["type"] == "custom" for call in calls):  # for which there is no block
        return ChatMessage(role=row["role"], blocks=blocks, additional_kwargs={**extra, "tool_calls": calls})
    for call in calls:
        called = call["function"]
        blocks.append(
            ToolCallBlock(
                tool_call_id=call["id"],
                tool_name=called["name"],
                tool_kwargs=json.loads(called["arguments"]),
            )
        )
    return ChatMessage(role=row["role"], blocks=blocks, additional_kwargs=extra)


def _is_uploaded(part: dict[str, Any]) -> bool:
    return "file_id" in part.get("file", ())


def _unmarked(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "prompt_cache_breakpoint"}


def _part(part: dict[str, Any]) -> Any:
    kind = part["type"]
    if kind == "image_url":
        url, detail = part["image_url"]["url"], part["image_url"].get("detail")
        if url.startswith("data:"):
            return ImageBlock(image=base64.b64decode(_data(url)), image_mimetype="image/png", detail=detail)
        return ImageBlock(url=url, detail=detail)
    if kind == "input_audio":
        return AudioBlock(audio=base64.b64decode(part["input_audio"]["data"]), format="wav")
    if kind == "file":
        data = _data(part["file"]["file_data"]).encode()
        return DocumentBlock(data=data, document_mimetype="application/pdf", title=part["file"]["filename"])
    return TextBlock(text=part["text"])


_NAMED: Final = frozenset(signature(openai.resources.chat.Completions.create).parameters)
"""What the SDK has a keyword for; anything else is sent by ``extra_body``."""


class OpenAIClient:
    """The SDK's client. Its model is the baseline, so that a call is pinned by its policy."""

    def __init__(self, url: str, baseline: str, router: Router) -> None:
        common: dict[str, Any] = {"base_url": url, "api_key": "k", "timeout": 60, "max_retries": 0}
        self.defaults: dict[str, Any] = {}
        self.own: frozenset[str] = frozenset()
        self._baseline = baseline
        routed = {"router": router, **common}
        self._routed = openai_routed.OpenAI(**routed), openai_routed.AsyncOpenAI(**routed)
        self._plain = openai.OpenAI(**common), openai.AsyncOpenAI(**common)

    def record(self, answer: Any) -> dict[str, Any]:
        """Return the routing record of an answer."""
        return dict(answer["routing"])

    def paths(self, parameters: dict[str, Any]) -> tuple[str, ...]:  # noqa: ARG002 - it makes no difference here
        """Return both endpoints."""
        return PATHS

    def messages(self, case: Case) -> list[Any]:
        """Return the conversation."""
        return list(case.messages)

    def written(self, case: Case) -> list[dict[str, Any]]:
        """Return the whole conversation."""
        return case.messages

    def followed(self, messages: list[Any], answer: Any, said: str) -> list[Any]:
        """Return the conversation with an answer, the results of its tools, and what is said next."""
        message = {name: value for name, value in answer.items() if name != "routing"}
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "3"}
            for call in message.get("tool_calls") or ()
        ]
        return [*messages, message, *results, {"role": "user", "content": said}]

    def call(
        self, case: Case, messages: list[Any], parameters: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> Any:
        """Make the call."""
        pin: dict[str, Any] = {"models": [case.pinned], "at_least": None} if case.pinned else {}
        return self._made(self._routed, case, messages, parameters, loop, {"routing": {**case.policy, **pin}})

    def control(
        self, case: Case, messages: list[Any], parameters: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> Any:
        """Make the call with the SDK's own client."""
        return self._made(self._plain, case, messages, parameters, loop, {})

    def is_on_responses(self, parameters: dict[str, Any]) -> bool:
        """Say whether a parameter is one of Responses'; the SDK has another method for that endpoint."""
        return not OF_RESPONSES.keys().isdisjoint(parameters)

    def _made(
        self,
        clients: tuple[Any, Any],
        case: Case,
        messages: list[Any],
        parameters: Mapping[str, Any],
        loop: Any,
        more: Mapping[str, Any],
    ) -> dict[str, Any]:
        given = {name: value for name, value in parameters.items() if name in _NAMED}
        rest = {name: value for name, value in parameters.items() if name not in _NAMED}
        extra = {**given.pop("extra_body", {}), **rest, **more}
        keywords = {"model": self._baseline, "messages": messages, "stream": case.stream, **given}
        create = clients[case.asynchronous].chat.completions.create
        answer = create(**keywords, extra_body=extra)
        if case.asynchronous:
            answer = loop.run_until_complete(_awaited(answer, stream=case.stream))
        return _joined(list(answer)) if case.stream else _answered(answer)


async def _awaited(answer: Any, *, stream: bool) -> Any:
    return [chunk async for chunk in await answer] if stream else await answer


def _answered(completion: Any) -> dict[str, Any]:
    message = completion.choices[0].message.model_dump(exclude_none=True)
    return {**message, "routing": getattr(completion, "routing", {})}


def _joined(chunks: list[Any]) -> dict[str, Any]:
    """Put the first answer of a stream together, as a message that a next request can send."""
    whole: dict[str, Any] = {"role": "assistant", "content": None, "routing": {}}
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        whole["routing"].update(getattr(chunk, "routing", None) or {})
        for delta in [choice.delta for choice in chunk.choices if not choice.index]:
            said = delta.model_dump(exclude_none=True, exclude={"role"})
            for call in said.pop("tool_calls", ()):
                _add(calls.setdefault(call.pop("index"), {"type": "function"}), call)
            _add(whole, said)
    return {**whole, "tool_calls": list(calls.values())} if calls else whole


def _add(whole: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict):
            _add(whole.setdefault(name, {}), value)
        elif isinstance(value, str) and name not in ("id", "type"):
            whole[name] = (whole.get(name) or "") + value
        else:
            whole[name] = value
