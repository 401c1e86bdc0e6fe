"""Router: the only module that does the steps in order.

read -> count -> select -> reserve -> (the caller sends) -> settle. Everything that touches the
world (the clock, the memo of counted texts, the ledger, what was found dead) is held here; what
decides is pure and lives below.
"""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Unpack

from routed_llm.calls.evaluation import Evaluation
from routed_llm.calls.options import CallOptions, Circumstances
from routed_llm.calls.recount import Recounts
from routed_llm.calls.switches import Setting, Switches
from routed_llm.catalog import Catalog
from routed_llm.cut import AnswerCutter
from routed_llm.decide.context import NOTHING, EvaluationContext
from routed_llm.decide.piecewise import remember
from routed_llm.decide.speed import pace_of
from routed_llm.decide.table import Table, measured_tags, prepare
from routed_llm.errors import BudgetExceeded, PolicyError
from routed_llm.events import INFO, WARNING, emit_once
from routed_llm.ledger import open_ledger
from routed_llm.ledger.accounting import Books, BudgetEvent
from routed_llm.ledger.base import Entry, new_id
from routed_llm.ledger.observer import Observer
from routed_llm.ledger.run import Answered, Run, as_moment
from routed_llm.ledger.scoped import CURRENT, merge
from routed_llm.media import tokens_for
from routed_llm.policy import ENDPOINTS, Policy
from routed_llm.reasons import PASSED_OVER
from routed_llm.recovery import Addresses, Cooldowns, RateLimits, UnavailableModels
from routed_llm.recovery.ratelimits import PATIENCE
from routed_llm.request import RequestBuilder
from routed_llm.request.prefix_cache import DecidedRequests, PromptPrefixCache, both
from routed_llm.tokens.counting import Counting
from routed_llm.tokens.text import warm_up
from routed_llm.tokens.vocabulary import o200k_encoding
from routed_llm.usage import Observed

if TYPE_CHECKING:
    from routed_llm.budget import Allowance, Budget
    from routed_llm.calls.recount import AskAsync, AskExact
    from routed_llm.calls.refresh import Refresh
    from routed_llm.catalog import Model
    from routed_llm.decision import Decision
    from routed_llm.ledger import Ledger
    from routed_llm.recovery import Attempts, CooldownStore, Credential, RetryLimits
    from routed_llm.recovery.ratelimits import Ticket
    from routed_llm.request import Request
    from routed_llm.rollout.ladder import Ladder, Progress
    from routed_llm.rollout.trial import Trials
    from routed_llm.telemetry import Telemetry
    from routed_llm.usage import Usage

__all__ = ["Answered", "Router", "Run"]


_NO_TAGS: Final[frozenset[str]] = frozenset()
_UNHURRIED: Final = (("slower_than_baseline", None), ("prefer_tier", None))


def _now() -> date:
    return datetime.now(UTC)


class Router:
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
        mode: who answers: ``route`` (the default), ``off``, ``pin``, ``shadow`` or ``rollout``; the
            environment's ``ROUTED_MODE`` wins, as ``ROUTED_PIN`` and the others do below.
        pin: the configuration that serves whatever it can, such as ``gpt-5.4-mini@low``.
        share: the part of the callers, from 0 to 1, whom ``rollout`` routes.
        key: the tag (see :func:`routed_llm.scoped`) that distinguishes callers; else the conversation does.
        log: the path of a decision log to append to.
        sample: the part of the calls, from 0 to 1, that ``shadow`` sends a second time, to what routing
            chose, after the answer and apart from it.
        keep: texts for the log: ``answers`` (both of a sampled call), ``prompts`` (these, too), or none.
        observed: an earlier decision log, whose answers say what routed models write.
        ladder: how ``rollout`` raises its share by itself and stops itself: a
            :class:`routed_llm.rollout.Ladder`, in place of a share.
        refresh: a folder (or a :class:`routed_llm.calls.refresh.Refresh`) in which the account's own models
            and prices of today are kept, and read once a day; ``ROUTED_REFRESH`` wins; never, when left out.
        telemetry: whether calls are recorded by OpenTelemetry, or a :class:`routed_llm.telemetry.Telemetry`;
            when left out, whether ``ROUTED_OTEL`` or ``ROUTED_METRICS`` is set.

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
        pin: str | None = None,
        share: float | None = None,
        key: str | None = None,
        log: str | os.PathLike[str] | None = None,
        sample: float | None = None,
        keep: str | None = None,
        observed: str | os.PathLike[str] | None = None,
        ladder: Ladder | None = None,
        refresh: Refresh | str | os.PathLike[str] | None = None,
        telemetry: Telemetry | bool | None = None,
    ) -> None:
        self.policy = Policy() if policy is None else policy
        self._clock = _now if clock is None else clock
        self._books = Books(ledger, merge(None, None, None, budgets).budgets, on_budget)
        self.ledger = self._books.ledger
        self._observer = Observer() if observe else None
        self._prefix_cache = PromptPrefixCache()
        self.cooldowns = _cooldowns_of(ledger) if cooldowns is None else cooldowns
        self._gone, self._whole, self._endpoints = (
            UnavailableModels(),
            UnavailableModels(),
            UnavailableModels(),
        )
        self.rate_limits = _rate_limits_of(ledger)
        self._credentials = credentials
        self._turns: dict[str, int] = {}
        self.telemetry = _telemetry(telemetry)
        self._narrow: tuple[Policy, tuple[str, ...], Policy] | None = None
        self._decided = DecidedRequests()
        stage: dict[str, Any] = {"mode": mode, "pin": pin, "share": share, "key": key, "log": log}
        stage |= {"sample": sample, "keep": keep, "observed": observed, "ladder": ladder}
        self._base = Catalog.load() if catalog is None else catalog
        self._refresh = _refresher(os.environ.get("ROUTED_REFRESH") or refresh)
        records = None if self._refresh is None else self._refresh.folder
        self._switches = Switches(self._base, stage, self._decides_under, records)
        self._take_up(self._switches.setting, self._switches.setting.catalog)

    def _take_up(self, setting: Setting, before: Catalog) -> None:
        """Go by what is set from outside from now on; calls that are under way end as they began."""
        live, self._before = _Live(setting, self.ledger, self._clock), before
        if self.telemetry is not None:
            self.telemetry.took_up(setting.catalog, self.policy.baseline)
        self.addresses = Addresses(setting.catalog, self._credentials)
        self._recounts = Recounts(setting.catalog)
        self.rate_limits.expect(
            {
                model.id: (model.requests_per_minute, model.tokens_per_minute)
                for model in setting.catalog
                if model.requests_per_minute or model.tokens_per_minute
            }
        )
        self._live = live
        self.catalog = setting.catalog
        """The models there are."""

    def observed_by(self, telemetry: Telemetry) -> None:
        """Let calls be recorded from now on."""
        self.telemetry = telemetry
        telemetry.took_up(self.catalog, self.policy.baseline)

    def model(self, name: str) -> Model:
        """Return a model by its catalog id, also one that a call under way was decided for before a change.

        Raises:
            CatalogError: when nothing has the name.
        """
        found = self.catalog
        return (found if name in found or name not in self._before else self._before).get(name)

    def policy_for(self, options: CallOptions) -> Policy:
        """Return the policy of a call: the code's, with what is set from outside laid over it.

        Raises:
            PolicyError: for a wrong keyword or value.
        """
        return self._live.over(options.applied_to(self.policy))

    def _decides_under(self, setting: Setting) -> None:
        """Raise where the router's own policy cannot be used under a setting."""
        if setting.policy:
            prepare(setting.catalog, self.policy.replace(**setting.policy), self._day(None))

    def _holding(self) -> _Live:
        """Return what holds for one call, and first take up what was changed from outside."""
        now = monotonic()
        if now >= self._switches.due:
            if self._refresh is not None:
                self._refresh.ensure(self._base)
            self._switches.look(now, lambda new: self._take_up(new, self.catalog))
        return self._live

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
        options: CallOptions | None = None,
        *,
        exact: AskExact | None = None,
        **given: Unpack[Circumstances],
    ) -> Decision:
        """Choose the model, effort and endpoint that serve a request.

        Args:
            request: what an adapter or :func:`routed_llm.read_openai` made of it.
            options: what the call says of its routing.
            exact: asks the provider's counting endpoint: given a model's id, returns this request's input
                tokens. Called only within the policy's ``exact_within`` of a boundary; when it raises, the
                local count decides, and the Decision's ``counted`` says so.
            given: the same by keywords: ``policy``, ``at``, ``scope``, ``conversation``, ``budget``,
                ``deadline``, ``credential`` and ``own``, as :meth:`routed_llm.CallOptions.of` takes them.

        Raises:
            NoModelFits: when nothing in the pool can serve it; nothing has been sent.
            BudgetExceeded: when something could, but a hard budget has no room for it.
            PolicyError: when a pattern of the policy matches no model, or an option is wrong.
            CatalogError: when the policy or the call names an unknown model.
        """
        options = _options(options, given)
        live = self._holding()
        evaluation = self._warm(self._evaluation(live, options, request), request, options)
        decision = evaluation.explain(request)
        if exact is not None and evaluation.table.policy.exact_within:
            decision = self._recounts.decide(decision, request, evaluation.near(request), exact)
        if live.trials is not None:
            decision = _turn(live.trials, decision, request, evaluation, options)
        return self._noted(self._checked(evaluation, decision, options), request, options)

    def explain(
        self, request: Request, options: CallOptions | None = None, **given: Unpack[Circumstances]
    ) -> Decision:
        """Return the Decision without raising when nothing fits: its ``chosen`` is None then.

        Its figures are those of a full count of up to 64 KB of text, where :meth:`decide` counts only what
        the choice depends on. The choice is the same.

        Raises:
            PolicyError: when a pattern of the policy matches no model, or an option is wrong.
            CatalogError: when the policy or the call names an unknown model.
        """
        options = _options(options, given)
        live = self._holding()
        return self._warm(self._evaluation(live, options, request), request, options).in_figures(request)

    async def adecide(
        self,
        request: Request,
        options: CallOptions | None = None,
        *,
        exact: AskAsync | None = None,
        **given: Unpack[Circumstances],
    ) -> Decision:
        """Do what :meth:`decide` does, leaving the event loop free while large texts are counted.

        Raises:
            NoModelFits: as :meth:`decide` does.
            BudgetExceeded: as :meth:`decide` does.
            PolicyError: as :meth:`decide` does.
            CatalogError: as :meth:`decide` does.
        """
        options, live = _options(options, given), self._holding()
        if self.ledger.blocks:
            import asyncio  # heavy, and loaded already wherever this runs

            evaluation = await asyncio.to_thread(self._evaluation, live, options, request)
        else:
            evaluation = self._evaluation(live, options, request)
        evaluation = self._warm(evaluation, request, options)
        decision = evaluation.at_bounds(request.facts)
        if decision is None:
            import asyncio  # heavy, and loaded already wherever this runs

            decision = await asyncio.to_thread(evaluation.explain, request)
        decision = evaluation.or_cooling(decision, request)
        if exact is not None and evaluation.table.policy.exact_within:
            decision = await self._recounts.adecide(decision, request, evaluation.near(request), exact)
        if live.trials is not None:
            import asyncio

            # A long text may have to be counted for the baseline, too.
            decision = await asyncio.to_thread(_turn, live.trials, decision, request, evaluation, options)
        return self._noted(self._checked(evaluation, decision, options), request, options)

    def rechoose(
        self,
        request: Request,
        avoid: Mapping[str, str],
        options: CallOptions | None = None,
        **given: Unpack[Circumstances],
    ) -> Decision | None:
        """Choose as :meth:`decide` does among the models not to avoid; None when nothing is left."""
        decision = self._evaluation(self._live, _options(options, given), request, avoid).explain(request)
        return None if decision.chosen is None else decision

    def _able(self, request: Request, options: CallOptions) -> tuple[Decision, ...]:
        """Decide for each of the models that could serve a request if they had room: the first before others.

        They are counted for exactly, as what is sent depends on it.
        """
        evaluation = self._evaluation(self._live, options, request)
        away = {**self._found(self.cooldowns.cooling, monotonic(), options.credential), **evaluation.firm}
        found = evaluation.only(request, away)
        if found.model is None:
            return ()
        models = sorted(
            [self.model(one) for one in (found.model, *found.dearer)], key=lambda one: one.order or 1
        )
        names = [one.id for one in models if one.weight != 0][:_MOST_WAYS]
        rest = dict.fromkeys((found.model, *found.dearer), PASSED_OVER)
        each = [
            evaluation.only(request, {**{one: why for one, why in rest.items() if one != name}, **away})
            for name in names
        ]
        return tuple(one for one in each if one.model in names)

    def count(self, request: Request) -> int:
        """Count a request's text tokens exactly, overheads included; images, audio and pages are not text."""
        return Counting(request.texts, known=request.fixed).exact()

    @staticmethod
    def cutter(stops: Any = (), *, most: int | None = None) -> AnswerCutter:
        """Return what ends the text of one answer at stop sequences, and after so many o200k_base tokens.

        Args:
            stops: what ``stop`` was set to, where no model takes it.
            most: :attr:`Call.requested_output`.

        Raises:
            RequestError: when ``stops`` is no string and no list of strings.
        """
        return AnswerCutter(stops, most=most, encoding=o200k_encoding)

    def now(self) -> date:
        """Return the moment that decisions are made for, where a call names none."""
        return self._clock()

    def token_ids(self, text: str) -> list[int]:
        """Return the o200k_base ids of a text; what looks like a special token counts as ordinary text."""
        return o200k_encoding().encode_ordinary(text)

    def begin(
        self,
        decision: Decision,
        *,
        since: float | None = None,
        deadline: float | datetime | None = None,
        credential: str = "",
        ticket: Ticket | None = None,
    ) -> Run:
        """Open the books for a call that is about to be sent; see :class:`Run`.

        Args:
            decision: what was decided. With ``Policy(max_seconds=...)`` no more of an answer is read when so
                many seconds of the whole call are over, however slowly it drips.
            since: when the call began, by :func:`time.monotonic`; now, when left out.
            deadline: the call's own deadline, in seconds or as a moment, which ends it in the same way.
            credential: whose key and address it is sent with (see :func:`routed_llm.fingerprint`).
            ticket: of a request that waited and has been given room at the model decided for.

        Raises:
            BudgetExceeded: when other calls have taken the money since the decision; nothing was sent.
        """
        policy = self.policy if decision.policy is None else decision.policy
        deadline, now = deadline or policy.deadline, monotonic()
        begun = now if since is None else since
        until = None if policy.max_seconds is None else begun + policy.max_seconds
        if deadline is not None:
            left = _seconds_left(deadline, self._clock()) or 0.0
            # A moment is that far from now, a number of seconds from the beginning.
            due = left + (now if isinstance(deadline, datetime) else begun)
            until = due if until is None else min(due, until)
        tokens = _counts_for(decision)
        parts = (self.catalog, self.policy, self._books, self._observer, self._clock, decision, until)
        on_reported, again = self._sent(decision, now)
        run = Run(*parts, on_reported=on_reported)
        if (trials := self._live.trials) is not None:
            from routed_llm.rollout.logged import LoggedRun

            run = LoggedRun(trials, *parts, on_reported=on_reported)
        run.again = again
        if self._books.always or decision.allowance is not None:
            run.open()
        if ticket is not None:
            run.ticket = ticket
            self.rate_limits.leave(ticket, monotonic(), is_sent=True)
        elif (chosen := decision.chosen) is not None:
            whose = self.addresses.whose.get(chosen.model, credential)
            run.ticket, run.pause = self.rate_limits.take(
                chosen.model, tokens, now, credential=whose, hurries=until is not None
            )
            if run.pause:
                self._wait_in_line(run, until, begun)
        return run

    def _wait_in_line(self, run: Run, until: float | None, begun: float) -> None:
        """Say until when a request waits for its turn, and what it takes then."""
        now, run.patience = monotonic(), begun + _LONGEST_PAUSE if until is None else until
        seconds = run.decision.seconds
        if until is not None:
            run.need = 0.0 if seconds is None else max(seconds.whole_p90 - run.pause, 0.0)
        run.late = self._is_late(run, now)

    @staticmethod
    def _is_late(run: Run, now: float) -> bool:
        if run.ticket is None:
            return False
        if run.need is None:
            return run.pause > PATIENCE
        return not run.ticket.is_guess and now + run.pause + run.need > run.patience

    def turn(self, run: Run) -> float:
        """Return the seconds that a request still waits for its rate limit to have room; 0 to send it.

        Args:
            run: what :meth:`begin` returned for it.
        """
        now = monotonic()
        if run.ticket is None:
            return 0.0
        run.pause = self.rate_limits.turn(run.ticket, now)
        if run.pause and run.need is None and not run.ticket.is_guess and now >= run.patience:
            # A line that moves is waited in: what is sent before its turn would be refused.
            run.patience = max(run.patience, self.rate_limits.moved(run.ticket, now) + _LONGEST_PAUSE)
        if run.pause and now >= run.patience:
            self.rate_limits.leave(run.ticket, now, is_sent=True)
            run.pause = 0.0
        run.late = run.pause > 0 and self._is_late(run, now)
        return min(run.pause, run.patience - now)

    def is_shorter(self, decision: Decision, run: Run) -> bool:
        """Say whether another decision's model has a shorter line than a request is in.

        Args:
            decision: the other decision.
            run: what :meth:`begin` returned for the request.
        """
        if decision.model is None or run.ticket is None:
            return False
        whose = self.addresses.whose.get(decision.model, run.ticket.home[0])
        waits = self.rate_limits.waits(_counts_for(decision), monotonic(), credential=whose)
        return waits.get(decision.model, 0.0) < run.pause

    def widen(self, run: Run, able: Iterable[Decision], *, credential: str = "") -> None:
        """Let a request that waits, and is in no hurry, go to whichever of several models has room first.

        Args:
            run: what :meth:`begin` returned for it.
            able: a decision for each.
            credential: as given to :meth:`begin`.
        """
        if run.ticket is not None:
            homes = {
                (self.addresses.whose.get(one.model, credential), one.model): _counts_for(one)
                for one in able
                if one.model is not None
            }
            self.rate_limits.widen(run.ticket, homes, monotonic())

    def cools(self, decision: Decision, *, credential: str = "") -> bool:
        """Say whether the model of a decision is left alone for a while.

        Args:
            decision: something was chosen.
            credential: as given to :meth:`begin`.
        """
        return decision.model in self._found(self.cooldowns.cooling, monotonic(), credential)

    def leave_line(self, run: Run) -> None:
        """Take a request out of the line of its rate limit: it is not sent.

        Args:
            run: what :meth:`begin` returned for it.
        """
        if run.ticket is not None:
            self.rate_limits.leave(run.ticket, monotonic())

    def heard(self, run: Run, headers: Mapping[str, str]) -> None:
        """Note what the head of an answer says of the rate limits, for the choices that follow.

        Args:
            run: what :meth:`begin` returned for the request.
            headers: of the answer.
        """
        if run.ticket is not None:
            self.rate_limits.note(run.ticket, headers, monotonic())

    async def abegin(
        self, decision: Decision, *, since: float | None = None, deadline: float | datetime | None = None
    ) -> Run:
        """Do what :meth:`begin` does, leaving the event loop free while a ledger on disk or network works.

        Raises:
            BudgetExceeded: as :meth:`begin` does.
        """
        if not self.ledger.blocks:
            return self.begin(decision, since=since, deadline=deadline)
        from routed_llm.offloop import opened  # asyncio is heavy, and loaded already where this runs

        return await opened(partial(self.begin, decision, since=since, deadline=deadline))

    def left(self, *, at: date | None = None) -> int | None:
        """Return the picodollars that the tightest hard budget leaves; None without one.

        Args:
            at: the moment; the clock's when left out.

        Raises:
            LedgerError: when the ledger cannot be used.
        """
        moment = as_moment(self._clock() if at is None else at)
        return self._books.allowance(merge(CURRENT.get(), None, None, None), moment).remaining

    def book(
        self,
        id: str,
        model: str,
        *,
        effort: str | None = None,
        endpoint: str | None = None,
        usage: Usage | None = None,
        cost: int | None = None,
        estimated: int | None = None,
        served: str | None = None,
        outcome: str = "answered",
    ) -> None:
        """Book a request that was answered elsewhere, such as in a batch; under one id it is booked once.

        Args:
            id: of its entry.
            model: catalog id of the model that was chosen.
            effort: the reasoning effort that was sent.
            endpoint: where it was answered.
            usage: what the provider reported.
            cost: picodollars, or None when that is not known; then what was estimated is charged.
            estimated: picodollars that it was expected to cost.
            served: the model id that the answer names.
            outcome: ``answered``, or what became of it else.

        Raises:
            LedgerError: when the ledger cannot be used; nothing was booked.
        """
        if not self._books.always:
            return
        entry = Entry(
            id=id,
            at=as_moment(self._clock()),
            model=model,
            effort=effort,
            endpoint=endpoint,
            served=served,
            tier=None if usage is None else usage.service_tier,
            usage=usage,
            cost=cost,
            booked=(estimated or 0) if cost is None else cost,
            estimated=estimated,
            outcome=outcome,
        )
        self._books.add(entry, merge(CURRENT.get(), None, None, None))

    def attempts(
        self,
        request: Request,
        decision: Decision,
        options: CallOptions | None = None,
        *,
        limits: RetryLimits | None = None,
        choose: Callable[[Mapping[str, str], CallOptions], Decision | None] | None = None,
        since: float | None = None,
        **given: Unpack[Circumstances],
    ) -> Attempts:
        """Return what keeps the failures of one call and says what to do about them.

        Args:
            request: what was decided for.
            decision: what was decided.
            options: what the call says of its routing, as given to :meth:`decide`.
            limits: how much may be tried.
            choose: decides again, given the models to leave alone and the options, whose deadline is what is
                left of it; :meth:`rechoose` when left out.
            since: when the call began, by :func:`time.monotonic`; now, when left out.
            given: the options by keywords, as given to :meth:`decide`.
        """
        said = _options(options, given)
        deadline = said.deadline or self.policy_for(said).deadline
        begun = monotonic() if since is None else since
        # What is left of a moment is left from now on, and of a number of seconds from the beginning.
        passed = monotonic() - begun if isinstance(deadline, datetime) else 0.0
        left = _seconds_left(deadline, self._clock())
        whole = None if left is None else left + passed

        def again(avoid: Mapping[str, str]) -> Decision | None:
            asked = said
            if whole is not None and not isinstance(deadline, datetime):
                asked = replace(said, deadline=max(whole - (monotonic() - begun), 0.001))
            return self.rechoose(request, avoid, asked) if choose is None else choose(avoid, asked)

        from routed_llm.recovery import Attempts  # only a failed call needs it

        return Attempts(
            decision,
            choose=again,
            able=partial(self._able, request, said),
            on_cool=partial(self._rests, said.credential),
            policy=self.policy_for(said),
            catalog=self.catalog,
            cooldowns=self.cooldowns,
            limits=_in_time(limits, self.policy_for(said).max_seconds, whole),
            on_dead=partial(self.mark_unavailable, credential=said.credential),
            on_missing=partial(self._missing_endpoint, said.credential),
            on_whole=partial(self._not_streamed, said.credential),
            addresses=self.addresses,
            credential=said.credential,
            blocks=self.ledger.blocks,
            clock=monotonic,
            since=since,
        )

    def answered(self, decision: Decision, *, credential: str = "") -> None:
        """Note that the first request of a call was answered: what :meth:`attempts` does for later ones."""
        if (chosen := decision.chosen) is not None and getattr(self.cooldowns, "knows", True):
            whose = self.addresses.whose.get(chosen.model, credential)
            self.cooldowns.answered(chosen.model, credential=whose)

    def credential_of(self, decision: Decision, own: str | None) -> Credential | None:
        """Return what the address of a decision's model is called with; None for the caller's own client.

        Args:
            decision: something was chosen.
            own: the caller's own address, or None.

        Raises:
            CredentialMissing: when the model has an address of its own and there is no key for it.
        """
        call = decision.call
        if call is None or call.base_url is None or decision.model is None:
            return None
        return self.addresses.credential(self.model(decision.model), own or "")

    def wait(self, timeout: float = 10.0) -> bool:
        """Wait for sampled second calls that are under way; False when seconds ran out. Ends of programs do.

        Args:
            timeout: the most seconds to wait.
        """
        if self._live.trials is None:
            return True
        from routed_llm.rollout.second import SECONDS

        done = SECONDS.wait(timeout)
        if (climb := self._live.trials.climb) is not None:
            climb.flush()
        return done

    @property
    def rollout(self) -> Progress | None:
        """How far a rollout with a ladder has come, as this process last saw; None without one."""
        trials = self._live.trials
        return None if trials is None or trials.climb is None else trials.climb.progress

    def feedback(self, decision_id: str, score: float) -> bool:
        """Say how good an answer was; a rollout with a ladder depends on it.

        Args:
            decision_id: the ``id`` in the routing record of the answer.
            score: from 0 to 1.

        Returns:
            False when the call had a score already, which stays.

        Raises:
            PolicyError: when there is no ladder, the id is none of its calls, or the score is none.
            LedgerError: when the ledger cannot be used.
        """
        trials = self._live.trials
        if trials is None or trials.climb is None:
            raise PolicyError(
                "feedback is for a rollout that climbs. Make the router with mode='rollout' and ladder=...",
                key="ladder",
            )
        return trials.climb.scored(decision_id, score)

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
            whose = self.addresses.whose.get(model, credential)
            self._gone.refused(model, why, now=monotonic(), credential=whose)

    def _not_streamed(self, credential: str, model: str, why: str) -> None:
        """Leave streams of a model to others for an hour: an organisation may have to be verified first."""
        whose = self.addresses.whose.get(model, credential)
        self._whole.refused(model, why, now=monotonic(), credential=whose)

    def _rests(self, credential: str, model: str, seconds: float) -> None:
        """Let no call that waits for room go to a model that fails, while it can go elsewhere."""
        whose = self.addresses.whose.get(model, credential)
        self.rate_limits.rest((whose, model), seconds, monotonic())

    def _missing_endpoint(self, credential: str, model: str, endpoint: str) -> None:
        """Leave an endpoint alone, for an hour, at the address of a model and with its key."""
        address = self.model(model).base_url or ""
        whose = self.addresses.whose.get(model, credential)
        self._endpoints.refused(f"{address} {endpoint}", "", now=monotonic(), credential=whose)

    def models(self, policy: Policy | None = None, *, at: date | None = None) -> list[str]:
        """Return the catalog ids of the models that a policy lets calls choose among.

        Raises:
            PolicyError: when a pattern of the policy matches no model.
            CatalogError: when the policy names an unknown model.
        """
        policy, day = self.policy_for(CallOptions(policy=policy)), self._day(at)
        pool = self._live.table(policy, day).pool
        return [one.id for one in (*pool.models, *pool.audio) if one.alive(day, grace=policy.grace or 0)]

    @property
    def keeps_books(self) -> bool:
        """Whether every call is booked: it has budgets, or was given a ledger."""
        return self._books.always

    @property
    def on_budget(self) -> Callable[[BudgetEvent], object] | None:
        """What is called when a budget passes a share."""
        return self._books.on_budget

    def warmup(self) -> None:
        """Load the vocabulary and decide two everyday requests, so that the first ones need not wait."""
        warm_up()
        context = EvaluationContext(observed=None if self._observer is None else self._observer.value)
        table = self._live.table(self.policy_for(_PLAIN), self._day(None))
        text = RequestBuilder().message("user").text("Hello").build()
        call = RequestBuilder().message("user").text("Hello").tools([{"function": {"name": "f"}}]).build()
        # At second sight what holds for all such requests is worked out.
        for asked in (text, call, text, call):
            table.decide(asked.facts, context)

    def _day(self, at: date | None) -> date:
        moment = self._clock() if at is None else at
        return moment.date() if isinstance(moment, datetime) else moment

    def _evaluation(
        self, live: _Live, options: CallOptions, request: Request, avoid: Mapping[str, str] | None = None
    ) -> Evaluation:
        """Gather what a choice depends on besides the request's own facts."""
        moment = self._clock() if options.at is None else options.at
        day = moment.date() if isinstance(moment, datetime) else moment
        policy = self.policy if options.policy is None else options.policy
        if options.changes:
            policy = options.applied_to(self.policy)
        if live.setting.policy:
            policy = live.over(policy)
        deadline, at_tier = options.deadline or policy.deadline, None
        if deadline is not None:
            deadline = _seconds_left(deadline, moment)
        allowance, tags = None, _NO_TAGS
        around = CURRENT.get()
        if self._books.always or around or options.tags or options.conversation or options.budgets:
            merged = merge(around, options.tags, options.conversation, options.budgets)
            allowance = self._books.allowance(merged, as_moment(moment))
            if policy.measures:
                tags = live.measured(policy, merged.tags)
            policy = _pressed(live, policy, allowance)
        tiers: tuple[str, ...] = ()
        if deadline is not None:
            if policy.service_tier == request.facts.service_tier == "standard":
                tiers = options.tiers
            # How long may be waited is said, and what is in time chooses the tier.
            policy = live.varied(policy, *_UNHURRIED)
        now = monotonic()
        observed, firm, away = self._around(live, options, request, avoid, now, policy, deadline)
        if self._endpoints.knows:
            policy = self._narrowed(policy, now, options.credential)
        if deadline is not None:
            at_tier = partial(self._at_tier, live, policy, day, tags)
        context = EvaluationContext(allowance, observed, away, deadline)
        table, catalog = live.table(policy, day, tags), live.setting.catalog
        draw = self._draw if catalog.has_homes else None
        return Evaluation(catalog, table, context, firm, tiers, at_tier, draw)

    def _draw(self, model: str) -> float:
        """Return a number from 0 to 1 for the next call to a model; calls in turn fill it evenly."""
        turn = self._turns[model] = self._turns.get(model, 0) + 1
        return turn * 0.6180339887498949 % 1.0

    @staticmethod
    def _at_tier(live: _Live, policy: Policy, day: date, tags: frozenset[str], tier: str) -> Table:
        """Return what a policy makes of the models at another service tier than its own."""
        return live.table(live.varied(policy, ("service_tier", tier)), day, tags)

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

    def _around(
        self,
        live: _Live,
        options: CallOptions,
        request: Request,
        avoid: Mapping[str, str] | None,
        now: float,
        policy: Policy,
        deadline: float | None,
    ) -> tuple[Observed | None, Mapping[str, str], Mapping[str, str]]:
        """Return what was observed, the models to leave alone in any case, and those to leave alone now."""
        observed = None if self._observer is None else self._observer.value
        gone = self._found(self._gone.found, now, options.credential) if self._gone.knows else NOTHING
        lacking: Mapping[str, str] = {}
        if options.own is not None and self.addresses.models:
            lacking = self.addresses.lacking(options.own)
        firm = {**gone, **lacking, **(avoid or {})} if avoid or lacking else gone
        cooling = NOTHING
        if getattr(self.cooldowns, "knows", True):
            cooling = self._found(self.cooldowns.cooling, now, options.credential)
        if self.rate_limits.known:
            timed = deadline is not None or policy.max_seconds is not None
            tokens = request.facts.tokens.likely + (request.facts.cap or _UNCAPPED)
            room = partial(self.rate_limits.waits, tokens, hurries=timed)
            if waits := self._found(room, now, options.credential):
                if timed or policy.max_first_token is not None:
                    observed = self._waiting(observed, waits, policy.service_tier, live.setting.catalog)
                if deadline is None:  # else the time that it takes decides
                    cooling = {**cooling, **_full(waits)}
        if request.facts.stream and self._whole.knows:
            cooling = {**cooling, **self._found(self._whole.found, now, options.credential)}
        away = {**cooling, **firm} if cooling else firm
        return observed, firm, away

    @staticmethod
    def _waiting(
        observed: Observed | None, waits: Mapping[str, float], tier: str, catalog: Catalog
    ) -> Observed:
        """Put the time until models have room for a request before the time that they take for it."""
        known = Observed() if observed is None else observed
        paces = dict(known.paces)
        for model, wait in waits.items():
            if model in catalog:
                pace = paces.get((model, tier)) or pace_of(catalog.get(model).speed, tier)
                paces[model, tier] = pace._replace(start=pace.start + wait, wait=wait)
        return replace(known, paces=paces)

    def _found(
        self, look: Callable[..., Mapping[str, Any]], now: float, credential: str
    ) -> Mapping[str, Any]:
        """Look up what is known for a caller's own key, and for the keys of the addresses besides."""
        found, others = look(now, credential=credential), self.addresses.models
        for whose, models in others.items() if others else ():
            if there := look(now, credential=whose):
                found = {**found, **{name: why for name, why in there.items() if name in models}}
        return found

    def _warm(self, evaluation: Evaluation, request: Request, options: CallOptions) -> Evaluation:
        """Put in what models' caches may hold of a request that does not say itself what it goes on from."""
        observed, previous = evaluation.context.observed, request.facts.previous
        if observed is not None and previous is not None and self._observer is not None:
            share, warm = self._observer.reads_in(previous), self._observer.warm_in(previous)
            if share is not None and share != observed.reads.get(previous.model, 1.0):
                observed = replace(observed, reads={**observed.reads, previous.model: share})
            skipped = not self._observer.is_written(previous)
            if warm or skipped:
                observed = replace(observed, warm=warm or None, skipped=skipped)
            return evaluation._replace(context=evaluation.context._replace(observed=observed))
        if observed is None or not _may_be_cached(request):
            return evaluation
        warm, again = self._prefix_cache.warm(request.texts, monotonic(), options.credential)
        # Where nothing was seen there is nothing that an empty table would stand in place of.
        seen = observed.of(request.facts)
        if not warm and (seen is None or seen.shared is None) and not (again and observed.returns):
            return evaluation
        # What was sent past a cache and comes again is written this time.
        returns = {} if again else observed.returns
        context = evaluation.context._replace(observed=replace(observed, warm=warm, returns=returns))
        return evaluation._replace(context=context)

    def _checked(self, evaluation: Evaluation, decision: Decision, options: CallOptions) -> Decision:
        """Return a Decision that chose, or let it be known that a budget refused the call."""
        if decision.chosen is not None:
            return decision
        error = evaluation.refusal(decision)
        if isinstance(error, BudgetExceeded):
            allowance = evaluation.context.allowance
            accounts = () if allowance is None else allowance.accounts
            self._books.refused(
                error, accounts, as_moment(self._clock() if options.at is None else options.at)
            )
        raise error

    def _noted(self, decision: Decision, request: Request, options: CallOptions) -> Decision:
        """Note a request that has been decided for, and say what of it is sent differently."""
        if decision.changes:
            _say_changes(decision)
        long = self._observer is not None and _may_be_cached(request)
        if (long or request.conversation is not None) and decision.chosen is not None:
            self._decided.add(decision.facts, request, options.credential, is_long=long)
        return decision

    def _sent(self, decision: Decision, now: float) -> tuple[Callable[[int], object] | None, float]:
        """Remember a request that is about to be sent, for requests that begin so.

        Returns:
            What is called with the input tokens that the provider reports for it, or None; and the share of
            it that a cache would have held, had all been written to it.
        """
        decided, chosen = self._decided.find(decision.facts), decision.chosen
        if decided is None or chosen is None:
            return None, 0.0
        model = self.model(chosen.model)
        earlier = None if decided.conversation is None else decided.conversation()
        listener = None
        if earlier is not None:
            frames = tokens_for(decision.facts, model, chosen.endpoint)
            listener = earlier.listen(decision.facts, frames.likely)
        if not decided.texts or model.cache is None:
            return listener, 0.0
        kept = None if decided.kept is None else decided.kept()
        if kept is None or kept.model != model.id:
            bypassed = "prompt_cache_options" in [it.parameter for it in decision.changes]
            kept = self._prefix_cache.keep(
                decided.texts, model.id, model.cache, now, decided.credential, is_written=not bypassed
            )
            decided.kept = weakref.ref(kept)
            # Sent once more, it is no other request that begins so.
            kept.again = decided.again = kept.again if decided.again is None else decided.again
        return both(listener, kept.listen()), kept.again


_LONGEST_PAUSE: Final = 120.0
"""Seconds in which nothing was sent, after which a call without a deadline waits for a rate limit no longer:
the provider is asked all the same."""


def _full(waits: Mapping[str, float]) -> dict[str, str]:
    """Return the models that have no room soon, with the reason."""
    return {
        model: f"its rate limit has room for this again in {wait:.1f} s"
        for model, wait in waits.items()
        if wait > PATIENCE
    }


_UNCAPPED: Final = 16
"""Tokens of its answer that a request without an output cap counts for (unverified)."""

_MOST_WAYS: Final = 6
"""Models at most that a call waits for room at."""


_CACHED: Final = 1_024  # tokens: no cache holds less


def _may_be_cached(request: Request) -> bool:
    """Say whether a request may find something in a cache, and does not say itself what."""
    facts = request.facts
    if facts.tokens.high < _CACHED or facts.previous is not None:
        return False
    return len(facts.inputs) == 1 and bool(request.texts)


def _counts_for(decision: Decision) -> int:
    """Return the tokens that a request counts for in rate limits at most: its input and its cap.

    https://platform.openai.com/docs/guides/rate-limits (2026-11) speaks of the larger of the two; the sum
    walks into no limit either way, and the next answer says what was counted (unverified).
    """
    chosen, call = decision.chosen, decision.call
    cap = None if call is None else call.cap
    return (0 if chosen is None else chosen.input_tokens) + (_UNCAPPED if cap is None else cap)


class _Live:
    """What is set from outside, and what was worked out under it; one call sees one of these."""

    def __init__(self, setting: Setting, ledger: Ledger, clock: Callable[[], date]) -> None:
        self.setting = setting
        self.trials: Trials | None = None
        if not setting.stage.idle:
            from routed_llm.rollout.trial import Trials  # what few use is imported for them

            self.trials = Trials(setting.stage, setting.catalog, ledger, clock)
        self._laid: dict[int, tuple[Policy, Policy]] = {}
        self._varied: dict[Any, tuple[Policy, Policy]] = {}
        self._measured: dict[tuple[int, tuple[tuple[str, str], ...]], tuple[Policy, frozenset[str]]] = {}
        self._tables: dict[tuple[int, date, frozenset[str]], tuple[Policy, Table]] = {}
        self._announced: set[tuple[str, date]] = set()

    def over(self, policy: Policy) -> Policy:
        """Lay what is set from outside over a policy."""
        if not self.setting.policy:
            return policy
        # Tables are kept by the policy's identity, so one policy must always give the same one.
        found = self._laid.get(id(policy))
        if found is None or found[0] is not policy:
            found = (policy, policy.replace(**self.setting.policy))
            remember(self._laid, id(policy), found)
        return found[1]

    def varied(self, policy: Policy, *changes: tuple[str, Any]) -> Policy:
        """Return a policy with some keywords changed, the same one each time."""
        key = (id(policy), changes)
        found = self._varied.get(key)
        if found is None or found[0] is not policy:
            found = (policy, policy.replace(**dict(changes)))
            remember(self._varied, key, found)
        return found[1]

    def measured(self, policy: Policy, tags: tuple[tuple[str, str], ...]) -> frozenset[str]:
        """Return those of a call's tags that a policy has measures of its own for."""
        found = self._measured.get((id(policy), tags))
        if found is None or found[0] is not policy:
            found = (policy, measured_tags(policy, [f"{name}={value}" for name, value in tags]))
            remember(self._measured, (id(policy), tags), found)
        return found[1]

    def table(self, policy: Policy, day: date, tags: frozenset[str] = _NO_TAGS) -> Table:
        """Return what a policy makes of the models on a day, for calls with tags that it has measures for."""
        # Nearly always the same object: to compare the fields of policies would take longer than the choice.
        found = self._tables.get((id(policy), day, tags))
        if found is None or found[0] is not policy:
            if (policy.baseline, day) not in self._announced:
                self._announced.add((policy.baseline, day))
                _announce(self.setting.catalog, policy.baseline, day)
            found = (policy, prepare(self.setting.catalog, policy, day, tags))
            remember(self._tables, (id(policy), day, tags), found)
        return found[1]


def _turn(
    trials: Trials, decision: Decision, request: Request, evaluation: Evaluation, options: CallOptions
) -> Decision:
    """Let whoever the mode says answer."""
    return trials.turn(
        decision,
        request,
        baseline=evaluation.table.policy.baseline,
        decide=evaluation.explain,
        said=merge(CURRENT.get(), options.tags, options.conversation, None),
    )


def _pressed(live: _Live, policy: Policy, allowance: Allowance) -> Policy:
    """Return a policy as budgets that run low change it, where they may."""
    changes: dict[str, Any] = {}
    if allowance.floor is not None and policy.at_least is not None:
        changes["at_least"] = allowance.floor
    if allowance.tier is not None:
        changes["prefer_tier"] = allowance.tier
    return live.varied(policy, *changes.items()) if changes else policy


def _seconds_left(deadline: float | datetime | None, moment: date) -> float | None:
    """Return the seconds until a deadline, however it was said; none are left after it."""
    if not isinstance(deadline, datetime):
        return deadline
    return max((deadline - as_moment(moment)).total_seconds(), 0.0)


def _options(options: CallOptions | None, given: Circumstances) -> CallOptions:
    made = CallOptions.of(**given) if given else None
    if options is None:
        return made or _PLAIN
    return options if made is None else made.over(options)


_PLAIN = CallOptions()


def _telemetry(given: Telemetry | bool | None) -> Telemetry | None:
    """Return what the code gives; else what the environment turns on, by ROUTED_OTEL and ROUTED_METRICS."""
    if given is not None and not isinstance(given, bool):
        return given
    metrics = os.environ.get("ROUTED_METRICS") or None
    spans = os.environ.get("ROUTED_OTEL") not in (None, "", "0") if given is None else given
    if given is False or not (spans or metrics):
        return None
    from routed_llm.telemetry import shared  # what few use is imported for them

    return shared(spans, metrics)


def _refresher(given: Refresh | str | os.PathLike[str] | None) -> Refresh | None:
    if given is None:
        return None
    from routed_llm.calls.refresh import Refresh  # what few use is imported for them

    return given if isinstance(given, Refresh) else Refresh(given)


def _cooldowns_of(ledger: Any) -> CooldownStore:
    """Return the cool-downs that go with a ledger: a fleet's where the ledger is a fleet's."""
    shared = getattr(ledger, "shared", None)
    if shared is None:
        return Cooldowns()
    from routed_llm.recovery import FleetCooldowns

    client, prefix = shared()
    return FleetCooldowns(client, prefix=prefix)


def _rate_limits_of(ledger: Any) -> RateLimits:
    """Return the rate limits that go with a ledger: a fleet's where the ledger is a fleet's."""
    shared = getattr(ledger, "shared", None)
    if shared is None:
        return RateLimits()
    from routed_llm.recovery.fleet_limits import FleetRateLimits

    client, prefix = shared()
    return FleetRateLimits(client, prefix=prefix, name=new_id())


def _in_time(limits: RetryLimits | None, *seconds: float | None) -> RetryLimits | None:
    """Return limits under which no further request is sent once the call's own time is over."""
    given = [one for one in seconds if one is not None]
    if not given:
        return limits
    from routed_llm.recovery import RetryLimits  # only a failed call needs it

    limits = RetryLimits() if limits is None else limits
    return replace(limits, deadline=min(limits.deadline, *given))


def _say_changes(decision: Decision) -> None:
    """Say once in a process what is sent differently from what was asked, and why."""
    for change in decision.changes:
        if change.action not in _LOSES:
            continue
        emit_once(
            INFO,
            "changed",
            "{parameter} is {action} for {model}: {why}",
            decision.model,
            change.parameter,
            change.action,
            parameter=change.parameter,
            action=change.action,
            model=decision.model,
            why=change.why,
        )
        if change.parameter == "temperature" and change.action == "dropped" and change.before == 0:
            _warn_of_temperature(str(decision.model))


_LOSES: Final = frozenset({"dropped", "emulated", "clamped", "relaxed"})
"""What is done to a parameter so that less, or something else, is sent than was asked."""

_WARNED: set[str] = set()


def _warn_of_temperature(model: str) -> None:
    """Say once in a process that a temperature of 0 is not sent, and what to do about it."""
    if not _WARNED:
        _WARNED.add("temperature")
        warnings.warn(
            f"temperature=0 is not sent to {model}, which does not take it. To keep it, set "
            "Policy(on_unsupported='avoid'), or give a seed with it.",
            stacklevel=_programs_level(),
        )


_OURS: Final = ("routed_llm", "langchain_routed", "llama_index", "openai_routed")


def _programs_level() -> int:
    """Return the ``stacklevel`` of the program's own line, beyond this and other libraries."""
    import sysconfig  # for what is said once in a process

    libraries = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
    frame, level = sys._getframe(1), 1
    while frame.f_code.co_filename.startswith(libraries) or (
        str(frame.f_globals.get("__name__")).partition(".")[0] in _OURS
    ):
        if frame.f_back is None:
            return 1
        frame, level = frame.f_back, level + 1
    return level


_SOON: Final = 60
"""Days before the shutdown of a program's own model from which it is logged."""
_STALE: Final = 90
"""Days after which nothing in the catalog has been compared with its sources, from which it is logged."""


def _announce(catalog: Catalog, baseline: str, day: date) -> None:
    """Log what whoever operates a program should know on a day."""
    life = catalog.get(baseline).lifecycle
    if life.shutdown is not None and (life.shutdown - day).days <= _SOON:
        emit_once(
            WARNING,
            "shutdown",
            "the program's own model {model} {ends} on {shutdown}; the provider names {next} instead",
            baseline,
            model=baseline,
            ends="ended" if life.shutdown <= day else "ends",
            shutdown=life.shutdown.isoformat(),
            next=life.replacement or "nothing",
        )
    verified = [price.verified for model in catalog for price in model.prices if price.verified is not None]
    if verified and (age := (day - max(verified)).days) > _STALE:
        emit_once(
            WARNING,
            "stale_catalog",
            "no price of the catalog was compared with its source for {days} days; update routed-llm",
            catalog.version,
            days=age,
        )
