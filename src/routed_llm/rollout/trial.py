"""Trials: the baseline's Decision beside the routed one, who answers, and the entry that is logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from routed_llm.decision import Call, Candidate, Decision, format_dollars
from routed_llm.facts import thaw
from routed_llm.ledger.run import Run
from routed_llm.ledger.scoped import CURRENT, merge
from routed_llm.pricing import cost_pico, thought_for, writes
from routed_llm.rollout.log import DecisionLog
from routed_llm.rollout.share import in_share, key_of, mark_of
from routed_llm.usage import Usage

if TYPE_CHECKING:
    from datetime import date

    from routed_llm.catalog import Catalog, Model
    from routed_llm.facts import RequestFacts
    from routed_llm.request import Request
    from routed_llm.rollout.stage import Stage

__all__ = ["ENTRY_VERSION", "Trial", "Trials", "Watched"]

ENTRY_VERSION = 1
"""Version of a line of the decision log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one call was part of.

    Attributes:
        mode: ``route``, ``shadow`` or ``rollout``.
        arm: who answers: ``baseline`` or ``routed``.
        key: a mark of the key that told the caller apart.
        tags: the call's tags.
        baseline: what the baseline would be sent; its ``chosen`` is None when it cannot serve.
        routed: what routing chose; its ``chosen`` is None when nothing fits.
    """

    mode: str
    arm: str
    key: str
    tags: Mapping[str, str]
    baseline: Decision
    routed: Decision


class Trials:
    """Decides who answers each call of a router.

    Args:
        stage: the mode, the share, the key and the log.
        catalog: the models there are.
    """

    def __init__(self, stage: Stage, catalog: Catalog) -> None:
        self.stage = stage
        self._catalog = catalog
        self._log = None if stage.log is None else DecisionLog(stage.log)

    def turn(
        self,
        routed: Decision,
        request: Request,
        *,
        baseline: str,
        decide: Callable[[Request], Decision],
        scope: Mapping[str, str] | str | None = None,
        conversation: str | None = None,
    ) -> Decision:
        """Return the Decision of whoever answers, with the other one in its ``trial``.

        A call that names its model itself is no trial: it is left alone.

        Args:
            routed: what routing chose.
            request: the request.
            baseline: the model that the program was written for.
            decide: decides for a request that is pinned to it.
            scope: the call's own tags.
            conversation: the caller's key of the conversation.
        """
        if request.facts.model is not None:
            return routed
        said = merge(CURRENT.get(), scope, conversation, None)
        tags = dict(said.tags)
        opening = request.texts[: request.opening or None]
        key = key_of(self.stage.key, tags=tags, conversation=said.conversation, texts=opening)
        pinned = decide(replace(request, facts=replace(request.facts, model=baseline)))
        arm = self._arm(key, pinned)
        trial = Trial(
            mode=self.stage.mode, arm=arm, key=mark_of(key), tags=tags, baseline=pinned, routed=routed
        )
        if arm == "routed":
            return replace(routed, trial=trial)
        answering = (
            pinned if pinned.chosen is not None else _as_asked(pinned, request.facts, baseline, self._catalog)
        )
        return replace(answering, trial=trial)

    def _arm(self, key: str, baseline: Decision) -> str:
        if self.stage.mode == "rollout":
            # Where the baseline would be refused there is nothing to compare with, and routing can help.
            return "routed" if baseline.chosen is None or in_share(key, self.stage.share) else "baseline"
        return "baseline" if self.stage.mode == "shadow" else "routed"

    def note(
        self, decision: Decision, record: Mapping[str, Any] | None, usage: Usage | None
    ) -> dict[str, Any]:
        """Write the entry of a call that has ended; ``record`` is None when it failed."""
        entry = self._entry(decision, record, usage)
        if self._log is not None:
            self._log.write(entry)
        return entry

    def _entry(
        self, decision: Decision, record: Mapping[str, Any] | None, usage: Usage | None
    ) -> dict[str, Any]:
        trial: Trial | None = decision.trial
        done = record or decision.record()
        entry: dict[str, Any] = {
            "version": ENTRY_VERSION,
            "time": done.get("settled_at") or decision.at.isoformat(),
            "at": decision.at.isoformat(),
            "mode": self.stage.mode if trial is None else trial.mode,
            "arm": "pinned" if trial is None else trial.arm,
            "outcome": "failed" if record is None else "answered",
            "served": done.get("served"),
            "cost": done.get("cost"),
            "usage": done.get("usage"),
            **_configuration(decision),
        }
        if trial is None:
            return entry
        other = trial.routed if trial.arm == "baseline" else trial.baseline
        would = self._would_cost(decision, other, usage)
        costs = {
            trial.arm: {"cost": done.get("cost")},
            "routed" if trial.arm == "baseline" else "baseline": would,
        }
        return {
            **entry,
            "key": trial.key,
            "tags": dict(trial.tags),
            "baseline": {
                **_configuration(trial.baseline),
                **costs["baseline"],
                "refused": _refusal(trial.baseline),
            },
            "routed": {**_configuration(trial.routed), **costs["routed"], "refused": _refusal(trial.routed)},
        }

    def _would_cost(self, decision: Decision, other: Decision, usage: Usage | None) -> dict[str, Any]:
        """Say what the one that did not answer would have cost, from what the other one used."""
        taken, spared = decision.chosen, other.chosen
        if usage is None or taken is None or spared is None:
            return {"cost": None}
        model = self._catalog.get(spared.model)
        read = _scaled(usage.input_tokens, spared.input_tokens, taken.input_tokens)
        cached = min(spared.cached_tokens, read)
        guess = Usage(
            input_tokens=read,
            cached_tokens=cached,
            cache_write_tokens=_written(model, read - cached, decision.at),
            output_tokens=self._written(usage, taken, spared),
            service_tier=usage.service_tier,
        )
        total = cost_pico(guess, model, decision.at)
        if total is None:
            return {"cost": None}
        rest = cost_pico(replace(guess, output_tokens=0), model, decision.at) or 0
        return {
            "cost": format_dollars(total),
            "output_cost": format_dollars(total - rest),
            "output_tokens": guess.output_tokens,
        }

    def _written(self, usage: Usage, taken: Candidate, spared: Candidate) -> int:
        """Say what one of the two would have written where the other one did."""
        models = self._catalog.get(taken.model), self._catalog.get(spared.model)
        if not all(model.output_ratio for model in models):
            return _scaled(usage.output_tokens, spared.output_tokens, taken.output_tokens)
        mine, theirs = writes(models[0], taken.effort), writes(models[1], spared.effort)
        words = max(usage.output_tokens - usage.reasoning_tokens, 0) / mine.ratio
        return round(words * theirs.ratio + theirs.reasoning * thought_for(words))


class Watched(Run):
    """A Run whose end is noted in the decision log."""

    __slots__ = ("_noted", "_trials")

    def __init__(self, trials: Trials, *arguments: Any) -> None:
        """Take what a Run takes."""
        super().__init__(*arguments)
        self._trials = trials
        self._noted = False

    def settle(self, usage: Usage | None, *, served: str | None = None) -> dict[str, Any]:
        """Settle as a Run does; the record says in ``trial`` what the other one would have done."""
        record = super().settle(usage, served=served)
        if not self._noted:
            self._noted = True
            entry = self._trials.note(self.decision, record, usage)
            if self.decision.trial is not None:
                record["trial"] = {name: entry[name] for name in ("mode", "arm", "key", "baseline", "routed")}
        return record

    def cancel(self) -> None:
        """Cancel as a Run does."""
        super().cancel()
        self._note_failure()

    def fail(
        self, outcome: str, usage: Usage | None = None, *, served: str | None = None, begun: bool = False
    ) -> None:
        """Fail as a Run does."""
        super().fail(outcome, usage, served=served, begun=begun)
        self._note_failure()

    def _note_failure(self) -> None:
        if not self._noted:
            self._noted = True
            self._trials.note(self.decision, None, None)


def _as_asked(decision: Decision, facts: RequestFacts, baseline: str, catalog: Catalog) -> Decision:
    """Send the baseline what the program asks for, though it should be refused: so it was before."""
    parameters = {name: thaw(value) for name, value in facts.parameters}
    endpoint = facts.endpoint or "chat_completions"
    model = catalog.get(baseline)
    call = Call(
        model=model.sent_as,
        base_url=model.base_url,
        endpoint=endpoint,
        effort=facts.effort,
        cap=facts.cap,
        parameters=parameters,
        stream=facts.stream,
    )
    chosen = Candidate(
        model=model.id,
        effort=facts.effort,
        endpoint=endpoint,
        input_tokens=facts.tokens.likely,
        sent_as=model.sent_as,
        base_url=model.base_url,
    )
    return replace(decision, chosen=chosen, call=call, changes=())


def _written(model: Model, fresh: int, at: date) -> int:
    """Return the tokens that the provider would write to the model's prompt cache, and bill as written."""
    price, terms = model.price(at), model.cache
    if price is None or price.cache_write is None or terms is None or fresh < terms.min_prefix:
        return 0
    return fresh // terms.step * terms.step


def _scaled(used: int, spared: float, taken: float) -> int:
    return round(used * spared / taken) if taken else used


def _configuration(decision: Decision) -> dict[str, Any]:
    chosen = decision.chosen
    return {
        "model": None if chosen is None else chosen.model,
        "effort": None if chosen is None else chosen.effort,
        "endpoint": None if chosen is None else chosen.endpoint,
        "estimated_cost": None if chosen is None or chosen.cost is None else format_dollars(chosen.cost),
        "changes": [[change.parameter, change.action] for change in decision.changes],
    }


def _refusal(decision: Decision) -> str | None:
    if decision.chosen is not None:
        return None
    pinned = decision.facts.model
    if pinned is not None:
        reasons = decision.reasons_against(pinned)
        if reasons:
            return reasons[0].code
    return "no_model_fits"
