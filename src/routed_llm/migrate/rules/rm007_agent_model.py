"""RM007: a model named by a string where LangChain's helpers take a model becomes a ``RoutedChatModel``."""

from __future__ import annotations

from typing import Final, NamedTuple

import libcst as cst

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.tree import Tree, dotted, text_of
from routed_llm.migrate.rules.base import LANGCHAIN, Rule, Swap, arguments
from routed_llm.migrate.rules.rm002_init_chat_model import strip_provider

__all__ = ["RULE"]


class _Taker(NamedTuple):
    """A function or class that takes a model's name or a model.

    Attributes:
        names: the dotted names under which it can be imported.
        keyword: what the argument is called.
        place: whether it may also come first, without a keyword.
        uses: what every call of the model has besides.
        renamed: the keyword that takes a model, where that is another one.
        several: whether each argument without a keyword is a model.
    """

    names: tuple[str, ...]
    keyword: str = "model"
    place: bool = True
    uses: tuple[str, ...] = ()
    renamed: str | None = None
    several: bool = False


def _at(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for name in names)


_MIDDLEWARE = "langchain.agents.middleware"
_TAKERS: Final = (
    _Taker(
        (
            "langchain.agents.create_agent",
            "langchain.agents.factory.create_agent",
            "langgraph.prebuilt.create_react_agent",
            "langgraph.prebuilt.chat_agent_executor.create_react_agent",
        ),
        uses=("tools",),
    ),
    _Taker(_at("deepagents", "create_deep_agent"), place=False, uses=("tools",)),
    _Taker(_at("langgraph_supervisor", "create_supervisor"), place=False, uses=("tools",)),
    _Taker(
        (*_at(_MIDDLEWARE, "SummarizationMiddleware", "summarization.SummarizationMiddleware"),),
    ),
    _Taker(_at(_MIDDLEWARE, "ModelFallbackMiddleware"), keyword="first_model", several=True),
    _Taker(_at(_MIDDLEWARE, "LLMToolSelectorMiddleware", "LLMToolEmulator"), place=False),
    _Taker(
        _at(
            "langmem",
            "create_memory_manager",
            "create_memory_store_manager",
            "create_prompt_optimizer",
            "create_multi_prompt_optimizer",
            "create_thread_extractor",
            "create_memory_searcher",
        ),
        uses=("tools",),
    ),
    _Taker(_at("trustcall", "create_extractor"), keyword="llm", uses=("tools",)),
    _Taker(
        _at("openevals.llm", "create_llm_as_judge", "create_async_llm_as_judge"),
        place=False,
        uses=("structured",),
        renamed="judge",
    ),
)
_BY_NAME: Final = {name: taker for taker in _TAKERS for name in taker.names}


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise a helper that is given the model's name itself."""
    taker = (
        next((_BY_NAME[name] for name in tree.names(node.func) if name in _BY_NAME), None)
        if isinstance(node, cst.Call)
        else None
    )
    if taker is None or not isinstance(node, cst.Call):
        return None
    given, _ = arguments(tree, node, (taker.keyword,) if taker.place else ())
    model = given.get(taker.keyword)
    if model is None or model not in node.args:
        return None
    more = [
        item.value
        for item in (node.args if taker.several else ())
        if item is not model and item.keyword is None and text_of(item.value) is not None
    ]
    edits = [edit for value in (model.value, *more) for edit in _wrapped(tree, value)]
    if taker.renamed is not None and model.keyword is not None:
        edits.insert(0, Edit(*tree.span(model.keyword), taker.renamed))
    return Swap(
        rule="RM007",
        node=node,
        name=dotted(node.func),
        new=LANGCHAIN,
        model=model.value,
        more=more,
        edits=edits,
        uses=taker.uses,
        prefixed=True,
    )


def _wrapped(tree: Tree, model: cst.BaseExpression) -> list[Edit]:
    start, end = tree.span(model)
    return [
        Edit(start, start, f"{LANGCHAIN.name}(model="),
        *strip_provider(tree, model),
        Edit(end, end, ")"),
    ]


RULE = Rule("RM007", "helpers of LangChain that are given a model's name", match, frozenset(_BY_NAME))
