"""One call from its decision to its settlement. Made for each call, so nothing of it is kept on the LLM."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.llms.routed.delegates import ChatDelegate, ResponsesDelegate
from llama_index.llms.routed.events import announce
from pydantic import BaseModel

from routed_llm import Decision, Previous, Router, Run, Usage

__all__ = ["RoutedCall"]

Answer = TypeVar("Answer", ChatResponse, CompletionResponse)
Remember = Callable[[ChatMessage, Previous, str | None], None]


@dataclass(slots=True, kw_only=True)
class RoutedCall:
    """One call that has been decided.

    Attributes:
        router: holds the books.
        decision: what was decided.
        delegate: the object that makes the call.
        messages: the messages in a form that the chosen endpoint takes; never the caller's own list.
        kwargs: what is sent besides.
        remember: takes the answer, who gave it and its id, once it is complete.
        routing: the record; the same dictionary in the response, every chunk, the event and the logs.
    """

    router: Router
    decision: Decision
    delegate: ChatDelegate | ResponsesDelegate
    messages: Sequence[ChatMessage]
    kwargs: Mapping[str, Any]
    remember: Remember
    routing: dict[str, Any] = field(init=False)
    _run: Run | None = None
    _seen: _Seen = field(init=False)

    def __post_init__(self) -> None:
        self.routing = self.decision.record()
        self._seen = _Seen()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Reserve what the call may cost; give it back when the call fails.

        Raises:
            BudgetExceeded: when another call has taken what was left meanwhile; nothing is sent.
        """
        run = self._begun(self.router.begin(self.decision))
        try:
            yield
        except BaseException:
            run.cancel()
            raise

    @asynccontextmanager
    async def asending(self) -> AsyncIterator[None]:
        """Do what :meth:`sending` does, leaving the event loop free while a ledger works."""
        run = self._begun(await self.router.abegin(self.decision))
        try:
            yield
        except BaseException:
            await run.acancel()
            raise

    def finished(self, answer: Answer) -> Answer:
        """Book what a complete answer cost and attach the record to it."""
        self._note(answer)
        self._close()
        return answer

    async def afinished(self, answer: Answer) -> Answer:
        """Do what :meth:`finished` does, leaving the event loop free while a ledger works."""
        self._note(answer)
        await self._aclose()
        return answer

    def follow(self, chunks: Generator[Answer, None, None]) -> Generator[Answer, None, None]:
        """Pass a stream on; book it when it ends, fails or is abandoned."""
        self._begun(self.router.begin(self.decision))
        try:
            for chunk in chunks:
                yield self._note(chunk)
        finally:
            chunks.close()
            self._close()

    async def afollow(self, chunks: AsyncGenerator[Answer, None]) -> AsyncGenerator[Answer, None]:
        """Pass a stream on; book it when it ends, fails or is abandoned."""
        self._begun(await self.router.abegin(self.decision))
        try:
            async for chunk in chunks:
                yield self._note(chunk)
        finally:
            try:
                await chunks.aclose()
            finally:
                await self._aclose()

    def _begun(self, run: Run) -> Run:
        self._run = run
        announce(self.decision, self.routing)
        return run

    def _note(self, answer: Answer) -> Answer:
        self._seen.add(answer)
        answer.additional_kwargs["routing"] = self.routing
        return answer

    def _close(self) -> None:
        if self._run is None:
            return
        if self._seen.last is None:
            self._run.cancel()  # nothing came back: the provider refused
        else:
            self._settled(self._run.settle(self._seen.usage, served=self._seen.served))

    async def _aclose(self) -> None:
        if self._run is None:
            return
        if self._seen.last is None:
            await self._run.acancel()
        else:
            self._settled(await self._run.asettle(self._seen.usage, served=self._seen.served))

    def _settled(self, record: dict[str, Any]) -> None:
        self.routing.update(record)
        seen, model = self._seen, self.decision.model
        if model is None or seen.message is None:
            return
        previous = Previous(
            model=model,
            effort=self.decision.effort,
            endpoint=self.decision.endpoint,
            prefix_tokens=seen.usage.input_tokens if seen.usage else 0,
        )
        self.remember(seen.message, previous, seen.response_id)


class _Seen:
    """What has come back of an answer until now."""

    def __init__(self) -> None:
        self.last: ChatResponse | CompletionResponse | None = None
        self.usage: Usage | None = None
        self.served: str | None = None
        self.response_id: str | None = None

    @property
    def message(self) -> ChatMessage | None:
        """The answer as the message that a next request would repeat."""
        if isinstance(self.last, ChatResponse):
            return self.last.message
        return None

    def add(self, answer: ChatResponse | CompletionResponse) -> None:
        self.last = answer
        # A Responses stream wraps the response in most of its events; Chat Completions never does.
        raw = getattr(answer.raw, "response", answer.raw)
        self.served = _text(raw, "model") or self.served
        self.response_id = _text(raw, "id") or self.response_id
        usage = _plain(_get(raw, "usage"))
        if usage:
            self.usage = Usage.from_openai(usage, service_tier=_text(raw, "service_tier"))


def _get(raw: Any, name: str) -> Any:
    return raw.get(name) if isinstance(raw, Mapping) else getattr(raw, name, None)


def _text(raw: Any, name: str) -> str | None:
    value = _get(raw, name)
    return value if isinstance(value, str) else None


def _plain(usage: Any) -> Mapping[str, Any] | None:
    if isinstance(usage, BaseModel):
        return usage.model_dump()
    return usage if isinstance(usage, Mapping) else None
