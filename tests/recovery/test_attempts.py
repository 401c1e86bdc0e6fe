"""One call and its failures: where it goes next, what is raised in the end, what others learn from it."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable

import httpx
import pytest
from openai import APIConnectionError
from recovery_support import AT, Clock, ProviderFailure, ask

from routed_llm import (
    Attempts,
    Budget,
    BudgetExceeded,
    Exchange,
    NoModelFits,
    Policy,
    RetryLimits,
    Router,
    Usage,
)
from routed_llm.recovery import Action

Start = Callable[..., Attempts]


def test_a_failure_moves_the_call_and_stands_in_the_record(start: Start, router: Router) -> None:
    """After a failure the Decision is another model's, and the record tells what happened before."""
    attempts = start()
    first = attempts.decision
    step = attempts.failed(ProviderFailure("500"))
    assert (step.action, step.error, step.decision) == (Action.MOVE, None, attempts.decision)
    assert attempts.decision.model != first.model
    attempts.answered()
    record = attempts.record(router.begin(attempts.decision).settle(None))
    assert record["model"] == attempts.decision.model
    assert json.loads(json.dumps(record["attempts"])) == [
        {
            "model": first.model,
            "effort": first.effort,
            "endpoint": first.endpoint,
            "error": {
                "kind": "server", "status": 500, "type": "server_error", "code": None, "param": None,
                "message": "500", "retry_after": None, "started": False, "unsure": False,
                "name": "ProviderFailure",
            },
            "seconds": 0.0,
            "action": "move",
            "reason": f"{first.model}: the provider failed on it",
            "delay": 0.0,
        }
    ]  # fmt: skip


def test_a_call_without_failures_has_an_empty_list(start: Start) -> None:
    """A record says so when nothing failed."""
    assert start().record({"model": "x"}) == {"model": "x", "attempts": []}


def test_the_last_error_raised_is_the_first_one(start: Start) -> None:
    """When all fails, the first error is raised, with every attempt on it and a note of what was tried."""
    attempts = start()
    errors = [ProviderFailure(name) for name in ("500", "502", "429")]
    steps = [attempts.failed(error) for error in errors]
    assert [step.action for step in steps] == [Action.MOVE, Action.MOVE, Action.STOP]
    assert steps[-1].error is errors[0]
    names = [attempt.name for attempt in attempts.failures]
    assert len(set(names)) == 3
    assert errors[0].attempts == attempts.failures  # type: ignore[attr-defined]
    on = attempts.failures[0].endpoint, attempts.failures[1].endpoint, attempts.failures[2].endpoint
    assert errors[0].__notes__ == [
        f"routed-llm tried {names[0]} on {on[0]}: 500 server_error; {names[1]} on {on[1]}: 502 server; "
        f"{names[2]} on {on[2]}: 429 rate_limit. It stopped: 3 requests may be sent for one call, and 3 "
        "failed. Try again later, allow more attempts with max_retries, or widen the pool."
    ]


@pytest.mark.parametrize("name", ["key", "quota", "policy", "wrong"])
def test_nothing_helps(start: Start, name: str) -> None:
    """Errors of the account or the request end the call at once, and cool nothing down."""
    attempts, error = start(), ProviderFailure(name)
    assert attempts.failed(error).error is error


def test_an_error_after_the_first_token_is_raised_as_it_is(start: Start) -> None:
    """A stream that dies after a failover raises its own error, and tells of both."""
    attempts, late = start(), ProviderFailure("502")
    attempts.failed(ProviderFailure("500"))
    step = attempts.failed(late, started=True)
    assert step.error is late
    assert [attempt.error.started for attempt in late.attempts] == [False, True]  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [ValueError("a mistake"), TimeoutError(), NoModelFits], ids=repr)
def test_what_is_not_the_providers_passes_untouched(start: Start, error: Exception) -> None:
    """A mistake in a program is neither tried again nor written on, even after a failure."""
    attempts = start()
    attempts.failed(ProviderFailure("500"))
    raised = NoModelFits("x", decision=attempts.decision) if error is NoModelFits else error
    assert attempts.failed(raised).error is raised
    assert not hasattr(raised, "__notes__")
    assert not hasattr(raised, "attempts")


def test_a_budget_that_ends_between_attempts(start: Start) -> None:
    """Where the money for another request is gone, the provider's error is raised."""
    attempts, error = start(), ProviderFailure("500")
    attempts.failed(error)
    assert attempts.failed(BudgetExceeded("spent")).error is error
    assert "the budget has no room for another request" in error.__notes__[0]


def test_a_budget_that_was_never_enough(start: Start) -> None:
    """Without a failure before it, a refused reservation is its own error."""
    error = BudgetExceeded("spent")
    assert start().failed(error).error is error


def test_the_next_model_is_chosen_within_the_budget() -> None:
    """A move never goes to a model that the call's budget cannot pay for."""
    router = Router(clock=lambda: AT)
    decision = router.decide(ask())
    cap = decision.dollars
    assert cap is not None
    budget = Budget(per_call=cap)
    attempts = router.attempts(ask(), router.decide(ask(), budget=budget), budget=budget)
    step = attempts.failed(ProviderFailure("500"))
    assert (step.action, attempts.decision.model) == (Action.RETRY, decision.model)


def test_dead_models_stay_dead(start: Start, router: Router) -> None:
    """A model that the provider does not find is not chosen again in this process."""
    attempts = start()
    dead = attempts.decision.model
    attempts.failed(ProviderFailure("not found"))
    decision = router.decide(ask())
    assert decision.model == attempts.decision.model
    reasons = [reason.text for reason in decision.reasons_against(dead or "")]
    assert (
        f"{dead} is marked unavailable in this process: the provider answered 404 model_not_found" in reasons
    )


def test_a_snapshot_that_is_gone_says_nothing_of_its_model(start: Start, router: Router) -> None:
    """A dated snapshot that is not found does not take its model out of the choice."""
    attempts = start(ask(model="gpt-4o-2024-08-06"))
    assert attempts.failed(ProviderFailure("not found")).action is Action.STOP
    assert router.decide(ask(model="gpt-4o")).model == "gpt-4o"


def test_other_callers_leave_a_limited_model_alone(start: Start, router: Router) -> None:
    """A model that asks for nine seconds is not chosen by other calls, unless nothing else is left."""
    attempts = start()
    limited = attempts.decision.model
    attempts.failed(ProviderFailure("429 late"))
    cooling = router.cooldowns.cooling(100.0)
    assert cooling == {limited: "it failed with 429 rate_limit_exceeded a moment ago"}
    assert router.cooldowns.cooling(109.1) == {}


def test_a_cooling_model_is_better_than_none() -> None:
    """Models that cool down are avoided, and used where nothing else can serve the call."""
    router = Router(policy=Policy(models=["gpt-4.1", "gpt-4o"]), clock=lambda: AT)
    first = router.decide(ask()).model or ""
    far = 10.0**9
    router.cooldowns.failed(first, "it was slow", now=far, seconds=5)
    other = router.decide(ask())
    assert {first, other.model} == {"gpt-4.1", "gpt-4o"}
    assert "unavailable" in {reason.code for reason in other.reasons_against(first)}
    router.cooldowns.failed(other.model or "", "it was slow", now=far, seconds=5)
    assert router.decide(ask()).model == first
    assert router.decide(ask(model=first)).model == first


def test_an_answer_forgets_the_strikes(start: Start, router: Router) -> None:
    """Failures count towards a time out only when no answer comes between them."""
    for _ in range(2):
        start().failed(ProviderFailure("500"))
    start().answered()
    start().failed(ProviderFailure("500"))
    assert router.cooldowns.cooling(100.0) == {}
    for _ in range(2):
        start().failed(ProviderFailure("500"))
    assert len(router.cooldowns.cooling(100.0)) == 1


def test_the_deadline_is_counted_from_the_first_request(start: Start, clock: Clock) -> None:
    """Time that requests take counts towards the deadline, waits or not."""
    attempts = start(limits=RetryLimits(deadline=30))
    clock.now += 29
    assert attempts.failed(ProviderFailure("500")).error is None
    clock.now += 2
    step = attempts.failed(ProviderFailure("500"))
    assert step.reason == "31.0 s have passed, and 30 s are the deadline"


def test_a_refused_parameter_is_dropped_on_the_same_model(start: Start) -> None:
    """What the catalog did not foresee is put right where it is a matter of taste, and said."""
    attempts = start(ask(temperature=0.5, model="gpt-4.1"))
    error = ProviderFailure("wrong")
    error.body = {"message": "Unsupported parameter: 'temperature' is not supported with this model.",
                  "param": "temperature", "code": None}  # fmt: skip
    step = attempts.failed(error)
    assert step.action is Action.CHANGE
    call = attempts.decision.call
    assert call is not None
    assert (call.model, "temperature" in call.parameters, "temperature" in call.dropped) == (
        "gpt-4.1",
        False,
        True,
    )
    assert step.reason == "temperature=0.5 dropped: the provider refused it (400 parameter)"
    assert attempts.decision.record()["changes"][-1]["action"] == "dropped"


def test_nothing_keeps_the_exception(start: Start) -> None:
    """An ended call holds no exception, and so none of the frames it came through."""
    attempts = start()
    error = ProviderFailure("500")
    gone = weakref.ref(error)
    attempts.failed(error)
    attempts.answered()
    del error
    gc.collect()
    assert gone() is None


def test_many_callers_at_once(start: Start, router: Router) -> None:
    """Failures and answers of many threads leave the table of cooling models consistent."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(50):
                attempts = start()
                if (turn + number) % 3:
                    attempts.failed(ProviderFailure("429 late" if turn % 2 else "500"))
                attempts.answered()
        except BaseException as error:  # noqa: BLE001  every failure is looked at below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert router.cooldowns.cooling(10.0**6) == {}


class Books:
    """A run that writes down how it ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[object, ...]] = []
        self.exchange = Exchange()

    def fail(
        self,
        outcome: str,
        usage: object = None,
        *,
        served: object = None,
        begun: bool = False,
        unsure: bool = False,
    ) -> None:
        """Note a failure."""
        self.ends.append(("fail", str(outcome), usage, begun, unsure))

    def settle(self, usage: object, *, served: object = None) -> None:
        """Note a settlement."""
        self.ends.append(("settle", usage))

    def cancel(self) -> None:
        """Note a cancellation."""
        self.ends.append(("cancel",))


USED = Usage(input_tokens=1, output_tokens=2)


@pytest.mark.parametrize(
    ("raised", "started", "usage", "end"),
    [
        pytest.param(
            ProviderFailure("429 late"), False, None, ("fail", "rate_limit", None, False, False), id="429"
        ),
        pytest.param(
            ProviderFailure("500"), True, None, ("fail", "server", None, True, False), id="in the middle"
        ),
        pytest.param(
            ProviderFailure("500"), True, USED, ("fail", "server", USED, True, False), id="with its usage"
        ),
        pytest.param(ZeroDivisionError(), False, None, ("cancel",), id="a mistake before"),
        pytest.param(ZeroDivisionError(), True, None, ("settle", None), id="a mistake in the middle"),
        pytest.param(ZeroDivisionError(), False, USED, ("settle", USED), id="a mistake afterwards"),
    ],
)
def test_each_attempt_ends_its_run(
    start: Start, raised: Exception, started: bool, usage: Usage | None, end: tuple[object, ...]
) -> None:
    """A failure of the provider is an entry; a mistake of a program gives back, or books what had come."""
    books = Books()
    start().failed(raised, started=started, run=books, usage=usage)
    assert books.ends == [end]


@pytest.mark.parametrize(("went_out", "unsure"), [(False, False), (True, True)], ids=["never sent", "sent"])
def test_what_a_client_says_of_its_connection_decides(start: Start, went_out: bool, unsure: bool) -> None:
    """An error that may mean anything is no reason to charge where it is known that no byte went out."""
    books = Books()
    books.exchange.note("connection.connect_tcp.started")
    if went_out:
        books.exchange.note("http11.send_request_headers.started")
    start().failed(APIConnectionError(request=httpx.Request("POST", "http://x")), run=books)
    assert books.ends == [("fail", "connection", None, False, unsure)]


async def test_the_loop_is_free_while_a_ledger_works(start: Start) -> None:
    """With a ledger that blocks, what is to be done after a failure is done in a thread."""
    threads = []

    class Slow(Books):
        def fail(self, *_: object, **__: object) -> None:
            threads.append(threading.current_thread())

    for blocks in (False, True):
        step = await start(blocks=blocks).afailed(ProviderFailure("429 late"), run=Slow())
        assert step.kind == "rate_limit"
    assert [thread is threading.main_thread() for thread in threads] == [True, False]
