"""What the frame around a message costs.

Source: OpenAI cookbook, "How to count tokens with tiktoken", measured there for gpt-4o and gpt-4o-mini;
OpenAI publishes no figures for later models, to which langchain-openai and others apply the same ones.
What a provider reports after a call (see `request.talks`) corrects what they miss in the next turn.
"""

from __future__ import annotations

from typing import Final

PER_MESSAGE: Final = 3
"""Tokens of the frame of each message, without its role."""

PER_ROLE: Final = 1
"""Tokens of the role (`user`, `assistant`, `system`, `developer`, `tool`: one each in o200k)."""

PER_NAME: Final = 1
"""Tokens to add to those of a message's name."""

REPLY_PRIMING: Final = 3
"""Tokens that open the reply, once a request."""


def frame(messages: int, names: int = 0) -> int:
    """Return the tokens of a request's messages beside their contents and the texts of their names."""
    return messages * (PER_MESSAGE + PER_ROLE) + names * PER_NAME + REPLY_PRIMING
