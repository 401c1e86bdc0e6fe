"""One call from its decision to its settlement. Made for each call, so nothing of it is kept on the LLM."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.llms.routed.delegates import ChatDelegate, ResponsesDelegate
from llama_index.llms.routed.events import announce
from llama_index.llms.routed.recover import Gate
from llama_index.llms.routed.streams import OpenStreams
from pydantic import BaseModel, ValidationError

from routed_llm import (
    Answered,
    Attempts,
    Decision,
    Exchange,
    IncompleteStream,
    Previous,
    Router,
    Run,
    Step,
    Usage,
)

__all__ = ["RoutedCall"]

Answer = TypeVar("Answer", ChatResponse, CompletionResponse)
Remember = Callable[[ChatMessage, Previous, str | None], None]


@dataclass(slots=True, kw_only=True)
class RoutedCall:
    """One call that has been decided; when it fails and another model takes over, it becomes that one's.

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
    _attempts: Attempts | None = None
    _retake: Callable[[Decision], RoutedCall] | None = None
    _second: Callable[[Decision], RoutedCall] | None = None
    _seen: _Seen = field(init=False)

    def __post_init__(self) -> None:
        self.routing = self.decision.record()
        self._seen = _Seen()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Reserve what the call may cost; give it back when the call is interrupted.

        When it fails, recovery closes the books, once it knows what went wrong.

        Raises:
            BudgetExceeded: when another call has taken what was left meanwhile; nothing is sent.
        """
        run = self._begun(self.router.begin(self.decision))
        try:
            yield
        except Exception:
            raise  # recovery closes the books, once it knows what went wrong
        except BaseException:
            run.abandon()
            raise

    @asynccontextmanager
    async def asending(self) -> AsyncIterator[None]:
        """Do what :meth:`sending` does, leaving the event loop free while a ledger works."""
        run = self._begun(await self.router.abegin(self.decision))
        try:
            yield
        except Exception:
            raise  # recovery closes the books, once it knows what went wrong
        except BaseException:
            await run.aabandon()
            raise

    def finished(self, answer: Answer) -> Answer:
        """Book what a complete answer cost and attach the record to it."""
        self._answered()
        self._note(answer)
        self._close()
        self._offer()
        return answer

    async def afinished(self, answer: Answer) -> Answer:
        """Do what :meth:`finished` does, leaving the event loop free while a ledger works."""
        self._answered()
        self._note(answer)
        await self._aclose()
        self._offer()
        return answer

    def recovering(
        self,
        attempts: Attempts,
        retake: Callable[[Decision], RoutedCall],
        second: Callable[[Decision], RoutedCall],
    ) -> RoutedCall:
        """Say what keeps the failures of this call, and what makes a call of another decision.

        Args:
            attempts: keeps the failures.
            retake: makes the call that takes over.
            second: makes the call of a shadow's sample: whole, and for a thread.
        """
        self._attempts, self._retake, self._second = attempts, retake, second
        return self

    def ask(self, send: Callable[[RoutedCall], Answer]) -> Answer:
        """Send the call for a whole answer, as often as recovery finds worth it."""
        while True:
            try:
                with self.sending(), self._exchange.current():
                    answer = send(self)
            except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                delay = self._after(error)
            else:
                return self.finished(answer)
            time.sleep(delay)

    async def aask(self, send: Callable[[RoutedCall], Awaitable[Answer]]) -> Answer:
        """Do what :meth:`ask` does, without holding the event loop."""
        while True:
            try:
                async with self.asending():
                    with self._exchange.current():
                        answer = await send(self)
            except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                delay = await self._aafter(error)
            else:
                return await self.afinished(answer)
            await asyncio.sleep(delay)

    def pour(
        self,
        chunks: Generator[Answer, None, None],
        send: Callable[[RoutedCall], Generator[Answer, None, None]],
    ) -> Generator[Answer, None, None]:
        """Pass a stream on; until its first token another one may take its place."""
        while True:
            gate: Gate[Answer] = Gate(may_be_cut=self.kwargs.get("cut_at") is not None)
            try:
                yield from self.follow(chunks, gate)
            except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                delay = self._after(error, started=gate.open)
            else:
                return
            time.sleep(delay)
            chunks = send(self)

    async def apour(
        self,
        chunks: AsyncGenerator[Answer, None],
        send: Callable[[RoutedCall], Awaitable[AsyncGenerator[Answer, None]]],
    ) -> AsyncGenerator[Answer, None]:
        """Pass a stream on; until its first token another one may take its place."""
        while True:
            gate: Gate[Answer] = Gate(may_be_cut=self.kwargs.get("cut_at") is not None)
            try:
                async with aclosing(self.afollow(chunks, gate)) as attempt:
                    async for chunk in attempt:
                        yield chunk
            except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
                delay = await self._aafter(error, started=gate.open)
            else:
                return
            await asyncio.sleep(delay)
            chunks = await send(self)

    def follow(
        self, chunks: Generator[Answer, None, None], gate: Gate[Answer]
    ) -> Generator[Answer, None, None]:
        """Pass one attempt at a stream on; book it when it ends, fails or is abandoned."""
        opened = OpenStreams()
        try:
            self._begun(self.router.begin(self.decision))
            for chunk in self._exchange.opened(opened.first(chunks)):
                yield from gate.pass_on(self._note(chunk))
            yield from gate.end()
            self._answered()
        except Exception:
            raise  # recovery closes the books, once it knows what went wrong
        except BaseException:
            if self._run is not None:
                self._run.abandon(self._seen.usage, served=self._seen.served)
            raise
        finally:
            chunks.close()
            opened.close()
        self._close()
        self._offer()

    async def afollow(
        self, chunks: AsyncGenerator[Answer, None], gate: Gate[Answer]
    ) -> AsyncGenerator[Answer, None]:
        """Pass one attempt at a stream on; book it when it ends, fails or is abandoned."""
        opened = OpenStreams()
        try:
            self._begun(await self.router.abegin(self.decision))
            first = opened.afirst(chunks)
            async with aclosing(first), aclosing(self._exchange.aopened(first)) as source:
                async for chunk in source:
                    for passed in gate.pass_on(self._note(chunk)):
                        yield passed
            for passed in gate.end():
                yield passed
            self._answered()
        except Exception:
            raise  # recovery closes the books, once it knows what went wrong
        except BaseException:
            if self._run is not None:
                await self._run.aabandon(self._seen.usage, served=self._seen.served)
            raise
        finally:
            try:
                await chunks.aclose()
            finally:
                await opened.aclose()
        await self._aclose()
        self._offer()

    def _answered(self) -> None:
        if self._attempts is not None:
            self._attempts.answered()

    def _after(self, error: Exception, *, started: bool = False) -> float:
        """End a failed request, move on to what is sent next, and return the seconds to wait first.

        Raises:
            Exception: the call's first error, when nothing that may be done would help.
        """
        attempts, failed = self._failed(error, started=started)
        return self._moved(attempts.failed(**failed))

    async def _aafter(self, error: Exception, *, started: bool = False) -> float:
        """Do what :meth:`_after` does, leaving the event loop free while a ledger works."""
        attempts, failed = self._failed(error, started=started)
        return self._moved(await attempts.afailed(**failed))

    def _failed(self, error: Exception, *, started: bool) -> tuple[Attempts, dict[str, Any]]:
        if self._attempts is None:
            raise error
        if isinstance(error, ValidationError) and error.title == "LLMCompletionEndEvent":
            # Upstream cannot tell its listeners of a stream in which nothing came.
            error = IncompleteStream()
        seen = self._seen
        come = {"usage": seen.usage, "served": seen.served}
        return self._attempts, {"error": error, "started": started, "run": self._run, **come}

    def _moved(self, step: Step) -> float:
        if step.error is not None:
            raise step.error
        self._seen, self._run = _Seen(), None
        decided, retake = self._attempts.decision if self._attempts else None, self._retake
        if decided is not None and retake is not None and decided is not self.decision:
            other = retake(decided)
            for name in ("decision", "delegate", "messages", "kwargs", "remember"):
                setattr(self, name, getattr(other, name))
            self.routing.clear()
            self.routing.update(other.routing)
        return step.delay

    def _begun(self, run: Run) -> Run:
        self._run = run
        announce(self.decision, self.routing)
        return run

    def _note(self, answer: Answer) -> Answer:
        self._seen.add(answer)
        answer.additional_kwargs["routing"] = self.routing
        return answer

    @property
    def _exchange(self) -> Exchange:
        if self._run is None:
            raise AssertionError("nothing is sent before its books are open")
        return self._run.exchange

    def _close(self) -> None:
        if self._run is not None:
            self._settled(self._run.settle(self._seen.usage, served=self._seen.served))

    async def _aclose(self) -> None:
        if self._run is not None:
            self._settled(await self._run.asettle(self._seen.usage, served=self._seen.served))

    def _offer(self) -> None:
        """Let a shadow that samples send the request again, once this answer is complete."""
        second, last = self._second, self._seen.last
        if second is None or self._run is None or last is None:
            return

        def send(decision: Decision) -> Answered:
            other = second(decision)
            # Below the methods that fire events: nobody has asked for this answer.
            answer = other.delegate._chat(other.messages, **other.kwargs)
            seen = _Seen()
            seen.add(answer)
            return Answered(seen.usage, seen.served, answer.message.content or "")

        said = last.message.content or "" if isinstance(last, ChatResponse) else last.text
        self._run.offer(send, said)

    def _settled(self, record: dict[str, Any]) -> None:
        self.routing.update(record if self._attempts is None else self._attempts.record(record))
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
