"""Asking OpenAI's own counting endpoint about one request, with the SDK client that would send it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.openai.utils import to_openai_message_dicts
from llama_index.llms.routed.reading import SDK_OPTIONS, portable
from llama_index.llms.routed.sending import on_responses

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI
    from openai.types.responses import InputTokenCountParams

__all__ = ["SECONDS", "Question"]

SECONDS: Final = 5.0
"""Longest wait for a count: a request is decided without it rather than late."""


class Question:
    """One request as the counting endpoint takes it.

    Args:
        messages: the request's messages.
        given: every parameter, by its name on either endpoint.
    """

    def __init__(self, messages: Sequence[ChatMessage], given: Mapping[str, Any]) -> None:
        self._messages = messages
        self._given = given

    def ask(self, client: OpenAI, model: str) -> int:
        """Return the input tokens as OpenAI counts them for a model."""
        quick = client.with_options(timeout=SECONDS, max_retries=0)
        return int(quick.responses.input_tokens.count(**self._body(model)).input_tokens)

    async def aask(self, client: AsyncOpenAI, model: str) -> int:
        """Do what :meth:`ask` does, without holding the event loop."""
        quick = client.with_options(timeout=SECONDS, max_retries=0)
        return int((await quick.responses.input_tokens.count(**self._body(model))).input_tokens)

    def _body(self, model: str) -> InputTokenCountParams:
        from openai.types.responses import InputTokenCountParams  # newer than the oldest SDK we work with

        values = {name: value for name, value in self._given.items() if name not in SDK_OPTIONS}
        sent: dict[str, Any] = on_responses(values, values.get("reasoning_effort"))
        messages = [portable(message) for message in self._messages]
        sent["input"] = to_openai_message_dicts(messages, model=model, is_responses_api=True)
        taken = InputTokenCountParams.__annotations__
        body = {name: value for name, value in sent.items() if name in taken}
        return {**body, "model": model}  # type: ignore[typeddict-item]
