"""Who answered which turn: what LlamaIndex's messages do not say, kept in this process.

A message is no place for it: extra keys of a message can end up in the next request. So answers are
remembered by what the next request repeats of them: the ids of their tool calls, the text of the
conversation up to them, the id of the response.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from hashlib import blake2b
from threading import Lock
from typing import Final

from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock

from routed_llm import Previous

__all__ = ["Turns"]

_KEPT: Final = 4096
"""Answers remembered at a time, some 200 bytes each."""


class Turns:
    """A bounded memory of answers, safe to share between threads; a copy or a pickle of it starts empty."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: OrderedDict[Hashable, Previous] = OrderedDict()

    def __reduce__(self) -> tuple[type[Turns], tuple[()]]:
        return (Turns, ())

    def remember(
        self,
        messages: Sequence[ChatMessage],
        answer: ChatMessage,
        previous: Previous,
        response_id: str | None,
    ) -> None:
        """Note who answered these messages, and with what."""
        unread = replace(previous, prefix_tokens=0)
        entries: list[tuple[Hashable, Previous]] = [(_digest([*messages, answer]), previous)]
        entries += [(("call", call), unread) for call in _calls(answer)]
        if response_id:
            entries.append((("response", response_id), unread))
        with self._lock:
            for key, value in entries:
                self._answers[key] = value
                self._answers.move_to_end(key)
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)

    def before(self, messages: Sequence[ChatMessage]) -> Previous | None:
        """Return who answered the last turn in these messages, where that is known.

        The text up to it must be the same for its tokens to count as a prefix that the provider may
        have cached; within a loop of tool calls the ids alone tell who made them.
        """
        last = next((i for i in range(len(messages) - 1, -1, -1) if _said(messages[i])), None)
        if last is None or not self._answers:
            return None
        calls = _calls(messages[last])
        keys = [_digest(messages[: last + 1]), *(("call", call) for call in calls)]
        with self._lock:
            found = next((self._answers[key] for key in keys if key in self._answers), None)
        if found is None:
            return None
        results = [m for m in messages[last + 1 :] if m.role == MessageRole.TOOL]
        answered = {
            m.additional_kwargs.get("tool_call_id", m.additional_kwargs.get("call_id")) for m in results
        }
        waiting = messages[-1].role == MessageRole.TOOL and answered.issuperset(calls)
        return replace(found, in_tool_loop=bool(calls) and waiting)

    def author(self, response_id: str | None) -> str | None:
        """Return the model that gave a response, where that is known."""
        with self._lock:
            found = self._answers.get(("response", response_id))
        return found.model if found else None


def _said(message: ChatMessage) -> bool:
    return message.role in (MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL)


def _calls(message: ChatMessage) -> list[str]:
    return [b.tool_call_id for b in message.blocks if isinstance(b, ToolCallBlock) and b.tool_call_id]


def _digest(messages: Sequence[ChatMessage]) -> bytes:
    digest = blake2b(digest_size=16)
    for message in messages:
        role = MessageRole.ASSISTANT if _said(message) else message.role
        parts = (role.value, message.content or "", *_calls(message))
        digest.update("\0".join(parts).encode("utf-8", "surrogatepass"))
        digest.update(b"\1")
    return digest.digest()
