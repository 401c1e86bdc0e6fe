"""Imports: the new name next to the old one, and the old one gone where nothing uses it any more."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, ImportAssignment

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules.base import OPENAI, NewName

__all__ = ["Beside", "Wanted", "collision", "import_modules", "rebind", "shadowed", "tidy"]

Wanted = tuple[cst.BaseExpression, NewName]
"""An expression whose import shows where the new name is imported, and that name."""

Beside = tuple[cst.BaseExpression, str]
"""An expression beside whose import something is imported: a module, or ``module:name``."""

_Statement = cst.Import | cst.ImportFrom


def collision(tree: Tree, anchor: cst.BaseExpression, new: NewName) -> str | None:
    """Say why the new name cannot be imported next to the import of an expression, or None."""
    root = tree.import_of(anchor)
    if root is None:
        return "it is not called by an imported name. Rewrite it by hand."
    imports = _imports(tree, root)
    others = [item for item in tree.assignments(root) if not isinstance(item, ImportAssignment)]
    if not imports or not all(_is_none(tree, item) for item in others):
        return "its name is also bound to something that is not an import. Rewrite it by hand."
    for statement in imports:
        line = tree.parent(statement)
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) > 1:
            return "its import shares a line with other code. Put the import on a line of its own."
    if new.name in OPENAI:
        return None  # the class keeps its name, or is called by its module's
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
        root = tree.import_of(anchor)
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
        block = _block(tree, statement)
        # A notebook may import a name in each of its cells; what replaces one import replaces all of them.
        fresh = [
            new
            for _, new in sorted(news.items())
            if done.setdefault((block, new.module), names) == names and not _has(tree, block, new)
        ]
        edits.extend(_change(tree, statement, gone, fresh))
    return edits, drops


def import_modules(tree: Tree, wanted: Iterable[Beside]) -> list[Edit]:
    """Return the edits that import modules, each once in a block, beside its first import of an expression.

    Args:
        tree: the module.
        wanted: expressions that are called by an imported name, and what is to be imported beside that.
    """
    edits = []
    places: dict[str, dict[int, _Statement]] = {}
    for anchor, module in wanted:
        root = tree.import_of(anchor)
        statements = _imports(tree, root) if root is not None else []
        if statements and not _imports_module(tree, module):
            blocks = places.setdefault(module, {})
            first, block = statements[0], _block(tree, statements[0])
            # What comes first is imported for all that follows.
            blocks[block] = min(first, blocks.get(block, first), key=lambda item: tree.span(item)[0])
    for module, statement in _outermost(tree, places):
        start, end = tree.span(statement)
        indent = tree.text[tree.text.rfind("\n", 0, start) + 1 : start]
        place = _line_end(tree.text, end)
        source, _, name = module.partition(":")
        line = f"from {source} import {name}" if name else f"import {source}"
        edits.append(Edit(place, place, f"{_newline(tree, place)}{indent}{line}"))
    return edits


def _block(tree: Tree, statement: _Statement) -> int:
    return id(tree.parent(tree.parent(statement) or statement))


def _outermost(
    tree: Tree, places: Mapping[str, Mapping[int, _Statement]]
) -> Iterator[tuple[str, _Statement]]:
    """Give each module and where to import it: not in a block where the whole file has it already."""
    for module, blocks in places.items():
        top = blocks.get(id(tree.module))
        for statement in blocks.values():
            if top is None or statement is top or tree.span(statement)[0] < tree.span(top)[0]:
                yield module, statement


def shadowed(tree: Tree, modules: Iterable[str]) -> str | None:
    """Say what that is to be imported has the name of something else in a module, or None."""
    for module in modules:
        source, _, name = module.partition(":")
        bound = name or source.split(".")[0]
        known = tree.bindings.get(bound, f"{source}.{name}" if name else bound)
        if bound in tree.nodes.bound or known != (f"{source}.{name}" if name else bound):
            return f"{bound} is the name of something else here. Rename that first."
    return None


def rebind(tree: Tree, wanted: Sequence[tuple[cst.Call, NewName]]) -> tuple[list[Edit], list[Beside]]:
    """Return the edits that let calls make another class of the same name, and the modules that they name.

    Where nothing else is made by an imported name, its import alone changes. Otherwise, and where the name
    is a module's (``openai.OpenAI``), each call names the other module.

    Args:
        tree: the module.
        wanted: the calls, and what each makes then.
    """
    edits: list[Edit] = []
    moved: dict[_Statement, set[str]] = {}
    beside: list[Beside] = []
    taken = {call for call, _ in wanted}
    made = [call.func for call in tree.nodes.calls if call not in taken]
    left = {node.value for node in made if isinstance(node, cst.Name)}
    for call, new in wanted:
        root = tree.import_of(call.func)
        statements = _imports(tree, root) if root is not None else []
        alone = isinstance(call.func, cst.Name) and root is not None and root.value not in left
        alone = alone and any(name.endswith(f".{new.name}") for name in tree.names(call.func))
        if alone and root is not None and all(isinstance(item, cst.ImportFrom) for item in statements):
            for statement in statements:
                moved.setdefault(statement, set()).add(root.value)
        else:
            edits.append(Edit(*tree.span(call.func), f"{new.module}.{new.name}"))
            beside.append((call.func, new.module))
    for statement, names in moved.items():
        edits += _move(tree, statement, names, "openai_routed")
    return edits, beside


def _imports_module(tree: Tree, module: str) -> bool:
    name, _, part = module.partition(":")
    if part:
        return tree.bindings.get(part) == f"{name}.{part}"
    return any(
        isinstance(item, cst.Import)
        and _block(tree, item) == id(tree.module)
        and any(alias.asname is None and dotted(alias.name) == name for alias in item.names)
        for item in tree.nodes.imports
    )


def _move(tree: Tree, statement: _Statement, names: set[str], module: str) -> list[Edit]:
    """Import some of the names of a statement from another module."""
    assert isinstance(statement, cst.ImportFrom)  # noqa: S101 - rebind() has asked
    assert statement.module is not None  # noqa: S101 - a relative import has no client
    star = isinstance(statement.names, cst.ImportStar)
    aliases = [] if isinstance(statement.names, cst.ImportStar) else list(statement.names)
    going = [alias for alias in aliases if _bound(alias) in names]
    if not star and len(going) == len(aliases):
        return [Edit(*tree.span(statement.module), module)]
    start, end = tree.span(statement)
    indent = tree.text[tree.text.rfind("\n", 0, start) + 1 : start]
    place = _line_end(tree.text, end)
    sources = ", ".join(
        sorted(names)
        if star
        else (tree.source(_core(item)) if item.asname is None else _written(tree, item) for item in going)
    )
    line = f"{_newline(tree, place)}{indent}from {module} import {sources}"
    return [*_remove(tree, aliases, going), Edit(place, place, line)]


def _core(alias: cst.ImportAlias) -> cst.CSTNode:
    return alias.asname.name if alias.asname is not None else alias.name


def _written(tree: Tree, alias: cst.ImportAlias) -> str:
    return f"{tree.source(alias.name)} as {tree.source(_core(alias))}"


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


def _imports(tree: Tree, root: cst.Name) -> list[_Statement]:
    """Return the imports of a name; where none binds it, the last one of ``*``."""
    bound = tree.assignments(root)
    if not bound:
        stars: list[_Statement] = [
            item for item in tree.nodes.imports if isinstance(item.names, cst.ImportStar)
        ]
        return stars[-1:]
    return [
        item.node
        for item in bound
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
    if name in tree.exported or isinstance(statement.names, cst.ImportStar):
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
    aliases = [] if isinstance(statement.names, cst.ImportStar) else list(statement.names)
    start, end = tree.span(statement)
    lines = [f"from {new.module} import {new.name}" for new in fresh]
    indent = tree.text[tree.text.rfind("\n", 0, start) + 1 : start]
    newline = _newline(tree, end)
    leaving = [alias for alias in aliases if _bound(alias) in gone]
    if aliases and len(leaving) == len(aliases):
        if lines:
            return [Edit(start, end, (newline + indent).join(lines))]
        return [_whole_line(tree, start, end)]
    edits = _remove(tree, aliases, leaving)
    if lines:
        place = _line_end(tree.text, end)
        edits.append(Edit(place, place, "".join(newline + indent + line for line in lines)))
    return edits


def _remove(tree: Tree, aliases: list[cst.ImportAlias], leaving: Sequence[cst.ImportAlias]) -> list[Edit]:
    """Take names out of an import in which others stay, each run of neighbours with one edit."""
    edits = []
    place = 0
    while place < len(aliases):
        first = place
        while place < len(aliases) and aliases[place] in leaving:
            place += 1
        if place == first:
            place += 1
        elif place < len(aliases):
            edits.append(Edit(tree.span(aliases[first])[0], tree.span(aliases[place])[0], ""))
        else:
            edits.append(Edit(tree.span(_core(aliases[first - 1]))[1], tree.span(_core(aliases[-1]))[1], ""))
    return edits


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
