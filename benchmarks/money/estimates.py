"""Predicted against billed: 500 requests with the sizes of real traffic, to the simulated API.

    python -m benchmarks.money.estimates PATH...

The files are those of ``traces.py``: single chats (Azure/AzurePublicDataset,
AzureLLMInferenceTrace_conv, CC BY 4.0), chats that share the beginnings of their prompts
(kvcache-ai/Mooncake, Apache-2.0), and agents' loops (calls of sierra-research/tau2-bench, MIT). As many
requests are taken from each; input sizes, shared beginnings, turns and the length of each answer are
theirs, the words are made up. How long an answer should be stands in the prompt's text, where the router
does not look: it could tell as little from a real one.

Each request is decided, sent over HTTP as decided, and settled with the usage that came back, which is the
bill. ``errors.py`` says what the columns are. ``mixed.py`` does the same with requests of every kind.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from benchmarks.money.errors import Sent, report
from benchmarks.money.traces import BLOCK, Call, arguments, read
from routed_llm import Decision, Policy, Previous, RequestBuilder, Router, Usage, read_openai
from routed_llm.simulator import serve
from routed_llm.tokens.vocabulary import o200k_encoding

DAY = date(2026, 11, 22)
REQUESTS = 500
LEARNT = 100
"""Calls that count as history."""

WORDS = Path(__file__).with_name("words.txt")
ENCODING = o200k_encoding()
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up_order",
        "description": "Looks up an order.",
        "parameters": {
            "type": "object",
            "properties": {"order_id": {"type": "string"}},
            "required": ["order_id"],
        },
    },
}
FIXED = 40
"""Tokens of a prompt that are not its text: roles, and the sentence on the answer's length."""


@cache
def sentences() -> list[list[int]]:
    """Return sentences of ordinary English, as tokens: the same ones whatever else changes here."""
    return [ENCODING.encode_ordinary(f" {sentence}") for sentence in WORDS.read_text().splitlines()]


def prose(seed: object, tokens: int) -> str:
    """Write a text of about so many tokens, the same for the same seed."""
    rng, found = random.Random(str(seed)), []
    while len(found) < tokens:
        found += rng.choice(sentences())
    return ENCODING.decode(found[:tokens])


class Client:
    """Sends what a router decides, and notes predicted and billed dollars."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, headers={"authorization": "Bearer none"})
        self.sent: list[Sent] = []

    def call(
        self,
        router: Router,
        kind: str,
        body: dict[str, Any],
        previous: Previous | None = None,
        written: int = 0,
    ) -> tuple[dict[str, Any], Decision, Usage]:
        """Make one call; `written` is how many tokens the answer before had."""
        request = read_openai(body)
        if previous is not None:
            facts = RequestBuilder().message("user").text("x").previous(previous).build().facts
            request = replace(request, facts=replace(request.facts, previous=facts.previous))
        decision = router.decide(request)
        run, (path, sent) = router.begin(decision), _body(decision, body)
        answer = self._http.post(path, json=sent)
        answer.raise_for_status()
        data = answer.json()
        used = Usage.from_openai(data["usage"], service_tier=data.get("service_tier"))
        record = run.settle(used, served=data["model"])
        assert decision.chosen is not None
        assert decision.chosen.cost is not None
        billed = float(record["cost"])
        model = router.catalog.get(decision.chosen.model)
        price = model.price(DAY, input_tokens=used.input_tokens)
        assert price is not None
        self.sent.append(
            Sent(
                kind=kind,
                predicted=decision.chosen.cost / 1e12,
                billed=billed,
                expected=decision.chosen.output_tokens,
                said=used.output_tokens - used.reasoning_tokens,
                thought=used.reasoning_tokens,
                rate=price.output / 1e12,
                seen=_seen(decision, len(body["messages"]), written),
            )
        )
        return data, decision, used


def _seen(decision: Decision, messages: int, written: int) -> tuple[float, ...]:
    """Return what could be seen of a request before it was sent."""
    facts, chosen = decision.facts, decision.chosen
    assert chosen is not None
    previous = facts.previous
    return (
        facts.tools > 0,
        previous is not None,
        math.log(chosen.input_tokens + 1),
        math.log(chosen.input_tokens - chosen.cached_tokens + 1),
        math.log((previous.prefix_tokens if previous else 0) + 1),
        messages,
        math.log(written + 1),
    )


def _body(decision: Decision, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Turn a body into what was decided, for either endpoint."""
    call = decision.call
    assert call is not None
    kept = {key: value for key, value in body.items() if key not in ("max_tokens", "messages", "model")}
    if call.endpoint == "chat_completions":
        sent = {**kept, "model": call.model, "messages": body["messages"]}
        if call.effort is not None:
            sent["reasoning_effort"] = call.effort
        if call.cap is not None:
            sent["max_completion_tokens"] = call.cap
        return "/chat/completions", sent
    tools = [{"type": "function", **tool["function"]} for tool in kept.pop("tools", ())]
    form = kept.pop("response_format", None)
    sent = {**kept, "model": call.model, "input": list(_items(body["messages"]))}
    if tools:
        sent["tools"] = tools
    if form is not None:
        sent["text"] = {"format": {"type": "json_schema", **form["json_schema"]}}
    if call.effort is not None:
        sent["reasoning"] = {"effort": call.effort}
    if call.cap is not None:
        sent["max_output_tokens"] = call.cap
    return "/responses", sent


def _items(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            content = [
                {"type": "input_text", "text": part["text"]} if part["type"] == "text"
                else {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
                for part in content
            ]  # fmt: skip
        yield {"role": message["role"], "content": content}


def _text(data: dict[str, Any]) -> str:
    if "choices" in data:
        return str(data["choices"][0]["message"]["content"] or "-")
    parts = [part for item in data["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part.get("text", "") for part in parts) or "-"


class Program:
    """Sends the calls of one file, as the programs that it was recorded from would."""

    def __init__(self, kind: str, calls: list[Call]) -> None:
        self.kind = kind
        self.calls = calls
        self._before: dict[int, tuple[Previous, int]] = {}
        self._said: dict[str, list[dict[str, Any]]] = {}

    def send(self, client: Client, router: Router, at: int) -> None:
        """Send one call."""
        call = self.calls[at]
        body: dict[str, Any] = {"messages": self._messages(call, at)}
        if call.tools:
            body |= {"tools": [TOOL], "tool_choice": "none"}
        last = None if call.before is None else self._before.get(call.before)
        previous, written = None, 0
        if last is not None and call.prefix:
            previous, written = last
            if call.blocks:
                previous = replace(previous, prefix_tokens=call.prefix)
        data, decision, used = client.call(router, self.kind, body, previous, written)
        if call.conversation:
            self._said[call.conversation] = [
                *body["messages"],
                {"role": "assistant", "content": _text(data)},
            ]
        answered = Previous(
            model=str(decision.model),
            effort=decision.effort,
            endpoint=decision.endpoint,
            prefix_tokens=used.input_tokens,
        )
        self._before[call.number] = (replace(answered, age=1.0), used.output_tokens)

    def _messages(self, call: Call, at: int) -> list[dict[str, Any]]:
        ask = f"\nQuestion {at}: how is that? Answer in {max(round(call.output / 1.2), 1)} words."
        if call.blocks:
            whole = "".join(prose(block, BLOCK) for block in call.blocks[: call.tokens // BLOCK])
            rest = prose(at, max(call.tokens % BLOCK - FIXED, 1))
            return [{"role": "user", "content": whole + rest + ask}]
        before = self._said.get(call.conversation, [])
        if not before:
            text = prose((self.kind, call.conversation, at), max(call.tokens - FIXED, 1))
            if not call.conversation:
                return [{"role": "user", "content": text + ask}]
            return [{"role": "system", "content": text}, {"role": "user", "content": ask}]
        kept = sum(len(ENCODING.encode_ordinary(message["content"])) + 4 for message in before)
        return [*before, {"role": "user", "content": prose(at, max(call.tokens - kept - FIXED, 1)) + ask}]


def programs(paths: list[Path]) -> list[Program]:
    """Take as many calls from each file: a stretch of it, so that turns and shared beginnings stay."""
    found = []
    for path in paths:
        calls, each = read(path), -(-REQUESTS // len(paths))
        # From the middle: there caches are neither all cold nor the day over.
        start = len(calls) // 2
        found.append(Program(path.stem.split("_")[0], calls[start : start + each]))
    return found


def main() -> int:
    """Send the requests without history, then with it."""
    paths = arguments(__doc__).paths
    policies = {
        "default policy": Policy(),
        "gpt-4.1 alone": Policy(models="gpt-4.1", at_least=None),
        "gpt-5.4 alone": Policy(models="gpt-5.4", at_least=None),
    }
    for name, policy in policies.items():
        for observe in (False, True):
            with serve(at=DAY) as simulator:
                client = Client(simulator.url)
                router = Router(policy=policy, observe=observe, clock=lambda: DAY)
                made = programs(paths)
                for at in range(max(len(one.calls) for one in made)):
                    for one in made:
                        one.send(client, router, at)
                sent = client.sent
                if observe:
                    report(f"{name}, after {LEARNT} calls", sent[LEARNT:])
                else:
                    report(f"{name}, without history", sent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
