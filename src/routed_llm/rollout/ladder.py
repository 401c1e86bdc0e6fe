"""Ladder: a rollout that raises its share while bounds on cost and quality hold, and else falls back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from routed_llm.errors import LedgerError, PolicyError
from routed_llm.events import INFO, WARNING, emit, emit_once
from routed_llm.rollout.bounds import Evidence, bounds

if TYPE_CHECKING:
    from routed_llm.ledger.base import SharedStates

__all__ = ["Climb", "Ladder", "Progress"]

_LOOK: Final = 0.5
"""Seconds between two looks at what the fleet knows, and for which new evidence is held back at most."""

_TOGETHER: Final = 20
"""Pieces of evidence that are written together."""

_FIRST: Final = 30
"""Calls from which the scale of costs is taken; they are no evidence."""

_CLIP: Final = 10.0
"""Times the baseline's mean cost above which the difference of a call counts as that: bounds need a range."""

_SCORED_KEPT: Final = 30 * 86_400
"""Seconds for which it is kept that a call was scored, so that it is not counted twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """How a rollout climbs.

    Attributes:
        margin: points (hundredths of a score) of quality that may be lost.
        shares: of the callers, step by step.
        least: pieces of evidence on quality, and on cost, that each step must add before the next.
        level: of the bounds, over the whole climb.
        most_cost: times the baseline's cost that routing may cost.
        window: pieces of evidence on quality after which, at the last step, the count starts again, so that
            what goes wrong later is not outweighed by what was well before.
        name: what the fleet's state is kept by; another name begins another climb.
        check: gives an answer's text a score from 0 to 1, or None.
        judge: compares a sampled pair: the request's texts, the baseline's answer and routing's; from -1, the
            baseline's is better, to 1. The rollout's ``sample`` says how many are sent twice for it.

    Raises:
        PolicyError: for a margin or shares that are none.
    """

    margin: float
    shares: tuple[float, ...] = (0.01, 0.05, 0.25, 1.0)
    least: int = 50
    level: float = 0.95
    most_cost: float = 1.0
    window: int = 5_000
    name: str = "rollout"
    check: Callable[[str], float] | None = None
    judge: Callable[[Sequence[str], str, str], float] | None = None

    def __post_init__(self) -> None:
        rising = all(0 < a < b <= 1 for a, b in zip(self.shares, self.shares[1:], strict=False))
        if not (self.shares and rising and 0 < self.shares[0] <= 1):
            raise PolicyError(
                f"shares={self.shares!r} do not rise. Give parts of the callers such as (0.01, 0.1, 1).",
                key="shares",
            )
        if not 0 < self.margin < 100 or not 0 < self.level < 1:
            raise PolicyError(
                f"margin={self.margin!r} or level={self.level!r} is out of range. Give points between 0 and "
                "100, and a level between 0 and 1.",
                key="margin",
            )


_NONE: Final = Evidence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a climb has come: what the fleet shares.

    Attributes:
        step: the place in the ladder's shares.
        stopped: why it fell back to the baseline, or None.
        epoch: how often the count started again, from 1: each has a part of the error that is allowed.
        pairs: of judged pairs, how much better routing's answer was.
        baseline: scores of the baseline's answers, spread from -1 to 1.
        routed: scores of routing's answers, spread from -1 to 1.
        cost: how much more routing cost than it may, in parts of ``scale``.
        scale: US dollars that the range of ``cost`` stands for; None until enough calls were seen.
        first: number and dollars of the calls that the scale is taken from.
        since: pieces of evidence on quality and cost when the step began.
        noted: pieces of evidence on quality when the log was last written to.
    """

    step: int = 0
    stopped: str | None = None
    epoch: int = 1
    pairs: Evidence = _NONE
    baseline: Evidence = _NONE
    routed: Evidence = _NONE
    cost: Evidence = _NONE
    scale: float | None = None
    first: tuple[int, float] = (0, 0.0)
    since: tuple[int, int] = (0, 0)
    noted: int = 0

    @classmethod
    def read(cls, plain: Mapping[str, Any] | None) -> Progress:
        """Read what :meth:`plain` gave."""
        if plain is None:
            return cls()
        kinds = {name: Evidence(*plain[name]) for name in ("pairs", "baseline", "routed", "cost")}
        pairs = {name: tuple(plain[name]) for name in ("first", "since")}
        return cls(**{**plain, **kinds, **pairs})

    def plain(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def judged(self) -> int:
        """Pieces of evidence on quality: pairs, and scores of routing's answers."""
        return self.pairs.n + self.routed.n

    def alpha(self, ladder: Ladder) -> float:
        """The error that this epoch may make: all of them together make no more than the whole."""
        return (1 - ladder.level) / (self.epoch * (self.epoch + 1))

    def loss(self, ladder: Ladder) -> tuple[float, float]:
        """Return the least and the most points of quality that routing may lose."""
        alpha = self.alpha(ladder) / 2  # one half for pairs, one for scores
        low, high = bounds(self.pairs, alpha)
        ours, theirs = bounds(self.routed, alpha / 2), bounds(self.baseline, alpha / 2)
        return (
            100 * max(-high, (theirs[0] - ours[1]) / 2),
            100 * min(-low, (theirs[1] - ours[0]) / 2),
        )

    def excess(self, ladder: Ladder) -> tuple[float, float]:
        """Return the least and the most that a call costs above what it may, in US dollars on average."""
        low, high = bounds(self.cost, self.alpha(ladder))
        return (low * (self.scale or 0.0), high * (self.scale or 0.0))

    def advanced(self, ladder: Ladder) -> tuple[Progress, str | None]:
        """Return what follows from the bounds; and ``promoted``, ``stopped``, ``renewed`` or None."""
        if self.stopped is not None:
            return self, None
        (low, high), (cheaper, dearer) = self.loss(ladder), self.excess(ladder)
        if low > ladder.margin:
            why = f"at least {low:.1f} points of quality are lost; {ladder.margin:g} may be"
            return replace(self, stopped=why), "stopped"
        if cheaper > 0:
            times = "" if ladder.most_cost == 1 else f"{ladder.most_cost:g} times "
            why = f"a call costs at least ${cheaper:.6f} more than {times}the baseline's, on average"
            return replace(self, stopped=why), "stopped"
        added = (self.judged - self.since[0], self.cost.n - self.since[1])
        last = self.step == len(ladder.shares) - 1
        if last:
            return (self._anew(), "renewed") if added[0] >= ladder.window else (self, None)
        if min(added) < ladder.least or high > ladder.margin or dearer > 0 or self.scale is None:
            return self, None
        risen = replace(self, step=self.step + 1, since=(self.judged, self.cost.n))
        # What follows at the top is held against a count of its own.
        return (risen._anew() if risen.step == len(ladder.shares) - 1 else risen), "promoted"

    def _anew(self) -> Progress:
        # The baseline answers nobody at the top: its scores stay what routing's are held against.
        none = _NONE
        return replace(self, epoch=self.epoch + 1, pairs=none, routed=none, cost=none, since=(0, 0), noted=0)

    def plus(self, kinds: Mapping[str, Evidence]) -> Progress:
        """Return it with more evidence."""
        return replace(self, **{name: getattr(self, name).plus(more) for name, more in kinds.items()})


@dataclass(slots=True, kw_only=True)
class Climb:
    """One process's part in a climb. Threads share it.

    Attributes:
        ladder: how it climbs.
        ledger: where the fleet keeps its progress.
        note: called with each step and of the bounds every now and then, for the log.
        clock: seconds of a clock that only moves forward.
    """

    ladder: Ladder
    ledger: SharedStates
    note: Callable[[dict[str, Any]], object] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    progress: Progress = field(default_factory=Progress)
    _due: float = 0.0
    _known: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _buffer: list[tuple[str, float]] = field(default_factory=list)
    _means: dict[str, Evidence] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The part of the callers that is routed now; none until the fleet's progress is known."""
        if self.clock() >= self._due:
            self.flush()
        return self._now()

    def _now(self) -> float:
        if not self._known or self.progress.stopped is not None:
            return 0.0
        return self.ladder.shares[min(self.progress.step, len(self.ladder.shares) - 1)]

    def pair(self, better: float) -> None:
        """Take in a judged pair: how much better routing's answer was, from -1 to 1."""
        self._take("pairs", better)

    def scored(self, id: str, score: float) -> bool:
        """Take in the score of an answer, from 0 to 1; False when the call had one already.

        Args:
            id: the call's, which ends in who answered.
            score: the score.
        """
        arm = id.rpartition("-")[2]
        if arm not in ("baseline", "routed"):
            raise PolicyError(
                f"{id!r} is not a call of this rollout. Give the record's id, of a call made with a Ladder.",
                key="decision_id",
            )
        if not 0 <= score <= 1:
            raise PolicyError(f"score={score!r} is out of range. Give a number from 0 to 1.", key="score")
        seen: list[bool] = []

        def mark(before: Mapping[str, Any] | None) -> dict[str, Any]:
            seen.append(before is not None)
            return {"score": score} if before is None else dict(before)

        self.ledger.amend(f"scored:{self.ladder.name}:{id}", mark, keep=_SCORED_KEPT)
        if not seen[-1]:
            self._take(arm, 2.0 * score - 1.0)
        return not seen[-1]

    def checked(self, arm: str, score: float) -> None:
        """Take in what the ladder's check found of an answer, from 0 to 1."""
        if arm in ("baseline", "routed"):
            self._take(arm, 2.0 * min(max(score, 0.0), 1.0) - 1.0)

    def cost(self, routed: float, baseline: float) -> None:
        """Take in what a call cost, and what it would have cost with the other one, in US dollars."""
        limit = baseline * self.ladder.most_cost
        scale = self.progress.scale
        if scale is None:
            self._take("first", limit)
        else:
            self._take("cost", min(max((routed - limit) / scale, -1.0), 1.0))

    def _take(self, kind: str, value: float) -> None:
        with self._lock:
            self._buffer.append((kind, value))
            full = len(self._buffer) >= _TOGETHER
        if full or self.clock() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write what was taken in, and read what the fleet knows."""
        with self._lock:
            taken, self._buffer = self._buffer, []
            self._due = self.clock() + _LOOK
            kinds: dict[str, Evidence] = {}
            for kind, value in taken:
                if kind != "first":
                    # The guess is this process's own mean so far; only what is new goes to the fleet.
                    before = self._means.get(kind, Evidence())
                    after = self._means[kind] = before.and_value(value)
                    new = Evidence(1, value, after.squares - before.squares)
                    kinds[kind] = kinds.get(kind, Evidence()).plus(new)
            first = [value for kind, value in taken if kind == "first"]
            happened: list[tuple[Progress, str | None]] = []

            def change(plain: Mapping[str, Any] | None) -> dict[str, Any]:
                progress = _with_scale(Progress.read(plain).plus(kinds), first)
                after, event = progress.advanced(self.ladder)
                if (
                    not after.stopped
                    and event is None
                    and after.judged >= max(after.noted * 1.1, after.noted + 10)
                ):
                    after, event = replace(after, noted=after.judged), "held"
                happened.append((replace(progress, step=after.step, stopped=after.stopped), event))
                return after.plain()

            try:
                plain = self.ledger.amend(f"ladder:{self.ladder.name}", change, keep=0)
            except LedgerError as error:
                self._buffer = taken + self._buffer[:1000]
                text = "the progress of the rollout cannot be read: {error}"
                emit_once(WARNING, "ladder_unknown", text, error=error)
                return
            self.progress, self._known = Progress.read(plain), True
        progress, event = happened[-1]
        if event is not None:
            self.note(self._entry(progress, event))
        if event in ("promoted", "stopped"):
            text = "the rollout {name} was {what}: {share:.0%} of the callers are routed{why}"
            why = "" if progress.stopped is None else f", since {progress.stopped}"
            is_stopped = event == "stopped"
            level = WARNING if is_stopped else INFO
            data = {"name": self.ladder.name, "what": event, "share": self._now(), "why": why}
            emit(level, "ladder", text, loud=is_stopped, **data)

    def _entry(self, progress: Progress, event: str) -> dict[str, Any]:
        """Return the line of the log: what happened, with its numbers."""
        low, high = progress.loss(self.ladder)
        cheaper, dearer = progress.excess(self.ladder)
        return {
            "mode": "rollout",
            "arm": "ladder",
            "outcome": event,
            "why": progress.stopped,
            "ladder": {
                "name": self.ladder.name,
                "share": 0.0 if progress.stopped else self.ladder.shares[progress.step],
                "margin": self.ladder.margin,
                "level": self.ladder.level,
                "pairs": progress.pairs.n,
                "scores": {"baseline": progress.baseline.n, "routed": progress.routed.n},
                "costs": progress.cost.n,
                "loss": [round(low, 3), round(high, 3)],
                "excess": [round(cheaper, 9), round(dearer, 9)],
            },
        }


def _with_scale(progress: Progress, costs: Sequence[float]) -> Progress:
    """Return progress with the scale of costs, once enough calls of the baseline were seen."""
    if progress.scale is not None or not costs:
        return progress
    number, total = progress.first[0] + len(costs), progress.first[1] + sum(costs)
    scale = _CLIP * total / number if number >= _FIRST and total > 0 else None
    return replace(progress, first=(number, total), scale=scale)
