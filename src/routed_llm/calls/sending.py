"""Sending: the half of the router that comes after a decision: the books of a call, its failures, its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from routed_llm.ledger.run import Run

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog
    from routed_llm.decision import Decision
    from routed_llm.ledger.books import Books
    from routed_llm.ledger.observer import Observer
    from routed_llm.policy import Policy
    from routed_llm.recovery import Addresses, Attempts, CooldownStore, Credential, Gone, Limits
    from routed_llm.request import Request
    from routed_llm.rollout.trial import Trials

__all__ = ["Sending"]


class Sending:
    """What :class:`routed_llm.Router` does once a call is decided.

    Attributes:
        catalog: the models there are.
        policy: what is wanted.
        cooldowns: what is known of failing models.
    """

    catalog: Catalog
    policy: Policy
    cooldowns: CooldownStore
    _books: Books
    _observer: Observer | None
    _clock: Callable[[], date]
    _gone: Gone
    _whole: Gone
    _endpoints: Gone
    addresses: Addresses
    _trials: Trials | None
    if TYPE_CHECKING:
        rechoose: Callable[..., Decision | None]

    def begin(self, decision: Decision, *, until: float | None = None) -> Run:
        """Open the books for a call that is about to be sent; see :class:`Run`.

        Args:
            decision: what was decided.
            until: the moment after which no more of an answer is read, by :func:`time.monotonic`.

        Raises:
            BudgetExceeded: when other calls have taken the money since the decision; nothing was sent.
        """
        parts = (self.catalog, self.policy, self._books, self._observer, self._clock, decision, until)
        run = Run(*parts)
        if self._trials is not None:
            from routed_llm.rollout.watched import Watched

            run = Watched(self._trials, *parts)
        run.open()
        return run

    async def abegin(self, decision: Decision, *, until: float | None = None) -> Run:
        """Do what :meth:`begin` does, leaving the event loop free while a ledger on disk or network works.

        Raises:
            BudgetExceeded: as :meth:`begin` does.
        """
        if not self._books.ledger.blocks:
            return self.begin(decision, until=until)
        from routed_llm.offloop import opened  # asyncio is heavy, and loaded already where this runs

        return await opened(partial(self.begin, decision, until=until))

    def attempts(
        self,
        request: Request,
        decision: Decision,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        choose: Callable[[Mapping[str, str]], Decision | None] | None = None,
        credential: str = "",
        since: float | None = None,
        **circumstances: Any,
    ) -> Attempts:
        """Return what keeps the failures of one call and says what to do about them.

        Args:
            request: what was decided for.
            decision: what was decided.
            policy: the policy it was decided by.
            limits: how much may be tried.
            choose: decides again, given the models to leave alone; :meth:`rechoose` when left out.
            credential: whose key and address it is sent with, as given to :meth:`decide`.
            since: when the call began, by :func:`time.monotonic`; now, when left out.
            circumstances: ``at``, ``scope``, ``conversation`` and ``budget``, as given to :meth:`decide`.
        """

        def again(avoid: Mapping[str, str]) -> Decision | None:
            return self.rechoose(request, avoid, policy=policy, credential=credential, **circumstances)

        from routed_llm.recovery import Attempts  # only a failed call needs it

        return Attempts(
            decision,
            choose=again if choose is None else choose,
            policy=self.policy if policy is None else policy,
            catalog=self.catalog,
            cooldowns=self.cooldowns,
            limits=limits,
            on_dead=partial(self.mark_unavailable, credential=credential),
            on_missing=partial(self._missing_endpoint, credential),
            on_whole=partial(self._not_streamed, credential),
            addresses=self.addresses,
            credential=credential,
            blocks=self._books.ledger.blocks,
            clock=monotonic,
            since=since,
        )

    def answered(self, decision: Decision, *, credential: str = "") -> None:
        """Note that the first request of a call was answered: what :meth:`attempts` does for later ones."""
        if decision.model is not None:
            whose = self.addresses.whose(decision.model, credential)
            self.cooldowns.answered(decision.model, credential=whose)

    def credential_of(self, decision: Decision, own: str) -> Credential | None:
        """Return what the address of a decision's model is called with; None for the caller's own client.

        Args:
            decision: something was chosen.
            own: the caller's own address.

        Raises:
            CredentialMissing: when the model has an address of its own and there is no key for it.
        """
        call = decision.call
        if call is None or call.base_url is None or decision.model is None:
            return None
        return self.addresses.credential(self.catalog.get(decision.model), own)

    def wait(self, timeout: float = 10.0) -> bool:
        """Wait for sampled second calls that are under way; False when seconds ran out. Ends of programs do.

        Args:
            timeout: the most seconds to wait.
        """
        if self._trials is None:
            return True
        from routed_llm.rollout.second import SECONDS

        return SECONDS.wait(timeout)

    def mark_unavailable(self, model: str, why: str, *, credential: str | None = None) -> None:
        """Take a model out of this router's choice.

        Args:
            model: its catalog id.
            why: a phrase for the Reason that decisions will show.
            credential: whom the provider refused it, for an hour; when left out, it is out for everybody, for
                the life of the process.
        """
        if credential is None:
            self._gone.mark(model, why)
        else:
            whose = self.addresses.whose(model, credential)
            self._gone.refused(model, why, now=monotonic(), credential=whose)

    def _not_streamed(self, credential: str, model: str, why: str) -> None:
        """Leave streams of a model to others for an hour: an organisation may have to be verified first."""
        whose = self.addresses.whose(model, credential)
        self._whole.refused(model, why, now=monotonic(), credential=whose)

    def _missing_endpoint(self, credential: str, model: str, endpoint: str) -> None:
        """Leave an endpoint alone, for an hour, at the address of a model and with its key."""
        address = self.catalog.get(model).base_url or ""
        whose = self.addresses.whose(model, credential)
        self._endpoints.refused(f"{address} {endpoint}", "", now=monotonic(), credential=whose)
