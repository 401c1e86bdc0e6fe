# ruff: noqa: E501  tables of cases are read by the row
"""A key goes to its own address only; what one address or key refuses says nothing of another."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from attack_support import DAY, SAID, STREAMED, WAYS, WHOLE, Liar, booked_router, lying, says

from routed_llm import Catalog, Credential, NoModelFits, PolicyError, Router
from routed_llm.simulator import Simulator

OWN = {"api_key": "own-key"}
SECRETS = ("own-key", "own-organization", "own-header", "own-env-key", "own-env-organization")


def gateway(url: str, **entry: Any) -> Catalog:
    """Return a catalog with a model behind an address of its own."""
    return Catalog.load().with_models(
        {"mine": {"base": "gpt-4.1", "sent_as": "gpt-4.1", "base_url": url, **entry}}
    )


def settings(way: str) -> dict[str, Any]:
    """Return everything secret that a caller may give to the model of a way."""
    if way in ("invoke", "ainvoke", "stream", "astream"):
        return {"organization": "own-organization", "default_headers": {"x-own": "own-header"}}
    return {"default_headers": {"x-own": "own-header", "openai-organization": "own-organization"}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("entry", "given", "expected"),
    [
        pytest.param({"api_key_env": "GATEWAY_KEY"}, None, "Bearer its-key", id="a variable"),
        pytest.param({}, "its-key", "Bearer its-key", id="a key"),
        pytest.param({}, lambda: "its-key", "Bearer its-key", id="a function"),
        pytest.param({}, Credential(headers={"authorization": "its-key"}), "its-key", id="a header"),
        pytest.param(
            {"headers": {"Authorization": "$GATEWAY_KEY"}}, None, "its-key", id="a header of the entry"
        ),
        pytest.param({"keyless": True}, None, "Bearer none", id="none is wanted"),
    ],
)
def test_each_address_has_its_own_key(
    sim: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    entry: dict[str, Any],
    given: Any,
    expected: str,
) -> None:
    """Nothing of the caller's client goes there, nor what the SDK reads from the environment."""
    monkeypatch.setenv("GATEWAY_KEY", "its-key")
    monkeypatch.setenv("OPENAI_API_KEY", "own-env-key")
    monkeypatch.setenv("OPENAI_ORG_ID", "own-env-organization")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "own-env-organization")
    make, call = WAYS[way]
    with lying(sim.url) as there:
        credentials = None if given is None else {there.url: given}
        router = Router(catalog=gateway(there.url, **entry), credentials=credentials, clock=lambda: DAY)
        llm = make(sim.url, router, policy={"models": ["mine"], "at_least": None}, **settings(way))
        got = call(llm, extra_headers={"x-call": "own-header"})
    assert (got.text, len(sim.refused)) == (SAID, 0)
    (asked,) = there.asked
    # The SDK's client sends what it was made for, the frameworks' make a key up where there is none.
    assert asked.headers.get("authorization", "Bearer none") == expected
    assert [secret for secret in SECRETS if secret in asked.secrets] == []
    assert {"openai-organization", "openai-project"}.isdisjoint(asked.headers)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("entry", [{}, {"api_key_env": "NOT_SET"}, {"headers": {"api-key": "$NOT_SET"}}])
def test_without_a_key_nothing_is_sent(sim: Simulator, way: str, entry: dict[str, Any]) -> None:
    """The call ends with a sentence that says what to do, before anything goes anywhere."""
    make, call = WAYS[way]
    with lying(sim.url) as there:
        router = Router(catalog=gateway(there.url, **entry), clock=lambda: DAY)
        with pytest.raises(NoModelFits, match=r"Router\(credentials=") as caught:
            call(make(sim.url, router, policy={"models": ["mine"], "at_least": None}))
    assert (there.asked, sim.journal) == ([], [])
    assert there.url in str(caught.value)


def test_without_a_key_another_model_serves(sim: Simulator) -> None:
    """A model that cannot be called is as good as none; the record says why."""
    make, call = WAYS["invoke"]
    with lying(sim.url) as there:
        router = Router(catalog=gateway(there.url), clock=lambda: DAY)
        got = call(make(sim.url, router, policy={"models": ["mine", "gpt-4.1"], "at_least": None}))
    assert (got.record["model"], there.asked) == ("gpt-4.1", [])
    assert "there is no key" in got.record["rejected"]["mine"]


def test_a_key_is_not_inherited_by_another_address() -> None:
    """An entry based on another one takes over its key with its address only."""
    catalog = gateway("https://a.example/v1", api_key_env="A_KEY").with_models(
        {
            "same": {"base": "mine", "sent_as": "x"},
            "other": {"base": "mine", "sent_as": "y", "base_url": "https://b.example/v1"},
        }
    )
    assert (catalog.get("same").api_key_env, catalog.get("other").api_key_env) == ("A_KEY", None)


@pytest.mark.parametrize(
    "credentials", [{"gateway": "k"}, {"https://a.example": 5}, {"https://a.example": ""}]
)
def test_wrong_credentials(credentials: dict[str, Any]) -> None:
    """What is no address or no key is refused at once."""
    with pytest.raises(PolicyError, match=r"credentials has"):
        Router(credentials=credentials)


# --- redirects ---


def redirects(to: str, status: int = 307) -> Any:
    """Return a lie: the same request, please, somewhere else."""
    return says(status, b"", location=to)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_key_follows_a_redirect_to_another_host(sim: Simulator, way: str, status: int) -> None:
    """The redirect is refused with a typed error; the other host hears nothing."""
    make, call = WAYS[way]
    with (
        lying(sim.url) as elsewhere,
        lying(always=redirects(f"{elsewhere.url}/chat/completions", status)) as liar,
    ):
        llm = make(liar.url, booked_router(), policy={"models": ["gpt-4o"]}, **settings(way))
        with pytest.raises(openai.APIError) as caught:
            call(llm)
    assert (elsewhere.asked, len(liar.asked)) == ([], 1)
    assert "as base_url" in caught.value.__notes__[-1]


@pytest.mark.parametrize("way", WAYS)
def test_hops_are_counted(way: str) -> None:
    """A host that leads in a circle is left after five hops."""
    make, call = WAYS[way]
    with lying() as liar:
        liar.always = redirects(f"{liar.url}/chat/completions")
        with pytest.raises(openai.APIError):
            call(make(liar.url, booked_router(), policy={"models": ["gpt-4o"]}))
    assert 1 < len(liar.asked) <= 6


@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_at_home_is_followed(sim: Simulator, way: str) -> None:
    """A path that has moved on the same host is found."""
    make, call = WAYS[way]
    with lying(sim.url) as liar:
        liar.lies.append(redirects("/v1/chat/completions"))
        got = call(make(liar.url, booked_router(), policy={"models": ["gpt-4o"]}))
    assert (got.text, len(liar.asked)) == (SAID, 2)


# --- fatality, cool-downs and what is gone: for one address and key ---

REFUSED = {
    "a wrong key": says(
        401, {"error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}}
    ),
    "no quota": says(
        429, {"error": {"message": "no", "type": "insufficient_quota", "code": "insufficient_quota"}}
    ),
    "forbidden": says(403, {"error": {"message": "no", "type": "invalid_request_error"}}),
    "a redirect": redirects("http://elsewhere.invalid/v1/chat/completions"),
}


def at_a_gateway(liar: Liar, **more: Any) -> Router:
    """Return a router whose best model is behind a gateway."""
    price = {
        "source": "here",
        "verified": DAY,
        "rows": [{"since": DAY, "input": "0.01", "output": "0.01"}],
    }
    catalog = gateway(liar.url, keyless=True, prices=price)
    return booked_router(catalog=catalog, **more)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lie", REFUSED)
def test_what_a_gateway_refuses_another_address_serves(sim: Simulator, way: str, lie: str) -> None:
    """A gateway's refusal ends no call that the caller's own address can serve, and is remembered a while."""
    make, call = WAYS[way]
    with lying(always=REFUSED[lie]) as liar:
        llm = make(sim.url, at_a_gateway(liar), policy={"models": ["mine", "gpt-4.1"], "at_least": None})
        first, second = call(llm), call(llm)
    assert [first.text, second.text] == [SAID, SAID]
    assert first.record["attempts"][0]["model"] == "mine"
    assert (second.record["attempts"], len(liar.asked)) == ([], 1)


@pytest.mark.parametrize("lie", REFUSED)
def test_what_the_own_address_refuses_a_gateway_serves(sim: Simulator, lie: str) -> None:
    """So it is the other way round; without a gateway the error is raised at once."""
    make, call = WAYS["invoke"]
    with lying(sim.url) as there, lying(always=REFUSED[lie]) as liar:
        router = booked_router(catalog=gateway(there.url, keyless=True))
        pool = {"models": ["mine", "gpt-4.1", "gpt-4o"], "at_least": None, "incumbent": "gpt-4o"}
        got = call(make(liar.url, router, policy=pool))
        assert (got.text, got.record["model"], len(liar.asked)) == (SAID, "mine", 1)
        with pytest.raises(openai.APIError):
            call(make(liar.url, booked_router(), policy={**pool, "models": ["gpt-4.1", "gpt-4o"]}))
        assert len(liar.asked) == 2


def test_cool_downs_hold_for_one_address(sim: Simulator) -> None:
    """Two callers with keys of their own share what a gateway's key has met, and nothing else."""
    make, call = WAYS["invoke"]
    limited = says(429, {"error": {"message": "no", "code": "rate_limit_exceeded"}}, retry_after="60")
    with lying(always=limited) as liar:
        router = at_a_gateway(liar)
        pool = {"models": ["mine", "gpt-4.1"], "at_least": None}
        for key in ("first", "second"):
            assert call(make(sim.url, router, policy=pool, api_key=key)).record["model"] == "gpt-4.1"
    assert len(liar.asked) == 1


# --- endpoints that are not there ---

NOT_THERE = {
    "404 of OpenAI's kind": says(
        404,
        {
            "error": {
                "message": "Invalid URL (POST /v1/responses)",
                "type": "invalid_request_error",
                "code": None,
            }
        },
    ),
    "404 of FastAPI": says(404, {"detail": "Not Found"}),
    "404 of nginx": says(404, b"<html><h1>404 Not Found</h1></html>", "text/html"),
    "404 and nothing": says(404, b""),
    "404 of Azure": says(404, {"error": {"code": "404", "message": "Resource not found"}}),
    "405": says(405, {"detail": "Method Not Allowed"}),
    "400 of Azure": says(
        400,
        {
            "error": {
                "code": "BadRequest",
                "message": "Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later",
            }
        },
    ),
    "400 of a gateway": says(
        400, {"error": {"message": "Unknown endpoint", "type": "invalid_request_error"}}
    ),
    "400 as a word": says(400, {"error": "unsupported"}),
    "501": says(501, {"detail": "Not Implemented"}),
    "a scope": says(
        401,
        {"error": {"message": "You have insufficient permissions. Missing scopes: api.responses.write."}},
    ),
}


def without_responses(lie: Any, sim: Simulator) -> Any:
    """Return a lie for Responses, and the truth for Chat Completions."""

    def answer(handler: Any, asked: Any, truth: Any) -> None:
        if asked.path.endswith("/responses"):
            lie(handler, asked, truth)
        else:
            handler.answer(*truth())

    return answer


ON_RESPONSES = {"models": ["gpt-5.4-mini"], "effort": "low", "at_least": None}
TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lie", NOT_THERE)
def test_an_address_without_responses_is_found_out(sim: Simulator, way: str, lie: str) -> None:
    """The call goes on with Chat Completions, also without retries; the next one begins there."""
    make, call = WAYS[way]
    with lying(sim.url, always=without_responses(NOT_THERE[lie], sim)) as liar:
        policy = {"models": ["gpt-5.4-mini", "gpt-4.1"], "at_least": None, "incumbent": "gpt-5.4-mini"}
        llm = make(liar.url, booked_router(), policy=policy)
        given = {"tools": [TOOL], "reasoning_effort": "low"}
        first, second = call(llm, **given), call(llm, **given)
    paths = [asked.path.rsplit("/", 1)[-1] for asked in liar.asked]
    assert (bool(first.text), bool(second.text)) == (True, True)
    assert (paths[0], paths[1:]) == ("responses", ["completions"] * (len(paths) - 1))


@pytest.mark.parametrize("way", WAYS)
def test_the_policy_says_which_endpoints_there_are(sim: Simulator, way: str) -> None:
    """With Policy(endpoints=...) nothing has to be found out."""
    make, call = WAYS[way]
    with lying(sim.url, always=without_responses(NOT_THERE["405"], sim)) as liar:
        policy = {"models": ["gpt-5.4-mini", "gpt-4.1"], "at_least": None, "endpoints": ["chat_completions"]}
        call(make(liar.url, booked_router(), policy=policy), tools=[TOOL], reasoning_effort="low")
    assert [asked.path for asked in liar.asked] == ["/v1/chat/completions"]


# --- what a key may not do is learned, also without retries ---

NO_MODEL = says(
    404, {"error": {"message": "The model `gpt-4o` does not exist or you do not have access to it.",
                    "type": "invalid_request_error", "code": "model_not_found"}},
)  # fmt: skip
NO_STREAM = says(
    400, {"error": {"message": "Your organization must be verified to stream this model.",
                    "type": "invalid_request_error", "param": "stream", "code": "unsupported_value"}},
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_a_key_may_not_use_is_learned_without_retries(sim: Simulator, way: str) -> None:
    """The first call fails, as max_retries=0 says; the second goes elsewhere."""
    make, call = WAYS[way]
    with lying(sim.url, NO_MODEL) as liar:
        policy = {"models": ["gpt-4o", "gpt-4.1"], "at_least": None, "incumbent": "gpt-4o"}
        llm = make(liar.url, booked_router(), policy=policy, max_retries=0)
        with pytest.raises(openai.NotFoundError):
            call(llm)
        assert call(llm).record["model"] == "gpt-4.1"


@pytest.mark.parametrize("way", STREAMED)
@pytest.mark.parametrize("retries", [0, 2])
def test_a_refused_stream_is_remembered(sim: Simulator, way: str, retries: int) -> None:
    """A model that an organisation may not stream is left to whole answers, for its key."""
    make, call = WAYS[way]
    with lying(sim.url, NO_STREAM) as liar:
        policy = {"models": ["gpt-4o", "gpt-4.1"], "at_least": None, "incumbent": "gpt-4o"}
        llm = make(liar.url, booked_router(), policy=policy, max_retries=retries)
        if retries:
            assert call(llm).record["model"] == "gpt-4.1"
        else:
            with pytest.raises(openai.BadRequestError):
                call(llm)
        assert call(llm).record["model"] == "gpt-4.1"
        assert WAYS[WHOLE[way]][1](llm).record["model"] == "gpt-4o"


@pytest.mark.parametrize("way", STREAMED)
def test_a_refused_stream_without_another_model_comes_whole(sim: Simulator, way: str) -> None:
    """Where no other model can serve, the answer comes in one piece, and the record says so."""
    make, call = WAYS[way]
    with lying(sim.url, NO_STREAM) as liar:
        got = call(make(liar.url, booked_router(), policy={"models": ["gpt-4o"]}))
    assert got.text == SAID
    assert "stream" in [change["parameter"] for change in got.record["changes"]]
