"""The same request gets the same facts and the same Decision, whichever of the four ways in it comes.

Two hundred requests are made from a seed, in words of neither framework, and then given to both adapters
in each one's own messages and keywords, and to the client and the gateway as a body of Chat Completions.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import httpx
import openai
import openai_routed
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_routed import RoutedChatModel
from llama_index.core.base.llms.types import AudioBlock, DocumentBlock, ToolCallBlock
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.routed import RoutedLLM

from routed_llm import Decision, Policy, Router
from routed_llm.gateway import Settings
from routed_llm.gateway.app import Gateway
from routed_llm.request import conversations
from routed_llm.simulator import serve
from routed_llm.tokens import memo
from tests.gateway.conftest import running
from tests.samples import pdf, png, wav

TODAY = date(2026, 11, 22)
REQUESTS = 200
TEXTS = (
    "What is the capital of Peru? ",
    "Erkläre mir die Gezeiten der Nordsee. ",
    "请解释潮汐是如何形成的。",
    "def tide(hour: int) -> float:\n    return (hour % 12) / 12\n",
    '{"sea": "Baltic", "depth": 55, "tides": null}\n',
    "🌊 <|endoftext|> ",
)
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"optimize": "quality", "max_cost_per_call": "0.05"},
    {"models": ["gpt-4o", "gpt-4.1*"], "at_least": None},
    {"on_unsupported": "avoid"},
    {"evidence": "measured", "task": "coding"},
    {"exclude": ["gpt-5.6*"]},
)
TOOL = {
    "type": "function",
    "function": {
        "name": "tide",
        "description": "Tell the tide at a place.",
        # The SDK parses a form of answer beside tools on Chat Completions only if they are strict, and
        # LangChain calls that parser; with other tools its calls go to Responses and LlamaIndex's need not.
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "hour": {"type": "integer"}},
            "required": ["place", "hour"],
            "additionalProperties": False,
        },
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "sea",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
}


@dataclass(kw_only=True)
class Wanted:
    """A request in words of neither framework.

    Attributes:
        system: the system message, or an empty text.
        turns: earlier questions with their answers.
        parts: the last question: ``("text", str)``, ``("image", bytes or URL, detail)``, ``("pdf", bytes)``
            or ``("audio", bytes)``.
        loop: the result of a tool call that the model is waiting for: a text, an image or None.
        kwargs: parameters of the call.
        policy: keywords of the Policy.
    """

    system: str = ""
    turns: list[tuple[str, str]] = field(default_factory=list)
    parts: list[tuple[Any, ...]] = field(default_factory=list)
    loop: str | bytes | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)


def request(seed: int) -> Wanted:
    """Make the request of a seed."""
    rng = random.Random(seed)

    def text() -> str:
        return rng.choice(TEXTS) * rng.choice((1, 1, 3, 20, 200))

    wanted = Wanted(system=rng.choice(("", "You know the sea.")), policy=rng.choice(POLICIES))
    wanted.turns = [(text(), text()) for _ in range(rng.choice((0, 0, 1, 3)))]
    long = rng.random() < 0.08
    wanted.parts = [("text", TEXTS[0] * rng.choice((10_000, 16_500, 40_000)) if long else text())]
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        image = png(rng.choice((32, 640, 2048)), rng.choice((32, 480, 3000)))
        source = rng.choice((image, image, "https://example.com/tide.png"))
        wanted.parts.append(("image", source, rng.choice((None, "low", "high"))))
    if rng.random() < 0.1:
        wanted.parts.append(("pdf", pdf(rng.randint(1, 5))))
    if rng.random() < 0.06:
        wanted.parts = [wanted.parts[0], ("audio", wav(rng.randint(1, 9)))]
    wanted.kwargs = parameters(rng)
    if "tools" in wanted.kwargs and rng.random() < 0.4:
        wanted.loop = rng.choice(("high tide at nine", "high tide at nine", png(64, 64)))
    return wanted


def parameters(rng: random.Random) -> dict[str, Any]:
    """Make the parameters of one call; the temperature is always told, since LlamaIndex always does."""
    choices: dict[str, tuple[float, Any]] = {
        "max_tokens": (0.3, rng.choice((16, 50, 4000, 30_000))),
        "top_p": (0.1, 0.9),
        "stop": (0.1, ["\n\n"]),
        "seed": (0.1, 7),
        "presence_penalty": (0.1, 0.5),
        "logprobs": (0.06, True),
        "reasoning_effort": (0.12, rng.choice(("low", "high"))),
        "verbosity": (0.06, "low"),
        "service_tier": (0.06, "flex"),
        "user": (0.1, "someone"),
        "model": (0.1, rng.choice(("gpt-4.1", "gpt-5-mini", "gpt-4o"))),
        "stream": (0.3, True),
        "response_format": (0.2, rng.choice((SCHEMA, {"type": "json_object"}))),
    }
    chosen = {name: value for name, (share, value) in choices.items() if rng.random() < share}
    if rng.random() < 0.3:
        chosen["tools"] = [TOOL] * rng.choice((1, 1, 30))
        chosen["tool_choice"] = rng.choice(
            ("auto", "required", {"type": "function", "function": {"name": "tide"}})
        )
        chosen["parallel_tool_calls"] = rng.choice((True, False))
    return {"temperature": rng.choice((0.0, 0.1, 1.0)), **chosen}


def b64(data: bytes) -> str:
    """Write bytes as base64 text."""
    return base64.b64encode(data).decode()


def langchain_part(kind: str, *values: Any) -> dict[str, Any]:
    """Write a part of a message as LangChain's users do."""
    if kind == "text":
        return {"type": "text", "text": values[0]}
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": b64(values[0]), "format": "wav"}}
    if kind == "pdf":
        data = f"data:application/pdf;base64,{b64(values[0])}"
        return {"type": "file", "file": {"filename": "tide.pdf", "file_data": data}}
    source, detail = values
    url = source if isinstance(source, str) else f"data:image/png;base64,{b64(source)}"
    return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}


def langchain_messages(wanted: Wanted) -> list[BaseMessage]:
    """Write a request as LangChain messages."""
    messages: list[BaseMessage] = [SystemMessage(wanted.system)] if wanted.system else []
    for question, answer in wanted.turns:
        messages += [HumanMessage(question), AIMessage(answer)]
    messages.append(HumanMessage([langchain_part(*part) for part in wanted.parts]))
    if wanted.loop is not None:
        call = {"name": "tide", "args": {"place": "Hull"}, "id": "call_1"}
        parts = wanted.loop if isinstance(wanted.loop, str) else [langchain_part("image", wanted.loop, None)]
        messages += [AIMessage("", tool_calls=[call]), ToolMessage(parts, tool_call_id="call_1")]
    return messages


def llama_index_part(kind: str, *values: Any) -> Any:
    """Write a part of a message as a LlamaIndex block."""
    if kind == "text":
        return TextBlock(text=values[0])
    if kind == "audio":
        return AudioBlock(audio=values[0], format="wav")
    if kind == "pdf":
        return DocumentBlock(data=values[0], title="tide.pdf", document_mimetype="application/pdf")
    source, detail = values
    return (
        ImageBlock(url=source, detail=detail)
        if isinstance(source, str)
        else ImageBlock(image=source, detail=detail)
    )


def llama_index_messages(wanted: Wanted) -> list[ChatMessage]:
    """Write a request as LlamaIndex messages."""
    messages = [ChatMessage(role="system", content=wanted.system)] if wanted.system else []
    for question, answer in wanted.turns:
        messages += [
            ChatMessage(role="user", content=question),
            ChatMessage(role="assistant", content=answer),
        ]
    messages.append(ChatMessage(role="user", blocks=[llama_index_part(*part) for part in wanted.parts]))
    if wanted.loop is not None:
        call = ToolCallBlock(tool_call_id="call_1", tool_name="tide", tool_kwargs='{"place":"Hull"}')
        part = ("text", wanted.loop) if isinstance(wanted.loop, str) else ("image", wanted.loop, None)
        messages += [
            ChatMessage(role="assistant", blocks=[call]),
            ChatMessage(
                role="tool", blocks=[llama_index_part(*part)], additional_kwargs={"tool_call_id": "call_1"}
            ),
        ]
    return messages


def openai_body(wanted: Wanted) -> dict[str, Any]:
    """Write a request as the body of a call to Chat Completions."""
    messages: list[Any] = [{"role": "system", "content": wanted.system}] if wanted.system else []
    for question, answer in wanted.turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    messages.append({"role": "user", "content": [langchain_part(*part) for part in wanted.parts]})
    if wanted.loop is not None:
        call = {"name": "tide", "arguments": '{"place":"Hull"}'}
        parts = wanted.loop if isinstance(wanted.loop, str) else [langchain_part("image", wanted.loop, None)]
        messages += [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": parts},
        ]
    return {"model": "gpt-4o", "messages": messages, **wanted.kwargs}


def by_client(wanted: Wanted) -> dict[str, Any]:
    """Let the client explain a request, and return the decision as plain data."""
    with openai_routed.OpenAI(
        api_key="simulated", router=Router(clock=lambda: TODAY), policy=wanted.policy
    ) as client:
        return plain(client.explain(**openai_body(wanted)).to_dict())


def by_gateway(wanted: Wanted) -> dict[str, Any]:
    """Let the gateway explain a request."""
    settings = Settings(upstream_key="simulated", policy=wanted.policy)
    gateway = Gateway(settings, router=Router(clock=lambda: TODAY))

    async def explained() -> httpx.Response:
        transport = httpx.ASGITransport(gateway.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/v1") as client:
            return await client.post("/routing/explain", json=openai_body(wanted))

    with closing(asyncio.new_event_loop()) as loop:
        answer = loop.run_until_complete(explained())
    assert answer.status_code == 200, answer.text
    return answer.json()


def plain(data: Any) -> Any:
    """Return data as it comes out of JSON."""
    return json.loads(json.dumps(data))


@pytest.fixture(scope="module")
def router() -> Router:
    """The router of one adapter."""
    return Router(clock=lambda: TODAY)


@pytest.mark.parametrize("seed", range(REQUESTS), ids=lambda seed: f"request {seed}")
def test_both_frameworks_get_the_same_decision(router: Router, seed: int) -> None:
    """RequestFacts are equal, and so is every candidate, reason, change and dollar of the Decision."""
    wanted = request(seed)
    policy = Policy(**wanted.policy)
    chain = RoutedChatModel(model="gpt-4o", router=router, policy=policy, api_key="simulated")
    # A router of its own: how far a request was counted tells whether its like was decided before.
    apart = Router(clock=lambda: TODAY)
    index = RoutedLLM(model="gpt-4o", router=apart, policy=policy, api_key="simulated")
    # What the process has counted before says how far a request is still counted.
    memo.shared.clear()
    conversations.shared.clear()
    one = chain.explain(langchain_messages(wanted), **wanted.kwargs)
    memo.shared.clear()
    conversations.shared.clear()
    other = index.explain(llama_index_messages(wanted), **wanted.kwargs)
    assert one.facts.to_dict() == other.facts.to_dict()
    assert one.facts == other.facts
    assert one.call == other.call
    assert one.to_dict() == other.to_dict()


@pytest.mark.parametrize("seed", range(REQUESTS), ids=lambda seed: f"request {seed}")
def test_the_client_and_the_gateway_decide_as_frameworks_do(seed: int) -> None:
    """The same request as the body of Chat Completions: the same facts, candidates, reasons and dollars."""
    wanted = request(seed)
    wanted.kwargs.pop("model", None)  # pins the model in a framework, and names the baseline in the SDK
    made = {"router": Router(clock=lambda: TODAY), "policy": Policy(**wanted.policy), "api_key": "simulated"}
    decisions = []
    for way in (
        lambda wanted: RoutedChatModel(**made).explain(langchain_messages(wanted), **wanted.kwargs).to_dict(),
        by_client,
        by_gateway,
    ):
        memo.shared.clear()
        conversations.shared.clear()
        decisions.append(plain(way(wanted)))
    framework, client, gateway = decisions
    assert client == framework
    assert gateway == framework


def test_the_requests_are_worth_comparing(router: Router) -> None:
    """The two hundred requests reach many models, both endpoints and some that nothing fits."""
    kinds: set[str] = set()
    models: set[str | None] = set()
    endpoints: set[str | None] = set()
    for seed in range(REQUESTS):
        wanted = request(seed)
        llm = RoutedLLM(model="gpt-4o", router=router, policy=Policy(**wanted.policy), api_key="simulated")
        decision = llm.explain(llama_index_messages(wanted), **wanted.kwargs)
        kinds |= decision.facts.inputs
        models.add(decision.model)
        endpoints.add(decision.endpoint)
    assert kinds >= {"text", "image", "pdf", "audio"}
    assert len(models) > 5
    assert endpoints >= {"chat_completions", "responses", None}


QUESTION = TEXTS[0] * 400


@pytest.mark.parametrize("policy", POLICIES[:3], ids=["default", "quality", "gpt-4o and 4.1"])
@pytest.mark.parametrize("tools", [False, True], ids=["conversation", "loop of tool calls"])
def test_the_next_turn_is_decided_alike(policy: dict[str, Any], tools: bool) -> None:
    """After one real answer in each of the four ways, the turn that follows is decided alike."""
    kwargs: dict[str, Any] = {"temperature": 0.1, **({"tools": [TOOL]} if tools else {})}
    decisions: list[Decision] = []
    others: list[dict[str, Any]] = []
    with serve(at=TODAY) as sim:
        router = Router(clock=lambda: TODAY, observe=False)
        common = {"model": "gpt-4o", "router": router, "policy": Policy(**policy), "api_key": "simulated"}
        chain = RoutedChatModel(**common, base_url=sim.url)
        index = RoutedLLM(**common, api_base=sim.url)
        for _ in range(4):
            if tools:
                sim.script(tool_calls=[("tide", {"place": "Hull"})])
            else:
                sim.script("Lima.")
        asked = HumanMessage(QUESTION)
        said = chain.invoke([asked], **kwargs)
        then = ToolMessage("high", tool_call_id=said.tool_calls[0]["id"]) if tools else HumanMessage("Sure?")
        decisions.append(chain.explain([asked, said, then], **kwargs))
        asked_too = ChatMessage(QUESTION)
        answer = index.chat([asked_too], **kwargs).message
        next_too = ChatMessage("Sure?")
        if tools:
            (call,) = [block for block in answer.blocks if isinstance(block, ToolCallBlock)]
            told = {"tool_call_id": call.tool_call_id}
            next_too = ChatMessage(role="tool", content="high", additional_kwargs=told)
        decisions.append(index.explain([asked_too, answer, next_too], **kwargs))
        given: dict[str, Any] = {"model": "gpt-4o", **kwargs}
        with openai_routed.OpenAI(
            api_key="simulated", base_url=sim.url, router=router, policy=policy
        ) as client:
            turns = second_turn(client, given, tools)
            others.append(client.explain(messages=turns, **given).to_dict())
        settings = Settings(upstream=sim.url, upstream_key="simulated", policy=policy)
        with (
            running(settings, router) as gateway,
            openai.OpenAI(api_key="any", base_url=gateway.url) as outside,
        ):
            turns = second_turn(outside, given, tools)
            others.append(gateway.post("/routing/explain", json={"messages": turns, **given}).json())
        assert sim.refused == []
    one, other = decisions
    assert one.facts.previous is not None
    assert one.facts.previous.in_tool_loop is tools
    assert one.facts.to_dict() == other.facts.to_dict()
    assert one.to_dict() == other.to_dict()
    assert [plain(found) for found in others] == [plain(one.to_dict())] * 2


def second_turn(client: Any, given: dict[str, Any], tools: bool) -> list[Any]:
    """Ask the question through the SDK and return the messages of the turn after its answer."""
    asked = {"role": "user", "content": QUESTION}
    said = client.chat.completions.create(messages=[asked], **given).choices[0].message
    then = {"role": "user", "content": "Sure?"}
    if tools:
        then = {"role": "tool", "content": "high", "tool_call_id": said.tool_calls[0].id}
    return [asked, said.model_dump(exclude_none=True), then]
