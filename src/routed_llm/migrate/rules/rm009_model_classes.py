"""RM009: models of agno, Pydantic AI and OpenAI's agents are handed a client of ``openai_routed``."""

from __future__ import annotations

from typing import Final

import libcst as cst

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules.base import OPENAI, Rule, Swap, arguments, elsewhere, literals
from routed_llm.migrate.rules.rm002_init_chat_model import strip_provider

__all__ = ["RULE"]

_AGNO: Final = frozenset(
    f"agno.models.openai.{name}"
    for name in ("OpenAIChat", "OpenAIResponses", "chat.OpenAIChat", "responses.OpenAIResponses")
)
_PYDANTIC: Final = frozenset(
    f"pydantic_ai.models.openai.{name}" for name in ("OpenAIModel", "OpenAIChatModel", "OpenAIResponsesModel")
)
_AGENTS: Final = frozenset({"agents.Agent", "agents.RunConfig", "agents.agent.Agent", "agents.run.RunConfig"})
"""What takes a model's name and asks it with a client that the SDK makes when it is run."""

_PYDANTIC_AGENTS: Final = frozenset({"pydantic_ai.Agent", "pydantic_ai.agent.Agent"})
"""What takes a model or its name, with ``openai:`` before it."""

_OF_THE_CLIENT: Final = (
    "api_key",
    "organization",
    "timeout",
    "max_retries",
    "default_headers",
    "default_query",
)
"""What agno gives the client that it would make, and does not give to one that is handed to it."""

_OWN: Final = frozenset(
    {"client", "async_client", "http_client", "client_params", "provider", "openai_client"}
)


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise the making of a model that makes a client of its own, or what is given a model's name."""
    if not isinstance(node, cst.Call):
        return None
    names = tree.names(node.func)
    if names & _AGENTS:
        return _agent(tree, node)
    if names & _PYDANTIC_AGENTS:
        return _pydantic_agent(tree, node)
    if not names & (_AGNO | _PYDANTIC):
        return None
    agno = bool(names & _AGNO)
    given, starred = arguments(tree, node, ("id" if agno else "model_name",))
    model = given.get("id" if agno else "model_name")
    if model is None or _OWN & given.keys():
        return None  # what its own client is, is said where that is made
    last = tree.span(node.args[-1].value)[1]  # whatever comma and blanks follow the last argument
    return Swap(
        rule="RM009",
        node=node,
        name=dotted(node.func),
        new=OPENAI["OpenAI" if agno else "AsyncOpenAI"],
        model=model.value,
        edits=[Edit(last, last, _clients(tree, given) if agno else f", {_PROVIDER}")],
        modules=("openai_routed",) if agno else _PYDANTIC_MODULES[:2],
        lenient=True,
        blocked="its arguments come from elsewhere. Rewrite it by hand."
        if starred
        else elsewhere(literals(tree, given)),
    )


def _clients(tree: Tree, given: dict[str, cst.Arg]) -> str:
    """Write the clients that agno would make at the first call: until then the key may come."""
    passed = ", ".join(f"{name}={tree.source(given[name].value)}" for name in _OF_THE_CLIENT if name in given)
    sync, later = (f"openai_routed.{kind}.deferred({passed})" for kind in ("OpenAI", "AsyncOpenAI"))
    return f", client={sync}, async_client={later}"


def _agent(tree: Tree, node: cst.Call) -> Swap | None:
    model = arguments(tree, node)[0].get("model")
    chat = "set_default_openai_api" in tree.text and "chat_completions" in tree.text
    kind = "OpenAIChatCompletionsModel" if chat else "OpenAIResponsesModel"
    before, after = f"{kind}(", ", openai_client=openai_routed.AsyncOpenAI.deferred())"
    swap = _wrapped(tree, node, model, before, after, ("openai_routed", f"agents:{kind}"))
    if swap is not None:
        swap.lenient = True
        if any(f"set_default_openai_{what}(" in tree.text for what in ("client", "key")):
            swap.blocked = (
                "its client is set elsewhere in this file. Make that one openai_routed.AsyncOpenAI()."
            )
    return swap


def _pydantic_agent(tree: Tree, node: cst.Call) -> Swap | None:
    model = arguments(tree, node, ("model",))[0].get("model")
    before, after = "OpenAIChatModel(", f", {_PROVIDER})"
    swap = _wrapped(tree, node, model, before, after, _PYDANTIC_MODULES)
    if swap is not None and model is not None:
        swap.prefixed = True
        swap.edits[1:1] = strip_provider(tree, model.value)
    return swap


def _wrapped(
    tree: Tree, node: cst.Call, model: cst.Arg | None, before: str, after: str, modules: tuple[str, ...]
) -> Swap | None:
    """Put a model with a client in the place of a name."""
    if model is None or model not in node.args:
        return None
    start, end = tree.span(model.value)
    return Swap(
        rule="RM009",
        node=node,
        name=dotted(node.func),
        new=OPENAI["AsyncOpenAI"],
        model=model.value,
        edits=[Edit(start, start, before), Edit(end, end, after)],
        modules=modules,
    )


_PYDANTIC_MODULES: Final = (
    "openai_routed",
    "pydantic_ai.providers.openai:OpenAIProvider",
    "pydantic_ai.models.openai:OpenAIChatModel",
)
_PROVIDER: Final = "provider=OpenAIProvider(openai_client=openai_routed.AsyncOpenAI())"


RULE = Rule(
    "RM009",
    "models of agno, Pydantic AI and OpenAI's agents get a client of openai_routed",
    match,
    _AGNO | _PYDANTIC | _AGENTS | _PYDANTIC_AGENTS,
)
