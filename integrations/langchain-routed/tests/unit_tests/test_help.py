"""What `help()` and completion show."""

from __future__ import annotations

import inspect
import re

import langchain_routed
import pytest
from langchain_openai import ChatOpenAI
from langchain_routed import RoutedChatModel

OWN = {"model", *RoutedChatModel.model_fields} - set(ChatOpenAI.model_fields)


def test_help_begins_with_its_own_fields() -> None:
    """The signature and the docstring name the baseline and what ChatOpenAI does not have before all else."""
    keywords = list(inspect.signature(RoutedChatModel).parameters)
    assert keywords[0] == "args"
    assert set(keywords[1 : 1 + len(OWN)]) == OWN
    assert len(keywords) > len(OWN) + 20
    first, _, rest = inspect.cleandoc(RoutedChatModel.__doc__ or "").partition("\n\n")
    assert "\n" not in first
    listed = re.findall(r"^    (\w+): ", rest.partition("\n\n")[0], re.MULTILINE)
    assert set(listed) == OWN


def test_completion_shows_public_names(make) -> None:
    """`dir()` of a model and of the module has no private names, and all public ones."""
    names = dir(make())
    assert [name for name in names if re.match(r"_[^_]", name)] == []
    assert {"invoke", "explain", "policy", "with_structured_output", *OWN} - {"model"} <= set(names)
    assert dir(langchain_routed) == sorted(langchain_routed.__all__)


@pytest.mark.parametrize("keyword", sorted(OWN))
def test_every_own_field_is_taken(keyword: str) -> None:
    """What the signature says is an argument."""
    inspect.signature(RoutedChatModel).bind(**{keyword: None})
