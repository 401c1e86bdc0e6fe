"""OpenAI's SDK in a module: which client each call is made with, and where that client is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

import libcst as cst
from libcst.metadata import Assignment, ImportAssignment

from routed_llm.migrate.python.objects import Objects
from routed_llm.migrate.python.tree import Tree, dotted, keywords, named_arguments, targets

__all__ = ["CLIENTS", "MODULE_CALLS", "Clients"]

CLIENTS: Final = {
    **{name: name for name in ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI")},
    "Client": "OpenAI",
    "AsyncClient": "AsyncOpenAI",
}
"""The SDK's names of its clients, to the classes that they are."""

_PLACES: Final = frozenset(
    {
        *(f"openai.{name}" for name in CLIENTS),
        *(f"openai_routed.{name}{how}" for name in CLIENTS for how in ("", ".deferred")),
        "agents.AsyncOpenAI",  # openai-agents hands it on
    }
)
_DEEP: Final = 8

_FORMS: Final = ("", ".with_raw_response", ".with_streaming_response")

_CALLS: Final = tuple(
    f".{resource}{form}.{method}"
    for form in _FORMS
    for resource, methods in {
        "chat.completions": (
            "create",
            "parse",
            "stream",
            "create_partial",
            "create_iterable",
            "create_with_completion",
        ),
        "responses": ("create", "parse", "stream"),
    }.items()
    for method in methods
)
"""What is routed of a client, instructor's additions to it among them."""

MODULE_CALLS: Final = frozenset(
    f"openai{beta}{resource}{form}.{method}"
    for form in _FORMS
    for beta in ("", ".beta")
    for resource in (".chat.completions", ".responses")
    for method in ("create", "parse", "stream")
)
"""What the SDK's module itself asks with, by a client that it makes of ``openai.api_key`` and the like."""

_SAME: Final = frozenset({"with_options", "copy", "beta", "with_raw_response", "with_streaming_response"})
"""Attributes and methods of a client that lead to the same client."""

_WRAPPERS: Final = frozenset(
    {"from_openai", "patch", "apatch", "wrap_openai", "wrap", "trace_openai", "observe_openai"}
)
"""Functions of instructor, LangSmith and others that take a client and return it, or what calls it."""

_TAKERS: Final = ("client", "async_client", "openai_client", "async_openai_client", "llm_client")
"""Keywords by which classes of other packages take a client beside a model's name."""


class Clients:
    """The clients of one module.

    Args:
        tree: the module.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree, self._objects = tree, Objects.of(tree)

    @classmethod
    def of(cls, tree: Tree) -> Clients:
        """Return the clients of a module, worked out once."""
        found = tree.notes.get("clients")
        if not isinstance(found, Clients):
            found = tree.notes["clients"] = cls(tree)
        return found

    def models_of(self, maker: cst.Call) -> Sequence[cst.BaseExpression]:
        """Return the models of the calls that are made with the client that a call makes."""
        return self._calls[0].get(maker, ())

    @property
    def elsewhere(self) -> Sequence[tuple[str, cst.BaseExpression]]:
        """The models of calls whose client another module makes, with the client's dotted name."""
        return self._calls[1]

    @cached_property
    def _calls(self) -> tuple[dict[cst.Call, list[cst.BaseExpression]], list[tuple[str, cst.BaseExpression]]]:
        here: dict[cst.Call, list[cst.BaseExpression]] = {}
        elsewhere: list[tuple[str, cst.BaseExpression]] = []
        for call in self._tree.nodes.calls:
            for client, model in self._asked(call):
                for maker in self._makers(client, _DEEP):
                    if isinstance(maker, str):
                        elsewhere.append((maker, model))
                    elif model not in here.setdefault(maker, []):
                        here[maker].append(model)
        return here, elsewhere

    def keys_of(self, maker: cst.Call) -> Iterator[str]:
        """Give the names under which other modules can take a client that is made here."""
        for item in self._tree.ancestors(maker):
            if isinstance(item, (cst.Assign, cst.AnnAssign)):
                if self._tree.around(item, (cst.FunctionDef, cst.ClassDef)) is None:
                    yield from (f"{dotted(target)}:client" for target in targets(item))
            elif isinstance(item, cst.Return):
                function = self._tree.around(item, cst.FunctionDef)
                if function is not None:
                    yield f"{function.name.value}():client"

    def _makers(self, node: cst.BaseExpression, depth: int) -> Iterator[cst.Call | str]:
        """Give the calls that make a client, or the dotted names by which another module's is imported."""
        if not depth:
            return
        if isinstance(node, cst.Call):
            yield from self._of_call(node, depth)
        elif isinstance(node, cst.Name):
            yield from self._of_name(node, depth)
        elif isinstance(node, cst.Attribute):
            yield from self._of_attribute(node, depth)
        elif isinstance(node, cst.Await):
            yield from self._makers(node.expression, depth - 1)
        elif isinstance(node, (cst.BooleanOperation, cst.IfExp)):
            for part in (
                (node.left, node.right)
                if isinstance(node, cst.BooleanOperation)
                else (node.body, node.orelse)
            ):
                yield from self._makers(part, depth - 1)

    def _of_attribute(self, node: cst.Attribute, depth: int) -> Iterator[cst.Call | str]:
        if node.attr.value in _SAME:
            yield from self._makers(node.value, depth - 1)
            return
        fields = self._objects.fields(node)
        for value in fields.values:
            yield from self._makers(value, depth - 1)
        yield from fields.wants if not fields.values else ()
        if not fields.values and not fields.wants:
            yield from self._tree.names(node)

    def _of_call(self, node: cst.Call, depth: int) -> Iterator[cst.Call | str]:
        names = self._tree.names(node.func)
        last = dotted(node.func).split(".")[-1]
        if names & _PLACES:
            yield node
        elif last in _SAME and isinstance(node.func, cst.Attribute):
            yield from self._makers(node.func.value, depth - 1)
        elif last in _WRAPPERS and node.args:
            yield from self._makers(node.args[0].value, depth - 1)
        else:
            returned = list(self._objects.returned(node))
            for value in returned:
                yield from self._makers(value, depth - 1)
            yield from (f"{name}()" for name in names if not returned)

    def _of_name(self, node: cst.Name, depth: int) -> Iterator[cst.Call | str]:
        if self._tree.only_imported(node.value):
            yield from self._tree.names(node)
            return
        for item in self._tree.assignments(node):
            if isinstance(item, ImportAssignment):
                yield from self._tree.names(node)
            elif isinstance(item, Assignment):
                for value in self._bound(item.node, node.value):
                    yield from self._makers(value, depth - 1)

    def _bound(self, node: cst.CSTNode, name: str) -> Iterator[cst.BaseExpression]:
        holder = self._tree.parent(node) if isinstance(node, cst.Name) else node
        if isinstance(holder, cst.Param):
            yield from self._objects.handed_to(holder)
            yield from [holder.default] if holder.default is not None else []
        elif isinstance(holder, cst.AsName):
            item = self._tree.parent(holder)
            yield from [item.item] if isinstance(item, cst.WithItem) else []
        else:
            yield from self._objects.values_of(node, name)

    def _asked(self, call: cst.Call) -> Iterator[tuple[cst.BaseExpression, cst.BaseExpression]]:
        """Give client and model of a call: of the SDK, or of what takes a client beside a model's name."""
        given = named_arguments(call)
        name = dotted(call.func)
        suffix = next((suffix for suffix in _CALLS if name.endswith(suffix)), None)
        if suffix is not None:
            client: cst.BaseExpression = call.func
            for _ in range(suffix.count(".")):
                client = client.value if isinstance(client, cst.Attribute) else client
            models = keywords(call, "model")
            for item in call.args if not models else ():
                models += self._objects.entries_of(item.value, "model") if item.star == "**" else ()
            yield from ((client, model) for model in models)
            return
        first = [item.value for item in call.args[:1] if item.keyword is None and not item.star]
        models = [*keywords(call, "model", "id", "model_name"), *first]
        provider = given.get("provider")  # Pydantic AI's, which takes the client
        given.update(named_arguments(provider) if isinstance(provider, cst.Call) else {})
        yield from ((given[keyword], models[0]) for keyword in _TAKERS if models and keyword in given)
