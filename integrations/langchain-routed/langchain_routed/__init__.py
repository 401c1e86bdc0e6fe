"""A LangChain chat model that picks the OpenAI model for each call."""

from langchain_routed.chat_models import RoutedChatModel

__all__ = ["RoutedChatModel", "__version__"]

__version__ = "0.1.0"
