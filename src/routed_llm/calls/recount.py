"""Near a boundary the provider's own counting endpoint may be asked; what it says is the truth.

`POST /v1/responses/input_tokens` counts a request as the model that is named would be billed for it, with
every overhead that no local rule knows. The core has no SDK: whoever decides hands in a function that asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from routed_llm.decide.piecewise import remember
from routed_llm.facts import TokenCount
from routed_llm.media import tokens_for
from routed_llm.request.counts import counting_of, note

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog
    from routed_llm.decision import Decision
    from routed_llm.request import Request

__all__ = ["AskAsync", "AskExact", "Near", "Recounts", "is_near"]

AskExact: TypeAlias = Callable[[str], int]
"""Gives the input tokens of the request that is decided, as the provider counts it for a model's id."""

AskAsync: TypeAlias = Callable[[str], Awaitable[int]]


class Near(NamedTuple):
    """When to ask, and how to decide by the answer.

    Attributes:
        margin: tokens from a boundary within which the provider is asked.
        marks: lists the text token counts beyond which the choice changes, in ascending order.
        decide: decides a request whose count is exact.
    """

    margin: int
    marks: Callable[[], Sequence[int]]
    decide: Callable[[Request], Decision]


class _Question(NamedTuple):
    key: int | None
    model: str
    sent_as: str
    local: int


class Recounts:
    """Asks the provider, once for each request, and decides by what it says. Safe to share."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._answers: dict[int, int] = {}

    def decide(self, decision: Decision, request: Request, near: Near, exact: AskExact) -> Decision:
        """Decide by the provider's count where the local one is near a boundary, or a file's size is unknown.

        A question that fails must not break the request: then the decision stays, and says so.
        """
        question = self._question(decision, request, near)
        if question is None:
            return decision
        try:
            reported = self._known(question) or exact(question.sent_as)
            return self._by(reported, question, request, near)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the local count decides
            return _failed(decision, error, question.local)

    async def adecide(self, decision: Decision, request: Request, near: Near, exact: AskAsync) -> Decision:
        """Do what :meth:`decide` does, leaving the event loop free."""
        import asyncio  # heavy, and loaded already wherever this runs

        question = await asyncio.to_thread(self._question, decision, request, near)
        if question is None:
            return decision
        try:
            reported = self._known(question) or await exact(question.sent_as)
            return self._by(reported, question, request, near)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the local count decides
            return _failed(decision, error, question.local)

    def _question(self, decision: Decision, request: Request, near: Near) -> _Question | None:
        """Say what to ask the provider, or None where the local count is far from every boundary."""
        marks, facts = near.marks(), request.facts
        # A file given by id or URL may be of any size: only the provider knows.
        unknown = facts.unknown_files > 0
        if not unknown and not is_near(decision.facts.tokens, marks, near.margin):
            return None
        local = counting_of(request).exact()
        note(request, TokenCount.of(local))
        asked = decision.chosen or next(iter(decision.candidates), None)
        if asked is None or not (unknown or is_near(TokenCount.of(local), marks, near.margin)):
            return None
        # What is given by reference may be another thing the next time.
        media = (facts.images, facts.audio_seconds, facts.pdf_pages, facts.framed)
        key = None if facts.estimates else hash((asked.model, request.fixed, request.texts, media))
        return _Question(key, asked.model, asked.sent_as or asked.model, local)

    def _known(self, question: _Question) -> int | None:
        return None if question.key is None else self._answers.get(question.key)

    def _by(self, reported: Any, question: _Question, request: Request, near: Near) -> Decision:
        if isinstance(reported, bool) or not isinstance(reported, int) or reported < 1:
            raise ValueError(f"{reported!r} is no number of tokens")
        facts = request.facts
        # Asked of Responses, whichever endpoint the request would go to.
        beside = tokens_for(facts, self._catalog.get(question.model), "responses").likely
        tokens = max(reported - beside, 0)
        decision = near.decide(replace(request, facts=facts.with_tokens(TokenCount.of(tokens))))
        decision = replace(decision, counted={"by": "provider", "tokens": tokens, "local": question.local})
        if question.key is not None:
            remember(self._answers, question.key, reported)
        conversation = request.conversation
        if conversation is not None and conversation.tokens.exact:
            # The next turn begins from it.
            conversation.tokens = TokenCount.of(max(conversation.tokens.low + tokens - question.local, 0))
        return decision


def is_near(tokens: TokenCount, marks: Sequence[int], margin: int) -> bool:
    """Say whether a count, wherever between its bounds it lies, may be within a margin of a boundary.

    Args:
        tokens: text tokens.
        marks: the text token counts beyond which the choice changes, in ascending order.
        margin: tokens.
    """
    at = bisect_left(marks, tokens.low - margin)
    return at < len(marks) and marks[at] <= tokens.high + margin


def _failed(decision: Decision, error: Exception, local: int) -> Decision:
    text = f"{type(error).__name__}: {error}"[:200]
    return replace(decision, counted={"by": "local", "error": text, "local": local})
