"""The rules: one rule, one code, one file, one table of cases in the tests."""

from __future__ import annotations

from routed_llm.migrate.rules import (
    rm001_chat_openai,
    rm002_init_chat_model,
    rm003_llama_index_openai,
    rm004_llama_index_responses,
    rm005_subclass,
    rm006_partial,
    rm007_agent_model,
    rm008_openai_sdk,
    rm009_model_classes,
)
from routed_llm.migrate.rules.base import LANGCHAIN, LLAMA_INDEX, OPENAI, NewName, Rule, Swap

__all__ = ["CLASSES", "CODES", "LANGCHAIN", "LLAMA_INDEX", "OPENAI", "RULES", "NewName", "Rule", "Swap"]

RULES: tuple[Rule, ...] = (
    rm001_chat_openai.RULE,
    rm002_init_chat_model.RULE,
    rm003_llama_index_openai.RULE,
    rm004_llama_index_responses.RULE,
    rm005_subclass.RULE,
    rm006_partial.RULE,
    rm007_agent_model.RULE,
    rm008_openai_sdk.RULE,
    rm009_model_classes.RULE,
)

CLASSES = frozenset().union(*(rule.names for rule in RULES))
"""What the rules recognise, by dotted name: a module that imports one hands it on to others."""

CODES: dict[str, str] = {
    **{rule.code: rule.title for rule in RULES},
    "RM020": "dependency files get the routed packages",
    "RM021": "ids that --map renames",
}
