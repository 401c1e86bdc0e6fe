"""RM007: a model named by a string in ``create_agent(...)`` becomes a ``RoutedChatModel``."""

from __future__ import annotations

import libcst as cst

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.tree import Tree, dotted, text_of
from routed_llm.migrate.rules.base import LANGCHAIN, Rule, Swap, arguments
from routed_llm.migrate.rules.rm002_init_chat_model import strip_provider

__all__ = ["RULE"]

_FUNCTIONS = frozenset(
    {
        "langchain.agents.create_agent",
        "langgraph.prebuilt.create_react_agent",
        "langgraph.prebuilt.chat_agent_executor.create_react_agent",
        "deepagents.create_deep_agent",
    }
)


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise an agent that is given the model's name itself."""
    if not isinstance(node, cst.Call) or not tree.names(node.func) & _FUNCTIONS:
        return None
    given, _ = arguments(node, ("model",))
    model = given.get("model")
    value = text_of(model.value) if model is not None else None
    if model is None or value is None:
        return None
    start, end = tree.span(model.value)
    return Swap(
        rule="RM007",
        node=node,
        name=dotted(node.func),
        new=LANGCHAIN,
        model=model.value,
        edits=[
            Edit(start, start, f"{LANGCHAIN.name}(model="),
            *strip_provider(tree, model.value),
            Edit(end, end, ")"),
        ],
        uses=("tools",),
    )


RULE = Rule("RM007", "agents that are given a model's name", match)
