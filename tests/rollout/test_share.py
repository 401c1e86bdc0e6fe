"""Shares are stable and grow without moving anybody back; keys stand for callers or conversations."""

from __future__ import annotations

import subprocess
import sys

import pytest

from routed_llm.rollout.share import in_share, key_of, mark_of

KEYS = [f"user-{number}" for number in range(10_000)]


@pytest.mark.parametrize(
    ("share", "least", "most"), [(0, 0, 0), (0.1, 900, 1100), (0.5, 4850, 5150), (1, 10_000, 10_000)]
)
def test_share_of_many_keys(share: float, least: int, most: int) -> None:
    """About the share of the keys is routed; nobody at 0, everybody at 1."""
    assert least <= sum(in_share(key, share) for key in KEYS) <= most


def test_raising_moves_nobody_back() -> None:
    """Who is routed at a share is routed at every larger one."""
    small = {key for key in KEYS if in_share(key, 0.1)}
    large = {key for key in KEYS if in_share(key, 0.5)}
    assert small < large


def test_same_in_another_process() -> None:
    """Another process with another hash seed routes the same keys."""
    code = (
        "from routed_llm.rollout.share import in_share;"
        "print(','.join(str(n) for n in range(2000) if in_share(f'user-{n}', 0.1)))"
    )
    here = ",".join(str(number) for number in range(2000) if in_share(f"user-{number}", 0.1))
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        )
        assert done.stdout.strip() == here


@pytest.mark.parametrize(
    ("name", "tags", "conversation", "expected"),
    [
        pytest.param("user", {"user": "ann"}, "c1", "user=ann", id="the tag that is named"),
        pytest.param("user", {"team": "x"}, "c1", "conversation=c1", id="without it the conversation"),
        pytest.param(None, {"user": "ann"}, "c1", "conversation=c1", id="no tag named"),
    ],
)
def test_key(name: str | None, tags: dict[str, str], conversation: str | None, expected: str) -> None:
    """The key is the named tag's value, else the conversation's."""
    assert key_of(name, tags=tags, conversation=conversation, texts=("a",)) == expected


def test_key_of_opening_texts() -> None:
    """Without anything named, equal openings have equal keys and others not; the text is not in them."""
    first = key_of(None, tags={}, conversation=None, texts=("You are terse.", "Hello"))
    assert first == key_of(None, tags={}, conversation=None, texts=("You are terse.", "Hello"))
    assert first != key_of(None, tags={}, conversation=None, texts=("You are terse.", "Bye"))
    assert "Hello" not in first
    assert "ann" not in mark_of("user=ann")
