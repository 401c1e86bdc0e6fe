"""Who a call is for, said once around the code that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

from routed_llm.budget import budgets_from
from routed_llm.errors import PolicyError

if TYPE_CHECKING:
    from routed_llm.budget import Budget

__all__ = ["CURRENT", "Scope", "merge", "scoped", "tags_from"]


class Scope(NamedTuple):
    """Who a call is for.

    Attributes:
        tags: such as (("team", "search"), ("user", "ann")), sorted.
        conversation: the caller's key of the conversation, or None.
        budgets: budgets for these calls, besides the router's own.
    """

    tags: tuple[tuple[str, str], ...] = ()
    conversation: str | None = None
    budgets: tuple[Budget, ...] = ()


CURRENT: Final[ContextVar[Scope | None]] = ContextVar("routed_llm_scope", default=None)


@contextmanager
def scoped(
    *,
    conversation: str | None = None,
    budget: Budget | Iterable[Budget] | None = None,
    **tags: str,
) -> Iterator[Scope]:
    """Tag every call that is decided inside the ``with`` block.

    Blocks nest: an inner one adds to the outer one and wins where both set the same tag. Tasks and
    threads that copy the context (asyncio, LangChain's executors) inherit it.

    Args:
        conversation: the caller's key of the conversation.
        budget: budgets for these calls, besides the router's own.
        tags: such as ``user="ann", team="search"``.

    Raises:
        PolicyError: when a tag is not a string.
    """
    outer = CURRENT.get()
    made = merge(outer, tags, conversation, budget)
    CURRENT.set(made)
    try:
        yield made
    finally:
        # No token: the block may hold a `yield` and be left in another context, which is not ours to change.
        if CURRENT.get() is made:
            CURRENT.set(outer)


def merge(
    outer: Scope | None,
    scope: Mapping[str, str] | str | None,
    conversation: str | None,
    budget: Budget | Iterable[Budget] | None,
) -> Scope:
    """Lay what is said of one call over what holds around it.

    Raises:
        PolicyError: when the scope is not made of named strings, or another value is wrong.
    """
    base = outer or Scope()
    tags = base.tags
    if scope:
        tags = tuple(sorted({**dict(base.tags), **tags_from(scope)}.items()))
    if conversation is None:
        conversation = base.conversation
    elif conversation != "" and not _is_text(conversation):
        raise PolicyError(
            f"conversation={conversation!r} is not a text. Give the key under which your program keeps the "
            "conversation, as a string.",
            key="conversation",
        )
    return Scope(tags, conversation, base.budgets + budgets_from(budget))


def _is_text(value: object) -> bool:
    """Say whether a value is a text that every ledger can keep: lone surrogates are none."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def tags_from(scope: object) -> dict[str, str]:
    """Read tags: a mapping, or a text such as ``team=search,user=ann``.

    Raises:
        PolicyError: when it is not made of named strings.
    """
    if isinstance(scope, str):
        items = [part.partition("=")[::2] for part in scope.split(",")]
    elif isinstance(scope, Mapping):
        items = list(scope.items())
    else:
        items = [("", "")]
    for name, value in items:
        if not (_is_text(name) and _is_text(value)):
            raise PolicyError(
                f"scope={scope!r} does not say whom the call is for. Give tags such as "
                "{'team': 'search', 'user': 'ann'} or 'team=search,user=ann'.",
                key="scope",
            )
    return {name.strip(): value.strip() for name, value in items}
