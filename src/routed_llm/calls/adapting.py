"""What adapters share of a model's settings and around a call; the SDK itself is theirs to import."""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from pydantic import SecretStr

from routed_llm.budget import budgets_from
from routed_llm.calls.options import CallOptions
from routed_llm.calls.router import Router
from routed_llm.errors import PolicyError
from routed_llm.ledger import MemoryLedger
from routed_llm.policy import Policy
from routed_llm.recovery import fingerprint
from routed_llm.request.wire import count_body

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog

__all__ = [
    "SECONDS",
    "OwnOptions",
    "acounted",
    "counted",
    "forget_shared",
    "own_books",
    "paused_collector",
    "pickled",
    "policy_from",
    "shared_router",
    "travels",
    "written",
]

SECONDS: Final = 5.0
"""Longest wait for a count: a request is decided without it rather than late."""


@contextmanager
def paused_collector() -> Iterator[None]:
    """Stop the garbage collector for a block of imports and leave it as it was.

    An import allocates hundreds of thousands of objects that all stay, so that every collection that falls
    into it looks for garbage where there is none: a tenth of the time. One afterwards does for all of them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


_LOCK: Final = Lock()
_DEFAULT: list[Router] = []
_SHARED: WeakValueDictionary[int, Router] = WeakValueDictionary()


def shared_router(catalog: Catalog | None = None) -> Router:
    """Return the router that models without one of their own share, so that they learn together.

    Args:
        catalog: the models there are; the packaged ones when left out. The router of another catalog lives
            as long as a model has it.
    """
    with _LOCK:
        if catalog is None:
            _DEFAULT[:] = _DEFAULT or [Router()]
            return _DEFAULT[0]
        # A router keeps its catalog alive, so that nothing else has the id meanwhile.
        found = _SHARED.get(id(catalog))
        if found is None:
            found = _SHARED[id(catalog)] = Router(catalog=catalog)
        return found


def forget_shared() -> None:
    """Let the next model without a router of its own make a new one."""
    with _LOCK:
        _DEFAULT.clear()
        _SHARED.clear()


def own_books(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields to set for what a constructor is given: budgets, as they are read, and the books.

    The router becomes a field of the model, so that its copies draw on the same money. Nothing is to be set
    where there is neither ``budget`` nor ``ledger`` nor ``on_budget``.

    Raises:
        PolicyError: for a wrong budget, or a ledger beside a router that has another.
    """
    names = ("router", "catalog", "ledger", "on_budget")
    router, catalog, ledger, on_budget = (given.get(name) for name in names)
    budgets = given.get("budget")
    if budgets is None and ledger is None and on_budget is None:
        return {}
    # Calls with the same key fail together, whoever pays for them.
    cooldowns = shared_router(catalog).cooldowns
    router = Router.keeping(router, catalog=catalog, ledger=ledger, on_budget=on_budget, cooldowns=cooldowns)
    found: dict[str, Any] = {"router": router, "budget": budgets_from(budgets) or None}
    return found if ledger is None else {**found, "ledger": router.ledger}


class OwnOptions:
    """What holds for every call of a model, worked out again when what it is made from has changed.

    A copy or a pickle of it starts empty.
    """

    def __init__(self) -> None:
        self._kept: tuple[tuple[Any, ...], CallOptions] | None = None

    def __reduce__(self) -> tuple[type[OwnOptions], tuple[()]]:
        return (OwnOptions, ())

    def of(self, policy: Any, baseline: str, budget: Any, own: Any, *whose: Any) -> CallOptions:
        """Return the options.

        Args:
            policy: what is wanted, as :func:`policy_from` takes it.
            baseline: the model that the program was written for.
            budget: what may be spent.
            own: the address that the caller's key is for, if there is one.
            whose: the key, its address, ...: what is refused to one key may be had with another.
        """
        budgets = budgets_from(budget) if budget else ()
        made_from, kept = (policy, baseline, budgets, own, *whose), self._kept
        if kept is None or kept[0] != made_from:
            found = (policy_from(policy) or Policy()).replace(baseline=baseline)
            parts = [one.get_secret_value() if isinstance(one, SecretStr) else one for one in whose]
            address = None if own is None else str(own)
            made = CallOptions(policy=found, budgets=budgets, credential=fingerprint(*parts), own=address)
            kept = self._kept = made_from, made
        return kept[1]


def policy_from(value: Any) -> Policy | None:
    """Make a policy of what a caller may give: a Policy, its keywords, or the path of a TOML file.

    Raises:
        PolicyError: when it is none of these, or wrong in itself.
    """
    if value is None or isinstance(value, Policy):
        return value
    if isinstance(value, Mapping):
        return Policy(**value)
    if isinstance(value, (str, bytes, os.PathLike)):
        return Policy.from_toml(os.fsdecode(value))
    raise PolicyError(
        f"policy is a {type(value).__name__}. "
        "Give a Policy, a dict of its keywords, or the path of a TOML file."
    )


def written(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a policy or a budget as JSON-able data: amounts of money are strings there."""
    return {name: str(one) if isinstance(one, Decimal) else one for name, one in keywords.items()}


def travels(router: Router | None) -> None:
    """Ask whether the books of a router can travel with a pickle.

    Raises:
        PolicyError: when they are in the memory of this process.
    """
    if router is not None and isinstance(router.ledger, MemoryLedger):
        raise PolicyError(
            "The budget's book is in the memory of this process and cannot travel with a pickle, "
            "whose calls it would no longer count. Keep it in a file or on a server: "
            "ledger='calls.db', or a redis:// URL.",
            key="ledger",
        )


def pickled(fields: Mapping[str, Any], advice: Callable[[str], str | None]) -> dict[str, Any]:
    """Return those of a model's fields that travel with a pickle.

    Args:
        fields: the fields.
        advice: says of one that cannot travel what to do, or None where the model is as good without it.

    Raises:
        PolicyError: when one cannot travel, and the model is not as good without it.
    """
    kept = {}
    for name, value in fields.items():
        try:
            pickle.dumps(value)
        except Exception as error:  # which a class of a program's own may raise as it likes
            what = advice(name)
            if what is not None:
                said = f"{name} cannot travel with a pickle ({error}). {what}"
                raise PolicyError(said, key=name) from error
        else:
            kept[name] = value
    return kept


def counted(client: Any, asked: Mapping[str, Any], model: str) -> int:
    """Return a request's input tokens as OpenAI's counting endpoint counts them for a model.

    Args:
        client: the SDK's client that would send the request.
        asked: the request, in the form of either endpoint.
        model: the name of the model.
    """
    quick = client.with_options(timeout=SECONDS, max_retries=0)
    return int(quick.responses.input_tokens.count(**count_body(asked, model)).input_tokens)


async def acounted(client: Any, asked: Mapping[str, Any], model: str) -> int:
    """Do what :func:`counted` does, without holding the event loop."""
    quick = client.with_options(timeout=SECONDS, max_retries=0)
    return int((await quick.responses.input_tokens.count(**count_body(asked, model))).input_tokens)
