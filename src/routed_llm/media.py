"""What a request counts for beside its texts, by each model's own rules on each endpoint. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from routed_llm.facts import TokenCount
from routed_llm.framing import REFERENCE
from routed_llm.tokens.audio import input_tokens as audio_tokens
from routed_llm.tokens.images import (
    MAX_PATCHES,
    TileRule,
    image_rule,
    image_tokens,
    is_over_limit,
    worst_case,
)

if TYPE_CHECKING:
    from routed_llm.catalog.model import Model
    from routed_llm.facts import ImageFacts, RequestFacts
    from routed_llm.framing import Framed, Framing

__all__ = ["MAX_PATCHES", "over_limit", "tokens_for"]

TYPICAL = (512, 512)
"""Pixels of an image that is given by URL, for money: about what the images were that recorded requests hold
(60 to 600 a side); how large one is nobody knows before it is fetched, so limits go by the worst."""

_PAGE = (1700, 2200, "high")
"""A document page as an image: US letter at 200 dpi. The provider does not publish the size it renders
at; it says that a page counts as an image, at detail high from gpt-5.6 on (File inputs guide, 2026-07)."""

_MARKS = 3
_AUDIO = 4
"""Tokens that a voice clip was billed more than its length, at most, in five recorded requests."""
_MOST_PAGE = 1_100
"""Tokens of a page of a PDF beside its text, at most, where it is no image: 996 on record (12 files)."""


def tokens_for(facts: RequestFacts, model: Model, endpoint: str, *, strict: bool = True) -> TokenCount:
    """Count what a request has more than `facts.tokens` for a model on an endpoint; it may be less than none.

    Args:
        facts: the request.
        model: the catalog's model.
        endpoint: ``chat_completions``, ``responses`` or ``realtime``.
        strict: whether the three or four tokens by which one request in some hundred is off lie within the
            bounds, too. Limits do without them: they would refuse what all but such a request may have.

    Returns:
        The bounds hold, for limits; ``likely`` is for money.
    """
    likely = less = more = 0
    framing = model.framing.get(endpoint)
    if framing is not None:
        likely, less, more = _frames(framing, facts.framed)
        if strict and facts.framed.replies:
            less, more = less + framing.off_all[0], more + framing.off_all[1]
        for tool in facts.builtin_tools if framing.hosted else ():
            likely, less = likely + framing.hosted.get(tool, 0), less + framing.hosted.get(tool, 0)
    if facts.images:
        seen = _images(model, facts.images)
        likely, less, more = (
            likely + seen.likely,
            less + seen.likely - seen.low,
            more + seen.high - seen.likely,
        )
    if facts.audio_seconds:
        likely += audio_tokens(facts.audio_seconds)
        less, more = less + _AUDIO, more + _AUDIO
    if facts.pdf_pages and "image" in model.inputs:
        page = REFERENCE.page if framing is None else framing.page
        likely += page * facts.pdf_pages
        less += page * facts.pdf_pages
        rule = None if model.image is None or not (framing and framing.pictured) else _rule(model.image)
        whole = 0 if rule is None else image_tokens(rule, *_PAGE)
        more += (max(whole, _MOST_PAGE) - page) * facts.pdf_pages
    return TokenCount(likely - less, likely, likely + more, facts.bounded)


@lru_cache(maxsize=1024)
def _frames(framing: Framing, framed: Framed) -> tuple[int, int, int]:
    return framing.beside(framed), *framing.off(framed)


def _images(model: Model, images: tuple[ImageFacts, ...]) -> TokenCount:
    rule = None if model.image is None else _rule(model.image)
    if rule is None:
        return TokenCount.of(0)
    low = likely = high = 0
    for image in images:
        if image.width is None or image.height is None:
            low += _MARKS
            likely += image_tokens(rule, *TYPICAL, image.detail)
            high += worst_case(rule, image.detail)
            continue
        count = image_tokens(rule, image.width, image.height, image.detail)
        # The tiles come out to the token; patches were billed none to two more, as if marked at their ends.
        marks = 0 if isinstance(rule, TileRule) else 1
        low, likely, high = low + count - marks, likely + count + marks, high + count + 2 * marks
    return TokenCount(low, likely, high)


def over_limit(model: Model, image: ImageFacts) -> bool:
    """Say whether an image has more patches than the model accepts."""
    rule = None if model.image is None else _rule(model.image)
    if rule is None or image.width is None or image.height is None:
        return False
    return is_over_limit(rule, image.width, image.height, image.detail)


_rule = lru_cache(maxsize=256)(image_rule)
