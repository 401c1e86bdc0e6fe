"""A router, a decision with several models behind it, and calls on a clock that stands still."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from recovery_support import AT, Clock, ask

from routed_llm import Attempts, Decision, Policy, Request, Router


@pytest.fixture
def router() -> Router:
    """A router of its own, with nothing known of any failure."""
    return Router(clock=lambda: AT)


@pytest.fixture
def decided(router: Router) -> Decision:
    """A decision with several models behind it."""
    return router.decide(ask())


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def start(router: Router, clock: Clock) -> Callable[..., Attempts]:
    """Begin a call: its Attempts, on a clock that stands still and without chance."""

    def begin(request: Request | None = None, policy: Policy | None = None, **more: Any) -> Attempts:
        asked = ask() if request is None else request
        decision = router.decide(asked, policy=policy)
        return Attempts(
            decision,
            choose=lambda avoid: router.rechoose(asked, avoid, policy=policy),
            policy=policy or router.policy,
            catalog=router.catalog,
            cooldowns=router.cooldowns,
            on_dead=router.mark_unavailable,
            clock=clock,
            chance=lambda: 0.0,
            **more,
        )

    return begin
