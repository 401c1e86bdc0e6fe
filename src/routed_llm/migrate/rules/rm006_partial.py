"""RM006: ``partial(ChatOpenAI, model="gpt-4o")`` gets the routed class."""

from __future__ import annotations

import libcst as cst

from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules import rm001_chat_openai, rm003_llama_index_openai
from routed_llm.migrate.rules.base import Rule, Swap, arguments, elsewhere, literals

__all__ = ["RULE"]

_FAMILIES = (rm001_chat_openai.FAMILY, rm003_llama_index_openai.FAMILY)


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise a partial call of one of the classes."""
    if not isinstance(node, cst.Call) or not node.args or "functools.partial" not in tree.names(node.func):
        return None
    made = node.args[0].value
    names = tree.names(made)
    family = next((item for item in _FAMILIES if names & item.classes), None)
    if family is None:
        return None
    given, _ = arguments(tree, node, ("class",))
    values = {name: value for name, value in literals(tree, given).items() if name != "class"}
    model = given.get("model") or given.get("model_name")
    return Swap(
        rule="RM006",
        node=node,
        name=f"partial({dotted(made)})",
        new=family.new,
        model=model.value if model else None,
        replaced=[made],
        parameters=values,
        blocked=elsewhere(values),
    )


RULE = Rule("RM006", "functools.partial of ChatOpenAI and OpenAI", match, frozenset({"functools.partial"}))
