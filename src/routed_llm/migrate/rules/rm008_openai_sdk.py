"""RM008: a client of OpenAI's SDK is imported from ``openai_routed``; its calls stay as they are.

Where the SDK's module is asked itself (``openai.chat.completions.create``), the call names the other module.
"""

from __future__ import annotations

from typing import Final

import libcst as cst

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.clients import CLIENTS, MODULE_CALLS, Clients
from routed_llm.migrate.python.tree import Tree, dotted, targets
from routed_llm.migrate.rules.base import OPENAI, UNKNOWN, Rule, Swap, arguments, elsewhere, literals

__all__ = ["RULE"]

_NAMES: Final = frozenset({*(f"openai.{name}" for name in CLIENTS), "agents.AsyncOpenAI"})


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise the making of a client with which a model is asked."""
    if not isinstance(node, cst.Call):
        return None
    names = tree.names(node.func)
    if names & MODULE_CALLS:
        return _of_module(tree, node)
    name = next(iter(names & _NAMES), None)
    if name is None:
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


def _of_module(tree: Tree, node: cst.Call) -> Swap | None:
    given, starred = arguments(tree, node)
    root: cst.CSTNode = node.func
    while isinstance(root, cst.Attribute):
        root = root.value
    if "model" not in given or not isinstance(root, cst.Name) or tree.names(root) != {"openai"}:
        return None
    set_up = {dotted(target) for item in tree.nodes.assigned for target in targets(item)}
    other = next((name for name in _SET_UP if f"{root.value}.{name}" in set_up), None)
    return Swap(
        rule="RM008",
        node=node,
        name=dotted(node.func),
        new=OPENAI["OpenAI"],
        model=given["model"].value,
        edits=[Edit(*tree.span(root), "openai_routed")],
        modules=("openai_routed",),
        lenient=True,
        blocked=f"openai.{other} is set in this file. Make a client of openai_routed with it instead."
        if other
        else "its arguments come from elsewhere with **. Rewrite it by hand."
        if starred
        else None,
    )


_SET_UP: Final = ("api_type", "api_base", "base_url", "azure_endpoint", "api_version")
"""Attributes of the module that send its calls to another server."""


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


RULE = Rule("RM008", "clients of OpenAI's SDK to those of openai_routed", match, _NAMES | MODULE_CALLS)
