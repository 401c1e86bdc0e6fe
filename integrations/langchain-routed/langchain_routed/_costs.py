"""What calls have cost, added up from their records by a callback handler."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from typing_extensions import override

from langchain_routed._messages import ROUTING

__all__ = ["CostCallbackHandler"]


class CostCallbackHandler(BaseCallbackHandler):
    """Adds up what the routed calls of a run, a chain or a program have cost.

    Handlers that know prices by a model's name show $0 for models they do not know, and the price of
    the standard tier for every other; here the record of each answer says what it cost.

    Attributes:
        total: US dollars of all calls whose cost is known.
        by_model: the same for each model, by its catalog id.
        calls: answers that came.
        unknown: those of them whose cost is not known, since no usage was reported or no price is known.

    Example:
        .. code-block:: python

            costs = CostCallbackHandler()
            chain.invoke("What is the capital of Peru?", config={"callbacks": [costs]})
            print(costs.total, costs.by_model)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = Decimal(0)
        self.by_model: dict[str, Decimal] = {}
        self.calls = 0
        self.unknown = 0

    @override
    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Add what an answer has cost; several answers to one prompt are one call."""
        for first in (answers[0] for answers in response.generations if answers):
            metadata = getattr(getattr(first, "message", None), "response_metadata", {})
            if isinstance(record := metadata.get(ROUTING), Mapping):
                self._add(record)

    def _add(self, record: Mapping[str, Any]) -> None:
        cost = record.get("cost")
        with self._lock:
            self.calls += 1
            if cost is None:
                self.unknown += 1
                return
            dollars, model = Decimal(cost), str(record.get("model"))
            self.total += dollars
            self.by_model[model] = self.by_model.get(model, Decimal(0)) + dollars
