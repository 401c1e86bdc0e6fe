"""What one catalog says and another does not, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from routed_llm.catalog.catalog import Catalog

__all__ = ["FieldDifference", "differences"]


class FieldDifference(NamedTuple):
    """One fact on which two catalogs are not the same.

    Attributes:
        model: its id.
        field: such as ``lifecycle.shutdown`` or ``prices.standard.2026-07-30.input``; empty where one of the
            catalogs lacks the model.
        before: what the first says, as text, or None for nothing.
        after: what the second says, likewise.
    """

    model: str
    field: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if not self.field:
            return f"{self.model}: {'new' if self.before is None else 'gone'}"
        return f"{self.model}: {self.field}: {self.before or 'nothing'} -> {self.after or 'nothing'}"


def differences(before: Catalog, after: Catalog) -> Iterator[FieldDifference]:
    """Yield what changes from one catalog to another, model by model."""
    old, new = before.resolved, after.resolved
    for id in sorted({*old, *new}):
        if id not in old or id not in new:
            yield FieldDifference(id, "", id if id in old else None, id if id in new else None)
            continue
        if old[id] == new[id]:
            continue
        mine, theirs = dict(_flat("", old[id])), dict(_flat("", new[id]))
        for field in sorted({*mine, *theirs}):
            if mine.get(field) != theirs.get(field):
                yield FieldDifference(id, field, mine.get(field), theirs.get(field))


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), item)
    elif path in ("prices.rows", "fine_tuned.rows"):
        for row in value:
            long = f".above {row['above']:,}" if row.get("above") else ""
            where = f"{path.removesuffix('.rows')}.{row.get('tier', 'standard')}.{row.get('since', '')}{long}"
            yield from _flat(where, {k: v for k, v in row.items() if k not in ("tier", "since", "above")})
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    elif value is not None:
        yield path, str(value)
