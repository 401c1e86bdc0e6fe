"""Recovery: what happens between a child's failure and the next request.

What follows from an error is decided by the core; this module reads langchain-openai's errors. It is imported
when a call fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from langchain_routed._errors import unwritable
from routed_llm import Attempts, Decision, ErrorFacts, Limits, Run, Step, classify_error

if TYPE_CHECKING:
    from langchain_routed._desk import Asked, Desk
    from langchain_routed._plan import Plan
    from langchain_routed._stream import Stream

__all__ = ["Recovery"]

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
            broken = unwritable(step.error, self._desk.owner)
            if broken is not None:
                raise broken from step.error
            raise step.error
        if self.attempts.decision is not plan.decision:
            if step.kind == "state":
                lost, whose = self._desk.lost, self._asked.circumstances["credential"]
                lost[whose] = lost.get(whose, 0) + 1
            plan.take(self._desk.plan(self._asked, self.attempts.decision))
        return step.delay

    def _choose(self, avoid: Mapping[str, str]) -> Decision | None:
        router, asked = self._desk.router, self._asked
        found = router.rechoose(asked.request, avoid, policy=asked.policy, **asked.circumstances)
        if found is None and asked.soft:
            found = router.rechoose(asked.without_lock(), avoid, policy=asked.policy, **asked.circumstances)
        return found


def _come(stream: Stream | None) -> dict[str, Any]:
    if stream is None:
        return {}
    reader = stream.reader
    return {"started": stream.gate.open, "usage": reader.usage, "served": reader.served}


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
