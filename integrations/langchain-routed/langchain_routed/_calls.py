"""Small steps between LangChain's calling conventions and a routed call; none of them keeps anything."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers._streaming import _StreamingCallbackHandler, _V2StreamingCallbackHandler

from langchain_routed._messages import PLAN, ROUTING
from routed_llm import CallOptions, Policy, PolicyError

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

    from langchain_routed._call import RejectedCall, RoutedCall

__all__ = [
    "completed",
    "configured",
    "joined",
    "planned",
    "split_runs",
    "streams",
    "traced",
    "visible",
]

_RUN_ONLY: Final = ("run_id", "run_name", "tags", "metadata")

OWN_KEY: Final = "routed_llm"
"""Key of a config's ``configurable`` that nobody else uses."""

_KEYWORDS: Final = frozenset(
    {*(field.name for field in fields(Policy)), "policy", "scope", "conversation", "budget"}
)


def traced(call: RoutedCall | RejectedCall) -> dict[str, str]:
    """Return what a trace shows of a decision from the start of a run: keys that runs can be filtered by."""
    decision = call.decision
    if decision is None:
        return {}  # nothing was decided
    shown = {
        "baseline": decision.baseline if decision.policy is None else decision.policy.baseline,
        "model": decision.model,
        "effort": decision.effort,
        "why": decision.why,
        "estimated_cost": None if decision.dollars is None else f"{decision.dollars:f}",
        "arm": None if decision.trial is None else decision.trial.arm,
    }
    return {f"routed_{name}": value for name, value in shown.items() if value is not None}


def configured(config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Add what a config's ``configurable`` says of routing to a call's keywords, which win.

    A LangGraph thread is a conversation unless another is named.

    Raises:
        PolicyError: when the keywords or ``configurable["routed_llm"]`` are wrong.
    """
    if PLAN in kwargs:
        return kwargs
    given = (config or {}).get("configurable")
    if given is None:
        given = (var_child_runnable_config.get() or {}).get("configurable")
    if not given:
        return kwargs
    own, routing, thread = given.get(OWN_KEY), given.get("routing"), given.get("thread_id")
    if own is None and routing is None and thread is None:
        return kwargs
    around = CallOptions.read(own).over(_ours(routing))
    if thread is not None:
        around = around.over(CallOptions(conversation=str(thread)))
    return {**kwargs, "routing": CallOptions.read(kwargs.get("routing")).over(around)}


def _ours(routing: Any) -> CallOptions:
    """Read ``configurable["routing"]`` as far as it is ours: applications have such a key of their own."""
    if isinstance(routing, Mapping) and not _KEYWORDS.issuperset(routing):
        return CallOptions()
    if not isinstance(routing, (Mapping, Policy, CallOptions)):
        return CallOptions()
    try:
        options = CallOptions.read(routing)
        if not isinstance(options.policy, (Policy, type(None))):
            raise PolicyError(f"policy is a {type(options.policy).__name__}. Give a Policy.", key="policy")
        options.applied_to(Policy())
    except PolicyError as error:
        warnings.warn(
            f"The config's configurable[\"routing\"] is taken for the application's own: {error} "
            f"Say what is meant for routed-llm under {OWN_KEY!r}.",
            stacklevel=3,
        )
        return CallOptions()
    return options


def planned(kwargs: Mapping[str, Any], call: RoutedCall | RejectedCall) -> dict[str, Any]:
    """Return a call's keywords with its call, naming the model that was chosen."""
    kept = {**kwargs, "model": call.model, PLAN: call}
    kept.pop("routing", None)
    return kept


def visible(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that traces may show."""
    return {name: value for name, value in kwargs.items() if name != "routing"}


def split_runs(prompts: int, kwargs: dict[str, Any]) -> list[dict[str, Any]]:
    """Take what belongs to a run's trace, one dict a prompt, out of the call's keywords.

    Only the first run may have the id that was given.
    """
    run: dict[str, Any] = {name: kwargs.pop(name) for name in _RUN_ONLY if name in kwargs}
    if prompts == 1:
        return [run]
    rest: dict[str, Any] = {name: value for name, value in run.items() if name != "run_id"}
    return [run, *[rest] * (prompts - 1)]


def streams(model: ChatOpenAI, callbacks: Any, kwargs: Mapping[str, Any], *, async_api: bool) -> bool:
    """Say whether LangChain will stream behind a plain call, for a setting's or a handler's sake."""
    # Without a handler only these two can make it stream; they are asked about in a tenth of the time.
    plain = type(model)._should_stream is BaseChatModel._should_stream
    if (not plain or model.streaming or kwargs.get("stream")) and model._should_stream(
        async_api=async_api, **kwargs
    ):
        return True
    if not callbacks:
        return False
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks
    asks = any(isinstance(h, (_StreamingCallbackHandler, _V2StreamingCallbackHandler)) for h in handlers)
    return asks and not model._streaming_disabled(**kwargs)


def completed(result: LLMResult, call: RoutedCall | RejectedCall) -> LLMResult:
    """Name the routed model in a result, and mark an answer that came from the cache as free."""
    if result.llm_output:
        result.llm_output["model_name"] = call.model
    if call.begun:
        return result
    for generation in (one for answers in result.generations for one in answers):
        if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
            metadata = generation.message.response_metadata
            record = {**metadata.get(ROUTING, {}), "cost": "0", "cached": True}
            # The cache keeps the generation itself: give the caller another.
            generation.message = generation.message.model_copy(
                update={"response_metadata": {**metadata, ROUTING: record}}
            )
    return result


def joined(found: Sequence[LLMResult | BaseException]) -> LLMResult:
    """Join the results of several prompts as ``generate`` returns them, or raise the first failure."""
    for failure in found:
        if isinstance(failure, BaseException):
            raise failure
    results = [result for result in found if isinstance(result, LLMResult)]
    if len(results) == 1:
        return results[0]
    usage: dict[str, Any] = {}
    outputs = [result.llm_output or {} for result in results]
    for one in outputs:
        usage = _added(usage, one.get("token_usage") or {})
    names = [one.get("model_name") for one in outputs]
    output = {"token_usage": usage, "model_name": names[0], "model_names": names}
    fingerprint = next((one["system_fingerprint"] for one in outputs if one.get("system_fingerprint")), None)
    if fingerprint is not None:
        output["system_fingerprint"] = fingerprint  # the first one, as with ChatOpenAI
    return LLMResult(
        generations=[answers for result in results for answers in result.generations],
        llm_output=output,
        run=[run for result in results for run in result.run or []] or None,
    )


def _added(total: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    added = dict(total)
    for name, value in more.items():
        if isinstance(value, Mapping):
            added[name] = _added(added.get(name) or {}, value)
        elif isinstance(value, int):
            added[name] = (added.get(name) or 0) + value
    return added
