"""The usage of streams: asked for unless a server is known, or seems, not to take the question.

ChatOpenAI asks at OpenAI's own address only, since compatible servers answer ``stream_options`` in many ways:
with a refusal, with an error of their own, or not at all. Without usage nothing can be booked, so a server is
asked until it refuses, or fails before it has ever answered; then, and from then on, it is spared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from openai import APIStatusError, APITimeoutError

from langchain_routed._delegates import Delegate

if TYPE_CHECKING:
    from langchain_routed._call import PreparedCall

__all__ = ["achunks", "chunks"]

Ready = tuple[list[BaseMessage], list[str] | None, dict[str, Any]]
"""Messages, stop sequences and keywords, as a delegate takes them."""

_REFUSALS: Final = (400, 422)
_BROKE: Final = 500
_OPENAI: Final = "https://api.openai.com/"
_NAMES: Final = ("stream_options", "include_usage")
_OPENAIS: Final = ("openai-version", "openai-processing-ms")
"""Headers of OpenAI's own answers, of which an error is no sign that it does not take the question."""
_LEFT_OUT: Final = {
    "parameter": "stream_options",
    "action": "dropped",
    "before": {"include_usage": True},
    "after": None,
    "why": "the server refuses it, so the usage and the cost of this stream are not known",
}


def chunks(prepared: PreparedCall, ready: Ready, options: Mapping[str, Any]) -> Iterator[ChatGenerationChunk]:
    """Yield what a call's delegate streams."""
    history, stop, keywords = ready
    given = {**keywords, **_known(prepared, options)}
    try:
        for chunk in prepared.delegate._stream(history, stop=stop, **given):
            _answered(prepared, given)
            yield chunk
        return
    except Exception as error:
        if not _given_up(prepared, given, error):
            raise
    yield from prepared.delegate._stream(history, stop=stop, **given, stream_usage=False)


async def achunks(
    prepared: PreparedCall, ready: Ready, options: Mapping[str, Any]
) -> AsyncIterator[ChatGenerationChunk]:
    """Yield what a call's delegate streams."""
    history, stop, keywords = ready
    given = {**keywords, **_known(prepared, options)}
    try:
        first: Any = prepared.delegate._astream(history, stop=stop, **given)
        async with aclosing(first):
            async for chunk in first:
                _answered(prepared, given)
                yield chunk
        return
    except Exception as error:
        if not _given_up(prepared, given, error):
            raise
    second: Any = prepared.delegate._astream(history, stop=stop, **given, stream_usage=False)
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
    delegate = prepared.delegate
    if not isinstance(delegate, Delegate) or _wanted(prepared, delegate):
        return {}
    if delegate.takes_usage.get(delegate.openai_api_base) is not False:
        return {}
    prepared.note(_LEFT_OUT)
    return {"stream_usage": False}


def _wanted(prepared: PreparedCall, delegate: Delegate) -> bool:
    return "stream_options" in prepared.shown or delegate.owner.stream_usage is True


def _answered(prepared: PreparedCall, given: Mapping[str, Any]) -> None:
    """Note that a server streams to whoever asks for the usage."""
    delegate = prepared.delegate
    if isinstance(delegate, Delegate) and given.get("stream_usage") is not False:
        delegate.takes_usage.setdefault(delegate.openai_api_base, True)


def _given_up(prepared: PreparedCall, given: dict[str, Any], error: Exception) -> bool:
    """Say whether a stream is begun again without its usage, which nobody had told us to ask for."""
    delegate = prepared.delegate
    if not isinstance(delegate, Delegate) or prepared.decision.endpoint != "chat_completions":
        return False
    known, address = delegate.takes_usage, delegate.openai_api_base
    if given.get("stream_usage") is False and known.get(address) is False and not _refuses(error):
        known.pop(address)  # it fails all the same
    if "stream_usage" in given or _wanted(prepared, delegate):
        return False
    if _refuses(error):
        known[address] = False
        prepared.note(_LEFT_OUT)
        return True
    if address not in known and _may_be_for_it(error, address):
        known[address] = False  # recovery sends the next request
        prepared.spared = True
    return False


def _refuses(error: Exception) -> bool:
    told = f"{error} {getattr(error, 'body', None)}"
    status = getattr(error, "status_code", None)
    return status in _REFUSALS and any(name in told for name in _NAMES)


def _may_be_for_it(error: Exception, address: str | None) -> bool:
    """Say whether a server of an unknown kind has failed in a way in which some answer the question.

    Proxies before OpenAI's own fail with other statuses, and it may be slow.
    """
    if isinstance(error, APIStatusError):
        ours = any(name in error.response.headers for name in _OPENAIS)
        return error.status_code == _BROKE and not ours
    unknown = address is not None and not address.startswith(_OPENAI)
    return unknown and isinstance(error, (APITimeoutError, TimeoutError))
