"""Reason: why a model was not chosen, as a code, the numbers behind it and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routed_llm.facts import jsonable

__all__ = ["Reason"]

_SENTENCES: Mapping[str, str] = {
    "retired": "{model} was shut down on {shutdown}{replaced}",
    "unreleased": "{model} is released on {released}, after {at}",
    "excluded": "the policy excludes {model} by the pattern {pattern}",
    "locked": "the request refers to state stored by {locked_to}",
    "endpoint": "{model} is not offered on {endpoint}",
    "endpoint_forced": "{model} would be called on {endpoint}, and the call insists on {asked}",
    "input": "{model} takes no {kind} input",
    "input_endpoint": "{endpoint} takes no {kind} in {place}",
    "output": "{model} gives no {kind} output",
    "audio_required": "{model} refuses a request without audio in or out",
    "tools": "{model} takes no tools on {endpoint}",
    "tools_effort": "{model} takes tools on {endpoint} only with effort none, not {effort}",
    "builtin_tool": "{model} does not offer the {tool} tool on {endpoint}",
    "structured": "{model} does not offer {kind}",
    "parameter": "{model} refuses {parameter} on {endpoint}",
    "parameter_value": "{model} refuses {parameter}={value!r} on {endpoint}; it takes {only}",
    "parameter_items": "{model} takes at most {most} items of {parameter}, not {items}",
    "parameter_absent": "{endpoint} has no {parameter}",
    "parameter_effort": "{model} takes {parameter} on {endpoint} only with effort none",
    "parameter_conflict": "{model} cannot combine {parameter} with {other}",
    "parameter_alone": "{model} takes {parameter} only together with {other}",
    "effort": "{model} has no effort {asked} on {endpoint}; it has {offered}",
    "streaming": "{model} cannot stream",
    "service_tier": "{model} is not sold at the {tier} tier",
    "floor_below": "{model}{at_effort} is below {baseline} on {dimension} ({measures})",
    "floor_unknown": "no published measure compares {model}{at_effort} with {baseline} on {dimension}",
    "floor_inferred": "{model}{at_effort} against {baseline} on {dimension} is only inferred",
    "max_input": "{about}{tokens:,} input tokens are more than the {limit:,} that {model} accepts",
    "window": "{about}{tokens:,} input and {output:,} output tokens exceed the {limit:,} window of {model}",
    "max_output": "{asked:,} output tokens are more than the {limit:,} that {model} writes",
    "image_patches": "an image of {width} x {height} pixels is over the {limit:,} patches {model} accepts",
    "recall": "published recall of {model}{at_effort} at {tokens:,} tokens is {value}, under {least}",
    "recall_unknown": "no published recall of {model}{at_effort} at {tokens:,} tokens",
    "no_price": "no price of {model} is known, and a limit on cost is set",
    "cost_cap": "{model}{at_effort} is expected to cost ${cost}, over the cap of ${cap}",
    "budget": "{model}{at_effort} is expected to cost ${cost}; ${remaining} is left{scope}",
    "dearer": "{model}{at_effort} is expected to cost ${cost}, {times}",
    "not_default_effort": "the call names the model without an effort, so it is called at effort {effort}",
    "farther_effort": "effort {asked} was asked for, and {effort} is the nearest that fits, not {other}",
    "no_price_known": "no price of {model} is known, so a priced model comes first",
    "ranked_lower": "{model}{at_effort} ranks below on published quality",
    "not_incumbent": "the incumbent {incumbent} can serve the request",
    "switch": "leaving {incumbent} would save less than its cached prefix is worth",
    "unavailable": "{model} is marked unavailable in this process: {why}",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a model was not chosen: a code, the numbers behind it and a sentence.

    Attributes:
        code: one word for programs; the set is closed.
        data: the values that the sentence quotes.
    """

    code: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The sentence."""
        return _SENTENCES[self.code].format(**self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return the code, the values and the sentence as JSON-able data."""
        data = {key: jsonable(value) for key, value in self.data.items()}
        return {"code": self.code, "text": self.text, "data": data}
