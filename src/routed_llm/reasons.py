"""Reason: why a model was not chosen, as a code, the numbers behind it and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routed_llm.facts import jsonable

__all__ = ["PASSED_OVER", "Reason", "Wording"]

PASSED_OVER = "another home or model comes before it"
"""Why one is not asked that could serve the call: where what is asked fails, it may be."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How a kind of Reason is put into words.

    Attributes:
        sentence: a format string over the Reason's data.
        advice: what to do where nothing fits for it; empty for the general advice.
        for_named: whether that holds for a call that names its model, too.
        of_order: whether it only says that another one comes first, and this one could serve, too.
    """

    sentence: str
    advice: str = ""
    for_named: bool = False
    of_order: bool = False


_WORDINGS: Mapping[str, Wording] = {
    "retired": Wording(
        "{model} was shut down on {shutdown}{replaced}",
        "Name a model that is still served; `routed models` lists them.",
        for_named=True,
    ),
    "unreleased": Wording("{model} is released on {released}, after {at}"),
    "excluded": Wording("the policy excludes {model} by the pattern {pattern}"),
    "locked": Wording("the request refers to state stored by {locked_to}"),
    "endpoint": Wording("{model} is not offered on {endpoint}"),
    "endpoint_forced": Wording("{model} would be called on {endpoint}, and the call insists on {asked}"),
    "stored": Wording(
        "{what} is stored by the provider, and the policy's store=False forbids that",
        "Leave it out, or decide this call by another policy.",
    ),
    "no_endpoint": Wording(
        "{model} would be called on {endpoint}, which its address does not have",
        "Leave out what needs that endpoint, or say with Policy(endpoints=...) which there are.",
        for_named=True,
    ),
    "input": Wording("{model} takes no {kind} input"),
    "input_endpoint": Wording("{endpoint} takes no {kind} in {place}"),
    "output": Wording("{model} gives no {kind} output"),
    "audio_required": Wording("{model} refuses a request without audio in or out"),
    "tools": Wording("{model} takes no tools on {endpoint}"),
    "tools_effort": Wording("{model} takes tools on {endpoint} only with effort none, not {effort}"),
    "builtin_tool": Wording("{model} does not offer the {tool} tool on {endpoint}"),
    "structured": Wording("{model} does not offer {kind}"),
    "parameter": Wording("{model} refuses {parameter} on {endpoint}"),
    "parameter_value": Wording("{model} refuses {parameter}={value!r} on {endpoint}; it takes {only}"),
    "parameter_items": Wording("{model} takes at most {most} items of {parameter}, not {items}"),
    "parameter_absent": Wording("{endpoint} has no {parameter}"),
    "parameter_effort": Wording("{model} takes {parameter} on {endpoint} only with effort none"),
    "parameter_conflict": Wording("{model} cannot combine {parameter} with {other}"),
    "parameter_alone": Wording("{model} takes {parameter} only together with {other}"),
    "effort": Wording("{model} has no effort {asked} on {endpoint}; it has {offered}"),
    "streaming": Wording("{model} cannot stream"),
    "service_tier": Wording("{model} is not sold at the {tier} tier"),
    "floor_below": Wording(
        "{model}{at_effort} is below {baseline} on {dimension} ({measures})",
        "Lower the floor with Policy(at_least=...), or widen the pool with Policy(models=...).",
    ),
    "floor_own": Wording(
        "{model}{at_effort} is below {baseline} {said}",
        "Compare again with `routed compare`, or take the row out of Policy(measures=...).",
    ),
    "floor_unknown": Wording(
        "no published measure compares {model}{at_effort} with {baseline} on {dimension}",
        "Lower the floor with Policy(at_least=...), or use evidence='inferred'.",
    ),
    "floor_inferred": Wording(
        "{model}{at_effort} against {baseline} on {dimension} is only inferred",
        "Use evidence='inferred', or lower the floor with Policy(at_least=...).",
    ),
    "dearer": Wording("{model}{at_effort} is expected to cost ${cost}, {times}", of_order=True),
    "not_default_effort": Wording(
        "the call names the model without an effort, so it is called at effort {effort}", of_order=True
    ),
    "farther_effort": Wording(
        "effort {asked} was asked for, and {effort} is the nearest that fits, not {other}", of_order=True
    ),
    "no_price_known": Wording("no price of {model} is known, so a priced model comes first", of_order=True),
    "task_unmeasured": Wording(
        "nothing is measured of {model}{at_effort} on {dimension}, which the task is about",
        "Name another task, or widen the pool with Policy(models=...).",
    ),
    "beyond_high": Wording("{model} at {effort} goes beyond effort high, for which nobody asked"),
    "slower": Wording("{model}{at_effort} is expected to answer later", of_order=True),
    "ranked_lower": Wording("{model}{at_effort} ranks below on published quality", of_order=True),
    "comes_after": Wording("{model}{at_effort} comes after {superlative}", of_order=True),
    "not_incumbent": Wording("the incumbent {incumbent} can serve the request", of_order=True),
    "switch": Wording("leaving {incumbent} would save less than its cached prefix is worth", of_order=True),
}
"""Of Reasons on the kinds of things in a request, and on what was chosen; a constraint has its own."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a model was not chosen: a code, the numbers behind it and a sentence.

    Attributes:
        code: one word for programs.
        data: the values that the sentence quotes.
        given: how a constraint puts it into words; None for Reasons that speak of kinds.
    """

    code: str
    data: Mapping[str, Any] = field(default_factory=dict)
    given: Wording | None = None

    @property
    def wording(self) -> Wording:
        """How it is put into words."""
        return _WORDINGS[self.code] if self.given is None else self.given

    @property
    def of_amounts(self) -> bool:
        """Whether it speaks of how much there is: a configuration meets that only once its kinds passed."""
        return self.given is not None

    @property
    def of_order(self) -> bool:
        """Whether it only says that another one comes first: what it speaks of could serve, too."""
        return self.wording.of_order or self.data.get("why") == PASSED_OVER

    @property
    def text(self) -> str:
        """The sentence."""
        return self.wording.sentence.format(**self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return the code, the values and the sentence as JSON-able data."""
        data = {key: jsonable(value) for key, value in self.data.items()}
        return {"code": self.code, "text": self.text, "data": data}
