"""RM003: LlamaIndex's ``OpenAI(...)`` becomes ``RoutedLLM(...)``; its arguments stay as they are."""

from __future__ import annotations

import libcst as cst

from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules.base import LLAMA_INDEX, Rule, Swap, arguments, elsewhere, literals

__all__ = ["CLASSES", "RULE", "blocked_class"]

CLASSES = frozenset({"llama_index.llms.openai.OpenAI", "llama_index.llms.openai.base.OpenAI"})
_OLD = frozenset(
    {"llama_index.llms.OpenAI", "llama_index.core.llms.OpenAI", "llama_index.legacy.llms.OpenAI"}
)
_AZURE = frozenset({"llama_index.llms.azure_openai.AzureOpenAI", "llama_index.llms.AzureOpenAI"})
_POSITIONAL = ("model", "temperature", "max_tokens")


def blocked_class(names: frozenset[str]) -> str | None:
    """Say why a class that resembles LlamaIndex's OpenAI is not rewritten."""
    if names & _AZURE:
        return (
            "Azure serves deployments, not model ids. "
            "Give the deployment a model that stays, or call OpenAI itself with RoutedLLM."
        )
    if names & _OLD:
        return (
            "this OpenAI is the one that llama-index-llms-openai replaced. "
            "Import it from llama_index.llms.openai first and run this again."
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
    given, starred = arguments(node, _POSITIONAL)
    values = literals(tree, given)
    model = given.get("model") or given.get("engine") or given.get("deployment_name")
    if blocked is None and not names <= CLASSES:
        blocked = "the name may refer to something else, too. Make it refer to one class only."
    if blocked is None and starred and model is None:
        blocked = "its arguments come from elsewhere with **. Rewrite it by hand."
    return Swap(
        rule="RM003",
        node=node,
        name=dotted(node.func),
        new=LLAMA_INDEX,
        model=model.value if model else None,
        replaced=[node.func],
        parameters=values,
        blocked=blocked or elsewhere(values),
    )


RULE = Rule("RM003", "LlamaIndex OpenAI(...) to RoutedLLM(...)", match)
