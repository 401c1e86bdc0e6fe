"""Rules on kinds: each tests one configuration and gives nothing, or a Reason. Pure.

They look at what a request is made of, and hold for every request of that shape, so that their outcome is
kept. What looks at how much there is of it is a constraint (:mod:`routed_llm.decide.constraints`). To add a
rule, write a function here, put it into the list, and give its Reason a sentence in
:mod:`routed_llm.reasons`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from routed_llm.catalog.model import WINDOWS
from routed_llm.policy import EFFORTS, ENDPOINTS, Policy
from routed_llm.reasons import Reason

if TYPE_CHECKING:
    from routed_llm.catalog.entry_types import Endpoint
    from routed_llm.catalog.model import Model
    from routed_llm.decide.quality import Floor
    from routed_llm.decide.speed import Pace
    from routed_llm.facts import RequestFacts
    from routed_llm.measures import Measured

__all__ = ["OF_EFFORT", "SHAPE_RULES", "Configuration", "Reference", "Setting", "ShapeRule"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """A model at one effort on one endpoint: what a rule tests.

    Attributes:
        effort: the effort that would be sent, or None to send none.
    """

    model: Model
    effort: str | None
    endpoint: str

    @property
    def at_effort(self) -> str:
        """``" at low"`` or nothing, for sentences."""
        return "" if self.effort is None else f" at {self.effort}"


class Reference(NamedTuple):
    """How quick the model is that the program was written for.

    Attributes:
        model: its catalog id.
        pace: at the tier that calls are made at.
        ratio: output tokens, without reasoning, for each token that gpt-4o would write.
        reasoning: reasoning tokens that are published for a call with an answer of average length.
    """

    model: str
    pace: Pace
    ratio: float
    reasoning: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the rules know besides the configuration and the request.

    Attributes:
        endpoints: the facts of each endpoint.
        floor: the quality floor, or None.
        dimensions: the dimensions of quality that the request touches.
        guarded: the other dimensions on which a configuration must not be worse.
        incumbent: catalog id of the policy's incumbent, or None.
        alone: True when the pool holds a single model, so that nothing else could serve the call.
        near: True when no configuration has the effort that the call asks for, so that its neighbours may.
        demanded: the dimensions of which a named task wants a measure.
        lifted: defaults that do not hold, since nothing could serve the request under them
            (:class:`routed_llm.decide.shape.Relaxation`).
        reference: how long the baseline would take, or None where nobody asks.
        replacement: what the provider names in the baseline's place, or None.
        own: what the user's own examples say of configurations, by model and effort.
        cost_cap: the most picodollars that the policy lets a call be expected to cost, or None.
        prefer_tier: the tier that a model is called at where it is sold at it, or None.
        matter: what the request is about, as far as reasoning is published of it
            (:func:`routed_llm.pricing.matter_of`).
        lock: the model whose stored state the request refers to, or None once it has been shut down: the
            provider keeps what it said, and another may go on from there.
    """

    policy: Policy
    at: date
    endpoints: Mapping[str, Endpoint]
    floor: Floor | None
    dimensions: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    incumbent: str | None = None
    alone: bool = False
    near: bool = False
    cost_cap: int | None = None
    demanded: tuple[str, ...] = ()
    lifted: frozenset[str] = frozenset()
    reference: Reference | None = None
    replacement: Model | None = None
    prefer_tier: str | None = None
    compared: dict[Any, bool] = field(default_factory=dict, repr=False, compare=False)
    own: Mapping[tuple[str, str | None], Measured] = field(default_factory=dict)
    matter: str | None = None
    lock: str | None = None


ShapeRule = Callable[[Configuration, "RequestFacts", Setting], "Reason | None"]


def lifecycle(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """A model answers from its release to its shutdown, less the policy's grace."""
    model, life = at.model, at.model.lifecycle
    if model.alive(setting.at, grace=setting.policy.grace or 0):
        return None
    if life.released is not None and setting.at < life.released:
        return Reason("unreleased", {"model": model.id, "released": life.released, "at": setting.at})
    replaced = f"; the provider names {life.replacement} instead" if life.replacement else ""
    return Reason("retired", {"model": model.id, "shutdown": life.shutdown, "replaced": replaced})


def excluded(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """The policy may exclude models by pattern."""
    names = (at.model.id, at.model.name, at.model.sent_as, *at.model.aliases)
    for pattern in setting.policy.exclude:
        if any(fnmatchcase(name, pattern) for name in names):
            return Reason("excluded", {"model": at.model.id, "pattern": pattern})
    return None


def locked(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """State that a model stored is continued by that model, as long as there is one."""
    if setting.lock is None or at.model.id == setting.lock:
        return None
    return Reason("locked", {"locked_to": setting.lock})


def endpoint(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """A caller may insist on an endpoint."""
    if facts.endpoint is None or facts.endpoint == at.endpoint:
        return None
    return Reason("endpoint_forced", {"model": at.model.id, "endpoint": at.endpoint, "asked": facts.endpoint})


def endpoint_there(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """An address need not have every endpoint; the policy says so, or it was learned."""
    if setting.policy.endpoints is None or at.endpoint not in ENDPOINTS:
        return None
    for address, names in setting.policy.endpoints:
        if address in ("*", at.model.base_url or "") and at.endpoint not in names:
            return Reason("no_endpoint", {"model": at.model.id, "endpoint": at.endpoint})
    return None


def service_tier(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """A tier other than the standard one must be on sale for the model."""
    tier = facts.service_tier
    if tier in ("standard", "batch") or at.model.price(setting.at, tier=tier) is not None:
        return None
    return Reason("service_tier", {"model": at.model.id, "tier": tier})


def inputs(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """Model and endpoint must take every kind of input, where it stands."""
    place = setting.endpoints[at.endpoint]
    for kind in sorted(facts.inputs):
        if kind not in at.model.inputs:
            return Reason("input", {"model": at.model.id, "kind": kind})
        if kind not in place.inputs:
            return Reason("input_endpoint", {"endpoint": at.endpoint, "kind": kind, "place": "a message"})
    for kind in sorted(facts.tool_inputs):
        if kind not in place.tool_inputs:
            return Reason(
                "input_endpoint", {"endpoint": at.endpoint, "kind": kind, "place": "a tool message"}
            )
    return None


def outputs(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """The model must give every kind of output asked for, and audio models want audio somewhere."""
    for kind in sorted(facts.outputs):
        if kind not in at.model.outputs:
            return Reason("output", {"model": at.model.id, "kind": kind})
    if at.model.requires_audio and "audio" not in facts.inputs and "audio" not in facts.outputs:
        return Reason("audio_required", {"model": at.model.id})
    return None


def tools(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """Tools must be accepted on the endpoint at the effort that is sent; hosted ones be offered there."""
    if facts.tools:
        accepts = at.model.tools.get(at.endpoint, "no")
        data = {"model": at.model.id, "endpoint": at.endpoint, "effort": at.effort or "left to the model"}
        if accepts == "no":
            return Reason("tools", data)
        if accepts == "effort_none" and at.effort != "none":
            return Reason("tools_effort", data)
    for tool in sorted(facts.builtin_tools):
        offered = (
            at.model.builtin_tools if at.endpoint == "responses" else _CHAT_BUILTIN & at.model.builtin_tools
        )
        if tool not in offered:
            return Reason("builtin_tool", {"model": at.model.id, "endpoint": at.endpoint, "tool": tool})
    return None


def structured(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """The model must offer the kind of structured output asked for."""
    if facts.structured is None or facts.structured in at.model.structured:
        return None
    return Reason("structured", {"model": at.model.id, "kind": facts.structured})


def streaming(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """A model that cannot stream cannot serve a streamed call, unless there is no other."""
    if not facts.stream or at.model.streaming or setting.alone:
        return None
    return Reason("streaming", {"model": at.model.id})


def effort(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """An effort that the caller asks for is met exactly, or where none can serve, by the next to it."""
    asked = facts.effort or setting.policy.effort
    if asked is None or asked == at.effort or setting.alone:
        return None
    if asked == "none" and not at.model.reasons:
        return None
    if setting.near and _is_next_to(at.effort, asked, at.model.efforts.get(at.endpoint, ())):
        return None
    offered = ", ".join(at.model.efforts.get(at.endpoint, ())) or "no efforts"
    data = {"model": at.model.id, "endpoint": at.endpoint, "asked": asked, "offered": offered}
    return Reason("effort", data)


def _is_next_to(effort: str | None, asked: str, offered: Sequence[str]) -> bool:
    """Say whether a model offers no effort between the two; one that does not reason is below all."""
    if asked not in EFFORTS:
        return False
    if effort is None:
        return not offered
    low, high = sorted((EFFORTS.index(effort), EFFORTS.index(asked)))
    return not any(low < EFFORTS.index(other) < high for other in offered if other in EFFORTS)


def quality_floor(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """No published measure may put the configuration below the baseline where it matters here.

    What the user's own examples have settled is not asked of published ones. An incumbent is there by the
    user's own word, whatever is published about it; so is the baseline's own model at the effort that the
    call asks for, since that is what the program ran before.
    """
    floor = setting.floor
    if floor is None or facts.model is not None or at.model.id == setting.incumbent:
        return None
    if facts.effort is not None and at.effort == facts.effort and at.model.id == floor.baseline.id:
        return None
    own = setting.own.get((at.model.id, at.effort))
    if own is not None and own.verdict != "open":
        if own.verdict == "proven":
            return None
        data = {"model": at.model.id, "at_effort": at.at_effort, "baseline": own.baseline}
        return Reason("floor_own", {**data, "said": own.sentence})
    demanded = () if "evidence" in setting.lifted else setting.demanded
    return floor.refusal(at.model, at.effort, setting.dimensions, setting.guarded, demanded)


def highest_effort(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """The best is looked for at efforts up to high; beyond, minutes are paid for points."""
    if setting.policy.optimize != "quality" or facts.effort or setting.policy.effort or facts.model:
        return None
    if at.effort not in _BEYOND or "effort" in setting.lifted:
        return None
    return Reason("beyond_high", {"model": at.model.id, "effort": at.effort})


_BEYOND = frozenset(EFFORTS[EFFORTS.index("high") + 1 :])


def unstored(at: Configuration, facts: RequestFacts, setting: Setting) -> Reason | None:
    """Where nothing may be stored, what works by being stored cannot be had."""
    if setting.policy.store is not False:
        return None
    tier = setting.policy.service_tier if facts.service_tier == "standard" else facts.service_tier
    if facts.parameter("background") or tier in WINDOWS:
        return Reason("stored", {"what": "a background response"})
    if facts.parameter("conversation"):
        return Reason("stored", {"what": "a conversation"})
    named = facts.parameter("metadata") is not None and at.model.base_url is None
    if named and at.endpoint == "chat_completions":  # which refuses the one without the other
        return Reason("stored", {"what": "what Chat Completions takes metadata of"})
    return Reason("stored", {"what": "a batch's file"}) if tier == "batch" else None


SHAPE_RULES: tuple[ShapeRule, ...] = (
    lifecycle,
    excluded,
    unstored,
    locked,
    endpoint,
    endpoint_there,
    service_tier,
    inputs,
    outputs,
    tools,
    structured,
    streaming,
    effort,
    quality_floor,
    highest_effort,
)
"""Rules whose outcome is the same for every request of one shape, in the order they are asked."""

OF_EFFORT: frozenset[ShapeRule] = frozenset({tools, effort, quality_floor, highest_effort})
"""Those of them that look at the effort; the others say the same of every effort of a model."""

_CHAT_BUILTIN = frozenset({"web_search_options"})
