"""The provider's count of a prefix is found again in the next call of the conversation."""

from __future__ import annotations

import threading

import pytest

from routed_llm.tokens.prefix import Prefixes, prefix_keys

TALK = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]


def test_longest_known_prefix() -> None:
    """What was reported for the first two messages, and then for three, serves for four."""
    prefixes = Prefixes()
    keys = prefix_keys("model", TALK)
    assert prefixes.known_prefix(keys) == (0, 0)
    prefixes.remember(keys[1], 20)
    assert prefixes.known_prefix(keys) == (2, 20)
    prefixes.remember(keys[2], 31)
    assert prefixes.known_prefix(keys) == (3, 31)
    assert prefixes.known_prefix(keys[:1]) == (0, 0)


def test_keys_of_equal_prefixes_are_equal() -> None:
    """A longer conversation begins with the keys of the shorter one."""
    assert prefix_keys("model", TALK)[:2] == prefix_keys("model", TALK[:2])
    assert prefix_keys("model", []) == []


@pytest.mark.parametrize(
    ("seed", "talk"),
    [
        pytest.param("other", TALK, id="another model"),
        pytest.param("model", [("system", "Be long."), *TALK[1:]], id="another beginning"),
        pytest.param("model", [TALK[1], TALK[0], *TALK[2:]], id="another order"),
        pytest.param("model", [("user", "Be brief."), *TALK[1:]], id="another role"),
    ],
)
def test_keys_depend_on_everything_before(seed: str, talk: list[tuple[str, str]]) -> None:
    """A difference anywhere before changes the key."""
    assert prefix_keys(seed, talk)[-1] != prefix_keys("model", TALK)[-1]


def test_newest_report_counts() -> None:
    """A second report of the same prefix replaces the first."""
    prefixes = Prefixes()
    prefixes.remember(1, 20)
    prefixes.remember(1, 21)
    assert prefixes.known_prefix([1]) == (1, 21)
    prefixes.clear()
    assert len(prefixes) == 0


@pytest.mark.parametrize("tokens", [0, -5])
def test_no_report(tokens: int) -> None:
    """A count that no provider reports is refused."""
    with pytest.raises(ValueError, match="cannot have reported") as caught:
        Prefixes().remember(1, tokens)
    assert str(caught.value) == (
        f"A provider cannot have reported {tokens} tokens. Pass the usage of a call."
    )


def test_bounded_in_threads() -> None:
    """Many threads that remember keep the table within its limit."""
    prefixes = Prefixes(limit=100)

    def run(start: int) -> None:
        for key in range(start, start + 1_000):
            prefixes.remember(key, 1)

    threads = [threading.Thread(target=run, args=(at * 1_000,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(prefixes) == 100
