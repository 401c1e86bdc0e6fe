"""Traps 21 to 31: the object itself: serialization, copies, assignments, clients, threads and loops."""

from __future__ import annotations

import asyncio
import copy
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from unittest import mock

import httpx
import pytest
from langchain_core.load import dumpd, dumps, load, loads
from langchain_core.runnables import ConfigurableField
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from langchain_routed import RoutedChatModel
from openai import OpenAI
from openai.resources.chat.completions import AsyncCompletions, Completions
from pydantic import SecretStr

from routed_llm import Call, Policy, Router

from .helpers import merged, routing

ONLY_41 = {"models": ["gpt-4.1"], "at_least": None}


def _load(text: str) -> Any:
    return loads(
        text,
        allowed_objects=[RoutedChatModel],
        secrets_from_env=True,
    )


def test_21_it_loads_what_it_dumps() -> None:
    """A dumped model loads as itself, routed still, with its policy and without its key in clear."""
    policy = Policy(models=["gpt-4.1", "gpt-5*"], max_cost_per_call=Decimal("0.02"), task="coding")
    llm = RoutedChatModel(model="gpt-4.1", temperature=0.2, policy=policy, max_retries=1)
    text = dumps(llm)
    assert "simulated" not in text
    loaded = _load(text)
    assert type(loaded) is RoutedChatModel
    assert (loaded.model_name, loaded.temperature, loaded.max_retries) == ("gpt-4.1", 0.2, 1)
    assert loaded.policy == policy
    assert dumpd(loaded) == dumpd(llm)


def test_21_it_is_not_mistaken_for_chatopenai() -> None:
    """Its name in a dump is its own, so that nobody loads it as a model that does not route."""
    assert dumpd(RoutedChatModel())["id"] == ["langchain_routed", "chat_models", "RoutedChatModel"]
    with pytest.raises(ValueError, match="not allowed"):
        load(dumpd(RoutedChatModel()), allowed_objects="all")


def test_21_a_chain_loads_with_it() -> None:
    """A binding around it loads, too."""
    from langchain_core.runnables import RunnableBinding

    text = dumps(RoutedChatModel().bind(stop=["END"]))
    loaded = loads(
        text,
        allowed_objects=[RoutedChatModel, RunnableBinding],
        secrets_from_env=True,
    )
    assert isinstance(loaded.bound, RoutedChatModel)
    assert loaded.kwargs == {"stop": ["END"]}


@pytest.mark.parametrize(
    ("field", "value", "sent"),
    [
        pytest.param("temperature", 0.3, {"temperature": 0.3}, id="temperature"),
        pytest.param("max_tokens", 77, {"max_completion_tokens": 77}, id="cap"),
        pytest.param("seed", 7, {"seed": 7}, id="seed"),
        pytest.param("use_responses_api", True, {"store": None}, id="endpoint"),
        pytest.param("model_kwargs", {"user": "u"}, {"user": "u"}, id="model_kwargs"),
    ],
)
@pytest.mark.parametrize("how", ["assign", "model_copy", "copy.copy"])
def test_22_a_changed_field_reaches_the_next_call(
    make, sim, field: str, value: Any, sent: dict[str, Any], how: str
) -> None:
    """After an assignment or a copy with other values, no call is made with the old ones."""
    llm = make(policy=ONLY_41)
    llm.invoke("Hi")
    changed = llm.model_copy(update={field: value}) if how == "model_copy" else llm
    if how == "copy.copy":
        changed = copy.copy(llm)
    setattr(changed, field, value)
    changed.invoke("Hi")
    before, after = (entry.body for entry in sim.journal)
    assert {key: after.get(key) for key in sent} == sent
    assert before != after
    if how != "assign":
        llm.invoke("Hi")
        assert sim.journal[2].body == before


@pytest.mark.parametrize(
    ("field", "before", "change", "sent"),
    [
        pytest.param("model_kwargs", {}, {"user": "u"}, {"user": "u"}, id="model_kwargs, empty before"),
        pytest.param("model_kwargs", {"user": "u"}, {"user": "v"}, {"user": "v"}, id="model_kwargs"),
        pytest.param("logit_bias", {"5": 1}, {"6": 2}, {"logit_bias": {"5": 1, "6": 2}}, id="logit_bias"),
    ],
)
def test_22_a_field_changed_in_place_reaches_the_next_call(
    make, sim, field: str, before: Any, change: dict[str, Any], sent: dict[str, Any]
) -> None:
    """A dict that the program goes on changing is read at each call."""
    llm = make(policy=ONLY_41, **{field: before})
    llm.invoke("Hi")
    getattr(llm, field).update(change)
    llm.invoke("Hi")
    assert {key: sim.journal[1].body.get(key) for key in sent} == sent


def test_22_stop_sequences_added_in_place_reach_the_next_call(make, sim) -> None:
    """A list of stop sequences that was empty is read at each call, too."""
    llm = make(policy=ONLY_41, stop=[])
    llm.invoke("Hi")
    llm.stop.append("END")
    llm.invoke("Hi")
    assert [entry.body.get("stop") for entry in sim.journal] == [None, ["END"]]


def test_22_a_changed_policy_or_baseline_reaches_the_next_call(make) -> None:
    """Policy and baseline are read at each call, also on a copy."""
    llm = make()
    llm.invoke("Hi")
    other = llm.model_copy(update={"policy": Policy(**ONLY_41)})
    assert routing(other.invoke("Hi"))["model"] == "gpt-4.1"
    assert routing(llm.invoke("Hi"))["model"] != "gpt-4.1"
    llm.model_name = "gpt-5"
    assert llm.explain("Hi").baseline == "gpt-5"


def test_22_a_copy_has_delegates_of_its_own(make) -> None:
    """A copy shares the router, not the cached models, which belong to the original's settings."""
    llm = make(policy=ONLY_41)
    llm.invoke("Hi")
    other = llm.model_copy()
    other.invoke("Hi")
    assert other._own_planner() is not llm._own_planner()
    assert other._own_planner().router is llm._own_planner().router


def test_22_a_replaced_client_is_used(make) -> None:
    """A client put in place of the old one gets the next call."""
    llm = make(policy=ONLY_41)
    llm.invoke("Hi")

    class Refuses:
        @property
        def with_raw_response(self) -> Any:
            raise ConnectionError("the new client")

    llm.client = Refuses()
    with pytest.raises(ConnectionError, match="the new client"):
        llm.invoke("Hi")


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
def test_22_what_is_patched_on_a_client_counts(make, responses: bool) -> None:
    """Programs test themselves by patching clients' methods; each delegate sends through these clients."""
    llm = make(use_responses_api=responses, max_retries=5)
    llm.invoke("Hi")
    place = llm.root_client.responses if responses else llm.client
    with mock.patch.object(place, "with_raw_response") as raw:
        raw.create.side_effect = raw.parse.side_effect = ConnectionError("patched")
        with pytest.raises(ConnectionError, match="patched"):
            llm.invoke("Hi")


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_22_an_instrument_on_the_sdks_class_hears_of_a_call(make, monkeypatch, how: str) -> None:
    """What traces programs wraps the SDK's methods: each request still goes through them."""
    heard: list[str] = []
    for kind in (Completions, AsyncCompletions):

        @functools.wraps(kind.create)
        def create(self: Any, *args: Any, _inner: Any = kind.create, **body: Any) -> Any:
            heard.append(body["model"])
            return _inner(self, *args, **body)

        monkeypatch.setattr(kind, "create", create)
    llm = make(policy=ONLY_41)
    if how.startswith("a"):
        answer = await llm.ainvoke("Hi") if how == "ainvoke" else [one async for one in llm.astream("Hi")]
    else:
        answer = llm.invoke("Hi") if how == "invoke" else list(llm.stream("Hi"))
    assert answer
    assert heard == ["gpt-4.1"]


@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_22_the_sdk_refuses_a_keyword_that_it_does_not_know(make, sim, how: str) -> None:
    """As with ChatOpenAI: a field that is the server's own belongs into `extra_body`."""
    llm = make(policy=ONLY_41)
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_such_field'"):
        list([llm.invoke("Hi", no_such_field=1)] if how == "invoke" else llm.stream("Hi", no_such_field=1))
    assert sim.journal == []
    llm.invoke("Hi", extra_body={"user": "u"}, extra_headers={"X-Mine": "yes"}, timeout=None)
    assert sim.journal[-1].body["user"] == "u"


def test_22_each_request_is_sent_once(make) -> None:
    """Clients do not retry, since recovery does, up to max_retries; a caller's own client keeps its way."""
    llm = make(max_retries=5)
    assert (llm.max_retries, llm.root_client.max_retries, llm.root_async_client.max_retries) == (5, 0, 0)
    own = OpenAI(api_key="simulated", base_url=llm.openai_api_base, max_retries=3)
    given = make(root_client=own, client=own.chat.completions)
    call = given.explain("Hi").call
    assert given._own_planner().delegates.get(call).root_client.max_retries == 0
    assert own.max_retries == 3


def test_22_a_stand_in_may_end_its_stream_as_it_likes(make) -> None:
    """Only the SDK's own streams must end with a finish reason; a test's stand-in need not."""
    chunk = {
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}]
    }
    stand_in = mock.MagicMock()
    stand_in.create.return_value.__enter__.return_value = [chunk]
    llm = make(policy=ONLY_41)
    with mock.patch.object(llm, "client", stand_in):
        assert [one.text for one in llm.stream("Hi") if one.text] == ["Hi"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        pytest.param({"prompt_cache_key": None}, {"prompt_cache_key": None}, id="every model takes it"),
        pytest.param({"temperature": None}, {}, id="some models refuse it"),
        pytest.param({"max_tokens": None}, {}, id="the decision writes it"),
    ],
)
def test_22_an_explicit_none(make, sim, given: dict[str, Any], sent: dict[str, Any]) -> None:
    """None undoes a setting; it is sent as null only where no model could mind."""
    body = make(policy=ONLY_41, temperature=0.3, max_tokens=50)._get_request_payload("Hi", **given)
    names = {"prompt_cache_key", *given}
    assert {name: value for name, value in body.items() if name in names} == sent


def test_23_every_field_is_accepted_by_the_constructor(make, sim) -> None:
    """configurable_fields makes a new model from the old one's fields, clients included."""
    llm = make(policy=ONLY_41).configurable_fields(temperature=ConfigurableField(id="temperature"))
    llm.with_config(configurable={"temperature": 0.7}).invoke("Hi")
    assert sim.journal[0].body["temperature"] == 0.7
    original = make(policy=ONLY_41)
    fields = {name: getattr(original, name) for name in RoutedChatModel.model_fields}
    RoutedChatModel(**fields).invoke("Hi")
    assert sim.refused == []


def test_23_alternatives_and_fallbacks(make, sim) -> None:
    """configurable_alternatives, with_fallbacks and with_retry work as on ChatOpenAI."""
    llm = make(policy=ONLY_41)
    either = llm.configurable_alternatives(
        ConfigurableField(id="llm"), default_key="a", b=make(policy={"models": ["gpt-4o"]})
    )
    assert routing(either.with_config(configurable={"llm": "b"}).invoke("Hi"))["model"] == "gpt-4o"
    sim.faults.add("500")
    answer = llm.with_fallbacks([make(policy={"models": ["gpt-4o"]})]).invoke("Hi")
    assert routing(answer)["model"] == "gpt-4o"
    sim.faults.add("500")
    again = llm.with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke("Hi")
    assert routing(again)["model"] == "gpt-4.1"


def test_25_a_proxy_is_in_the_shared_clients(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delegates are made with the router's clients, which have the proxy; it is not given twice."""
    llm = make(openai_proxy="http://127.0.0.1:9", policy=ONLY_41)
    with pytest.raises(Exception, match="Connection error"):
        llm.invoke("Hi")
    (delegate,) = llm._own_planner().delegates._kept[1].values()
    assert delegate.root_client._client is llm.root_client._client
    assert delegate.root_client.max_retries == 0
    assert delegate.openai_proxy is None


@pytest.mark.parametrize("client", ["default", "http_client"])
def test_26_streams_have_usage_whoever_made_the_client(make, sim, client: str) -> None:
    """A client of the caller's own does not turn usage off."""
    own = {} if client == "default" else {"http_client": httpx.Client(), "policy": ONLY_41}
    try:
        llm = make(**own)
    except TypeError:
        pytest.skip("this SDK takes clients of httpx2 only")
    assert merged(list(llm.stream("Hi"))).usage_metadata is not None


def test_27_a_factory_needs_no_openai_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a factory the router needs no key of its own and hands none on."""
    monkeypatch.delenv("OPENAI_API_KEY")
    made: list[Call] = []

    def factory(call: Call) -> BaseChatOpenAI:
        made.append(call)
        return AzureChatOpenAI(
            azure_deployment=call.model,
            azure_endpoint="http://127.0.0.1:9",
            api_key=SecretStr("azure"),
            api_version="2025-01-01",
            max_retries=0,
        )

    llm = RoutedChatModel(factory=factory, max_retries=0)
    with pytest.raises(Exception, match="Connection error"):
        llm.invoke("Hi")
    (delegate,) = llm._own_planner().delegates._kept[1].values()
    assert delegate.openai_api_key.get_secret_value() == "azure"
    assert len(made) == 1


def test_27_without_a_factory_a_missing_key_fails_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key is told as ChatOpenAI tells it, where the model is made."""
    monkeypatch.delenv("OPENAI_API_KEY")
    errors = []
    for kind in (ChatOpenAI, RoutedChatModel):
        with pytest.raises(Exception, match="OPENAI_API_KEY") as error:
            kind()
        errors.append((type(error.value), str(error.value)))
    assert errors[0] == errors[1]


def test_28_streaming_with_streaming_disabled_fails_as_upstream(make, sim) -> None:
    """The two contrary settings end in the same error as on ChatOpenAI."""
    settings = {"streaming": True, "disable_streaming": True}
    errors = []
    for model in (
        ChatOpenAI(base_url=sim.url, model="gpt-4.1", **settings),
        make(policy=ONLY_41, **settings),
    ):
        with pytest.raises(Exception) as error:  # noqa: PT011 - whatever it is, it must be the same
            model.invoke("Hi")
        errors.append(type(error.value))
    assert errors[0] is errors[1]


@pytest.mark.parametrize("timeout", [None, 5.0, httpx.Timeout(5.0)], ids=["default", "seconds", "object"])
def test_29_all_models_share_one_connection(make, sim, timeout: Any) -> None:
    """Three models and two endpoints cost one TCP connection, whatever the timeout is made of."""
    llm = make(policy={"at_least": None}, timeout=timeout, http_socket_options=[])
    for model in ("gpt-4.1", "gpt-5.4", "gpt-5.2-pro"):
        llm.invoke("Hi", model=model)
    assert sim.connections == 1


def test_30_a_second_event_loop_is_upstreams_matter(make, sim) -> None:
    """In a loop of its own, a model made there works; nothing of ours is bound to a loop."""

    def run() -> str:
        async def call() -> Any:
            llm = make(policy=ONLY_41, http_async_client=None, timeout=7.5)
            return await llm.ainvoke("Hi")

        return routing(asyncio.run(call()))["model"]

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run).result() == "gpt-4.1"


def test_31_no_http_library_is_named() -> None:
    """The SDK's second major speaks httpx, its third httpx2: langchain-openai says which one it is."""
    import langchain_routed

    folder = langchain_routed.__path__[0]
    import pathlib

    for path in pathlib.Path(folder).glob("*.py"):
        text = path.read_text().replace("from langchain_openai._compat import httpx", "")
        assert "import httpx" not in text, path.name


def test_models_with_an_address_of_their_own_are_called_there(make, sim) -> None:
    """Models with a base_url of their own are called there, from the same object."""
    from datetime import date

    from routed_llm import Catalog
    from routed_llm.simulator import serve

    with serve(at=date(2026, 11, 22)) as elsewhere:
        catalog = Catalog.load().with_models(
            {"mine": {"base": "gpt-4.1", "sent_as": "gpt-4.1", "base_url": elsewhere.url, "keyless": True}}
        )
        llm = make(
            router=Router(catalog=catalog, clock=lambda: date(2026, 11, 22)), policy={"at_least": None}
        )
        for how in (lambda m: llm.invoke("Hi", model=m), lambda m: merged(list(llm.stream("Hi", model=m)))):
            assert routing(how("mine"))["model"] == "mine"
            assert routing(how("gpt-4.1"))["model"] == "gpt-4.1"
        assert [entry.model for entry in elsewhere.journal] == ["gpt-4.1"] * 2
        assert [entry.model for entry in sim.journal] == ["gpt-4.1"] * 2


def test_many_threads_make_one_delegate(make) -> None:
    """Delegates are made once, however many threads ask first."""
    llm, barrier = make(policy=ONLY_41), threading.Barrier(16)

    def delegate() -> int:
        barrier.wait()
        call = llm.explain("Hi").call
        return id(llm._own_planner().delegates.get(call))

    with ThreadPoolExecutor(16) as pool:
        assert len({future.result() for future in [pool.submit(delegate) for _ in range(16)]}) == 1


def test_a_subclass_may_override_the_hooks(make, sim) -> None:
    """What a subclass does to the payload and to the answer still happens behind a routed call."""

    class Mine(RoutedChatModel):
        def _get_request_payload(self, input_: Any, *, stop: Any = None, **kwargs: Any) -> dict[str, Any]:
            return {**super()._get_request_payload(input_, stop=stop, **kwargs), "user": "mine"}

        def _create_chat_result(self, response: Any, generation_info: Any = None) -> Any:
            result = super()._create_chat_result(response, generation_info)
            result.generations[0].message.additional_kwargs["seen"] = True
            return result

    llm = Mine(base_url=sim.url, router=make().router, policy=ONLY_41)
    answer = llm.invoke("Hi")
    list(llm.stream("Hi"))
    assert [entry.body["user"] for entry in sim.journal] == ["mine", "mine"]
    assert answer.additional_kwargs["seen"] is True


@pytest.mark.parametrize("how", ["mock", "function"])
def test_a_patched_payload_is_asked(make, sim, how: str) -> None:
    """What spies on the payload of the routed model sees the one that is sent, whatever it is."""
    llm, seen = make(policy=ONLY_41), []
    original = llm._get_request_payload

    def spy(*args: Any, **kwargs: Any) -> dict[str, Any]:
        seen.append(original(*args, **kwargs))
        return {**seen[-1], "user": "spied"}

    patched = mock.MagicMock(side_effect=spy) if how == "mock" else spy
    with mock.patch.object(llm, "_get_request_payload", patched):
        llm.invoke("Hi")
    assert [payload["model"] for payload in seen] == ["gpt-4.1"]
    assert sim.journal[0].body["user"] == "spied"
