"""Endpoint: what an endpoint takes, whatever the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

__all__ = ["Endpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint of the provider.

    Attributes:
        name: ``chat_completions``, ``responses`` or ``realtime``.
        inputs: kinds of content a user message takes there.
        tool_inputs: kinds of content a tool message takes there.
        absent: parameters that do not exist there.
        names: parameter to the name it has there, where that differs; a dot is a nested field.
        without_efforts: reasoning efforts refused there, whatever the model.
        builtin_tools: whether hosted tools exist there.
        min_output: the smallest output cap it takes, in tokens.
        own: parameters that the provider's own address alone asks something of.
    """

    name: str
    inputs: frozenset[str]
    tool_inputs: frozenset[str]
    absent: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    without_efforts: frozenset[str] = frozenset()
    builtin_tools: bool = False
    min_output: int = 1
    own: frozenset[str] = frozenset()
    source: str = ""
    verified: date | None = None
