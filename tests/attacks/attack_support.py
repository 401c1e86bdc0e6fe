"""A server that lies, and every way to call it: whole and streamed, sync and async, in both adapters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
from langchain_routed import RoutedChatModel
from llama_index.core.llms import ChatMessage
from llama_index.llms.routed import RoutedLLM
from openai_routed import AsyncOpenAI, OpenAI

from routed_llm import Budget, MemoryLedger, Router

DAY = date(2026, 11, 22)
SAID = "one two three four five six seven eight"
ASK = f'Say "{SAID}"'


@dataclass
class Asked:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def secrets(self) -> str:
        """Everything in it that might hold a key, in one string."""
        return json.dumps(self.headers)


@dataclass
class Liar:
    """A server on loopback.

    Attributes:
        url: its address.
        asked: what it was asked, in order.
        lies: what it answers to the first requests, one each, after which it passes everything on; each is
            given the handler, the request and what the truth would be (status, headers, body).
        always: a lie for every request.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    lies: list[Callable[..., Any]] = field(default_factory=list)
    always: Callable[..., Any] | None = None


@contextmanager
def lying(behind: str | None = None, *lies: Callable[..., Any], always: Any = None) -> Iterator[Liar]:
    """Run a server that lies, and passes on to another what it has no lie for.

    Args:
        behind: the address of a server that tells the truth.
        lies: see :class:`Liar`.
        always: see :class:`Liar`.
    """
    liar = Liar(lies=list(lies), always=always)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(raw or "{}"))
            liar.asked.append(asked)
            lie = liar.always or (liar.lies.pop(0) if liar.lies else None)
            with suppress(ConnectionError):
                if lie is not None:
                    lie(self, asked, lambda: self.truth(raw))
                else:
                    self.answer(*self.truth(raw))

        def do_GET(self) -> None:
            self.do_POST()

        def truth(self, raw: bytes) -> tuple[int, dict[str, str], bytes]:
            assert behind is not None
            url = behind.removesuffix("/v1") + self.path
            passed = {"content-type": self.headers["content-type"], "authorization": "Bearer any"}
            got = httpx.post(url, content=raw, headers=passed, timeout=30)
            return got.status_code, {"content-type": got.headers["content-type"]}, got.content

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    liar.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield liar
    finally:
        server.shutdown()
        server.server_close()


def says(status: int, body: Any, kind: str = "application/json", **headers: str) -> Callable[..., Any]:
    """Return a lie: a status and a body."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, asked, truth: handler.answer(status, {"content-type": kind, **named}, raw)


@dataclass
class Got:
    """What came of a call."""

    text: str
    record: dict[str, Any]


def _chain(url: str, router: Router, **more: Any) -> RoutedChatModel:
    return RoutedChatModel(**{"base_url": url, "api_key": "own-key", "router": router, "timeout": 20, **more})


def _index(url: str, router: Router, **more: Any) -> RoutedLLM:
    return RoutedLLM(
        **{"api_base": url, "api_key": "own-key", "router": router, "timeout": 20, "max_retries": 2, **more}
    )


def _merged(chunks: list[Any]) -> Got:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return Got(whole.text, whole.response_metadata["routing"])


def invoke(llm: Any, **call: Any) -> Got:
    """Ask with LangChain."""
    answer = llm.invoke(ASK, **call)
    return Got(answer.text, answer.response_metadata["routing"])


def ainvoke(llm: Any, **call: Any) -> Got:
    """Ask with LangChain, asynchronously."""

    async def work() -> Any:
        return await llm.ainvoke(ASK, **call)

    answer = asyncio.run(work())
    return Got(answer.text, answer.response_metadata["routing"])


def stream(llm: Any, **call: Any) -> Got:
    """Stream with LangChain."""
    return _merged(list(llm.stream(ASK, **call)))


def astream(llm: Any, **call: Any) -> Got:
    """Stream with LangChain, asynchronously."""

    async def work() -> list[Any]:
        return [chunk async for chunk in llm.astream(ASK, **call)]

    return _merged(asyncio.run(work()))


def _of(answer: Any) -> Got:
    return Got(answer.message.content or "", answer.additional_kwargs["routing"])


def chat(llm: Any, **call: Any) -> Got:
    """Ask with LlamaIndex."""
    return _of(llm.chat([ChatMessage(ASK)], **call))


def achat(llm: Any, **call: Any) -> Got:
    """Ask with LlamaIndex, asynchronously."""

    async def work() -> Any:
        return await llm.achat([ChatMessage(ASK)], **call)

    return _of(asyncio.run(work()))


def stream_chat(llm: Any, **call: Any) -> Got:
    """Stream with LlamaIndex."""
    return _of(list(llm.stream_chat([ChatMessage(ASK)], **call))[-1])


def astream_chat(llm: Any, **call: Any) -> Got:
    """Stream with LlamaIndex, asynchronously."""

    async def work() -> list[Any]:
        return [chunk async for chunk in await llm.astream_chat([ChatMessage(ASK)], **call)]

    return _of(asyncio.run(work())[-1])


def _client(kind: type) -> Callable[..., Any]:
    def make(url: str, router: Router, **more: Any) -> Any:
        return kind(**{"base_url": url, "api_key": "own-key", "router": router, "timeout": 20, **more})

    return make


def _asked(call: dict[str, Any]) -> dict[str, Any]:
    given = {"model": "gpt-4o", "messages": [{"role": "user", "content": ASK}], **call}
    routing = given.pop("routing", None)
    return given if routing is None else {**given, "extra_body": {"routing": routing}}


def _said(completion: Any) -> Got:
    return Got(completion.choices[0].message.content or "", completion.routing)


def _joined(chunks: list[Any]) -> Got:
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices or ()]
    text = [delta.content or "" for delta in deltas if delta is not None]
    record: dict[str, Any] = {}
    for chunk in chunks:
        record.update(getattr(chunk, "routing", None) or {})
    return Got("".join(text), record)


def create(llm: Any, **call: Any) -> Got:
    """Ask with the SDK's client."""
    return _said(llm.chat.completions.create(**_asked(call)))


def acreate(llm: Any, **call: Any) -> Got:
    """Ask with the SDK's client, asynchronously."""

    async def work() -> Any:
        return await llm.chat.completions.create(**_asked(call))

    return _said(asyncio.run(work()))


def create_stream(llm: Any, **call: Any) -> Got:
    """Stream with the SDK's client."""
    return _joined(list(llm.chat.completions.create(**_asked(call), stream=True)))


def acreate_stream(llm: Any, **call: Any) -> Got:
    """Stream with the SDK's client, asynchronously."""

    async def work() -> list[Any]:
        return [chunk async for chunk in await llm.chat.completions.create(**_asked(call), stream=True)]

    return _joined(asyncio.run(work()))


Way = tuple[Callable[..., Any], Callable[..., Got]]
WAYS: dict[str, Way] = {
    "invoke": (_chain, invoke),
    "ainvoke": (_chain, ainvoke),
    "stream": (_chain, stream),
    "astream": (_chain, astream),
    "chat": (_index, chat),
    "achat": (_index, achat),
    "stream_chat": (_index, stream_chat),
    "astream_chat": (_index, astream_chat),
    "create": (_client(OpenAI), create),
    "acreate": (_client(AsyncOpenAI), acreate),
    "create_stream": (_client(OpenAI), create_stream),
    "acreate_stream": (_client(AsyncOpenAI), acreate_stream),
}
WHOLE = {
    "stream": "invoke",
    "astream": "invoke",
    "stream_chat": "chat",
    "astream_chat": "chat",
    "create_stream": "create",
    "acreate_stream": "acreate",
}
"""Ways that stream to ways that do not, of the same object."""
STREAMED = tuple(WHOLE)


def booked_router(**more: Any) -> Router:
    """Return a router with books, so that everything sent leaves an entry."""
    return Router(
        **{
            "ledger": MemoryLedger(),
            "budgets": Budget(total=100),
            "clock": lambda: DAY,
            **more,
        }
    )
