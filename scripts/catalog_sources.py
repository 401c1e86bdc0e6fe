"""What other publishers say of the catalog's models, field by field, in the catalog's own terms.

A reader gives ``{(model, field): value}``, or None when its package is not installed. Fields are
``limits.*`` (tokens), ``lifecycle.*`` (days), ``prices.<tier>.<short|long>.<column>`` (picodollars per
token), ``listed`` (an id that the catalog lacks),
``structured.json_schema``, ``inputs.<kind>``, ``efforts`` and ``parameters.<endpoint>.<name>``.
A value of None means that the source says there is none; a field it is silent on is left out.
"""

from __future__ import annotations

import importlib.util
import json
import re
import runpy
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from routed_llm.catalog import Catalog, Model

__all__ = ["AT", "READERS", "Facts", "from_catalog", "from_litellm_file", "installed"]

ROOT = Path(__file__).parent.parent
AT = date(2026, 11, 29)
"""The day for which prices are compared."""
LONG = 272_001
TIERS = ("standard", "batch", "flex", "priority", "ultrafast")
COLUMNS = ("input", "output", "cached_input", "cache_write")
ENDPOINTS = {"chat": "chat_completions"}
"""Names of the simulator that differ from the catalog's."""
Facts = dict[tuple[str, str], Any]


def from_catalog(catalog: Catalog) -> Facts:
    """Say what the catalog says, under the field names of the readers."""
    facts: Facts = {}
    for model in catalog:
        for key in ("context_window", "max_input", "max_output"):
            facts[model.id, f"limits.{key}"] = getattr(model.limits, key)
        facts[model.id, "lifecycle.released"] = model.lifecycle.released
        facts[model.id, "lifecycle.shutdown"] = model.lifecycle.shutdown
        facts[model.id, "lifecycle.replacement"] = model.lifecycle.replacement
        facts[model.id, "streaming"] = model.streaming
        facts[model.id, "structured.json_schema"] = "json_schema" in model.structured
        for kind in ("image", "audio", "pdf"):
            facts[model.id, f"inputs.{kind}"] = kind in model.inputs
        facts[model.id, "efforts"] = max(model.efforts.values(), key=len, default=())
        facts[model.id, "endpoints"] = tuple(sorted(model.endpoints))
        facts[model.id, "image"] = None if model.image is None else model.image.name
        facts.update(((model.id, field), amount) for field, amount in _catalog_prices(model))
        for endpoint, rules in model.parameters.items():
            for name, rule in rules.items():
                only = "" if rule.only is None else f" only {', '.join(map(str, rule.only))}"
                facts[model.id, f"parameters.{endpoint}.{name}"] = rule.accept + only
        for endpoint, accept in model.tools.items():
            facts[model.id, f"tools.{endpoint}"] = accept
    return facts


def _catalog_prices(model: Model) -> Iterator[tuple[str, int | None]]:
    for tier in TIERS:
        short = model.price(AT, tier=tier)
        if short is None:
            continue
        long = model.price(AT, tier=tier, input_tokens=LONG)
        for length, row in (("short", short), ("long", long if long != short else None)):
            for column in COLUMNS if row is not None else ():
                yield f"prices.{tier}.{length}.{column}", getattr(row, column)


def from_simulator(_: Catalog) -> Facts:
    """Read the simulator's own rules; they are data here, so that neither side imports the other."""
    folder = ROOT / "src" / "routed_llm" / "simulator" / "data"
    models = tomllib.loads((folder / "models.toml").read_text(encoding="utf-8"))["models"]
    rules = tomllib.loads((folder / "parameters.toml").read_text(encoding="utf-8"))
    facts: Facts = {}
    for name, entry in models.items():
        facts[name, "limits.context_window"] = entry["window"]
        facts[name, "limits.max_input"] = entry["max_input"]
        facts[name, "limits.max_output"] = entry["max_output"]
        facts[name, "lifecycle.shutdown"] = entry.get("shutdown")
        facts.update(_simulator_prices(name, entry))
        if entry["family"] == "retired":
            continue  # of these it only knows how to refuse them
        facts[name, "efforts"] = tuple(entry.get("efforts", ()))
        facts[name, "endpoints"] = tuple(sorted(ENDPOINTS.get(found, found) for found in entry["endpoints"]))
        facts[name, "inputs.image"] = "image" in entry["inputs"]
        facts[name, "inputs.audio"] = "audio" in entry["inputs"]
        facts[name, "image"] = entry.get("image_rule")
        if "structured_outputs" in entry:
            facts[name, "structured.json_schema"] = entry["structured_outputs"]
        facts.update(_simulator_rules(name, entry, rules))
    return facts


def _simulator_prices(name: str, entry: Mapping[str, Any]) -> Facts:
    return {
        (name, f"prices.{tier}.{length}.{column}"): _pico(row[column]) if column in row else None
        for tier, lengths in entry.get("prices", {}).items()
        for length, row in lengths.items()
        for column in COLUMNS
    }


def _simulator_rules(name: str, entry: Mapping[str, Any], rules: Mapping[str, Any]) -> Facts:
    facts = _simulator_defaults(name, entry, rules)
    endpoints = {"chat": "chat_completions", "responses": "responses"}
    words = {"with_effort_none": "effort_none", "reject": "no", "without_items": "no"}
    renamed = {"reasoning.effort": "reasoning_effort", "text.verbosity": "verbosity"}
    for rule in rules["rule"]:
        if entry["family"] not in rule["families"] or name in rule.get("except_models", ()):
            continue
        if name not in rule.get("only_models", (name,)):
            continue
        if rule.get("param") == "stream":
            facts[name, "streaming"] = rule["default"]
            continue
        for short, endpoint in endpoints.items():
            if short not in entry["endpoints"] or rule["endpoint"] not in (short, "both"):
                continue
            for parameter in _parameters(rule):
                own = renamed.get(parameter, parameter)
                values = [rule["default"]] if rule["kind"] == "only_default" else rule.get("values", [])
                word = words.get(rule["kind"], f"yes only {', '.join(map(str, values))}")
                if rule["kind"] != "use" and ("." not in own or "items" in rule):
                    facts[name, f"parameters.{endpoint}.{own}"] = word
    if "chat" in entry["endpoints"] and entry.get("tools", True):
        refused = {**rules["tools_on_chat_models"]}.get(name) or rules["tools_on_chat"].get(entry["family"])
        never = refused is not None and "none" not in entry.get("efforts", ())
        facts[name, "tools.chat_completions"] = "no" if never else "effort_none" if refused else "yes"
    return facts


def _simulator_defaults(name: str, entry: Mapping[str, Any], rules: Mapping[str, Any]) -> Facts:
    """Take every parameter that some rule speaks of, where no rule refuses it."""
    if entry["family"] == "search":  # has a list of what it takes instead
        return {}
    facts: Facts = {}
    for rule in rules["rule"]:
        for parameter in _parameters(rule):
            nested = "." in parameter and "items" not in rule
            if rule["kind"] == "use" or nested or parameter in ("reasoning_effort", "stream"):
                continue  # renamed parameters, efforts and streaming are compared under their own fields
            for endpoint in entry["endpoints"]:
                if rule["endpoint"] in (endpoint, "both"):
                    facts[name, f"parameters.{ENDPOINTS.get(endpoint, endpoint)}.{parameter}"] = "yes"
    return facts


def _parameters(rule: Mapping[str, Any]) -> list[str]:
    """Name what a rule is about; an item of a list is a parameter of its own to the catalog."""
    return rule.get("items") or rule.get("params") or [rule["param"]]


def from_sdk(catalog: Catalog) -> Facts | None:
    """Read the installed openai SDK: the ids it lists, and its docstring's shutdown days if it has any."""
    found = importlib.util.find_spec("openai")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "types" / "shared" / "chat_model.py"
    text = path.read_text(encoding="utf-8")
    return {**_sdk_days(text, catalog), **_sdk_ids(text, catalog)}


def from_chat_model_data(catalog: Catalog) -> Facts:
    """Read the shutdown days of openai 3.54.0, kept as data since older SDKs have none."""
    table = tomllib.loads((Path(__file__).parent / "data" / "chat_model_shutdowns.toml").read_text("utf-8"))
    days = {name: row["day"] for row in table["shutdown"] for name in row["ids"]}
    return _days(days, catalog)


def _sdk_days(text: str, catalog: Catalog) -> Facts:
    flat = " ".join(text.split())
    days: dict[str, date] = {}
    for names, day in re.findall(r'- ((?:"[^"]+",? ?)+): Announced shutdown date: (\d{4}-\d\d-\d\d)', flat):
        days.update(dict.fromkeys(re.findall(r'"([^"]+)"', names), date.fromisoformat(day)))
    return _days(days, catalog) if days else {}


def _days(days: Mapping[str, date], catalog: Catalog) -> Facts:
    facts: Facts = {}
    for name, day in days.items():
        if name in catalog and catalog.get(name).lifecycle.shutdown != day:
            facts[catalog.get(name).id, "lifecycle.shutdown"] = day
        elif name in catalog:
            facts.setdefault((catalog.get(name).id, "lifecycle.shutdown"), day)
    return facts


def _sdk_ids(text: str, catalog: Catalog) -> Facts:
    return _unknown(re.findall(r'^    "([^"]+)",$', text, flags=re.MULTILINE), catalog)


def _unknown(names: Iterable[str], catalog: Catalog) -> Facts:
    """Name the ids that neither the catalog nor its list of ended models has."""
    return {(name, "listed"): True for name in names if name not in catalog and name not in _ended()}


def _ended() -> frozenset[str]:
    path = ROOT / "src" / "routed_llm" / "catalog" / "ended.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return frozenset(name for row in table["ended"] for name in row["ids"])


def from_langchain(catalog: Catalog) -> Facts | None:
    """Read langchain-openai's profiles, which come from models.dev."""
    found = importlib.util.find_spec("langchain_openai")
    if found is None or found.origin is None:
        return None
    # The file alone: the package around it may want another release of langchain-core than is installed.
    path = Path(found.origin).parent / "data" / "_profiles.py"
    profiles = runpy.run_path(str(path))["_PROFILES"]
    keys = {"max_input_tokens": "limits.max_input", "max_output_tokens": "limits.max_output",
            "image_inputs": "inputs.image", "audio_inputs": "inputs.audio", "pdf_inputs": "inputs.pdf",
            "structured_output": "structured.json_schema"}  # fmt: skip
    facts: Facts = {}
    for name, profile in profiles.items():
        if name not in catalog or catalog.get(name).id != name:
            continue
        facts.update(((name, field), profile[key]) for key, field in keys.items() if key in profile)
        if "release_date" in profile:
            facts[name, "lifecycle.released"] = date.fromisoformat(profile["release_date"])
        if "reasoning_effort_levels" in profile:
            facts[name, "efforts"] = tuple(profile["reasoning_effort_levels"])
        if profile.get("temperature") is not None:
            facts[name, "parameters.chat_completions.temperature"] = "yes" if profile["temperature"] else "no"
    return facts


def from_genai_prices(catalog: Catalog) -> Facts | None:
    """Read genai-prices: its prices by tier and length, and its context windows."""
    if importlib.util.find_spec("genai_prices") is None:
        return None
    from genai_prices.data_snapshot import get_snapshot

    (provider,) = (found for found in get_snapshot().providers if found.id == "openai")
    facts: Facts = {}
    for model in catalog:
        entry = next((found for found in provider.models if found.is_match(model.id)), None)
        if entry is None:
            continue  # a model that they do not have yet: nothing is said of it
        if entry.context_window is not None:
            facts[model.id, "limits.context_window"] = entry.context_window
        facts.update(((model.id, field), amount) for field, amount in _genai_rows(entry))
    return facts


def _genai_rows(entry: Any) -> Iterator[tuple[str, int | None]]:
    rows = entry.prices if isinstance(entry.prices, list) else None
    standard = entry.prices
    if rows is not None:
        standard = [row for row in rows if row.constraint is None or row.constraint.start_date <= AT][
            -1
        ].prices
    tiers = {"standard": standard}
    for variant in entry.price_variants or ():
        when = {**variant.when}
        tier = "batch" if when.get("processing") == "batch" else when.get("service_tier")
        if tier in ("batch", "flex", "priority") and len(when) == 1:
            tiers[tier] = variant.prices
    names = {"input": "input_mtok", "output": "output_mtok", "cached_input": "cache_read_mtok",
             "cache_write": "cache_write_mtok"}  # fmt: skip
    for tier, prices in tiers.items():
        for column, key in names.items():
            amount = getattr(prices, key, None)
            inherited = getattr(standard, key, None) if amount is None and tier != "standard" else None
            amount = amount if amount is not None else inherited
            steps = getattr(amount, "tiers", ())
            yield f"prices.{tier}.short.{column}", _pico(getattr(amount, "base", amount))
            if steps:
                yield f"prices.{tier}.long.{column}", _pico(steps[0].price)


def from_litellm(catalog: Catalog) -> Facts | None:
    """Read litellm's bundled map, without importing litellm."""
    found = importlib.util.find_spec("litellm")
    if found is None or found.origin is None:
        return None
    return from_litellm_file(
        Path(found.origin).parent / "model_prices_and_context_window_backup.json", catalog
    )


def from_litellm_file(path: Path, catalog: Catalog) -> Facts:
    """Read a copy of litellm's map."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    facts = _unknown((name for name, row in rows.items() if _serves_chat(name, row)), catalog)
    for model in catalog:
        row = rows.get(model.id)
        if row is None:
            continue
        for key, field in (("max_input_tokens", "max_input"), ("max_output_tokens", "max_output")):
            if key in row:
                facts[model.id, f"limits.{field}"] = row[key]
        if row.get("deprecation_date"):
            facts[model.id, "lifecycle.shutdown"] = date.fromisoformat(row["deprecation_date"])
        if row.get("successor_model"):
            facts[model.id, "lifecycle.replacement"] = row["successor_model"]
        facts.update(((model.id, field), amount) for field, amount in _litellm_prices(row))
    return facts


def _litellm_prices(row: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    names = {
        "input": "input_cost_per_token",
        "output": "output_cost_per_token",
        "cached_input": "cache_read_input_token_cost",
        "cache_write": "cache_creation_input_token_cost",
    }
    marks = {"standard": "", "batch": "_batches", "flex": "_flex", "priority": "_priority",
             "ultrafast": "_ultrafast"}  # fmt: skip
    for tier, mark in marks.items():
        for column, name in names.items():
            for length, step in (("short", ""), ("long", "_above_272k_tokens")):
                amount = row.get(f"{name}{step}{mark}")
                if amount is not None:
                    yield f"prices.{tier}.{length}.{column}", round(Decimal(str(amount)) * 10**12)


def _serves_chat(name: str, row: Mapping[str, Any]) -> bool:
    own = row.get("litellm_provider") == "openai" and row.get("mode") in ("chat", "responses")
    return own and not name.startswith("ft:") and "/" not in name


def _pico(amount: Any) -> int | None:
    return None if amount is None else int(Decimal(str(amount)) * 1_000_000)


READERS: dict[str, tuple[str | None, Callable[[Catalog], Facts | None]]] = {
    "simulator": (None, from_simulator),
    "openai": ("openai", from_sdk),
    "openai 3.54.0": (None, from_chat_model_data),
    "langchain-openai": ("langchain-openai", from_langchain),
    "genai-prices": ("genai-prices", from_genai_prices),
    "litellm": ("litellm", from_litellm),
}
"""Source to the distribution it reads (None: files of this repository) and its reader."""


def installed(distribution: str) -> str | None:
    """Give the installed version of a distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
