"""Reasoning items, for a program whose model does not reason: it takes the first item for the message.

What stood before an item is kept in it, under :data:`REASONING`, and put back when the item is sent again,
as the provider demands of what it has stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

__all__ = ["REASONING", "ReasoningAside", "reasoning_aside", "reasoning_back", "reasoning_lost"]

REASONING: Final = "reasoning_items"
"""Key of an item with the reasoning items that stood right before it."""


def reasoning_aside(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return an answer's items without reasoning; what nothing follows, as in a cut answer, is left out."""
    kept: list[dict[str, Any]] = []
    waiting: list[Mapping[str, Any]] = []
    for item in items:
        if item.get("type") == "reasoning":
            waiting.append(item)
        else:
            kept.append({**item, REASONING: waiting} if waiting else dict(item))
            waiting = []
    return kept


def reasoning_back(asked: Mapping[str, Any], *, dropped: bool = False) -> Mapping[str, Any]:
    """Return what is asked of Responses with reasoning in its place; the same object where none is aside.

    Args:
        asked: the body.
        dropped: whether to leave reasoning out: the model that is named, which knows none, is asked itself.
    """
    given = asked.get("input")
    if not isinstance(given, (list, tuple)) or not any(
        isinstance(item, Mapping) and REASONING in item for item in given
    ):
        return asked
    items: list[Any] = []
    for item in given:
        if isinstance(item, Mapping) and REASONING in item:
            aside = item[REASONING]
            items += aside if isinstance(aside, (list, tuple)) and not dropped else ()
            item = {key: value for key, value in item.items() if key != REASONING}
        items.append(item)
    return {**asked, "input": items}


def reasoning_lost(asked: Mapping[str, Any], thoughts: Callable[[str], Sequence[str]]) -> Mapping[str, Any]:
    """Return what is asked of Responses as the provider takes it where a program did not keep reasoning.

    An item that is only referred to gets a reference to its reasoning; one that is there goes without its id.

    Args:
        asked: the body.
        thoughts: returns, for an item's id, those of the reasoning that the provider wants to see before it.
    """
    given = asked.get("input")
    if not isinstance(given, (list, tuple)):
        return asked
    items: list[Any] = []
    seen: set[str] = set()
    for item in given:
        identity = item.get("id") if isinstance(item, Mapping) else None
        if isinstance(identity, str):
            lost = [one for one in thoughts(identity) if one not in seen]
            if lost and item.get("type") == "item_reference":
                items += [{"type": "item_reference", "id": one} for one in lost]
                seen.update(lost)
            elif lost:
                item = {key: value for key, value in item.items() if key != "id"}
            seen.add(identity)
        items.append(item)
    return {**asked, "input": items}


class ReasoningAside:
    """Does to the events of a stream what :func:`reasoning_aside` does to an answer."""

    def __init__(self) -> None:
        self._hidden: dict[int, Mapping[str, Any]] = {}
        self._dropped = 0

    def feed(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what to pass on for an event: nothing, the event itself, or one that is changed."""
        place, item = event.get("output_index"), event.get("item")
        if isinstance(item, Mapping) and item.get("type") == "reasoning" and isinstance(place, int):
            self._hidden[place] = item
        if place in self._hidden:
            self._dropped += 1
            return []
        if not self._hidden:
            return [event]
        changed = dict(event)
        if isinstance(event.get("sequence_number"), int):
            changed["sequence_number"] -= self._dropped
        if isinstance(place, int):
            changed["output_index"] = place - sum(hidden < place for hidden in self._hidden)
            if isinstance(item, Mapping):
                (changed["item"],) = reasoning_aside([*self._before(place), item])
        whole = event.get("response")
        if isinstance(whole, Mapping) and isinstance(whole.get("output"), list):
            changed["response"] = {**whole, "output": reasoning_aside(whole["output"])}
        return [changed]

    def _before(self, place: int) -> list[Mapping[str, Any]]:
        """Return the reasoning that stands right before a place."""
        found: list[Mapping[str, Any]] = []
        while (place := place - 1) in self._hidden:
            found.insert(0, self._hidden[place])
        return found
