"""The web search of models that search at every call, for the models that take their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from routed_llm.errors import CatalogError

if TYPE_CHECKING:
    from routed_llm.catalog import Catalog

__all__ = ["with_search"]

_OPTIONS: Final = "web_search_options"


def with_search(
    asked: Mapping[str, Any], baseline: str, catalog: Catalog, at: Callable[[], date]
) -> Mapping[str, Any]:
    """Return a request of Chat Completions that asks for the search that its program counts on.

    Args:
        asked: every parameter of the request; not changed.
        baseline: the model that the program was written for.
        catalog: the models; a baseline that it does not have is left to the decision to refuse.
        at: gives the moment; once the baseline is shut down, others search with the hosted tool of Responses.
    """
    try:
        model = catalog.get(baseline)
    except CatalogError:
        return asked
    if _OPTIONS not in model.builtin_tools:
        return asked
    moment = at()
    if model.alive(moment.date() if isinstance(moment, datetime) else moment):
        return asked if _OPTIONS in asked else {**asked, _OPTIONS: {}}
    tools = list(asked.get("tools") or ())
    rest = {name: value for name, value in asked.items() if name != _OPTIONS}
    if any(isinstance(one, Mapping) and str(one.get("type")).startswith("web_search") for one in tools):
        return rest
    return {**rest, "tools": [*tools, _tool(asked.get(_OPTIONS))]}


def _tool(options: Any) -> dict[str, Any]:
    given = dict(options) if isinstance(options, Mapping) else {}
    place = given.get("user_location")
    if isinstance(place, Mapping) and isinstance(place.get("approximate"), Mapping):
        given["user_location"] = {"type": "approximate", **place["approximate"]}
    return {"type": "web_search", **given}
