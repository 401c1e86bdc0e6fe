"""What the objects of a module are: instances, dictionaries, options, functions and their callers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import libcst as cst
from libcst.metadata import Assignment, ImportAssignment

from routed_llm.migrate.python.tree import Tree, dotted, keywords, named_arguments, targets, text_of

__all__ = ["Fields", "Objects"]

_DEEP = 6
_PARSED = ("parse_args", "parse_known_args", "parse_intermixed_args")
_AS_TABLES = ("vars", "asdict", "_asdict", "model_dump")
_WRAPPERS = ("Optional", "Annotated", "Depends", "Final", "ClassVar", "Type", "type")


@dataclass(slots=True)
class Fields:
    """What an attribute may be.

    Attributes:
        values: expressions of this module.
        wants: dotted names of other modules.
        how: what the expressions are.
    """

    values: list[cst.BaseExpression] = field(default_factory=list)
    wants: list[str] = field(default_factory=list)
    how: str = "field"


class Objects:
    """Answers what expressions of one module stand for, as far as the module itself says.

    Args:
        tree: the module.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._asked: set[cst.CSTNode] = set()
        self._of_options: dict[cst.FunctionDef, list[cst.DictElement]] = {}

    @classmethod
    def of(cls, tree: Tree) -> Objects:
        """Return the objects of a module, with what has been worked out about them."""
        found = tree.notes.get("objects")
        if not isinstance(found, Objects):
            found = tree.notes["objects"] = cls(tree)
        return found

    # Assignments

    def is_loop(self, node: cst.CSTNode) -> bool:
        """Say whether a name is bound by a loop."""
        return self._loop(node) is not None

    def values_of(self, node: cst.CSTNode, name: str) -> Iterator[cst.BaseExpression]:
        """Give the expressions that the binding of a name gives it."""
        loop = self._loop(node)
        if loop is not None:
            if loop not in self._asked:
                self._asked.add(loop)
                try:
                    yield from self._looped(loop, name)
                finally:
                    self._asked.discard(loop)
            return
        yield from self._at(*_value_of(self._tree, node))

    def _at(
        self, value: cst.BaseExpression | None, place: int | None, depth: int = _DEEP
    ) -> Iterator[cst.BaseExpression]:
        """Give a value, or its element at a place: of a tuple, or of one that a function returns."""
        if place is None:
            yield from [value] if value is not None else []
        elif isinstance(value, (cst.Tuple, cst.List)):
            yield from [value.elements[place].value] if place < len(value.elements) else []
        elif place == 0 and isinstance(value, cst.Call) and dotted(value.func).endswith(".parse_known_args"):
            yield value
        elif isinstance(value, cst.Call) and depth > 0:
            for returned in self.returned(value):
                yield from self._at(returned, place, depth - 1)

    def _loop(self, node: cst.CSTNode) -> cst.For | cst.CompFor | None:
        holder: cst.CSTNode | None = node
        while isinstance(holder, (cst.Name, cst.Tuple, cst.Element)):
            holder = self._tree.parent(holder)
        return holder if isinstance(holder, (cst.For, cst.CompFor)) else None

    def _looped(self, loop: cst.For | cst.CompFor, name: str) -> Iterator[cst.BaseExpression]:
        """Give what a name is bound to, going through a list, a dictionary, or rows of either."""
        place = None
        if isinstance(loop.target, cst.Tuple):
            names = [dotted(item.value) for item in loop.target.elements]
            place = names.index(name) if name in names else None
        over = loop.iter
        last = dotted(over.func).split(".")[-1] if isinstance(over, cst.Call) else ""
        if (
            isinstance(over, cst.Call)
            and isinstance(over.func, cst.Attribute)
            and last in ("items", "values", "keys")
        ):
            wanted = {"keys": 0, "values": 1}.get(last, place)
            for table in self._tables(over.func.value, _DEEP):
                yield from (item.key if wanted == 0 else item.value for item in table if wanted is not None)
            return
        if last == "enumerate" and isinstance(over, cst.Call) and over.args and place != 0:
            over, place = over.args[0].value, None
        for item in self.listed(over):
            yield from self._at(item, place)

    def listed(self, node: cst.BaseExpression, depth: int = _DEEP) -> Iterator[cst.BaseExpression]:
        """Give the items of a list, a tuple or a set; of a dictionary its keys."""
        if isinstance(node, (cst.List, cst.Tuple, cst.Set)):
            yield from (item.value for item in node.elements if isinstance(item, cst.Element))
        elif isinstance(node, cst.Name) and depth > 0:
            for value in self._bound(node):
                yield from self.listed(value, depth - 1)
            for table in self._tables(node, 1):
                yield from (item.key for item in table)

    def defaults_of(self, node: cst.Name) -> Iterator[cst.BaseExpression]:
        """Give the defaults of the parameter that a name is."""
        for item in self._tree.assignments(node):
            bound = getattr(item, "node", None)
            holder = self._tree.parent(bound) if isinstance(bound, cst.Name) else bound
            if isinstance(holder, cst.Param) and holder.default is not None:
                yield holder.default

    def _bound(self, node: cst.Name) -> Iterator[cst.BaseExpression]:
        """Give the expressions that a name is bound to; nothing when that is being asked already."""
        if node in self._asked:
            return
        self._asked.add(node)
        try:
            yield from self._bindings(node)
        finally:
            self._asked.discard(node)

    def _bindings(self, node: cst.Name) -> Iterator[cst.BaseExpression]:
        if self._tree.only_imported(node.value):
            return
        for item in self._tree.assignments(node):
            if isinstance(item, Assignment) and not isinstance(item, ImportAssignment):
                holder = self._tree.parent(item.node) if isinstance(item.node, cst.Name) else item.node
                if isinstance(holder, cst.Param):
                    yield from ([holder.default] if holder.default is not None else [])
                    yield from self.handed_to(holder)
                else:
                    yield from self.values_of(item.node, node.value)

    # Dictionaries

    def entries(self, node: cst.Subscript | cst.Call, depth: int = _DEEP) -> Iterator[cst.BaseExpression]:
        """Give what ``table[key]`` or ``table.get(key)`` may be; all values where the key is no literal."""
        holder, key = _looked_up(node)
        if holder is None:
            return
        for table in self._tables(holder, depth):
            yield from (item.value for item in table if key in (None, text_of(item.key)))
        yield from (value for name, value in self._set.get(dotted(holder), ()) if key in (None, name))

    @cached_property
    def _set(self) -> dict[str, list[tuple[str | None, cst.BaseExpression]]]:
        """What is set in tables after they are made (``table[key] = value``), by the table's name."""
        found: dict[str, list[tuple[str | None, cst.BaseExpression]]] = {}
        for item in self._tree.nodes.assigned:
            for target in targets(item) if item.value is not None else ():
                holder, key = _looked_up(target) if isinstance(target, cst.Subscript) else (None, None)
                if holder is not None and item.value is not None:
                    found.setdefault(dotted(holder), []).append((key, item.value))
        return found

    def entries_of(self, node: cst.BaseExpression, key: str) -> Iterator[cst.BaseExpression]:
        """Give what a dictionary may have under a key, whatever else is added to it later."""
        for table in self._tables(node, _DEEP):
            yield from (item.value for item in table if text_of(item.key) == key)

    def elsewhere(self, node: cst.BaseExpression, depth: int = _DEEP) -> Iterator[str]:
        """Give the dotted names that another module's object has here: ``config.MODELS[*][name]``."""
        names = sorted(self._tree.names(node))
        if names or depth <= 0:
            yield from names
        elif isinstance(node, cst.Attribute):
            yield from (f"{name}.{node.attr.value}" for name in self.elsewhere(node.value, depth - 1))
        elif isinstance(node, cst.Name) and not self._tree.only_imported(node.value):
            for item in self._tree.assignments(node):
                if isinstance(item, Assignment) and not isinstance(item, ImportAssignment):
                    yield from self._bound_elsewhere(item.node, depth - 1)
        elif isinstance(node, (cst.Subscript, cst.Call)):
            holder, key = _looked_up(node)
            if holder is not None:
                yield from (f"{name}[{key or '*'}]" for name in self.elsewhere(holder, depth - 1))
            elif isinstance(node, cst.Call):
                yield from (f"{name}()" for name in sorted(self._tree.names(node.func)))

    def _bound_elsewhere(self, node: cst.CSTNode, depth: int) -> Iterator[str]:
        loop = self._loop(node)
        value, place = _value_of(self._tree, node)
        if loop is None:
            yield from self.elsewhere(value, depth) if value is not None and place is None else ()
            return
        over = loop.iter
        if isinstance(over, cst.Call) and isinstance(over.func, cst.Attribute):
            if over.func.attr.value not in ("values", "items"):
                return
            over = over.func.value
        yield from (f"{name}[*]" for name in self.elsewhere(over, depth))

    def environment(self, node: cst.Subscript | cst.Call) -> str | None:
        """Return the environment variable that is looked up, or None."""
        holder, key = _looked_up(node)
        known = holder is not None and dotted(holder) in ("os.environ", "environ")
        return key if known else None

    def mapping(self, node: cst.BaseExpression) -> dict[str, cst.BaseExpression] | None:
        """Return what ``**node`` passes, when dictionaries say so and nothing changes them later.

        Where it may be one of several, each key has what any of them gives it.
        """
        tables = list(self._tables(node, _DEEP))
        if not tables or (isinstance(node, cst.Name) and node.value in self._changed):
            return None
        found: dict[str, list[cst.BaseExpression]] = {}
        for table in tables:
            given: dict[str, cst.BaseExpression] = {}
            for item in table:
                key = text_of(item.key)
                if key is None:
                    return None
                given[key] = item.value
            for key, value in given.items():
                found.setdefault(key, []).append(value)
        return {key: _either(values) for key, values in found.items()}

    @cached_property
    def _changed(self) -> frozenset[str]:
        """Names of dictionaries that something is added to after they are made."""
        names = {
            dotted(node.func.value)
            for node in self._tree.nodes.calls
            if isinstance(node.func, cst.Attribute)
            and node.func.attr.value in ("update", "setdefault", "pop")
        }
        return frozenset(names | self._tree.nodes.stored)

    def _tables(self, node: cst.BaseExpression, depth: int) -> Iterator[list[cst.DictElement]]:
        """Give the entries of each dictionary that an expression may be."""
        if depth <= 0:
            return
        if isinstance(node, cst.Dict):
            spread = [item.value for item in node.elements if isinstance(item, cst.StarredDictElement)]
            inner = [item for value in spread for table in self._tables(value, depth - 1) for item in table]
            yield [item for item in node.elements if isinstance(item, cst.DictElement)] + inner
        elif isinstance(node, cst.Call) and dotted(node.func) == "dict":
            given = named_arguments(node).items()
            yield [cst.DictElement(cst.SimpleString(repr(name)), value) for name, value in given]
        elif isinstance(node, cst.Call) and dotted(node.func).split(".")[-1] in _AS_TABLES:
            made = node.args[0].value if node.args else node.func
            yield from self._as_table(
                made.value if isinstance(made, cst.Attribute) and not node.args else made, depth
            )
        else:
            for value in self._held_by(node, depth):
                yield from self._tables(value, depth - 1)
            yield from self._keywords_of_options(node)

    def _as_table(self, node: cst.BaseExpression, depth: int) -> Iterator[list[cst.DictElement]]:
        """Give the fields of an object as a dictionary, as vars() and model_dump() do."""
        for kind in self._kinds(node, depth - 1):
            if isinstance(kind, cst.ClassDef):
                yield _entries(dict(self.fields_of(kind, depth - 1)))
            elif kind == "argparse":
                yield _entries(self._options)

    def _keywords_of_options(self, node: cst.BaseExpression) -> Iterator[list[cst.DictElement]]:
        """Give what click passes to a function that takes ``**kwargs``."""
        if not isinstance(node, cst.Name):
            return
        function = self._tree.around(node, cst.FunctionDef)
        rest = function.params.star_kwarg if function is not None else None
        if (
            function is not None
            and rest is not None
            and rest.name.value == node.value
            and function.decorators
        ):
            if function not in self._of_options:
                self._of_options[function] = _entries(self._of_decorators(function))
            yield self._of_options[function]

    def _held_by(self, node: cst.BaseExpression, depth: int) -> Iterator[cst.BaseExpression]:
        """Give what a name, an attribute or an entry of a table may be."""
        if isinstance(node, cst.Name):
            yield from self._bound(node)
        elif isinstance(node, cst.Attribute):
            yield from self.fields(node, depth - 1).values
        elif isinstance(node, cst.Subscript) or (
            isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)
        ):
            yield from self.entries(node, depth - 1)

    # Attributes

    def fields(self, node: cst.Attribute, depth: int = _DEEP) -> Fields:
        """Return what an attribute may be."""
        found = Fields()
        if depth <= 0:
            return found
        name = node.attr.value
        for kind in self._kinds(node.value, depth):
            if isinstance(kind, cst.ClassDef):
                found.values += self._of_class(kind, name, depth)
            elif kind == "argparse":
                found.values += self._options.get(name, [])
                found.how = "default of an option"
            else:
                found.wants.append(f"{kind}.{name}")
        if name in ("value", "name") and isinstance(node.value, cst.Attribute) and not found.values:
            inner = self.fields(node.value, depth - 1)  # a member of an Enum
            found.values += inner.values
            found.wants += inner.wants
        return found

    def _of_class(self, kind: cst.ClassDef, name: str, depth: int) -> list[cst.BaseExpression]:
        values = list(self._tree.fields_of(kind).get(name, ()))
        init = self._tree.method(kind, "__init__")
        for call in self._tree.calls_of.get(kind.name.value, ()) if init is None else ():
            values += keywords(call, name) or self._placed(kind, call, name, depth)
        if name == "value" and any(dotted(base.value).endswith("Enum") for base in kind.bases):
            values += [value for members in self._tree.fields_of(kind).values() for value in members]
        getter = self._tree.method(kind, name)
        if getter is not None and _is_getter(getter):
            values += self._tree.returns_of.get(getter, ())
        for base in kind.bases:
            for parent in self._kinds(base.value, depth - 1):
                if isinstance(parent, cst.ClassDef) and parent is not kind:
                    values += self._of_class(parent, name, depth - 1)
        return values

    def _placed(self, kind: cst.ClassDef, call: cst.Call, name: str, depth: int) -> list[cst.BaseExpression]:
        """Return what a call gives a field by its place, as dataclasses and named tuples take it."""
        names = list(dict.fromkeys(self._field_names(kind, depth - 1)))
        given = [item.value for item in call.args if item.keyword is None and not item.star]
        return [value for field, value in zip(names, given, strict=False) if field == name]

    def _field_names(self, kind: cst.ClassDef, depth: int) -> Iterator[str]:
        """Give the annotated fields of a class, those of the classes that it is made from first."""
        for base in kind.bases if depth > 0 else ():
            for parent in self._kinds(base.value, depth - 1):
                if isinstance(parent, cst.ClassDef) and parent is not kind:
                    yield from self._field_names(parent, depth - 1)
        yield from (dotted(item.target) for item in self._tree.annotated_of(kind))

    def fields_of(
        self, kind: cst.ClassDef, depth: int = _DEEP
    ) -> Iterator[tuple[str, list[cst.BaseExpression]]]:
        """Give the fields of a class's instances, with what each may be."""
        getters = [
            item.name.value
            for item in kind.body.body
            if isinstance(item, cst.FunctionDef) and _is_getter(item)
        ]
        names = [*self._tree.fields_of(kind), *self._field_names(kind, depth), *getters]
        yield from ((name, self._of_class(kind, name, depth)) for name in dict.fromkeys(names))

    def classes_of(self, node: cst.BaseExpression) -> list[cst.ClassDef]:
        """Return the classes of this module that an object is of."""
        return [kind for kind in self._kinds(node, _DEEP) if isinstance(kind, cst.ClassDef)]

    def methods(self, node: cst.BaseExpression) -> list[str]:
        """Return the dotted names that a method of another module's object may have here."""
        if not isinstance(node, cst.Attribute):
            return []
        kinds = {kind for kind in self._kinds(node.value, _DEEP) if isinstance(kind, str)}
        return sorted(f"{kind}.{node.attr.value}" for kind in kinds if not kind.endswith(")"))

    def options(self, node: cst.BaseExpression) -> dict[str, list[cst.BaseExpression]]:
        """Return the defaults of the options that an object of argparse has."""
        return self._options if "argparse" in self._kinds(node, _DEEP) else {}

    def _kinds(self, node: cst.BaseExpression, depth: int) -> Iterator[cst.ClassDef | str]:
        """Give the classes that an object is of: one of this module, or the dotted name of another's."""
        if depth <= 0:
            return
        if isinstance(node, cst.Name):
            yield from self._kinds_of_name(node, depth)
        elif isinstance(node, cst.Call):
            yield from self._kinds_of_call(node, depth)
        elif isinstance(node, cst.Subscript):
            yield from self._kinds_of_entry(node, depth)
        elif isinstance(node, cst.Attribute):
            yield from self._kinds_of_attribute(node, depth)
        elif isinstance(node, cst.BooleanOperation):
            yield from self._kinds(node.left, depth - 1)
            yield from self._kinds(node.right, depth - 1)

    def _kinds_of_attribute(self, node: cst.Attribute, depth: int) -> Iterator[cst.ClassDef | str]:
        values = self.fields(node, depth - 1)
        for value in values.values:
            yield from self._kinds(value, depth - 1)
        if values.values:
            return
        for kind in self._kinds(node.value, depth - 1):
            if isinstance(kind, cst.ClassDef):
                yield from self._annotated(kind, node.attr.value, depth)
        yield from values.wants or sorted(self._tree.names(node))

    def _kinds_of_entry(self, node: cst.Subscript | cst.Call, depth: int) -> Iterator[cst.ClassDef | str]:
        entries = list(self.entries(node, depth - 1))
        for value in entries:
            yield from self._kinds(value, depth - 1)
        yield from self.elsewhere(node, depth - 1) if not entries else ()

    def _annotated(self, kind: cst.ClassDef, name: str, depth: int) -> Iterator[cst.ClassDef | str]:
        """Give the classes that a class's own annotation of a field names."""
        for item in self._tree.annotated_of(kind):
            if dotted(item.target) == name:
                yield from self._kinds_of_type(item.annotation, depth)

    def _kinds_of_type(self, annotation: cst.Annotation, depth: int) -> Iterator[cst.ClassDef | str]:
        quoted = text_of(annotation.annotation)
        if quoted is not None:
            yield from (kind for kind in self._tree.nodes.classes if kind.name.value == quoted)
            return
        for name in _named_types(annotation.annotation):
            yield from self._kinds(name, depth - 1)

    def _kinds_of_name(self, node: cst.Name, depth: int) -> Iterator[cst.ClassDef | str]:
        if node.value in ("self", "cls"):
            outer = self._tree.around(node, cst.ClassDef)
            if outer is not None:
                yield outer
            return
        if self._tree.only_imported(node.value):
            yield from self._tree.names(node)
            return
        for item in self._tree.assignments(node):
            if isinstance(item, ImportAssignment):
                yield from sorted(self._tree.names(node))
            elif isinstance(item, Assignment) and isinstance(item.node, cst.ClassDef):
                yield item.node
            elif isinstance(item, Assignment):
                holder = self._tree.parent(item.node) if isinstance(item.node, cst.Name) else item.node
                if isinstance(holder, cst.Param):
                    yield from self._kinds_of_parameter(holder, depth)
                    continue
                for value in self.values_of(item.node, node.value):
                    yield from self._kinds(value, depth - 1)

    def _kinds_of_parameter(self, parameter: cst.Param, depth: int) -> Iterator[cst.ClassDef | str]:
        if parameter.annotation is not None:
            yield from self._kinds_of_type(parameter.annotation, depth)
            return
        for value in self.handed_to(parameter):
            yield from self._kinds(value, depth - 1)
        if parameter.default is not None:
            yield from self._kinds(parameter.default, depth - 1)

    def _kinds_of_call(self, node: cst.Call, depth: int) -> Iterator[cst.ClassDef | str]:
        last = dotted(node.func).split(".")[-1]
        if last in _PARSED:
            yield "argparse"
        elif last in ("field", "Field"):
            for made in keywords(node, "default_factory", "default"):
                yield from self._kinds(made.body if isinstance(made, cst.Lambda) else made, depth - 1)
        elif last == "get" and _looked_up(node)[0] is not None:
            yield from self._kinds_of_entry(node, depth)
        else:
            yield from self._made_by(node, depth)

    def _made_by(self, node: cst.Call, depth: int) -> Iterator[cst.ClassDef | str]:
        """Give the classes of what a class or a function makes."""
        if isinstance(node.func, cst.Name):
            made = list(self._kinds(node.func, depth - 1))
            yield from made
            # Another module's class is called as its function is: only that module knows which it is.
            yield from (f"{name}()" for name in made if isinstance(name, str))
            if not made:
                function = self._function(node.func)
                if function is not None and function.returns is not None:
                    yield from self._kinds_of_type(function.returns, depth)
                for value in self.returned(node):
                    yield from self._kinds(value, depth - 1)
        elif isinstance(node.func, cst.Attribute):
            # Settings.load(), Config.from_env(): a way of making one of the class.
            yield from (
                kind for kind in self._kinds(node.func.value, depth - 1) if isinstance(kind, cst.ClassDef)
            )

    # Functions

    def _function(self, name: cst.Name) -> cst.FunctionDef | None:
        if self._tree.only_imported(name.value):
            return None
        found = [getattr(item, "node", None) for item in self._tree.assignments(name)]
        return found[0] if len(found) == 1 and isinstance(found[0], cst.FunctionDef) else None

    def returned(self, node: cst.Call) -> Iterator[cst.BaseExpression]:
        """Give what a call of a function of this module returns."""
        function = None
        if isinstance(node.func, cst.Name):
            function = self._function(node.func)
        elif isinstance(node.func, cst.Attribute) and dotted(node.func.value) in ("self", "cls"):
            outer = self._tree.around(node, cst.ClassDef)
            function = self._tree.method(outer, node.func.attr.value) if outer is not None else None
        if function is not None:
            yield from self._tree.returns_of.get(function, ())

    def handed_to(self, parameter: cst.Param) -> Iterator[cst.BaseExpression]:
        """Give what this module's calls hand to a parameter."""
        signature = self._signature(parameter)
        if signature is None:
            return
        called, name, place = signature
        for call in self._tree.calls_of.get(called, ()):
            for number, item in enumerate(call.args):
                if item.star:
                    continue
                if item.keyword.value == name if item.keyword is not None else number == place:
                    yield item.value

    def keys_of(self, parameter: cst.Param) -> tuple[str, ...]:
        """Return what callers in other modules may name a parameter by: ``make:name`` and ``make:0``."""
        signature = self._signature(parameter)
        if signature is None:
            return ()
        called, name, place = signature[0].removeprefix("."), *signature[1:]
        return (f"{called}:{name}",) if place is None else (f"{called}:{name}", f"{called}:{place}")

    def _signature(self, parameter: cst.Param) -> tuple[str, str, int | None] | None:
        """Return what a parameter's function is called (``.A.name`` for a method), its name and place."""
        function = self._tree.around(parameter, (cst.FunctionDef, cst.Lambda))
        if not isinstance(function, (cst.FunctionDef, cst.Lambda)):
            return None
        called = self._name_of(function)
        if not called:
            return None
        outer = self._tree.around(function, (cst.FunctionDef, cst.ClassDef))
        names = [item.name.value for item in (*function.params.posonly_params, *function.params.params)]
        name = parameter.name.value
        if isinstance(outer, cst.ClassDef) and isinstance(function, cst.FunctionDef):
            static = any(dotted(item.decorator) == "staticmethod" for item in function.decorators)
            names = names if static else names[1:]
            called = outer.name.value if called == "__init__" else f".{outer.name.value}.{called}"
        return called, name, names.index(name) if name in names else None

    def _name_of(self, function: cst.FunctionDef | cst.Lambda) -> str:
        """Return the name by which a function is called; the empty one of a lambda that has none."""
        if isinstance(function, cst.FunctionDef):
            return function.name.value
        made = self._tree.parent(function)
        named = isinstance(made, cst.Assign) and len(made.targets) == 1
        return dotted(made.targets[0].target) if named and isinstance(made, cst.Assign) else ""

    # Options of command lines

    @cached_property
    def _options(self) -> dict[str, list[cst.BaseExpression]]:
        """Defaults of argparse's options, by the attribute that they become."""
        found: dict[str, list[cst.BaseExpression]] = {}
        for call in self._tree.nodes.calls:
            if dotted(call.func).split(".")[-1] == "add_argument":
                for default in keywords(call, "default"):
                    found.setdefault(_destination(call), []).append(default)
            elif dotted(call.func).endswith(".set_defaults"):
                for name, default in named_arguments(call).items():
                    found.setdefault(name, []).append(default)
        return found

    def options_of(self, parameter: cst.Param) -> Iterator[cst.BaseExpression]:
        """Give the defaults that click's decorators name for a parameter."""
        function = self._tree.around(parameter, cst.FunctionDef)
        if function is not None and function.decorators:
            yield from self._of_decorators(function).get(parameter.name.value, ())

    def _of_decorators(self, function: cst.FunctionDef) -> dict[str, list[cst.BaseExpression]]:
        found: dict[str, list[cst.BaseExpression]] = {}
        for call in (item.decorator for item in function.decorators):
            if isinstance(call, cst.Call) and dotted(call.func).split(".")[-1] in ("option", "argument"):
                found.setdefault(_destination(call), []).extend(keywords(call, "default"))
        return found


def _is_getter(function: cst.FunctionDef) -> bool:
    return any("property" in dotted(item.decorator) for item in function.decorators)


def _either(values: list[cst.BaseExpression]) -> cst.BaseExpression:
    """Return an expression that may be any of several; where there are more than one, it stands nowhere."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return cst.IfExp(cst.Name("either"), _either(values[:half]), _either(values[half:]))


def _entries(found: dict[str, list[cst.BaseExpression]]) -> list[cst.DictElement]:
    return [
        cst.DictElement(cst.SimpleString(repr(name)), value)
        for name, values in found.items()
        for value in values
    ]


def _value_of(tree: Tree, node: cst.CSTNode) -> tuple[cst.BaseExpression | None, int | None]:
    """Return what an assignment gives the names before it, and the place of a name among several."""
    holder = tree.parent(node) if isinstance(node, cst.Name) else node
    place = None
    if isinstance(holder, cst.Element) and isinstance(node, cst.Name):
        row = tree.parent(holder)
        place = list(row.elements).index(holder) if isinstance(row, (cst.Tuple, cst.List)) else None
        holder = tree.parent(row) if row is not None else None
    outer = tree.parent(holder) if isinstance(holder, cst.AssignTarget) else holder
    return (outer.value if isinstance(outer, (cst.Assign, cst.AnnAssign, cst.NamedExpr)) else None), place


def _looked_up(node: cst.Subscript | cst.Call) -> tuple[cst.BaseExpression | None, str | None]:
    """Return the table and the literal key of ``table[key]`` and ``table.get(key)``."""
    if isinstance(node, cst.Call):
        key = text_of(node.args[0].value) if node.args else None
        looks = isinstance(node.func, cst.Attribute) and node.func.attr.value == "get"
        return (node.func.value, key) if looks and isinstance(node.func, cst.Attribute) else (None, None)
    if len(node.slice) != 1 or not isinstance(node.slice[0].slice, cst.Index):
        return None, None
    return node.value, text_of(node.slice[0].slice.value)


def _named_types(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """Give the classes that an annotation names, through Optional, unions and quotes."""
    if isinstance(node, (cst.Name, cst.Attribute)):
        yield node
    elif isinstance(node, cst.BinaryOperation):
        yield from _named_types(node.left)
        yield from _named_types(node.right)
    elif isinstance(node, cst.Subscript) and dotted(node.value).split(".")[-1] in _WRAPPERS:
        for item in node.slice[:1]:
            if isinstance(item.slice, cst.Index):
                yield from _named_types(item.slice.value)


def _destination(call: cst.Call) -> str:
    """Return the name under which a program finds an option's value."""
    for named in keywords(call, "dest"):
        return text_of(named) or ""
    flags = [text_of(item.value) or "" for item in call.args if item.keyword is None]
    plain = [flag for flag in flags if not flag.startswith("-")]
    words = [flag.split("/")[0] for flag in flags if flag.startswith("--")]
    return (
        (plain[-1] if plain else words[0] if words else flags[0] if flags else "")
        .lstrip("-")
        .replace("-", "_")
    )
