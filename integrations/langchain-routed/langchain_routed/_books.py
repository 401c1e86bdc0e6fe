"""The books of a model that is given budgets or a ledger of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_routed._desk import default_router
from routed_llm import Router, budgets_from

__all__ = ["own_books"]


def own_books(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields to set for what a constructor is given: budgets, as they are read, and the books.

    The router becomes a field of the model, so that its copies draw on the same money.

    Raises:
        PolicyError: for a wrong budget, or a ledger beside a router that has another.
    """
    budgets, ledger, on_budget = (given.get(name) for name in ("budget", "ledger", "on_budget"))
    if budgets is None and ledger is None and on_budget is None:
        return {}
    catalog = given.get("catalog")
    # Calls with the same key fail together, whoever pays for them.
    cooldowns = None if catalog is not None else default_router().cooldowns
    router = Router.keeping(
        given.get("router"), catalog=catalog, ledger=ledger, on_budget=on_budget, cooldowns=cooldowns
    )
    found: dict[str, Any] = {"router": router, "budget": budgets_from(budgets) or None}
    return found if ledger is None else {**found, "ledger": router.ledger}
