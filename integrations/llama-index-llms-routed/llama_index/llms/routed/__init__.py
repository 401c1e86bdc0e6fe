"""A LlamaIndex LLM that picks the OpenAI model for each call."""

from routed_llm.calls.adapting import paused_collector

with paused_collector():
    from llama_index.llms.routed.base import RoutedLLM
    from llama_index.llms.routed.events import RoutingDecisionEvent, record_routing

__all__ = ["RoutedLLM", "RoutingDecisionEvent", "record_routing"]


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
