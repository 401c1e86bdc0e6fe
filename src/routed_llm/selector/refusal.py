"""Why nothing fits, in a few lines, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routed_llm.decision import Decision

__all__ = ["no_fit_message"]


def no_fit_message(decision: Decision) -> str:
    """Say why nothing fits, in a few lines, and what to do about it."""
    lines = [f"{name}: {text}" for name, text in list(decision.rejected.items())[:_SHOWN]]
    more = len(decision.rejected) - len(lines)
    head = f"None of {len(decision.rejected)} models can serve this request."
    tail = f" ({more} more in .decision.candidates.)" if more > 0 else ""
    return f"{head} " + "; ".join(lines) + f".{tail} {_advice(decision)}"


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


def _advice(decision: Decision) -> str:
    codes = [candidate.reasons[0].code for candidate in decision.candidates if candidate.reasons]
    known = [code for code in codes if code in _ADVICE]
    if not known:
        return "Leave out what no model takes, or widen the pool with Policy(models=...)."
    return _ADVICE[max(dict.fromkeys(known), key=known.count)]
