"""What routing does at a site: who serves it once its model has stopped, for how much, what changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from routed_llm.catalog import Catalog, Model
from routed_llm.decision import Candidate, Decision
from routed_llm.errors import RoutedError
from routed_llm.facts import jsonable
from routed_llm.migrate.found import Options, Site
from routed_llm.migrate.rules.base import UNKNOWN
from routed_llm.policy import Policy
from routed_llm.request import RequestBuilder
from routed_llm.router import Router

__all__ = ["INPUT_SHARE", "Effects"]

INPUT_SHARE: Final = Decimal("0.8")
"""Share of input tokens in the one figure per million tokens that stands for a site."""

_TOKEN: Final = Decimal(1_000_000)
"""Picodollars per token that make one US dollar per million tokens."""

_NAMES: Final[Mapping[str, str]] = {
    "streaming": "stream",
    "stop_sequences": "stop",
    "max_output_tokens": "max_tokens",
}
_PASSED: Final = frozenset(
    {
        "temperature",
        "top_p",
        "n",
        "stop",
        "seed",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "frequency_penalty",
        "presence_penalty",
        "max_tokens",
        "max_completion_tokens",
        "reasoning_effort",
        "response_format",
        "service_tier",
        "modalities",
        "verbosity",
        "stream",
        "prediction",
        "parallel_tool_calls",
    }
)
_TYPICAL: Final[Mapping[str, Any]] = {
    "temperature": 0.7,
    "top_p": 0.9,
    "max_tokens": 1000,
    "max_completion_tokens": 1000,
}
_TOOL: Final = {
    "type": "function",
    "function": {"name": "look_up", "description": "", "parameters": {"type": "object", "properties": {}}},
}
_SCHEMA: Final = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
}


class Effects:
    """Works out effects from the catalog; remembers those it has worked out.

    Args:
        options: ``at`` gives the day before which nothing is asked about, ``models`` the renamed ids.
        catalog: the models there are.
    """

    def __init__(self, options: Options, catalog: Catalog) -> None:
        self._catalog = catalog
        self._router = Router(catalog=catalog)
        self._renamed = options.models
        self._today = date.fromisoformat(options.at) if options.at else date(2026, 11, 22)
        self._known: dict[str, Mapping[str, Any]] = {}

    def __call__(self, site: Site) -> Mapping[str, Any]:
        """Return what routing does there, as JSON-able data; ``unfit`` says why nothing can serve it."""
        key = repr((site.model, sorted(site.parameters.items(), key=repr), site.uses))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._work_out(site)
        return found

    def _work_out(self, site: Site) -> Mapping[str, Any]:
        name = self._renamed.get(site.model, site.model)
        try:
            model = self._catalog.get(name)
            day = max(self._today, model.lifecycle.shutdown or self._today)
            decision = self._router.explain(_request(site), policy=Policy(baseline=name), at=day)
        except RoutedError as error:
            return {"unfit": str(error), "baseline": name}
        effect: dict[str, Any] = {
            "baseline": name,
            "shutdown": None if model.lifecycle.shutdown is None else model.lifecycle.shutdown.isoformat(),
            "replacement": model.lifecycle.replacement,
            "at": day.isoformat(),
            "before": _prices(model, None, self._today),
        }
        if decision.chosen is None:
            return {**effect, "unfit": _refusal(decision)}
        return {**effect, **self._served(decision, decision.chosen)}

    def _served(self, decision: Decision, chosen: Candidate) -> dict[str, Any]:
        return {
            "model": chosen.model,
            "effort": chosen.effort,
            "endpoint": chosen.endpoint,
            "changes": [
                {key: jsonable(value) for key, value in change.to_dict().items()} | {"text": change.text}
                for change in decision.changes
            ],
            "without_evidence": list(decision.without_evidence),
            "after": _prices(self._catalog.get(chosen.model), chosen.effort, decision.at),
        }


def _request(site: Site) -> Any:
    builder = RequestBuilder()
    builder.message("user").text("Summarise the report in three sentences and name its author.")
    given = dict(site.parameters)
    for name in ("model_kwargs", "additional_kwargs"):
        extra = given.pop(name, None)
        if isinstance(extra, Mapping):
            given.update(extra)
    for name, value in given.items():
        sent = _NAMES.get(name, name)
        if sent in _PASSED:
            builder.set(sent, _TYPICAL.get(sent) if value == UNKNOWN else value)
    if "stop" in site.uses:
        builder.set("stop", ["\n"])
    if "tools" in site.uses or given.get("tools") is True:
        builder.tools([_TOOL])
    if "structured" in site.uses:
        builder.set("response_format", _SCHEMA)
    return builder.build()


def _refusal(decision: Decision) -> str:
    refused = list(decision.rejected.values())
    return (
        f"{refused[0]}. Look at {len(refused)} models' reasons with Router.explain."
        if refused
        else "no model fits."
    )


def _prices(model: Model, effort: str | None, at: date) -> dict[str, str | None] | None:
    """Return US dollars per million tokens: input, output, and both mixed for the same work."""
    row = model.price(at)
    if row is None:
        return None
    paid_in, paid_out = Decimal(row.input) / _TOKEN, Decimal(row.output) / _TOKEN
    ratio = model.output_ratio.get(effort or "")
    mixed = None
    if ratio is not None:
        mixed = INPUT_SHARE * paid_in + (1 - INPUT_SHARE) * paid_out * Decimal(str(ratio))
    return {
        "input": _plain(paid_in),
        "output": _plain(paid_out),
        "output_ratio": None if ratio is None else str(ratio),
        "mixed": None if mixed is None else _plain(mixed),
    }


def _plain(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.0001')):f}".rstrip("0").rstrip(".")
