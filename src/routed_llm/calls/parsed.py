"""A call that was read: how adapters have it decided, and what the driver needs of it besides their seam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from routed_llm.calls.adapting import acounted, counted
from routed_llm.errors import NoModelFits
from routed_llm.facts import TokenCount

if TYPE_CHECKING:
    from routed_llm.calls.options import CallOptions
    from routed_llm.calls.router import Router
    from routed_llm.decision import Decision
    from routed_llm.recovery import Attempts, RetryLimits
    from routed_llm.request import Request

__all__ = ["ParsedCall"]


@dataclass(slots=True, kw_only=True)
class ParsedCall:
    """A call that was read, and is decided and driven from here.

    Attributes:
        router: what decides.
        request: what it asks for, in the router's words.
        options: the policy for it, whom it is for and what it may spend.
        asked: the same as plain data, for OpenAI's own count where the policy asks for that.
        retries: how often a failed request may be tried again; None for the default.
        soft: whether the lock on a model is only worth having, and may be given up.
    """

    router: Router
    request: Request
    options: CallOptions
    asked: Mapping[str, Any]
    retries: int | None = None
    soft: bool = False

    def decide(self, client: Any) -> Decision:
        """Decide, giving up a lock that is only worth having.

        Args:
            client: the SDK's client that may be asked for a count.

        Raises:
            NoModelFits: when nothing can serve the call.
        """
        policy, exact = self.options.policy, None
        if policy is not None and policy.exact_within:
            exact = partial(counted, client, self.asked)
        try:
            return self.router.decide(self.request, self.options, exact=exact)
        except NoModelFits:
            if not self._unlocks():
                raise
        return self.decide(client)

    async def adecide(self, client: Any) -> Decision:
        """Do what :meth:`decide` does, without holding the event loop while long texts are counted."""
        policy, exact = self.options.policy, None
        if policy is not None and policy.exact_within:
            exact = partial(acounted, client, self.asked)
        try:
            return await self.router.adecide(self.request, self.options, exact=exact)
        except NoModelFits:
            if not self._unlocks():
                raise
        return await self.adecide(client)

    def explain(self) -> Decision:
        """Decide without making the call; the Decision's ``chosen`` is None when nothing fits."""
        decision = self.router.explain(self.request, self.options)
        return self.explain() if decision.chosen is None and self._unlocks() else decision

    def count(self) -> int:
        """Return its tokens as the model that would serve it counts them; where none would, its text's."""
        text = self.router.count(self.request)
        exact = replace(self.request, facts=self.request.facts.with_tokens(TokenCount.of(text)))
        chosen = self.router.explain(exact, policy=self.options.policy).chosen
        return text if chosen is None else chosen.input_tokens

    def _unlocks(self) -> bool:
        """Let the call go to any model, where that may be."""
        soft, self.soft = self.soft, False
        if soft:
            self.request = replace(self.request, facts=replace(self.request.facts, locked_to=None))
        return soft

    def _choose(self, avoid: Mapping[str, str], options: CallOptions) -> Decision | None:
        """Decide for what is left; None when nothing is."""
        found = self.router.rechoose(self.request, avoid, options)
        return self._choose(avoid, options) if found is None and self._unlocks() else found

    def attempts(self, decision: Decision, since: float) -> Attempts:
        """Begin to keep the failures of the decided call, which began at that time of the clock."""
        limits, choose = self.limits(), self._choose if self.soft else None
        return self.router.attempts(
            self.request, decision, self.options, limits=limits, choose=choose, since=since
        )

    def limits(self) -> RetryLimits:
        """Return how much may be tried, once a request has failed."""
        from routed_llm.recovery import RetryLimits  # only a failed call needs it

        return RetryLimits.from_retries(self.retries)
