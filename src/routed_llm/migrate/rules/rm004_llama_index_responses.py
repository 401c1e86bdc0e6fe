"""RM004: LlamaIndex's ``OpenAIResponses(...)`` becomes ``RoutedLLM(...)`` where both take its arguments."""

from __future__ import annotations

import libcst as cst

from routed_llm.migrate.found import Edit
from routed_llm.migrate.python.tree import Tree, dotted
from routed_llm.migrate.rules.base import LLAMA_INDEX, Rule, Swap, arguments, elsewhere, literals

__all__ = ["RULE"]

_CLASSES = frozenset(
    {"llama_index.llms.openai.OpenAIResponses", "llama_index.llms.openai.responses.OpenAIResponses"}
)
_BOTH = frozenset(
    {
        "model",
        "temperature",
        "max_output_tokens",
        "additional_kwargs",
        "max_retries",
        "timeout",
        "strict",
        "api_key",
        "api_base",
        "api_version",
        "default_headers",
        "http_client",
        "async_http_client",
        "openai_client",
        "async_openai_client",
        "context_window",
        "callback_manager",
        "system_prompt",
        "pydantic_program_mode",
        "output_parser",
    }
)


def match(tree: Tree, node: cst.Call | cst.ClassDef) -> Swap | None:
    """Recognise a call of the class."""
    if not isinstance(node, cst.Call) or not tree.names(node.func) & _CLASSES:
        return None
    given, starred = arguments(tree, node, ("model", "temperature", "max_output_tokens"))
    values = literals(tree, given)
    only = sorted(set(values) - _BOTH)
    blocked = None
    if only or starred:
        what = ", ".join(only) or "arguments from elsewhere"
        blocked = (
            f"only OpenAIResponses takes {what}. Rewrite it by hand, or keep it with a model that stays."
        )
    model, cap = given.get("model"), given.get("max_output_tokens")
    edits = []
    if cap is not None and cap.keyword is not None and cap in node.args:
        edits.append(Edit(*tree.span(cap.keyword), "max_tokens"))
    return Swap(
        rule="RM004",
        node=node,
        name=dotted(node.func),
        new=LLAMA_INDEX,
        model=model.value if model else None,
        replaced=[node.func],
        edits=edits,
        parameters=values,
        blocked=blocked or elsewhere(values),
    )


RULE = Rule("RM004", "LlamaIndex OpenAIResponses(...) to RoutedLLM(...)", match, _CLASSES)
