"""The usage of streams: asked for at every address, and given up where a server refuses to be asked.

ChatOpenAI asks at OpenAI's own address only, since some compatible servers answer ``stream_options`` with a
refusal. Without usage nothing can be booked, so a server is asked until it refuses; the stream is then begun
again without, and so are the later ones at that address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from openai import APIStatusError

from langchain_routed._children import Child

if TYPE_CHECKING:
    from langchain_routed._call import PreparedCall

__all__ = ["achunks", "chunks"]

_REFUSALS: Final = (400, 422)
_NAMES: Final = ("stream_options", "include_usage")
_LEFT_OUT: Final = {
    "parameter": "stream_options",
    "action": "dropped",
    "before": {"include_usage": True},
    "after": None,
    "why": "the server refuses it, so the usage and the cost of this stream are not known",
}


def chunks(
    prepared: PreparedCall, history: list[BaseMessage], keywords: dict[str, Any], options: Mapping[str, Any]
) -> Iterator[ChatGenerationChunk]:
    """Yield what a call's child streams."""
    given = {**keywords, **_known(prepared, options)}
    try:
        yield from prepared.child._stream(history, stop=prepared.stop, **given)
        return
    except APIStatusError as error:
        if not _given_up(prepared, given, error):
            raise
    yield from prepared.child._stream(history, stop=prepared.stop, **given, stream_usage=False)


async def achunks(
    prepared: PreparedCall, history: list[BaseMessage], keywords: dict[str, Any], options: Mapping[str, Any]
) -> AsyncIterator[ChatGenerationChunk]:
    """Yield what a call's child streams."""
    given = {**keywords, **_known(prepared, options)}
    try:
        first: Any = prepared.child._astream(history, stop=prepared.stop, **given)
        async with aclosing(first):
            async for chunk in first:
                yield chunk
        return
    except APIStatusError as error:
        if not _given_up(prepared, given, error):
            raise
    second: Any = prepared.child._astream(history, stop=prepared.stop, **given, stream_usage=False)
    async with aclosing(second):
        async for chunk in second:
            yield chunk


def _known(prepared: PreparedCall, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what only a streamed Chat Completions call takes, as the caller or the server wants it."""
    if prepared.decision.endpoint != "chat_completions":
        return {}
    usage = options.get("stream_usage")
    if usage is not None:
        return {"stream_usage": usage}
    child = prepared.child
    if not isinstance(child, Child) or child.openai_api_base not in child.spared or _wanted(prepared, child):
        return {}
    _note(prepared)
    return {"stream_usage": False}


def _wanted(prepared: PreparedCall, child: Child) -> bool:
    return "stream_options" in prepared.sent or child.owner.stream_usage is True


def _given_up(prepared: PreparedCall, given: dict[str, Any], error: APIStatusError) -> bool:
    """Say whether a server refused to be asked for the usage, which nobody had told us to ask for."""
    child = prepared.child
    if not isinstance(child, Child) or "stream_usage" in given or _wanted(prepared, child):
        return False
    told = f"{error} {error.body}"
    if error.status_code not in _REFUSALS or not any(name in told for name in _NAMES):
        return False
    child.spared.add(child.openai_api_base)
    _note(prepared)
    return True


def _note(prepared: PreparedCall) -> None:
    if _LEFT_OUT not in prepared.added:
        prepared.added = (*prepared.added, _LEFT_OUT)
