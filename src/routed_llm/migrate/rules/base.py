"""What a rule is: it recognises one way of naming a model and says what becomes of it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.objects import Objects
from routed_llm.migrate.python.origins import Known, trace
from routed_llm.migrate.python.tree import Tree, dotted

__all__ = [
    "LANGCHAIN",
    "LLAMA_INDEX",
    "OPENAI",
    "UNKNOWN",
    "Family",
    "NewName",
    "Rule",
    "Swap",
    "arguments",
    "elsewhere",
    "without",
]

UNKNOWN = "<not a literal>"
"""Stands for the value of a keyword that is no literal."""


@dataclass(frozen=True, slots=True)
class NewName:
    """A class to import, and the distribution that has it."""

    module: str
    name: str
    distribution: str

    @property
    def label(self) -> str:
        """What it is called in a sentence: with its module where another class has the same name."""
        return f"{self.module}.{self.name}" if self.module == "openai_routed" else self.name


LANGCHAIN = NewName("langchain_routed", "RoutedChatModel", "langchain-routed")
LLAMA_INDEX = NewName("llama_index.llms.routed", "RoutedLLM", "llama-index-llms-routed")
OPENAI = {
    name: NewName("openai_routed", name, "openai-routed")
    for name in ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI")
}


@dataclass(slots=True, kw_only=True)
class Swap:
    """One place that a rule recognises.

    Attributes:
        rule: the rule's code.
        node: the call or class.
        name: what is called or subclassed, as it is written.
        new: what it becomes.
        model: the expression that gives the model, or None.
        more: further expressions that each give a model.
        given: by what other modules may name a model for it, as parameters are.
        replaced: expressions whose text becomes the new name.
        edits: further edits that belong to the same rewrite.
        parameters: the call's keywords with their literal values.
        uses: what every call of the object has besides: ``tools``.
        prefixed: whether the model's name may begin with ``openai:`` there, which is taken off.
        modules: what the edits name, to be imported beside what is called: a module, or ``module:name``.
        lenient: whether what else may reach it does no harm: it is sent on as it is.
        blocked: why it is not rewritten, or None.
    """

    rule: str
    node: cst.CSTNode
    name: str
    new: NewName
    model: cst.BaseExpression | None
    more: list[cst.BaseExpression] = field(default_factory=list)
    given: tuple[str, ...] = ()
    replaced: list[cst.BaseExpression] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    prefixed: bool = False
    modules: tuple[str, ...] = ()
    lenient: bool = False
    blocked: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        code: such as ``RM001``.
        title: what it rewrites, in a few words.
        match: takes a module and one of its calls or classes, and gives what it recognises there.
        names: the dotted names of what it recognises.
    """

    code: str
    title: str
    match: Callable[[Tree, cst.Call | cst.ClassDef], Swap | None]
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Family:
    """A class whose calls become another class's, with their arguments as they are.

    Attributes:
        classes: the names under which it can be imported.
        new: what it becomes.
        model: keywords that name the model, the first that is given counting.
        positional: what arguments without a keyword are.
        instead: names of classes that resemble it, with why they are not rewritten.
    """

    classes: frozenset[str]
    new: NewName
    model: tuple[str, ...]
    positional: tuple[str, ...] = ()
    instead: tuple[tuple[frozenset[str], str], ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The dotted names of everything that is recognised."""
        return self.classes.union(*(classes for classes, _ in self.instead))

    def match(self, rule: str, tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
        """Recognise a call of the class."""
        if not isinstance(node, cst.Call):
            return None
        names = tree.names(node.func)
        others = [(classes, why) for classes, why in self.instead if names & classes]
        if not names & self.classes and not others:
            return None
        given, starred = arguments(tree, node, self.positional)
        values = literals(tree, given)
        model = next((given[name] for name in self.model if name in given), None)
        blocked = others[0][1] if others and not names & self.classes else None
        # One import may be tried after another; what both are called is of one kind.
        if blocked is None and not names <= self.names:
            blocked = "the name may refer to something else, too. Make it refer to one class only."
        if blocked is None and starred and model is None:
            blocked = "its arguments come from elsewhere with **. Rewrite it by hand."
        return Swap(
            rule=rule,
            node=node,
            name=dotted(node.func),
            new=self.new,
            model=model.value if model else None,
            replaced=[node.func],
            parameters=values,
            blocked=blocked or elsewhere(values),
        )


def arguments(tree: Tree, call: cst.Call, positional: Iterable[str] = ()) -> tuple[dict[str, cst.Arg], bool]:
    """Return a call's arguments by name, and whether it also passes some with ``*`` or ``**``."""
    names = list(positional)
    found: dict[str, cst.Arg] = {}
    starred = False
    for place, item in enumerate(call.args):
        if item.star:
            if item.star == "**" and _spread(tree, item, found):
                continue
            starred = True
        elif item.keyword is not None:
            found[item.keyword.value] = item
        elif place < len(names):
            found[names[place]] = item
        else:
            starred = True
    return found, starred


def _spread(tree: Tree, item: cst.Arg, found: dict[str, cst.Arg]) -> bool:
    """Read ``**{...}``, ``**dict(...)`` and ``**kwargs`` where one dictionary is assigned to it."""
    entries = Objects.of(tree).mapping(item.value)
    if entries is None:
        return False
    found.update({key: cst.Arg(value=value) for key, value in entries.items()})
    return True


def literals(tree: Tree, items: Mapping[str, cst.Arg]) -> dict[str, Any]:
    """Return the literal values of arguments; :data:`UNKNOWN` for the others."""
    values: dict[str, Any] = {}
    for name, item in items.items():
        try:
            values[name] = ast.literal_eval(tree.source(item.value))
        except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
            values[name] = UNKNOWN
        if name in _ELSEWHERE and values[name] == UNKNOWN:
            found = trace(tree, item.value, Known())
            own = not found.built and all(_is_own(origin.value) for origin in found.origins)
            if own and found.environment and set(found.environment) <= set(_OWN):
                values[name] = found.environment[0]
    return values


_OWN = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
"""Variables that the SDK and the frameworks read themselves: whoever sets them routes there as before."""

_ELSEWHERE = ("base_url", "openai_api_base", "api_base", "azure_endpoint")


def _is_own(address: str) -> bool:
    return not address or "api.openai.com" in address


def elsewhere(values: Mapping[str, Any]) -> str | None:
    """Say why a call goes to another server than OpenAI's, or None when it does not."""
    for name in _ELSEWHERE:
        value = values.get(name)
        if value is None or (isinstance(value, str) and (_is_own(value) or value in _OWN)):
            continue
        return (
            f"{name} sends it to another server, which may not have the other models. "
            "Rewrite it by hand if that server is a proxy for OpenAI."
        )
    return None


def without(tree: Tree, call: cst.Call, item: cst.Arg) -> Edit:
    """Return the edit that takes an argument out of a call, with its comma."""
    place = call.args.index(item)
    start, end = tree.span(item)
    if place + 1 < len(call.args):
        return Edit(start, tree.span(call.args[place + 1])[0], "")
    if place:
        return Edit(tree.span(call.args[place - 1].value)[1], tree.span(item.value)[1], "")
    return Edit(start, end, "")
