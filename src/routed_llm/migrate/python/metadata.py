"""Places and scopes of a module's nodes: what libcst's own providers say, in a third of their time.

Those make a new node of every node that they visit, and write the module twice. Here nothing is made again,
blanks are not visited, and the text is written once.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from functools import cache
from types import TracebackType
from typing import Any

import libcst as cst
from libcst._nodes.internal import CodegenState
from libcst.metadata import ExpressionContext, Scope
from libcst.metadata.scope_provider import ScopeVisitor

__all__ = ["children", "scopes", "written"]

Span = tuple[int, int]

_LAYOUT = (
    "whitespace lpar rpar comma semicolon equal dot operator leading_lines lines_after trailing header "
    "footer lbracket rbracket lbrace rbrace colon indent newline relative asynchronous"
)
_BLANKS = tuple(_LAYOUT.split())
_IN_ORDER: Mapping[type[cst.CSTNode], tuple[str, ...]] = {
    cst.ExceptHandler: ("type", "name", "body"),
    cst.ExceptStarHandler: ("type", "name", "body"),
    cst.MatchCase: ("pattern", "guard", "body"),
}
"""Kinds of nodes whose fields are not declared in the order in which they stand in a text."""


@cache
def _parts(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """Return the fields of a kind of node that hold more than its layout."""
    named = tuple(item.name for item in fields(kind) if not item.name.startswith(_BLANKS))
    return _IN_ORDER.get(kind, named)


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Give the nodes that stand directly in a node, blanks and brackets left out."""
    for name in _parts(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, (list, tuple)):
            for item in value:
                if isinstance(item, cst.CSTNode):
                    yield item


def written(module: cst.Module) -> tuple[str, dict[cst.CSTNode, Span]]:
    """Return a module's text, and where each node stands in it, in characters."""
    state = _Writing(module.default_indent, module.default_newline)
    module._codegen(state)
    return "".join(state.tokens), state.spans


class _Writing(CodegenState):
    """Notes where each node begins and ends while a module is written."""

    def __init__(self, indent: str, newline: str) -> None:
        super().__init__(indent, newline)
        self.spans: dict[cst.CSTNode, Span] = {}
        self.position = 0
        self._begun: list[int] = []

    def add_indent_tokens(self) -> None:
        self.tokens.extend(self.indent_tokens)
        self.position += sum(map(len, self.indent_tokens))

    def add_token(self, value: str) -> None:
        self.tokens.append(value)
        self.position += len(value)

    def before_codegen(self, node: cst.CSTNode) -> None:  # noqa: ARG002 - libcst gives it
        self._begun.append(self.position)

    def after_codegen(self, node: cst.CSTNode) -> None:
        begun = self._begun.pop()
        if node not in self.spans:
            self.spans[node] = begun, self.position

    def record_syntactic_position(  # type: ignore[override]  # libcst's is a generator: slow
        self,
        node: cst.CSTNode,
        *,
        start_node: cst.CSTNode | None = None,
        end_node: cst.CSTNode | None = None,
    ) -> AbstractContextManager[None]:
        return _Syntactic(self, node, start_node, end_node)


class _Syntactic(AbstractContextManager[None]):
    """A node without the blanks that belong to it."""

    __slots__ = ("begun", "end", "node", "start", "state")

    def __init__(
        self, state: _Writing, node: cst.CSTNode, start: cst.CSTNode | None, end: cst.CSTNode | None
    ) -> None:
        self.state, self.node, self.start, self.end = state, node, start, end
        self.begun = 0

    def __enter__(self) -> None:
        self.begun = self.state.position

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        spans = self.state.spans
        begun = self.begun if self.start is None else spans[self.start][0]
        spans[self.node] = begun, self.state.position if self.end is None else spans[self.end][1]


def scopes(module: cst.Module, stored: Container[cst.CSTNode]) -> Mapping[cst.CSTNode, Scope | None]:
    """Return the scope of each node.

    Args:
        module: the module.
        stored: the names that are bound where they stand.
    """
    found: dict[cst.CSTNode, Scope | None] = {}
    provider: Any = _Noted(found, stored)
    visitor = _Scopes(provider)
    module.visit(visitor)
    visitor.infer_accesses()
    return found


class _Noted:
    """Stands for the provider that a ScopeVisitor asks, and that it says what it finds."""

    def __init__(self, found: dict[cst.CSTNode, Scope | None], stored: Container[cst.CSTNode]) -> None:
        self.set_metadata = found.__setitem__
        self._stored = stored

    def get_metadata(self, _: object, node: cst.CSTNode, *__: object) -> ExpressionContext:
        return ExpressionContext.STORE if node in self._stored else ExpressionContext.LOAD


class _Scopes(ScopeVisitor):
    """A ScopeVisitor that goes on to the children itself, since ``CSTNode.visit`` would make them again."""

    def on_visit(self, node: cst.CSTNode) -> bool:
        visit = _VISITS.get(type(node).__name__)
        if visit is None or visit(self, node) is not False:
            for child in children(node):
                child.visit(self)
        return False


_VISITS: Mapping[str, Any] = {
    name.removeprefix("visit_"): function
    for name, function in vars(ScopeVisitor).items()
    if name.startswith("visit_")
}
