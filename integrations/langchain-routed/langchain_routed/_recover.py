"""Recovery: what happens between a child's failure and the next request, and what of a stream may pass.

What follows from an error is decided by the core; this module reads langchain-openai's errors and chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from langchain_core.outputs import ChatGenerationChunk

from langchain_routed._answers import StreamReader
from routed_llm import Attempts, Decision, ErrorFacts, IncompleteStream, Limits, Run, Step, classify_error

if TYPE_CHECKING:
    from langchain_routed._desk import Asked, Desk
    from langchain_routed._plan import Plan

__all__ = ["Gate", "Recovery", "Stream", "unfinished"]

_PARSER = "langchain_openai.chat_models.base"


class Recovery:
    """The failures of one call."""

    __slots__ = ("_asked", "_desk", "attempts")

    def __init__(self, desk: Desk, asked: Asked, decision: Decision, since: float) -> None:
        self._desk = desk
        self._asked = asked
        owner = desk.owner
        self.attempts: Attempts = desk.router.attempts(
            asked.request,
            decision,
            policy=asked.policy,
            # The models of a factory have clients of their own, which wait and retry by themselves.
            limits=Limits.from_retries(owner.max_retries, waits=owner.factory is None),
            choose=self._choose,
            credential=asked.circumstances["credential"],
            since=since,
        )

    def after(self, plan: Plan, error: Exception, run: Run | None, stream: Stream | None = None) -> float:
        """End a failed request, move its plan on to what is sent next, and return the seconds to wait first.

        Args:
            plan: what was sent.
            error: what was raised.
            run: its books, or None when they could not be opened.
            stream: what had come of a stream.

        Raises:
            Exception: the call's first error, when nothing that may be done would help.
        """
        return self._moved(plan, self.attempts.failed(error, facts=_facts(error), run=run, **_come(stream)))

    async def aafter(
        self, plan: Plan, error: Exception, run: Run | None, stream: Stream | None = None
    ) -> float:
        """Do what :meth:`after` does, leaving the event loop free while a ledger works."""
        step = await self.attempts.afailed(error, facts=_facts(error), run=run, **_come(stream))
        return self._moved(plan, step)

    def _moved(self, plan: Plan, step: Step) -> float:
        if step.error is not None:
            raise step.error
        if self.attempts.decision is not plan.decision:
            plan.take(self._desk.plan(self._asked, self.attempts.decision))
        return step.delay

    def _choose(self, avoid: Mapping[str, str]) -> Decision | None:
        router, asked = self._desk.router, self._asked
        found = router.rechoose(asked.request, avoid, policy=asked.policy, **asked.circumstances)
        if found is None and asked.soft:
            found = router.rechoose(asked.without_lock(), avoid, policy=asked.policy, **asked.circumstances)
        return found


class Gate:
    """Holds back what a stream opens with, until its first token: until then another model may answer.

    Attributes:
        open: whether anything was passed on.
        text: the text that was passed on.
        finished: whether the stream has said that its answer is finished.
    """

    __slots__ = ("_held", "_text", "finished", "open")

    def __init__(self) -> None:
        self._held: list[ChatGenerationChunk] = []
        self._text: list[str] = []
        self.open = False
        self.finished = False

    @property
    def text(self) -> str:
        """The text that was passed on."""
        return "".join(self._text)

    def note(self, chunk: ChatGenerationChunk) -> None:
        """See whether a chunk from the child says that the answer is finished."""
        said = {**chunk.message.response_metadata, **(chunk.generation_info or {})}
        if said.get("finish_reason") or said.get("status") or said.get("incomplete_details"):
            self.finished = True

    def pass_on(self, chunk: ChatGenerationChunk) -> Iterator[ChatGenerationChunk]:
        """Yield what may be passed on now."""
        if not self.open and not _has_token(chunk):
            self._held.append(chunk)
            return
        yield from self.release()
        self._text.append(chunk.text)
        yield chunk

    def release(self) -> Iterator[ChatGenerationChunk]:
        """Yield what is held back: an answer has begun, or ended without a token."""
        self.open = True
        held, self._held = self._held, []
        yield from held


@dataclass(slots=True)
class Stream:
    """One attempt at a stream, and what has come of it.

    Attributes:
        gate: what may pass.
        reader: what has been read.
        run: its books, once they are open.
        settled: whether they are closed.
    """

    gate: Gate
    reader: StreamReader
    run: Run | None = None
    settled: bool = False

    def abandon(self) -> None:
        """Close the books of a stream that its reader gave up; what had begun to come is billed."""
        if self.run is None or self.settled:
            return
        if self.gate.open or self.reader.usage is not None:
            self.run.settle(self.reader.usage, served=self.reader.served)
        else:
            self.run.cancel()

    async def aabandon(self) -> None:
        """Do what :meth:`abandon` does, leaving the event loop free while a ledger works."""
        if self.run is None or self.settled:
            return
        if self.gate.open or self.reader.usage is not None:
            await self.run.asettle(self.reader.usage, served=self.reader.served)
        else:
            await self.run.acancel()


def _come(stream: Stream | None) -> dict[str, Any]:
    if stream is None:
        return {}
    reader = stream.reader
    return {"started": stream.gate.open, "usage": reader.usage, "served": reader.served}


def unfinished(gate: Gate) -> IncompleteStream | None:
    """Return the error of a stream that has ended without a finish reason, or None."""
    return None if gate.finished else IncompleteStream(received=gate.text)


def _has_token(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    if getattr(message, "tool_call_chunks", None):
        return True
    if any(message.additional_kwargs.values()):
        return True
    content = message.content
    if isinstance(content, str):
        return bool(content)
    return any(isinstance(block, str) or _says(block) for block in content)


def _says(block: Mapping[str, Any]) -> bool:
    """Say whether a block has more in it than what it will be about."""
    if block.get("type") in ("text", "reasoning", "refusal"):
        return any(block.get(name) for name in ("text", "summary", "refusal", "encrypted_content", "content"))
    return True


def _facts(error: Exception) -> ErrorFacts | None:
    """Read a failure that a Responses answer reports in its body, a ValueError to langchain-openai."""
    if type(error) is not ValueError or not error.args or not _raised_in(error.__traceback__, _PARSER):
        return None
    told = error.args[0]
    if not isinstance(told, (str, Mapping)):
        told = {"code": getattr(told, "code", None), "message": getattr(told, "message", str(told))}
    if isinstance(told, str):
        code, _, message = told.partition(": ")
        told = {"code": code, "message": message} if code.isidentifier() and message else {"message": told}
    return replace(classify_error(told), name="ValueError")


def _raised_in(trace: TracebackType | None, module: str) -> bool:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == module
