"""Counting a request: what is known of its conversation is not counted again, what is found is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routed_llm.facts import TokenCount
from routed_llm.tokens.counting import Counting

if TYPE_CHECKING:
    from routed_llm.facts import RequestFacts
    from routed_llm.request.builder import Request

__all__ = ["bounded_by", "counting_of", "note"]


def counting_of(request: Request) -> Counting:
    """Begin to count what is not known of a request."""
    conversation = request.conversation
    if conversation is None or not conversation.tokens.exact:
        return Counting(request.texts, known=request.fixed)
    return Counting(request.texts[len(conversation.texts) :], known=request.fixed + conversation.tokens.low)


def note(request: Request, tokens: TokenCount) -> None:
    """Note what has been counted of a conversation, for the time when it is sent again."""
    conversation = request.conversation
    if conversation is None or conversation.tokens.exact:
        return
    if len(conversation.texts) < len(request.texts):  # functions or a schema stand beside it
        counting = Counting(conversation.texts)
        counting.recall()
        conversation.tokens = TokenCount(counting.low, counting.likely, counting.high)
    else:
        conversation.tokens = tokens.plus(-request.fixed)


def bounded_by(counting: Counting, facts: RequestFacts) -> RequestFacts:
    """Return the facts with what counting has found so far."""
    return facts.with_tokens(TokenCount(counting.low, counting.likely, counting.high))
