"""RM005: a class that only sets fields of ``ChatOpenAI`` or ``OpenAI`` gets the routed class as its base."""

from __future__ import annotations

import libcst as cst

from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules import rm001_chat_openai, rm003_llama_index_openai
from routed_llm.migrate.rules.base import Rule, Swap, literals

__all__ = ["RULE"]

_FIELDS = ("model", "model_name")
_FAMILIES = (rm001_chat_openai.FAMILY, rm003_llama_index_openai.FAMILY)


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise a subclass that names a model as one of its fields."""
    if not isinstance(node, cst.ClassDef):
        return None
    for base in node.bases:
        names = tree.names(base.value)
        family = next((item for item in _FAMILIES if names & item.classes), None)
        if family is None:
            continue
        fields, plain = _fields(node)
        model = next((fields[name] for name in _FIELDS if name in fields), None)
        if model is None:
            return None
        return Swap(
            rule="RM005",
            node=node,
            name=dotted(base.value),
            new=family.new,
            model=model,
            replaced=[base.value],
            parameters=literals(tree, {name: cst.Arg(value=value) for name, value in fields.items()}),
            blocked=None
            if plain
            else "the class overrides methods of its base, and the routed class delegates to others. "
            "Check what they are for and change the base by hand.",
        )
    return None


def _fields(node: cst.ClassDef) -> tuple[dict[str, cst.BaseExpression], bool]:
    """Return the fields that a class sets, and whether it does nothing else."""
    fields: dict[str, cst.BaseExpression] = {}
    plain = True
    for line in node.body.body:
        if not isinstance(line, cst.SimpleStatementLine):
            plain = False
            continue
        for item in line.body:
            if not isinstance(item, (cst.AnnAssign, cst.Assign)) or item.value is None:
                continue
            targets = (
                [item.target] if isinstance(item, cst.AnnAssign) else [part.target for part in item.targets]
            )
            fields.update((dotted(target), item.value) for target in targets)
    return fields, plain


RULE = Rule("RM005", "subclasses of ChatOpenAI and OpenAI that only set fields", match)
