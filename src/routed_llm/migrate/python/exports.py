"""What a module offers to others, and what it hands to them, as far as retiring ids are in it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Container, Iterator, Sequence

import libcst as cst

from routed_llm.migrate.found import Handed, Literal
from routed_llm.migrate.python.clients import Clients
from routed_llm.migrate.python.objects import Objects
from routed_llm.migrate.python.origins import Known, trace
from routed_llm.migrate.python.tree import Tree, dotted, named_arguments, targets, text_of

__all__ = ["asked_elsewhere", "exports", "handed"]

Retires = Callable[[str], bool]
_NOTHING = Known()


def exports(tree: Tree, retires: Retires, places: Sequence[int]) -> dict[str, list[Literal]]:
    """Return the names that hold a retiring id for whoever imports the module.

    Args:
        tree: the module.
        retires: says whether a string is a retiring id.
        places: where strings with such an id stand, in order; what holds none of them is not followed.
    """
    found: dict[str, list[Literal]] = {}
    for name, value in _offered(tree):
        items = (
            list(Objects.of(tree).listed(value)) if isinstance(value, (cst.List, cst.Tuple, cst.Set)) else []
        )
        if items and _holds(tree, value, places):
            listed = [literal for item in items for literal in _literals(tree, item) if retires(literal[0])]
            found.setdefault(f"{name}[]", []).extend(listed)
        if not _holds(tree, value, places) and dotted(value) not in found:
            continue
        literals = [(item.value, item.offset) for item in trace(tree, value, _NOTHING).origins]
        if any(retires(text) for text, _ in literals):
            found.setdefault(name, []).extend(literals)
    return found


def _holds(tree: Tree, node: cst.CSTNode, places: Sequence[int]) -> bool:
    start, end = tree.span(node)
    return bisect_left(places, start) < bisect_left(places, end)


def _offered(tree: Tree) -> Iterator[tuple[str, cst.BaseExpression]]:
    """Give the names of a module, with the expressions that they stand for."""
    classes = {kind.name.value: kind for kind in tree.nodes.classes}
    for name, kind in classes.items():
        for field, values in tree.fields_of(kind).items():
            yield from ((f"{name}.{field}", value) for value in values)
    for node in tree.nodes.assigned:
        if node.value is None or tree.around(node, (cst.FunctionDef, cst.ClassDef, cst.Lambda)) is not None:
            continue
        for target in targets(node):
            name = dotted(target)
            yield name, node.value
            yield from _parts(tree, name, node.value, classes)
    for function, returned in tree.returns_of.items():
        if (
            isinstance(function, cst.FunctionDef)
            and tree.around(function, (cst.FunctionDef, cst.ClassDef)) is None
        ):
            for value in returned:
                yield f"{function.name.value}()", value
                yield from _parts(tree, f"{function.name.value}()", value, classes)


def _parts(
    tree: Tree, name: str, value: cst.BaseExpression, classes: dict[str, cst.ClassDef]
) -> Iterator[tuple[str, cst.BaseExpression]]:
    """Give the entries of a dictionary and the fields of an instance."""
    if isinstance(value, cst.Call) and dotted(value.func) in classes:
        for field, values in tree.fields_of(classes[dotted(value.func)]).items():
            yield from ((f"{name}.{field}", item) for item in values)
        yield from ((f"{name}.{key}", item) for key, item in named_arguments(value).items())
    for key, item in (
        (Objects.of(tree).mapping(value) or {}).items() if isinstance(value, (cst.Dict, cst.Call)) else ()
    ):
        yield f"{name}[{key}]", item


def handed(
    tree: Tree, retires: Retires, besides: set[cst.CSTNode], places: Sequence[int], held: Container[str]
) -> list[Handed]:
    """Return the retiring ids that calls hand to something imported.

    Args:
        tree: the module.
        retires: says whether a string is a retiring id.
        besides: calls that a rule has taken already.
        places: where strings with such an id stand, in order.
        held: names that hold one.
    """
    found = []
    for call in tree.nodes.calls:
        values = [
            (place, item)
            for place, item in enumerate(call.args if call not in besides else ())
            if not item.star and (dotted(item.value) in held or _holds(tree, item.value, places))
        ]
        for callee in sorted(tree.names(call.func)) if values else ():
            for place, item in values:
                key = item.keyword.value if item.keyword is not None else str(place)
                for value, offset in _literals(tree, item.value):
                    if retires(value):
                        found.append(Handed(callee, key, (value, offset)))
    return found


def asked_elsewhere(tree: Tree, retires: Retires) -> list[Handed]:
    """Return the retiring ids that are asked with a client of another module."""
    return [
        Handed(client, "client", literal)
        for client, model in Clients.of(tree).elsewhere
        for literal in _literals(tree, model)
        if retires(literal[0])
    ]


def _literals(tree: Tree, node: cst.BaseExpression) -> list[Literal]:
    value = text_of(node)
    if value is not None:
        return [(value, tree.span(node)[0])]
    if not isinstance(node, (cst.Name, cst.Attribute)):
        return []
    return [(item.value, item.offset) for item in trace(tree, node, _NOTHING).origins]
