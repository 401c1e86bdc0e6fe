"""Responses, completions and conversations that were stored, to go on from, refer to and retrieve."""

from __future__ import annotations

import threading
from typing import Any

Item = dict[str, Any]
_MOST = 2_000


class Store:
    """Stored responses, completions and conversations of this process; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._responses: dict[str, tuple[dict[str, Any], list[Item], list[Item]]] = {}
        self._items: dict[str, Item] = {}
        self._reasoning: dict[str, str] = {}
        self._conversations: dict[str, list[Item]] = {}
        self._completions: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def keep(self, response: dict[str, Any], items: list[Item]) -> None:
        """Store a response with everything that was said before it."""
        output: list[Item] = response["output"]
        thought = next((row["id"] for row in output if row["type"] == "reasoning"), None)
        conversation = (response.get("conversation") or {}).get("id")
        with self._lock:
            if conversation:
                self._converse(conversation, [*items, *output])
            self._responses[response["id"]] = (response, items, output)
            for row in output:
                self._items[row["id"]] = row
                if thought and row["type"] != "reasoning":
                    self._reasoning[row["id"]] = thought
            while len(self._responses) > _MOST:
                self._forget(next(iter(self._responses)))

    def keep_completion(self, completion: dict[str, Any], metadata: dict[str, str]) -> None:
        """Store a Chat Completion."""
        with self._lock:
            self._completions[completion["id"]] = {**completion, "metadata": metadata}
            while len(self._completions) > _MOST:
                del self._completions[next(iter(self._completions))]

    def completions(self, metadata: dict[str, str]) -> list[dict[str, Any]]:
        """Return the stored Chat Completions that have this metadata among theirs, the oldest first."""
        with self._lock:
            kept = list(self._completions.values())
        return [one for one in kept if metadata.items() <= one["metadata"].items()]

    def items_of(self, response_id: str) -> list[Item] | None:
        """Return everything said up to and including a stored response, or None."""
        with self._lock:
            found = self._responses.get(response_id)
        return [*found[1], *found[2]] if found else None

    def begin(self, items: list[Item], conversation: str = "") -> str:
        """Begin a conversation and return its id."""
        with self._lock:
            conversation = conversation or f"conv_{len(self._conversations):048d}"
            self._converse(conversation, items)
        return conversation

    def conversation(self, conversation: str) -> list[Item] | None:
        """Return everything said in a conversation, or None when it was never begun."""
        with self._lock:
            found = self._conversations.get(conversation)
        return None if found is None else [*found]

    def response(self, response_id: str) -> dict[str, Any] | None:
        """Return a stored response, or None."""
        with self._lock:
            found = self._responses.get(response_id)
        return found[0] if found else None

    def delete(self, response_id: str) -> bool:
        """Forget a response; return whether it was there."""
        with self._lock:
            return self._forget(response_id)

    def item(self, item_id: str) -> Item | None:
        """Return a stored output item, or None."""
        with self._lock:
            return self._items.get(item_id)

    def reasoning_of(self, item_id: str) -> str | None:
        """Return the id of the reasoning item that came with a stored output item, or None."""
        with self._lock:
            return self._reasoning.get(item_id)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._responses.clear()
            self._items.clear()
            self._reasoning.clear()
            self._conversations.clear()
            self._completions.clear()

    def _converse(self, conversation: str, items: list[Item]) -> None:
        self._conversations.pop(conversation, None)
        self._conversations[conversation] = items
        while len(self._conversations) > _MOST:
            del self._conversations[next(iter(self._conversations))]

    def _forget(self, response_id: str) -> bool:
        found = self._responses.pop(response_id, None)
        for row in found[2] if found else ():
            self._items.pop(row["id"], None)
            self._reasoning.pop(row["id"], None)
        return found is not None
