"""PromptPrefixCache of long requests that were sent before, and are expected in a prompt cache."""

from __future__ import annotations

import gc
import threading
import weakref
from datetime import date
from typing import Any

import pytest

from routed_llm import Decision, Policy, Previous, RequestBuilder, Router, Usage, read_openai
from routed_llm.catalog.model import CacheTerms
from routed_llm.request.prefix_cache import DecidedRequests, PromptPrefixCache

DAY = date(2026, 11, 22)
TERMS = CacheTerms(min_prefix=1_024, step=128, ttl=300.0)
WORDS = " ".join(f"w{number}" for number in range(3_000))
TOKENS = 10_000


def kept(table: PromptPrefixCache, texts: tuple[str, ...], model: str = "a", now: float = 0.0) -> None:
    """Keep a request of as many tokens as a tenth of its characters."""
    table.keep(texts, model, TERMS, now).listen()(sum(map(len, texts)) // 10)


LONG = "x" * 300 + "y" * 20_000


@pytest.mark.parametrize(
    ("texts", "now", "expected"),
    [
        pytest.param((LONG,), 0.0, {"a": 1_920}, id="the same"),
        pytest.param((LONG + "?",), 0.0, {"a": 1_920}, id="and more"),
        pytest.param((LONG[:15_000] + "?",), 0.0, {"a": 1_408}, id="a part of it"),
        pytest.param((LONG[:10_240],), 0.0, {"a": 1_024}, id="as much as a cache keeps"),
        pytest.param((LONG[:10_230],), 0.0, {}, id="a little less"),
        pytest.param((LONG, "Why?"), 0.0, {"a": 1_920}, id="another text after it"),
        pytest.param(("?" + LONG,), 0.0, {}, id="another beginning"),
        pytest.param((LONG[:300] + "z" * 20_000,), 0.0, {}, id="only the first words"),
        pytest.param((LONG,), 300.0, {"a": 1_920}, id="as long as the cache keeps it"),
        pytest.param((LONG,), 300.5, {}, id="longer"),
    ],
)
def test_what_a_cache_may_hold(texts: tuple[str, ...], now: float, expected: dict[str, int]) -> None:
    """As much as begins alike is expected, in whole steps, by the model that read it, while it is kept."""
    table = PromptPrefixCache()
    kept(table, (LONG,))
    assert table.warm(texts, now) == (expected, False)


def test_each_model_has_a_cache_of_its_own() -> None:
    """The longest beginning that a model has read counts; one whose answer has not come does not."""
    table = PromptPrefixCache()
    kept(table, (LONG,))
    kept(table, (LONG + LONG,))
    kept(table, (LONG[:12_000],), "b")
    table.keep((LONG,), "c", TERMS, 0.0)
    assert table.warm((LONG + LONG,), 1.0)[0] == {"a": 3_968, "b": 1_152}


def test_the_table_is_bounded() -> None:
    """The oldest requests leave first, by number, by characters, and of those that begin alike."""
    few = PromptPrefixCache(requests=2)
    for letter in "abc":
        kept(few, (letter * 20_000,))
    assert [len(few.warm((letter * 20_000,), 0.0)[0]) for letter in "abc"] == [0, 1, 1]
    small = PromptPrefixCache(characters=45_000)
    for letter in "abc":
        kept(small, (letter * 20_000,))
    kept(small, ("d" * 50_000,))
    assert [len(small.warm((letter * 20_000,), 0.0)[0]) for letter in "abcd"] == [0, 1, 1, 0]
    alike = PromptPrefixCache()
    for letter in "abcdefgh":
        kept(alike, ("x" * 15_000 + letter * 15_000,))
    found = [alike.warm(("x" * 15_000 + letter * 15_000,), 0.0)[0]["a"] for letter in "abcdefgh"]
    assert found == [1_408] * 4 + [2_944] * 4


def test_threads_share_a_table() -> None:
    """What many threads keep at once stays within the bounds, and none of them fails."""
    table, failed = PromptPrefixCache(requests=8), []

    def work(letter: str) -> None:
        try:
            for number in range(200):
                kept(table, (letter * 20_000 + str(number),), now=float(number))
                table.warm((letter * 20_000,), float(number))
        except Exception as error:  # noqa: BLE001 - shown below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, len(table._order) <= 8) == ([], True)


def ask(*texts: str) -> Any:
    """Make a request of a message for each text."""
    return read_openai({"messages": [{"role": "user", "content": text} for text in texts]})


def sent(router: Router, request: Any, tokens: int = TOKENS) -> Decision:
    """Decide and settle a request."""
    decision = router.decide(request)
    router.begin(decision).settle(Usage(input_tokens=tokens, output_tokens=5))
    return decision


def cached(router: Router, request: Any) -> dict[str, int]:
    """Say what is expected in each model's cache."""
    found = router.explain(request).candidates
    return {one.model: one.cached_tokens for one in found if one.cached_tokens}


def test_a_document_is_expected_in_the_cache_of_the_model_that_read_it() -> None:
    """A second question to it, or instructions that many calls share, cost what a cached prefix costs."""
    router = Router(clock=lambda: DAY)
    first = router.decide(ask(f"{WORDS}\n\nWho?"))
    assert cached(router, ask(f"{WORDS}\n\nWho?")) == {}
    tokens = first.facts.tokens.likely
    router.begin(first).settle(Usage(input_tokens=tokens, output_tokens=5))
    again = router.decide(ask(f"{WORDS}\n\nWhen was that?"))
    assert again.chosen is not None
    assert first.chosen is not None
    ((model, found),) = cached(router, ask(f"{WORDS}\n\nWhen?")).items()
    assert model == first.model
    assert tokens - 16 < found < tokens, "all but the question, and what is written around a message"
    assert again.chosen.cost < first.chosen.cost / 2  # type: ignore[operator]


def test_nothing_is_made_of_it_where_something_else_is_known() -> None:
    """Not in a conversation, nor in a short request, nor with another key, nor unobserved."""
    router = Router(clock=lambda: DAY)
    sent(router, ask(WORDS))
    builder = RequestBuilder().message("user").text(WORDS)
    builder.previous(Previous(model="gpt-4o", prefix_tokens=0))
    assert cached(router, builder.build()) == {}
    assert cached(router, ask(WORDS[:1_000])) == {}
    elsewhere = router.decide(ask(WORDS), credential="another key").chosen
    assert elsewhere is not None
    assert elsewhere.cached_tokens == 0
    blind = Router(clock=lambda: DAY, observe=False)
    sent(blind, ask(WORDS))
    assert cached(blind, ask(WORDS)) == {}


def test_what_goes_past_the_cache_is_not_expected_there() -> None:
    """A call that is sent without a write to the cache leaves nothing for the next."""
    router = Router(clock=lambda: DAY, policy=Policy(models="gpt-5.6-luna", effort="low", horizon=0))
    decision = router.decide(ask(WORDS))
    assert any(change.parameter == "prompt_cache_options" for change in decision.changes)
    router.begin(decision).settle(Usage(input_tokens=TOKENS, output_tokens=5))
    assert cached(router, ask(WORDS)) == {}


def test_what_was_sent_past_the_cache_and_comes_again_is_written() -> None:
    """After single prompts have gone past the cache, one that comes again is written to it."""
    router = Router(clock=lambda: DAY, policy=Policy(models="gpt-5.6-luna", effort="low"))
    past = []
    for number in range(120):
        decision = sent(router, ask(f"{number} {WORDS}"))
        past.append("prompt_cache_options" in [change.parameter for change in decision.changes])
    assert (past[0], past[-1]) == (False, True)
    again = [sent(router, ask(f"119 {WORDS}")) for _ in range(2)]
    assert not any(change.parameter == "prompt_cache_options" for one in again for change in one.changes)
    assert [one.chosen.cached_tokens > 0 for one in again if one.chosen] == [False, True]


def test_a_decision_keeps_no_text_alive() -> None:
    """Whoever keeps a Decision keeps no text with it, and a report that comes late does nothing."""
    router = Router(clock=lambda: DAY)
    decision = router.decide(ask(WORDS))
    run = router.begin(decision)
    (held,) = map(weakref.ref, router._prefix_cache._order)
    router._prefix_cache, router._decided = PromptPrefixCache(), DecidedRequests()
    gc.collect()
    assert held() is None
    run.settle(Usage(input_tokens=5, output_tokens=1))
    router.begin(decision).settle(Usage(input_tokens=5, output_tokens=1))


def test_what_is_only_decided_is_in_no_cache() -> None:
    """A request is expected in a cache once it is sent; sent once more, it is no other that begins so."""
    router = Router(clock=lambda: DAY)
    decision = router.decide(ask(WORDS))
    assert not router._prefix_cache._order
    runs = [router.begin(decision) for _ in range(2)]
    assert [run.again for run in runs] == [0.0, 0.0]
    assert router.begin(router.decide(ask(WORDS))).again == 1.0


def test_decided_requests_are_bounded() -> None:
    """The oldest leave first, by number and by characters of long ones; each is found by its own facts."""
    table, requests = DecidedRequests(requests=3, characters=45_000), [ask("x" * 20_000) for _ in range(5)]
    for request in requests:
        table.add(request.facts, request, "", is_long=request is not requests[4])
        table.add(request.facts, request, "", is_long=request is not requests[4])
    found = [table.find(request.facts) for request in requests]
    assert [one and len(one.texts) for one in found] == [None, None, 1, 1, 0]
    assert table.find(ask("x").facts) is None


def test_a_decided_request_is_kept_no_longer_than_its_decision() -> None:
    """What nobody can send any more keeps no text alive, and takes no room from others."""
    table, stays = DecidedRequests(characters=45_000), ask("x" * 20_000)
    table.add(stays.facts, stays, "", is_long=True)
    for _ in range(5):
        goes = ask("x" * 20_000)
        table.add(goes.facts, goes, "", is_long=True)
        del goes
        gc.collect()
    assert [one.texts for one in table._requests.values()] == [stays.texts]
    assert table.find(stays.facts) is not None
