"""Budget: what the user states, and the accounts that it makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from ledger_support import NOON, ask

from routed_llm import Budget, BudgetExceeded, Policy, PolicyError, Router

AT = datetime(2026, 12, 31, 23, 45, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("budget", "tags", "conversation", "keys"),
    [
        pytest.param(Budget(total=1), {}, None, ["all/total"], id="everybody"),
        pytest.param(
            Budget(per_hour=1, per_day=2, per_month=3),
            {},
            None,
            ["all/hour/2026-12-31T23", "all/day/2026-12-31", "all/month/2026-12"],
            id="windows",
        ),
        pytest.param(
            Budget(per_day=1, scope="team=search"),
            {"team": "search"},
            None,
            ["team=search/day/2026-12-31"],
            id="one team",
        ),
        pytest.param(Budget(per_day=1, scope="team=search"), {"team": "ads"}, None, [], id="another team"),
        pytest.param(
            Budget(per_day=1, scope="user"),
            {"user": "ann"},
            None,
            ["user=ann/day/2026-12-31"],
            id="each user",
        ),
        pytest.param(Budget(per_day=1, scope="user"), {"team": "ads"}, None, [], id="untagged"),
        pytest.param(
            Budget(per_day=1, scope={"user": "*", "team": "ads"}),
            {"user": "a/b", "team": "ads"},
            None,
            ["team=ads,user=a%2Fb/day/2026-12-31"],
            id="each user of a team, odd name",
        ),
        pytest.param(Budget(per_conversation=1), {}, "c 1", ["all/conversation/c 1"], id="conversation"),
        pytest.param(Budget(per_conversation=1), {}, None, [], id="no conversation"),
        pytest.param(Budget(per_call=1), {}, None, [], id="a call needs no account"),
    ],
)
def test_accounts(budget: Budget, tags: dict[str, str], conversation: str | None, keys: list[str]) -> None:
    """A call draws on one account for each limit of each budget that it falls under."""
    assert [account.key for account in budget.accounts(tags, conversation, AT)] == keys


@pytest.mark.parametrize(
    ("at", "resets"),
    [
        (AT, ["2027-01-01T00:00", "2027-01-01T00:00", "2027-01-01T00:00"]),
        (
            datetime(2027, 2, 1, 0, 30, tzinfo=UTC),
            ["2027-02-01T01:00", "2027-02-02T00:00", "2027-03-01T00:00"],
        ),
        (
            datetime(2027, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))),
            ["2027-01-01T00:00", "2027-01-01T00:00", "2027-01-01T00:00"],
        ),
    ],
    ids=["new year's eve", "february", "another time zone"],
)
def test_resets(at: datetime, resets: list[str]) -> None:
    """Hours, days and months end in UTC, whatever the clock's zone."""
    found = Budget(per_hour=1, per_day=1, per_month=1).accounts({}, None, at)
    assert [account.resets_at for account in found] == [
        datetime.fromisoformat(end).replace(tzinfo=UTC) for end in resets
    ]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        pytest.param(
            {},
            "A Budget without an amount limits nothing. Give per_call, per_conversation, per_hour, "
            "per_day, per_month or total, in US dollars.",
            id="no amount",
        ),
        pytest.param(
            {"per_day": -1},
            "per_day=-1 is not an amount. Give US dollars from 0 to 9,000,000.",
            id="negative",
        ),
        pytest.param(
            {"total": "much"},
            "total='much' is not an amount. Give US dollars from 0 to 9,000,000.",
            id="words",
        ),
        pytest.param(
            {"total": 1, "downshift_below": 20},
            "downshift_below holds 20. Give a share from 0 to 1, such as 0.2.",
            id="percent",
        ),
        pytest.param(
            {"total": 1, "hard": "yes"},
            "hard='yes' is neither true nor false. Give one of the two.",
            id="flag",
        ),
        pytest.param(
            {"total": 1, "scope": 7},
            "scope=7 is not a scope. Give 'team=search', 'team' or several joined by commas.",
            id="scope",
        ),
        pytest.param(
            {"per_call": 1, "hard": False},
            "per_call of a soft budget limits nothing. Give it to a hard Budget of its own, or use "
            "Policy(max_cost_per_call=...).",
            id="soft call",
        ),
    ],
)
def test_refused(keywords: dict[str, Any], message: str) -> None:
    """What cannot be meant is refused in words that say what to do."""
    with pytest.raises(PolicyError) as caught:
        Budget(**keywords)
    assert str(caught.value) == message


def test_to_dict_makes_an_equal_budget() -> None:
    """A budget can be written down and made again."""
    budget = Budget(per_call="0.01", per_month=5, scope="team=search,user", downshift_to="gpt-4o-mini")
    assert Budget(**budget.to_dict()) == budget


def test_nothing_is_recommended_that_does_not_fit() -> None:
    """Where the worst case has to be paid for, too, each recommendation can be followed."""
    for cents in range(1, 200, 7):
        router = Router(
            budgets=Budget(total=f"{cents / 10_000:.4f}", worst_case=True),
            policy=Policy(models=["gpt-5.4", "gpt-4o", "gpt-4.1-nano"]),
            clock=lambda: NOON,
        )
        try:
            router.decide(ask(pin="gpt-4o"))
        except BudgetExceeded as error:
            for model, _, _ in error.fits:
                assert router.decide(ask(pin=model)).model == model
