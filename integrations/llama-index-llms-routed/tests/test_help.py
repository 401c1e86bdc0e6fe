"""What completion shows."""

from __future__ import annotations

import re

import llama_index.llms.routed
from llama_index.llms.routed import RoutedLLM


def test_completion_shows_public_names(make) -> None:
    """`dir()` of an LLM and of the module has no private names, and all public ones."""
    names = dir(make())
    assert [name for name in names if re.match(r"_[^_]", name)] == []
    assert {"complete", "achat", "explain", *RoutedLLM.model_fields} <= set(names)
    assert dir(llama_index.llms.routed) == sorted(llama_index.llms.routed.__all__)
