"""Why nothing fits, in a few lines, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routed_llm.decision import Decision, Reason

__all__ = ["no_fit_message"]


def no_fit_message(decision: Decision) -> str:
    """Say why nothing fits, in a few lines, and what to do about it."""
    closest = _closest(decision)
    texts = _unlike_first({name: reasons[0].text for name, reasons in closest.items()})
    lines = [text if name in text else f"{name}: {text}" for name, text in texts[:_SHOWN]]
    more = len(texts) - len(lines)
    head = f"None of {len(texts)} models can serve this request. "
    if len(texts) == 1:
        head = f"{texts[0][0]} cannot serve this request: "
    tail = f" ({more} more in .decision.candidates.)" if more > 0 else ""
    advice = _advice([reasons[0] for reasons in closest.values()], named=decision.facts.model is not None)
    return f"{head}{'; '.join(lines)}.{tail} {advice}"


def _closest(decision: Decision) -> dict[str, tuple[Reason, ...]]:
    """Give the reasons against the configuration of each model that came closest, the closest model first."""
    found: dict[str, tuple[Reason, ...]] = {}
    for candidate in decision.candidates:
        kept = found.get(candidate.model)
        if candidate.reasons and (kept is None or len(candidate.reasons) < len(kept)):
            found[candidate.model] = candidate.reasons
    return dict(sorted(found.items(), key=lambda item: not item[1][0].of_amounts))


def _unlike_first(rejected: Mapping[str, str]) -> list[tuple[str, str]]:
    """Put one model for each kind of reason first, so that the few lines shown say all there is to say."""
    seen: set[str] = set()
    first: list[tuple[str, str]] = []
    rest: list[tuple[str, str]] = []
    for name, text in rejected.items():
        kind = text.replace(name, "")
        (rest if kind in seen else first).append((name, text))
        seen.add(kind)
    return first + rest


_SHOWN = 4

_GENERAL = "Leave out what no model takes, or widen the pool with Policy(models=...)."
_NAMED = "Leave out what it does not take, or name another model."


def _advice(reasons: list[Reason], *, named: bool) -> str:
    # What passed every rule but those on amounts came closest; that others are gone is no news beside it.
    reasons = (
        [reason for reason in reasons if reason.of_amounts]
        or [reason for reason in reasons if reason.code not in ("retired", "unreleased")]
        or reasons
    )
    codes = [reason.code for reason in reasons]
    most = max(reasons, key=lambda reason: codes.count(reason.code), default=None)
    if most is None or (named and not most.wording.for_named):
        return _NAMED if named else _GENERAL
    return most.wording.advice or _GENERAL
