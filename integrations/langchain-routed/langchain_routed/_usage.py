"""The usage of streams: asked for at every address, and given up where a server refuses to be asked.

ChatOpenAI asks at OpenAI's own address only, since some compatible servers answer ``stream_options`` with a
refusal. Without usage nothing can be booked, so a server is asked until it refuses; the stream is then begun
again without, and so are the later ones at that address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from openai import APIStatusError

from langchain_routed._children import Child

if TYPE_CHECKING:
    from langchain_routed._plan import Plan

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


def chunks(plan: Plan, history: list[BaseMessage], keywords: dict[str, Any]) -> Iterator[ChatGenerationChunk]:
    """Yield what the plan's child streams."""
    given = {**plan.keywords(), **_known(plan, keywords)}
    try:
        yield from plan.child._stream(history, stop=plan.stop, **given)
        return
    except APIStatusError as error:
        if not _given_up(plan, given, error):
            raise
    yield from plan.child._stream(history, stop=plan.stop, **given, stream_usage=False)


async def achunks(
    plan: Plan, history: list[BaseMessage], keywords: dict[str, Any]
) -> AsyncIterator[ChatGenerationChunk]:
    """Yield what the plan's child streams."""
    given = {**plan.keywords(), **_known(plan, keywords)}
    try:
        first: Any = plan.child._astream(history, stop=plan.stop, **given)
        async with aclosing(first):
            async for chunk in first:
                yield chunk
        return
    except APIStatusError as error:
        if not _given_up(plan, given, error):
            raise
    second: Any = plan.child._astream(history, stop=plan.stop, **given, stream_usage=False)
    async with aclosing(second):
        async for chunk in second:
            yield chunk


def _known(plan: Plan, keywords: dict[str, Any]) -> dict[str, Any]:
    """Return what only a streamed Chat Completions call takes, as the caller or the server wants it."""
    if plan.decision.endpoint != "chat_completions":
        return {}
    usage = keywords.get("stream_usage")
    if usage is not None:
        return {"stream_usage": usage}
    child = plan.child
    if not isinstance(child, Child) or child.openai_api_base not in child.spared or _wanted(plan, child):
        return {}
    _note(plan)
    return {"stream_usage": False}


def _wanted(plan: Plan, child: Child) -> bool:
    return "stream_options" in plan.sent or child.owner.stream_usage is True


def _given_up(plan: Plan, given: dict[str, Any], error: APIStatusError) -> bool:
    """Say whether a server refused to be asked for the usage, which nobody had told us to ask for."""
    child = plan.child
    if not isinstance(child, Child) or "stream_usage" in given or _wanted(plan, child):
        return False
    told = f"{error} {error.body}"
    if error.status_code not in _REFUSALS or not any(name in told for name in _NAMES):
        return False
    child.spared.add(child.openai_api_base)
    _note(plan)
    return True


def _note(plan: Plan) -> None:
    if _LEFT_OUT not in plan.added:
        plan.added = (*plan.added, _LEFT_OUT)
