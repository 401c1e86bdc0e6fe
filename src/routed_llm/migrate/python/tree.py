"""Tree: a parsed module with the places, parents and scopes of its nodes. Reads; never writes code."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import libcst as cst
from libcst.metadata import BaseAssignment, ImportAssignment, QualifiedNameSource, Scope

from routed_llm.migrate.python.metadata import children, scopes, written

__all__ = ["Tree", "aliases", "bound_names", "dotted", "targets", "text_of"]

Node = TypeVar("Node", bound=cst.CSTNode)
_LATER = ("partial", "submit", "to_thread")
"""Functions that call the one that they are given, with the arguments after it."""

_KEEP = re.compile(r"#\s*routed:\s*keep\b", re.IGNORECASE)


class Tree:
    """A module and what is known of its nodes.

    Args:
        text: the module's text, without a byte order mark.
        same: other modules' names for what they import themselves, dotted, to what that is.

    Raises:
        ValueError: when it does not parse, or would not be written back as it was.
    """

    def __init__(self, text: str, same: Mapping[str, str] | None = None) -> None:
        self.text, self.same = text, same or {}
        if len(text) > _MOST:
            raise ValueError(f"it has more than {_MOST:,} characters of Python")
        if _too_deep(text):
            raise ValueError("it is nested too deeply")
        try:
            module = cst.parse_module(text)
        except cst.ParserSyntaxError as error:
            raise ValueError(f"line {error.raw_line}: {error.message}") from error
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        code, self._spans = written(module)
        if code != text:
            raise ValueError("its text is not reproduced by the parser")
        self.notes: dict[str, object] = {}  # what others have worked out about the module
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self.module = module
        self.nodes = Nodes()
        self.parents: dict[cst.CSTNode, cst.CSTNode] = {}
        _walk(self.module, self.nodes, self.parents)
        self.nodes.imports.sort(key=self.span)

    @cached_property
    def scopes(self) -> Mapping[cst.CSTNode, Scope | None]:
        """The scope of each node; worked out when it is first asked for, since that is slow."""
        return scopes(self.module, self.nodes.stored_names)

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return where a node stands, in characters."""
        return self._spans[node]

    def line(self, place: int) -> int:
        """Return the line of a character, from 1."""
        return bisect_right(self._lines, place)

    def source(self, node: cst.CSTNode) -> str:
        """Return a node's own text."""
        if not self.stands(node):
            return self.module.code_for_node(node)
        start, end = self.span(node)
        return self.text[start:end]

    def stands(self, node: cst.CSTNode, within: cst.CSTNode | None = None) -> bool:
        """Say whether a node stands in the text, and within another one."""
        start, end = (
            self._spans.get(within, (0, len(self.text))) if within is not None else (0, len(self.text))
        )
        return node in self._spans and start <= self._spans[node][0] < end

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return what a node stands in."""
        return self.parents.get(node)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Give what a node stands in, from the inside out."""
        current = self.parents.get(node)
        while current is not None:
            yield current
            current = self.parents.get(current)

    def around(self, node: cst.CSTNode, kind: type[Node] | tuple[type[Node], ...]) -> Node | None:
        """Return the innermost node of a kind (or of one of several) that a node stands in."""
        return next((item for item in self.ancestors(node) if isinstance(item, kind)), None)

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """Return the scope a node's names are looked up in."""
        current: cst.CSTNode | None = node
        while current is not None:
            found = self.scopes.get(current)
            if found is not None:
                return found
            current = self.parents.get(current)
        return None

    @cached_property
    def imported(self) -> frozenset[str]:
        """Every name that an import of this module binds, wherever it stands."""
        return frozenset(name for item in self.nodes.imports for name in bound_names(item))

    def names(self, node: cst.CSTNode) -> frozenset[str]:
        """Return the dotted names that an expression may refer to, imports followed."""
        if not isinstance(node, (cst.Name, cst.Attribute)):
            return frozenset()
        name = dotted(node)
        head, _, rest = name.partition(".")
        if self.only_imported(head):
            # Most names need no scopes, which are slow to work out.
            names = {f"{self._plain[head]}.{rest}".replace("()", "").removesuffix(".")}
        elif head in self.imported:
            scope = self.scope(node)
            found = () if scope is None else scope.get_qualified_names_for(node)
            # A name that is bound in this module, too, is judged by its assignments.
            names = {item.name for item in found if item.source is not QualifiedNameSource.LOCAL}
        elif self.stars and isinstance(node, cst.Name) and not self.assignments(node):
            names = {f"{star}{'' if star.endswith('.') else '.'}{name}" for star in self.stars}
            # The last one that is known to have the name gives it.
            last = f"{self.stars[-1]}{'' if self.stars[-1].endswith('.') else '.'}{name}"
            names = {last} if last in self.same else names
        elif head in self._aliases and len(self.assignments(_head(node))) == 1:
            names = {f"{self._aliases[head]}.{rest}".removesuffix(".")}
        else:
            return frozenset()
        return frozenset(self.same.get(item, item) for item in names)

    def import_of(self, node: cst.BaseExpression) -> cst.Name | None:
        """Return the imported name that an expression begins with, another name of a class followed."""
        first = _head(node)
        if (
            not isinstance(first, cst.Name)
            or first.value not in self._aliases
            or first.value in self.imported
        ):
            return first if isinstance(first, cst.Name) else None
        bound = next((getattr(item, "node", None) for item in self.assignments(first)), None)
        target = self.parent(bound) if isinstance(bound, cst.Name) else None
        made = self.parent(target) if isinstance(target, cst.AssignTarget) else None
        root = _head(made.value) if isinstance(made, cst.Assign) else first
        return root if isinstance(root, cst.Name) else None

    @cached_property
    def _aliases(self) -> Mapping[str, str]:
        """Further names that the module gives to classes that it imports (``Chat = ChatOpenAI``)."""
        pairs = (
            (dotted(item.targets[0].target), dotted(item.value))
            for item in self.nodes.assigned
            if isinstance(item, cst.Assign)
            and len(item.targets) == 1
            and isinstance(item.targets[0].target, cst.Name)
            and isinstance(item.value, (cst.Name, cst.Attribute))
        )
        return aliases(pairs, self._plain)

    def only_imported(self, name: str) -> bool:
        """Say whether imports bind a name to one thing, and nothing else binds it."""
        return name in self._plain

    @cached_property
    def _plain(self) -> Mapping[str, str]:
        """What the names are that imports bind to one thing each, and that nothing else binds."""
        found: dict[str, set[str]] = {}
        for name, what in self._imported_as:
            found.setdefault(name, set()).add(what)
        return {
            name: next(iter(what))
            for name, what in found.items()
            if len(what) == 1 and name not in self.nodes.bound
        }

    @cached_property
    def bindings(self) -> dict[str, str]:
        """The names that imports bind, to what they are, as ``modules.imports_of`` has them."""
        found = {f"*{star}": f"{star}{'' if star.endswith('.') else '.'}*" for star in self.stars}
        for item in self.nodes.imports:
            if isinstance(item, cst.Import):
                names = [dotted(alias.name) for alias in item.names if alias.asname is None]
                found.update({name: name for name in names if "." in name})
        return {**self._aliases, **found, **dict(self._imported_as)}

    @cached_property
    def _imported_as(self) -> list[tuple[str, str]]:
        """Each name that an import binds, with what it is."""
        found = []
        for item in self.nodes.imports:
            module = ""
            if isinstance(item, cst.ImportFrom):
                module = "." * len(item.relative) + (dotted(item.module) if item.module is not None else "")
                module += "" if module.endswith(".") else "."
            for alias in () if isinstance(item.names, cst.ImportStar) else item.names:
                name = dotted(alias.name)
                if alias.asname is not None:
                    found.append((dotted(alias.asname.name), module + name))
                else:
                    found.append((name.split(".")[0], module + name.split(".")[0]))
        return found

    @cached_property
    def stars(self) -> tuple[str, ...]:
        """The modules of which everything is imported, in order."""
        return tuple(
            "." * len(item.relative) + (dotted(item.module) if item.module is not None else "")
            for item in self.nodes.imports
            if isinstance(item, cst.ImportFrom) and isinstance(item.names, cst.ImportStar)
        )

    def assignments(self, name: cst.BaseExpression) -> Sequence[BaseAssignment]:
        """Return where a name is given its values: the nearest scope that has any."""
        if not isinstance(name, cst.Name):
            return []
        if name.value not in self.nodes.bound and name.value not in self.imported:
            return []
        scope: Scope | None = self.scope(name)
        return (
            []
            if scope is None
            else sorted(scope[name.value], key=lambda item: isinstance(item, ImportAssignment))
        )

    def kept(self, start: int, end: int) -> bool:
        """Say whether a line of a span carries ``# routed: keep``."""
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", end)
        return _KEEP.search(self.text, first, len(self.text) if last < 0 else last) is not None

    @cached_property
    def tables(self) -> frozenset[str]:
        """Names that this module uses to look something up in (``x in NAMES``), and for nothing else."""
        found: dict[str, set[cst.CSTNode]] = {}
        for target in self.nodes.compared:
            if isinstance(target.comparator, cst.Name):
                found.setdefault(target.comparator.value, set()).add(target.comparator)
        return frozenset(
            name
            for name, nodes in found.items()
            if all(
                access.node in nodes
                for node in nodes
                if isinstance(node, cst.Name)
                for item in self.assignments(node)
                for access in item.references
            )
        )

    @cached_property
    def exported(self) -> frozenset[str]:
        """The names in ``__all__``."""
        found: set[str] = set()
        for item in self.nodes.assigned:
            value = item.value
            if "__all__" in map(dotted, targets(item)) and isinstance(value, (cst.List, cst.Tuple)):
                found.update(text_of(part.value) or "" for part in value.elements)
        return frozenset(found)

    # Classes and functions, each index made when it is first asked for

    def fields_of(self, kind: cst.ClassDef) -> Mapping[str, Sequence[cst.BaseExpression]]:
        """Return what a class's own assignments, and those to ``self`` in its methods, give its fields."""
        return self._fields.get(kind, {})

    @cached_property
    def _fields(self) -> dict[cst.CSTNode, dict[str, list[cst.BaseExpression]]]:
        found: dict[cst.CSTNode, dict[str, list[cst.BaseExpression]]] = {}
        for item in self.nodes.assigned if self.nodes.classes else ():
            if item.value is None:
                continue
            inner = self.around(item, (cst.ClassDef, cst.FunctionDef, cst.Lambda))
            outer = inner if isinstance(inner, cst.ClassDef) else self.around(item, cst.ClassDef)
            for target in targets(item):
                name = dotted(target)
                own = isinstance(inner, cst.ClassDef) and isinstance(target, cst.Name)
                if outer is not None and (own or name.startswith(("self.", "cls."))):
                    field = name.removeprefix("self.").removeprefix("cls.")
                    found.setdefault(outer, {}).setdefault(field, []).append(item.value)
        return found

    def annotated_of(self, kind: cst.ClassDef) -> Sequence[cst.AnnAssign]:
        """Return a class's own annotated fields, in order."""
        lines = (line for line in kind.body.body if isinstance(line, cst.SimpleStatementLine))
        return [item for line in lines for item in line.body if isinstance(item, cst.AnnAssign)]

    def method(self, kind: cst.ClassDef, name: str) -> cst.FunctionDef | None:
        """Return a method that a class itself defines, or None."""
        return self._methods.get(kind, {}).get(name)

    @cached_property
    def _methods(self) -> Mapping[cst.CSTNode, Mapping[str, cst.FunctionDef]]:
        return {
            kind: {item.name.value: item for item in kind.body.body if isinstance(item, cst.FunctionDef)}
            for kind in self.nodes.classes
        }

    @cached_property
    def returns_of(self) -> Mapping[cst.CSTNode, Sequence[cst.BaseExpression]]:
        """What each function returns."""
        found: dict[cst.CSTNode, list[cst.BaseExpression]] = {}
        for item in self.nodes.returns:
            function = self.around(item, (cst.FunctionDef, cst.Lambda))
            if function is not None and item.value is not None:
                found.setdefault(function, []).append(item.value)
        return found

    @cached_property
    def calls_of(self) -> Mapping[str, Sequence[cst.Call]]:
        """The calls of each name; those of a method stand under ``.Class.method``."""
        found: dict[str, list[cst.Call]] = {}
        methods = {
            (kind.name.value, item.name.value)
            for kind in self.nodes.classes
            for item in kind.body.body
            if isinstance(item, cst.FunctionDef)
        }
        named = {method for _, method in methods}
        for call in self.nodes.calls:
            name = call.func.value if isinstance(call.func, cst.Name) else None
            if dotted(call.func).split(".")[-1] in _LATER and len(call.args) > 1:
                # partial(make, "gpt-4o"): what is called has its arguments after it.
                found.setdefault(dotted(call.args[0].value), []).append(
                    cst.Call(call.args[0].value, call.args[1:])
                )
            if isinstance(call.func, cst.Attribute) and call.func.attr.value in named:
                kind = self._class_of(call.func.value)
                name = f".{kind}.{call.func.attr.value}" if (kind, call.func.attr.value) in methods else None
            if name is not None:
                found.setdefault(name, []).append(call)
        return found

    def _class_of(self, node: cst.BaseExpression) -> str:
        """Return the name of the class of this module that an object is, where one assignment says so."""
        if not isinstance(node, cst.Name):
            return dotted(node.func) if isinstance(node, cst.Call) else ""
        if node.value in ("self", "cls"):
            outer = self.around(node, cst.ClassDef)
            return outer.name.value if outer is not None else ""
        for item in self.assignments(node):
            bound = getattr(item, "node", None)
            if isinstance(bound, cst.ClassDef):
                return node.value
            target = self.parent(bound) if isinstance(bound, cst.Name) else None
            made = self.parent(target) if isinstance(target, cst.AssignTarget) else target
            if isinstance(made, (cst.Assign, cst.AnnAssign)) and isinstance(made.value, cst.Call):
                return dotted(made.value.func)
        return ""


def aliases(pairs: Iterable[tuple[str, str]], imported: Mapping[str, str]) -> dict[str, str]:
    """Return the names that are given to imported classes, to what those are.

    Args:
        pairs: each name that is assigned to, with the dotted name that it is given.
        imported: what imports bind, to what it is.
    """
    found = {}
    for name, what in pairs:
        head, _, rest = what.partition(".")
        whole = f"{imported.get(head, '')}.{rest}".removesuffix(".")
        last = whole.rpartition(".")[2]
        if last[:1].isupper() and not last.isupper():
            found[name] = whole
    return found


def _head(node: cst.BaseExpression) -> cst.BaseExpression:
    """Return what a chain of attributes begins with."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return node


class Nodes:
    """The nodes that anything here asks about, in no order."""

    def __init__(self) -> None:
        self.calls: list[cst.Call] = []
        self.classes: list[cst.ClassDef] = []
        self.imports: list[cst.Import | cst.ImportFrom] = []
        self.strings: list[cst.SimpleString | cst.FormattedStringText] = []
        self.joined: list[cst.ConcatenatedString | cst.BinaryOperation] = []
        self.assigned: list[cst.Assign | cst.AnnAssign] = []
        self.returns: list[cst.Return] = []
        self.stored: set[str] = set()
        self.compared: list[cst.ComparisonTarget] = []
        self.bound: set[str] = set()
        self.stored_names: set[cst.CSTNode] = set()


_JOINED = (cst.ConcatenatedString, cst.BinaryOperation)

_BINDING: dict[type[cst.CSTNode], str] = {
    **dict.fromkeys((cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.For, cst.CompFor), "target"),
    **dict.fromkeys(
        (cst.AsName, cst.FunctionDef, cst.ClassDef, cst.Param, cst.MatchAs, cst.MatchStar), "name"
    ),
    **dict.fromkeys((cst.NamedExpr, cst.Del), "target"),
}
"""What binds names besides imports, with the field that has them."""


_PATTERNS = (cst.FunctionDef, cst.ClassDef, cst.Param, cst.MatchAs, cst.MatchStar, cst.Del)
"""What binds or unbinds a name that libcst's scopes take from the node itself, or not as an assignment."""


def _bound_by(node: cst.CSTNode) -> Iterator[cst.Name]:
    waiting = [getattr(node, _BINDING[type(node)])]
    while waiting:
        part = waiting.pop()
        if isinstance(part, cst.Name):
            yield part
        elif isinstance(part, (cst.Tuple, cst.List)):
            waiting += part.elements
        elif isinstance(part, (cst.Element, cst.StarredElement)):
            waiting.append(part.value)


def _walk(module: cst.Module, nodes: Nodes, parents: dict[cst.CSTNode, cst.CSTNode]) -> None:  # noqa: C901 - one hot loop
    """Gather nodes and parents. libcst's own visitors also visit every blank: slow."""
    waiting: list[cst.CSTNode] = [module]
    while waiting:
        node = waiting.pop()
        kind = type(node)
        if kind is cst.Call:
            nodes.calls.append(node)  # type: ignore[arg-type]
        elif kind is cst.SimpleString or kind is cst.FormattedStringText:
            nodes.strings.append(node)  # type: ignore[arg-type]
        elif kind is cst.ClassDef:
            nodes.classes.append(node)  # type: ignore[arg-type]
        elif kind is cst.ImportFrom or kind is cst.Import:
            nodes.imports.append(node)  # type: ignore[arg-type]
        elif kind is cst.Assign or kind is cst.AnnAssign:
            nodes.assigned.append(node)  # type: ignore[arg-type]
        if kind in _BINDING and type(parents.get(node)) is not cst.ImportAlias:
            names = list(_bound_by(node))
            nodes.bound.update(name.value for name in names)
            nodes.stored_names.update(names if kind not in _PATTERNS else ())
        if kind is cst.AssignTarget and isinstance(node.target, cst.Subscript):  # type: ignore[attr-defined]
            nodes.stored.add(dotted(node.target.value))  # type: ignore[attr-defined]
        elif kind is cst.Return:
            nodes.returns.append(node)  # type: ignore[arg-type]
        elif kind is cst.ComparisonTarget and isinstance(node.operator, (cst.In, cst.NotIn)):  # type: ignore[attr-defined]
            nodes.compared.append(node)  # type: ignore[arg-type]
        elif kind in _JOINED and type(parents.get(node)) is not kind:
            nodes.joined.append(node)  # type: ignore[arg-type]
        for child in children(node):
            parents[child] = node
            waiting.append(child)


def _too_deep(text: str) -> bool:
    """Say whether a text is nested more deeply than Python itself reads.

    libcst's parser would use up the stack of the process, which nothing can catch.
    """
    try:
        compile(text, "<module>", "exec", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    except (RecursionError, MemoryError):
        return True
    except (SyntaxError, ValueError):
        # Another version of Python may read it, but no deeper than this one does.
        depth = most = 0
        for mark in _BRACKETS.findall(text):
            depth += 1 if mark in "([{" else -1
            most = max(most, depth)
        return most > _DEEPEST
    return False


_MOST = 1_000_000
"""Characters of Python that are parsed: a megabyte takes twenty seconds and most of a gigabyte."""

_BRACKETS = re.compile(r"[()\[\]{}]")
_DEEPEST = 200
"""Brackets that may stand in one another: MAXLEVEL of CPython's tokenizer."""


def dotted(node: cst.CSTNode) -> str:
    """Return ``a.b.c`` of a chain of attributes, with ``()`` and ``[]`` for what is called or indexed."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        return f"{dotted(node.value)}.{node.attr.value}"
    if isinstance(node, cst.Call):
        return f"{dotted(node.func)}()"
    if isinstance(node, cst.Subscript):
        return f"{dotted(node.value)}[]"
    return ""


def named_arguments(call: cst.Call) -> dict[str, cst.BaseExpression]:
    """Return what a call passes by keywords."""
    return {item.keyword.value: item.value for item in call.args if item.keyword is not None}


def keywords(call: cst.Call, *names: str) -> list[cst.BaseExpression]:
    """Return what a call passes under some keywords, in their order."""
    given = named_arguments(call)
    return [given[name] for name in names if name in given]


def targets(node: cst.Assign | cst.AnnAssign) -> list[cst.BaseExpression]:
    """Return what an assignment gives its value to."""
    return [node.target] if isinstance(node, cst.AnnAssign) else [item.target for item in node.targets]


def bound_names(node: cst.Import | cst.ImportFrom) -> list[str]:
    """Return the names that an import binds."""
    if isinstance(node.names, cst.ImportStar):
        return []
    named = (item.asname.name if item.asname is not None else item.name for item in node.names)
    return [dotted(name).split(".")[0] for name in named]


def text_of(node: cst.CSTNode | None) -> str | None:
    """Return the value of a plain string literal, in however many pieces it is written, or None."""
    pieces = []
    while isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        pieces.append(_literal(node.right))
        if pieces[-1] is None:
            return None
        node = node.left
    pieces.append(_literal(node))
    return None if None in pieces else "".join(piece or "" for piece in reversed(pieces))


def _literal(node: cst.CSTNode | None) -> str | None:
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return _unformatted(node) if isinstance(node, cst.FormattedString) else None


def _unformatted(node: cst.FormattedString) -> str | None:
    """Return the value of an f-string in which nothing is put, or None."""
    texts = [part.value for part in node.parts if isinstance(part, cst.FormattedStringText)]
    if len(texts) != 1 or len(node.parts) != 1 or any(mark in texts[0] for mark in "\\{}"):
        return None
    return texts[0]
