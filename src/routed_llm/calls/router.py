"""Router: the only module that does the steps in order.

read -> count -> select -> reserve -> (the caller sends) -> settle. Everything that touches the
world (the clock, the memo of counted texts, the ledger, what was found dead) is held here; what
decides is pure and lives below.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from routed_llm.calls.recount import Recounts
from routed_llm.calls.sending import Sending
from routed_llm.calls.weighing import Weighing
from routed_llm.catalog import Catalog
from routed_llm.decide.table import Table, prepare
from routed_llm.errors import PolicyError
from routed_llm.ledger import open_ledger
from routed_llm.ledger.books import Books, BudgetEvent
from routed_llm.ledger.observer import Observer
from routed_llm.ledger.run import Answered, Run, as_moment
from routed_llm.ledger.scoped import CURRENT, merge
from routed_llm.policy import ENDPOINTS, Policy
from routed_llm.recovery import Addresses, Cooldowns, Gone
from routed_llm.request.beginnings import Beginnings, both, is_long
from routed_llm.rollout.stage import stage_from
from routed_llm.tokens.counting import Counting
from routed_llm.tokens.text import warm_up
from routed_llm.tokens.vocabulary import o200k_encoding

if TYPE_CHECKING:
    from routed_llm.budget import Budget
    from routed_llm.calls.recount import AskAsync, AskExact
    from routed_llm.decision import Decision
    from routed_llm.ledger import Ledger
    from routed_llm.recovery import CooldownStore
    from routed_llm.request import Request
    from routed_llm.rollout.trial import Trials

__all__ = ["Answered", "Router", "Run"]


_T = TypeVar("_T")
Scoped = Mapping[str, str] | str | None


def _now() -> date:
    return datetime.now(UTC)


class Router(Sending):
    """Decides which model serves each call, and keeps the books. One object serves many threads.

    Args:
        catalog: the models there are; the packaged ones when left out.
        policy: what is wanted; the default Policy when left out.
        ledger: where calls are booked; in memory when left out, and then only while a budget holds.
        budgets: what may be spent; none when left out.
        on_budget: called with a BudgetEvent when a budget passes one of its ``notify_at`` shares.
        cooldowns: what is known of failing models; to be shared by routers that call with the same key. When
            left out and the ledger is in Redis, the fleet shares them there.
        observe: whether outputs and cache reads of finished calls correct the estimates of later ones.
        credentials: address to what it is called with, for models with a ``base_url``: a key, a function that
            gives one, or a :class:`routed_llm.Credential`. The caller's own key never goes there.
        clock: returns the moment (an aware datetime, or a day) to decide for; the system's UTC clock when
            left out.
        mode: who answers: ``route`` (the default), ``shadow`` or ``rollout``; the environment's
            ``ROUTED_MODE`` wins, as ``ROUTED_SHARE`` and the others do below.
        share: the part of the callers, from 0 to 1, whom ``rollout`` routes.
        key: the tag (see :func:`routed_llm.scoped`) that tells callers apart; the conversation when left out.
        log: the path of a decision log to append to.
        sample: the part of the calls, from 0 to 1, that ``shadow`` sends a second time, to what routing
            chose, after the answer and apart from it.
        keep: texts for the log: ``answers`` (both of a sampled call), ``prompts`` (these, too), or none.
        observed: an earlier decision log, whose answers say what routed models write.

    Raises:
        PolicyError: for a mode, share, sample or file that cannot be used.
    """

    def __init__(
        self,
        *,
        catalog: Catalog | None = None,
        policy: Policy | None = None,
        ledger: Ledger | None = None,
        budgets: Budget | Iterable[Budget] | None = None,
        on_budget: Callable[[BudgetEvent], object] | None = None,
        observe: bool = True,
        cooldowns: CooldownStore | None = None,
        credentials: Mapping[str, Any] | None = None,
        clock: Callable[[], date] | None = None,
        mode: str | None = None,
        share: float | None = None,
        key: str | None = None,
        log: str | os.PathLike[str] | None = None,
        sample: float | None = None,
        keep: str | None = None,
        observed: str | os.PathLike[str] | None = None,
    ) -> None:
        self.catalog = Catalog.load() if catalog is None else catalog
        self.policy = Policy() if policy is None else policy
        self._clock = _now if clock is None else clock
        self._books = Books(ledger, merge(None, None, None, budgets).budgets, on_budget)
        self._observer = Observer() if observe else None
        self._beginnings = Beginnings()
        self.cooldowns = _cooldowns_of(ledger) if cooldowns is None else cooldowns
        self._gone, self._whole, self._endpoints = Gone(), Gone(), Gone()
        self.addresses = Addresses(self.catalog, credentials)
        self._narrow: tuple[Policy, tuple[str, ...], Policy] | None = None
        self._prepared: tuple[Policy, date, Table] | None = None
        self._recounts = Recounts(self.catalog)
        stage = stage_from(
            os.environ, mode=mode, share=share, key=key, log=log, sample=sample, keep=keep, observed=observed
        )
        self._trials: Trials | None = None
        if not stage.idle:
            from routed_llm.rollout.trial import Trials  # what few use is imported for them

            self._trials = Trials(stage, self.catalog)

    @classmethod
    def keeping(
        cls,
        router: Router | None,
        *,
        catalog: Catalog | None = None,
        ledger: Ledger | str | None = None,
        on_budget: Callable[[BudgetEvent], object] | None = None,
        cooldowns: CooldownStore | None = None,
    ) -> Router:
        """Return the router of a model that is given a ledger of its own: the given one, or a new one.

        Args:
            router: a router that was given besides.
            catalog: the models there are.
            ledger: where calls are booked, or its name as :func:`routed_llm.open_ledger` takes it.
            on_budget: called when a budget passes a share.
            cooldowns: what is known of failing models.

        Raises:
            PolicyError: when the given router keeps other books.
        """
        if router is None:
            kept = open_ledger(ledger) if isinstance(ledger, (str, os.PathLike)) else ledger
            shared = None if hasattr(kept, "shared") else cooldowns  # a fleet shares its own
            return cls(catalog=catalog, ledger=kept, on_budget=on_budget, cooldowns=shared)
        for name, mine, theirs in (
            ("ledger", ledger, router.ledger),
            ("on_budget", on_budget, router.on_budget),
        ):
            if mine is not None and mine is not theirs:
                raise PolicyError(
                    f"{name} is given beside a router that has another. Give it to the router alone: "
                    f"Router({name}=...).",
                    key=name,
                )
        return router

    def decide(
        self,
        request: Request,
        *,
        policy: Policy | None = None,
        at: date | None = None,
        scope: Scoped = None,
        conversation: str | None = None,
        budget: Budget | Iterable[Budget] | None = None,
        credential: str = "",
        own: str | None = None,
        exact: AskExact | None = None,
    ) -> Decision:
        """Choose the model, effort and endpoint that serve a request.

        Args:
            request: what an adapter or :func:`routed_llm.read_openai` made of it.
            policy: a policy for this call only.
            at: the moment (or day) to decide for; the clock's when left out.
            scope: tags that say whom the call is for, such as ``{"team": "search"}``, over those of a
                :func:`routed_llm.scoped` block around it.
            conversation: the caller's key of the conversation: for budgets per conversation and so that
                its calls reach the same prompt cache.
            budget: budgets for this call, besides the router's own.
            credential: whose key and address it is sent with (see :func:`routed_llm.fingerprint`): models
                may fail for one and not for another.
            own: the address that the caller's client calls: models at another are out unless there is a key
                for it. When left out, the caller sees to that.
            exact: asks the provider's counting endpoint: given a model's id, returns this request's input
                tokens. Called only within the policy's ``exact_within`` of a boundary; when it raises, the
                local count decides, and the Decision's ``counted`` says so.

        Raises:
            NoModelFits: when nothing in the pool can serve it; nothing has been sent.
            BudgetExceeded: when something could, but a hard budget has no room for it.
            PolicyError: when a pattern of the policy matches no model.
            CatalogError: when the policy or the call names an unknown model.
        """
        weighing = self._weighing(
            policy, at, scope, conversation, budget, credential, own, streams=request.facts.stream
        )
        weighing = self._warm(weighing, request, credential)
        decision = weighing.explain(request)
        if exact is not None and weighing.table.policy.exact_within:
            decision = self._recounts.decide(decision, request, weighing.near(request), exact)
        if self._trials is not None:
            decision = self._turn(decision, request, weighing, scope, conversation)
        return self._kept(weighing.checked(decision, request), request, credential)

    def explain(
        self,
        request: Request,
        *,
        policy: Policy | None = None,
        at: date | None = None,
        scope: Scoped = None,
        conversation: str | None = None,
        budget: Budget | Iterable[Budget] | None = None,
        credential: str = "",
        own: str | None = None,
    ) -> Decision:
        """Return the Decision without raising when nothing fits: its ``chosen`` is None then.

        Raises:
            PolicyError: when a pattern of the policy matches no model.
            CatalogError: when the policy or the call names an unknown model.
        """
        weighing = self._weighing(
            policy, at, scope, conversation, budget, credential, own, streams=request.facts.stream
        )
        return self._warm(weighing, request, credential).explain(request)

    async def adecide(
        self,
        request: Request,
        *,
        policy: Policy | None = None,
        at: date | None = None,
        scope: Scoped = None,
        conversation: str | None = None,
        budget: Budget | Iterable[Budget] | None = None,
        credential: str = "",
        own: str | None = None,
        exact: AskAsync | None = None,
    ) -> Decision:
        """Do what :meth:`decide` does, leaving the event loop free while large texts are counted.

        Raises:
            NoModelFits: as :meth:`decide` does.
            BudgetExceeded: as :meth:`decide` does.
            PolicyError: as :meth:`decide` does.
            CatalogError: as :meth:`decide` does.
        """
        around = (policy, at, scope, conversation, budget, credential, own)
        streams = request.facts.stream
        if self._books.ledger.blocks:
            import asyncio  # heavy, and loaded already wherever this runs

            weighing = await asyncio.to_thread(self._weighing, *around, streams=streams)
        else:
            weighing = self._weighing(*around, streams=streams)
        weighing = self._warm(weighing, request, credential)
        decision = weighing.at_bounds(request.facts)
        if decision is None:
            import asyncio  # heavy, and loaded already wherever this runs

            decision = await asyncio.to_thread(weighing.counted, request)
        decision = weighing.or_cooling(decision, request)
        if exact is not None and weighing.table.policy.exact_within:
            decision = await self._recounts.adecide(decision, request, weighing.near(request), exact)
        if self._trials is not None:
            import asyncio

            # A long text may have to be counted for the baseline, too.
            turn = (decision, request, weighing, scope, conversation)
            decision = await asyncio.to_thread(self._turn, *turn)
        return self._kept(weighing.checked(decision, request), request, credential)

    def count(self, request: Request) -> int:
        """Count a request's text tokens exactly, overheads included; images, audio and pages are not text."""
        return Counting(request.texts, known=request.fixed).exact()

    def token_ids(self, text: str) -> list[int]:
        """Return the o200k_base ids of a text; what looks like a special token counts as ordinary text."""
        return o200k_encoding().encode_ordinary(text)

    def rechoose(
        self,
        request: Request,
        avoid: Mapping[str, str],
        *,
        policy: Policy | None = None,
        at: date | None = None,
        scope: Scoped = None,
        conversation: str | None = None,
        budget: Budget | Iterable[Budget] | None = None,
        credential: str = "",
        own: str | None = None,
    ) -> Decision | None:
        """Choose as :meth:`decide` does among the models not to avoid; None when nothing is left."""
        around = (policy, at, scope, conversation, budget, credential, own)
        weighing = self._weighing(*around, avoid, streams=request.facts.stream)
        decision = weighing.explain(request)
        return None if decision.chosen is None else decision

    def models(self, policy: Policy | None = None, *, at: date | None = None) -> list[str]:
        """Return the catalog ids of the models that a policy lets calls choose among.

        Raises:
            PolicyError: when a pattern of the policy matches no model.
            CatalogError: when the policy names an unknown model.
        """
        policy, day = self.policy if policy is None else policy, self._day(at)
        pool = self._table(policy, day).pool
        return [one.id for one in (*pool.models, *pool.audio) if one.alive(day, grace=policy.grace or 0)]

    @property
    def ledger(self) -> Ledger:
        """Where calls are booked."""
        return self._books.ledger

    @property
    def keeps_books(self) -> bool:
        """Whether every call is booked: it has budgets, or was given a ledger."""
        return self._books.always

    @property
    def on_budget(self) -> Callable[[BudgetEvent], object] | None:
        """What is called when a budget passes a share."""
        return self._books.on_budget

    def warmup(self) -> None:
        """Load the vocabulary and prepare the default table, off the path of any request."""
        warm_up()
        prepare(self.catalog, self.policy, self._day(None))

    def _day(self, at: date | None) -> date:
        moment = self._clock() if at is None else at
        return moment.date() if isinstance(moment, datetime) else moment

    def _weighing(
        self,
        policy: Policy | None,
        at: date | None,
        scope: Scoped,
        conversation: str | None,
        budget: Budget | Iterable[Budget] | None,
        credential: str,
        own: str | None = None,
        avoid: Mapping[str, str] | None = None,
        *,
        streams: bool = False,
    ) -> Weighing:
        """Gather what a choice depends on besides the request."""
        moment = self._clock() if at is None else at
        day = moment.date() if isinstance(moment, datetime) else moment
        policy = self.policy if policy is None else policy
        allowance = None
        around = CURRENT.get()
        if self._books.always or around or scope or conversation or budget:
            merged = merge(around, scope, conversation, budget)
            allowance = self._books.allowance(merged, as_moment(moment))
            if allowance.floor is not None and policy.at_least is not None:
                policy = policy.replace(at_least=allowance.floor)
        observed = None if self._observer is None else self._observer.value
        now = monotonic()
        gone = self._found(self._gone.found, now, credential)
        lacking = self.addresses.lacking(own) if own is not None else {}
        firm = {**gone, **lacking, **(avoid or {})} if avoid or lacking else gone
        cooling = self._found(self.cooldowns.cooling, now, credential)
        if streams and (whole := self._found(self._whole.found, now, credential)):
            cooling = {**cooling, **whole}
        away = {**cooling, **firm} if cooling else firm
        if self._endpoints.knows:
            policy = self._narrowed(policy, now, credential)
        return Weighing(self.catalog, self._table(policy, day), allowance, observed, away, firm)

    def _narrowed(self, policy: Policy, now: float, credential: str) -> Policy:
        """Leave endpoints out where an address was found not to have them."""
        whose = (credential, *self.addresses.models)
        missing = tuple(sorted(name for one in whose for name in self._endpoints.found(now, one)))
        if not missing:
            return policy
        kept = self._narrow
        if kept is None or kept[0] is not policy or kept[1] != missing:
            there: dict[str, set[str]] = {}
            for name in missing:
                address, _, endpoint = name.rpartition(" ")
                there.setdefault(address, set(ENDPOINTS)).discard(endpoint)
            lists = {(address, tuple(sorted(names))) for address, names in there.items() if names}
            changed = policy.replace(endpoints=[*lists, *(policy.endpoints or ())])
            kept = self._narrow = (policy, missing, changed)
        return kept[2]

    def _found(
        self, look: Callable[..., Mapping[str, str]], now: float, credential: str
    ) -> Mapping[str, str]:
        """Look up what is known for a caller's own key, and for the keys of the addresses besides."""
        found = look(now, credential=credential)
        for whose, models in self.addresses.models.items():
            if there := look(now, credential=whose):
                found = {**found, **{name: why for name, why in there.items() if name in models}}
        return found

    def _warm(self, weighing: Weighing, request: Request, credential: str) -> Weighing:
        """Put in what models' caches may hold of a request that does not say itself what it goes on from."""
        observed = weighing.observed
        if observed is None or not is_long(request):
            return weighing
        warm = self._beginnings.warm(request.texts, monotonic(), credential)
        # Where nothing was seen yet there is nothing that an empty table would stand in place of.
        if not warm and not observed.outputs:
            return weighing
        return weighing._replace(observed=replace(observed, warm=warm))

    def _kept(self, decision: Decision, request: Request, credential: str) -> Decision:
        """Remember a long request that is about to be sent, for those that begin as it does."""
        if self._observer is None or decision.chosen is None or not is_long(request):
            return decision
        model = self.catalog.get(decision.chosen.model)
        if model.cache is None or "prompt_cache_options" in [it.parameter for it in decision.changes]:
            return decision
        kept = self._beginnings.keep(request.texts, model.id, model.cache, monotonic(), credential)
        decision.on_reported = both(decision.on_reported, kept.listen())
        return decision

    def _table(self, policy: Policy, day: date) -> Table:
        kept = self._prepared
        # Nearly always the same object: to compare the fields of policies would take longer than the choice.
        if kept is None or kept[0] is not policy or kept[1] != day:
            kept = self._prepared = (policy, day, prepare(self.catalog, policy, day))
        return kept[2]

    def _turn(
        self,
        decision: Decision,
        request: Request,
        weighing: Weighing,
        scope: Scoped,
        conversation: str | None,
    ) -> Decision:
        """Let the baseline answer where the stage of the rollout says so."""
        assert self._trials is not None  # noqa: S101 - asked before
        return self._trials.turn(
            decision,
            request,
            baseline=weighing.table.policy.baseline,
            decide=weighing.explain,
            scope=scope,
            conversation=conversation,
        )


def _cooldowns_of(ledger: Any) -> CooldownStore:
    """Return the cool-downs that go with a ledger: a fleet's where the ledger is a fleet's."""
    shared = getattr(ledger, "shared", None)
    if shared is None:
        return Cooldowns()
    from routed_llm.recovery import FleetCooldowns

    client, prefix = shared()
    return FleetCooldowns(client, prefix=prefix)
