"""Tree: a parsed module with the places, parents and scopes of its nodes. Reads; never writes code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import libcst as cst
from libcst.metadata import (
    BaseAssignment,
    ByteSpanPositionProvider,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    Scope,
    ScopeProvider,
)

__all__ = ["Tree", "dotted", "text_of"]

Node = TypeVar("Node", bound=cst.CSTNode)
_KEEP = re.compile(r"#\s*routed:\s*keep\b", re.IGNORECASE)


class Tree:
    """A module and what is known of its nodes.

    Args:
        text: the module's text, without a byte order mark.

    Raises:
        ValueError: when it does not parse, or would not be written back as it was.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            module = cst.parse_module(text)
        except cst.ParserSyntaxError as error:
            raise ValueError(f"line {error.raw_line}: {error.message}") from error
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if module.code != text:
            raise ValueError("its text is not reproduced by the parser")
        self._wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self.module = self._wrapper.module
        self._bytes = None if text.isascii() else text.encode()
        self.parents = self._wrapper.resolve(ParentNodeProvider)
        self._spans = self._wrapper.resolve(ByteSpanPositionProvider)
        self.scopes = self._wrapper.resolve(ScopeProvider)
        self.nodes = _Collector()
        self.module.visit(self.nodes)

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return where a node stands, in characters."""
        found = self._spans[node]
        start, end = found.start, found.start + found.length
        if self._bytes is None:
            return start, end
        first = len(self._bytes[:start].decode())
        return first, first + len(self._bytes[start:end].decode())

    def source(self, node: cst.CSTNode) -> str:
        """Return a node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return what a node stands in."""
        return self.parents.get(node)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Give what a node stands in, from the inside out."""
        current = self.parents.get(node)
        while current is not None:
            yield current
            current = self.parents.get(current)

    def around(self, node: cst.CSTNode, kind: type[Node]) -> Node | None:
        """Return the innermost node of a kind that a node stands in."""
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

    def names(self, node: cst.CSTNode) -> frozenset[str]:
        """Return the dotted names that an expression may refer to, imports followed."""
        scope = self.scope(node)
        if scope is None or not isinstance(node, (cst.Name, cst.Attribute)):
            return frozenset()
        return frozenset(item.name for item in scope.get_qualified_names_for(node))

    def assignments(self, name: cst.Name) -> Sequence[BaseAssignment]:
        """Return where a name is given its values: the nearest scope that has any."""
        scope: Scope | None = self.scope(name)
        return [] if scope is None else sorted(scope[name.value], key=lambda item: isinstance(item, ImportAssignment))

    def kept(self, start: int, end: int) -> bool:
        """Say whether a line of a span carries ``# routed: keep``."""
        first = self.text.rfind("\n", 0, start) + 1
        last = self.text.find("\n", end)
        return _KEEP.search(self.text, first, len(self.text) if last < 0 else last) is not None

    @cached_property
    def exported(self) -> frozenset[str]:
        """The names in ``__all__``."""
        found = re.search(r"^__all__\s*(?::[^=]+)?=\s*[\[(](.*?)[\])]", self.text, re.MULTILINE | re.DOTALL)
        return frozenset(re.findall(r"['\"](\w+)['\"]", found[1])) if found else frozenset()


class _Collector(cst.CSTVisitor):
    """Gathers, in one walk, the nodes that anything here asks about."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[cst.Call] = []
        self.classes: list[cst.ClassDef] = []
        self.strings: list[cst.SimpleString | cst.FormattedStringText] = []

    def visit_Call(self, node: cst.Call) -> None:  # noqa: N802 - the library's name
        self.calls.append(node)

    def visit_ClassDef(self, node: cst.ClassDef) -> None:  # noqa: N802
        self.classes.append(node)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:  # noqa: N802
        self.strings.append(node)

    def visit_FormattedStringText(self, node: cst.FormattedStringText) -> None:  # noqa: N802
        self.strings.append(node)


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


def text_of(node: cst.CSTNode | None) -> str | None:
    """Return the value of a plain string literal, or None."""
    if isinstance(node, cst.SimpleString):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None
