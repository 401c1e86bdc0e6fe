"""RM002: LangChain's ``init_chat_model("openai:gpt-4o")`` becomes ``RoutedChatModel(model="gpt-4o")``."""

from __future__ import annotations

import libcst as cst

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.tree import Tree, dotted, text_of
from routed_llm.migrate.rules.base import LANGCHAIN, Rule, Swap, arguments, elsewhere, literals, without

__all__ = ["RULE", "strip_provider"]

_FUNCTIONS = frozenset(
    {
        "langchain.chat_models.init_chat_model",
        "langchain.chat_models.base.init_chat_model",
        "langchain_classic.chat_models.init_chat_model",
        "langchain_classic.chat_models.base.init_chat_model",
    }
)
_CONFIGURED = ("configurable_fields", "config_prefix")


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise a call of the function."""
    if not isinstance(node, cst.Call) or not tree.names(node.func) & _FUNCTIONS:
        return None
    given, starred = arguments(tree, node, ("model",))
    values = literals(tree, given)
    model, provider = given.get("model"), given.get("model_provider")
    swap = Swap(
        rule="RM002",
        node=node,
        name=dotted(node.func),
        new=LANGCHAIN,
        model=model.value if model else None,
        replaced=[node.func],
        parameters={name: value for name, value in values.items() if name != "model_provider"},
        prefixed=True,
        blocked=_blocked(values, starred or (provider is not None and provider not in node.args))
        or elsewhere(values),
    )
    if model is not None and model.keyword is None and model in node.args:
        start = tree.span(model)[0]
        swap.edits.append(Edit(start, start, "model="))
    if model is not None and model in node.args:
        swap.edits.extend(strip_provider(tree, model.value))
    if provider is not None and provider in node.args:
        swap.edits.append(without(tree, node, provider))
    return swap


def strip_provider(tree: Tree, node: cst.BaseExpression) -> list[Edit]:
    """Return the edit that takes ``openai:`` off a literal."""
    value = text_of(node)
    if value is None or not value.startswith("openai:"):
        return []
    start, end = tree.span(node)
    place = tree.text.index("openai:", start, end)
    return [Edit(place, place + len("openai:"), "")]


def _blocked(values: dict[str, object], starred: bool) -> str | None:
    named = [name for name in _CONFIGURED if name in values]
    if named:
        return f"{named[0]} lets each call name any provider. Rewrite it by hand if all are OpenAI's."
    if values.get("model_provider", "openai") != "openai":
        return "model_provider is not openai. Leave it, or rewrite it by hand."
    if starred:
        return "its arguments come from elsewhere with **. Rewrite it by hand."
    return None


RULE = Rule("RM002", "LangChain init_chat_model(...) to RoutedChatModel(...)", match, _FUNCTIONS)
