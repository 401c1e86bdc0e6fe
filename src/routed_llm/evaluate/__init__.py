"""Comparing answers on a user's own prompts: needs the extra ``routed-llm[compare]``."""

from routed_llm.evaluate.asking import Forecast
from routed_llm.evaluate.compare import Comparison, Verdict, evaluate, sender
from routed_llm.evaluate.examples import Answer, Example, read_examples
from routed_llm.evaluate.judges import JUDGES, Trust

__all__ = [
    "JUDGES",
    "Answer",
    "Comparison",
    "Example",
    "Forecast",
    "Trust",
    "Verdict",
    "evaluate",
    "read_examples",
    "sender",
]
