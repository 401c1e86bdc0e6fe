"""What an LLM works out once from its own fields: its router, its policy with its baseline, its window."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from llama_index.core.constants import DEFAULT_NUM_OUTPUTS

from routed_llm import Catalog, Policy, Router, fingerprint
from routed_llm.calls.adapting import policy_from, shared_router
from routed_llm.calls.window import largest, workhorse

__all__ = ["OwnRouter"]

_OPENAI = "https://api.openai.com/v1"


class OwnRouter:
    """What was worked out last, with what it was worked out from; a copy or a pickle of it starts empty."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._router: tuple[Catalog | None, Router] | None = None
        self._policy: tuple[Policy, str, Policy] | None = None
        self._window: tuple[tuple[Any, ...], int] | None = None
        self._whose: tuple[tuple[Any, ...], str] | None = None

    def __reduce__(self) -> tuple[type[OwnRouter], tuple[()]]:
        return (OwnRouter, ())

    def get(self, catalog: Catalog | None) -> Router:
        """Return the router of a catalog, or of the packaged one."""
        with self._lock:
            if self._router is None or self._router[0] is not catalog:
                self._router = (catalog, shared_router(catalog))
            return self._router[1]

    def policy(self, policy: Policy, baseline: str) -> Policy:
        """Return a policy with this baseline."""
        with self._lock:
            known = self._policy
            if known is None or known[0] is not policy or known[1] != baseline:
                # One that was assigned later has not been read by the constructor.
                known = self._policy = (
                    policy,
                    baseline,
                    (policy_from(policy) or policy).replace(baseline=baseline),
                )
            return known[2]

    def credential(self, key: str | None, base: str | None, *clients: Any) -> str:
        """Return a name for whose calls these are: the key and address of a client, or of the fields."""
        parts = (key, base, *clients)
        known = self._whose
        if known is None or any(mine is not theirs for mine, theirs in zip(known[0], parts, strict=True)):
            client = next((client for client in clients if client is not None), None)
            at = base if client is None else client.base_url
            used = key if client is None else client.api_key
            known = self._whose = (parts, fingerprint(used, str(at).rstrip("/")))
        return known[1]

    def address(self, base: str | None, *clients: Any) -> str:
        """Return the address that the LLM's own client calls."""
        client = next((client for client in clients if client is not None), None)
        return str(getattr(client, "base_url", None) or base or _OPENAI)

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
