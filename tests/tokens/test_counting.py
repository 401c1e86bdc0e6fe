"""Counting stops as soon as no threshold lies between the bounds, and starts from what is known."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routed_llm.tokens.counting import Counting
from routed_llm.tokens.memo import Memo, Partial
from routed_llm.tokens.split import PART
from routed_llm.tokens.text import TiktokenCounter

if TYPE_CHECKING:
    from collections.abc import Sequence

PROSE = "It's a fine day, isn't it? We walked 12 miles to the café.\n"


class Spy(TiktokenCounter):
    """Counts with tiktoken and notes what it was given, and in which thread."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.threads: list[threading.Thread] = []

    def count(self, texts: Sequence[str]) -> list[int]:
        """Note the texts and count them."""
        self.calls.append(list(texts))
        self.threads.append(threading.current_thread())
        return super().count(texts)

    @property
    def characters(self) -> int:
        """Characters counted so far."""
        return sum(len(text) for call in self.calls for text in call)


@pytest.fixture
def spy() -> Spy:
    """A counter that notes its calls."""
    return Spy()


def truth(texts: Sequence[str]) -> int:
    """Count every text with tiktoken."""
    return sum(TiktokenCounter().count(texts))


def test_short_prompt_is_never_counted(spy: Spy) -> None:
    """A prompt whose bytes fit under the threshold is settled without a counter."""
    counting = Counting([PROSE * 100, "hello"], known=7, memo=Memo(), counter=spy)
    low, high = counting.settle([111_616])
    assert spy.calls == []
    assert low <= truth([PROSE * 100, "hello"]) + 7 <= high <= 111_616


def test_making_one_loads_no_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds need no counter, not even the default one, and no memo, which would hash the text."""

    def refuse(*_: object) -> None:
        raise AssertionError("a counter or the memo was asked")

    monkeypatch.setattr("routed_llm.tokens.counting.default_counter", refuse)
    monkeypatch.setattr(Memo, "get", refuse)
    assert Counting(["hello"], memo=Memo()).settle([5, 1_000]) == (1, 5)


@pytest.mark.parametrize(
    ("bounds", "threshold", "settled"),
    [
        pytest.param((10, 20), 9, True, id="below both: more, surely"),
        pytest.param((10, 20), 10, False, id="equal to low: open"),
        pytest.param((10, 20), 19, False, id="below high: open"),
        pytest.param((10, 20), 20, True, id="equal to high: fits, surely"),
        pytest.param((10, 10), 10, True, id="exact"),
    ],
)
def test_is_settled(bounds: tuple[int, int], threshold: int, settled: bool) -> None:
    """A threshold is open if the count may be at most it and may be more."""
    counting = Counting([])
    counting.low, counting.high = bounds
    assert counting.is_settled([threshold]) is settled


def test_stops_early(spy: Spy) -> None:
    """Far from the threshold only a part of the text is counted."""
    text = PROSE * 10_000
    low, high = Counting([text], memo=Memo(), counter=spy).settle([20_000])
    assert low > 20_000
    assert low <= truth([text]) <= high
    assert PART <= spy.characters < len(text) // 3


def test_largest_unknown_first(spy: Spy) -> None:
    """The text with most uncertainty is counted first; small ones fill what room its last part leaves."""
    texts = ["small " * 10, PROSE * 3_000, "middle " * 100]
    tokens = truth(texts[1:2])
    Counting(texts, memo=Memo(), counter=spy).settle([tokens + 2_000])
    assert spy.calls[0][0][:100] == texts[1][:100]
    assert all("small" not in part for call in spy.calls[:-1] for part in call)
    assert len(spy.calls) > 2


def test_non_ascii_bound_is_tightened_before_counting(spy: Spy) -> None:
    """The UTF-8 length settles what four bytes a character left open."""
    text = "é" * 1_000
    counting = Counting([text], memo=Memo(), counter=spy)
    assert counting.high == 4_000
    assert counting.settle([2_000]) == (8, 2_000)
    assert spy.calls == []


@given(
    sizes=st.lists(st.integers(0, 4_000), max_size=8),
    thresholds=st.lists(st.integers(0, 100_000), max_size=4),
    known=st.integers(0, 1_000),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_bounds_always_hold(sizes: list[int], thresholds: list[int], known: int, seed: int) -> None:
    """Whatever the texts, the bounds hold the true count and no threshold lies between them."""
    rng = random.Random(seed)
    kinds = [PROSE, "字を書く。", "\U0001f600 ", "aGVsbG8", " \n\t", "<|endoftext|>"]
    texts = [rng.choice(kinds) * (size // 3) for size in sizes]
    memo = Memo()
    low, high = Counting(texts, known=known, memo=memo).settle(thresholds)
    tokens = truth(texts) + known
    assert low <= tokens <= high
    assert not any(low <= threshold < high for threshold in thresholds)
    again = Counting(texts, known=known, memo=memo)
    assert again.low <= tokens <= again.high
    assert again.exact() == tokens == again.high
    assert again.is_exact


def test_repeat_is_not_counted_again(spy: Spy) -> None:
    """What was counted once comes from the memo, in equal but distinct strings too."""
    memo = Memo()
    texts = [PROSE * 3_000, "short"]
    first = Counting(texts, memo=memo, counter=spy).exact()
    calls = len(spy.calls)
    copies = ["".join(list(text)) for text in texts]
    again = Counting(copies, memo=memo, counter=spy)
    again.recall()
    assert (again.low, again.high) == (first, first)
    assert again.exact() == first == truth(texts)
    assert len(spy.calls) == calls


def test_partial_count_is_continued(spy: Spy) -> None:
    """A text counted in part is counted on from there."""
    memo = Memo()
    text = PROSE * 10_000
    Counting([text], memo=memo, counter=spy).settle([20_000])
    begun = spy.characters
    assert 0 < begun < len(text)
    again = Counting([text], memo=memo, counter=spy)
    again.recall()
    assert again.low > 20_000
    assert again.uncounted == len(text) - begun
    assert again.exact() == truth([text])
    assert spy.characters == len(text)


def test_uncounted_agrees_with_the_bounds(spy: Spy) -> None:
    """While the bounds do not use what the memo knows, its texts count as uncounted."""
    memo = Memo()
    Counting([PROSE], memo=memo, counter=spy).exact()
    again = Counting([PROSE], memo=memo, counter=spy)
    assert again.settle([1_000]) == (1, 4 * len(PROSE))
    assert again.uncounted == len(PROSE)
    again.recall()
    assert again.low == again.high == truth([PROSE])
    assert again.uncounted == 0


def test_likely(spy: Spy) -> None:
    """The guess lies between the bounds, improves with counting, and ends at the count."""
    texts = [PROSE * 10_000, "字を書く。" * 500]
    tokens = truth(texts)
    counting = Counting(texts, known=5, memo=Memo(), counter=spy)
    assert abs(counting.likely / tokens - 1) < 0.25
    counting.settle([tokens // 4])
    assert counting.low < counting.likely < counting.high
    assert abs(counting.likely / tokens - 1) < 0.05
    assert counting.exact() == tokens + 5 == counting.likely


def test_add(spy: Spy) -> None:
    """Texts and tokens added later count with the others."""
    counting = Counting(["hello world"], known=3, memo=Memo(), counter=spy)
    counting.add(["hello world", ""], known=4)
    assert counting.exact() == 3 + 2 + 4 + 2


def test_many_small_texts_go_in_one_call(spy: Spy) -> None:
    """Small texts are counted together, because a call of the counter costs more than they do."""
    texts = [f"message number {at}" for at in range(1_000)]
    assert Counting(texts, memo=Memo(), counter=spy).exact() == truth(texts)
    assert len(spy.calls) == 1


def test_text_without_safe_places_is_counted_whole(spy: Spy) -> None:
    """Unbroken text is one part, however long."""
    text = "aGVsbG8=" * 30_000
    assert Counting([text], memo=Memo(), counter=spy).exact() == truth([text])
    assert [len(call[0]) for call in spy.calls] == [len(text)]


def test_threads_share_a_memo() -> None:
    """Threads that count overlapping texts with one memo all get the true count."""
    memo = Memo(limit=50)
    texts = [f"{at} " + PROSE * (at * 20) for at in range(80)]
    expected = truth(texts)
    found: list[int] = []

    def run(seed: int) -> None:
        shuffled = random.Random(seed).sample(texts, len(texts))
        counting = Counting(shuffled, memo=memo)
        counting.settle([expected // 2])
        found.append(counting.exact())

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 6
    assert len(memo) <= 50


def test_memo_is_bounded_and_drops_the_oldest() -> None:
    """A full memo forgets what came first."""
    memo = Memo(limit=3)
    for text in "abcd":
        memo.put(text, Partial(1, 1, 0))
    assert len(memo) == 3
    assert memo.get("a") is None
    assert memo.get("d") == (1, 1, 0)
    memo.clear()
    assert len(memo) == 0


def test_memo_never_goes_back() -> None:
    """What another thread counted further is kept."""
    memo = Memo()
    memo.put("text", Partial(2, 4, 0))
    memo.put("text", Partial(1, 2, 2))
    assert memo.get("text") == (2, 4, 0)


def test_memo_keeps_no_text_alive() -> None:
    """Keys are a hash and a length."""
    memo = Memo()
    memo.put("text", Partial(1, 4, 0))
    assert list(memo._entries) == [(hash("text"), 4)]
