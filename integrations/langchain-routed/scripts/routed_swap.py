"""A pytest plugin that puts RoutedChatModel in the place of ChatOpenAI for langchain-openai's own tests.

``ROUTED_SWAP=shift`` constructs every model as gpt-4o and routes it to the model that the test names;
``ROUTED_SWAP=pin`` constructs it with that name, too. With any other value nothing is swapped;
``ROUTED_SWAP=judge`` has the server at ``SWAP_JUDGE`` answer every request that ChatOpenAI makes up in a
test, and writes the tests whose requests it refuses to the file ``SWAP_REFUSED``.
"""

from __future__ import annotations

import os
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import langchain_openai
import langchain_openai.chat_models
import langchain_openai.chat_models.base as base
import langchain_openai.chat_models.codex  # its class derives from ChatOpenAI itself, not from a swapped one
import langchain_routed.chat_models
from langchain_routed import RoutedChatModel

from routed_llm import Catalog, Policy, Router
from routed_llm.usage import Timing

SHIFT = os.environ.get("ROUTED_SWAP") == "shift"
BARE = os.environ.get("SWAP_CATALOG") == "bare"
DAY = date(2026, 10, 1)


@lru_cache(maxsize=256)
def router_for(model: str) -> Router:
    """A router whose catalog has the name: as we know it, or as a model without rules.

    ``SWAP_CATALOG=bare`` knows no rule of any model, so that what is sent is what the adapter makes of
    a call; recorded traffic can only be compared with that, since choosing an effort is a deliberate change.
    """
    catalog = Catalog.load()
    if BARE or model not in catalog:
        base = None if BARE else base_of(model)
        entry = {"family": "compatible", "sent_as": model, **GENERIC}
        if base is not None:
            entry = {"base": base, "sent_as": model}
        elif model.startswith("gpt-3"):
            entry["structured"] = ["json_object"]
        reasons = {**entry, "efforts": list(EFFORTS), "prices": price("1000")}
        names = {id_of(model): {**entry, "prices": price("1")}}
        if BARE:
            # Without an effort in the call none is sent; with one, this dearer twin takes it.
            names[f"{id_of(model)}-reasons"] = reasons
        catalog = catalog.with_models(names)
    # Nothing is learned: tests compare calls that are alike, and estimates would move on between them.
    return Router(catalog=catalog, clock=lambda: DAY, observe=False)


def base_of(model: str) -> str | None:
    """The model that an invented name says it is a kind of, as a user would enter it in the catalog."""
    name, known = model.lower(), [one.id for one in Catalog.load()]
    longer = [one for one in known if one.startswith(f"{name}-")]
    found = max(longer or [one for one in known if name.startswith(f"{one}-")], key=len, default=None)
    alive = {one.id for one in Catalog.load().alive(DAY)}
    return found if found in alive else None


def policy_for(model: str) -> Policy:
    """A policy that leaves the named model only."""
    known = router_for(model).catalog
    names = [id_of(model), f"{id_of(model)}-reasons"]
    return Policy(models=[known.get(name).id for name in names if name in known], at_least=None)


def price(dollars: str) -> dict[str, Any]:
    """A price table of one row."""
    return {"rows": [{"since": date(2020, 1, 1), "input": dollars, "output": dollars}]}


def id_of(model: str) -> str:
    """The catalog id under which a test's model is found."""
    return f"bare-{model}" if BARE else model


EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
TASTE = ("verbosity", "prompt_cache_options", "prompt_cache_breakpoint", "prompt_cache_retention")
GENERIC: dict[str, Any] = {
    "limits": {"context_window": 1_000_000, "max_input": 1_000_000, "max_output": 100_000},
    "inputs": ["text", "image", "pdf", "audio"],
    "outputs": ["text", "audio"],
    "endpoints": ["chat_completions", "responses"],
    "tools": {"chat_completions": "yes", "responses": "yes"},
    "parameters": {endpoint: dict.fromkeys(TASTE, "yes") for endpoint in ("chat_completions", "responses")},
    "structured": ["json_object", "json_schema"],
    "builtin_tools": [
        "apply_patch",
        "code_interpreter",
        "computer",
        "custom",
        "file_search",
        "image_generation",
        "mcp",
        "namespace",
        "tool_search",
        "web_search",
        "web_search_preview",
    ],
}


class Swapped(RoutedChatModel):
    """RoutedChatModel under ChatOpenAI's name, with one model to choose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        model = kwargs.pop("model", None) or kwargs.pop("model_name", None) or "gpt-3.5-turbo"
        kwargs.pop("model_name", None)
        kwargs.setdefault("router", router_for(model))
        kwargs.setdefault("policy", policy_for(model))
        super().__init__(*args, model="gpt-4o" if SHIFT else model, **kwargs)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Give the tests of langchain-openai's own subclass the class that it derives from, which they patch."""
    for item in items:
        if item.module.__name__.endswith("test_codex"):
            item.module.ChatOpenAI = CHAT_OPENAI


CHAT_OPENAI = langchain_openai.ChatOpenAI
Timing.to_dict = lambda _: {}  # type: ignore[method-assign]  # tests compare whole answers of two calls


def judge(server: str, refused: Path) -> None:
    """Let a server say what it thinks of the requests that ChatOpenAI makes up."""
    made_up = CHAT_OPENAI._get_request_payload

    def judged(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        payload = made_up(self, *args, **kwargs)
        place = "responses" if "input" in payload else "chat/completions"
        answer = httpx.post(f"{server}/{place}", json=payload, headers={"Authorization": "Bearer sk-test"})
        if answer.status_code == BAD_REQUEST:
            test = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0]
            with refused.open("a") as file:
                file.write(f"{test}\n")
        return payload

    CHAT_OPENAI._get_request_payload = judged  # type: ignore[method-assign]  # a spy, for one run


BAD_REQUEST = 400
if os.environ.get("ROUTED_SWAP") == "judge":
    judge(os.environ["SWAP_JUDGE"], Path(os.environ["SWAP_REFUSED"]))

if os.environ.get("ROUTED_SWAP") in ("shift", "pin"):
    Swapped.__name__ = Swapped.__qualname__ = "ChatOpenAI"
    # The last one is where load() looks for a class of that name.
    for module in (langchain_openai, langchain_openai.chat_models, base, langchain_routed.chat_models):
        module.ChatOpenAI = Swapped  # type: ignore[misc]
