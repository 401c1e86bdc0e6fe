"""Policy(store=False): every call says that nothing is kept, and what cannot do without is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date
from typing import Any

import openai
import pytest

from routed_llm import Catalog, NoModelFits, Policy, PolicyError, Router, read_openai
from routed_llm.request.wire import request_body
from routed_llm.simulator import Simulator, serve

DAY = date(2026, 11, 29)
ROUTER = Router(clock=lambda: DAY)
FORMS: dict[str, dict[str, Any]] = {
    "chat": {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]},
    "responses": {"model": "auto", "input": "Hello"},
}
ASKED: dict[str, dict[str, Any]] = {"unsaid": {}, "stored": {"store": True}, "not": {"store": False}}
MODELS = {"chat_completions": "gpt-4o", "responses": "gpt-5.3-codex"}
CHANGES = {
    "unsaid": [("store", "added", None, False)],
    "stored": [("store", "clamped", True, False)],
    "not": [],
}


@pytest.mark.parametrize(
    ("form", "asked", "endpoint"),
    list(itertools.product(FORMS, ASKED, MODELS)),
)
def test_what_is_sent(form: str, asked: str, endpoint: str) -> None:
    """Whatever was asked on either endpoint, the body says that nothing is stored, and the record why."""
    body = {**FORMS[form], **ASKED[asked]}
    policy = Policy(store=False, models=MODELS[endpoint], at_least=None)
    decision = ROUTER.decide(read_openai(body), policy=policy)
    assert decision.endpoint == ("responses" if endpoint == "responses" else decision.endpoint)
    assert request_body(body, decision)["store"] is False
    said = [
        (it.parameter, it.action, it.before, it.after) for it in decision.changes if it.parameter == "store"
    ]
    assert said == CHANGES[asked]


@pytest.mark.parametrize("form", FORMS)
def test_metadata_goes_where_it_needs_no_storing(form: str) -> None:
    """Chat Completions takes it only of what is stored, Responses of anything."""
    body = {**FORMS[form], "store": True, "metadata": {"team": "search"}}
    decision = ROUTER.decide(read_openai(body), policy=Policy(store=False, models="gpt-4o", at_least=None))
    sent = request_body(body, decision)
    assert (decision.endpoint, sent["store"], sent["metadata"]) == ("responses", False, {"team": "search"})


METADATA: dict[str, tuple[dict[str, Any], str]] = {
    "alone": ({"metadata": {"team": "search"}}, "responses"),
    "not stored": ({"metadata": {"team": "search"}, "store": False}, "responses"),
    "stored": ({"metadata": {"team": "search"}, "store": True}, "chat_completions"),
    "none": ({"metadata": {}}, "chat_completions"),
}


@pytest.mark.parametrize(("asked", "endpoint"), METADATA.values(), ids=METADATA)
def test_metadata_of_what_is_not_stored_is_sent_where_it_is_taken(
    asked: dict[str, Any], endpoint: str
) -> None:
    """Chat Completions refuses it; so a call goes to Responses. An address without that is not OpenAI's."""
    body = {**FORMS["chat"], **asked}
    decision = ROUTER.decide(read_openai(body), policy=Policy(models="gpt-4o", at_least=None))
    sent = request_body(body, decision)
    assert (decision.endpoint, sent.get("metadata"), sent.get("store")) == (
        endpoint,
        asked["metadata"],
        asked.get("store", False if endpoint == "responses" else None),
    )
    only = Policy(models="gpt-4o", at_least=None, endpoints="chat_completions")
    assert ROUTER.decide(read_openai(body), policy=only).endpoint == "chat_completions"


def test_other_servers_take_metadata_as_it_is() -> None:
    """What OpenAI's address refuses says nothing of somebody else's."""
    entry = {"base": "gpt-4o", "base_url": "http://127.0.0.1:8001/v1", "keyless": True}
    router = Router(catalog=Catalog.load().with_models({"own": entry}), clock=lambda: DAY)
    policy = Policy(models="own", at_least=None, endpoints={"http://127.0.0.1:8001/v1": "chat_completions"})
    body = {**FORMS["chat"], "metadata": {"team": "search"}}
    assert request_body(body, router.decide(read_openai(body), policy=policy))["metadata"] == {
        "team": "search"
    }


def test_other_servers_are_not_asked_what_they_need_not_know() -> None:
    """A Chat Completions server of somebody else stores nothing that it was not asked to."""
    entry = {"base": "gpt-4o", "base_url": "http://127.0.0.1:8001/v1", "keyless": True}
    router = Router(catalog=Catalog.load().with_models({"own": entry}), clock=lambda: DAY)
    policy = Policy(store=False, models="own", endpoints={"http://127.0.0.1:8001/v1": "chat_completions"})
    decision = router.decide(read_openai(FORMS["chat"]), policy=policy)
    assert "store" not in request_body(FORMS["chat"], decision)


LASTING: list[Any] = [
    pytest.param({"background": True}, {}, "a background response", id="background"),
    pytest.param({"conversation": "conv_1"}, {}, "a conversation", id="conversation"),
    pytest.param({}, {"service_tier": "batch"}, "a batch's file", id="batch"),
    pytest.param({}, {"service_tier": "background_2h"}, "a background response", id="background window"),
]


@pytest.mark.parametrize(("asked", "wanted", "what"), LASTING)
def test_what_cannot_do_without_is_refused(asked: dict[str, Any], wanted: dict[str, Any], what: str) -> None:
    """Before anything is sent, with what to do."""
    request = read_openai({**FORMS["responses"], **asked})
    assert ROUTER.decide(request, policy=Policy(**wanted)).chosen is not None
    with pytest.raises(NoModelFits) as caught:
        ROUTER.decide(request, policy=Policy(store=False, **wanted))
    assert f"{what} is stored by the provider, and the policy's store=False forbids that" in str(caught.value)
    assert "Leave it out, or decide this call by another policy." in str(caught.value)


def test_what_is_said_to_be_off_is_no_reason() -> None:
    """`background=False` asks for nothing that is stored."""
    request = read_openai({**FORMS["responses"], "background": False})
    assert ROUTER.decide(request, policy=Policy(store=False)).chosen is not None


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Run the simulated provider, which keeps what is stored."""
    with serve(at=DAY) as running:
        yield running


@pytest.mark.parametrize("policy", [Policy(), Policy.profile("zero-retention")], ids=["usual", "profile"])
def test_the_provider_keeps_nothing(policy: Policy, simulator: Simulator) -> None:
    """Under the profile the answer cannot be read again; otherwise it can, as the endpoint has it."""
    policy = policy.replace(models="gpt-5.3-codex", at_least=None)
    decision = ROUTER.decide(read_openai(FORMS["responses"]), policy=policy)
    with openai.OpenAI(base_url=simulator.url, api_key="any", max_retries=0) as client:
        answer = client.responses.create(**request_body(FORMS["responses"], decision))
        if policy.store is None:
            assert client.responses.retrieve(answer.id).id == answer.id
            return
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(answer.id)


def test_profiles() -> None:
    """A profile is a policy that can be changed like any other."""
    assert Policy.profile("zero-retention", regional=True) == Policy(store=False, regional=True)
    with pytest.raises(PolicyError) as caught:
        Policy.profile("zero")
    assert str(caught.value) == "'zero' is not a profile. Use one of zero-retention."
    with pytest.raises(PolicyError) as caught:
        Policy(store=True)
    assert str(caught.value) == (
        "store=True is not allowed: False forbids storing, and a call that wants it says so itself. "
        "Leave it out."
    )
