"""Where a decision shows besides the response: an event on the dispatcher, and a log of a block of code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.instrumentation.events import BaseEvent
from llama_index_instrumentation import get_dispatcher

from routed_llm import Decision

__all__ = ["RoutingDecisionEvent", "announce", "record_routing"]

dispatcher = get_dispatcher(__name__)

_RECENT = 64
"""How far back a log is searched for the record of a call that is tried again."""

# A tuple and not a list: what an inner block adds must not show in the blocks of other tasks.
_LOGS: ContextVar[tuple[_Log, ...]] = ContextVar("routed_llm_logs", default=())


class RoutingDecisionEvent(BaseEvent):
    """A model was chosen for a call that is about to be sent.

    Attributes:
        model: catalog id of the chosen model.
        effort: the reasoning effort it is sent, or None.
        endpoint: ``chat_completions`` or ``responses``.
        routing: the record; what the call cost is added to it when the answer is complete.
    """

    model: str | None
    effort: str | None
    endpoint: str | None
    routing: dict[str, Any]

    @classmethod
    def class_name(cls) -> str:
        """Return the name by which LlamaIndex's instrumentation knows the event."""
        return "RoutingDecisionEvent"


class _Log(list[dict[str, Any]]):
    """The records of a block of code.

    Attributes:
        closed: whether the block has ended.
    """

    closed = False


@contextmanager
def record_routing() -> Iterator[list[dict[str, Any]]]:
    """Collect the record of every call that is sent inside the block, in order.

    It follows asyncio tasks and the threads that LlamaIndex starts, for the places where the framework
    drops a response's metadata (agents, query engines, structured LLMs). A bare ``threading.Thread``
    does not take the context along. The block may hold a ``yield`` and be left in another context.
    """
    log = _Log()
    _LOGS.set((*_open_logs(), log))
    try:
        yield log
    finally:
        log.closed = True
        _LOGS.set(_open_logs())  # no token: it would belong to the context that the block was entered in


def _open_logs() -> tuple[_Log, ...]:
    return tuple(log for log in _LOGS.get() if not log.closed)


def announce(decision: Decision, routing: dict[str, Any]) -> None:
    """Show a decision on the dispatcher and in every open log."""
    event = RoutingDecisionEvent(
        model=decision.model, effort=decision.effort, endpoint=decision.endpoint, routing={}
    )
    event.routing = routing  # assigned, since the constructor would copy it
    dispatcher.event(event)
    for log in _open_logs():
        if not any(known is routing for known in log[-_RECENT:]):  # a call that is tried again stays one call
            log.append(routing)
