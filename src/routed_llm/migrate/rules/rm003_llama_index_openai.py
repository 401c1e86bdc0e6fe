"""RM003: LlamaIndex's ``OpenAI(...)`` becomes ``RoutedLLM(...)``; its arguments stay as they are."""

from __future__ import annotations

from functools import partial

from routed_llm.migrate.rules.base import LLAMA_INDEX, Family, Rule

__all__ = ["FAMILY", "RULE"]

FAMILY = Family(
    classes=frozenset({"llama_index.llms.openai.OpenAI", "llama_index.llms.openai.base.OpenAI"}),
    new=LLAMA_INDEX,
    model=("model", "engine", "deployment_name"),
    positional=("model", "temperature", "max_tokens"),
    instead=(
        (
            frozenset({"llama_index.llms.azure_openai.AzureOpenAI", "llama_index.llms.AzureOpenAI"}),
            "Azure serves deployments, not model ids. "
            "Give the deployment a model that stays, or call OpenAI itself with RoutedLLM.",
        ),
        (
            frozenset({"llama_index.multi_modal_llms.openai.OpenAIMultiModal"}),
            "llama_index.llms.openai.OpenAI has replaced OpenAIMultiModal and takes images as ImageBlock "
            "in a ChatMessage. Use that first and run this again.",
        ),
        (
            frozenset(
                {"llama_index.llms.OpenAI", "llama_index.core.llms.OpenAI", "llama_index.legacy.llms.OpenAI"}
            ),
            "this OpenAI is the one that llama-index-llms-openai replaced. "
            "Import it from llama_index.llms.openai first and run this again.",
        ),
    ),
)

RULE = Rule("RM003", "LlamaIndex OpenAI(...) to RoutedLLM(...)", partial(FAMILY.match, "RM003"), FAMILY.names)
