"""One call to one of OpenAI's endpoints: what is sent for it, and what its caller gets. Does no I/O."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from routed_llm.calls.problems import problem
from routed_llm.calls.sse import DONE, Event, EventReader, written
from routed_llm.cut import StopCutter
from routed_llm.errors import IncompleteStream, RequestError, RoutedError
from routed_llm.facts import Previous
from routed_llm.ledger.options import CallOptions
from routed_llm.recovery import Limits, classify_error
from routed_llm.request import read_openai
from routed_llm.request.wire import (
    ChunkStream,
    EventStream,
    chat_completion,
    failure_of,
    request_body,
    response,
)
from routed_llm.usage import Usage

if TYPE_CHECKING:
    from routed_llm.calls.endpoints import Endpoints
    from routed_llm.calls.router import Router
    from routed_llm.decision import Decision
    from routed_llm.policy import Policy
    from routed_llm.recovery import Attempts, Credential, ErrorFacts

__all__ = [
    "ANY",
    "AnswerStream",
    "Called",
    "EndpointCall",
    "FailedReply",
    "Outgoing",
    "Served",
    "error_part",
    "facts_of",
    "refused",
]

CHAT: Final = "chat_completions"
RESPONSES: Final = "responses"
_JSON: Final = "application/json"
_SSE: Final = "text/event-stream; charset=utf-8"
_OF_THE_BODY: Final = frozenset(
    {"content-length", "content-encoding", "transfer-encoding", "connection", "content-type"}
)
_TOLD: Final = ("model", "effort", "endpoint", "why", "estimated_cost", "cost", "id")
ANY: Final = "auto"
"""A call's ``model`` that names none: the policy's own baseline is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call as its caller made it.

    Attributes:
        endpoint: ``chat_completions`` or ``responses``.
        body: the decoded body, without options of routing.
        routing: what the call says of its routing, as :meth:`routed_llm.CallOptions.read` takes it.
        retries: how often a failed request may be tried again; None for the default.
        credential: whose key and address it is sent with, as a fingerprint.
        own: the address that the caller's key is for.
    """

    endpoint: str
    body: Mapping[str, Any]
    routing: Any = None
    retries: int | None = None
    credential: str = ""
    own: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request to the provider.

    Attributes:
        endpoint: ``chat_completions`` or ``responses``.
        body: what is sent.
        base_url: where the model has an address of its own; None for the caller's.
        credential: what that address is called with; None for what the caller's is.
        attempt: how many requests were sent for this call before.
    """

    endpoint: str
    body: Mapping[str, Any]
    base_url: str | None
    credential: Credential | None
    attempt: int

    @property
    def model(self) -> str:
        """The model, by the name under which it is asked for."""
        return str(self.body["model"])


@dataclass(slots=True, kw_only=True)
class Served:
    """The response to a call.

    Attributes:
        status: the HTTP status.
        headers: the provider's, and ``x-routed-...``.
        content_type: what the body is.
        body: the body, or None when it comes in parts.
        events: an iterator (of a synchronous call) or an asynchronous one over the parts, or None.
        error: what refused the call before it was sent, or None.
        failure: the failure that was passed on, with ``attempts`` and notes on what was tried, or None.
        seconds: how long it took until here.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = _JSON
    body: bytes | None = None
    events: Any = None
    error: RoutedError | None = None
    failure: Exception | None = None
    seconds: float = 0.0


class FailedReply(Exception):
    """What the provider answered in place of an answer.

    Attributes:
        status: the HTTP status.
        headers: the response's headers.
        data: the response's body, or the event that told of the failure.
        streamed: whether it came inside a stream.
    """

    def __init__(
        self, status: int, headers: Mapping[str, str], data: bytes, *, streamed: bool = False
    ) -> None:
        super().__init__(f"the provider answered with status {status}")
        self.status = status
        self.headers = headers
        self.data = data
        self.streamed = streamed

    def facts(self) -> ErrorFacts:
        """Say what kind of failure it is."""
        try:
            body = json.loads(self.data)
        except ValueError:
            body = None
        told = failure_of(body) if isinstance(body, Mapping) else None
        error = dict(told or {"message": self.data[:200].decode("utf-8", "replace")})
        status = None if self.streamed or self.status < 400 else self.status
        return classify_error({"error": error, "status": status, "headers": self.headers})


def facts_of(error: Exception) -> ErrorFacts | None:
    """Say what kind of failure a response is; None for other errors, which speak for themselves."""
    return error.facts() if isinstance(error, FailedReply) else None


def refused(error: RoutedError, seconds: float) -> Served:
    """Return the response to a call that was refused before anything was sent."""
    status, told = problem(error)
    return Served(
        status=status,
        headers={"x-should-retry": "false"},
        body=json.dumps({"error": told}, ensure_ascii=False).encode("utf-8", "replace"),
        error=error,
        seconds=seconds,
    )


class EndpointCall:
    """One call, from its reading to its answer; used by one thread or task at a time.

    Args:
        endpoints: what holds for every call.
        called: the call.

    Attributes:
        request: the request as the router reads it.
        around: what the router takes besides it.
        decision: what was decided, once it is.

    Raises:
        RequestError: when the body is no request.
        PolicyError: when the call's options of routing are wrong.
    """

    def __init__(self, endpoints: Endpoints, called: Called) -> None:
        self.since = time.monotonic()
        body = called.body
        self._memory, self._router = endpoints.memory, endpoints.router
        self._asked, self._form = body, called.endpoint
        turns = body.get("messages", body.get("input"))
        self._turns: Any = [{"role": "user", "content": turns}] if isinstance(turns, str) else turns
        options = endpoints.options
        if called.routing is not None:
            options = CallOptions.read(called.routing).over(options)
        policy, model = options.applied_to(endpoints.router.policy), body.get("model", ANY)
        if not isinstance(model, str):
            raise RequestError(
                f"model={model!r} is no model id. Give a string such as 'gpt-4o'.", where="model"
            )
        self.around: dict[str, Any] = {
            "policy": policy if model == ANY else _with_baseline(policy, model),
            "credential": called.credential,
            "own": called.own,
            **options.circumstances(),
        }
        self.request = read_openai(
            body,
            previous=self._memory.before(self._turns),
            locked_to=self._memory.author(body.get("previous_response_id")),
            emulates=("stop",),
            # What is stored can be referred to later, and only Responses stores it.
            endpoint=RESPONSES if "input" in body and body.get("store") is not False else None,
        )
        self.limits = Limits.from_retries(called.retries)
        self.streams = bool(body.get("stream"))
        self._sent = 0

    def attempts(self, router: Router, decision: Decision) -> Attempts:
        """Return what keeps the failures of this call."""
        return router.attempts(self.request, decision, limits=self.limits, **self.around)

    def outgoing(self, decision: Decision) -> Outgoing:
        """Return the next request of this call."""
        self.decision = decision
        call = decision.call
        if call is None:
            raise AssertionError("a decision without a choice is raised before anything is sent")
        sent = Outgoing(
            endpoint=call.endpoint,
            body=request_body(self._asked, decision),
            base_url=call.base_url,
            credential=self._router.credential_of(decision, self.around["own"]),
            attempt=self._sent,
        )
        self._sent += 1
        self._whole = not call.stream
        self._stops = self._asked.get("stop") if "stop" in call.emulated else None
        return sent

    @property
    def whole(self) -> bool:
        """Whether the request at hand is answered in one piece."""
        return self._whole

    # ----- an answer in one piece

    def read(self, status: int, headers: Mapping[str, str], data: bytes) -> Answer:
        """Read the answer to a request.

        Raises:
            FailedReply: when it is none.
        """
        try:
            reply = json.loads(data)
        except ValueError:
            raise FailedReply(502, headers, b'{"error":{"message":"the answer is no JSON"}}') from None
        if not isinstance(reply, dict) or failure_of(reply) is not None:
            raise FailedReply(status, headers, data)
        return Answer(reply)

    def served(self, answer: Answer, headers: Mapping[str, str], record: Mapping[str, Any]) -> Served:
        """Return the response to the call, once its books are closed."""
        reply = answer.reply
        if self.decision.endpoint != self._form:
            reply = chat_completion(reply) if self._form == CHAT else response(reply, self._asked)
        if self._stops is not None:
            _cut(reply, self._stops)
        self._remember(reply, answer.usage)
        if self.streams:
            data = b"".join(self._writer().whole(reply, record))
            return self._response(200, headers, record, content_type=_SSE, body=data)
        data = json.dumps({**reply, "routing": record}, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )
        return self._response(200, headers, record, body=data)

    # ----- an answer in parts

    def stream(self) -> AnswerStream:
        """Return what turns the provider's stream into the caller's."""
        apart = self._form == CHAT and bool((self._asked.get("stream_options") or {}).get("include_usage"))
        return AnswerStream(
            self._writer(),
            ChunkStream(str(self.decision.endpoint), usage_apart=apart),
            as_it_comes=self._form == self.decision.endpoint == RESPONSES,
            cutter=None if self._stops is None else StopCutter(self._stops),
        )

    def _writer(self) -> EventWriter:
        return EventWriter(self._asked, self._form, self.decision.record())

    def opened(self, headers: Mapping[str, str], events: Any) -> Served:
        """Return the response to the call whose answer has begun."""
        return self._response(200, headers, self.decision.record(), content_type=_SSE, events=events)

    def broken(self, error: FailedReply) -> bytes:
        """Return how the stream ends when it fails after its answer has begun."""
        return error_part(self._form, error)

    def streamed(self, stream: AnswerStream) -> None:
        """Remember an answer that has come to its end."""
        self._remember(stream.answer(), stream.usage)

    # ----- a failure

    def failed(self, error: BaseException) -> Served:
        """Return the response to a call of which nothing came.

        Raises:
            BaseException: the error itself when it was no response.
        """
        if not isinstance(error, FailedReply):
            raise error
        kind, data = error.headers.get("content-type", _JSON), error.data
        if error.streamed:
            kind, data = _SSE, error_part(self._form, error)
        told = self._response(
            error.status, error.headers, self.decision.record(), content_type=kind, body=data
        )
        told.failure = error
        told.headers["x-should-retry"] = "false"
        return told

    def _response(
        self, status: int, headers: Mapping[str, str], record: Mapping[str, Any], **content: Any
    ) -> Served:
        told = {name: value for name, value in headers.items() if name not in _OF_THE_BODY}
        for name in _TOLD:
            if record.get(name) is not None:
                text = str(record[name]).encode("ascii", "replace").decode("ascii")
                told[f"x-routed-{name.replace('_', '-')}"] = " ".join(text.split())
        told["x-routed-attempts"] = str(self._sent)
        return Served(status=status, headers=told, seconds=time.monotonic() - self.since, **content)

    def _remember(self, reply: Mapping[str, Any], usage: Usage | None) -> None:
        chosen, choices = self.decision.chosen, reply.get("choices") or ()
        if chosen is None:
            return
        answer = [choices[0].get("message") or {}] if choices else list(reply.get("output") or ())
        previous = Previous(
            model=chosen.model,
            effort=chosen.effort,
            endpoint=chosen.endpoint,
            prefix_tokens=usage.input_tokens if usage else 0,
        )
        self._memory.remember(self._turns, answer, previous, reply.get("id"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered in one piece.

    Attributes:
        reply: the decoded body.
    """

    reply: dict[str, Any]

    @property
    def usage(self) -> Usage | None:
        """What was used, or None where it was not reported."""
        found = self.reply.get("usage")
        tier = self.reply.get("service_tier")
        return Usage.from_openai(found, service_tier=tier) if isinstance(found, Mapping) else None

    @property
    def model(self) -> str | None:
        """The model that answered."""
        found = self.reply.get("model")
        return found if isinstance(found, str) else None


class EventWriter:
    """Writes an answer's parts in the form of the endpoint that was called.

    Args:
        asked: what was asked.
        form: the endpoint that was called.
        record: who answers and why, for the first part.
    """

    def __init__(self, asked: Mapping[str, Any], form: str, record: Mapping[str, Any]) -> None:
        self.chat = form == CHAT
        self._asked = asked
        self._record: Mapping[str, Any] | None = record
        self._events = None if self.chat else EventStream(asked)

    def formed(self, chunks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return chunks in the caller's form."""
        if self._events is None:
            return list(chunks)
        return [event for chunk in chunks for event in self._events.feed(chunk)]

    def ending(self) -> list[dict[str, Any]]:
        """Return what ends the answer in the caller's form."""
        return [] if self._events is None else self._events.end()

    def write(self, part: dict[str, Any], raw: bytes | None = None) -> bytes:
        """Write a part; the first one says who answers.

        Args:
            part: the chunk or event.
            raw: how it was written before, where that may stay.
        """
        if self._record is not None:
            told = self._told(part, self._record)
            if told is not part:
                part, raw, self._record = told, None, None
        return written(part, named=not self.chat) if raw is None else raw

    def last(self, parts: list[dict[str, Any]], record: Mapping[str, Any]) -> bytes:
        """Write the last parts; the very last one says what it cost."""
        *before, last = parts
        frames = [*map(self.write, before), written(self._told(last, record), named=not self.chat)]
        return b"".join([*frames, DONE] if self.chat else frames)

    def whole(self, reply: dict[str, Any], record: Mapping[str, Any]) -> Iterable[bytes]:
        """Yield an answer that came in one piece as the stream that was asked for."""
        completion = reply if self.chat else chat_completion(reply)
        parts = [*self.formed(_chunks(completion, self._asked)), *self.ending()]
        if not self.chat:
            parts[-1] = {**parts[-1], "response": reply}
        yield self.last(parts, record)

    def _told(self, part: dict[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        if self.chat:
            return {**part, "routing": record}
        if not isinstance(part.get("response"), Mapping):
            return part
        return {**part, "response": {**part["response"], "routing": record}}


class AnswerStream:
    """An answer in parts, from the provider's bytes to the caller's.

    Args:
        writer: writes them in the caller's form.
        chunks: reads them, whichever endpoint they come from.
        as_it_comes: whether events are passed on as they are.
        cutter: ends the text where the caller's ``stop`` says, or None where the model does.

    Attributes:
        ended: whether nothing more need be waited for.
    """

    def __init__(
        self, writer: EventWriter, chunks: ChunkStream, *, as_it_comes: bool, cutter: StopCutter | None
    ) -> None:
        self.ended = False
        self._reader = EventReader()
        self._writer = writer
        self._chunks = chunks
        self._as_it_comes = as_it_comes
        self._cutter = cutter
        self._finished = self._cut_short = False
        self._tail: list[dict[str, Any]] = []
        self._calls: dict[int, str] = {}

    @property
    def begun(self) -> bool:
        """Whether a token of the answer has come, so that no other model can answer in its place."""
        return self._chunks.begun

    @property
    def usage(self) -> Usage | None:
        """What was used, as far as it has been reported."""
        found = self._chunks.usage
        return None if found is None else Usage.from_openai(found, service_tier=self._chunks.service_tier)

    @property
    def model(self) -> str | None:
        """The model that answers, as the stream names it."""
        return self._chunks.model

    def answer(self) -> dict[str, Any]:
        """Return what the next request may repeat of the answer."""
        calls = [{"id": call} for call in self._calls.values()]
        message = {"role": "assistant", "content": self._chunks.text, "tool_calls": calls}
        return {"id": self._chunks.id, "choices": [{"message": message}]}

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the provider's and return those to pass on.

        Raises:
            FailedReply: when the stream reports a failure.
        """
        return self._passed(self._reader.feed(data))

    def finish(self) -> bytes:
        """Return what the stream had left when it ended.

        Raises:
            IncompleteStream: when it has not said that the answer is finished.
            FailedReply: when it reports a failure.
        """
        if self._finished:
            return b""
        self._finished = True
        rest = self._passed(self._reader.end())
        if not self._cut_short:
            self._tail += self._writer.formed(self._cut(self._chunks.end()))
            if not self._chunks.finished:
                raise IncompleteStream(received=self._chunks.text)
        self.ended = True
        if not self._as_it_comes:
            self._tail += self._writer.ending()
        return rest

    def close(self, record: Mapping[str, Any]) -> bytes:
        """Return the end of the stream, once the books are closed."""
        return self._writer.last(self._tail, record) if self._tail else b""

    def _passed(self, events: Iterable[Event]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            if event.done or self.ended:
                self.ended = True
                break
            if isinstance(event.data, dict):
                self._pass(event, frames)
        return b"".join(frames)

    def _pass(self, event: Event, frames: list[bytes]) -> None:
        data = event.data
        if failure_of(data) is not None:
            raise FailedReply(200, {}, json.dumps(data).encode(), streamed=True)
        chunks = self._chunks.feed(data)
        for call in _calls(chunks):
            self._calls.setdefault(*call)
        parts = [data] if self._as_it_comes else self._writer.formed(self._cut(chunks))
        # The end waits for what the answer has cost.
        if self._chunks.finished or self.ended:
            self._tail += parts
            return
        frames += [self._writer.write(part, event.raw if part == data else None) for part in parts]

    def _cut(self, chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        cutter = self._cutter
        if cutter is None:
            return chunks
        kept = []
        for chunk in chunks:
            if not self._cut_short:
                self._cut_short = _cut_chunk(chunk, cutter)
                kept.append(chunk)
        self.ended = self.ended or self._cut_short
        return kept


def _cut_chunk(chunk: Mapping[str, Any], cutter: StopCutter) -> bool:
    """Cut a chunk's text, and say whether the answer ends with it."""
    for choice in chunk["choices"]:
        delta, reason = choice.get("delta") or {}, choice.get("finish_reason")
        text = cutter.feed(delta.get("content") or "") + (cutter.finish() if reason else "")
        if text or "content" in delta:
            choice["delta"] = {**delta, "content": text}
        if cutter.found:
            choice["finish_reason"] = "stop"
    return cutter.found


def error_part(form: str, error: Exception) -> bytes:
    """Return how a stream tells of a failure after its answer has begun.

    Args:
        form: the endpoint that was called.
        error: the failure.
    """
    if isinstance(error, FailedReply):
        told = dict(failure_of(json.loads(error.data)) or {})
    elif isinstance(error, RoutedError):
        told = problem(error).error
    else:
        said = f"The provider broke off: {error or type(error).__name__}. Ask again."
        told = {"message": said, "type": "server_error", "param": None, "code": "broken_stream"}
    if form == CHAT:
        return written({"error": told}, named=False) + DONE
    return written({**told, "type": "error", "sequence_number": 0, "error": told}, named=True)


def _chunks(completion: Mapping[str, Any], asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an answer in one piece as a stream's chunks."""
    common = {name: completion.get(name) for name in ("id", "created", "model", "service_tier")}
    common["object"] = "chat.completion.chunk"
    choices = []
    for choice in completion.get("choices") or ():
        delta = {name: value for name, value in (choice.get("message") or {}).items() if value is not None}
        if delta.get("tool_calls"):
            delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(delta["tool_calls"])]
        choices.append(
            {**{name: choice.get(name) for name in ("index", "finish_reason", "logprobs")}, "delta": delta}
        )
    usage = completion.get("usage")
    if (asked.get("stream_options") or {}).get("include_usage"):
        return [{**common, "choices": choices}, {**common, "choices": [], "usage": usage}]
    return [{**common, "choices": choices, "usage": usage}]


def _calls(chunks: Iterable[Mapping[str, Any]]) -> list[tuple[int, str]]:
    return [
        (int(call.get("index") or 0), str(call["id"]))
        for chunk in chunks
        for choice in chunk.get("choices") or ()
        for call in (choice.get("delta") or {}).get("tool_calls") or ()
        if call.get("id")
    ]


def _cut(completion: Mapping[str, Any], stops: Any) -> None:
    for choice in completion.get("choices") or ():
        message, cutter = choice.get("message") or {}, StopCutter(stops)
        if isinstance(message.get("content"), str):
            message["content"] = cutter.cut(message["content"])
        if cutter.found:
            choice["finish_reason"] = "stop"


@lru_cache(maxsize=256)
def _with_baseline(policy: Policy, model: str) -> Policy:
    # The same object for the same words: a router prepares its table once for each.
    return policy.replace(baseline=model)
