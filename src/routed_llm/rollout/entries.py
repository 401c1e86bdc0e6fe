"""Entries: the lines of the decision log, and what the one that did not answer would have cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from routed_llm.decide.quality import LONG_CONTEXT_FROM
from routed_llm.decision import Candidate, Decision, format_dollars
from routed_llm.facts import jsonable
from routed_llm.policy import Policy
from routed_llm.pricing import cost_pico, matter_of, thought_for, writes
from routed_llm.rollout.outputs import Outputs, configuration, kind_of
from routed_llm.usage import Usage

if TYPE_CHECKING:
    from datetime import date

    from routed_llm.catalog import Catalog, Model
    from routed_llm.pricing import Writes
    from routed_llm.rollout.trial import Trial

__all__ = ["ENTRY_VERSION", "Entries"]

ENTRY_VERSION = 1
"""Version of a line of the decision log."""


class Entries:
    """Makes entries.

    Args:
        catalog: the models there are.
        outputs: what an earlier log has shown of what routed models write, or None.
        prompts: whether entries hold the texts of requests.
    """

    def __init__(self, catalog: Catalog, outputs: Outputs | None = None, *, prompts: bool = False) -> None:
        self._catalog = catalog
        self._prompts = prompts
        self._outputs = outputs
        self._efforts: dict[str | None, list[Writes]] = {}

    def of_call(
        self, decision: Decision, record: Mapping[str, Any] | None, usage: Usage | None, *, mode: str
    ) -> dict[str, Any]:
        """Return the entry of a call that has ended; ``record`` is None when it failed."""
        trial: Trial | None = decision.trial
        done = record or decision.record()
        entry: dict[str, Any] = {
            "version": ENTRY_VERSION,
            "time": done.get("settled_at") or decision.at.isoformat(),
            "at": decision.at.isoformat(),
            "mode": mode if trial is None else trial.mode,
            "arm": "pinned" if trial is None else trial.arm,
            "outcome": "failed" if record is None else "answered",
            "kind": kind_of(decision.facts),
            "served": done.get("served"),
            "cost": done.get("cost"),
            "usage": done.get("usage"),
            **({"took": done["took"]} if "took" in done else {}),
            **_again(decision if trial is None else trial.routed),
            **_chosen(decision),
            "replacement": (decision if trial is None else trial.routed).replacement,
        }
        if trial is None:
            return entry
        sides = {"baseline": trial.baseline, "routed": trial.routed}
        costs = {
            name: {"cost": done.get("cost")} if name == trial.arm else self._would_cost(decision, side, usage)
            for name, side in sides.items()
        }
        return {
            **entry,
            "key": trial.key,
            "tags": dict(trial.tags),
            **({"prompt": list(trial.texts or ())} if self._prompts else {}),
            **{
                name: {**_chosen(side), **costs[name], "refused": _refusal(side)}
                for name, side in sides.items()
            },
        }

    def of_second(
        self,
        trial: Trial,
        first: Mapping[str, Any],
        record: Mapping[str, Any] | None,
        *,
        outcome: str,
        why: str | None = None,
    ) -> dict[str, Any]:
        """Return the entry of a sampled second call.

        Args:
            trial: what the first call was part of.
            first: the first call's entry: its guess is what the second call is held against.
            record: what the second call's Run has settled, or None when there is no answer.
            outcome: ``answered``, ``failed`` or ``skipped``.
            why: why there is no answer.
        """
        done = record or {}
        return {
            "version": ENTRY_VERSION,
            "time": done.get("settled_at") or first["time"],
            "at": first["at"],
            "mode": trial.mode,
            "arm": "second",
            "outcome": outcome,
            **({} if why is None else {"why": why}),
            "kind": first["kind"],
            "served": done.get("served"),
            "cost": done.get("cost"),
            "usage": done.get("usage"),
            **_chosen(trial.other),
            "key": trial.key,
            "tags": dict(trial.tags),
            "baseline": first["baseline"],
            "routed": first["routed"],
        }

    def _would_cost(self, decision: Decision, other: Decision, usage: Usage | None) -> dict[str, Any]:
        """Say what the one that did not answer would have cost, from what the other one used."""
        taken, spared = decision.chosen, other.chosen
        if usage is None or taken is None or spared is None or spared.model not in self._catalog:
            return {"cost": None}
        model = self._catalog.get(spared.model)
        read = _scaled(usage.input_tokens, spared.input_tokens, taken.input_tokens)
        cached = min(spared.cached_tokens, read)
        published, extremes = self._published(decision, spared, taken, usage)
        written, by = self._written(spared, published, decision)
        guess = Usage(
            input_tokens=read,
            cached_tokens=cached,
            cache_write_tokens=_cache_written(model, read - cached, decision.at),
            output_tokens=written,
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
            "published_tokens": published,
            "published_range": extremes,
            "by": by,
        }

    def _written(self, spared: Candidate, published: int, decision: Decision) -> tuple[int, str]:
        """Return the output tokens of the one that did not answer, and where the figure is from."""
        if self._outputs is not None:
            name = configuration(spared.model, spared.effort)
            seen = self._outputs.expected(name, kind_of(decision.facts), published)
            if seen is not None:
                return round(seen.tokens), "observed"
        return published, "published"

    def _published(
        self, decision: Decision, spared: Candidate, taken: Candidate, usage: Usage
    ) -> tuple[int, list[int]]:
        """Return what one writes for the same work by published ratios, and by the extremes of them.

        A ratio is published for a benchmark's questions, and says little of a program's own answers. How far
        the models of one effort differ among themselves is the least that it may be off.
        """
        models = self._catalog.get(taken.model), self._catalog.get(spared.model)
        if not all(model.output_ratio for model in models):
            tokens = _scaled(usage.output_tokens, spared.output_tokens, taken.output_tokens)
            return tokens, [tokens, tokens]
        said = max(usage.output_tokens - usage.reasoning_tokens, 0)
        words = said / writes(models[0], taken.effort).ratio
        facts = decision.facts
        long = facts.tokens.likely > LONG_CONTEXT_FROM
        thought = thought_for(words, matter_of(facts.inputs, functions=facts.tools > 0, long=long))
        own, *others = (
            round(words * each.ratio + each.reasoning * thought)
            for each in (writes(models[1], spared.effort), *self._alike(spared.effort))
        )
        return own, [min([own, *others]), max([own, *others])]

    def _alike(self, effort: str | None) -> list[Writes]:
        """Return what every model that has an effort writes at it."""
        if effort not in self._efforts:
            having = [model for model in self._catalog if (effort or "") in model.output_ratio]
            self._efforts[effort] = list({writes(model, effort) for model in having})
        return self._efforts[effort]


_WORDS: Final = frozenset({
    "include", "modalities", "prompt_cache_retention", "reasoning", "reasoning_effort", "service_tier",
    "truncation", "verbosity",
})  # fmt: skip
"""Parameters whose values are words of the API's own; those of others may be the caller's."""


def _again(decision: Decision) -> dict[str, Any]:
    """Return what a decision can be made of again, with a caller's own words left out."""
    facts = decision.facts.to_dict()
    for name, value in facts.get("parameters", {}).items():
        if name not in _WORDS:
            facts["parameters"][name] = _without_text(value)
    return {"catalog": decision.catalog_version, "facts": facts, "policy": _said(decision.policy)}


def _without_text(value: Any) -> Any:
    if isinstance(value, str):
        return ""
    if isinstance(value, dict):
        return {name: _without_text(item) for name, item in value.items()} if len(value) <= 1 else {}
    return [_without_text(item) for item in value] if isinstance(value, list) else value


def _said(policy: Policy | None) -> dict[str, Any]:
    """Return the keywords of a policy that are not the usual ones."""
    if policy is None:
        return {}
    usual = _USUAL.to_dict()
    return {name: jsonable(value) for name, value in policy.to_dict().items() if value != usual[name]}


_USUAL: Final = Policy()


def _cache_written(model: Model, fresh: int, at: date) -> int:
    """Return the tokens that the provider would write to the model's prompt cache, and bill as written."""
    price, terms = model.price(at), model.cache
    if price is None or price.cache_write is None or terms is None or fresh < terms.min_prefix:
        return 0
    return fresh // terms.step * terms.step


def _scaled(used: int, spared: float, taken: float) -> int:
    return round(used * spared / taken) if taken else used


def _chosen(decision: Decision) -> dict[str, Any]:
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
