"""The catalog: what is true of every model, with source and date, as data.

``models/<id>.toml`` holds a model's own facts (limits, prices, lifecycle, published quality),
``families/<family>.toml`` what its family shares (efforts, parameter rules, cache terms), ``endpoints/``
what an endpoint takes whatever the model. What they come to is kept in ``compiled.json``, which is made again
whenever one of them changes.
"""

from routed_llm.catalog.catalog import Catalog
from routed_llm.catalog.entry_types import Endpoint
from routed_llm.catalog.model import (
    CacheTerms,
    ImageRuleSpec,
    Lifecycle,
    Limits,
    Measure,
    Model,
    ParameterRule,
    Price,
    Recall,
    Verdict,
)

__all__ = [
    "CacheTerms",
    "Catalog",
    "Endpoint",
    "ImageRuleSpec",
    "Lifecycle",
    "Limits",
    "Measure",
    "Model",
    "ParameterRule",
    "Price",
    "Recall",
    "Verdict",
]
