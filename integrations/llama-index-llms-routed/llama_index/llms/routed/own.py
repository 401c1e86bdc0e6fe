"""What an LLM works out once from its own fields: its router, its policy with its baseline, its window."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from llama_index.core.constants import DEFAULT_NUM_OUTPUTS

from routed_llm import Catalog, Policy, Router
from routed_llm.calls.adapting import OwnOptions, shared_router
from routed_llm.calls.window import largest, workhorse

__all__ = ["OwnRouter"]


class OwnRouter:
    """What was worked out last, with what it was worked out from; a copy or a pickle of it starts empty."""

    def __init__(self) -> None:
        self.options = OwnOptions()
        self._lock = Lock()
        self._router: tuple[Catalog | None, Router] | None = None
        self._window: tuple[tuple[Any, ...], int] | None = None

    def __reduce__(self) -> tuple[type[OwnRouter], tuple[()]]:
        return (OwnRouter, ())

    def get(self, catalog: Catalog | None) -> Router:
        """Return the router of a catalog, or of the packaged one."""
        with self._lock:
            if self._router is None or self._router[0] is not catalog:
                self._router = (catalog, shared_router(catalog))
            return self._router[1]

    def window(self, router: Router, policy: Policy, given: Mapping[str, Any], wanted: str | None) -> int:
        """Return the window to advertise.

        It is worked out once and stays: LlamaIndex reads it when a query engine is built, so one that
        moved would split the engines of a program.
        """
        key = (router, policy, given.get("max_tokens"), wanted)
        with self._lock:
            known = self._window
        if known is not None and known[0] == key:
            return known[1]
        work_out = largest if wanted == "largest" else workhorse
        value = work_out(router, policy, dict(given), DEFAULT_NUM_OUTPUTS)
        with self._lock:
            self._window = (key, value)
        return value
