"""RM005: a class that only sets fields of ``ChatOpenAI`` or ``OpenAI`` gets the routed class as its base."""

from __future__ import annotations

import libcst as cst

from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules import rm001_chat_openai, rm003_llama_index_openai
from routed_llm.migrate.rules.base import LANGCHAIN, LLAMA_INDEX, NewName, Rule, Swap

__all__ = ["RULE"]

_FIELDS = ("model", "model_name")


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise a subclass that names a model as one of its fields."""
    if not isinstance(node, cst.ClassDef):
        return None
    for base in node.bases:
        new = _new_base(tree.names(base.value))
        if new is None:
            continue
        model, plain = _fields(node)
        if model is None:
            return None
        return Swap(
            rule="RM005",
            node=node,
            name=dotted(base.value),
            new=new,
            model=model,
            replaced=[base.value],
            blocked=None
            if plain
            else "the class overrides methods of its base, and the routed class delegates to others. "
            "Check what they are for and change the base by hand.",
        )
    return None


def _new_base(names: frozenset[str]) -> NewName | None:
    if names & rm001_chat_openai.CLASSES:
        return LANGCHAIN
    return LLAMA_INDEX if names & rm003_llama_index_openai.CLASSES else None


def _fields(node: cst.ClassDef) -> tuple[cst.BaseExpression | None, bool]:
    """Return the model that a class sets, and whether it does nothing but set fields."""
    model: cst.BaseExpression | None = None
    plain = True
    for line in node.body.body:
        if not isinstance(line, cst.SimpleStatementLine):
            plain = False
            continue
        for item in line.body:
            targets: list[cst.BaseExpression] = []
            if isinstance(item, cst.AnnAssign):
                targets = [item.target]
            elif isinstance(item, cst.Assign):
                targets = [target.target for target in item.targets]
            if any(dotted(target) in _FIELDS for target in targets):
                assert isinstance(item, (cst.Assign, cst.AnnAssign))  # noqa: S101 - only they have targets
                model = item.value
    return model, plain


RULE = Rule("RM005", "subclasses of ChatOpenAI and OpenAI that only set fields", match)
