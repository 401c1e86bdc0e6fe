"""Copies and pickles: other processes get the same model, with its limits or not at all."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from langchain_routed import RoutedChatModel

from routed_llm import Budget, BudgetExceeded, Catalog, MemoryLedger, Policy, PolicyError, Router

SETTINGS: list[Any] = [
    pytest.param({}, id="plain"),
    pytest.param({"temperature": 0.2, "max_tokens": 50, "model_kwargs": {"user": "u"}}, id="parameters"),
    pytest.param({"policy": {"models": ["gpt-4.1"]}}, id="allow-list"),
    pytest.param({"policy": Policy(exclude=["gpt-5*"]), "use_responses_api": True}, id="a policy"),
    pytest.param({"catalog": Catalog.load()}, id="a catalog"),
]


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "copy", "model_copy"])
@pytest.mark.parametrize("called", [False, True], ids=["fresh", "called"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_copy_decides_alike(sim, settings: dict[str, Any], called: bool, how: str) -> None:
    """The settings travel, the original keeps its own, and both can call."""
    llm = RoutedChatModel(base_url=sim.url, api_key="simulated", **settings)
    if called:
        llm.invoke("Hi")
    before = dict(llm.__dict__)
    other = {
        "pickle": lambda: pickle.loads(pickle.dumps(llm)),
        "deepcopy": lambda: copy.deepcopy(llm),
        "copy": lambda: copy.copy(llm),
        "model_copy": lambda: llm.model_copy(deep=True),
    }[how]()
    assert {name: llm.__dict__[name] for name in before} == before
    assert type(other) is RoutedChatModel
    assert other._own_planner().policy() == llm._own_planner().policy()
    assert other._default_params == llm._default_params
    assert other.explain("Hi").model == llm.explain("Hi").model
    other.invoke("Hi")
    assert sim.refused == []


def test_a_deep_copy_draws_on_the_same_money(sim) -> None:
    """What the original may not spend, its copy may not either."""
    llm = RoutedChatModel(base_url=sim.url, api_key="simulated", budget=Budget(total="0.0000001"))
    for one in (llm, copy.deepcopy(llm)):
        with pytest.raises(BudgetExceeded):
            one.invoke("Hi")


def test_a_budget_travels_with_a_book_that_can(sim, tmp_path) -> None:
    """A file is the same book in another process."""
    llm = RoutedChatModel(
        base_url=sim.url,
        api_key="simulated",
        budget=Budget(total="0.0000001"),
        ledger=str(tmp_path / "book.db"),
    )
    with pytest.raises(BudgetExceeded):
        pickle.loads(pickle.dumps(llm)).invoke("Hi")


def test_a_budget_in_memory_does_not_travel(sim) -> None:
    """It would count nothing there; the error says where to keep the book."""
    llm = RoutedChatModel(base_url=sim.url, api_key="simulated", budget=Budget(total=1))
    with pytest.raises(PolicyError) as caught:
        pickle.dumps(llm)
    assert str(caught.value) == (
        "The budget's book is in the memory of this process and cannot travel with a pickle, whose calls it "
        "would no longer count. Keep it in a file or on a server: ledger='calls.db', or a redis:// URL."
    )


def test_a_router_of_ones_own_is_not_lost_on_the_way(sim) -> None:
    """Without it the copy would have other limits: it is refused, and says what to do."""
    llm = RoutedChatModel(base_url=sim.url, api_key="simulated", router=Router(ledger=MemoryLedger()))
    with pytest.raises(PolicyError, match="router cannot travel with a pickle"):
        pickle.dumps(llm)
