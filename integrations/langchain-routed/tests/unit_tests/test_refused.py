"""Calls that are refused before anything is sent: what callbacks and callers see of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from langchain.agents.middleware import SummarizationMiddleware, summarization
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ContextOverflowError, ModelInvalidRequestError
from langchain_core.messages import ChatMessage, HumanMessage

from routed_llm import BudgetExceeded, NoModelFits, PolicyError, RequestError, RoutedError

LONG = "word " * 200_000
ONLY_4O = {"models": ["gpt-4o"], "at_least": None}
BROKEN = [{"type": "image", "base64": "bm8gaW1hZ2U=", "mime_type": "image/png"}]


class Heard(BaseCallbackHandler):
    """What a handler hears of runs."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended = 0
        self.failed: list[BaseException] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Note the model's name."""
        self.begun.append(kwargs["invocation_params"]["model"])

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        """Count it."""
        self.ended += 1

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """Note the error."""
        self.failed.append(error)


async def _astream(llm: Any, text: str, config: Any) -> None:
    async for _ in llm.astream(text, config):
        pass


async def _abatch(llm: Any, text: str, config: Any) -> None:
    await llm.abatch([text], config)


WAYS: dict[str, Callable[[Any, str, Any], Any]] = {
    "invoke": lambda llm, text, config: llm.invoke(text, config),
    "ainvoke": lambda llm, text, config: llm.ainvoke(text, config),
    "stream": lambda llm, text, config: list(llm.stream(text, config)),
    "astream": _astream,
    "batch": lambda llm, text, config: llm.batch([text], config),
    "abatch": _abatch,
    "events": lambda llm, text, config: list(llm.stream_events(text, config, version="v3")),
}


@pytest.mark.parametrize("way", sorted(WAYS))
async def test_the_run_begins_and_fails(make, sim, way: str) -> None:
    """Callbacks hear once of a call that nothing can serve, under the baseline's name, and of its error."""
    heard = Heard()

    async def call() -> None:
        found = WAYS[way](make(policy=ONLY_4O), LONG, {"callbacks": [heard]})
        if hasattr(found, "__await__"):
            await found

    with pytest.raises(NoModelFits) as caught:
        await call()
    assert (heard.begun, heard.failed, heard.ended) == (["gpt-4o"], [caught.value], 0)
    assert sim.journal == []


@pytest.mark.parametrize(
    ("settings", "content", "kinds", "facts"),
    [
        pytest.param(
            {"policy": ONLY_4O},
            LONG,
            (NoModelFits, ContextOverflowError, openai.BadRequestError),
            {"status_code": 400, "code": "context_length_exceeded", "param": "messages"},
            id="too long",
        ),
        pytest.param(
            {"policy": ONLY_4O, "service_tier": "flex"},
            "Hi",
            (NoModelFits, ModelInvalidRequestError, openai.BadRequestError),
            {"status_code": 400, "code": None, "param": None},
            id="nothing has it",
        ),
        pytest.param(
            {},
            BROKEN,
            (RequestError, ModelInvalidRequestError, openai.BadRequestError, ValueError),
            {"status_code": 400, "code": None, "param": "message 1 (user)"},
            id="broken",
        ),
        pytest.param(
            {"budget": {"total": "0.0000001"}},
            "Hi",
            (BudgetExceeded, openai.RateLimitError),
            {},
            id="no money",
        ),
        pytest.param({"policy": {"models": ["gpt-9*"]}}, "Hi", (PolicyError,), {}, id="a wrong policy"),
    ],
)
def test_the_error_is_also_what_chatopenai_raises(
    make, sim, settings: Any, content: Any, kinds: Any, facts: Any
) -> None:
    """A refusal is caught as ours, as LangChain's and as the SDK's, where ChatOpenAI has such an error."""
    with pytest.raises(RoutedError) as caught:
        make(**settings).invoke([HumanMessage(content)])
    error: Any = caught.value
    assert all(isinstance(error, kind) for kind in kinds)
    assert {name: getattr(error, name) for name in facts} == facts
    if facts:
        assert (
            error.response.json()["error"]["message"] == error.body["message"] == error.message == str(error)
        )
    assert sim.journal == []


@pytest.mark.parametrize("way", sorted(WAYS))
async def test_what_has_no_form_where_it_goes_is_chatopenais_error_too(make, sim, way: str) -> None:
    """A request that is found wrong only when it is written is caught by the same handlers."""
    llm = make(policy={"models": ["gpt-5.4"], "at_least": None, "endpoints": ["responses"]})

    async def call() -> None:
        found = WAYS[way](llm, [ChatMessage(role="critic", content="Hi")], {})
        if hasattr(found, "__await__"):
            await found

    with pytest.raises(RequestError) as caught:
        await call()
    assert isinstance(caught.value, openai.BadRequestError)
    assert str(caught.value) == (
        "messages[0] ('critic') cannot be sent to Responses. Leave it out, or let a model on Chat "
        "Completions serve the call."
    )
    assert sim.journal == []


def test_what_refused_a_call_stays_readable(make) -> None:
    """The Decision is at hand, whichever type the error is caught as."""
    with pytest.raises(openai.BadRequestError) as caught:
        make(policy=ONLY_4O).invoke(LONG)
    (only,) = caught.value.decision.candidates
    assert [reason.code for reason in only.reasons] == ["max_input", "window"]


@pytest.mark.skipif(
    not hasattr(summarization, "ContextOverflowError"), reason="langchain before 1.4.4 does not try again"
)
def test_summarisation_tries_again_with_less(make, sim) -> None:
    """LangChain's middleware shortens what overflows the model that summarises, as with ChatOpenAI."""
    llm = make(policy=ONLY_4O)
    middleware = SummarizationMiddleware(llm, trigger=("messages", 2), trim_tokens_to_summarize=None)
    summary = middleware._create_summary([HumanMessage(LONG), HumanMessage("And that was all.")])
    assert "gpt-4o" in summary
    assert [(entry.status, entry.model) for entry in sim.journal] == [(200, "gpt-4o")]


async def test_other_prompts_are_answered_before_one_fails(make, sim) -> None:
    """Of several prompts every one is finished when the failure of one is raised."""
    heard = Heard()
    with pytest.raises(NoModelFits):
        await make(policy=ONLY_4O).agenerate([[HumanMessage(LONG)], [HumanMessage("Hi")]], callbacks=[heard])
    assert (heard.ended, len(heard.failed), len(sim.journal)) == (1, 1, 1)


@pytest.mark.parametrize("way", sorted(WAYS))
async def test_half_a_character_is_told(make, sim, way: str) -> None:
    """What cannot be written as JSON is an error of the request, which shows where it stands."""
    heard = Heard()

    async def call() -> None:
        found = WAYS[way](make(), "The caf\ud83d is open", {"callbacks": [heard]})
        if hasattr(found, "__await__"):
            await found

    with pytest.raises(RequestError) as caught:
        await call()
    assert str(caught.value).startswith("The request holds '\\ud83d', half of a character, after '")
    assert str(caught.value).endswith(
        "The caf': it cannot be sent. Replace it, as text.encode('utf-8', 'replace').decode() does."
    )
    assert isinstance(caught.value.__cause__, UnicodeEncodeError)
    assert (heard.failed, sim.journal) == ([caught.value], [])
