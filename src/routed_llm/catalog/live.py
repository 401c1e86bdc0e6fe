"""The catalog's prices beside those of genai-prices: to check them, or to use theirs at run time.

Only prices are taken from there, never limits. Models that genai-prices does not know keep the catalog's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from routed_llm.errors import CatalogError

if TYPE_CHECKING:
    from routed_llm.catalog.catalog import Catalog
    from routed_llm.catalog.model import Model, Price

__all__ = ["PriceDifference", "differences", "live_rows", "newer_prices"]

_COLUMNS: Final[Mapping[str, str]] = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
    "audio_input": "input_audio_mtok",
    "audio_cached_input": "cache_audio_read_mtok",
    "audio_output": "output_audio_mtok",
}
_CONTEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
_MEGA: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceDifference:
    """One price that the catalog and genai-prices do not agree on.

    Attributes:
        model: catalog id.
        tier: ``standard``, ``batch``, ``flex`` or ``priority``; empty where a whole model is missing.
        above: the row's threshold in input tokens; 0 for requests of any length.
        column: such as ``input`` or ``cached_input``; empty where a whole model or row is missing.
        ours: US dollars per million tokens in the catalog, or None.
        theirs: US dollars per million tokens in genai-prices, or None.
    """

    model: str
    tier: str = ""
    above: int = 0
    column: str = ""
    ours: Decimal | None = None
    theirs: Decimal | None = None

    def __str__(self) -> str:
        row = f" {self.tier}{f' above {self.above:,}' if self.above else ''}" if self.tier else ""
        what = f" {self.column}" if self.column else ""
        if not self.tier:
            return f"{self.model}: not in genai-prices"
        return f"{self.model}{row}{what}: {_said(self.ours)} here, {_said(self.theirs)} in genai-prices"


def differences(catalog: Catalog, at: date) -> Iterator[PriceDifference]:
    """Compare every priced model's rows of a day with those of genai-prices.

    Raises:
        CatalogError: when genai-prices is not installed.
    """
    provider = _provider()
    for model in catalog:
        if not model.prices or model.base is not None:
            continue
        entry = _entry(provider, model)
        if entry is None:
            yield PriceDifference(model=model.id)
            continue
        theirs = {(row["tier"], row["above"]): row for row in _rows(entry, at)}
        for tier in _CONTEXTS:
            yield from _tier_differences(model, tier, theirs, at)


def _tier_differences(
    model: Model, tier: str, theirs: Mapping[tuple[str, int], Mapping[str, Any]], at: date
) -> Iterator[PriceDifference]:
    thresholds = {row.above for row in model.prices if row.tier == tier and row.since <= at}
    thresholds |= {above for name, above in theirs if name == tier}
    for above in sorted(thresholds):
        mine = model.price(at, tier=tier, input_tokens=above + 1)
        other = theirs.get((tier, above)) or theirs.get((tier, 0))
        for column in _COLUMNS:
            ours = _dollars(mine, column)
            found = None if other is None else other.get(column)
            found = None if found is None else Decimal(found)
            if ours != found:
                yield PriceDifference(
                    model=model.id, tier=tier, above=above, column=column, ours=ours, theirs=found
                )


def live_rows(catalog: Catalog, at: date, snapshot: Any = None) -> dict[str, dict[str, Any]]:
    """Return catalog entries that lay genai-prices' rows of a day over the catalog's own.

    Args:
        catalog: the models, with what was billed before that day.
        at: the day.
        snapshot: one of genai-prices' data snapshots; the one in use in this process when left out.

    Raises:
        CatalogError: when genai-prices is not installed.
    """
    provider = _provider(snapshot)
    found: dict[str, dict[str, Any]] = {}
    for model in catalog:
        entry = None if model.base is not None else _entry(provider, model)
        rows = [] if entry is None else list(_rows(entry, at))
        if rows:
            source = f"genai-prices at run time, {at.isoformat()}"
            kept = [*_older(model, at), *rows, *_flattened(model, rows, at)]
            found[model.id] = {"prices": {"source": source, "rows": kept}}
    return found


def newer_prices(catalog: Catalog, at: date, snapshot: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the models whose prices changed, each with its prices from a day on and a sentence.

    Where ``disagreements.toml`` says why the catalog does not go by genai-prices, it does not.

    Args:
        catalog: the models, with their prices so far.
        at: the day.
        snapshot: a data snapshot of genai-prices that is newer than the catalog.
    """
    from routed_llm.catalog import others

    theirs = others.from_genai_prices(catalog, at, snapshot) or {}
    prices = {key: value for key, value in theirs.items() if key[1].startswith("prices.")}
    found = others.compare("genai-prices", prices, others.from_catalog(catalog, at))
    report = others.report(found, others.explanations(catalog.root), {"genai-prices"})
    changed: dict[str, list[str]] = {}
    for one in report.unexplained:
        changed.setdefault(one.model, []).append(one.field.removeprefix("prices."))
    kept = {(one.model, one.field): one.ours for one, _ in report.explained}
    rows = live_rows(catalog, at, snapshot) if changed else {}
    for id, fields in changed.items():
        new = rows[id]["prices"]
        for row in new["rows"]:
            if row["since"] == at:
                _keep(row, id, kept)
        sentence = f"{id} has other prices from {at} on: {', '.join(sorted(fields))}"
        yield id, {**new, "verified": at}, sentence


def _keep(row: dict[str, Any], id: str, kept: Mapping[tuple[str, str], str]) -> None:
    """Put the catalog's own amounts back into a row where its reasons say so."""
    for column in _COLUMNS:
        ours = kept.get((id, f"prices.{row['tier']}.{'long' if row['above'] else 'short'}.{column}"))
        if ours is not None:
            row.pop(column, None)
            if ours.isdigit():
                row[column] = str(Decimal(ours) / _MEGA)


def _flattened(model: Model, rows: list[dict[str, Any]], at: date) -> Iterator[dict[str, Any]]:
    # A long rate that they do not have must not outlive the day on which their rows begin.
    known = {(row["tier"], row["above"]) for row in rows}
    base = {row["tier"]: row for row in rows if not row["above"]}
    for tier, above in {(row.tier, row.above) for row in model.prices if row.since <= at} - known:
        if tier in base and above:
            yield {**base[tier], "above": above}


def _older(model: Model, at: date) -> Iterator[dict[str, Any]]:
    # What was billed before that day stays as the catalog has it.
    for row in model.prices:
        if row.since < at:
            values = {
                column: _dollars(row, column) for column in (*_COLUMNS, "cache_write_12h", "image_input")
            }
            amounts = {column: str(value) for column, value in values.items() if value is not None}
            yield {"since": row.since, "tier": row.tier, "above": row.above, **amounts}


def _rows(entry: Any, at: date) -> Iterator[dict[str, Any]]:
    moment = datetime.combine(at, time(12), UTC)
    for tier, context in _CONTEXTS.items():
        if context and not _offers(entry, context, moment):
            continue
        prices = entry.get_prices(moment, context or None)
        short = {column: _amount(getattr(prices, key, None), 0) for column, key in _COLUMNS.items()}
        steps = {
            step.start
            for key in _COLUMNS.values()
            for step in getattr(getattr(prices, key, None), "tiers", ())
        }
        for above in (0, *sorted(steps)):
            row = (
                {column: _amount(getattr(prices, key, None), above) for column, key in _COLUMNS.items()}
                if above
                else short
            )
            if row["input"] is not None and row["output"] is not None:
                amounts = {column: str(value) for column, value in row.items() if value is not None}
                yield {"since": at, "tier": tier, "above": above, **amounts}


def _amount(price: Any, above: int) -> Decimal | None:
    if price is None:
        return None
    amount = getattr(price, "base", price)
    for step in getattr(price, "tiers", ()):
        if step.start <= above and above:
            amount = step.price
    return Decimal(amount)


def _offers(entry: Any, context: Mapping[str, str], moment: datetime) -> bool:
    return any(
        dict(variant.when) == dict(context)
        and (variant.constraint is None or variant.constraint.active(moment))
        for variant in entry.price_variants or ()
    )


def _entry(provider: Any, model: Model) -> Any:
    return next((found for found in provider.models if found.is_match(model.sent_as)), None)


def _provider(snapshot: Any = None) -> Any:
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError as error:
        raise CatalogError(
            "Live prices need the package genai-prices. "
            "Install it with pip install 'routed-llm[live-prices]'."
        ) from error
    return next(found for found in (snapshot or get_snapshot()).providers if found.id == "openai")


def _dollars(row: Price | None, column: str) -> Decimal | None:
    pico = None if row is None else getattr(row, column)
    return None if pico is None else Decimal(pico) / _MEGA


def _said(amount: Decimal | None) -> str:
    return "none" if amount is None else f"${amount.normalize():f}"
