"""From what files say to what is true of a model: family, base, endpoint and entry merged, then checked.

A *spec* is one validated file as plain data; a *resolved* model is plain, JSON-able data too, with every
question answered. Nothing here needs pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routed_llm.catalog.vocabulary import PLAIN, did_you_mean, problem

__all__ = ["Context", "inherit", "merge", "overlay", "resolve"]

Spec = dict[str, Any]

# Tables that are replaced as a whole, since their source speaks for all of their rows.
_WHOLE = ("prices", "fine_tuned", "recall", "output_ratio", "thought", "speed")
# What a model based on another never takes over: the names by which the other is known.
HOME = "is_home"
"""What marks an entry that is a model's home at another address."""
PLACE = ("order", "weight", "requests_per_minute", "tokens_per_minute", HOME)
"""What is true of one home of a model, and of no other."""
_OWN = ("id", "aliases", "snapshots", "sent_as", "base", *PLACE)


_KEYS = ("api_key_env", "headers", "keyless")
"""What an address is called with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What resolving needs besides the entry: the shared files, as plain data."""

    endpoints: Mapping[str, Spec]
    families: Mapping[str, Spec]
    framings: Mapping[str, Mapping[str, Spec]]
    images: Mapping[str, Spec]
    fees: Mapping[str, Spec] = field(default_factory=dict)
    ranks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> Spec:
    """Lay one spec over another: tables key by key, everything else, and each parameter rule, as a whole."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        if key == "parameters" and isinstance(below, Mapping):
            merged[key] = {name: {**below.get(name, {}), **value.get(name, {})} for name in {*below, *value}}
        elif isinstance(value, Mapping) and isinstance(below, Mapping) and key not in _WHOLE:
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def inherit(base: Mapping[str, Any], entry: Mapping[str, Any]) -> Spec:
    """Lay an entry over the model it is based on, which keeps its own names to itself."""
    return overlay({key: value for key, value in base.items() if key not in _OWN}, entry)


def overlay(base: Mapping[str, Any], entry: Mapping[str, Any]) -> Spec:
    """Lay an entry over a model; what the model knows of efforts that the entry takes away goes with them."""
    kept = dict(base)
    if entry.get("base_url", kept.get("base_url")) != kept.get("base_url"):
        # The key of one address is not the key of another.
        kept = {key: value for key, value in kept.items() if key not in _KEYS}
    if "efforts" in entry:
        rows = entry["efforts"] or [PLAIN]
        for key in ("verdicts", "output_ratio", "thought", "quality_rank"):
            if key in kept:
                kept[key] = {row: v for row, v in kept[key].items() if row in rows or row == "source"}
        if "recall" in kept:
            known = [row for row in kept["recall"]["rows"] if row.get("effort") in (None, *rows)]
            kept["recall"] = {**kept["recall"], "rows": known}
        if kept.get("default_effort") not in rows:
            kept.pop("default_effort", None)
    return merge(kept, entry)


def resolve(spec: Mapping[str, Any], context: Context, path: str | None) -> Spec:
    """Answer every question about one model.

    Args:
        spec: the entry, laid over its base if it has one.
        context: the shared files.
        path: the file, for errors.

    Raises:
        CatalogError: when a name is unknown, something is missing or the parts contradict each other.
    """
    family_name = spec.get("family") or "compatible"
    if family_name not in context.families:
        raise problem(
            path,
            "family",
            f"no family is called {family_name!r}. {did_you_mean(family_name, context.families)}",
        )
    family = {key: value for key, value in context.families[family_name].items() if key != "name"}
    notes = [*family.pop("unverified", ()), *spec.get("unverified", ())]
    full = merge({key: value for key, value in family.items() if key not in ("source", "verified")}, spec)
    endpoints = full.get("endpoints", [])
    resolved = {
        "id": full["id"],
        "sent_as": full.get("sent_as", full["id"]),
        "family": family_name,
        "base": full.get("base"),
        "base_url": full.get("base_url"),
        "pool": full.get("pool", "default"),
        "aliases": full.get("aliases", []),
        "snapshots": full.get("snapshots", []),
        "inputs": full.get("inputs", ["text"]),
        "outputs": full.get("outputs", ["text"]),
        "requires_audio": full.get("requires_audio", False),
        "endpoints": endpoints,
        "tools": {name: accept for name, accept in full.get("tools", {}).items() if name in endpoints},
        "builtin_tools": full.get("builtin_tools", []),
        "fees": _fees(full, context),
        "structured": full.get("structured", []),
        "streaming": full.get("streaming", True),
        "efforts": _efforts(full, context),
        "default_effort": full.get("default_effort"),
        "reasoning_room": {
            e: n for e, n in full.get("reasoning_room", {}).items() if e in full.get("efforts", ())
        },
        "output_ratio": {
            e: n for e, n in full.get("output_ratio", {}).items() if e not in ("assumed", "source")
        },
        "thought": {e: n for e, n in full.get("thought", {}).items() if e != "source"},
        "image": _image(full, context, path),
        "cache": full.get("cache"),
        "limits": full.get("limits", {}),
        "lifecycle": full.get("lifecycle", {}),
        "prices": full.get("prices", {"rows": []}),
        "fine_tuned": full.get("fine_tuned"),
        "verdicts": {
            row: {name: [v["verdict"], v["on"]] for name, v in table.items()}
            for row, table in full.get("verdicts", {}).items()
        },
        "recall": full.get("recall", {"rows": []}),
        "speed": full.get("speed"),
        "compared": full.get("compared", []),
        "equivalent_to": full.get("equivalent_to", []),
        "quality_rank": _ranks(full, context),
        "framing": _framing(full, context, path),
        "regional_surcharge": full.get("regional_surcharge", 0),
        "encoding": full.get("encoding", "o200k_base"),
        "unverified": notes,
        "source": full.get("source") or full.get("limits", {}).get("source", ""),
        "verified": full.get("verified") or full.get("prices", {}).get("verified"),
    }
    resolved.update({name: full[name] for name in (*_KEYS, *PLACE) if name in full})
    resolved["parameters"] = {name: _parameters(name, full, resolved, context) for name in endpoints}
    _check(resolved, full, path)
    return resolved


def _ranks(full: Spec, context: Context) -> dict[str, int]:
    if "quality_rank" in full:
        return dict(full["quality_rank"])
    ranks = context.ranks.get(full["id"]) or context.ranks.get(full.get("base") or "", {})
    rows = full.get("efforts") or [PLAIN]
    return {row: rank for row, rank in ranks.items() if row in rows}


def _fees(full: Spec, context: Context) -> dict[str, list[Spec]]:
    """List what each hosted tool of a model costs, the latest row first."""
    names, reasons = {full["id"], full.get("base")}, bool(full.get("efforts"))
    found: dict[str, list[Spec]] = {}
    for tool in full.get("builtin_tools", []):
        fee = context.fees.get(tool)
        if fee is None:
            continue
        rows: dict[str, Spec] = {}
        for row in fee["rows"]:
            if names & set(row.get("models") or names) and row.get("reasons") in (None, reasons):
                rows.setdefault(row["since"], row)
        known = {"calls": fee["calls"], "quantiles": fee["quantiles"], "most_calls": fee["most"],
                 "always": fee.get("always", False)}  # fmt: skip
        kept = ("since", "each", "by", "reads", "reads_most", "block")
        found[tool] = [
            {**known, **{key: row[key] for key in kept if key in row}, "most": row.get("most") or row["each"]}
            for _, row in sorted(rows.items(), reverse=True)
        ]
    return found


def _efforts(full: Spec, context: Context) -> dict[str, list[str]]:
    efforts = full.get("efforts", [])
    if not efforts:
        return {}
    return {
        name: [effort for effort in efforts if effort not in context.endpoints[name]["without_efforts"]]
        for name in full.get("endpoints", [])
    }


def _image(full: Spec, context: Context, path: str | None) -> Spec | None:
    name = full.get("image")
    if name is None:
        return None
    if name not in context.images:
        raise problem(
            path, "image", f"no image rule is called {name!r}. {did_you_mean(name, context.images)}"
        )
    return {**context.images[name], "name": name, "unverified": full.get("image_unverified")}


def _framing(full: Spec, context: Context, path: str | None) -> Spec:
    name = full.get("framing")
    if name is None:
        return {}
    if name not in context.framings:
        raise problem(
            path, "framing", f"no framing is called {name!r}. {did_you_mean(name, context.framings)}"
        )
    return {key: rule for key, rule in context.framings[name].items() if key in full.get("endpoints", [])}


def _parameters(endpoint: str, full: Spec, resolved: Spec, context: Context) -> dict[str, Spec]:
    """Lay a model's rules over the endpoint's; what an endpoint does not have, no model can add."""
    place = context.endpoints[endpoint]
    rules: dict[str, Spec] = {name: {"rename": to} for name, to in place.get("names", {}).items()}
    theirs = {} if full.get("base_url") else place.get("own_parameters", {})
    for name, rule in {**place.get("parameters", {}), **theirs}.items():
        rules[name] = {**rules.get(name, {}), **rule}
    own = full.get("parameters", {})
    for name, rule in {**own.get("any", {}), **own.get(endpoint, {})}.items():
        if name not in place["absent"]:
            rules[name] = {**rules.get(name, {}), **rule}
    efforts = resolved["efforts"].get(endpoint, [])
    effort_rule = rules.get("reasoning_effort", {})
    if efforts:
        rules["reasoning_effort"] = {"only": efforts, **effort_rule}
    elif effort_rule.get("accept") != "no":
        rules["reasoning_effort"] = {**effort_rule, "accept": "no"}
    tiers = {row.get("tier", "standard") for row in resolved["prices"]["rows"]}
    if "standard" in tiers:
        only = ["auto", "default", *(["flex"] if "flex" in tiers else [])]
        only += ["priority", "fast"] if "priority" in tiers else []
        only += ["ultrafast"] if "ultrafast" in tiers else []
        rules["service_tier"] = {"only": only, **rules.get("service_tier", {})}
    return dict(sorted(rules.items()))


def _check(model: Spec, full: Spec, path: str | None) -> None:
    """Refuse a model whose parts cannot be true together."""
    _check_limits(model["limits"], path)
    if not model["endpoints"]:
        raise problem(path, "endpoints", "empty. Name at least one.")
    _check_days(model["lifecycle"], path)
    efforts = full.get("efforts", [])
    default = model["default_effort"]
    if default is not None and default not in efforts:
        choice = f"Use one of: {', '.join(efforts)}." if efforts else "Remove it, or name the efforts."
        raise problem(path, "default_effort", f"{default!r} is not among the efforts. {choice}")
    _check_rows(model, efforts, path)
    _check_prices(model["prices"]["rows"], path)


def _check_limits(limits: Spec, path: str | None) -> None:
    for key in ("context_window", "max_input", "max_output"):
        if limits.get(key) is None:
            raise problem(path, f"limits.{key}", "missing. Add it.")
    window = limits["context_window"]
    for key in ("max_input", "max_output"):
        if limits[key] > window:
            what = f"{limits[key]:,} is more than the context window of {window:,}. Correct one of them."
            raise problem(path, f"limits.{key}", what)


def _check_days(life: Spec, path: str | None) -> None:
    for earlier, later in (("released", "deprecated"), ("released", "shutdown"), ("deprecated", "shutdown")):
        if life.get(earlier) and life.get(later) and life[later] < life[earlier]:
            what = f"{life[later]} is before the day it was {earlier}, {life[earlier]}. Correct one of them."
            raise problem(path, f"lifecycle.{later}", what)


def _check_prices(rows: list[Spec], path: str | None) -> None:
    def row_of(row: Spec) -> tuple[Any, str]:
        return row.get("since"), row.get("tier", "standard")

    bases = {row_of(row) for row in rows if not row.get("above")}
    for index, row in enumerate(rows):
        if row.get("above") and row_of(row) not in bases:
            what = "no row of the same day and tier prices shorter requests. Add one."
            raise problem(path, f"prices.rows[{index}].above", what)


def _check_rows(model: Spec, efforts: list[str], path: str | None) -> None:
    """Refuse rows for efforts that the model does not have."""
    allowed = efforts or [PLAIN]
    for key in ("verdicts", "output_ratio", "thought", "quality_rank"):
        for row in model[key]:
            if row not in allowed:
                raise problem(
                    path,
                    f"{key}.{row}",
                    f"{row!r} is not an effort of this model. Use one of: {', '.join(allowed)}.",
                )
    for index, row in enumerate(model["recall"]["rows"]):
        if row.get("effort") is not None and row["effort"] not in efforts:
            raise problem(
                path,
                f"recall.rows[{index}].effort",
                f"{row['effort']!r} is not an effort of this model. Use one of: {', '.join(allowed)}.",
            )
