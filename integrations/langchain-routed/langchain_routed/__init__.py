"""A LangChain chat model that picks the OpenAI model for each call."""

from routed_llm.calls.adapting import paused_collector

with paused_collector():
    from langchain_core.load.load import DEFAULT_NAMESPACES

    from langchain_routed._costs import CostCallbackHandler
    from langchain_routed.chat_models import RoutedChatModel
    from routed_llm import __version__

__all__ = ["CostCallbackHandler", "RoutedChatModel", "__version__"]

# load() looks into the packages on its list only, before it asks whether the caller allows the class. Being
# on it spares callers `valid_namespaces`; what may be loaded is still theirs to say, in `allowed_objects`.
if __name__ not in DEFAULT_NAMESPACES:
    DEFAULT_NAMESPACES.append(__name__)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
