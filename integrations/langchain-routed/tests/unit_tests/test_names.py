"""Names of models: old ones as baselines, unknown ones as errors that handlers for ChatOpenAI catch."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from langchain_core.exceptions import ModelNotFoundError
from langchain_core.runnables import RunnableLambda

from routed_llm import CatalogError, NoModelFits

from .helpers import merged, routing

LEGACY = [
    *("gpt-4", "gpt-4-0613", "gpt-4-turbo", "gpt-4-turbo-2024-04-09", "gpt-4-turbo-preview", "gpt-4-32k"),
    *("gpt-3.5-turbo", "gpt-3.5-turbo-0125", "gpt-3.5-turbo-16k", "gpt-4-vision-preview", "gpt-4.5-preview"),
    *("o1", "o1-preview", "o1-mini", "o1-2024-12-17", "o3-mini", "o3-mini-2025-01-31", "o4-mini", "o3"),
    *(
        "chatgpt-4o-latest",
        "gpt-4o-2024-05-13",
        "gpt-4o-2024-08-06",
        "gpt-4o-2024-11-20",
        "gpt-4.1-2025-04-14",
    ),
]
HOW = ["invoke", "ainvoke", "stream", "astream"]


async def ask(llm: Any, how: str) -> Any:
    if how == "invoke":
        return llm.invoke("hi")
    if how == "ainvoke":
        return await llm.ainvoke("hi")
    if how == "stream":
        return merged(list(llm.stream("hi")))
    return merged([chunk async for chunk in llm.astream("hi")])


@pytest.mark.parametrize("name", LEGACY)
def test_a_program_written_for_an_old_model_runs(make, sim, name: str) -> None:
    """Its floor is what is published of the model, or else of the one that came in its place, and says so."""
    llm = make(model=name)
    answer = llm.invoke("hi")
    record = routing(answer)
    assert llm.model_name == name
    assert record["baseline"]
    assert record["model"] != name
    assert sim.refused == []


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("where", ["constructor", "bind"])
@pytest.mark.parametrize("name", ["gpt-4o-typo", "openai/gpt-4o", "claude-3", "gpt-4-turbo"])
async def test_an_unusable_name_is_not_found(make, sim, name: str, where: str, how: str) -> None:
    """The error is the catalog's or the decision's, the SDK's and LangChain's; nothing is sent."""
    if name == "gpt-4-turbo" and where == "constructor":
        pytest.skip("an old model is a baseline")
    llm = make(model=name) if where == "constructor" else make().bind(model=name)
    with pytest.raises(openai.NotFoundError) as caught:
        await ask(llm, how)
    assert isinstance(caught.value, (CatalogError, NoModelFits))
    assert isinstance(caught.value, ModelNotFoundError)
    assert (caught.value.status_code, caught.value.code) == (404, "model_not_found")
    assert sim.journal == []
    fallback = llm.with_fallbacks(
        [RunnableLambda(lambda _: "fallback")], exceptions_to_handle=(openai.NotFoundError,)
    )
    assert fallback.invoke("hi") == "fallback"


def test_the_providers_prefix_is_pointed_out(make) -> None:
    """Other libraries write the provider before the name."""
    with pytest.raises(CatalogError) as caught:
        make(model="openai/gpt-4o").invoke("hi")
    assert str(caught.value) == (
        "no model is called 'openai/gpt-4o'. Leave the provider out and name 'gpt-4o'. "
        "For a model of your own, add it with Catalog.with_models."
    )


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", ["gpt-4o-search-preview", "gpt-4o-mini-search-preview-2025-03-11"])
@pytest.mark.parametrize(
    ("settings", "tool"),
    [
        pytest.param({}, {"type": "web_search"}, id="plain"),
        pytest.param(
            {
                "web_search_options": {
                    "search_context_size": "low",
                    "user_location": {"type": "approximate", "approximate": {"country": "PE"}},
                }
            },
            {
                "type": "web_search",
                "search_context_size": "low",
                "user_location": {"type": "approximate", "country": "PE"},
            },
            id="with options",
        ),
        pytest.param({"tools": [{"type": "web_search_preview"}]}, {"type": "web_search_preview"}, id="given"),
    ],
)
async def test_a_baseline_that_searches_goes_on_searching(
    make, sim, settings: dict[str, Any], tool: dict[str, Any], name: str, how: str
) -> None:
    """When the search model is gone, the hosted tool searches."""
    await ask(make(model=name, **({"model_kwargs": settings} if settings else {})), how)
    assert sim.journal[-1].path.endswith("/responses")
    assert sim.journal[-1].body["tools"] == [tool]
    assert sim.refused == []


def test_a_living_search_model_serves_itself(make, sim) -> None:
    """Nothing is published that another model's search could be compared by."""
    assert routing(make(model="gpt-5-search-api").invoke("hi"))["model"] == "gpt-5-search-api"
    assert sim.journal[-1].body["web_search_options"] == {}
