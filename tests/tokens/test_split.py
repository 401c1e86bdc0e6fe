"""A text cut at safe places has the tokens of its parts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routed_llm.tokens import split
from routed_llm.tokens.split import LONG_SPACE, cut_long_space, has_long_space, next_cut, parts
from routed_llm.tokens.vocabulary import o200k_encoding

SOUP = [
    *("a", "B", "the", "9", "12345", "é", "\u0301", "ſ", "字", "😀", "\u088f", "\ud800"),
    *(" ", "  ", "\n", "\r\n", "\n\n", "\t", "\u3000", "\x1c", "'s", "'", "!", "/", "_", "<|endoftext|>"),
    *(" the", " A", "\nx", "\n1", "x y", "1 a", "a 1", "\r"),
]


def count(text: str) -> int:
    """Count as tiktoken does."""
    return len(o200k_encoding().encode_ordinary(text))


@given(pieces=st.lists(st.sampled_from(SOUP), max_size=60), size=st.integers(1, 20))
@settings(max_examples=1500, deadline=None)
def test_parts_add_up(pieces: list[str], size: int) -> None:
    """The parts are the whole text, and their tokens add up to its tokens."""
    text = "".join(pieces)
    found = parts(text, size)
    assert "".join(found) == text
    assert sum(map(count, found)) == count(text)


def test_parts_give_the_same_ids() -> None:
    """In 3,000 random texts the very token ids are those of the whole, not only their number."""
    rng = random.Random(5)
    encode = o200k_encoding().encode_ordinary
    cut = 0
    for _ in range(3_000):
        text = "".join(rng.choices(SOUP, k=80))
        found = parts(text, 8)
        cut += len(found) - 1
        assert [token for part in found for token in encode(part)] == encode(text)
    assert cut > 20_000


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        pytest.param("", 4, [], id="empty"),
        pytest.param("one two three", 1, ["one", " two", " three"], id="before a space between words"),
        pytest.param("one 2 three", 1, ["one 2", " three"], id="not before a digit"),
        pytest.param("a  b", 1, ["a  b"], id="not at two spaces"),
        pytest.param("a! b", 1, ["a! b"], id="not after punctuation"),
        pytest.param("a\nb\n\n c\n\n1", 1, ["a\n", "b\n\n c\n\n", "1"], id="after a line feed"),
        pytest.param("é b字 c", 1, ["é b字 c"], id="not beside other letters"),
        pytest.param("aaa bbb ccc", 4, ["aaa bbb", " ccc"], id="at or after the size"),
        pytest.param("abcdef", 2, ["abcdef"], id="no place"),
    ],
)
def test_places(text: str, size: int, expected: list[str]) -> None:
    """Cuts stand only where a piece always ends."""
    assert parts(text, size) == expected


@pytest.mark.parametrize("gap", [4_095, 4_096, 4_097, 12_288, 100_000])
@pytest.mark.parametrize("joint", ["a b", "a\nb"], ids=["space", "line feed"])
def test_place_at_a_window_edge(gap: int, joint: str) -> None:
    """A place is found wherever it stands in the windows that are searched."""
    text = "=" * gap + joint + "=" * 50_000
    assert next_cut(text, 0, 1) == gap + (1 if joint == "a b" else 2)


SHORT = 20


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make runs of 20 blanks long."""
    monkeypatch.setattr(split, "LONG_SPACE", SHORT)


BLANKS = [" " * 19, " " * 20, "\t" * 21, " \u3000\x85" * 9, "\x0b\x0c" * 15, "\x1c" * 25]


@pytest.mark.usefixtures("short")
@given(pieces=st.lists(st.sampled_from(SOUP + BLANKS * 3), max_size=25))
@settings(max_examples=1500, deadline=None)
def test_long_space_adds_up(pieces: list[str]) -> None:
    """The ordinary parts and the pieces of long blanks have together the tokens of the text."""
    text = "".join(pieces)
    ordinary, runs = cut_long_space(text)
    single = o200k_encoding()._encode_single_piece
    assert sum(map(count, ordinary)) + sum(len(single(run)) for run in runs) == count(text)
    assert not runs or has_long_space(text)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param("", "", True, id="whole text"),
        pytest.param("x" * 33_333, "y", True, id="anywhere"),
        pytest.param("x" * 49_999, "y" * 60_000, True, id="in the middle"),
    ],
)
def test_long_space_is_seen(before: str, after: str, expected: bool) -> None:
    """A run of exactly the limit is seen wherever it stands."""
    assert has_long_space(before + " " * LONG_SPACE + after) is expected


def test_ordinary_text_has_no_long_space() -> None:
    """Prose is not searched for long runs."""
    assert not has_long_space("word and word " * 20_000)
