"""Which models a policy reaches, whatever is asked of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from routed_llm import Policy, PolicyError, Router
from routed_llm.calls.reach import known, reachable, usual, widest

ROUTER = Router(clock=lambda: datetime(2026, 7, 1, tzinfo=UTC))
SEEN = [
    pytest.param(Policy(baseline="gpt-4o"), "gpt-4o", id="the baseline"),
    pytest.param(Policy(baseline="gpt-4o", models=("gpt-4.1",), at_least=None), "gpt-4.1", id="another"),
    pytest.param(
        Policy(baseline="gpt-4o", models=("gpt-4*",), exclude=("gpt-4o*", "gpt-4"), at_least=None),
        None,
        id="one of others",
    ),
    pytest.param(Policy(baseline="a stranger"), "a stranger", id="a stranger"),
]


@pytest.mark.parametrize(("policy", "name"), SEEN)
def test_a_program_sees_its_baseline(policy: Policy, name: str | None) -> None:
    """Where the policy leaves it out, it is what serves a plain request."""
    found = usual(ROUTER, policy)
    assert found == name if name else found in {model.id for model in reachable(ROUTER, policy)}


def test_the_widest_is_one_of_the_reachable() -> None:
    """No reachable model has a larger window; of none there is no widest."""
    policy = Policy(baseline="gpt-4o", models=("gpt-4o", "gpt-4.1"), at_least=None)
    assert {model.id for model in reachable(ROUTER, policy)} == {"gpt-4o", "gpt-4.1"}
    assert widest(ROUTER, policy) == "gpt-4.1"


def test_a_pattern_without_a_model_is_refused() -> None:
    """As a call would be."""
    with pytest.raises(PolicyError):
        reachable(ROUTER, Policy(models=("no such model",)))


def test_a_stranger_is_not_known() -> None:
    """Names and aliases are, whichever model has them."""
    assert known(ROUTER, "a stranger") is None
    assert getattr(known(ROUTER, "gpt-4o"), "id", None) == "gpt-4o"
