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
Offered = tuple[str, cst.BaseExpression]
_NOTHING = Known()
_DEEP = 3
"""Fields of fields and tables of tables that are offered."""


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
        if (
            not _holds(tree, value, places)
            and dotted(value) not in found
            and not _default(tree, value, places)
        ):
            continue
        literals = [(item.value, item.offset) for item in trace(tree, value, _NOTHING).origins]
        if any(retires(text) for text, _ in literals):
            found.setdefault(name, []).extend(literals)
    return found


def _holds(tree: Tree, node: cst.CSTNode, places: Sequence[int]) -> bool:
    start, end = tree.span(node)
    return bisect_left(places, start) < bisect_left(places, end)


def _default(tree: Tree, node: cst.BaseExpression, places: Sequence[int]) -> bool:
    """Say whether a name is that of a parameter whose default holds one."""
    return isinstance(node, cst.Name) and any(
        _holds(tree, value, places) for value in Objects.of(tree).defaults_of(node)
    )


def _offered(tree: Tree) -> Iterator[Offered]:
    """Give the names of a module, with the expressions that they stand for."""
    for kind in tree.nodes.classes:
        yield from _fields(tree, kind.name.value, kind, _DEEP)
    for node in tree.nodes.assigned:
        if node.value is None or tree.around(node, (cst.FunctionDef, cst.ClassDef, cst.Lambda)) is not None:
            continue
        for target in targets(node):
            name = dotted(target)
            if isinstance(target, cst.Subscript) and isinstance(target.slice[0].slice, cst.Index):
                key = text_of(target.slice[0].slice.value)
                name = f"{dotted(target.value)}[{key or '*'}]"
            yield name, node.value
            yield from _parts(tree, name, node.value, _DEEP)
    for function, returned in tree.returns_of.items():
        if (
            isinstance(function, cst.FunctionDef)
            and tree.around(function, (cst.FunctionDef, cst.ClassDef)) is None
        ):
            for value in returned:
                yield f"{function.name.value}()", value
                yield from _parts(tree, f"{function.name.value}()", value, _DEEP)


def _parts(tree: Tree, name: str, value: cst.BaseExpression, depth: int) -> Iterator[Offered]:
    """Give the entries of a table, the fields of an instance and the options of a command line."""
    if not depth or text_of(value) is not None:
        return
    objects = Objects.of(tree)
    for kind in objects.classes_of(value):
        yield from _fields(tree, name, kind, depth)
    for option, defaults in objects.options(value).items():
        yield from ((f"{name}.{option}", item) for item in defaults)
    if isinstance(value, cst.Call):
        yield from ((f"{name}.{key}", item) for key, item in named_arguments(value).items())
    entries: list[tuple[str, cst.BaseExpression]] = []
    if isinstance(value, (cst.Dict, cst.Call)):
        entries = list((objects.mapping(value) or {}).items())
    elif isinstance(value, (cst.List, cst.Tuple)):
        entries = [("*", item.value) for item in value.elements]
    for key, item in entries:
        for place in {f"{name}[{key}]", f"{name}[*]"}:
            yield place, item
            yield from _parts(tree, place, item, depth - 1)


def _fields(tree: Tree, name: str, kind: cst.ClassDef, depth: int) -> Iterator[Offered]:
    """Give the fields of a class or an instance of it, and what those hold in turn."""
    for field, values in Objects.of(tree).fields_of(kind) if depth else ():
        for value in values:
            yield f"{name}.{field}", value
            yield from _parts(tree, f"{name}.{field}", value, depth - 1)


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
        for callee in (
            (sorted(tree.names(call.func)) or Objects.of(tree).methods(call.func)) if values else ()
        ):
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
