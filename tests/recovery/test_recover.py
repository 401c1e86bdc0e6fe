# ruff: noqa: E501  tables of cases are read by the row
"""What follows from a failure: a table, and bounds that hold for every sequence of failures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recovery_support import ERRORS, ask, error

from routed_llm import Attempt, CallOptions, Decision, Policy, PolicyError, RetryLimits, Router
from routed_llm.policy import OPTIMIZE
from routed_llm.recovery import Action, ErrorFacts, ErrorKind
from routed_llm.recovery.recover import others, recover

RETRY, MOVE, STOP = Action.RETRY, Action.MOVE, Action.STOP
POLICY = Policy()


def failed(decision: Decision, name: str = "500") -> Attempt:
    """Return a failure of a decision's model."""
    return Attempt(
        model=decision.model or "",
        effort=decision.effort,
        endpoint=decision.endpoint or "",
        error=error(name),
        seconds=0.1,
    )


@pytest.mark.parametrize(
    ("name", "with_others", "alone"),
    [
        ("429 soon", (RETRY, 0.2), (RETRY, 0.2)),
        ("429 late", (MOVE, 0.0), (RETRY, 9.0)),
        ("429 never", (MOVE, 0.0), (STOP, 0.0)),
        ("429", (RETRY, 0.5), (RETRY, 0.5)),
        ("too large", (MOVE, 0.0), (STOP, 0.0)),
        ("quota", (STOP, 0.0), (STOP, 0.0)),
        ("500", (MOVE, 0.0), (RETRY, 0.5)),
        ("500 no retry", (MOVE, 0.0), (STOP, 0.0)),
        ("502", (MOVE, 0.0), (RETRY, 0.5)),
        ("context", (MOVE, 0.0), (STOP, 0.0)),
        ("not found", (MOVE, 0.0), (STOP, 0.0)),
        ("responses only", (MOVE, 0.0), (STOP, 0.0)),
        ("image", (MOVE, 0.0), (STOP, 0.0)),
        ("key", (STOP, 0.0), (STOP, 0.0)),
        ("policy", (STOP, 0.0), (STOP, 0.0)),
        ("wrong", (STOP, 0.0), (STOP, 0.0)),
    ],
)
def test_first_failure(
    decided: Decision, name: str, with_others: tuple[Action, float], alone: tuple[Action, float]
) -> None:
    """What follows a first failure, with other models to go to and without."""
    step = recover(decided, error(name), policy=POLICY)
    assert (step.action, step.delay) == with_others
    step = recover(decided, error(name), policy=POLICY, alone=True)
    assert (step.action, step.delay) == alone


@pytest.mark.parametrize("kind", ["connection", "timeout", "incomplete"])
@pytest.mark.parametrize("alone", [False, True], ids=["with others", "alone"])
def test_broken_answers(decided: Decision, kind: str, alone: bool) -> None:
    """A broken connection is tried again on the same model; a silent model is left where that is possible."""
    step = recover(decided, ErrorFacts(kind=ErrorKind(kind)), policy=POLICY, alone=alone)
    assert step.action == (RETRY if kind == "connection" or alone else MOVE)


@pytest.mark.parametrize("name", ERRORS)
def test_nothing_follows_once_tokens_were_passed_on(decided: Decision, name: str) -> None:
    """After the first token no error of any kind is followed by another request."""
    step = recover(decided, error(name, started=True), policy=POLICY)
    assert (step.action, step.reason) == (STOP, "part of the answer had been passed on")


def test_a_second_failure_of_the_same_kind_moves(decided: Decision) -> None:
    """A short wait is worth it once; then the call moves."""
    step = recover(decided, error("429 soon"), [failed(decided, "429 soon")], policy=POLICY)
    assert (step.action, step.avoid) == (MOVE, {decided.model: "its rate limit is used up"})


def test_waits_double_up_to_the_longest(decided: Decision) -> None:
    """Alone, the waits double, and chance only shortens them by up to a quarter."""
    limits = RetryLimits(attempts=99, deadline=1000)
    waits = [
        recover(decided, error("500"), [failed(decided)] * n, policy=POLICY, limits=limits, alone=True).delay
        for n in range(7)
    ]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8]
    spread = recover(decided, error("500"), policy=POLICY, limits=limits, alone=True, jitter=1.0)
    assert spread.delay == 0.375
    asked = recover(decided, error("429 late"), policy=POLICY, alone=True, jitter=1.0)
    assert asked.delay == pytest.approx(9.9)  # later than asked for, never sooner


@pytest.mark.parametrize(
    ("limits", "before", "now", "reason"),
    [
        (RetryLimits(attempts=1), 0, 0.0, "1 request may be sent for one call, and 1 failed"),
        (RetryLimits(), 2, 0.0, "3 requests may be sent for one call, and 3 failed"),
        (RetryLimits(deadline=5), 0, 6.25, "6.2 s have passed, and 5 s are the deadline"),
    ],
    ids=["one", "three", "time"],
)
def test_limits(decided: Decision, limits: RetryLimits, before: int, now: float, reason: str) -> None:
    """No more requests than allowed, and none after the deadline; the reason says so."""
    step = recover(decided, error("500"), [failed(decided)] * before, policy=POLICY, limits=limits, now=now)
    assert (step.action, step.reason) == (STOP, reason)


@pytest.mark.parametrize(
    ("limits", "name", "reason"),
    [
        (RetryLimits(deadline=0.4), "500", "{model}: the provider failed on it, no other model can serve the request, "
         "and a wait of 0.5 s is past the deadline"),
        (RetryLimits(waits=False), "500", "{model}: the provider failed on it, no other model can serve the request, "
         "and the client behind it has retried already"),
        (RetryLimits(), "500 no retry", "{model}: the provider failed on it, no other model can serve the request, "
         "and the provider says not to retry"),
        (RetryLimits(), "context", "{model}: this request is longer than it takes, and no other model can serve the request"),
    ],
    ids=["deadline", "waited already", "header", "length"],
)  # fmt: skip
def test_why_it_stops_alone(decided: Decision, limits: RetryLimits, name: str, reason: str) -> None:
    """A call with no other model says what kept it from waiting."""
    step = recover(decided, error(name), policy=POLICY, limits=limits, alone=True)
    assert (step.action, step.reason) == (STOP, reason.format(model=decided.model))


def test_a_client_that_retries_itself_is_only_moved(decided: Decision) -> None:
    """Where the client behind it waits and retries, even a short wait moves the call."""
    assert recover(decided, error("429 soon"), policy=POLICY, limits=RetryLimits(waits=False)).action is MOVE


def test_too_long_goes_to_a_larger_model_only(router: Router, decided: Decision) -> None:
    """An error of length rules out every model that takes no more, and those below the count it tells."""
    room = {model.id: model.limits.max_input for model in router.catalog}
    mine = room[decided.model or ""]
    step = recover(decided, error("context"), policy=POLICY, room=room)
    assert decided.model in step.avoid
    assert {one for one in others(decided) if room[one] <= mine} <= set(step.avoid)
    assert all(room[one] > mine for one in others(decided) if one not in step.avoid)
    told = replace(error("context"), tokens=10**7)
    assert recover(decided, told, policy=POLICY, room=room).action is STOP


def test_not_found_marks_the_model_dead(decided: Decision) -> None:
    """A model that the provider does not find is dead, whether or not another one is left."""
    assert recover(decided, error("not found"), policy=POLICY).dead
    assert recover(decided, error("not found"), policy=POLICY, alone=True).dead


def test_a_long_wait_cools_the_model_down(decided: Decision) -> None:
    """What the provider asks for is what other callers leave the model alone for; a short wait is nothing."""
    assert recover(decided, error("429 late"), policy=POLICY).cool == 9.0
    assert recover(decided, error("429 soon"), policy=POLICY).cool == 0.0


def test_a_pinned_call_has_no_others(router: Router) -> None:
    """A model named for the call is the only one that may answer it."""
    decision = router.decide(ask(model="gpt-4.1"))
    assert others(decision) == []
    assert recover(decision, error("too large"), policy=POLICY).action is STOP


@pytest.mark.parametrize("optimize", OPTIMIZE)
def test_every_other_could_be_chosen(router: Router, optimize: str) -> None:
    """Who counts as able to serve the call is chosen when the rest is taken away, whatever puts them in order."""
    given = CallOptions(policy=Policy(optimize=optimize))
    decided = router.decide(ask(), given)
    left = others(decided)
    assert len(left) > 3
    for wanted in left:
        avoid = {one: "x" for one in [decided.model or "", *left] if one != wanted}
        found = router.rechoose(ask(), avoid, given)
        assert found is not None
        assert found.model == wanted
    every = {one.model for one in decided.candidates}
    assert router.rechoose(ask(), dict.fromkeys(every, "x"), given) is None


@given(
    names=st.lists(st.sampled_from(sorted(ERRORS)), min_size=1, max_size=8),
    attempts=st.integers(1, 6),
    deadline=st.floats(0, 30),
    jitter=st.floats(0, 1),
)
def test_no_sequence_of_failures_is_endless(
    names: list[str], attempts: int, deadline: float, jitter: float
) -> None:
    """Whatever fails in whatever order: no request over the cap, no wait past the deadline, then an end."""
    decision, now, log = _DECIDED, 0.0, []
    limits = RetryLimits(attempts=attempts, deadline=deadline)
    for count in range(1, 20):
        found = error(names[(count - 1) % len(names)])
        step = recover(decision, found, log, policy=POLICY, limits=limits, now=now, jitter=jitter)
        if step.action is STOP:
            break
        assert step.delay >= 0
        now += step.delay
        assert now <= deadline
        log.append(failed(decision, names[(count - 1) % len(names)]))
    assert count <= attempts


_DECIDED = Router().decide(ask())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attempts": 0}, "attempts=0 leaves no request. Give at least 1."),
        ({"deadline": -1}, "deadline=-1 is negative. Give seconds of at least 0."),
    ],
    ids=["attempts", "deadline"],
)
def test_impossible_limits(values: dict[str, int], message: str) -> None:
    """Limits that cannot be are refused."""
    with pytest.raises(PolicyError) as info:
        RetryLimits(**values)  # type: ignore[arg-type]
    assert str(info.value) == message


@pytest.mark.parametrize(("retries", "attempts"), [(None, 3), (0, 1), (2, 3), (5, 6), (-1, 1)])
def test_the_sdks_own_setting_is_the_limit(retries: int | None, attempts: int) -> None:
    """``max_retries`` means here what it means to the SDK: requests besides the first."""
    assert RetryLimits.from_retries(retries).attempts == attempts
