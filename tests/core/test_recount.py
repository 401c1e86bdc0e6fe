"""Near a boundary, and only there, the provider's own count decides; when it fails, the local one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from routed_llm import Decision, NoModelFits, Policy, PolicyError, Router, TokenCount, read_openai
from routed_llm.calls.recount import is_near
from routed_llm.request.conversations import shared
from routed_llm.tokens.memo import shared as memo

MARK = 123_904
"""The window of gpt-4o less the output tokens that are kept free in it."""
FRAME = 7
"""Tokens of the frame of one message and its reply."""


def at_day() -> date:
    """Give a day on which both models are served."""
    return date(2026, 11, 22)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Begin and end with no conversation."""
    yield
    shared.clear()
    memo.clear()


class Provider:
    """Gives counts that differ from the local one, and notes what it is asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def count(self, model: str) -> int:
        """Answer, or fail as told."""
        self.asked.append(model)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    async def acount(self, model: str) -> int:
        """Answer, without holding the loop."""
        await asyncio.sleep(0)
        return self.count(model)


def policy(**changes: Any) -> Policy:
    """Return a policy that stays with gpt-4o for as long as it fits."""
    kept: dict[str, Any] = {
        "models": ("gpt-4o", "gpt-4.1"),
        "at_least": None,
        "incumbent": "gpt-4o",
        "exact_within": 100,
    }
    return Policy(**{**kept, **changes})


def body(tokens: int) -> dict[str, Any]:
    """Return a request of so many tokens."""
    return {"messages": [{"role": "user", "content": " word" * (tokens - FRAME)}]}


def synchronous(router: Router, payload: dict[str, Any], provider: Provider) -> Decision:
    """Decide in this thread."""
    return router.decide(read_openai(payload), exact=provider.count)


def asynchronous(router: Router, payload: dict[str, Any], provider: Provider) -> Decision:
    """Decide on an event loop."""
    return asyncio.run(router.adecide(read_openai(payload), exact=provider.acount))


both = pytest.mark.parametrize("decide", [synchronous, asynchronous])
Decide = Callable[[Router, dict[str, Any], Provider], Decision]


@both
@pytest.mark.parametrize(
    ("local", "answer", "asked", "model"),
    [
        pytest.param(MARK - 500, MARK + 90_000, 0, "gpt-4o", id="far below"),
        pytest.param(MARK - 101, MARK + 9, 0, "gpt-4o", id="one outside the margin"),
        pytest.param(MARK - 100, MARK + 9, 1, "gpt-4.1", id="at the margin, says more"),
        pytest.param(MARK - 10, MARK - 10, 1, "gpt-4o", id="below, says the same"),
        pytest.param(MARK - 10, MARK, 1, "gpt-4o", id="below, says at"),
        pytest.param(MARK - 10, MARK + 1, 1, "gpt-4.1", id="below, says one over"),
        pytest.param(MARK, MARK + 1, 1, "gpt-4.1", id="at, says one over"),
        pytest.param(MARK + 1, MARK, 1, "gpt-4o", id="one over, says at"),
        pytest.param(MARK + 99, MARK - 5, 1, "gpt-4o", id="over, says below"),
        pytest.param(MARK + 101, MARK - 5, 0, "gpt-4.1", id="outside the margin above"),
        pytest.param(60, MARK + 9, 0, "gpt-4o", id="short"),
    ],
)
def test_the_provider_decides_near_a_boundary(
    decide: Decide, local: int, answer: int, asked: int, model: str
) -> None:
    """Outside the margin nobody is asked, within it what the provider says counts."""
    provider = Provider(answer)
    decision = decide(Router(clock=at_day, policy=policy()), body(local), provider)
    assert (len(provider.asked), decision.model) == (asked, model)
    expected = {"by": "provider", "tokens": answer, "local": local} if asked else None
    assert decision.counted == expected
    assert decision.record().get("counted") == expected
    if asked:
        assert decision.facts.tokens == TokenCount.of(answer)


@both
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (TimeoutError("no answer"), "TimeoutError: no answer"),
        (ValueError("x" * 900), "ValueError: " + "x" * 188),
        (0, "ValueError: 0 is no number of tokens"),
        (-5, "ValueError: -5 is no number of tokens"),
        (True, "ValueError: True is no number of tokens"),
        (None, "ValueError: None is no number of tokens"),
        ("12", "ValueError: '12' is no number of tokens"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_count_that_fails_breaks_nothing(decide: Decide, answer: Any, error: str) -> None:
    """The local count decides, and the record says why."""
    decision = decide(Router(clock=at_day, policy=policy()), body(MARK), Provider(answer))
    assert decision.model == "gpt-4o"
    assert decision.record()["counted"] == {"by": "local", "error": error, "local": MARK}


@both
def test_interrupts_pass(decide: Decide) -> None:
    """What is no failure of the count ends the call."""
    with pytest.raises(KeyboardInterrupt):
        decide(Router(clock=at_day, policy=policy()), body(MARK), Provider(KeyboardInterrupt()))


@both
def test_nobody_is_asked_unless_the_policy_says_so(decide: Decide) -> None:
    """Asking costs a request, so it is off by default."""
    provider = Provider(MARK + 50)
    assert decide(Router(clock=at_day, policy=policy(exact_within=0)), body(MARK), provider).model == "gpt-4o"
    assert Policy().exact_within == 0
    assert not provider.asked


@both
def test_a_request_is_asked_about_once(decide: Decide) -> None:
    """A repeat is decided by what the provider said before; a failure is asked about again."""
    router, provider = Router(clock=at_day, policy=policy()), Provider(TimeoutError())
    decide(router, body(MARK), provider)
    provider.answer = MARK + 1
    for _ in range(3):
        assert decide(router, body(MARK), provider).model == "gpt-4.1"
    assert len(provider.asked) == 2


@both
def test_a_refusal_is_asked_about(decide: Decide) -> None:
    """What nothing would take by the local count is sent when the provider counts less, and not otherwise."""
    alone = policy(models=("gpt-4o",))
    assert decide(Router(clock=at_day, policy=alone), body(MARK + 3), Provider(MARK)).model == "gpt-4o"
    with pytest.raises(NoModelFits) as caught:
        decide(Router(clock=at_day, policy=alone), body(MARK - 3), Provider(MARK + 1))
    assert caught.value.decision.counted == {"by": "provider", "tokens": MARK + 1, "local": MARK - 3}


@both
@pytest.mark.parametrize(
    ("answer", "model"), [(MARK, "gpt-4o"), (MARK + 1, "gpt-4.1"), (TimeoutError(), "gpt-4o")], ids=str
)
def test_a_file_of_unknown_size_is_asked_about(decide: Decide, answer: Any, model: str) -> None:
    """Only the provider knows what a file given by id holds, and another file may hold something else."""
    file = {"type": "file", "file": {"file_id": "file-1"}}
    payload = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Sum it up."}, file]}]}
    router, provider = Router(clock=at_day, policy=policy(models=("gpt-4o", "gpt-4.1"))), Provider(answer)
    for _ in range(2):
        assert decide(router, payload, provider).model == model
    assert len(provider.asked) == 2


def test_the_count_is_the_truth_for_what_follows() -> None:
    """The next turn of a conversation begins from what the provider counted."""
    router = Router(clock=at_day, policy=policy())
    messages = [{"role": ("user", "assistant")[at % 2], "content": " word" * 20_600} for at in range(6)]
    first = router.decide(read_openai({"messages": messages}))
    local = first.facts.tokens.low
    assert first.facts.tokens.exact
    assert abs(local - MARK) < 400
    near = Router(clock=at_day, policy=policy(exact_within=1_000))
    near.decide(read_openai({"messages": messages}), exact=Provider(local + 77).count)
    after = read_openai({"messages": [*messages, {"role": "user", "content": "So"}]}).facts.tokens
    assert local + 77 + 4 < after.low <= after.high <= local + 77 + 4 + 2


@pytest.mark.parametrize(
    ("low", "high", "margin", "near"),
    [
        (50, 60, 10, False),
        (90, 90, 10, True),
        (89, 89, 10, False),
        (100, 100, 0, True),
        (100, 101, 0, True),
        (101, 101, 0, False),
        (101, 101, 1, True),
        (110, 110, 10, True),
        (111, 111, 10, False),
        (190, 190, 10, True),
        (500, 900, 10, False),
        (10, 900, 0, True),
    ],
)
def test_near(low: int, high: int, margin: int, near: bool) -> None:
    """A count is near where some boundary lies within the margin of its bounds."""
    assert is_near(TokenCount(low, low, high), [100, 200], margin) is near


@pytest.mark.parametrize("value", [-1, True, 1.5, "9"])
def test_the_margin_is_a_number_of_tokens(value: Any) -> None:
    """Anything else is refused with what to do."""
    with pytest.raises(PolicyError) as caught:
        Policy(exact_within=value)
    assert str(caught.value) == (
        f"exact_within={value!r} is out of range. Give a whole number of at least 0."
    )
