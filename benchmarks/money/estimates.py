"""Predicted against billed: 500 mixed requests to the simulated API, without and with history.

Each request is decided, sent over HTTP as decided, and settled with the usage that came back. The bill is
the simulator's usage. The mix: chats, questions about long documents, JSON by a schema, photos, growing
conversations and tool loops, with the default policy and with a few programs that name their model. How much
an answer will write cannot be known: the simulator draws reasoning of 64 to 320 tokens at effort low, and a
few dozen tokens of text. What remains when that is known is the error of everything else.

    python benchmarks/money/estimates.py
"""

from __future__ import annotations

import base64
import random
import statistics
import struct
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx

from routed_llm import Decision, Policy, Previous, Request, RequestBuilder, Router, Usage, read_openai
from routed_llm.simulator import serve

DAY = date(2026, 11, 22)
WORDS = ("the of and to in is that for it was on are as with they be at one have this from or had by").split()  # noqa: SIM905
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
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "invoice",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "customer": {"type": "string"},
                "total": {"type": "number"},
                "paid": {"type": "boolean"},
            },
            "required": ["customer", "total", "paid"],
            "additionalProperties": False,
        },
    },
}


def prose(rng: random.Random, words: int) -> str:
    """Write so many words that no other prompt has in this order."""
    return " ".join(rng.choice(WORDS) for _ in range(words))


def photo(width: int, height: int) -> str:
    """Make a grey PNG as a data URL."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def single(rng: random.Random, kind: str) -> dict[str, Any]:
    """Make the body of one request of a kind."""
    question = f"Question {rng.randrange(10**6)}: {prose(rng, 12)}?"
    if kind == "chat":
        return {"messages": [{"role": "user", "content": f"{prose(rng, rng.randint(20, 200))}. {question}"}]}
    if kind == "document":
        text = prose(rng, rng.randint(4_000, 30_000))
        system = {"role": "system", "content": "Answer from the document."}
        user = {"role": "user", "content": f"{text}\n\n{question}"}
        return {"messages": [system, user], "max_tokens": 200}
    if kind == "json":
        text = prose(rng, rng.randint(300, 3_000))
        return {"messages": [{"role": "user", "content": f"Extract the invoice.\n{text}"}],
                "response_format": SCHEMA}  # fmt: skip
    parts = [
        {"type": "text", "text": f"What is in the photo? {question}"},
        {"type": "image_url", "image_url": {"url": photo(rng.randint(600, 2_400), rng.randint(600, 2_400))}},
    ]
    return {"messages": [{"role": "user", "content": parts}]}


class Client:
    """Sends what a router decides, and notes predicted and billed dollars."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, headers={"authorization": "Bearer none"})
        self.errors: list[tuple[str, float]] = []
        self.known: list[tuple[str, float]] = []

    def call(
        self, router: Router, kind: str, body: dict[str, Any], previous: Previous | None = None
    ) -> tuple[dict[str, Any], Decision, Usage]:
        """Make one call."""
        request = read_openai(body)
        if previous is not None:
            facts = RequestBuilder().message("user").text("x").previous(previous).build().facts
            request = Request(
                facts=type(request.facts)(**{**_fields(request.facts), "previous": facts.previous}),
                texts=request.texts, fixed=request.fixed,
            )  # fmt: skip
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
        self.errors.append((kind, abs(decision.chosen.cost / 1e12 / billed - 1)))
        price = router.catalog.get(decision.chosen.model).price(DAY, input_tokens=used.input_tokens)
        assert price is not None
        known = decision.chosen.cost + (used.output_tokens - decision.chosen.output_tokens) * price.output
        self.known.append((kind, abs(known / 1e12 / billed - 1)))
        return data, decision, used


def _fields(facts: Any) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in facts.__dataclass_fields__ if name != "shape"}


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


def conversation(client: Client, router: Router, rng: random.Random, turns: int, *, tools: bool) -> None:
    """Hold a conversation whose prompt grows, as a chat or an agent's loop."""
    system = f"You help customers. Rules {rng.randrange(10**6)}: {prose(rng, 2_500)}"
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}]
    previous = None
    for _ in range(turns):
        messages.append({"role": "user", "content": f"{prose(rng, rng.randint(20, 150))}. How is that?"})
        body: dict[str, Any] = {"messages": list(messages)}
        if tools:
            body |= {"tools": [TOOL], "tool_choice": "none"}
        data, decision, used = client.call(router, "agent" if tools else "conversation", body, previous)
        messages.append({"role": "assistant", "content": _text(data)})
        previous = Previous(
            model=str(decision.model), effort=decision.effort, endpoint=decision.endpoint,
            prefix_tokens=used.input_tokens, age=1.0,
        )  # fmt: skip


def _text(data: dict[str, Any]) -> str:
    if "choices" in data:
        return str(data["choices"][0]["message"]["content"] or "-")
    parts = [part for item in data["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part.get("text", "") for part in parts) or "-"


def run(client: Client, router: Router, rng: random.Random, calls: int) -> None:
    """Send a mix of requests."""
    wanted = len(client.errors) + calls
    while len(client.errors) < wanted:
        kind = rng.choice(["chat", "document", "document", "json", "photo", "conversation", "agent"])
        if kind in ("conversation", "agent"):
            turns = min(rng.randint(2, 6), wanted - len(client.errors))
            conversation(client, router, rng, turns, tools=kind == "agent")
        else:
            client.call(router, kind, single(rng, kind))


def report(name: str, errors: list[tuple[str, float]]) -> None:
    """Print median errors, in all and by kind."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for kind, error in errors:
        kinds[kind].append(error)
    found = ", ".join(
        f"{kind} {100 * statistics.median(e):.1f}% ({len(e)})" for kind, e in sorted(kinds.items())
    )
    print(f"{name:52} {100 * statistics.median(error for _, error in errors):5.1f}%   {found}")


def main() -> int:
    """Run the mix without history, then with it."""
    print("median absolute error of the expected against the billed dollars")
    policies = {
        "default policy": Policy(),
        "gpt-4.1 alone": Policy(models="gpt-4.1", at_least=None),
        "gpt-5.4 alone": Policy(models="gpt-5.4", at_least=None),
    }
    for name, policy in policies.items():
        for observe in (False, True):
            with serve(at=DAY) as simulator:
                client, rng = Client(simulator.url), random.Random(7)
                router = Router(policy=policy, observe=observe, clock=lambda: DAY)
                run(client, router, rng, 500)
                if observe:
                    report(f"{name}, history, first 100 of 500", client.errors[:100])
                    report(f"{name}, history, after 100 calls", client.errors[100:])
                    report(f"{name}, the same, had the output been known", client.known[100:])
                else:
                    report(f"{name}, no history, 500", client.errors)
    return 0


if __name__ == "__main__":
    sys.exit(main())
