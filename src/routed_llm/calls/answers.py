"""Who answered which turn, kept in this process: what a request in OpenAI's JSON does not say of itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from threading import Lock
from typing import Any, Final, NamedTuple, TypeAlias

from routed_llm.facts import Previous

__all__ = ["AnswerMemory", "Made"]

_SIZE: Final = 16
_KEPT: Final = 4096
"""Answers remembered at a time, some 200 bytes each."""

_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_RESULTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})


class Made(NamedTuple):
    """Who made an item of an answer.

    Attributes:
        model: the model.
        thoughts: ids of the reasoning that the provider wants to see before the item.
    """

    model: str
    thoughts: Sequence[str] = ()


Known: TypeAlias = Previous | Made


class Said:
    """What is said in a request, and a hash of it that is worked out once, when there is time for it.

    Args:
        turns: the request's messages or items.
    """

    __slots__ = ("_hashed", "_turns")

    def __init__(self, turns: Sequence[Any]) -> None:
        self._turns = turns
        self._hashed: Any = None

    def look(self) -> None:
        """Work the hash out."""
        self._hashed = _hash(blake2b(digest_size=_SIZE), self._turns)

    def digest(self, more: Sequence[Any]) -> bytes:
        """Return the hash of it and of what follows."""
        if self._hashed is None:
            self.look()
        return bytes(_hash(self._hashed.copy(), more).digest())


class AnswerMemory:
    """A bounded memory of answers, by what the next request repeats of them. Threads may share it.

    Attributes:
        takes_usage: addresses (None for the caller's own) to whether streams there can be asked for the
            usage, where that is known.
    """

    def __init__(self) -> None:
        self.takes_usage: dict[str | None, bool] = {}
        self._lock = Lock()
        self._answers: OrderedDict[Hashable, Known] = OrderedDict()

    def __reduce__(self) -> tuple[type[AnswerMemory], tuple[()]]:
        return (AnswerMemory, ())  # a copy or a pickle of it starts empty

    def remember(
        self,
        turns: Sequence[Any] | Said,
        answer: Sequence[Mapping[str, Any]],
        previous: Previous,
        identity: str | None,
    ) -> None:
        """Note who answered.

        Args:
            turns: the request's messages or items, maybe hashed already.
            answer: the answer's message, or its items.
            previous: who gave it.
            identity: the id of the response, by which a later request may refer to it.
        """
        said = turns if isinstance(turns, Said) else Said(turns)
        keys: list[Hashable] = [said.digest(answer)]
        keys += [("call", call) for item in answer for call in _calls(item)]
        if identity:
            keys.append(("response", identity))
        self._put(keys, previous)

    def remember_items(self, output: Iterable[Mapping[str, Any]], model: str) -> None:
        """Note who made reasoning and what came of it, which may be sent back without it, or by its id."""
        thoughts: list[str] = []
        begun = False
        for item in output:
            identity = item.get("id")
            if not isinstance(identity, str) or not identity:
                continue
            if item.get("type") == "reasoning":
                thoughts = [*(thoughts if begun else ()), identity]
                self._put([("item", identity)], Made(model))
            elif thoughts:
                self._put([("item", identity)], Made(model, tuple(thoughts)))
            begun = item.get("type") == "reasoning"

    def maker(self, identity: str) -> Made | None:
        """Return who made an item, where it is reasoning or came of it and that is known."""
        found = self._get(("item", identity))
        return found if isinstance(found, Made) else None

    def thoughts(self, identity: str) -> Sequence[str]:
        """Return the ids of the reasoning that the provider wants to see before an item."""
        found = self.maker(identity)
        return () if found is None else found.thoughts

    def _put(self, keys: Sequence[Hashable], known: Known) -> None:
        answers = self._answers
        with self._lock:
            for key in keys:
                answers[key] = known
                answers.move_to_end(key)
            while len(answers) > _KEPT:
                answers.popitem(last=False)

    def _may_know(self) -> bool:
        return bool(self._answers)

    def _get(self, key: Hashable) -> Known | None:
        with self._lock:
            return self._answers.get(key)

    def _who(self, key: Hashable) -> Previous | None:
        found = self._get(key)
        return found if isinstance(found, Previous) else None

    def before(self, turns: Sequence[Any]) -> Previous | None:
        """Return who answered the last turn in these messages or items, where that is known.

        What was said up to it must be the same for its tokens to count as a prefix that the provider may
        have cached; within a loop of tool calls the ids alone tell who made them.
        """
        if not self._may_know() or not isinstance(turns, (list, tuple)):
            return None
        last = next((at for at in range(len(turns) - 1, -1, -1) if _is_answer(turns[at])), None)
        if last is None:
            return None
        calls = _calls(turns[last])
        keys = [Said(turns[: last + 1]).digest(()), *(("call", call) for call in calls)]
        found = self._who(keys[0])
        if found is None:
            # What was said up to it may be something else.
            known = next((known for key in keys[1:] if (known := self._who(key)) is not None), None)
            if known is None:
                return None
            found = replace(known, prefix_tokens=0)
        results = {
            str(one.get("tool_call_id") or one.get("call_id")) for one in turns[last + 1 :] if _is_result(one)
        }
        waiting = _is_result(turns[-1]) and results.issuperset(calls)
        return replace(found, in_tool_loop=bool(calls) and waiting)

    def author(self, identity: Any) -> str | None:
        """Return the model that gave a response, where that is known."""
        if not isinstance(identity, str):
            return None
        found = self._who(("response", identity))
        return found.model if found else None


def _is_answer(turn: Any) -> bool:
    return isinstance(turn, (dict, Mapping)) and (
        turn.get("role") == "assistant" or turn.get("type") in _CALLS
    )


def _is_result(turn: Any) -> bool:
    return isinstance(turn, Mapping) and (turn.get("role") == "tool" or turn.get("type") in _RESULTS)


def _calls(turn: Mapping[str, Any]) -> list[str]:
    found = [turn.get("call_id")] if turn.get("type") in _CALLS else []
    calls = turn.get("tool_calls")
    if calls and isinstance(calls, (list, tuple)):  # what is neither is refused when the request is read
        found += [call.get("id") for call in calls if isinstance(call, Mapping)]
    return [str(call) for call in found if call]


def _hash(digest: Any, turns: Sequence[Any]) -> Any:
    for turn in turns:
        if isinstance(turn, (dict, Mapping)) and turn.get("type") != "reasoning":  # need not be sent back
            said = (str(turn.get("role") or turn.get("type")), *_said(turn), *_calls(turn), "\1")
            digest.update("\0".join(said).encode("utf-8", "surrogatepass"))
    return digest


def _said(turn: Mapping[str, Any]) -> list[str]:
    content = turn.get("content", turn.get("output"))
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, (list, tuple)) else ()
    return [it["text"] for it in parts if isinstance(it, Mapping) and isinstance(it.get("text"), str)]
