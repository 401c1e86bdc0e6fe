"""Who is in a share: pure, and the same in every process, on every day, in every version of Python."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["in_share", "key_of", "mark_of"]

_WHOLE: Final = 1 << 64


def in_share(key: str, share: float) -> bool:
    """Say whether a key belongs to the share that is routed.

    A key that belongs to a share belongs to every larger one, so raising the share moves callers over and
    never back.

    Args:
        key: whom the call is for, or which conversation it belongs to.
        share: from 0 (nobody) to 1 (everybody).
    """
    place = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return place < share * _WHOLE


def key_of(
    name: str | None,
    *,
    tags: Mapping[str, str],
    conversation: str | None,
    texts: Sequence[str],
) -> str:
    """Return the key of a call.

    Args:
        name: the tag that the user names as the key, or None for the conversation.
        tags: the call's tags.
        conversation: the caller's key of the conversation, or None.
        texts: the texts that open the conversation, its first user message included: they are the same
            on every turn.
    """
    if name is not None and name in tags:
        return f"{name}={tags[name]}"
    if conversation is not None:
        return f"conversation={conversation}"
    return "opening=" + hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def mark_of(key: str) -> str:
    """Return what a log writes for a key: enough to tell keys apart, and nothing of the key itself."""
    return hashlib.sha256(b"mark:" + key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
