"""The wire: what is sent to either endpoint, and what comes back in one shape, as plain dicts. Pure.

========================================  =============================================================
:func:`request_body`                      what was asked, in either form, and a Decision: the body to send
:func:`chat_completion`                   a reply of Responses in the shape of a Chat Completion
:func:`response`                          a Chat Completion in the shape of Responses
:class:`ChunkStream`                      the stream of either endpoint as Chat Completions' chunks
:class:`EventStream`                      Chat Completions' chunks as Responses' events
:func:`failure_of`                        the error that a reply or an event reports in its body
:func:`count_body`                        the body for OpenAI's counting endpoint
:func:`openai_part`                       a block of any provider's form as a part that OpenAI has
:func:`spoken`                            a name in the text: Responses' messages have none
:func:`reasoning_aside`                   the items of an answer, for programs that know no reasoning
:func:`overlaid`                          the parameters of one call over a model's own
:func:`parameters`                        every field of a body, ``extra_body`` read as what it adds
========================================  =============================================================

What becomes of each field stands in :mod:`routed_llm.fields`. What has no row there is sent as it is; what
means nothing on an endpoint rules it out.
"""

from routed_llm.fields import CHAT, RESPONSES, SOFT, Fate, Row, row_of, rules_out
from routed_llm.request.wire.answers import chat_completion, failure_of, response
from routed_llm.request.wire.blocks import MEDIA, TEXTS, openai_part, text_part
from routed_llm.request.wire.body import OPTIONS, count_body, form_of, overlaid, parameters, request_body
from routed_llm.request.wire.reasoning import (
    REASONING,
    ReasoningAside,
    reasoning_aside,
    reasoning_back,
    reasoning_lost,
)
from routed_llm.request.wire.streams import ChunkStream, EventStream, says_something
from routed_llm.request.wire.turns import ITEMS, Replay, same_model, spoken

__all__ = [
    "CHAT",
    "ITEMS",
    "MEDIA",
    "OPTIONS",
    "REASONING",
    "RESPONSES",
    "SOFT",
    "TEXTS",
    "ChunkStream",
    "EventStream",
    "Fate",
    "ReasoningAside",
    "Replay",
    "Row",
    "chat_completion",
    "count_body",
    "failure_of",
    "form_of",
    "openai_part",
    "overlaid",
    "parameters",
    "reasoning_aside",
    "reasoning_back",
    "reasoning_lost",
    "request_body",
    "response",
    "row_of",
    "rules_out",
    "same_model",
    "says_something",
    "spoken",
    "text_part",
]
