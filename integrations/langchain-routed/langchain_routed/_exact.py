"""Asking OpenAI's own counting endpoint about one request, with the SDK client that would send it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import BaseMessage
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import _construct_responses_api_payload

from langchain_routed._history import Known, fit
from langchain_routed._reading import PASSED_ON

if TYPE_CHECKING:
    from openai.types.responses import InputTokenCountParams

__all__ = ["SECONDS", "Question"]

SECONDS: Final = 5.0
"""Longest wait for a count: a request is decided without it rather than late."""


class Question:
    """One request as the counting endpoint takes it.

    Args:
        owner: whose clients ask.
        messages: the request's messages.
        parameters: its parameters, in the caller's form.
        known: a function from a model's name to its catalog id, or None for a stranger.
    """

    def __init__(
        self,
        owner: ChatOpenAI,
        messages: Sequence[BaseMessage],
        parameters: Mapping[str, Any],
        known: Known,
    ) -> None:
        self._owner = owner
        self._messages = messages
        self._parameters = parameters
        self._known = known

    def ask(self, model: str) -> int:
        """Return the input tokens as OpenAI counts them for a model."""
        client = self._owner.root_client.with_options(timeout=SECONDS, max_retries=0)
        return int(client.responses.input_tokens.count(**self._body(model)).input_tokens)

    async def aask(self, model: str) -> int:
        """Do what :meth:`ask` does, without holding the event loop."""
        client = self._owner.root_async_client.with_options(timeout=SECONDS, max_retries=0)
        return int((await client.responses.input_tokens.count(**self._body(model))).input_tokens)

    def _body(self, model: str) -> InputTokenCountParams:
        from openai.types.responses import InputTokenCountParams  # newer than the oldest SDK we work with

        named = self._known(model) or model
        history = fit(self._messages, model=named, endpoint="responses", known=self._known, unmarked=True)
        given = {name: value for name, value in self._parameters.items() if name not in PASSED_ON}
        made = _construct_responses_api_payload(history, {**given, "model": model})
        taken = InputTokenCountParams.__annotations__
        # What the SDK's own payload holds is typed as anything.
        return {name: value for name, value in made.items() if name in taken}  # type: ignore[return-value]
