"""Outputs: what routed models were seen to write, against what was expected of them. Pure but for reading."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from routed_llm.facts import RequestFacts

__all__ = ["Expected", "Outputs", "Tally", "configuration", "kind_of", "spread"]

FEW: Final = 4
"""Answers of one kind from which its own mean is taken; below it that of all kinds counts."""

ENOUGH: Final = 30
"""Answers of all kinds from which their mean is taken where none was paired with the baseline's."""


def configuration(model: str | None, effort: str | None) -> str:
    """Return a model and its effort in one word, as ``gpt-5.6-luna@low``."""
    return f"{model}@{effort}" if effort else str(model)


def kind_of(facts: RequestFacts) -> str:
    """Say in a few words what a request is made of: calls of one kind are written to alike.

    It is rougher than :attr:`RequestFacts.kind`, so that few answers show a kind; the size of the answer is
    known from the baseline's own.
    """
    parts = []
    if facts.tools or facts.builtin_tools:
        parts.append(f"tools={facts.tool_choice or 'auto'}")
    if facts.previous is not None and facts.previous.in_tool_loop:
        parts.append("tool results")
    if facts.structured:
        parts.append(facts.structured)
    parts += [f"{name} in" for name in sorted(facts.inputs - {"text"})]
    parts += [f"{name} out" for name in sorted(facts.outputs - {"text"})]
    if facts.cap is not None:
        parts.append(f"cap<{1 << facts.cap.bit_length()}")
    if facts.task:
        parts.append(f"task={facts.task}")
    return ", ".join(parts) or "text"


@dataclass(slots=True)
class Tally:
    """A mean and how far single values are from it."""

    number: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, value: float) -> None:
        """Take a value in."""
        self.number += 1
        step = value - self.mean
        self.mean += step / self.number
        self._squares += step * (value - self.mean)

    @property
    def variance(self) -> float:
        """The variance of single values; 0 while there are fewer than two."""
        return self._squares / (self.number - 1) if self.number > 1 else 0.0


class Expected(NamedTuple):
    """What a routed configuration is expected to write.

    Attributes:
        tokens: output tokens, reasoning included.
        tally: the answers that the figure rests on.
        paired: whether each of them was seen beside the baseline's answer to the same request.
    """

    tokens: float
    tally: Tally
    paired: bool


_Place = tuple[str, str | None]


@dataclass(slots=True)
class Outputs:
    """What was seen, by configuration and kind.

    Attributes:
        pairs: how many tokens an answer had more than was expected of it from the baseline's answer to the
            same request: from sampled second calls.
        answers: how many tokens an answer had, where the baseline gave none: from calls that were routed.
    """

    pairs: dict[_Place, Tally] = field(default_factory=dict)
    answers: dict[_Place, Tally] = field(default_factory=dict)

    def learn_from(self, path: str) -> None:
        """Take in every entry of a decision log.

        Raises:
            OSError: when the file cannot be read.
        """
        with Path(path).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._line(line)

    def _line(self, line: str) -> None:
        if '"arm":"second"' not in line and '"arm":"routed"' not in line:
            return
        try:
            entry = json.loads(line)
            self.learn(entry)
        except (ValueError, TypeError, AttributeError):
            return  # a line cut off by a crash

    def learn(self, entry: Mapping[str, Any]) -> None:
        """Take in an entry of a decision log; those that no routed model has answered say nothing."""
        written = (entry.get("usage") or {}).get("output_tokens")
        if entry.get("outcome") != "answered" or not written:
            return
        name, kind = configuration(entry["model"], entry.get("effort")), str(entry.get("kind") or "")
        if entry.get("arm") == "second":
            routed = entry.get("routed") or {}
            expected = routed.get("published_tokens")
            # In a rollout the baseline may be the second: its answers say nothing of routed models.
            if expected is not None and routed.get("model", entry["model"]) == entry["model"]:
                self.pair(name, kind, expected, written)
        elif entry.get("arm") == "routed":
            self.answer(name, kind, written)

    def pair(self, name: str, kind: str, expected: float, written: float) -> None:
        """Take in an answer that was given beside the baseline's."""
        for place in ((name, kind), (name, None)):
            self.pairs.setdefault(place, Tally()).add(written - expected)

    def answer(self, name: str, kind: str, written: float) -> None:
        """Take in an answer that was given in the baseline's place."""
        for place in ((name, kind), (name, None)):
            self.answers.setdefault(place, Tally()).add(written)

    def expected(self, name: str, kind: str, guess: float) -> Expected | None:
        """Say what a configuration writes, or None when too little was seen of it.

        Args:
            name: the configuration.
            kind: the kind of request.
            guess: what is expected of it from the baseline's answers alone: one answer's, or a mean.
        """
        for paired, seen, place, least in (
            (True, self.pairs, (name, kind), FEW),
            (False, self.answers, (name, kind), FEW),
            (True, self.pairs, (name, None), FEW),
            (False, self.answers, (name, None), ENOUGH),
        ):
            tally = seen.get(place)
            if tally is not None and tally.number >= least:
                return Expected(max(tally.mean + (guess if paired else 0), 1.0), tally, paired)
        return None


def spread(parts: Mapping[int, tuple[float, Tally]]) -> float:
    """Return half the width of the interval that holds a sum with a confidence of 95%.

    Args:
        parts: for each tally what a token of its mean is worth in the sum, all calls that it stands for
            taken together.
    """
    variance = sum(weight**2 * tally.variance / tally.number for weight, tally in parts.values())
    degrees = sum(tally.number - 1 for _, tally in parts.values())
    # Student's t for few answers, by the first terms of its expansion around the normal one.
    z, n = 1.959964, max(degrees, 1)
    t = z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n * n)
    return t * math.sqrt(variance)
