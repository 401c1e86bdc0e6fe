"""What finished calls teach about later ones."""

from __future__ import annotations

from datetime import date

import pytest
from ledger_support import ask

from routed_llm import (
    Catalog,
    Decision,
    LedgerError,
    Observed,
    Policy,
    Previous,
    Request,
    RequestFacts,
    Router,
    TokenCount,
    Usage,
    select,
)
from routed_llm.ledger import Entry, Ledger, MemoryLedger
from routed_llm.ledger.observer import Observer
from routed_llm.pricing import writes

DAY = date(2026, 11, 22)


def answered(
    router: Router, request: Request, tokens: int, *, cached: int = 0, reasoning: int = 0, times: int = 1
) -> Decision:
    """Decide and settle a request some times."""
    for _ in range(times):
        decision = router.decide(request)
        used = Usage(
            input_tokens=20_000, cached_tokens=cached, output_tokens=tokens, reasoning_tokens=reasoning
        )
        router.begin(decision).settle(used)
    return router.decide(request)


def expected(decision: Decision) -> int:
    """Return the output tokens that were expected."""
    assert decision.chosen is not None
    return decision.chosen.output_tokens


def test_outputs_are_learned() -> None:
    """Expected output moves from the published ratio to what answers really had."""
    router = Router(clock=lambda: DAY)
    assert expected(router.decide(ask())) == 318
    assert expected(answered(router, ask(), 100)) < 318
    assert expected(answered(router, ask(), 100, times=100)) == pytest.approx(100, rel=0.15)


def test_kinds_learn_apart() -> None:
    """Short answers to capped requests say nothing about requests of another kind."""
    router = Router(clock=lambda: DAY)
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    answered(router, ask(response_format=schema), 20 + 85, reasoning=85, times=50)
    assert expected(router.decide(ask())) == pytest.approx(318, abs=1)


def test_what_earlier_processes_saw_is_recalled(ledger: Ledger) -> None:
    """A router that is given a ledger expects, after a first call, what those in the ledger have shown."""
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    kinds = [ask(), ask(tools=tools, tool_choice="auto"), ask(max_tokens=50)]
    before = Router(ledger=ledger, clock=lambda: DAY)
    shown = []
    for said, request in zip((100, 500, 20), kinds, strict=True):
        shown.append(expected(answered(before, request, said + 40, reasoning=40, times=60)))
    run = before.begin(before.decide(ask()))
    run.fail("server_error", Usage(output_tokens=9_000))
    before.begin(before.decide(ask(n=9))).settle(Usage(input_tokens=9, output_tokens=9_000))
    after = Router(ledger=ledger, clock=lambda: DAY)
    assert expected(after.decide(ask())) == 318
    after.begin(after.decide(ask())).cancel()
    assert [expected(after.decide(request)) for request in kinds] == pytest.approx(shown, rel=0.1)
    for own in (Router(clock=lambda: DAY), Router(ledger=ledger, observe=False, clock=lambda: DAY)):
        own.begin(own.decide(ask())).cancel()
        assert expected(own.decide(ask())) == 318


def test_a_ledger_that_cannot_be_read_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    """Calls go on with published expectations, and the log says why."""

    class Gone(MemoryLedger):
        def recent(self, count: int) -> list[Entry]:
            raise LedgerError("No such disk.")

    router = Router(ledger=Gone(), clock=lambda: DAY)
    router.begin(router.decide(ask())).cancel()
    router.begin(router.decide(ask())).cancel()
    assert expected(router.decide(ask())) == 318
    # The end of the program's own model is said, too, and by a thread of an earlier test maybe what became of
    # its false Redis.
    said = [line for line in caplog.messages if "Estimates" in line]
    assert said == ["No such disk. Estimates begin without what was observed before."]


def test_little_thought_at_one_effort_says_little_of_higher_ones() -> None:
    """A quarter of what is published of another effort is expected at the least, until it is seen itself."""
    router = Router(clock=lambda: DAY)
    answered(router, ask(), 100, reasoning=0, times=60)
    known = {(one.model, one.effort): one.output_tokens for one in router.explain(ask()).candidates}
    fresh = Router(clock=lambda: DAY, observe=False)
    published = {(one.model, one.effort): one.output_tokens for one in fresh.explain(ask()).candidates}
    at = ("gpt-5.6-luna", "max")
    assert known[at] == pytest.approx(100 + (published[at] - 232) / 4, rel=0.05)
    answered(router, ask(), 100, reasoning=0, times=60)
    assert expected(router.decide(ask())) == pytest.approx(100, rel=0.2)


def test_efforts_are_learned_apart() -> None:
    """What others think at an effort is expected of a model that was never called at it."""
    at = {
        effort: Policy(models=["gpt-5.6-terra"], effort=effort, at_least=None) for effort in ("low", "high")
    }
    other = {effort: Policy(models=["gpt-5.6-sol"], effort=effort, at_least=None) for effort in at}
    router, fresh = Router(clock=lambda: DAY), Router(clock=lambda: DAY, observe=False)
    published = {}
    for effort, part in (("low", 0.05), ("high", 0.5)):
        model = Catalog.load().get("gpt-5.6-terra")
        thought = writes(model, effort).reasoning * part
        for _ in range(100):
            decision = router.decide(ask(), policy=at[effort])
            router.begin(decision).settle(
                Usage(input_tokens=9, output_tokens=200 + int(thought), reasoning_tokens=int(thought))
            )
        whole = writes(Catalog.load().get("gpt-5.6-sol"), effort)
        published[effort] = 200 / writes(model, effort).ratio * whole.ratio + part * whole.reasoning
    for effort, tokens in published.items():
        assert expected(router.decide(ask(), policy=other[effort])) == pytest.approx(tokens, rel=0.08)
        assert expected(fresh.decide(ask(), policy=other[effort])) != pytest.approx(tokens, rel=0.08)


def test_capped_answers_teach_only_capped_ones() -> None:
    """An answer that a cap has cut short says nothing of uncapped ones, whatever their size."""
    router = Router(clock=lambda: DAY)
    answered(router, ask(max_tokens=16), 16 + 45, reasoning=45, times=50)
    assert expected(router.decide(ask())) == pytest.approx(318, abs=1)
    assert expected(router.decide(ask("word " * 2_000))) == pytest.approx(318, abs=1)


def test_reasoning_is_learned_apart() -> None:
    """What is thought does not grow with what is said: each is learned by itself, and both add up."""
    router = Router(clock=lambda: DAY)
    decision = answered(router, ask(), 500, reasoning=169, times=200)
    seen = router._observer.value.of(decision.facts)
    assert seen is not None
    assert (seen.base * 1.1, seen.thought) == (pytest.approx(331, rel=0.02), pytest.approx(0.6, rel=0.03))
    assert expected(decision) == pytest.approx(500, rel=0.02)
    # Another kind of request has said nothing yet: this one thought twice what is expected of such calls.
    other = ask(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
    pinned = router.decide(other, policy=Policy(models="gpt-5.6-luna", effort="low", at_least=None))
    assert expected(pinned) == pytest.approx(65 + 2 * 28, rel=0.02)


@pytest.mark.parametrize(
    ("tokens", "cap", "asked"),
    [(None, 16, 120), (None, 211, 318), (844, None, 1_049), (10, None, 51)],
    ids=["a small cap", "a cap at the mean", "answers four times as long", "short answers"],
)
def test_reasoning_before_anything_is_seen(tokens: int | None, cap: int | None, asked: int) -> None:
    """What is said grows with the answer, what is thought with its fourth root.

    A cap that leaves room for thought cuts what is handed over, not what may be written and is paid; one
    that is short mostly says that little is asked for.
    """
    router = Router(
        policy=Policy(models="gpt-5.6-luna", effort="low", output_tokens=tokens), clock=lambda: DAY
    )
    decision = router.decide(ask() if cap is None else ask(max_tokens=cap))
    assert expected(decision) == asked


def test_like_requests_of_other_sizes_learn_from_each_other() -> None:
    """A request of a size not met yet begins with what its wider kind has shown."""
    router = Router(clock=lambda: DAY)
    answered(router, ask(), 100, times=50)
    assert expected(router.decide(ask("word " * 2_000))) == pytest.approx(100, rel=0.25)


def test_a_verbose_model_loses_its_place() -> None:
    """Once a configuration is seen to write more than published, another may become the cheapest."""
    router = Router(policy=Policy(models=["gpt-4o", "gpt-4.1"], at_least=None), clock=lambda: DAY)
    assert router.decide(ask()).model == "gpt-4o"
    other = Router(policy=Policy(models="gpt-4.1", at_least=None), clock=lambda: DAY)
    other._observer = router._observer
    answered(other, ask(), 100, times=60)
    assert answered(router, ask(), 1_000, times=60).model == "gpt-4.1"


def test_observing_can_be_turned_off() -> None:
    """Without observation every decision on the same request is the same."""
    router = Router(clock=lambda: DAY, observe=False)
    assert expected(answered(router, ask(), 5_000, times=20)) == 318


def facts(previous: Previous | None = None) -> Request:
    """Make a request of 20,000 tokens."""
    return Request(
        facts=RequestFacts(tokens=TokenCount.of(20_000), previous=previous), texts=(), fixed=20_000
    )


@pytest.mark.parametrize(("read", "cached"), [(19_968, 19_968), (9_984, 10_150), (0, 400)])
def test_cache_reads_correct_the_expectation(read: int, cached: int) -> None:
    """When caches hold less than they should, later calls expect less."""
    router = Router(clock=lambda: DAY)
    turn = facts(Previous(model="gpt-5.6-luna", effort="low", prefix_tokens=20_000))
    decision = answered(router, turn, 300, cached=read, times=100)
    assert decision.chosen is not None
    assert decision.chosen.cached_tokens == pytest.approx(cached, abs=600)


def test_each_conversation_reads_as_it_has_read() -> None:
    """Where one conversation finds all of its prefix in the cache and another nothing, each expects so."""
    router = Router(policy=Policy(models="gpt-4.1", at_least=None), clock=lambda: DAY)
    expected_in: dict[int, int] = {}
    for turn in range(12):
        for conversation, share in ((0, 1.0), (1, 0.0)):
            tokens = 20_000 + 1_280 * turn + conversation
            before = tokens - 1_280
            previous = Previous(model="gpt-4.1", prefix_tokens=before) if turn else None
            request = Request(
                facts=RequestFacts(tokens=TokenCount.of(tokens), previous=previous), texts=(), fixed=tokens
            )
            decision = router.decide(request)
            assert decision.chosen is not None
            expected_in[conversation] = decision.chosen.cached_tokens
            read = int(before * share) // 128 * 128 if turn else 0
            router.begin(decision).settle(Usage(input_tokens=tokens, cached_tokens=read, output_tokens=50))
    assert expected_in[0] > 0.85 * 32_000
    assert expected_in[1] < 0.2 * 32_000


@pytest.mark.parametrize(("waits", "warm"), [(10.0, 19_968), (400.0, 0)], ids=["still kept", "no longer"])
def test_a_cache_that_was_left_may_still_be_warm(waits: float, warm: int) -> None:
    """Where a conversation left a model for another one, the first one's cache holds it for a while."""
    router, now = Router(policy=Policy(models="gpt-4*", at_least=None), clock=lambda: DAY), [0.0]
    router._observer._clock = lambda: now[0]

    def turn(model: str, tokens: int, previous: Previous | None) -> Previous:
        asked = RequestFacts(tokens=TokenCount.of(tokens), previous=previous, model=model)
        decision = router.decide(Request(facts=asked, texts=(), fixed=tokens))
        router.begin(decision).settle(Usage(input_tokens=tokens, output_tokens=50))
        return Previous(model=model, prefix_tokens=tokens)

    there = turn("gpt-4o", 21_000, turn("gpt-4.1", 20_000, None))
    now[0] = waits
    back = RequestFacts(tokens=TokenCount.of(22_000), previous=there)
    candidates = router.explain(Request(facts=back, texts=(), fixed=22_000)).candidates
    found = {one.model: one.cached_tokens for one in candidates}
    assert (found["gpt-4.1"], found["gpt-4o"] > 20_000, found["gpt-4o-mini"]) == (warm, True, 0)


def test_shared_beginnings_are_learned() -> None:
    """Instructions and tools that all first calls have in common are expected in the cache."""
    router = Router(clock=lambda: DAY)
    decision = answered(router, facts(), 300, cached=4_096, times=100)
    assert decision.chosen is not None
    assert decision.chosen.cached_tokens == pytest.approx(4_096, rel=0.05)
    few = answered(Router(clock=lambda: DAY), facts(), 300, cached=512, times=100)
    assert few.chosen is not None
    assert few.chosen.cached_tokens == 0


def test_beginnings_are_expected_as_often_as_they_are_found() -> None:
    """Where every other call finds the instructions in the cache, half of them are expected there."""
    # Where writing costs, so few would not be worth the cache.
    router = Router(policy=Policy(models="gpt-4.1", at_least=None), clock=lambda: DAY)
    for _ in range(50):
        answered(router, facts(), 300, cached=0)
        decision = answered(router, facts(), 300, cached=1_152)
    assert decision.chosen is not None
    assert decision.chosen.cached_tokens == pytest.approx(576, rel=0.05)


def test_nothing_after_the_last_turn_is_expected_in_a_cache() -> None:
    """What other requests found in the cache is not expected beyond what a conversation had sent before."""
    router = Router(clock=lambda: DAY)
    answered(router, facts(), 300, cached=15_000, times=100)
    for model in ("gpt-5.6-luna", "gpt-4o"):
        turn = facts(Previous(model=model, effort="low", prefix_tokens=900))
        candidates = router.explain(turn).candidates
        (luna,) = [one for one in candidates if (one.model, one.effort) == ("gpt-5.6-luna", "low")]
        assert luna.cached_tokens == 900


def test_select_takes_what_was_observed_as_a_value() -> None:
    """The choice stays a pure function: the same value gives the same Decision, and values never change."""
    observer, catalog, request = Observer(), Catalog.load(), ask()
    before = observer.value
    decision = select(request.facts, policy=Policy(), catalog=catalog, at=DAY, observed=before)
    used = Usage(input_tokens=10, output_tokens=60)
    observer.learn(decision, catalog.get("gpt-5.6-luna"), used, base=None)
    assert before == Observed()
    later = [
        select(request.facts, policy=Policy(), catalog=catalog, at=DAY, observed=observer.value).to_dict()
        for _ in range(2)
    ]
    assert later[0] == later[1] != decision.to_dict()


def test_small_changes_do_not_flicker() -> None:
    """The value stays the same object until what is said or thought moves by more than a fiftieth."""
    observer, catalog, request = Observer(), Catalog.load(), ask()
    decision = select(request.facts, policy=Policy(), catalog=catalog, at=DAY)
    luna, changes = catalog.get("gpt-5.6-luna"), 0
    for _ in range(1_000):
        before = observer.value
        observer.learn(decision, luna, Usage(input_tokens=10, output_tokens=500), base=None)
        changes += observer.value is not before
    assert 0 < changes < 24
