"""Policy: what it takes, what it makes of it, files and copies."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from routed_llm import Policy, PolicyError


def test_defaults() -> None:
    """The default policy is the cheapest at least as good as gpt-4o, by published measures, taste dropped."""
    policy = Policy()
    assert (policy.optimize, policy.baseline, policy.at_least) == ("cost", "gpt-4o", "baseline")
    assert (policy.evidence, policy.on_unsupported, policy.surface) == ("inferred", "drop", "chat")
    assert (policy.models, policy.exclude, policy.incumbent, policy.grace) == (None, (), None, None)
    assert (policy.slower_than_baseline, policy.second_worth, policy.also) == (3.0, 0, ())


@pytest.mark.parametrize(
    ("given", "name", "kept"),
    [
        pytest.param({"models": "gpt-4*"}, "models", ("gpt-4*",), id="one pattern"),
        pytest.param({"models": ["a", "b"]}, "models", ("a", "b"), id="a list of patterns"),
        pytest.param({"models": {"a": 1}}, "models", ("a",), id="any iterable of strings"),
        pytest.param({"exclude": ("x",)}, "exclude", ("x",), id="exclude"),
        pytest.param(
            {"max_cost_per_call": 0.1}, "max_cost_per_call", Decimal("0.1"), id="dollars from a float"
        ),
        pytest.param(
            {"max_cost_per_call": "0.10"}, "max_cost_per_call", Decimal("0.10"), id="dollars from text"
        ),
        pytest.param({"max_cost_per_call": 0}, "max_cost_per_call", Decimal(0), id="nothing at all"),
        pytest.param({"min_recall": 50}, "min_recall", 50.0, id="recall"),
        pytest.param({"at_least": None}, "at_least", None, id="no floor"),
        pytest.param({"also": "gpt-6-luna"}, "also", ("gpt-6-luna",), id="one more model"),
        pytest.param({"max_first_token": 1}, "max_first_token", 1.0, id="seconds to the first token"),
        pytest.param({"slower_than_baseline": None}, "slower_than_baseline", None, id="as slow as it may be"),
        pytest.param(
            {"second_worth": "0.001"}, "second_worth", Decimal("0.001"), id="what a second is worth"
        ),
    ],
)
def test_values(given: dict[str, Any], name: str, kept: Any) -> None:
    """Values are kept in one form."""
    assert getattr(Policy(**given), name) == kept


def test_cost_caps_in_picodollars() -> None:
    """A cap is exact in integer money."""
    assert Policy(max_cost_per_call="0.000000000001").max_cost_pico == 1
    assert Policy(max_cost_per_call=0.1).max_cost_pico == 100_000_000_000
    assert Policy().max_cost_pico is None


BAD = [
    ({"optimise": "cost"}, "'optimise' is not a keyword of Policy. Did you mean 'optimize'?"),
    ({"at_leest": None}, "'at_leest' is not a keyword of Policy. Did you mean 'at_least'?"),
    ({"max_cost_per": 1}, "'max_cost_per' is not a keyword of Policy. Did you mean 'max_cost_per_call'?"),
    ({"optimize": ["cost"]}, "optimize=['cost'] is none of cost, quality, latency. Did you mean 'cost'?"),
    ({"max_seconds": -1}, "max_seconds=-1 is out of range. Give a number from 0 to 86400."),
    (
        {"slower_than_baseline": 0.5},
        "slower_than_baseline=0.5 is out of range. Give a number from 1 to 1000000.",
    ),
    ({"second_worth": "much"}, "second_worth='much' is not an amount. Give US dollars of at least 0."),
    ({"also": [3]}, "also holds 3. Give model ids or patterns such as 'gpt-4.1*'."),
    ({"surface": "voice"}, "surface='voice' is none of chat, realtime. Use one of these."),
    (
        {"service_tier": "gold"},
        "service_tier='gold' is none of standard, flex, priority, batch, ultrafast, background_2h, background_8h. Use one of these.",
    ),
    ({"evidence": None}, "evidence=None is none of inferred, measured. Use one of these."),
    ({"baseline": ""}, "baseline='' is not a model id. Give a string such as 'gpt-4o'."),
    ({"baseline": None}, "baseline=None is not a model id. Give a string such as 'gpt-4o'."),
    ({"models": ["", "a"]}, "models holds ''. Give model ids or patterns such as 'gpt-4.1*'."),
    ({"models": object}, "models holds <class 'object'>. Give model ids or patterns such as 'gpt-4.1*'."),
    ({"max_cost_per_call": True}, "max_cost_per_call=True is not an amount. Give US dollars of at least 0."),
    (
        {"max_cost_per_call": float("inf")},
        "max_cost_per_call=inf is not an amount. Give US dollars of at least 0.",
    ),
    ({"output_tokens": 0}, "output_tokens=0 is out of range. Give a whole number of at least 1."),
    ({"switch_saving": 1.5}, "switch_saving=1.5 is out of range. Give a number from 0 to 1."),
    ({"min_recall": True}, "min_recall=True is out of range. Give a number from 0 to 100."),
]


@pytest.mark.parametrize(("given", "text"), BAD, ids=[text[:40] for _, text in BAD])
def test_bad_values(given: dict[str, Any], text: str) -> None:
    """Each keyword says what it takes."""
    with pytest.raises(PolicyError) as caught:
        Policy(**given)
    assert str(caught.value) == text
    assert caught.value.key == next(iter(given))
    assert caught.value.path is None


def test_an_unlike_keyword_lists_the_valid_ones() -> None:
    """A keyword that is near to none gets the whole list."""
    with pytest.raises(
        PolicyError, match=r"'zzz' is not a keyword of Policy\. Valid ones are models, also, exclude, "
    ):
        Policy(zzz=1)


def test_copies() -> None:
    """A copy with changes is checked like any other; equal policies are one key."""
    policy = Policy(models=["gpt-4*"], max_cost_per_call="0.5")
    assert policy.replace() is policy
    assert policy.replace(grace=3).grace == 3
    assert policy.replace(grace=3).models == ("gpt-4*",)
    assert Policy(**policy.to_dict()) == policy
    assert hash(Policy(**policy.to_dict())) == hash(policy)
    with pytest.raises(PolicyError):
        policy.replace(grace=-1)
    with pytest.raises(AttributeError):
        policy.grace = 3  # type: ignore[misc]


def test_a_file(tmp_path: Path) -> None:
    """A file's keys are the keywords."""
    path = tmp_path / "policy.toml"
    path.write_text(
        'models = ["gpt-4.1*", "gpt-5*"]\nexclude = "*-pro"\noptimize = "quality"\nmax_cost_per_call = "0.25"\n'
        'at_least = "gpt-4.1"\ntask = "coding"\ngrace = 14\nregional = true\n'
    )
    assert Policy.from_toml(path) == Policy(
        models=["gpt-4.1*", "gpt-5*"],
        exclude="*-pro",
        optimize="quality",
        max_cost_per_call=Decimal("0.25"),
        at_least="gpt-4.1",
        task="coding",
        grace=14,
        regional=True,
    )
