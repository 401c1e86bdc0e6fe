"""Imports: the new name next to the old one, and the old one gone where nothing uses it any more."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, ImportAssignment

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules.base import NewName

__all__ = ["Wanted", "collision", "tidy"]

Wanted = tuple[cst.BaseExpression, NewName]
"""An expression whose import tells where the new name is imported, and that name."""

_Statement = cst.Import | cst.ImportFrom


def collision(tree: Tree, anchor: cst.BaseExpression, new: NewName) -> str | None:
    """Say why the new name cannot be imported next to the import of an expression, or None."""
    root = _root(anchor)
    if root is None:
        return "it is not called by an imported name. Rewrite it by hand."
    imports = _imports(tree, root)
    others = [item for item in tree.assignments(root) if not isinstance(item, ImportAssignment)]
    if not imports and not others:
        return "it comes from an import of *. Import it by name."
    if not imports or not all(_is_none(tree, item) for item in others):
        return "its name is also bound to something that is not an import. Rewrite it by hand."
    for statement in imports:
        line = tree.parent(statement)
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1:
            return "its import shares a line with other code. Put the import on a line of its own."
    scope = tree.scope(root)
    for item in scope[new.name] if scope is not None else ():
        ours = isinstance(item, ImportAssignment) and _module(item.node) == new.module
        if not ours:
            return f"{new.name} is the name of something else here. Rename that first."
    return None


def tidy(
    tree: Tree, wanted: Iterable[Wanted], swapped: Iterable[cst.BaseExpression], kept: Container[str]
) -> tuple[list[Edit], list[str]]:
    """Return the edits of the imports, and the names that they take out of the module.

    Args:
        tree: the module.
        wanted: what has to be imported, and where.
        swapped: the expressions whose text is replaced, so that they use their import no more.
        kept: imported names that other modules take from this one.
    """
    gone_uses = {part for node in swapped for part in _chain(node)}
    statements: dict[_Statement, tuple[set[str], dict[str, NewName]]] = {}
    for anchor, new in wanted:
        root = _root(anchor)
        found = _imports(tree, root) if root is not None else []
        # What is imported when another import fails is left alone.
        first = [item for item in found if tree.around(item, cst.ExceptHandler) is None]
        for statement in first or found:
            names, news = statements.setdefault(statement, (set(), {}))
            names.add(root.value if root is not None else "")
            news[new.module] = new
    edits: list[Edit] = []
    drops: list[str] = []
    done: dict[tuple[int, str], set[str]] = {}
    for statement in sorted(statements, key=lambda item: tree.span(item)[0]):
        names, news = statements[statement]
        gone = {name for name in names if name not in kept and _unused(tree, statement, name, gone_uses)}
        if tree.around(statement, (cst.FunctionDef, cst.ClassDef)) is None:
            drops += sorted(gone)
        block = id(tree.parent(tree.parent(statement) or statement))
        # A notebook may import a name in each of its cells; what replaces one import replaces all of them.
        fresh = [
            new
            for _, new in sorted(news.items())
            if done.setdefault((block, new.module), names) == names and not _has(tree, block, new)
        ]
        edits.extend(_change(tree, statement, gone, fresh))
    return edits, drops


def _chain(node: cst.BaseExpression) -> Iterator[cst.CSTNode]:
    """Give an expression such as ``a.b.c`` and what it begins with: ``a.b``, ``a``."""
    current: cst.CSTNode = node
    yield current
    while isinstance(current, cst.Attribute):
        current = current.value
        yield current


def _is_none(tree: Tree, item: BaseAssignment) -> bool:
    """Say whether a name is bound to None, as where an import may fail."""
    target = tree.parent(item.node) if isinstance(item, Assignment) else None
    made = tree.parent(target) if isinstance(target, cst.AssignTarget) else None
    return isinstance(made, cst.Assign) and dotted(made.value) == "None"


def _root(node: cst.BaseExpression) -> cst.Name | None:
    *_, current = _chain(node)
    return current if isinstance(current, cst.Name) else None


def _imports(tree: Tree, root: cst.Name) -> list[_Statement]:
    return [
        item.node
        for item in tree.assignments(root)
        if isinstance(item, ImportAssignment) and isinstance(item.node, (cst.Import, cst.ImportFrom))
    ]


def _module(node: cst.CSTNode) -> str:
    if not isinstance(node, cst.ImportFrom) or node.module is None:
        return ""
    return cst.Module([]).code_for_node(node.module)


def _bound(alias: cst.ImportAlias) -> str:
    if alias.asname is not None:
        return cst.Module([]).code_for_node(alias.asname.name)
    return cst.Module([]).code_for_node(alias.name).split(".")[0]


def _unused(tree: Tree, statement: _Statement, name: str, gone: set[cst.CSTNode]) -> bool:
    if name in tree.exported:
        return False
    scope = tree.scope(statement)
    for item in scope[name] if scope is not None else ():
        if any(access.node not in gone for access in item.references):
            return False
    return True


def _has(tree: Tree, block: int, new: NewName) -> bool:
    """Say whether the same block imports the new name already."""
    for statement in tree.nodes.imports:
        if _module(statement) == new.module:
            outer = tree.parent(tree.parent(statement) or statement)
            names = [] if isinstance(statement.names, cst.ImportStar) else list(statement.names)
            if id(outer) in (block, id(tree.module)) and any(_bound(alias) == new.name for alias in names):
                return True
    return False


def _change(tree: Tree, statement: _Statement, gone: set[str], fresh: list[NewName]) -> list[Edit]:
    assert not isinstance(statement.names, cst.ImportStar)  # noqa: S101 - collision() has refused it
    aliases = list(statement.names)
    start, end = tree.span(statement)
    lines = [f"from {new.module} import {new.name}" for new in fresh]
    indent = tree.text[tree.text.rfind("\n", 0, start) + 1 : start]
    newline = _newline(tree, end)
    leaving = [alias for alias in aliases if _bound(alias) in gone]
    if len(leaving) == len(aliases):
        if lines:
            return [Edit(start, end, (newline + indent).join(lines))]
        return [_whole_line(tree, start, end)]
    edits = [_remove(tree, aliases, alias) for alias in leaving]
    if lines:
        place = _line_end(tree.text, end)
        edits.append(Edit(place, place, "".join(newline + indent + line for line in lines)))
    return edits


def _remove(tree: Tree, aliases: list[cst.ImportAlias], alias: cst.ImportAlias) -> Edit:
    place = aliases.index(alias)
    if place + 1 < len(aliases):
        return Edit(tree.span(alias)[0], tree.span(aliases[place + 1])[0], "")
    previous = aliases[place - 1]
    last = alias.asname.name if alias.asname is not None else alias.name
    before = previous.asname.name if previous.asname is not None else previous.name
    return Edit(tree.span(before)[1], tree.span(last)[1], "")


def _whole_line(tree: Tree, start: int, end: int) -> Edit:
    text = tree.text
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last < 0 else last + 1
    if text[first:start].strip() or text[end:last].strip():
        return Edit(start, end, "pass")
    return Edit(first, last, "")


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1] == "\r" else end


def _newline(tree: Tree, place: int) -> str:
    end = tree.text.find("\n", place)
    if end > 0:
        return "\r\n" if tree.text[end - 1] == "\r" else "\n"
    return tree.module.default_newline
