"""The models the simulator serves, on a given date."""

from __future__ import annotations

import dataclasses
import functools
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from routed_llm.simulator.failures import failure
from routed_llm.simulator.frozen import load


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """What the simulator knows of one model.

    Attributes:
        name: the canonical id.
        served: the snapshot that answers for it.
        prices: US dollars per million tokens by tier, then ``short`` or ``long``, then kind of token.
    """

    name: str
    served: str
    family: str
    released: date | None
    shutdown: date | None
    window: int
    max_input: int
    max_output: int
    endpoints: frozenset[str]
    chat_refusal: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    efforts: tuple[str, ...]
    default_effort: str
    structured_outputs: bool
    image_rule: str | None
    prices: dict[str, dict[str, dict[str, Decimal]]]

    @property
    def reasons(self) -> bool:
        """Whether the model spends reasoning tokens at some effort."""
        return bool(self.efforts)

    @property
    def shared_window(self) -> bool:
        """Whether input and output share the window with no input limit of its own."""
        return self.max_input == self.window


@functools.cache
def names() -> dict[str, tuple[str, str]]:
    """Return every id the simulator knows: id to (canonical name, served snapshot)."""
    table: dict[str, tuple[str, str]] = {}
    for name, row in load("models")["models"].items():
        table[name] = (name, row["served"])
        for alias in row.get("aliases", ()):
            table[alias] = (name, row["served"])
        for snapshot in row.get("snapshots", ()):
            table.setdefault(snapshot, (name, snapshot))
    return table


@functools.cache
def model(name: str) -> SimulatedModel:
    """Return the model of a known id (alias and snapshot too)."""
    canonical, served = names()[name]
    row = load("models")["models"][canonical]
    return SimulatedModel(
        name=canonical,
        served=served,
        family=row["family"],
        released=_released(name, row),
        shutdown=row.get("shutdown"),
        window=row["window"],
        max_input=row["max_input"],
        max_output=row["max_output"],
        endpoints=frozenset(row["endpoints"]),
        chat_refusal=row.get("chat_refusal", ""),
        inputs=frozenset(row["inputs"]),
        outputs=frozenset(row["outputs"]),
        efforts=tuple(row.get("efforts", ())),
        default_effort=row.get("default_effort", "none"),
        structured_outputs=row["structured_outputs"],
        image_rule=row.get("image_rule"),
        prices=_prices(row["prices"]),
    )


def resolve(name: str, at: date, endpoint: str = "") -> SimulatedModel:
    """Return the model that answers to `name` on a date.

    Raises:
        ApiFailure: 404, unknown or not yet released, or retired by then.
    """
    unknown = "model_not_found_responses" if endpoint == "responses" else "model_not_found"
    if name not in names():
        if any(name in row["ids"] and at >= row["shutdown"] for row in load("models")["retired"]):
            raise failure("model_retired", model=name)
        if endpoint == "chat" and name in load("models")["completion_only"]:
            raise failure("not_a_chat_model")
        raise failure(unknown, model=name)
    found = model(name)
    if found.shutdown is not None and at >= found.shutdown:
        raise failure("model_retired", model=name)
    if found.released is not None and at < found.released:
        raise failure(unknown, model=name)
    return _as_priced(name, at)


def listing(at: date) -> list[dict[str, Any]]:
    """Return the entries of `GET /v1/models` on a date, every alias and snapshot of its own."""
    return [entry(name) for name in sorted(names()) if _offered(model(name), at)]


def entry(name: str) -> dict[str, Any]:
    """Return one entry of `GET /v1/models`."""
    found = model(name)
    return {
        "id": name,
        "object": "model",
        "created": _seconds(found.released or date(2025, 1, 1)),
        "owned_by": "system",
        "shutdown_date": found.shutdown.isoformat() if found.shutdown else None,
    }


@functools.cache
def _as_priced(name: str, at: date) -> SimulatedModel:
    """Return the model of a known id with the prices of a day."""
    found = model(name)
    rows = load("models")["models"][found.name].get("earlier_prices", ())
    times = next((row for row in rows if at < row["until"]), None)
    if times is None:
        return found
    prices = {
        tier: {
            size: {
                kind: price * Decimal(times["output" if "output" in kind else "input"])
                for kind, price in row.items()
            }
            for size, row in sizes.items()
        }
        for tier, sizes in found.prices.items()
    }
    return dataclasses.replace(found, prices=prices)


def _offered(found: SimulatedModel, at: date) -> bool:
    born = found.released is None or at >= found.released
    return born and (found.shutdown is None or at < found.shutdown)


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _released(name: str, row: dict[str, Any]) -> date | None:
    """A dated snapshot exists from the date in its name on."""
    released: date | None = row.get("released")
    try:
        dated = date.fromisoformat(name[-10:])
    except ValueError:
        return released
    return max(dated, released) if released else dated


def _prices(rows: dict[str, Any]) -> dict[str, dict[str, dict[str, Decimal]]]:
    return {
        tier: {size: {kind: Decimal(value) for kind, value in row.items()} for size, row in sizes.items()}
        for tier, sizes in rows.items()
    }
