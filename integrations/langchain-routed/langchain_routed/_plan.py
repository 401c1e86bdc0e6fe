"""The values of a call on its way: what was asked, and what is sent for it. No other module is needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from langchain_openai.chat_models.base import BaseChatOpenAI

from routed_llm import AnswerCutter, CallOptions, Decision, Request, Router

__all__ = ["PLAN", "Ends", "ParsedCall", "PreparedCall"]

PLAN: Final = "routed_plan"
"""The keyword under which a decided call travels through LangChain's own methods."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_openai import ChatOpenAI

    from routed_llm import Call, Catalog, Policy

    class Owner(ChatOpenAI):
        """What is read of a RoutedChatModel, which is made of the modules that read it."""

        policy: Policy | None
        router: Router | None
        catalog: Catalog | None
        budget: Any
        factory: Callable[[Call], BaseChatOpenAI] | None
        routing_record: str


class Ends(NamedTuple):
    """Where the text of an answer has to end here.

    Attributes:
        stops: what ``stop`` was set to, where no model takes it; else nothing.
        most: the caller's cap, where a higher one is sent; else None.
    """

    stops: Any = ()
    most: int | None = None

    def cutter(self) -> AnswerCutter:
        """Return what cuts one answer."""
        return Router.cutter(self.stops, most=self.most)


@dataclass(slots=True, kw_only=True)
class ParsedCall:
    """What one call asks for, in the router's words and in langchain-openai's.

    Attributes:
        request: the Request.
        parameters: the merged parameters, in the caller's own form.
        options: the policy for this call, whom it is for and what it may spend.
        items: whether the call itself asks for what only Responses has.
        soft: whether the lock on a model may be given up.
        nulls: names of the parameters that the caller gave as None.
        exact: OpenAI's own count of the call, for threads and for event loops; nothing where no policy asks.
    """

    request: Request
    parameters: dict[str, Any]
    options: CallOptions
    items: bool
    soft: bool
    nulls: tuple[str, ...] = ()
    exact: tuple[Any, Any] | None = None

    def unlocked(self) -> ParsedCall:
        """Return the call free to go to any model; encrypted reasoning is then left out."""
        free = replace(self.request, facts=replace(self.request.facts, locked_to=None))
        return replace(self, request=free, soft=False)


@dataclass(slots=True, kw_only=True)
class PreparedCall:
    """One request as langchain-openai sends it.

    Attributes:
        decision: what it was made for.
        call: what of it says how it is sent.
        delegate: the langchain-openai model that sends it.
        shown: the call's keywords as traces and hooks see them, all but the stop sequences.
        stop: the stop sequences to send, or None.
        cut: where the answer has to be cut here, or None.
        plain: whether an answer from Responses gets the form of a Chat Completions answer.
        added: what the adapter changed, as the record's ``changes`` show it.
    """

    decision: Decision
    call: Call
    delegate: BaseChatOpenAI
    shown: dict[str, Any]
    stop: list[str] | None = None
    cut: Ends | None = None
    plain: bool
    added: tuple[dict[str, Any], ...] = ()

    def note(self, *changes: dict[str, Any]) -> None:
        """Note what was changed, once."""
        self.added = (*self.added, *(change for change in changes if change not in self.added))
