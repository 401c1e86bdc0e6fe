"""Resolved plain data to frozen Models: the fast path, without pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

from routed_llm.catalog.frozen import FrozenDict
from routed_llm.catalog.model import (
    CacheTerms,
    Fee,
    ImageRuleSpec,
    Lifecycle,
    Limits,
    Measure,
    Model,
    ParameterRule,
    Price,
    Recall,
    Speed,
    Verdict,
)
from routed_llm.catalog.vocabulary import PLAIN, parse_evidence
from routed_llm.framing import Framing

__all__ = ["build", "fine_tune", "snapshot"]


def build(data: Mapping[str, Any]) -> Model:
    """Make the Model of one resolved entry."""
    life, limits, recall = data["lifecycle"], data["limits"], data["recall"]
    return Model(
        id=data["id"],
        sent_as=data["sent_as"],
        family=data["family"],
        base=data["base"],
        base_url=data["base_url"],
        api_key_env=data.get("api_key_env"),
        headers=FrozenDict(data.get("headers", {})),
        keyless=data.get("keyless", False),
        home_of=data["base"] if data.get("is_home") else None,
        order=data.get("order"),
        weight=data.get("weight"),
        requests_per_minute=data.get("requests_per_minute"),
        tokens_per_minute=data.get("tokens_per_minute"),
        pool=data["pool"],
        aliases=tuple(data["aliases"]),
        snapshots=tuple(data["snapshots"]),
        limits=Limits(
            context_window=limits["context_window"],
            max_input=limits["max_input"],
            max_output=limits["max_output"],
            knowledge_cutoff=_day(limits.get("knowledge_cutoff")),
            source=limits.get("source", ""),
            verified=_day(limits.get("verified")),
        ),
        lifecycle=Lifecycle(
            released=_day(life.get("released")),
            deprecated=_day(life.get("deprecated")),
            shutdown=_day(life.get("shutdown")),
            replacement=life.get("replacement"),
            held_to=life.get("held_to"),
            source=life.get("source", ""),
            verified=_day(life.get("verified")),
        ),
        prices=_prices(data["prices"]),
        tier_limits=FrozenDict(data["prices"].get("up_to", {})),
        inputs=frozenset(data["inputs"]),
        outputs=frozenset(data["outputs"]),
        requires_audio=data["requires_audio"],
        endpoints=frozenset(data["endpoints"]),
        tools=FrozenDict(data["tools"]),
        builtin_tools=frozenset(data["builtin_tools"]),
        fees=FrozenDict({tool: tuple([_fee(row) for row in rows]) for tool, rows in data["fees"].items()}),
        structured=frozenset(data["structured"]),
        streaming=data["streaming"],
        efforts=FrozenDict({name: tuple(efforts) for name, efforts in data["efforts"].items()}),
        default_effort=data["default_effort"],
        reasoning_room=FrozenDict(data["reasoning_room"]),
        output_ratio=_rows(data["output_ratio"]),
        thought=FrozenDict(data["thought"]),
        parameters=FrozenDict(
            {
                endpoint: FrozenDict({name: _rule(**_hashable(rule)) for name, rule in rules.items()})
                for endpoint, rules in data["parameters"].items()
            }
        ),
        image=_image(data["image"]),
        cache=None if data["cache"] is None else CacheTerms(**data["cache"]),
        verdicts=_rows(
            {
                row: FrozenDict({name: _verdict(verdict, tuple(on)) for name, (verdict, on) in table.items()})
                for row, table in data["verdicts"].items()
            }
        ),
        recall=tuple(
            Recall(
                test=row["test"],
                effort=row.get("effort"),
                up_to=row["up_to"],
                value=row["value"],
                source=recall.get("source", ""),
            )
            for row in recall["rows"]
        ),
        speed=_speed(data["speed"]),
        compared=_compared(data["compared"]),
        equivalent_to=frozenset(data["equivalent_to"]),
        quality_rank=_rows(data["quality_rank"]),
        framing=FrozenDict({name: _framing(_pairs(rule)) for name, rule in data["framing"].items()}),
        regional_surcharge=data["regional_surcharge"],
        encoding=data["encoding"],
        unverified=tuple(data["unverified"]),
        source=data["source"],
        verified=_day(data["verified"]),
    )


def snapshot(model: Model, name: str, *, listed: bool) -> Model:
    """Make the Model of a dated id of a model: the same facts, sent under its own name."""
    note = () if listed else ("The catalog does not list this snapshot; its model's facts are assumed.",)
    return replace(
        model,
        id=name,
        sent_as=name,
        base=model.id,
        aliases=(),
        snapshots=(),
        unverified=(*model.unverified, *note),
    )


def retired(successor: Model, name: str, shutdown: date) -> Model:
    """Make the Model of an id that stopped and of which no more is known than the model named in its place.

    It can be a baseline, for which its successor then stands; no call is ever sent to it.
    """
    return replace(
        successor,
        id=name,
        sent_as=name,
        pool="named",
        aliases=(),
        snapshots=(),
        endpoints=frozenset(),
        prices=(),
        verdicts=FrozenDict(),
        recall=(),
        quality_rank=FrozenDict(),
        equivalent_to=frozenset(),
        lifecycle=replace(
            successor.lifecycle, released=None, deprecated=None, shutdown=shutdown, replacement=successor.id
        ),
        unverified=("The catalog knows its shutdown and its successor only.",),
    )


def fine_tune(model: Model, name: str, fine_tuned: Mapping[str, Any] | None) -> Model:
    """Make the Model of a fine-tune: its base's limits and rules, its own prices, no published quality."""
    note = () if fine_tuned else ("No price is published for fine-tunes of this model.",)
    return replace(
        model,
        id=name,
        sent_as=name,
        base=model.id,
        pool="named",
        aliases=(),
        snapshots=(),
        prices=_prices(fine_tuned) if fine_tuned else (),
        verdicts=FrozenDict(),
        recall=(),
        compared=FrozenDict(),
        quality_rank=FrozenDict(),
        unverified=(*model.unverified, *note),
    )


@lru_cache(maxsize=512)
def _parse_day(text: str) -> date:
    return date.fromisoformat(text)


def _day(text: str | None) -> date | None:
    return None if text is None else _parse_day(text)


def _rows(table: Mapping[str, Any]) -> FrozenDict[str, Any]:
    return FrozenDict({"" if row == PLAIN else row: value for row, value in table.items()})


def _prices(table: Mapping[str, Any]) -> tuple[Price, ...]:
    source, verified = table.get("source", ""), _day(table.get("verified"))
    return tuple(
        Price(
            **{**row, "since": _parse_day(row.get("since", "2020-01-01"))}, source=source, verified=verified
        )
        for row in table["rows"]
    )


def _fee(row: Mapping[str, Any]) -> Fee:
    made = {"since": _parse_day(row["since"]), "quantiles": tuple(row["quantiles"])}
    return Fee(**{**row, **made, "by": FrozenDict(row.get("by", {}))})


def _hashable(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in rule.items()}


@lru_cache(maxsize=1024)
def _rule(**fields: Any) -> ParameterRule:
    return ParameterRule(**fields)


@lru_cache(maxsize=64)
def _framing(tokens: tuple[tuple[str, Any], ...]) -> Framing:
    # One object for all models of a kind: it is known again by its identity.
    known = {key: value for key, value in tokens if key != "n"}
    return Framing(**{**known, "hosted": FrozenDict(known.get("hosted", ()))})


def _pairs(rule: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (k, tuple(v.items() if isinstance(v, dict) else v) if isinstance(v, (list, dict)) else v)
        for k, v in rule.items()
    )


@lru_cache(maxsize=1024)
def _measure(text: str) -> Measure:
    sign, name, value, reference = parse_evidence(text)
    return Measure(name=name, sign=sign, value=value, reference=reference)


@lru_cache(maxsize=2048)
def _verdict(verdict: str, on: tuple[str, ...]) -> Verdict:
    return Verdict(verdict=verdict, evidence=tuple(_measure(text) for text in on))


def _compared(rows: list[Mapping[str, Any]]) -> FrozenDict[tuple[str, str, str], tuple[Measure, ...]]:
    found: dict[tuple[str, str, str], tuple[Measure, ...]] = {}
    for row in rows:
        for sign, key in (("+", "above"), ("=", "tie"), ("-", "below")):
            for name in row.get(key, ()):
                model, _, effort = name.partition("@")
                where = (model, effort, row["dimension"])
                found[where] = (*found.get(where, ()), Measure(name=row["measure"], sign=sign))
    return FrozenDict(found)


def _speed(table: Mapping[str, Any] | None) -> Speed | None:
    if table is None:
        return None
    return Speed(
        start=table["start"],
        per_input=table["per_million_input"] / 1_000_000,
        per_second=table["per_second"],
        source=table.get("source", ""),
        verified=_day(table.get("verified")),
    )


def _image(rule: Mapping[str, Any] | None) -> ImageRuleSpec | None:
    if rule is None:
        return None
    details = {
        name: (detail["side"], detail.get("patches")) for name, detail in rule.get("details", {}).items()
    }
    return ImageRuleSpec(
        kind=rule["kind"],
        name=rule["name"],
        base=rule.get("base", 0),
        per_tile=rule.get("per_tile", 0),
        multiplier=rule.get("multiplier", 1.0),
        details=FrozenDict(details),
        unverified=rule.get("unverified"),
    )
