"""Profile: what programs see that their model can do."""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast

from langchain_core.language_models import ModelProfile
from langchain_openai import ChatOpenAI

from routed_llm import Model, Policy, Router
from routed_llm.calls.reach import known, usual, widest

__all__ = ["profile_of"]


@lru_cache(maxsize=64)
def profile_of(
    router: Router, policy: Policy, *, scope: str = "baseline", on_responses: bool = False
) -> ModelProfile:
    """Return what one model can do, all of it together; limits and modalities are the catalog's.

    Args:
        router: whose models they are.
        policy: what is wanted.
        scope: ``baseline`` for the model that the program was written for (where the policy names other
            models only, the one that serves a plain request), ``pool`` for the reachable model with the
            largest window.
        on_responses: whether every call goes to Responses.
    """
    name = usual(router, policy) if scope == "baseline" else widest(router, policy)
    if name is None:
        return {}
    model = known(router, name)
    only_responses = on_responses or (model is not None and "chat_completions" not in model.endpoints)
    # langchain-openai's own method, asked about this name; it claims nothing that hangs on the request.
    asked = SimpleNamespace(model_name=name, _use_responses_api=lambda _: only_responses)
    profile = dict(ChatOpenAI._resolve_model_profile(asked) or {})  # type: ignore[arg-type]
    return cast("ModelProfile", profile | ({} if model is None else _facts(model)))


def _facts(model: Model) -> dict[str, Any]:
    in_tools = "responses" in model.endpoints
    return {
        "max_input_tokens": model.limits.max_input,
        "max_output_tokens": model.limits.max_output,
        "text_inputs": "text" in model.inputs,
        "image_inputs": "image" in model.inputs,
        "image_url_inputs": "image" in model.inputs,
        "pdf_inputs": "pdf" in model.inputs,
        "audio_inputs": "audio" in model.inputs,
        "audio_outputs": "audio" in model.outputs,
        "image_tool_message": in_tools and "image" in model.inputs,
        "pdf_tool_message": in_tools and "pdf" in model.inputs,
        "tool_calling": any(state != "no" for state in model.tools.values()),
        "structured_output": "json_schema" in model.structured,
    }
