"""RM008: a client of OpenAI's SDK is imported from ``openai_routed``; its calls stay as they are."""

from __future__ import annotations

from typing import Final

import libcst as cst

from routed_llm.migrate.python.clients import CLIENTS, Clients
from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules.base import OPENAI, UNKNOWN, Rule, Swap, arguments, elsewhere, literals

__all__ = ["RULE"]

_NAMES: Final = frozenset({*(f"openai.{name}" for name in CLIENTS), "agents.AsyncOpenAI"})


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise the making of a client with which a model is asked."""
    name = next(iter(tree.names(node.func) & _NAMES), None) if isinstance(node, cst.Call) else None
    if name is None or not isinstance(node, cst.Call):
        return None
    clients = Clients.of(tree)
    models = clients.models_of(node)
    given, starred = arguments(tree, node)
    values = literals(tree, given)
    kind = CLIENTS[name.rpartition(".")[2]]
    return Swap(
        rule="RM008",
        node=node,
        name=dotted(node.func),
        new=OPENAI[kind],
        model=models[0] if models else None,
        more=list(models[1:]),
        given=tuple(clients.keys_of(node)),
        replaced=[node.func],
        lenient=True,
        blocked=_blocked(kind, values, starred=starred),
    )


def _blocked(kind: str, values: dict[str, object], *, starred: bool) -> str | None:
    if "Azure" in kind:
        return (
            "Azure serves deployments, not model ids, so routing needs to know what runs in each. "
            f"openai_routed.{kind}(deployments={{deployment: model, ...}}) chooses among those that you name."
        )
    if starred:
        return "its arguments come from elsewhere with **. Rewrite it by hand."
    if values.get("http_client", UNKNOWN) is None:
        return None
    return elsewhere(values)


RULE = Rule("RM008", "clients of OpenAI's SDK to those of openai_routed", match, _NAMES)
