"""RM001: LangChain's ``ChatOpenAI(...)`` becomes ``RoutedChatModel(...)``; its arguments stay as they are."""

from __future__ import annotations

from functools import partial

from routed_llm.migrate.rules.base import LANGCHAIN, Family, Rule

__all__ = ["FAMILY", "RULE"]

FAMILY = Family(
    classes=frozenset(
        {
            "langchain_openai.ChatOpenAI",
            "langchain_openai.chat_models.ChatOpenAI",
            "langchain_openai.chat_models.base.ChatOpenAI",
        }
    ),
    new=LANGCHAIN,
    model=("model", "model_name", "azure_deployment", "deployment_name"),
    instead=(
        (
            frozenset(
                {
                    "langchain_openai.AzureChatOpenAI",
                    "langchain_openai.chat_models.AzureChatOpenAI",
                    "langchain_openai.chat_models.azure.AzureChatOpenAI",
                    "langchain_community.chat_models.AzureChatOpenAI",
                    "langchain.chat_models.AzureChatOpenAI",
                }
            ),
            "Azure serves deployments, not model ids, so routing needs one deployment for each model. "
            "RoutedChatModel.from_azure(deployments={...}) routes among those that you name.",
        ),
        (
            frozenset(
                {
                    "langchain.chat_models.ChatOpenAI",
                    "langchain.chat_models.openai.ChatOpenAI",
                    "langchain_community.chat_models.ChatOpenAI",
                    "langchain_community.chat_models.openai.ChatOpenAI",
                }
            ),
            "this ChatOpenAI is the one that langchain-openai replaced. "
            "Import it from langchain_openai first and run this again.",
        ),
    ),
)

RULE = Rule(
    "RM001", "LangChain ChatOpenAI(...) to RoutedChatModel(...)", partial(FAMILY.match, "RM001"), FAMILY.names
)
