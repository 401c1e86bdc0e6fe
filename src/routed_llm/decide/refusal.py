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
    told = _unlike_first({name: reasons[0].text for name, reasons in closest.items()})
    lines = [text if name in text else f"{name}: {text}" for name, text in told[:_SHOWN]]
    more = len(told) - len(lines)
    head = f"None of {len(told)} models can serve this request. "
    if len(told) == 1:
        head = f"{told[0][0]} cannot serve this request: "
    tail = f" ({more} more in .decision.candidates.)" if more > 0 else ""
    advice = _advice(
        [reasons[0].code for reasons in closest.values()], named=decision.facts.model is not None
    )
    return f"{head}{'; '.join(lines)}.{tail} {advice}"


def _closest(decision: Decision) -> dict[str, tuple[Reason, ...]]:
    """Give the reasons against the configuration of each model that came closest, the closest model first."""
    found: dict[str, tuple[Reason, ...]] = {}
    for candidate in decision.candidates:
        kept = found.get(candidate.model)
        if candidate.reasons and (kept is None or len(candidate.reasons) < len(kept)):
            found[candidate.model] = candidate.reasons
    return dict(sorted(found.items(), key=lambda item: item[1][0].code not in _AMOUNTS))


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

_ADVICE: Mapping[str, str] = {
    "max_input": "Shorten the input, or widen the pool with Policy(models=...).",
    "window": "Shorten the input or lower the output cap, or widen the pool with Policy(models=...).",
    "max_output": "Lower the output cap.",
    "cost_cap": "Raise max_cost_per_call, or shorten the request.",
    "budget": "Wait for the budget to be refilled, raise it, or shorten the request.",
    "floor_below": "Lower the floor with Policy(at_least=...), or widen the pool with Policy(models=...).",
    "floor_unknown": "Lower the floor with Policy(at_least=...), or use evidence='inferred'.",
    "floor_inferred": "Use evidence='inferred', or lower the floor with Policy(at_least=...).",
    "retired": "Name a model that is still served; `routed models` lists them.",
    "recall": "Lower min_recall, or shorten the input.",
    "recall_unknown": "Lower min_recall, or shorten the input.",
    "no_price": "Give the model a price with Catalog.with_models(), or lift the limit on cost.",
}


def _advice(codes: list[str], *, named: bool) -> str:
    # What passed every rule but those on amounts came closest; that others are gone is no news beside it.
    codes = (
        [code for code in codes if code in _AMOUNTS]
        or [code for code in codes if code not in ("retired", "unreleased")]
        or codes
    )
    most = max(dict.fromkeys(codes), key=codes.count, default="")
    if named and most not in _OF_THE_CALL:
        return "Leave out what it does not take, or name another model."
    return _ADVICE.get(most, "Leave out what no model takes, or widen the pool with Policy(models=...).")


_AMOUNTS = frozenset(
    {"max_input", "window", "max_output", "recall", "recall_unknown", "cost_cap", "budget", "no_price"}
)
"""Reasons that rules on amounts give; a configuration meets those only once it has passed all others."""

_OF_THE_CALL = frozenset({"retired", "max_output", "cost_cap", "budget", "no_price"})
"""Reasons whose advice holds for a call that names its model, too."""
