"""Counters agree with tiktoken on every text, and never crash or undercount."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routed_llm.tokens import text as module
from routed_llm.tokens.text import (
    GOLDEN,
    TiktokenCounter,
    ToktokCounter,
    bounds,
    default_counter,
    estimates_of,
    is_warm,
    likely,
    passes_self_test,
    utf8_length,
    warm_up,
)
from routed_llm.tokens.vocabulary import VocabularyError, o200k_encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from routed_llm.tokens.text import TextCounter

MEGABYTE = 1_000_000
COUNTERS = [pytest.param(TiktokenCounter(), id="tiktoken"), pytest.param(ToktokCounter(), id="toktok")]

CODE = (
    "def f(self, x: int = 0) -> str:\n    return f'{x:>10}' if x else \"\"  # it's\n\n\tfor(;;){a[i]+=1;}\r\n"
)
PROSE = "It's 12,345 o'clock; they'VE gone to the café, haven't they? \u201cNo,\u201d I SAID. "
PIECES = [
    *" \t\n\r\v\f\x1c\x85\xa0\u2003\u2028\u3000",
    *("'s", "'S", "'\u017f", "'re", "'LL", "\u017f", "\u212a", "\u0130", "/", "//", "\r\n"),
    *("<|endoftext|>", "<|endofprompt|>", "<|im_start|>", "<|", "|>"),
    *("a", "Z", "the", " the", "Hello", "123", "0", "\u0663", "e\u0301", "\u01c5", "\u02b0"),
    *("\u0915\u094d\u0937", "\u4eca\u65e5", "\u0e2a\u0e27", "\u05e9", "\U0001f600", "\u200d", "\ufeff"),
    *(
        "\u088f",
        "\u1acf",
        "\ua7ce",
        "\U00010940",
        "\U000323b0",
        "\U0001e6c0",
        "\U00020000",
        "\ud800",
        "\udc00",
    ),
    *("_", "-", "=", "!!", "...", '"', "{}", "\x00", "\x7f"),
]


def reference(text: str) -> int:
    """Count as tiktoken does."""
    return len(o200k_encoding().encode_ordinary(text))


def any_plane(rng: random.Random) -> str:
    """Return one character of any plane, surrogates among them."""
    return chr(
        rng.choice((0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x40000, 0x110000)) - 1 - rng.randrange(0x80)
    )


GENERATORS: list[Callable[[random.Random], str]] = [
    lambda rng: "".join(rng.choices(PIECES, k=rng.randrange(1, 30))),
    lambda rng: "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(1, 40))),
    lambda rng: "".join(chr(rng.randrange(0x3000)) for _ in range(rng.randrange(1, 60))),
    lambda rng: "".join(any_plane(rng) for _ in range(rng.randrange(1, 40))),
    lambda rng: "".join(rng.choices(" \t\n\r\u3000\xa0ab/!", k=rng.randrange(1, 60))),
    lambda rng: "".join(chr(rng.randrange(0x4E00, 0xA000)) for _ in range(rng.randrange(1, 80))),
    lambda rng: "".join(chr(rng.randrange(0x1F300, 0x1FAFF)) for _ in range(rng.randrange(1, 30))),
    lambda rng: "".join(rng.choices("ABCDEFabcdef0123456789+/=", k=rng.randrange(1, 300))),
    lambda rng: (CODE * 3)[rng.randrange(80) : rng.randrange(81, 300)] + rng.choice(PIECES),
    lambda rng: (PROSE * 3)[rng.randrange(60) : rng.randrange(61, 250)] + rng.choice(PIECES),
    lambda rng: rng.choice(PIECES) * rng.randrange(1, 200),
]


def fuzz(count: int, seed: int) -> list[str]:
    """Return texts of every generator in turn."""
    rng = random.Random(seed)
    return [GENERATORS[at % len(GENERATORS)](rng) for at in range(count)]


@pytest.mark.parametrize("counter", COUNTERS)
def test_equals_tiktoken_on_fuzz(counter: TextCounter) -> None:
    """20,000 texts of all kinds, special literals and lone surrogates among them, count as in tiktoken."""
    texts = fuzz(20_000, seed=7)
    expected = [reference(text) for text in texts]
    counts = counter.count(texts)
    wrong = [(text, a, b) for text, a, b in zip(texts, counts, expected, strict=True) if a != b]
    assert wrong == []


@pytest.mark.parametrize("counter", COUNTERS)
@given(text=st.text(st.characters(exclude_categories=()), max_size=200))
@settings(max_examples=500, deadline=None)
def test_equals_tiktoken_on_any_text(counter: TextCounter, text: str) -> None:
    """Any string at all counts as in tiktoken and lies within its bounds."""
    tokens = reference(text)
    low, high = bounds(text)
    assert counter.count([text]) == [tokens]
    assert low <= tokens <= utf8_length(text) <= high


def test_toktok_equals_tiktoken_on_every_code_point() -> None:
    """No code point, alone or beside letters, marks and punctuation, counts differently with toktok."""
    points = [*range(0x80, 0xD800), *range(0xE000, 0x34000), *range(0xE0000, 0xE0200)]
    for template in ("{}", "a{0}A{0}b {0}", "!!{0}\n1{0}"):
        texts = [template.format(chr(point)) for point in points]
        counts = ToktokCounter().count(texts)
        wrong = [point for point, text, n in zip(points, texts, counts, strict=True) if n != reference(text)]
        assert wrong == []


def rng_text(alphabet: str, length: int = MEGABYTE) -> str:
    """Return random characters of an alphabet."""
    return "".join(random.Random(3).choices(alphabet, k=length))


CJK = "".join(map(chr, range(0x4E00, 0x6000)))
LETTERS = "abcdefghijklmnopqrstuvwxyz"

PATHOLOGICAL = {
    "a run": ("a" * MEGABYTE, 125_000),
    "A run": ("A" * MEGABYTE, 125_000),
    "spaces": (" " * MEGABYTE, 7_813),
    "spaces then a word": (" " * MEGABYTE + "x", 7_814),
    "spaces then a digit": (" " * MEGABYTE + "1", 7_815),
    "spaces then a line feed": (" " * MEGABYTE + "\n", None),
    "spaces between lines": (("x!\n" + " " * 60_000 + "y") * 16, None),
    "tabs": ("\t" * MEGABYTE, None),
    "newlines": ("\n" * MEGABYTE, 62_500),
    "newlines after punctuation": ("!" + "\n" * MEGABYTE, 62_502),
    "equals signs": ("=" * MEGABYTE, 15_625),
    "random letters": (rng_text(LETTERS), None),
    "base64": (rng_text(LETTERS + LETTERS.upper() + "0123456789+/"), None),
    "random CJK": (rng_text(CJK, MEGABYTE // 3), None),
    "emoji run": ("\U0001f600" * (MEGABYTE // 4), None),
    "U+3000 run": ("\u3000" * (MEGABYTE // 3), None),
    "U+3000 a million times": ("\u3000" * MEGABYTE, 62_500),
    "combining marks": ("\u0301" * (MEGABYTE // 2), None),
    "control characters": ("\x01" * MEGABYTE, None),
    "digits": ("1" * MEGABYTE, 333_334),
    "apostrophes": ("'" * MEGABYTE, 250_000),
    "lone surrogates": ("\ud800" * (MEGABYTE // 3), None),
    "special literals": ("<|endoftext|>" * (MEGABYTE // 13), None),
}


@pytest.mark.parametrize(("text", "expected"), PATHOLOGICAL.values(), ids=PATHOLOGICAL.keys())
def test_pathological_megabyte(text: str, expected: int | None) -> None:
    """A megabyte of the worst kinds is counted alike by both counters, within the bounds, without a crash."""
    tokens = TiktokenCounter().count([text])[0]
    assert ToktokCounter().count([text]) == [tokens]
    assert bounds(text)[0] <= tokens <= utf8_length(text)
    if expected is not None:
        assert tokens == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", (0, 0), id="empty"),
        pytest.param("a", (1, 1), id="one byte"),
        pytest.param("a" * 129, (2, 129), id="ascii"),
        pytest.param("é" * 10, (1, 40), id="not ascii"),
    ],
)
def test_bounds(text: str, expected: tuple[int, int]) -> None:
    """Bounds are a 128th of the length, and the length or four times it."""
    assert bounds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("abc", 3, id="ascii"),
        pytest.param("é\u20ac\U0001f600", 9, id="two, three and four bytes"),
        pytest.param("\ud800", 3, id="lone surrogate"),
    ],
)
def test_utf8_length(text: str, expected: int) -> None:
    """The UTF-8 length counts a lone surrogate as its replacement."""
    assert utf8_length(text) == expected


@pytest.mark.parametrize(
    ("text", "within"),
    [
        pytest.param(PROSE * 200, 0.35, id="prose"),
        pytest.param(CODE * 200, 0.5, id="code"),
        pytest.param("Съешь же ещё этих мягких французских булок. " * 200, 0.6, id="Russian"),
        pytest.param("今日は良い天気ですね。散歩に行きましょう。" * 200, 0.35, id="Japanese"),
        pytest.param("Grüße", 1.5, id="short"),
    ],
)
def test_likely(text: str, within: float) -> None:
    """The estimate is of the right size, and lies within the bounds."""
    low, high = bounds(text)
    tokens = reference(text)
    assert low <= likely(text) <= high
    assert abs(likely(text) / tokens - 1) <= within


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([], id="none"),
        pytest.param(["", "a"], id="empty"),
        pytest.param(["a b c", "x" * 130], id="short ASCII"),
        pytest.param(["Grüße", "a b c"], id="short, one not ASCII"),
        pytest.param(["{1: 2}" * 600, "a"], id="one long"),
    ],
)
def test_estimates_of_several(texts: list[str]) -> None:
    """Several texts are estimated at the sum of each, within their bounds."""
    low, high = (sum(part) for part in zip((0, 0), *map(bounds, texts), strict=True))
    assert estimates_of(texts) == (low, min(max(sum(map(likely, texts)), low), high), high)


def test_likely_of_nothing() -> None:
    """No text, no tokens."""
    assert likely("") == 0


@pytest.mark.parametrize("counter", COUNTERS)
def test_golden_counts(counter: TextCounter) -> None:
    """Both counters pass the self-test."""
    assert passes_self_test(counter)


@pytest.mark.parametrize("counter", COUNTERS)
def test_count_of_nothing(counter: TextCounter) -> None:
    """No texts give no counts."""
    assert counter.count([]) == []


@pytest.mark.parametrize("counter", COUNTERS)
def test_threads(counter: TextCounter) -> None:
    """Six threads that count the same texts get the same counts."""
    texts = fuzz(400, seed=11)
    expected = [reference(text) for text in texts]
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(counter.count(texts))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 6


class Panic(BaseException):
    """Stands in for the exception of a Rust panic, which cannot be made from Python."""


Panic.__name__ = "PanicException"


class Panicking:
    """An encoding that panics."""

    def encode_ordinary(self, text: str) -> list[int]:
        """Panic."""
        raise Panic("StackOverflow")


def test_tiktoken_panic_gives_the_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """When tiktoken panics, which no `except Exception` sees, the count is the UTF-8 length."""
    monkeypatch.setattr(module, "o200k_encoding", Panicking)
    assert TiktokenCounter().count(["héllo"]) == [6]


def test_toktok_panic_falls_back_to_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """When toktok panics, tiktoken counts."""

    def panic(*_: object, **__: object) -> list[int]:
        raise Panic

    counter = ToktokCounter()
    monkeypatch.setattr(counter, "_batch_count", panic)
    assert counter.count(["hello world", "caf\xe9"]) == [2, 2]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError], ids=["interrupt", "memory"])
def test_other_errors_pass(monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    """Nothing but a panic is swallowed."""

    def fail(*_: object, **__: object) -> list[int]:
        raise error

    counter = ToktokCounter()
    monkeypatch.setattr(counter, "_batch_count", fail)
    with pytest.raises(error):
        counter.count(["hello"])


class Wrong:
    """A counter that is always wrong."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return one for every text."""
        return [1] * len(texts)


def missing() -> TextCounter:
    """Behave as if toktok were not installed."""
    raise ImportError


@pytest.mark.parametrize(
    ("fast", "expected"),
    [
        pytest.param(ToktokCounter, ToktokCounter, id="installed"),
        pytest.param(missing, TiktokenCounter, id="not installed"),
        pytest.param(Wrong, TiktokenCounter, id="wrong"),
    ],
)
def test_default_counter(
    monkeypatch: pytest.MonkeyPatch, fast: Callable[[], TextCounter], expected: type[TextCounter]
) -> None:
    """The fast counter is used if it is installed and right, else tiktoken; the choice is made once."""
    monkeypatch.setattr(module, "_default", None)
    monkeypatch.setattr(module, "ToktokCounter", fast)
    assert not is_warm()
    warm_up()
    assert is_warm()
    assert type(default_counter()) is expected
    assert default_counter() is default_counter()


def test_no_counter_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiktoken that counts wrongly is refused, and the message says what to install."""
    monkeypatch.setattr(module, "_default", None)
    monkeypatch.setattr(module, "ToktokCounter", missing)
    monkeypatch.setattr(module, "TiktokenCounter", Wrong)
    with pytest.raises(VocabularyError) as caught:
        default_counter()
    assert str(caught.value) == (
        "tiktoken does not give the known token counts of o200k_base. Install tiktoken>=0.13."
    )


def test_default_counter_chosen_once_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that ask at the same time cause one choice."""
    choices: list[int] = []

    def choose() -> TextCounter:
        choices.append(1)
        time.sleep(0.01)
        return TiktokenCounter()

    monkeypatch.setattr(module, "_default", None)
    monkeypatch.setattr(module, "_choose", choose)
    threads = [threading.Thread(target=default_counter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert choices == [1]


def test_golden_texts_cover_more_than_ascii() -> None:
    """The self-test holds texts of all kinds that the fast counter could get wrong."""
    assert len(GOLDEN) >= 10
    assert any(not text.isascii() for text, _ in GOLDEN)
    assert any("<|endoftext|>" in text for text, _ in GOLDEN)


ESTIMATED = {
    "prose": ("The quick brown fox jumps over the lazy dog. " * 200, 0.15),
    "a table": (
        "".join(
            f"{n},{n * 7919 % 1000:.2f},2026-11-{n % 28 + 1:02d},{n * 104729 % 10**6}\n" for n in range(400)
        ),
        0.25,
    ),
    "minified JSON": (
        "".join(f'{{"id":{n},"price":{n * 7.13 % 100:.2f},"ok":true}},' for n in range(400)),
        0.25,
    ),
    "numbers": (" ".join(str(n * 7919 % 10**9) for n in range(1_000)), 0.3),
    "a log": (
        "".join(
            f"2026-11-28T12:{n % 60:02d}:07.{n % 1000:03d}Z INFO [w-{n % 9}] took {n} ms\n"
            for n in range(300)
        ),
        0.3,
    ),
}


@pytest.mark.parametrize(("text", "off"), ESTIMATED.values(), ids=ESTIMATED)
def test_estimates_of_long_texts(text: str, off: float) -> None:
    """Digits and punctuation come few to a token, and the estimate of a long text knows."""
    count = TiktokenCounter().count([text])[0]
    assert abs(likely(text) / count - 1) < off
    assert estimates_of([text, "a b c d"])[1] == likely(text) + 2
