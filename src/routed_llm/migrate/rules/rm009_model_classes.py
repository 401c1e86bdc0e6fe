"""RM009: models of agno, Pydantic AI and OpenAI's agents are handed a client of ``openai_routed``."""

from __future__ import annotations

from typing import Final

import libcst as cst

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules.base import OPENAI, Rule, Swap, arguments, elsewhere, literals

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
    """Recognise the making of a model that makes a client of its own."""
    names = tree.names(node.func) if isinstance(node, cst.Call) else frozenset()
    if isinstance(node, cst.Call) and names & _AGENTS:
        return _named(tree, node)
    if not isinstance(node, cst.Call) or not names & (_AGNO | _PYDANTIC):
        return None
    agno = bool(names & _AGNO)
    given, starred = arguments(tree, node, ("id" if agno else "model_name",))
    model = given.get("id" if agno else "model_name")
    if model is None or _OWN & given.keys():
        return None  # what its own client is, is said where that is made
    values = literals(tree, given)
    added = _agno(tree, given) if agno else _pydantic()
    return Swap(
        rule="RM009",
        node=node,
        name=dotted(node.func),
        new=OPENAI["OpenAI" if agno else "AsyncOpenAI"],
        model=model.value,
        edits=[_appended(tree, node, added)],
        modules=("openai_routed",) if agno else ("openai_routed", "pydantic_ai.providers.openai"),
        lenient=True,
        blocked=_blocked(tree, node, given, starred=starred) or elsewhere(values),
    )


def _named(tree: Tree, node: cst.Call) -> Swap | None:
    """Put a model with a client in the place of a name."""
    given, _ = arguments(tree, node)
    model = given.get("model")
    if model is None or model not in node.args:
        return None
    chat = "set_default_openai_api" in tree.text and "chat_completions" in tree.text
    kind = "OpenAIChatCompletionsModel" if chat else "OpenAIResponsesModel"
    start, end = tree.span(model.value)
    other = any(f"set_default_openai_{what}(" in tree.text for what in ("client", "key"))
    return Swap(
        rule="RM009",
        node=node,
        name=dotted(node.func),
        new=OPENAI["AsyncOpenAI"],
        model=model.value,
        edits=[
            Edit(start, start, f"agents.{kind}("),
            Edit(end, end, ", openai_client=openai_routed.AsyncOpenAI())"),
        ],
        modules=("openai_routed", "agents"),
        blocked="its client is set elsewhere in this file. Make that one openai_routed.AsyncOpenAI()."
        if other
        else _blocked(tree, node, given, starred=False),
    )


def _appended(tree: Tree, node: cst.Call, text: str) -> Edit:
    """Add a last argument behind the last one, whatever comma and blanks follow that."""
    last = tree.span(node.args[-1].value)[1]
    return Edit(last, last, text)


def _agno(tree: Tree, given: dict[str, cst.Arg]) -> str:
    passed = ", ".join(f"{name}={tree.source(given[name].value)}" for name in _OF_THE_CLIENT if name in given)
    return f", client=openai_routed.OpenAI({passed}), async_client=openai_routed.AsyncOpenAI({passed})"


def _pydantic() -> str:
    return ", provider=pydantic_ai.providers.openai.OpenAIProvider(openai_client=openai_routed.AsyncOpenAI())"


def _blocked(tree: Tree, node: cst.Call, given: dict[str, cst.Arg], *, starred: bool) -> str | None:
    if starred:
        return "its arguments come from elsewhere. Rewrite it by hand."
    inside = tree.around(node, (cst.FunctionDef, cst.Lambda)) is not None
    knows = "api_key" in given or inside or "load_dotenv" in tree.text or "OPENAI_API_KEY" in tree.text
    if not knows:
        return (
            "it is made when the module is imported, and a client needs its key at once. "
            "Hand it a client of openai_routed where the key is known."
        )
    return None


RULE = Rule(
    "RM009",
    "models of agno, Pydantic AI and OpenAI's agents get a client of openai_routed",
    match,
    _AGNO | _PYDANTIC | _AGENTS,
)
