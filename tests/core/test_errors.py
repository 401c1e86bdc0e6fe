"""Bad input: one typed error each, before anything is sent, whose whole text says what was wrong and what to do."""
# ruff: noqa: E501 - tables of one case a row

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from core_support import AFTER, TODAY, facts, png, router, whole

from routed_llm import (
    NoModelFits,
    Policy,
    PolicyError,
    RequestBuilder,
    RequestError,
    RoutedError,
    read_openai,
)


def said(asked: Any, at: Any = TODAY, **policy: Any) -> str:
    """Return the message of the NoModelFits that a request gets."""
    with pytest.raises(NoModelFits) as caught:
        router(at, **policy).decide(whole(asked))
    decision = caught.value.decision
    assert decision.chosen is None
    assert decision.call is None
    assert decision.why == "no model fits"
    assert all(candidate.reasons for candidate in decision.candidates)
    return str(caught.value)


NOTHING_FITS = [
    ("two million tokens", facts(2_000_000), {"models": ["gpt-5.4", "gpt-4.1"]},
     "2,000,000 input tokens are more than the 1,047,576 that gpt-4.1 accepts",
     "Shorten the input, or widen the pool with Policy(models=...)."),
    ("image and audio together", facts(audio_seconds=3, images=[(10, 10)]), {"models": ["gpt-4o", "gpt-audio-1.5"]},
     "gpt-audio-1.5 takes no image input", None),
    ("a floor nobody meets", facts(), {"models": "gpt-4o-mini"},
     "gpt-4o-mini is below gpt-4o on overall (- LiveBench mean, 15 shared tasks, = Epoch Capabilities "
     "Index)", "Lower the floor with Policy(at_least=...), or widen the pool with Policy(models=...)."),
    ("a floor that only measured evidence could meet", facts(), {"models": "gpt-5.6-terra", "evidence": "measured"},
     "gpt-5.6-terra at none against gpt-4o on overall is only inferred",
     "Use evidence='inferred', or lower the floor with Policy(at_least=...)."),
    ("a cost cap nobody meets", facts(), {"models": "gpt-4o", "max_cost_per_call": "0.001"},
     "gpt-4o is expected to cost $0.00461, over the cap of $0.001",
     "Raise max_cost_per_call, or shorten the request."),
    ("a retired pinned model", facts(model="gpt-4.1-nano"), {},
     "gpt-4.1-nano was shut down on 2026-10-23; the provider names gpt-5.6-luna instead",
     "Name a model that is still served; `routed models` lists them."),
    ("a pinned model without eyes", facts(model="gpt-audio-1.5", images=[(10, 10)]), {},
     "gpt-audio-1.5 takes no image input", "Leave out what it does not take, or name another model."),
    ("a pinned model that is too small", facts(200_000, model="gpt-4o"), {},
     "gpt-4o cannot serve this request: 200,000 input tokens are more than the 128,000 that gpt-4o accepts.",
     "Leave out what it does not take, or name another model."),
    ("image and audio together, over the default pool", facts(audio_seconds=3, images=[(10, 10)]), {"at_least": None},
     "takes no image input", None),
    ("a window that is full", facts(127_000, cap=2_000), {"models": "gpt-4o"},
     "127,000 input and 2,000 output tokens exceed the 128,000 window of gpt-4o",
     "Shorten the input or lower the output cap, or widen the pool with Policy(models=...)."),
    ("recall nobody has", facts(100_000), {"models": "gpt-4o", "min_recall": 99},
     "published recall of gpt-4o at 100,000 tokens is 31.9, under 99.0",
     "Lower min_recall, or shorten the input."),
    ("five stop sequences", facts(parameters={"stop": list("abcde")}), {"models": "gpt-4o"},
     "gpt-4o takes at most 4 items of stop, not 5", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "policy", "why", "advice"),
    [item[1:] for item in NOTHING_FITS],
    ids=[item[0] for item in NOTHING_FITS],
)
def test_nothing_fits(asked: Any, policy: dict[str, Any], why: str, advice: str | None) -> None:
    """The message holds the numbers, and its last sentence says what to do."""
    text = said(asked, **policy)
    assert why in text
    last = (
        "Leave out what no model takes, or widen the pool with Policy(models=...)."
        if advice is None
        else advice
    )
    assert text.endswith(" " + last)


def test_whole_messages() -> None:
    """Messages from end to end."""
    assert said(facts(2_000_000), models=["gpt-5.4", "gpt-4.1"], at_least=None) == (
        "None of 2 models can serve this request. "
        "2,000,000 input tokens are more than the 1,047,576 that gpt-4.1 accepts; "
        "2,000,000 input tokens are more than the 922,000 that gpt-5.4 accepts. "
        "Shorten the input, or widen the pool with Policy(models=...)."
    )
    assert said(facts(model="gpt-4.1-nano")) == (
        "gpt-4.1-nano cannot serve this request: gpt-4.1-nano was shut down on 2026-10-23; the provider names "
        "gpt-5.6-luna instead. Name a model that is still served; `routed models` lists them."
    )
    assert said(facts(audio_seconds=3, images=[(10, 10)]), models=["gpt-4o", "gpt-4.1", "gpt-audio-1.5"]) == (
        "None of 3 models can serve this request. gpt-audio-1.5 takes no image input; gpt-4.1 takes no audio input; "
        "gpt-4o takes no audio input. Leave out what no model takes, or widen the pool with Policy(models=...)."
    )


def test_a_long_list_is_cut() -> None:
    """Four models are named, one for each kind of reason first; the others are counted."""
    text = said(facts(2_000_000))
    assert text.count("input tokens are more than") == 3
    assert text.count("; ") == 3
    assert " more in .decision.candidates.) Shorten the input" in text


def test_stop_after_the_shutdowns() -> None:
    """From 2027-01-14 no model of the default pool takes a stop sequence."""
    assert "refuses stop on chat_completions" in said(facts(parameters={"stop": ["x"]}), AFTER)


TEXT = [{"type": "text", "text": "hi"}]


def message(part: Any, role: str = "user") -> dict[str, Any]:
    """Make a body of one message with one part."""
    return {"messages": [{"role": role, "content": [part]}]}


def plain(**given: Any) -> dict[str, Any]:
    """Make a body with a parameter."""
    return {"messages": [{"role": "user", "content": "hi"}], **given}


BROKEN = [
    ("not an object", [], "The request is not a JSON object. Give the body of a Chat Completions or Responses call.", None),
    ("neither messages nor input", {"prompt": "x"}, "The request has neither messages nor input. Give the body of a Chat "
     "Completions or Responses call.", None),
    ("no messages", {"messages": []}, "The request has no messages. Send at least one message.", "messages"),
    ("an empty input", {"input": []}, "The request has no messages. Send at least one message.", "messages"),
    ("messages that are no list", {"messages": "hi"}, "messages is not a list. Give a list of objects.", "messages"),
    ("a message that is no object", {"messages": ["hi"]},
     "messages[0] is not an object. Give an object with a role or a type.", "messages[0]"),
    ("no role", {"messages": [{"content": "hi"}]},
     "messages[0] has no role. Give system, developer, user, assistant or tool.", "messages[0]"),
    ("an unknown block", message({"type": "hologram"}), "messages[0].content[0] has a content block of the unknown type "
     "'hologram'. Use text, image_url, input_audio or file blocks, or the framework's standard ones.",
     "messages[0].content[0]"),
    ("an unknown detail", message({"type": "image_url", "image_url": {"url": png(2, 2), "detail": "ultra"}}),
     "message 1 (user) has an image of detail 'ultra'. Use one of auto, low, high, original.", "message 1 (user)"),
    ("an image that is a number", message({"type": "image_url", "image_url": {"url": 5}}),
     "message 1 (user) image is 5. Give a data URL, a web URL or bytes.", "message 1 (user) image"),
    ("audio that is no object", message({"type": "input_audio", "input_audio": "x"}),
     "messages[0].content[0].input_audio is not an object. Give an object with data and format.",
     "messages[0].content[0]"),
    ("audio that is no base64", message({"type": "input_audio", "input_audio": {"data": "!!", "format": "wav"}}),
     "message 1 (user): The data is not base64. Send base64 text or a data URL.", "message 1 (user)"),
    ("a cap of zero", plain(max_tokens=0), "max_tokens=0 is not a token count. Give a whole number above 0.",
     "max_tokens"),
    ("a cap of text", plain(max_completion_tokens="many"),
     "max_completion_tokens='many' is not a token count. Give a whole number above 0.", "max_completion_tokens"),
    ("an effort nobody knows", plain(reasoning_effort="banana"), "reasoning_effort='banana' is none of none, minimal, low, "
     "medium, high, xhigh, max. Use one of these.", "reasoning_effort"),
    ("reasoning that is no object", {"input": "x", "reasoning": "high"}, "reasoning is 'high'. Give an object.",
     "reasoning"),
    ("a response format nobody knows", plain(response_format={"type": "yaml"}),
     "response_format has the unknown type 'yaml'. Use text, json_object or json_schema.", "response_format"),
    ("tools that are no list", plain(tools={"a": 1}), "tools is {'a': 1}. Give a list of objects.", "tools"),
    ("a tool that is no object", plain(tools=["search"]), "tools is 'search'. Give a list of objects.", "tools"),
    ("modalities that are no list", plain(modalities="audio"), "modalities is 'audio'. Give a list.", "modalities"),
    ("tool calls that are no list", {"messages": [{"role": "assistant", "tool_calls": 5}]},
     "messages[0].tool_calls is not a list. Give a list of objects.", "messages[0].tool_calls"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "text", "where"), [item[1:] for item in BROKEN], ids=[item[0] for item in BROKEN]
)
def test_broken_requests(body: Any, text: str, where: str | None) -> None:
    """What no model could be sent is a RequestError that names the place."""
    with pytest.raises(RequestError) as caught:
        read_openai(body)
    assert str(caught.value) == text
    assert caught.value.where == where
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="a PNG's first bytes"),
        pytest.param(b"GIF89a", id="a GIF's first bytes"),
        pytest.param(b"hello, I am text", id="text"),
        pytest.param(b"%PDF-1.7", id="a PDF"),
    ],
)
def test_broken_images(data: bytes) -> None:
    """Bytes that are no image of a kind that the API takes are refused with what it takes."""
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    with pytest.raises(RequestError, match=r"^message 1 \(user\): ") as caught:
        read_openai(message({"type": "image_url", "image_url": {"url": url}}))
    assert caught.value.where == "message 1 (user)"
    assert str(caught.value).endswith(".")
    with pytest.raises(RequestError):
        RequestBuilder().message("user").image(data)


def test_an_image_that_is_not_base64() -> None:
    """A data URL must hold base64."""
    with pytest.raises(RequestError, match="base64"):
        read_openai(message({"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@@"}}))


def test_a_task_nobody_knows() -> None:
    """The builder refuses a task that is none of a policy's."""
    with pytest.raises(
        RequestError, match=r"^task='cooking' is none of general, coding, .* Use one of these\.$"
    ):
        RequestBuilder().task("cooking")


FILES = [
    ("not TOML", 'optimize = "cost', "PATH is not TOML: Unterminated string (at end of document). Fix the file.", None),
    ("an unknown key", 'optimise = "cost"\n', "PATH: 'optimise' is not a keyword of Policy. Did you mean 'optimize'?",
     "optimise"),
    ("a table", "[policy]\n", "PATH: 'policy' is not a keyword of Policy.", "policy"),
    ("a bad choice", 'optimize = "speed"\n', "PATH: optimize='speed' is none of cost, quality, latency. Use one of these.",
     "optimize"),
    ("a near choice", 'on_unsupported = "dorp"\n',
     "PATH: on_unsupported='dorp' is none of drop, avoid, raise. Did you mean 'drop'?", "on_unsupported"),
    ("a number of dollars that is none", 'max_cost_per_call = "lots"\n',
     "PATH: max_cost_per_call='lots' is not an amount. Give US dollars of at least 0.", "max_cost_per_call"),
    ("a negative amount", "max_cost_per_call = -0.5\n",
     "PATH: max_cost_per_call=-0.5 is not an amount. Give US dollars of at least 0.", "max_cost_per_call"),
    ("not a number", "max_cost_per_call = nan\n",
     "PATH: max_cost_per_call=nan is not an amount. Give US dollars of at least 0.", "max_cost_per_call"),
    ("a recall out of range", "min_recall = 101\n",
     "PATH: min_recall=101 is out of range. Give a number from 0 to 100.", "min_recall"),
    ("a grace of half a day", "grace = 0.5\n",
     "PATH: grace=0.5 is out of range. Give a whole number of at least 0.", "grace"),
    ("no models", "models = []\n", "PATH: models is empty, so no model may be used. Leave it out or name some.", "models"),
    ("a model that is a number", "models = [4]\n",
     "PATH: models holds 4. Give model ids or patterns such as 'gpt-4.1*'.", "models"),
    ("models that are a number", "models = 4\n",
     "PATH: models holds 4. Give model ids or patterns such as 'gpt-4.1*'.", "models"),
    ("a floor that is no name", "at_least = 5\n",
     "PATH: at_least=5 is not a model id. Give a string such as 'gpt-4o'.", "at_least"),
    ("a flag that is no flag", 'regional = "yes"\n',
     "PATH: regional='yes' is neither true nor false. Give one of the two.", "regional"),
    ("a key that Python knows", "self = 1\n", "PATH: 'self' is not a keyword of Policy.", "self"),
    ("a task nobody knows", 'task = "cooking"\n', "PATH: task='cooking' is none of general, coding, ", "task"),
    ("an effort nobody knows", 'effort = "hard"\n', "PATH: effort='hard' is none of none, minimal, ", "effort"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "text", "key"), [item[1:] for item in FILES], ids=[item[0] for item in FILES]
)
def test_malformed_policy_files(tmp_path: Path, content: str, text: str, key: str | None) -> None:
    """A policy file's error names the file, the key, the value, and what to do."""
    path = tmp_path / "policy.toml"
    path.write_text(content)
    with pytest.raises(PolicyError) as caught:
        Policy.from_toml(path)
    found = str(caught.value).replace(str(path), "PATH")
    assert (
        found == text
        if text.endswith(("?", ".")) and "not a keyword of Policy." not in text
        else found.startswith(text)
    )
    assert found.endswith((".", "?"))
    assert (caught.value.key, caught.value.path) == (key, str(path))


def test_policy_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, is a folder or is no text says so."""
    with pytest.raises(PolicyError) as caught:
        Policy.from_toml(tmp_path / "none.toml")
    assert (
        str(caught.value)
        == f"{tmp_path / 'none.toml'}: No such file or directory. Name a TOML file that can be read."
    )
    with pytest.raises(PolicyError, match=r"Is a directory\. Name a TOML file that can be read"):
        Policy.from_toml(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match="is not TOML: 'utf-8' codec"):
        Policy.from_toml(tmp_path / "bytes.toml")


def test_every_error_is_of_one_tree() -> None:
    """A caller may catch everything with one class."""
    assert issubclass(NoModelFits, RoutedError)
    assert issubclass(RequestError, RoutedError)
    assert issubclass(PolicyError, RoutedError)
