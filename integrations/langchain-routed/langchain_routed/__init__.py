"""A LangChain chat model that picks the OpenAI model for each call."""

from langchain_routed._pause import Pause

with Pause():
    from langchain_core.load.load import DEFAULT_NAMESPACES

    from langchain_routed._costs import CostCallbackHandler
    from langchain_routed.chat_models import RoutedChatModel

__all__ = ["CostCallbackHandler", "RoutedChatModel", "__version__"]

__version__ = "0.1.0"

# load() looks into the packages on its list only, before it asks whether the caller allows the class. Being
# on it spares callers `valid_namespaces`; what may be loaded is still theirs to say, in `allowed_objects`.
if __name__ not in DEFAULT_NAMESPACES:
    DEFAULT_NAMESPACES.append(__name__)
