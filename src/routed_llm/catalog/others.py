"""What other publishers say of the catalog's models, and where that is not what the catalog says.

A reader gives ``{(model, field): value}``, or None when its package is not installed. Fields are
``limits.*`` (tokens), ``lifecycle.*`` (days), ``prices.<tier>.<short|long>.<column>`` (picodollars per token)
and ``listed`` (an id that the catalog lacks). A value of None means that the publisher says there is none; a
field it is silent on is left out. ``disagreements.toml`` says why the catalog keeps its value where it does.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from routed_llm.catalog.ended import ended
from routed_llm.catalog.sources import ROOT, read_toml

if TYPE_CHECKING:
    from routed_llm.catalog.catalog import Catalog
    from routed_llm.catalog.model import Model

__all__ = [
    "COLUMNS",
    "PUBLISHERS",
    "Difference",
    "Explanation",
    "Facts",
    "Report",
    "compare",
    "explanations",
    "from_catalog",
    "from_genai_prices",
    "from_litellm",
    "from_litellm_file",
    "pico",
    "report",
    "unknown",
]

_LONG: Final = 272_001
_TIERS: Final = ("standard", "batch", "flex", "priority", "ultrafast")
COLUMNS: Final = ("input", "output", "cached_input", "cache_write")
NOTHING: Final = "nothing"
Facts = dict[tuple[str, str], Any]


@dataclass(frozen=True, order=True)
class Difference:
    """One field of one model on which a source and the catalog disagree."""

    source: str
    model: str
    field: str
    theirs: str
    ours: str

    def __str__(self) -> str:
        return f"{self.model} {self.field}: {self.source} has {self.theirs}, the catalog {self.ours}"


@dataclass(frozen=True)
class Explanation:
    """Why the catalog keeps its value: for these models and fields, against these values of theirs."""

    source: str
    models: tuple[str, ...]
    fields: tuple[str, ...]
    theirs: tuple[str, ...]
    reason: str
    optional: bool = False

    def covers(self, found: Difference) -> bool:
        """Whether a difference is the one explained here."""
        return (
            found.source == self.source
            and found.model in self.models
            and found.field in self.fields
            and found.theirs in self.theirs
        )


@dataclass(frozen=True)
class Report:
    """The outcome: explained differences with their reasons, unexplained ones, and reasons without use."""

    explained: tuple[tuple[Difference, Explanation], ...]
    unexplained: tuple[Difference, ...]
    stale: tuple[str, ...]


def compare(source: str, theirs: Facts, ours: Facts) -> list[Difference]:
    """List the fields on which a source and the catalog disagree."""
    found = [
        Difference(source, model, field, _shown(value), _shown(ours.get((model, field))))
        for (model, field), value in theirs.items()
        if ours.get((model, field)) != value
    ]
    return sorted(found)


def explanations(root: Path = ROOT) -> list[Explanation]:
    """Read why the catalog keeps its value, from the folder of its files."""
    return [
        Explanation(
            source=row["source"],
            models=tuple(row["models"]),
            fields=tuple(row["fields"]),
            theirs=tuple(row["theirs"]),
            reason=row["reason"],
            optional=row.get("optional", False),
        )
        for row in read_toml(root / "disagreements.toml")["explained"]
    ]


def report(differences: Iterable[Difference], reasons: Sequence[Explanation], read: set[str]) -> Report:
    """Hold differences against reasons.

    Args:
        differences: what was found.
        reasons: what is explained.
        read: the sources that could be read; reasons for others cannot be stale.
    """
    explained, unexplained = [], []
    for found in differences:
        reason = next((one for one in reasons if one.covers(found)), None)
        if reason is None:
            unexplained.append(found)
        else:
            explained.append((found, reason))
    stale = []
    for reason in reasons:
        if reason.source not in read or reason.optional:
            continue
        used = [found for found, one in explained if one is reason]
        for key, said, seen in (
            ("model", reason.models, {found.model for found in used}),
            ("field", reason.fields, {found.field for found in used}),
            ("value", reason.theirs, {found.theirs for found in used}),
        ):
            stale += [f"{reason.source}: {key} {name}: {reason.reason}" for name in said if name not in seen]
    return Report(tuple(explained), tuple(unexplained), tuple(stale))


def _shown(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, tuple):
        return " ".join(value) or NOTHING
    return str(value)


def from_catalog(catalog: Catalog, at: date) -> Facts:
    """Say what the catalog says, under the field names of the readers."""
    facts: Facts = {}
    for model in catalog:
        for key in ("context_window", "max_input", "max_output"):
            facts[model.id, f"limits.{key}"] = getattr(model.limits, key)
        for key in ("released", "shutdown", "replacement"):
            facts[model.id, f"lifecycle.{key}"] = getattr(model.lifecycle, key)
        facts.update(((model.id, field), amount) for field, amount in _catalog_prices(model, at))
    return facts


def _catalog_prices(model: Model, at: date) -> Iterator[tuple[str, int | None]]:
    for tier in _TIERS:
        short = model.price(at, tier=tier)
        if short is None:
            continue
        long = model.price(at, tier=tier, input_tokens=_LONG)
        for length, row in (("short", short), ("long", long if long != short else None)):
            for column in COLUMNS if row is not None else ():
                yield f"prices.{tier}.{length}.{column}", getattr(row, column)


def from_genai_prices(catalog: Catalog, at: date, snapshot: Any = None) -> Facts | None:
    """Read genai-prices: its prices by tier and length, and its context windows.

    Args:
        catalog: the models to read of.
        at: the day of the prices.
        snapshot: one of its data snapshots; the one in use in this process when left out.
    """
    if importlib.util.find_spec("genai_prices") is None:
        return None
    from genai_prices.data_snapshot import get_snapshot

    (provider,) = (found for found in (snapshot or get_snapshot()).providers if found.id == "openai")
    facts: Facts = {}
    for model in catalog:
        entry = next((found for found in provider.models if found.is_match(model.id)), None)
        if entry is None:
            continue  # a model that they do not have yet: nothing is said of it
        if entry.context_window is not None:
            facts[model.id, "limits.context_window"] = entry.context_window
        facts.update(((model.id, field), amount) for field, amount in _genai_rows(entry, at))
    return facts


def _genai_rows(entry: Any, at: date) -> Iterator[tuple[str, int | None]]:
    rows = entry.prices if isinstance(entry.prices, list) else None
    standard = entry.prices
    if rows is not None:
        standard = [row for row in rows if row.constraint is None or row.constraint.start_date <= at][
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
            yield f"prices.{tier}.short.{column}", pico(getattr(amount, "base", amount))
            if steps:
                yield f"prices.{tier}.long.{column}", pico(steps[0].price)


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
    facts = unknown((name for name, row in rows.items() if _serves_chat(name, row)), catalog)
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


def unknown(names: Iterable[str], catalog: Catalog) -> Facts:
    """Name the ids that neither the catalog nor its list of ended models has."""
    return {
        (name, "listed"): True for name in names if name not in catalog and name not in ended(catalog.root)
    }


def _serves_chat(name: str, row: Mapping[str, Any]) -> bool:
    own = row.get("litellm_provider") == "openai" and row.get("mode") in ("chat", "responses")
    return own and not name.startswith("ft:") and "/" not in name


def pico(amount: Any) -> int | None:
    """Return US dollars per million tokens as picodollars per token."""
    return None if amount is None else int(Decimal(str(amount)) * 1_000_000)


PUBLISHERS: Final[Mapping[str, Callable[[Catalog, date], Facts | None]]] = {
    "genai-prices": from_genai_prices,
    "litellm": lambda catalog, _: from_litellm(catalog),
}
"""Publishers of prices, by their distribution's name; litellm's prices have no days."""
