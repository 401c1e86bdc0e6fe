"""Planner: decides the rows of a table, group by group, with the same answers as ``select``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from routed_llm.batch.columns import COLUMNS, Columns, Group, facts_of, groups, read_columns
from routed_llm.batch.lines import Lines, Outcome
from routed_llm.batch.needs import needed
from routed_llm.budget import Allowance
from routed_llm.catalog import Catalog
from routed_llm.decide import constraints
from routed_llm.decide.table import Table, prepare
from routed_llm.facts import RequestFacts, TokenCount
from routed_llm.policy import Policy

if TYPE_CHECKING:
    from routed_llm.decision import Decision

__all__ = ["Planner", "reason_code", "select_many"]

_KEPT: Final = 4_096


def select_many(table: Any, *, policy: Policy | None = None, catalog: Catalog | None = None, at: date) -> Any:
    """Decide for every row of a table; see :class:`Planner`, which keeps what it works out between tables.

    Raises:
        RequestError: as :meth:`Planner.__call__` does.
        PolicyError: when a pattern of the policy matches no model.
        CatalogError: when the policy or a row names an unknown model.
    """
    return Planner(policy=policy, catalog=catalog, at=at)(table)


class Planner:
    """Decides tables of requests. Can be pickled, and handed to ``map_batches`` and ``mapInArrow``.

    Rows that differ in nothing but tokens and budget are decided together: the choice along the token
    count is worked out once, by the same code that decides single requests, and looked up for each row.
    So it is fast where caps, image sizes and the like repeat.

    Args:
        policy: what is wanted; the default Policy when left out.
        catalog: the models there are; the packaged ones when left out.
        at: the day to decide for.
        keep: columns of the table to hand through, put before the new ones.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        catalog: Catalog | None = None,
        at: date,
        keep: Iterable[str] = (),
    ) -> None:
        self.policy = Policy() if policy is None else policy
        self.catalog = Catalog.load() if catalog is None else catalog
        self.at = at.date() if isinstance(at, datetime) else at
        self.keep = tuple(keep)
        self._lines: dict[tuple[tuple[str, Any], ...], Lines] = {}
        self._outcomes: dict[Outcome, int] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_again, (self.policy, self.catalog, self.at, self.keep))

    def __call__(self, table: Any) -> Any:
        """Decide every row.

        Args:
            table: an Arrow table or record batch, a pandas frame, or a mapping of column names to arrays or
                lists, with the columns that :data:`COLUMNS` describes and ``parameters.<name>`` for others.

        Returns:
            An Arrow table of the kept columns, then ``model``, ``effort`` and ``endpoint`` (null when
            nothing fits), ``cost`` (US dollars, decimal128(38, 12), null when nothing fits or no price is
            known) and ``reason`` (when nothing fits, the code of the Reason against the configuration that
            came closest).

        Raises:
            RequestError: when a column is unknown or has impossible values, or there are no tokens.
            CatalogError: when a row names an unknown model.
        """
        pa = needed("pyarrow")
        kept, rest = _set_apart(table, self.keep)
        columns = read_columns(rest)
        outcomes, cost, known = self._decide(columns)
        found = self._arrays(outcomes, cost, known, pa)
        return pa.table({**kept, **found})

    def batches(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Decide record batches one by one: what Spark's ``mapInArrow`` wants."""
        for batch in batches:
            yield from self(batch).combine_chunks().to_batches()

    @property
    def schema(self) -> Any:
        """The Arrow schema of the columns that are added, for ``mapInArrow``."""
        pa = needed("pyarrow")
        names = ("model", "effort", "endpoint")
        return pa.schema(
            [
                *((name, pa.string()) for name in names),
                ("cost", pa.decimal128(38, 12)),
                ("reason", pa.string()),
            ]
        )

    def _decide(self, columns: Columns) -> tuple[Any, Any, Any]:
        np = needed("numpy")
        count = len(columns.tokens)
        outcomes, cost = np.zeros(count, np.int32), np.zeros(count, np.int64)
        known = np.zeros(count, np.bool_)
        for group in groups(columns):
            tokens = columns.tokens[group.rows]
            facts, lines = self._of(group)
            found, money, priced = lines.at(tokens)
            outcomes[group.rows], cost[group.rows], known[group.rows] = found, money, priced
            if columns.budget is not None:
                allowed = columns.budget[group.rows]
                # A choice that its budget has room for is the choice without a budget.
                tight = np.flatnonzero((allowed >= 0) & ~(priced & (money <= allowed)))
                if len(tight):
                    self._within(facts, group, tight, columns, (outcomes, cost, known))
        return outcomes, cost, known

    def _within(
        self, facts: RequestFacts, group: Group, tight: Any, columns: Columns, out: tuple[Any, Any, Any]
    ) -> None:
        """Decide the rows whose choice is over their budget."""
        table = prepare(self.catalog, self.policy, self.at)
        outcomes, cost, known = out
        cheapest = self.policy.optimize == "cost" and not self.policy.incumbent
        cheapest = cheapest and not (facts.model or facts.effort or self.policy.effort)
        rows = group.rows[tight]
        if cheapest:
            # The others cost no less.
            dear = rows[known[rows]]
            outcomes[dear], known[dear] = self._number(Outcome(None, None, None, "budget")), False
            rows = rows[~needed("numpy").isin(rows, dear)]
        listed = list(self._outcomes)
        for row in rows:
            if columns.budget is None or listed[outcomes[row]].model is None:
                continue
            left = Allowance(remaining=int(columns.budget[row]))
            exact = facts.with_tokens(TokenCount.of(int(columns.tokens[row])))
            outcomes[row], money = self._outcome(table.select(exact, allowance=left))
            known[row], cost[row] = money is not None, money or 0

    def _of(self, group: Group) -> tuple[RequestFacts, Lines]:
        facts = facts_of(dict(group.values))
        lines = self._lines.get(group.values)
        if lines is None:
            table = prepare(self.catalog, self.policy, self.at)
            lines = self._lines[group.values] = self._make(facts, table)
            if len(self._lines) > _KEPT:
                del self._lines[next(iter(self._lines))]
        return facts, lines

    def _make(self, facts: RequestFacts, table: Table) -> Lines:
        def decide(tokens: int) -> tuple[int, int | None]:
            return self._outcome(table.select(facts.with_tokens(TokenCount.of(tokens))))

        return Lines(table.breakpoints(facts), decide)

    def _outcome(self, decision: Decision) -> tuple[int, int | None]:
        chosen = decision.chosen
        if chosen is None:
            return self._number(Outcome(None, None, None, reason_code(decision))), None
        return self._number(Outcome(chosen.model, chosen.effort, chosen.endpoint, None)), chosen.cost

    def _number(self, outcome: Outcome) -> int:
        return self._outcomes.setdefault(outcome, len(self._outcomes))

    def _arrays(self, outcomes: Any, cost: Any, known: Any, pa: Any) -> dict[str, Any]:
        np = needed("numpy")
        listed = list(self._outcomes)
        found = {}
        for field in ("model", "effort", "endpoint", "reason"):
            values = sorted({getattr(item, field) for item in listed} - {None})
            places = {value: at for at, value in enumerate(values)}
            codes = np.array([places.get(getattr(item, field), -1) for item in listed], np.int32)[outcomes]
            indices = pa.array(codes, mask=codes < 0)
            found[field] = pa.DictionaryArray.from_arrays(indices, pa.array(values, pa.string())).cast(
                pa.string()
            )
        reason = found.pop("reason")
        return {**found, "cost": _dollars(cost, known, np, pa), "reason": reason}


def reason_code(decision: Decision) -> str | None:
    """Return the code of the Reason against the configuration that came closest, or None when one fits."""
    if decision.chosen is not None:
        return None
    listed = [code for one in constraints.CONSTRAINTS for code in one.wordings]
    order = {code: at for at, code in enumerate(listed)}
    codes = [candidate.reasons[0].code for candidate in decision.candidates if candidate.reasons]
    return max(codes, key=lambda code: order.get(code, -1), default="none")


def _dollars(cost: Any, known: Any, np: Any, pa: Any) -> Any:
    halves = np.zeros((len(cost), 2), np.int64)
    halves[:, 0] = cost
    bits = np.packbits(known, bitorder="little")
    buffers = [pa.py_buffer(bits.tobytes()), pa.py_buffer(halves.tobytes())]
    return pa.Array.from_buffers(pa.decimal128(38, 12), len(cost), buffers)


def _set_apart(table: Any, keep: tuple[str, ...]) -> tuple[dict[str, Any], Any]:
    """Split the columns into those to hand through and those to read; a known one is both."""
    if not keep:
        return {}, table
    names = table.schema.names if hasattr(table, "schema") else list(table)
    column = table.column if hasattr(table, "schema") else table.__getitem__
    rest: Mapping[str, Any] = {
        name: column(name)
        for name in names
        if name not in keep or name in COLUMNS or name.startswith("parameters.")
    }
    return {name: column(name) for name in keep}, rest


def _again(policy: Policy, catalog: Catalog, at: date, keep: tuple[str, ...]) -> Planner:
    return Planner(policy=policy, catalog=catalog, at=at, keep=keep)
