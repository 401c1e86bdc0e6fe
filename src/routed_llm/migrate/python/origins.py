"""Where the value of an expression comes from: literals, constants, defaults, fields, environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, ImportAssignment

from routed_llm.migrate.found import Origin
from routed_llm.migrate.python.tree import Tree, dotted, text_of

__all__ = ["Sources", "trace"]

_DEPTH = 8
_ENVIRONMENT = ("os.getenv", "os.environ.get", "environ.get", "getenv", "decouple.config")
_FIELDS = ("Field", "field", "SettingsConfigDict")


@dataclass(slots=True)
class Sources:
    """Everything that may reach an expression.

    Attributes:
        origins: the literals.
        environment: names of environment variables.
        wants: names imported from other modules, dotted.
        open: whether a value may also come from a caller, the environment or a configuration.
        unknown: an expression that could not be followed, or None.
    """

    origins: list[Origin] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    wants: list[str] = field(default_factory=list)
    open: bool = False
    unknown: str | None = None


def trace(tree: Tree, node: cst.BaseExpression, known: Mapping[str, str]) -> Sources:
    """Follow an expression to the literals that it may be.

    Args:
        tree: the module.
        node: the expression.
        known: names of other modules whose value is known, dotted.
    """
    found = Sources()
    _Walk(tree, found, known).follow(node, "literal", _DEPTH)
    return found


class _Walk:
    def __init__(self, tree: Tree, found: Sources, known: Mapping[str, str]) -> None:
        self.tree, self.found, self.known = tree, found, known
        self.seen: set[cst.CSTNode] = set()

    def follow(self, node: cst.BaseExpression, how: str, depth: int) -> None:
        """Follow one expression."""
        if node in self.seen:
            return
        if depth == 0:
            self.found.unknown = self.found.unknown or self.tree.source(node)
            return
        self.seen.add(node)
        value = text_of(node)
        if value is not None:
            offset = self.tree.span(node)[0]
            self.found.origins.append(Origin(offset=offset, value=value, how=how))
        elif isinstance(node, cst.Name):
            self._name(node, depth)
        elif isinstance(node, cst.Attribute):
            self._attribute(node, depth)
        elif isinstance(node, cst.BooleanOperation):
            self.follow(node.left, how, depth - 1)
            self.follow(node.right, how, depth - 1)
        elif isinstance(node, cst.IfExp):
            self.follow(node.body, how, depth - 1)
            self.follow(node.orelse, how, depth - 1)
        elif isinstance(node, cst.Call):
            self._call(node, depth)
        elif isinstance(node, cst.Subscript):
            self._subscript(node, depth)
        else:
            self._else(node)

    def _else(self, node: cst.BaseExpression) -> None:
        self.found.unknown = self.found.unknown or self.tree.source(node)

    def _name(self, node: cst.Name, depth: int) -> None:
        if node.value == "None":
            return
        assignments = self.tree.assignments(node)
        if not assignments:
            self.found.unknown = self.found.unknown or node.value
        for item in self._reaching(node, assignments):
            if isinstance(item, ImportAssignment):
                self._imported(node)
            elif isinstance(item, Assignment):
                self._assigned(item.node, node.value, depth)
            else:
                self.found.unknown = self.found.unknown or node.value

    def _reaching(self, use: cst.Name, assignments: Sequence[BaseAssignment]) -> list[BaseAssignment]:
        """Leave out what a later assignment in the same block has replaced, and what comes after the use."""
        scope = self.tree.scope(use)
        place = self.tree.span(use)[0]
        around = set(self.tree.ancestors(use))
        looped = any(isinstance(item, (cst.For, cst.While)) for item in around)
        if looped or len(assignments) < 2 or any(item.scope is not scope for item in assignments):
            return list(assignments)
        starts = []
        for item in assignments:
            node = getattr(item, "node", None)
            if not isinstance(node, cst.CSTNode):
                return list(assignments)
            starts.append((self.tree.span(node)[0], node, item))
        before = sorted((item for item in starts if item[0] < place), key=lambda item: item[0])
        for index in range(len(before) - 1, -1, -1):
            block = next(
                (
                    outer
                    for outer in self.tree.ancestors(before[index][1])
                    if isinstance(outer, (cst.BaseSuite, cst.Module, cst.FunctionDef))
                ),
                None,
            )
            if block in around:
                return [item for _, _, item in before[index:]]
        return [item for _, _, item in before] or list(assignments)

    def _imported(self, node: cst.BaseExpression) -> None:
        for name in self.tree.names(node):
            self.found.wants.append(name)
            if name in self.known:
                self.found.origins.append(Origin(offset=-1, value=self.known[name], how=f"import of {name}"))
            else:
                self.found.unknown = self.found.unknown or name

    def _assigned(self, node: cst.CSTNode, name: str, depth: int) -> None:
        parent = self.tree.parent(node)
        holder = parent if isinstance(node, cst.Name) else node
        if isinstance(holder, cst.Param):
            self._parameter(holder, depth)
            return
        if isinstance(holder, (cst.For, cst.CompFor)) and isinstance(
            holder.iter, (cst.List, cst.Tuple, cst.Set)
        ):
            for element in holder.iter.elements:
                self.follow(element.value, "item of a loop", depth - 1)
            return
        statement = holder if isinstance(holder, (cst.AnnAssign, cst.NamedExpr)) else None
        if isinstance(holder, cst.AssignTarget):
            outer = self.tree.parent(holder)
            if isinstance(outer, cst.Assign):
                self.follow(outer.value, self._how(node, "constant"), depth - 1)
                return
        if statement is not None and statement.value is not None:
            self.follow(statement.value, self._how(node, "constant"), depth - 1)
            return
        self.found.unknown = self.found.unknown or name

    def _how(self, node: cst.CSTNode, default: str) -> str:
        inner = next(
            (item for item in self.tree.ancestors(node) if isinstance(item, (cst.FunctionDef, cst.ClassDef))),
            None,
        )
        if isinstance(inner, cst.ClassDef):
            return "class attribute"
        return "variable" if isinstance(inner, cst.FunctionDef) else default

    def _parameter(self, parameter: cst.Param, depth: int) -> None:
        self.found.open = True
        if parameter.default is not None:
            self.follow(parameter.default, "default argument", depth - 1)

    def _attribute(self, node: cst.Attribute, depth: int) -> None:
        values = list(self._fields(node))
        if values:
            for value in values:
                self.follow(value, "field", depth - 1)
            # An instance may be made with another value than its class names.
            self.found.open = True
            return
        self._imported(node)
        if not self.tree.names(node):
            self._else(node)

    def _fields(self, node: cst.Attribute) -> Iterator[cst.BaseExpression]:
        """Give what the classes of this module say the attribute is."""
        wanted = self._class_of(node)
        for item in self.tree.nodes.classes:
            if wanted is not None and item.name.value != wanted:
                continue
            for statement in _statements(item):
                value = _assigned_to(statement, node.attr.value)
                if value is not None:
                    yield value

    def _class_of(self, node: cst.Attribute) -> str | None:
        holder = node.value
        if isinstance(holder, cst.Name) and holder.value in ("self", "cls"):
            outer = self.tree.around(node, cst.ClassDef)
            return outer.name.value if outer is not None else ""
        if isinstance(holder, cst.Name):
            classes = {item.name.value for item in self.tree.nodes.classes}
            if holder.value in classes:
                return holder.value
            for item in self.tree.assignments(holder):
                made = _made_by(self.tree, item)
                if made in classes:
                    return made
        if isinstance(holder, cst.Call) and isinstance(holder.func, cst.Name):
            return holder.func.value
        return ""  # an object that this module does not make

    def _call(self, node: cst.Call, depth: int) -> None:
        name = dotted(node.func)
        if name in _ENVIRONMENT or self.tree.names(node.func) & set(_ENVIRONMENT):
            self.found.open = True
            variable = text_of(node.args[0].value) if node.args else None
            if variable is not None:
                self.found.environment.append(variable)
            for argument in node.args[1:]:
                self.follow(argument.value, "environment default", depth - 1)
        elif name.endswith(".get") and len(node.args) == 2:
            self.found.open = True
            self.follow(node.args[1].value, "default of a lookup", depth - 1)
        elif name in _FIELDS or name.split(".")[-1] in ("Field", "field"):
            self.found.open = True
            for argument in node.args:
                if argument.keyword is None or argument.keyword.value == "default":
                    self.follow(argument.value, "field", depth - 1)
        elif name.split(".")[-1] in ("strip", "lower") and isinstance(node.func, cst.Attribute):
            self.follow(node.func.value, "variable", depth - 1)
        else:
            self._else(node)

    def _subscript(self, node: cst.Subscript, depth: int) -> None:
        key = _key_of(node)
        if dotted(node.value) in ("os.environ", "environ") and key is not None:
            self.found.open = True
            self.found.environment.append(key)
            return
        if key is None or not isinstance(node.value, cst.Name):
            self._else(node)
            return
        before = len(self.found.origins)
        for item in self.tree.assignments(node.value):
            value = _value_of(self.tree, item)
            for entry in value.elements if isinstance(value, cst.Dict) else ():
                if isinstance(entry, cst.DictElement) and text_of(entry.key) == key:
                    self.follow(entry.value, "dictionary value", depth - 1)
        if len(self.found.origins) == before:
            self._else(node)


def _statements(node: cst.ClassDef) -> Iterator[cst.CSTNode]:
    """Give the class's own assignments, and those to ``self`` in its methods."""
    for line in node.body.body:
        if isinstance(line, cst.SimpleStatementLine):
            yield from line.body
        elif isinstance(line, cst.FunctionDef):
            for inner in line.body.body:
                if isinstance(inner, cst.SimpleStatementLine):
                    yield from inner.body


def _assigned_to(statement: cst.CSTNode, name: str) -> cst.BaseExpression | None:
    if isinstance(statement, cst.AnnAssign):
        return statement.value if _names(statement.target, name) else None
    if isinstance(statement, cst.Assign):
        return statement.value if any(_names(item.target, name) for item in statement.targets) else None
    return None


def _names(target: cst.CSTNode, name: str) -> bool:
    return dotted(target) in (name, f"self.{name}")


def _value_of(tree: Tree, assignment: object) -> cst.BaseExpression | None:
    node = getattr(assignment, "node", None)
    parent = tree.parent(node) if isinstance(node, cst.Name) else node
    outer = tree.parent(parent) if isinstance(parent, cst.AssignTarget) else parent
    return outer.value if isinstance(outer, (cst.Assign, cst.AnnAssign)) else None


def _made_by(tree: Tree, assignment: object) -> str | None:
    value = _value_of(tree, assignment)
    return value.func.value if isinstance(value, cst.Call) and isinstance(value.func, cst.Name) else None


def _key_of(node: cst.Subscript) -> str | None:
    if len(node.slice) != 1 or not isinstance(node.slice[0].slice, cst.Index):
        return None
    return text_of(node.slice[0].slice.value)
