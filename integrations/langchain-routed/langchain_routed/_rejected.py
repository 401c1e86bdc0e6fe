"""RejectedCall: a call that was stopped before anything was sent, told to LangChain's run all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_routed._calls import visible
from langchain_routed._errors import as_langchains

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

__all__ = ["RejectedCall"]


class RejectedCall:
    """Stands in for a call that cannot be made: its run begins as the baseline's, and fails.

    With ChatOpenAI the server refuses such a call once its run has begun, so that callbacks, listeners and
    traces hear of the error; here they hear of it, too.
    """

    begun = False

    def __init__(
        self, owner: ChatOpenAI, error: Exception, stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> None:
        self.error = as_langchains(error, owner)
        self.model: str = owner.model_name
        self.prepared = _Unsent(owner, stop, visible(kwargs))

    def history(self, *_: Any) -> list[BaseMessage]:
        """Raise what refused the call, as all that would make it does."""
        raise self.error

    def generate(self, *_: Any) -> ChatResult:
        """Raise what refused the call."""
        raise self.error

    async def agenerate(self, *_: Any) -> ChatResult:
        """Raise what refused the call."""
        raise self.error

    def stream(self, *_: Any) -> Iterator[ChatGenerationChunk]:
        """Raise what refused the call."""
        raise self.error

    def astream(self, *_: Any) -> AsyncIterator[ChatGenerationChunk]:
        """Raise what refused the call."""
        raise self.error


@dataclass(frozen=True, slots=True)
class _Unsent:
    """The call as the baseline would have been sent it, for what traces show."""

    child: ChatOpenAI
    stop: list[str] | None
    sent: dict[str, Any]
    cut: None = None
    plain: bool = False
