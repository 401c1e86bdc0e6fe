"""A block of `scoped` may hold a `yield`, and then be left in another context than it was entered in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context

from routed_llm import scoped
from routed_llm.ledger.scoped import CURRENT


def tagged() -> Iterator[int]:
    """Yield inside a block, as a dependency of a web framework does."""
    with scoped(team="search"):
        yield 1
        yield 2


def test_a_generator_is_left_in_another_context() -> None:
    """Frameworks run each step of a generator in a context of its own."""
    generator = tagged()
    assert copy_context().run(next, generator) == 1
    copy_context().run(generator.close)
    assert CURRENT.get() is None


def test_an_asynchronous_generator_is_closed_by_another_task() -> None:
    """Whoever closes it keeps what holds for it."""

    async def tagged_too() -> AsyncIterator[int]:
        with scoped(team="search"):
            yield 1
            yield 2

    async def leave() -> None:
        generator = tagged_too()
        await asyncio.create_task(anext(generator))  # type: ignore[arg-type]
        with scoped(team="other") as mine:
            await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
            assert CURRENT.get() is mine
        assert CURRENT.get() is None

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave())
    loop.close()


def test_blocks_nest_and_end() -> None:
    """Inside one another, each leaves what held before."""
    with scoped(team="search") as outer:
        with scoped(user="ann"):
            assert dict(CURRENT.get().tags) == {"team": "search", "user": "ann"}  # type: ignore[union-attr]
        assert CURRENT.get() is outer
    assert CURRENT.get() is None
