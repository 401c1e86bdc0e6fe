"""What other publishers say of the catalog's models, field by field, in the catalog's own terms.

A reader gives ``{(model, field): value}``, or None when its package is not installed. Fields are
``limits.*`` (tokens), ``lifecycle.*`` (days), ``prices.<tier>.<short|long>.<column>`` (picodollars per
token), ``listed`` (an id that the catalog lacks),
``structured.json_schema``, ``inputs.<kind>``, ``efforts`` and ``parameters.<endpoint>.<name>``.
A value of None means that the source says there is none; a field it is silent on is left out.
"""

from __future__ import annotations

import importlib.util
import re
import runpy
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from routed_llm.catalog import Catalog, others
from routed_llm.catalog.others import COLUMNS, Facts, pico, unknown

__all__ = ["AT", "READERS", "from_catalog", "installed"]

ROOT = Path(__file__).parent.parent
AT = date(2026, 11, 29)
"""The day for which prices are compared."""
ENDPOINTS = {"chat": "chat_completions"}
"""Names of the simulator that differ from the catalog's."""


def from_catalog(catalog: Catalog) -> Facts:
    """Say what the catalog says, under the field names of the readers."""
    facts = others.from_catalog(catalog, AT)
    for model in catalog:
        facts[model.id, "streaming"] = model.streaming
        facts[model.id, "structured.json_schema"] = "json_schema" in model.structured
        for kind in ("image", "audio", "pdf"):
            facts[model.id, f"inputs.{kind}"] = kind in model.inputs
        facts[model.id, "efforts"] = max(model.efforts.values(), key=len, default=())
        facts[model.id, "endpoints"] = tuple(sorted(model.endpoints))
        facts[model.id, "image"] = None if model.image is None else model.image.name
        for endpoint, rules in model.parameters.items():
            for name, rule in rules.items():
                only = "" if rule.only is None else f" only {', '.join(map(str, rule.only))}"
                facts[model.id, f"parameters.{endpoint}.{name}"] = rule.accept + only
        for endpoint, accept in model.tools.items():
            facts[model.id, f"tools.{endpoint}"] = accept
    return facts


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
        (name, f"prices.{tier}.{length}.{column}"): pico(row[column]) if column in row else None
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
    return unknown(re.findall(r'^    "([^"]+)",$', text, flags=re.MULTILINE), catalog)


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


READERS: dict[str, tuple[str | None, Callable[[Catalog], Facts | None]]] = {
    "simulator": (None, from_simulator),
    "openai": ("openai", from_sdk),
    "openai 3.54.0": (None, from_chat_model_data),
    "langchain-openai": ("langchain-openai", from_langchain),
    "genai-prices": ("genai-prices", lambda catalog: others.from_genai_prices(catalog, AT)),
    "litellm": ("litellm", lambda catalog: others.from_litellm(catalog)),
}
"""Source to the distribution it reads (None: files of this repository) and its reader."""


def installed(distribution: str) -> str | None:
    """Give the installed version of a distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
