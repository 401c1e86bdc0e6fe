"""Azure: deployments as models of a catalog, and the models behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_openai import AzureChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI

from routed_llm import Call, Catalog

__all__ = ["deployed", "factory_for"]


def deployed(deployments: Mapping[str, str], catalog: Catalog | None) -> tuple[Catalog, list[str]]:
    """Make a catalog in which deployments are called by their own names.

    Args:
        deployments: deployment to the model that it runs.
        catalog: the catalog to start from, or None for the packaged one.

    Returns:
        The catalog, and the ids of the deployed models in it.

    Raises:
        CatalogError: when there is no deployment, or one runs a model that the catalog does not know.
    """
    return (Catalog.load() if catalog is None else catalog).with_deployments(deployments)


def factory_for(settings: Mapping[str, Any]) -> Callable[[Call], BaseChatOpenAI]:
    """Return a factory of AzureChatOpenAI models with these settings."""

    def make(call: Call) -> BaseChatOpenAI:
        return AzureChatOpenAI(
            azure_deployment=call.model,
            use_responses_api=call.endpoint == "responses",
            **{"stream_usage": True, **settings},
        )

    return make
