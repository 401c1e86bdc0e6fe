"""The results of a moderation that a request asks for along with its answer: nothing is ever flagged."""

from __future__ import annotations

from typing import Any

from routed_llm.simulator.frozen import load


def asked(body: dict[str, Any]) -> str:
    """Return the model that is asked to moderate, or nothing."""
    return str((body.get("moderation") or {}).get("model") or "")


def results(model: str, endpoint: str) -> dict[str, Any]:
    """Return what is said of the input and of the output."""
    names = load("shapes")["moderation"]["categories"]
    one = {
        "type": "moderation_result",
        "model": model,
        "flagged": False,
        "categories": dict.fromkeys(names, False),
        "category_scores": dict.fromkeys(names, 1e-6),
        "category_applied_input_types": {name: ["text"] for name in names},
    }
    if endpoint == "responses":
        return {"input": one, "output": one}
    listed = {"type": "moderation_results", "model": model, "results": [one]}
    return {"input": listed, "output": listed}
