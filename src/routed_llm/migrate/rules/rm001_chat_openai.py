"""RM001: LangChain's ``ChatOpenAI(...)`` becomes ``RoutedChatModel(...)``; its arguments stay as they are."""

from __future__ import annotations

import libcst as cst

from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules.base import LANGCHAIN, Rule, Swap, arguments, elsewhere, literals

__all__ = ["CLASSES", "RULE", "blocked_class"]

CLASSES = frozenset(
    {
        "langchain_openai.ChatOpenAI",
        "langchain_openai.chat_models.ChatOpenAI",
        "langchain_openai.chat_models.base.ChatOpenAI",
    }
)
_OLD = frozenset(
    {
        "langchain.chat_models.ChatOpenAI",
        "langchain.chat_models.openai.ChatOpenAI",
        "langchain_community.chat_models.ChatOpenAI",
        "langchain_community.chat_models.openai.ChatOpenAI",
    }
)
_AZURE = frozenset(
    {
        "langchain_openai.AzureChatOpenAI",
        "langchain_openai.chat_models.AzureChatOpenAI",
        "langchain_openai.chat_models.azure.AzureChatOpenAI",
        "langchain_community.chat_models.AzureChatOpenAI",
        "langchain.chat_models.AzureChatOpenAI",
    }
)


def blocked_class(names: frozenset[str]) -> str | None:
    """Say why a class that resembles ChatOpenAI is not rewritten."""
    if names & _AZURE:
        return (
            "Azure serves deployments, not model ids, so routing needs one deployment for each model. "
            "Make a RoutedChatModel with a factory= that returns the AzureChatOpenAI of a model."
        )
    if names & _OLD:
        return (
            "this ChatOpenAI is the one that langchain-openai replaced. "
            "Import it from langchain_openai first and run this again."
        )
    return None


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise a call of the class."""
    if not isinstance(node, cst.Call):
        return None
    names = tree.names(node.func)
    blocked = blocked_class(names)
    if not names & CLASSES and blocked is None:
        return None
    given, starred = arguments(node)
    values = literals(tree, given)
    model = given.get("model") or given.get("model_name") or given.get("azure_deployment")
    if blocked is None and not names <= CLASSES:
        blocked = "the name may refer to something else, too. Make it refer to one class only."
    return Swap(
        rule="RM001",
        node=node,
        name=dotted(node.func),
        new=LANGCHAIN,
        model=model.value if model else None,
        replaced=[node.func],
        parameters=values,
        blocked=blocked or elsewhere(values) or _spread(starred and model is None),
    )


def _spread(hidden: bool) -> str | None:
    return "its arguments come from elsewhere with **. Rewrite it by hand." if hidden else None


RULE = Rule("RM001", "LangChain ChatOpenAI(...) to RoutedChatModel(...)", match)
