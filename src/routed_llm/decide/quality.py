"""The quality floor: what is published about a configuration against the baseline, per dimension.

The unit is (model, effort). A dimension passes when no published measure puts the configuration
below the baseline by more than the measure's margin. Figures are never averaged, scaled or compared
across evaluators or versions; where nothing is published, that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routed_llm.decision import Evidence
from routed_llm.errors import RequestError
from routed_llm.policy import DIMENSIONS_BY_TASK, EFFORTS
from routed_llm.reasons import Reason

if TYPE_CHECKING:
    from routed_llm.catalog.model import Model, Verdict
    from routed_llm.facts import RequestFacts

__all__ = [
    "LEAST_MEASURED",
    "LEAST_RECALL",
    "LONG_CONTEXT_FROM",
    "LONG_CONTEXT_TO",
    "Comparison",
    "Floor",
    "demanded",
    "dimensions",
]

LONG_CONTEXT_FROM = 64_000
"""Text tokens above which published long-context measures count: the tests that compare models at
about 100K tokens say nothing on shorter prompts."""

LONG_CONTEXT_TO = 100_000
"""Text tokens that the longest tests behind published long-context verdicts have (AA-LCR: about 100K).
Above that nothing says how an effort reads, but the recall that is published of some."""

LEAST_RECALL = 40.0
"""Percent of what is hidden in a long text that a model must be published to find, where something is
published at that length: this project's own line, between gpt-4.1 (46 at a million tokens) and gpt-5.4-mini
(34 at 256K)."""

LEAST_MEASURED = 4
"""Areas besides the overall one on which something must be published of a configuration for the order of
quality to speak for it: an order alone carries no choice. This project's own line."""

_NOT_MEASURED = frozenset({"unknown", "unproven"})
_NEVER_UNKNOWN = frozenset({"overall", "long_context"})
"""Dimensions on which a configuration of which nothing at all is published does not pass."""
_AT_LEAST = ("above", "tie", "above (inferred)")
_ABOVE = ("above", "above (inferred)")
_MIRRORED = {"below": "above", "tie": "tie", "above": "below", "above (inferred)": "below"}
"""What the baseline's verdict against the reference says of the reference itself."""
_CODES = {"unknown": "floor_unknown", "unproven": "floor_unknown", "above (inferred)": "floor_inferred"}
_PASSES = frozenset({"above", "tie", "above (inferred)", "same model", "counterpart"})


CORE = (
    "overall",
    "science",
    "maths",
    "coding",
    "instructions",
    "tools",
    "knowledge",
    "vision",
    "long_context",
    "language",
)
"""Dimensions that any call may turn out to need. Restraint, faithful summaries, many languages and taste
are left to the caller's word: nearly every newer model is published as worse than gpt-4o on the first."""


def dimensions(
    facts: RequestFacts, task: str | None, *, long: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List the dimensions of quality that a request touches, and those it might.

    What a call is for, nobody can see: it must not meet a configuration that is published as worse on any
    core dimension, wherever the call itself gives no sign of it. How tools are called says nothing of a call
    that offers none. A task adds dimensions and lifts nothing: see :func:`demanded`.

    Args:
        facts: the request.
        task: what the caller says it is for, or None.
        long: whether its text is longer than :data:`LONG_CONTEXT_FROM`.

    Returns:
        The dimensions that the request touches, and the others to be guarded.
    """
    found = ["overall"]
    if "image" in facts.inputs or "pdf" in facts.inputs:
        found.append("vision")
    if long:
        found.append("long_context")
    if facts.tools or facts.builtin_tools:
        found.append("tools")
    if facts.structured == "json_schema":
        found.append("instructions")
    if found in (["overall"], ["overall", "instructions"]):
        # Plain text may be a question of fact, answered from the model's memory.
        found.append("knowledge")
    found.extend(name for name in demanded(task) if name not in found)
    unseen = () if "tools" in found else ("tools",)
    return tuple(found), tuple(name for name in CORE if name not in found and name not in unseen)


def demanded(task: str | None) -> tuple[str, ...]:
    """List the dimensions of which a named task wants evidence: a measure, not the lack of one.

    Raises:
        RequestError: for an unknown task.
    """
    if task is None:
        return ()
    if task not in DIMENSIONS_BY_TASK:
        valid = ", ".join(DIMENSIONS_BY_TASK)
        raise RequestError(f"task={task!r} is none of {valid}. Use one of these.", where="task")
    return DIMENSIONS_BY_TASK[task]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome on one dimension: one of Evidence's verdicts, ``below``, ``mixed`` or ``unproven``."""

    verdict: str
    measures: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether nothing published speaks against it."""
        return self.verdict in _PASSES


class Floor:
    """Compares configurations with one baseline.

    Args:
        baseline: the model that must be matched.
        reference: the model that the catalog's verdicts refer to (gpt-4o).
        margins: measure name to the difference that counts, for values that may be repeated.
        evidence: ``measured`` or ``inferred``.
        stands_for: id of the retired model in whose place the baseline stands, or None.
    """

    def __init__(
        self,
        baseline: Model,
        reference: Model,
        *,
        margins: Mapping[str, float],
        evidence: str = "inferred",
        stands_for: str | None = None,
    ) -> None:
        self.baseline = baseline
        self.stands_for = stands_for
        self._reference = reference
        self._margins = margins
        # Every kind of request asks the same of the same configurations.
        self._comparisons: dict[tuple[str, str | None, str], Comparison] = {}
        self._refusals: dict[tuple[Any, ...], Reason | None] = {}
        self._measured = evidence == "measured"
        self._baseline_is_reference = _same(baseline, reference)
        self._baseline_verdicts = baseline.verdicts.get(baseline.default_effort or "", {})

    def refusal(
        self,
        model: Model,
        effort: str | None,
        dimensions: tuple[str, ...],
        guarded: tuple[str, ...],
        demanded: tuple[str, ...] = (),
    ) -> Reason | None:
        """Say on which dimension a configuration does not meet the floor, and why.

        Args:
            model: the model.
            effort: the effort, or None.
            dimensions: the dimensions of quality that the request touches.
            guarded: the other dimensions on which a configuration must not be worse.
            demanded: those of a named task, for which something must have been measured.
        """
        key = (model.id, effort, dimensions, guarded, demanded)
        if key not in self._refusals:
            self._refusals[key] = self._refuse(model, effort, dimensions, guarded, demanded)
        return self._refusals[key]

    def _refuse(
        self,
        model: Model,
        effort: str | None,
        dimensions: tuple[str, ...],
        guarded: tuple[str, ...],
        demanded: tuple[str, ...],
    ) -> Reason | None:
        for dimension in (*dimensions, *guarded):
            found, wanted = self.compare(model, effort, dimension), dimension in demanded
            if self.admits(dimension, found, guarded=dimension in guarded, demanded=wanted):
                continue
            data = {
                "model": model.id,
                "at_effort": "" if effort is None else f" at {effort}",
                "baseline": self.baseline.id,
                "dimension": dimension.replace("_", " "),
                "measures": ", ".join(found.measures) or found.verdict,
            }
            code = _CODES.get(found.verdict, "floor_below")
            return Reason("task_unmeasured" if wanted and code != "floor_below" else code, data)
        return None

    def compare(self, model: Model, effort: str | None, dimension: str) -> Comparison:
        """Compare one configuration with the baseline on one dimension."""
        key = (model.id, effort, dimension)
        if key not in self._comparisons:
            self._comparisons[key] = self._compare(model, effort, dimension)
        return self._comparisons[key]

    def _compare(self, model: Model, effort: str | None, dimension: str) -> Comparison:
        if _same(model, self.baseline) and self._effort_at_least(effort):
            return Comparison("same model")
        if model.equivalent_to & {self.baseline.id, self.baseline.base or self.baseline.id}:
            return Comparison("counterpart")
        if self._baseline_is_reference:
            verdict = model.verdicts.get(effort or "", {}).get(dimension)
            return Comparison("unknown") if verdict is None else Comparison(verdict.verdict, _names(verdict))
        return self._indirect(model, effort, dimension)

    def admits(
        self, dimension: str, found: Comparison, *, guarded: bool = False, demanded: bool = False
    ) -> bool:
        """Say whether a comparison meets the floor on its dimension.

        Args:
            dimension: the dimension compared on.
            found: how the configuration compares.
            guarded: True for a dimension that the request shows no sign of.
            demanded: True for a dimension of a named task: something must have been measured.
        """
        if demanded:
            return found.passes and found.verdict != "above (inferred)"
        if guarded:
            return found.passes or found.verdict in ("unknown", "unproven")
        if found.verdict == "unknown":
            return not self._measured and (dimension not in _NEVER_UNKNOWN or bool(found.measures))
        if self._measured and found.verdict == "above (inferred)":
            return False
        return found.passes

    def evidence(self, model: Model, effort: str | None, asked: tuple[str, ...]) -> tuple[Evidence, ...]:
        """Say what is published on a configuration, dimension by dimension."""
        found = ((name, self.compare(model, effort, name)) for name in asked)
        return tuple(Evidence(name, item.verdict, item.measures) for name, item in found)

    def _effort_at_least(self, effort: str | None) -> bool:
        least = self.baseline.default_effort
        if effort is None or least is None:
            return True
        return EFFORTS.index(effort) >= EFFORTS.index(least)

    def _indirect(self, model: Model, effort: str | None, dimension: str) -> Comparison:
        """Compare with a baseline that the catalog's verdicts do not refer to."""
        other = self._baseline_verdicts.get(dimension)
        verdict = model.verdicts.get(effort or "", {}).get(dimension)
        if _same(model, self._reference) and other is not None:
            return Comparison(_MIRRORED.get(other.verdict, "unknown"), _names(other))
        signs = self._compared(model, effort, dimension)
        if verdict is not None and other is not None:
            signs += self._repeated(verdict, other)
        found = _amounts_to(signs)
        if verdict is not None and other is not None:
            chained = _through_reference(verdict, other)
            if found is None:
                found = chained
            elif found.verdict == "tie" and chained is not None and chained.verdict == "below":
                # Level on one measure, but below by another that only the reference shares with each.
                found = Comparison("mixed", (*found.measures, *chained.measures))
        if found is None and dimension == "overall":
            found = self._by_rank(model, effort)
        if found is None and dimension == "long_context" and self._ran_alike(dimension, other):
            # The baseline reads long texts better than the reference, and was run beside others: whoever was
            # not among them has no measure that would be enough.
            return Comparison("unproven", () if verdict is None else _names(verdict))
        if found is None and dimension != "overall" and verdict is not None and verdict.verdict in _AT_LEAST:
            # Nothing compares the two, but something is published: at least as good as the reference.
            return Comparison("unknown", _names(verdict))
        if found is None and verdict is not None and verdict.verdict in ("below", "mixed"):
            # Known to be worse than the reference, and nothing shows it to be as good as the baseline.
            return Comparison("unproven", _names(verdict))
        return found or Comparison("unknown")

    def _by_rank(self, model: Model, effort: str | None) -> Comparison | None:
        mine = model.quality_rank.get(effort or "")
        theirs = self.baseline.quality_rank.get(self.baseline.default_effort or "")
        # A place between neighbouring efforts, without a published row of its own, is no evidence.
        if mine is None or theirs is None or not model.verdicts.get(effort or ""):
            return None
        found = [self.compare(model, effort, name).verdict for name in CORE if name != "overall"]
        if sum(verdict not in _NOT_MEASURED for verdict in found) < LEAST_MEASURED:
            return None
        verdict = "above (inferred)" if mine >= theirs else "below"
        return Comparison(verdict, ("published order of quality",))

    def _ran_alike(self, dimension: str, own: Verdict | None) -> bool:
        above = own is not None and own.verdict in _ABOVE
        return above and any(name == dimension for _, _, name in self.baseline.compared)

    def _compared(self, model: Model, effort: str | None, dimension: str) -> list[tuple[int, str]]:
        """List the signs of what one evaluator measured of both."""
        known = self.baseline.compared
        rows = known.get((model.id, effort or "", dimension)) or known.get(
            (model.base or model.id, effort or "", dimension), ()
        )
        return [(_SIGNS[row.sign], row.name) for row in rows]

    def _repeated(self, verdict: Verdict, other: Verdict) -> list[tuple[int, str]]:
        """List the signs of values that may be repeated, where both are known."""
        theirs = {item.name: item.value for item in other.evidence if item.value is not None}
        signs: list[tuple[int, str]] = []
        for item in verdict.evidence:
            value = theirs.get(item.name)
            margin = self._margins.get(item.name)
            if item.value is None or value is None or margin is None:
                continue
            difference = (item.value - value) * (1 if margin > 0 else -1)
            sign = 0 if abs(difference) <= abs(margin) else (1 if difference > 0 else -1)
            signs.append((sign, item.name))
        return signs


_SIGNS = {"+": 1, "=": 0, "-": -1}


def _amounts_to(signs: list[tuple[int, str]]) -> Comparison | None:
    if not signs:
        return None
    names = tuple(name for _, name in signs)
    worst, best = min(sign for sign, _ in signs), max(sign for sign, _ in signs)
    if worst < 0:
        return Comparison("mixed" if best > 0 else "below", names)
    return Comparison("above" if best > 0 else "tie", names)


def _through_reference(verdict: Verdict, other: Verdict) -> Comparison | None:
    """Chain two verdicts: at least as good as the reference, and it at least as good as the baseline."""
    if verdict.verdict in _AT_LEAST and other.verdict in ("below", "tie"):
        return Comparison("above (inferred)", _names(verdict))
    if verdict.verdict in ("below", "mixed") and other.verdict in _AT_LEAST:
        return Comparison("below", _names(verdict))
    return None


def _names(verdict: Verdict) -> tuple[str, ...]:
    return tuple(f"{item.sign} {item.name}" for item in verdict.evidence)


def _same(one: Model, other: Model) -> bool:
    """Whether two entries are the same model under other names (a snapshot, a deployment)."""
    if one.id == other.id:
        return True
    return one.id in other.snapshots or other.id in one.snapshots
