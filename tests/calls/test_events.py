"""What is logged of calls: one line each, with its values, and no text of prompts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from routed_llm import Budget, Policy, Request, RequestBuilder, Router, Usage

DAY = date(2026, 11, 29)
SECRET = "nobody else may read this"


def request(**parameters: Any) -> Request:
    """Return a request whose text must not be logged."""
    builder = RequestBuilder()
    builder.message("user").text(SECRET)
    for name, value in parameters.items():
        builder.set(name, value)
    return builder.build()


class APIStatusError(Exception):
    """An error as an SDK would raise it."""

    __module__ = "openai"

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status_code, self.body, self.headers = status, {"code": code}, {}


def failing(status: int, code: str, calls: int = 1, **policy: Any) -> Callable[[], None]:
    """Return what makes calls whose first request fails."""

    def call() -> None:
        router = Router(clock=lambda: DAY, policy=Policy(**policy))
        asked = request()
        decision = router.decide(asked)
        for _ in range(calls):
            router.attempts(asked, decision).failed(APIStatusError(status, code))

    return call


def changed() -> None:
    """Make a call with a parameter that the chosen model does not take."""
    router = Router(clock=lambda: DAY)
    for _ in range(3):
        router.decide(request(temperature=0.7))


def spent() -> None:
    """Spend a budget."""
    router = Router(clock=lambda: DAY, budgets=Budget(per_day="0.0001", hard=False))
    decision = router.decide(request())
    router.begin(decision).settle(Usage(input_tokens=1000, output_tokens=5000))


def on(day: date, **policy: Any) -> Callable[[], None]:
    """Return what makes three calls on a day."""

    def call() -> None:
        router = Router(clock=lambda: day, policy=Policy(**policy))
        for _ in range(3):
            router.decide(request())

    return call


CASES: list[Any] = [
    pytest.param(
        failing(404, "model_not_found"),
        ("recovery_move", 30),
        r"gpt-5\.6-luna@low failed with 404 model_not_found; \S+ takes over: .* "
        r"\(expected \$[\d.]+ instead of \$[\d.]+\)",
        id="failover",
    ),
    pytest.param(
        failing(401, "invalid_api_key"),
        ("recovery_stop", 30),
        r"gpt-5\.6-luna@low failed with 401 invalid_api_key; the call fails after 1 of its requests: .+",
        id="the call fails",
    ),
    pytest.param(
        failing(500, "server_error", models="gpt-5.6-luna"),
        ("recovery_retry", 20),
        r"gpt-5\.6-luna@low failed with 500 server_error; asked again after [\d.]+ s",
        id="retry",
    ),
    pytest.param(
        failing(500, "server_error", calls=3),
        ("cooldown", 30),
        r"gpt-5\.6-luna is left alone for [\d.]+ s: it failed with 500 server_error a moment ago",
        id="cool-down",
    ),
    pytest.param(changed, ("changed", 20), r"temperature is dropped for gpt-5\.6-luna: .+", id="parameter"),
    pytest.param(
        spent,
        ("budget", 30),
        r"the day budget of everybody has passed 80%: \$[\d.]+ of \$0\.0001 spent or held",
        id="budget",
    ),
    pytest.param(
        on(date(2026, 11, 29)),
        ("shutdown", 30),
        r"the program's own model gpt-4o ends on 2027-01-14; the provider names \S+ instead",
        id="shutdown ahead",
    ),
    pytest.param(
        on(date(2027, 2, 1)),
        ("shutdown", 30),
        r"the program's own model gpt-4o ended on 2027-01-14; the provider names \S+ instead",
        id="shutdown behind",
    ),
    pytest.param(
        on(date(2028, 2, 1), baseline="gpt-5.4", at_least=None),
        ("stale_catalog", 30),
        r"no price of the catalog was compared with its source for \d+ days; update routed-llm",
        id="stale catalog",
    ),
]


@pytest.mark.parametrize(("happens", "what", "line"), CASES)
def test_one_line_each(
    happens: Callable[[], None], what: tuple[str, int], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What happens is one record, however often it happens where it says nothing new."""
    with caplog.at_level("INFO", logger="routed_llm"):
        happens()
    found = [one for one in caplog.records if getattr(one, "event", None) == what[0]]
    assert len(found) == 1 or what[0] in ("budget", "recovery_retry")
    assert found[0].levelno == what[1]
    assert re.fullmatch(line, found[0].getMessage()), found[0].getMessage()
    assert all(SECRET not in f"{one.getMessage()} {getattr(one, 'data', '')}" for one in caplog.records)


@pytest.mark.parametrize(
    ("day", "policy"),
    [
        pytest.param(date(2026, 10, 1), {}, id="its end is far off"),
        pytest.param(DAY, {"baseline": "gpt-5.4"}, id="its end is not announced"),
    ],
)
def test_nothing_to_say(day: date, policy: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """An ordinary call logs nothing."""
    with caplog.at_level("INFO", logger="routed_llm"):
        on(day, **policy)()
    assert [one.getMessage() for one in caplog.records if hasattr(one, "event")] == []
