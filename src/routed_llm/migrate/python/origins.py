"""Where the value of an expression comes from: literals, constants, parameters, fields, environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, ImportAssignment

from routed_llm.migrate.found import Origin
from routed_llm.migrate.python.objects import Objects
from routed_llm.migrate.python.tree import Tree, dotted, keywords, text_of

__all__ = ["Known", "Sources", "trace"]

_DEPTH = 12
_FOLDS, _ROWS = 200, 20
"""How many parts are followed of texts that are put together, and how many texts may come of them."""

_CHOICES = ("selectbox", "radio", "select_slider", "pills", "segmented_control")
"""What a form of Streamlit calls a choice among options."""

_ENVIRONMENT = ("os.getenv", "os.environ.get", "environ.get", "getenv", "decouple.config")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What other modules say about one.

    Attributes:
        values: what names of other modules hold, by the dotted name as this module spells it.
        given: what other modules hand to parameters of this module's functions (``make:name``, ``make:0``).
        same: names under which this module imports what another module imports itself, to what they are.
        kept: imported names that other modules take from this one.
        environment: what settings files give variables of the environment.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether there is anything."""
        return bool(self.values or self.given or self.same or self.kept or self.environment)


@dataclass(slots=True)
class Sources:
    """Everything that may reach an expression.

    Attributes:
        origins: the literals.
        environment: names of environment variables.
        wants: names imported from other modules, dotted.
        asks: parameters that callers in other modules may fill (``make:name``, ``make:0``).
        open: whether a value may also come from a caller, the environment or a configuration.
        unknown: an expression that could not be followed, or None.
        built: an expression that puts the id together, or None.
    """

    origins: list[Origin] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)
    wants: list[str] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)
    open: bool = False
    unknown: str | None = None
    built: str | None = None


def trace(tree: Tree, node: cst.BaseExpression, known: Known, *more: cst.BaseExpression) -> Sources:
    """Follow an expression to the literals that it may be.

    Args:
        tree: the module.
        node: the expression.
        known: what other modules say.
        more: further expressions, whose literals are added.
    """
    found = Sources()
    walk = _Walk(tree, found, known)
    for expression in (node, *more):
        walk.follow(expression, "literal", _DEPTH)
    return found


class _Walk:
    def __init__(self, tree: Tree, found: Sources, known: Known, folds: list[None] | None = None) -> None:
        self.tree, self.found, self.known = tree, found, known
        self.folds = [None] * _FOLDS if folds is None else folds
        self.objects = Objects.of(tree)
        self.seen: set[cst.CSTNode] = set()

    def follow(self, node: cst.BaseExpression, how: str, depth: int) -> None:
        """Follow one expression."""
        if node in self.seen:
            return
        if depth == 0:
            self._give_up(node)
            return
        self.seen.add(node)
        value = text_of(node)
        if value is not None:
            self.found.origins.append(Origin(offset=self.tree.span(node)[0], value=value, how=how))
        else:
            self._follow_on(node, how, depth)

    def _follow_on(self, node: cst.BaseExpression, how: str, depth: int) -> None:
        if isinstance(node, cst.Name):
            self._name(node, depth)
        elif isinstance(node, cst.Attribute):
            self._attribute(node, depth)
        elif isinstance(node, (cst.BooleanOperation, cst.IfExp, cst.NamedExpr)):
            for part in _alternatives(node):
                self.follow(part, how, depth - 1)
        elif isinstance(node, cst.Call):
            self._call(node, depth)
        elif isinstance(node, cst.Subscript):
            self._entries(node, depth)
        elif not self._put_together(node, depth):
            for part in _parts(node):
                self.found.built = self.found.built or self.tree.source(node)
                self.follow(part, how, depth - 1)
            self._give_up(node)

    def _put_together(self, node: cst.BaseExpression, depth: int) -> bool:
        """Follow a text that is put together of others, where all of those are known."""
        rows: list[list[Origin]] = []
        inner = Sources()
        for part in _pieces(node):
            if isinstance(part, cst.FormattedStringText):
                rows.append([Origin(offset=self.tree.span(part)[0], value=part.value, how="literal")])
                continue
            if not self.folds:
                return False
            self.folds.pop()
            inner.origins = []
            walk = _Walk(self.tree, inner, self.known, self.folds)
            walk.follow(part, "literal", depth - 1)
            rows.append(inner.origins)
        if not rows or inner.unknown is not None or prod(map(len, rows)) not in range(1, _ROWS):
            return False
        # Whoever can change a part can make any id of it, but for what stands behind a provider's name.
        lead = "".join(item.value for row in rows[:-1] for item in row)
        if inner.open and not lead.endswith((":", "/")):
            return False
        for row in product(*rows):
            value = "".join(item.value for item in row)
            self.found.origins += [replace(item, value=value) for item in row]
        self.found.environment += inner.environment
        self.found.wants += inner.wants
        self.found.asks += inner.asks
        self.found.open = self.found.open or inner.open
        return True

    def _give_up(self, node: cst.BaseExpression) -> None:
        self.found.unknown = self.found.unknown or self.tree.source(node)

    def _name(self, node: cst.Name, depth: int) -> None:
        if node.value == "None":
            return
        if self.tree.only_imported(node.value):
            self._imported(node)
            return
        assignments = self.tree.assignments(node)
        if not assignments:  # it comes from an import of *, if from anywhere
            wanted = [name for name in self.tree.names(node) if name in self.known.values]
            for name in wanted:
                self._want(name)
            if not wanted:
                self._give_up(node)
        for item in self._reaching(node, assignments):
            if isinstance(item, ImportAssignment):
                self._imported(node)
            elif isinstance(item, Assignment):
                self._assigned(item.node, node, depth)
            else:
                self._give_up(node)

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
            self._want(name)

    def _want(self, name: str) -> None:
        self.found.wants.append(name)
        for value in self.known.values.get(name, ()):
            self.found.origins.append(Origin(offset=-1, value=value, how=f"import of {name}"))
        if name not in self.known.values:
            self.found.unknown = self.found.unknown or name

    def _assigned(self, node: cst.CSTNode, use: cst.Name, depth: int) -> None:
        holder = self.tree.parent(node) if isinstance(node, cst.Name) else node
        if isinstance(holder, cst.Param):
            self._parameter(holder, depth)
            return
        values = list(self.objects.values_of(node, use.value))
        how = self._how(node, "item of a loop" if self.objects.is_loop(node) else "constant")
        for value in values:
            self.follow(value, how, depth - 1)
        if not values:
            self._give_up(use)

    def _how(self, node: cst.CSTNode, default: str) -> str:
        inner = next(
            (item for item in self.tree.ancestors(node) if isinstance(item, (cst.FunctionDef, cst.ClassDef))),
            None,
        )
        if isinstance(inner, cst.ClassDef):
            return "class attribute"
        return "variable" if isinstance(inner, cst.FunctionDef) and default == "constant" else default

    def _parameter(self, parameter: cst.Param, depth: int) -> None:
        self.found.open = True
        if parameter.default is not None:
            self.follow(parameter.default, "default argument", depth - 1)
        for value in self.objects.options_of(parameter):
            self.follow(value, "default of an option", depth - 1)
        for value in self.objects.handed_to(parameter):
            self.follow(value, "argument", depth - 1)
        for key in self.objects.keys_of(parameter):
            self.found.asks.append(key)
            for given in self.known.given.get(key, ()):
                self.found.origins.append(Origin(offset=-1, value=given, how="argument"))

    def _attribute(self, node: cst.Attribute, depth: int) -> None:
        fields = self.objects.fields(node)
        for value in fields.values:
            self.follow(value, fields.how, depth - 1)
        if fields.values:
            # An instance may be made with another value than its class names.
            self.found.open = True
        known = [name for name in fields.wants if name in self.known.values]
        for name in known or fields.wants:
            self.found.open = True
            self._want(name)
        if not fields.values and not fields.wants:
            names = self.tree.names(node)
            for name in names:
                self._want(name)
            if not names:
                self._give_up(node)

    def _call(self, node: cst.Call, depth: int) -> None:
        last = dotted(node.func).split(".")[-1]
        if dotted(node.func) in _ENVIRONMENT or self.tree.names(node.func) & set(_ENVIRONMENT):
            variable = text_of(node.args[0].value) if node.args else None
            self._environment(variable)
            self._default(node.args[1:], "environment default", depth)
        elif last == "get" and node.args and isinstance(node.func, cst.Attribute):
            self._entries(node, depth, must=len(node.args) < 2)
            self._default(node.args[1:], "default of a lookup", depth)
        elif last in ("Field", "field", "Option", "Argument"):
            first = node.args if last in ("Field", "field") else node.args[:1]
            named = [
                item for item in node.args if item.keyword is not None and item.keyword.value == "default"
            ]
            self._default([item for item in first if item.keyword is None] + named, "field", depth)
        elif last in ("strip", "lower", "removeprefix") and isinstance(node.func, cst.Attribute):
            self.follow(node.func.value, "variable", depth - 1)
        elif dotted(node.func) == "getattr" and len(node.args) > 1:
            self._named_attribute(node, depth)
        elif last in ("str", "cast") and node.args:
            self.follow(node.args[-1].value, "variable", depth - 1)
        elif last in _CHOICES and len(node.args) > 1:
            for value in self.objects.listed([*keywords(node, "options"), node.args[1].value][0]):
                self.follow(value, "choice of a form", depth - 1)
        else:
            self._returned(node, depth)

    def _named_attribute(self, node: cst.Call, depth: int) -> None:
        """Follow ``getattr(settings, "MODEL", "gpt-4o")``."""
        name = text_of(node.args[1].value) or ""
        wants = [f"{holder}.{name}" for holder in sorted(self.tree.names(node.args[0].value))]
        for want in wants:
            if want in self.known.values or len(node.args) < 3:
                self._want(want)
        if not wants and len(node.args) < 3:
            self._give_up(node)
        self._default(node.args[2:], "default of a lookup", depth)

    def _environment(self, variable: str | None) -> None:
        if variable is not None:
            self.found.environment.append(variable)
            for value in self.known.environment.get(variable, ()):
                self.found.origins.append(Origin(offset=-1, value=value, how="environment"))

    def _default(self, items: Sequence[cst.Arg], how: str, depth: int) -> None:
        self.found.open = True
        for item in items:
            self.follow(item.value, how, depth - 1)

    def _returned(self, node: cst.Call, depth: int) -> None:
        values = list(self.objects.returned(node))
        for value in values:
            self.follow(value, "what a function returns", depth - 1)
        names = self.tree.names(node.func) if not values else ()
        for name in names:
            self._want(f"{name}()")
        if not values and not names:
            self._give_up(node)

    def _entries(self, node: cst.Subscript | cst.Call, depth: int, *, must: bool = True) -> None:
        variable = self.objects.environment(node)
        if variable is not None:
            self.found.open = True
            self._environment(variable)
            return
        values = list(self.objects.entries(node))
        for value in values:
            self.follow(value, "dictionary value", depth - 1)
        wants = list(self.objects.elsewhere(node)) if not values else []
        for name in wants:
            self._want(name)
        if must and not values and not wants:
            self._give_up(node)


def _alternatives(node: cst.BooleanOperation | cst.IfExp | cst.NamedExpr) -> tuple[cst.BaseExpression, ...]:
    if isinstance(node, cst.BooleanOperation):
        return node.left, node.right
    return (node.body, node.orelse) if isinstance(node, cst.IfExp) else (node.value,)


def _pieces(node: cst.BaseExpression) -> list[cst.BaseExpression | cst.FormattedStringText]:
    """Return what a text is put together from, one after another; nothing where it is made otherwise."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        return [node.left, node.right]
    found: list[cst.BaseExpression | cst.FormattedStringText] = []
    for part in node.parts if isinstance(node, cst.FormattedString) else ():
        if isinstance(part, cst.FormattedStringText):
            found.append(part)
        elif (
            isinstance(part, cst.FormattedStringExpression)
            and part.conversion is None
            and not part.format_spec
        ):
            found.append(part.expression)
        else:
            return []
    return found


def _parts(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    """Return what a text is put together from."""
    if isinstance(node, cst.FormattedString):
        return [part.expression for part in node.parts if isinstance(part, cst.FormattedStringExpression)]
    if isinstance(node, (cst.ConcatenatedString, cst.BinaryOperation)):
        return [node.left, node.right]
    return []
