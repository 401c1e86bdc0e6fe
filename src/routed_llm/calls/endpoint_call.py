"""One call to one of OpenAI's endpoints: what is sent for it, and what its caller gets. Does no I/O."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from routed_llm.calls.answers import AnswerMemory, Said
from routed_llm.calls.driver import Driven, Reading
from routed_llm.calls.plain_json import compact, strict
from routed_llm.calls.problems import problem
from routed_llm.calls.sse import DONE, Event, written
from routed_llm.calls.wired import Prepared, UsageQuestion, Wired
from routed_llm.errors import CatalogError, RoutedError
from routed_llm.exchange import check_data
from routed_llm.ledger.run import Answered
from routed_llm.recovery import RetryLimits, classify_error, fingerprint
from routed_llm.request import read_openai
from routed_llm.request.wire import (
    ITEMS,
    EventStream,
    ReasoningAside,
    count_body,
    failure_of,
    reasoning_aside,
    reasoning_back,
    reasoning_lost,
    response,
)

if TYPE_CHECKING:
    from routed_llm.calls.endpoints import Endpoints
    from routed_llm.decision import Decision
    from routed_llm.facts import Previous
    from routed_llm.record import Record
    from routed_llm.recovery import Attempts, Credential, ErrorFacts, Step
    from routed_llm.usage import Usage

__all__ = [
    "ANY",
    "AnswerStream",
    "Called",
    "EndpointCall",
    "FailedReply",
    "Last",
    "Outgoing",
    "Part",
    "Served",
    "error_part",
    "refused",
]

CHAT: Final = "chat_completions"
RESPONSES: Final = "responses"
COUNT: Final = "input_tokens"
_PATHS: Final = {CHAT: "/chat/completions", RESPONSES: "/responses", COUNT: "/responses/input_tokens"}
_DEPLOYMENT: Final = re.compile(r"/deployments/[^/]+$")
_JSON: Final = "application/json"
_SSE: Final = "text/event-stream; charset=utf-8"
_OF_THE_BODY: Final = frozenset(
    {"content-length", "content-encoding", "transfer-encoding", "connection", "content-type"}
)
_IN_HEADERS: Final = {
    name: f"x-routed-{name.replace('_', '-')}"
    for name in ("model", "effort", "endpoint", "why", "estimated_cost", "cost", "id")
}
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

    @classmethod
    def read(
        cls, url: str, content: bytes, *, key: str | None, routing: Any = None, retries: int | None = None
    ) -> Called | None:
        """Read a POST request as an HTTP client has it; None for one that is no call to an endpoint.

        Args:
            url: where it goes.
            content: its body.
            key: the header that says whose it is.
            routing: the call's own options; where left out, its body may have them.
            retries: how often a failed request may be tried again.
        """
        place = _place(url)
        if place is None:
            return None
        try:
            body = strict(content.decode())
        except ValueError:
            return None  # for the provider to refuse
        if not isinstance(body, dict):
            return None
        given = body.pop("routing", None)
        return cls(
            endpoint=place.endpoint,
            body=body,
            routing=given if routing is None else routing,
            retries=retries,
            credential=_whose(key, place.base),
            own=place.base,
        )


class _Place(NamedTuple):
    endpoint: str
    base: str
    path: str


@lru_cache(maxsize=256)
def _place(url: str) -> _Place | None:
    """Say which endpoint an address is, of what base URL, and its path there."""
    whole = url.partition("?")[0]
    at = next((name for name in (CHAT, RESPONSES) if whole.endswith(_PATHS[name])), None)
    if at is None:
        return None
    base = whole.removesuffix(_PATHS[at])
    return _Place(at, base, "/".join(["", *base.split("/")[3:]]))


@lru_cache(maxsize=256)
def _whose(*parts: str | None) -> str:
    return fingerprint(*parts)


@lru_cache(maxsize=256)
def _beside(url: str, path: str, model: str) -> str | None:
    place = _place(url)
    # On Azure the path names the deployment, and Responses has none.
    named = f"/deployments/{model}" if path == _PATHS[CHAT] else ""
    found = _DEPLOYMENT.sub(named, "" if place is None else place.path) + path
    return None if url.partition("?")[0].endswith(found) else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request to the provider.

    Attributes:
        endpoint: ``chat_completions``, ``responses`` or ``input_tokens``, which counts for Responses.
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
    def content(self) -> bytes:
        """The body as it is sent."""
        return compact(self.body, halves="replace")  # a provider may refuse them

    @property
    def path(self) -> str:
        """The endpoint's path, after the base URL."""
        return _PATHS[self.endpoint]

    def beside(self, url: str) -> str | None:
        """Return the path of this endpoint beside that of a caller's address; None where it is the same."""
        return _beside(url, self.path, self.model)

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
        raw: the body, where it is written already.
        answer: what the body is written from, if that is ever asked for.
        events: an iterator (of a synchronous call) or an asynchronous one over the parts, or None.
        error: what refused the call before it was sent, or None.
        failure: the failure that was passed on, with ``attempts`` and notes on what was tried, or None.
        seconds: how long it took until here.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = _JSON
    raw: bytes | None = None
    answer: dict[str, Any] | None = None
    events: Any = None
    error: RoutedError | None = None
    failure: Exception | None = None
    seconds: float = 0.0

    @property
    def body(self) -> bytes | None:
        """The body, or None when it comes in parts."""
        if self.raw is None and self.answer is not None:
            self.raw = compact(self.answer)
        return self.raw


class FailedReply(Exception):
    """What the provider answered in place of an answer.

    Attributes:
        status: the HTTP status.
        headers: the response's headers.
        data: the response's body, or the event that reported the failure.
        streamed: whether it came inside a stream.
        url: where the request went; empty where that is not known.
        is_response: whether the body is a Response, which says itself that it failed.
    """

    is_response = False

    def __init__(
        self, status: int, headers: Mapping[str, str], data: bytes, *, streamed: bool = False, url: str = ""
    ) -> None:
        super().__init__(f"the provider answered with status {status}")
        self.status = status
        self.headers = headers
        self.data = data
        self.streamed = streamed
        self.url = url

    def facts(self) -> ErrorFacts:
        """Say what kind of failure it is."""
        try:
            body = json.loads(self.data)
        except ValueError:
            body = None
        failure = failure_of(body) if isinstance(body, Mapping) else None
        error = dict(failure or {"message": self.data[:200].decode("utf-8", "replace")})
        status = None if self.streamed or self.status < 400 else self.status
        return classify_error({"error": error, "status": status, "headers": self.headers, "url": self.url})


def refused(error: RoutedError, seconds: float) -> Served:
    """Return the response to a call that was refused before anything was sent."""
    status, shown = problem(error)
    return Served(
        status=status,
        headers={"x-should-retry": "false"},
        answer={"error": shown},
        error=error,
        seconds=seconds,
    )


class EndpointCall:
    """One call, from its reading to its answer: what :mod:`routed_llm.calls.driver` asks an adapter.

    Requests and answers are the wire's; here they get the form of the endpoint that was called.

    Args:
        endpoints: what holds for every call.
        called: the call.

    Attributes:
        request: the request as the router reads it.
        options: what the router takes besides it.
        streams: whether its caller wants the answer in parts.
        headers: those of the last response.
        said: what is said in it.

    Raises:
        RequestError: when the body is no request.
        PolicyError: when the call's options of routing are wrong.
    """

    def __init__(self, endpoints: Endpoints, called: Called) -> None:
        self.since = time.monotonic()
        body, self.options = endpoints.searching(called), endpoints.options_of(called)
        body = reasoning_lost(reasoning_back(body), endpoints.memory.thoughts)
        self._memory, self._router = endpoints.memory, endpoints.router
        self._asked, self._form = body, called.endpoint
        turns = body.get("messages", body.get("input"))
        self._turns: Any = [{"role": "user", "content": turns}] if isinstance(turns, str) else turns
        self.said = Said(self._turns or ())
        self.request = read_openai(
            body,
            previous=self._memory.before(self._turns),
            locked_to=self._memory.author(body.get("previous_response_id")),
            emulates=("stop",),
            # What is stored can be referred to later, and only Responses stores it.
            endpoint=RESPONSES if "input" in body and body.get("store") is not False else None,
        )
        self.streams = bool(body.get("stream"))
        # A program that was written for a model without reasoning takes the first item for the message.
        self._aside = self._form == RESPONSES and not self._knows_of_reasoning()
        self.headers: Mapping[str, str] = {}
        self.again: Callable[[EndpointCall, Outgoing], Any] | None = None
        self._retries = called.retries
        # Nothing here refers to the call itself, so that it goes when it is over, without the collector.
        remember = partial(self._memory.remember, self.said)
        if self._form == RESPONSES:
            remember = partial(_remember_items, self._memory, self.said)
        self._wired = Wired(
            asked=body,
            catalog=endpoints.router.catalog,
            fails=_in_the_answer,
            remember=remember,
            question=UsageQuestion(endpoints.memory.takes_usage),
            maker=self._memory.maker,
        )
        self._sent = 0

    def _knows_of_reasoning(self) -> bool:
        """Say whether the program asks for reasoning, or was written for a model that does it."""
        included, wanted = str(self._asked.get("include") or ""), self._asked.get("reasoning") or {}
        asks = not isinstance(wanted, Mapping) or any(value is not None for value in wanted.values())
        if "reasoning" in included or asks or self._asked.get("background"):
            return True
        try:
            return self._router.catalog.get((self.options.policy or self._router.policy).baseline).reasons
        except CatalogError:
            return True

    def driven(self, decision: Decision) -> Driven:
        """Return the decided call for the driver."""
        credential, deadline = self.options.credential, self.options.deadline
        return Driven(self._router, decision, self, self._attempts, credential, deadline)

    def _attempts(self, decision: Decision, since: float) -> Attempts:
        limits = RetryLimits.from_retries(self._retries)
        return self._router.attempts(self.request, decision, self.options, limits=limits, since=since)

    # ----- what the driver asks: see routed_llm.calls.driver.Seam

    def prepare(self, decision: Decision) -> Outgoing:
        """Return what to send for a decision."""
        sent = self._outgoing(self._wired.prepare(decision), self._sent)
        self._sent += 1
        return sent

    def _outgoing(self, prepared: Prepared, attempt: int) -> Outgoing:
        call, credential = prepared.decision.call, None
        at = None if call is None else call.base_url
        if at is not None:
            credential = self._router.credential_of(prepared.decision, self.options.own)
        return Outgoing(
            endpoint=prepared.endpoint,
            body=prepared.body,
            base_url=at,
            credential=credential,
            attempt=attempt,
        )

    def question(self, model: str) -> Outgoing:
        """Return the request that asks the provider how many input tokens a model would count."""
        body = count_body(self._asked, model)
        return Outgoing(endpoint=COUNT, body=body, base_url=None, credential=None, attempt=0)

    def opened(self, decision: Decision, record: Callable[[], Record]) -> None:
        """Hear that a request is about to be sent: only a stream shows the record before its end."""
        if self.streams:
            self._wired.opened(decision, record)

    def read(self, reply: Mapping[str, Any]) -> Reading:
        """Read a whole answer.

        Raises:
            FailedReply: when it reports a failure.
        """
        try:
            reading = self._wired.read(reply)
        except FailedReply as error:
            if self._form == RESPONSES and reply.get("object") == "response":
                error.data, error.is_response = compact(reply), True
            raise
        if self._form == CHAT:
            return reading
        decision = self._wired.decision
        own = decision is not None and decision.endpoint == RESPONSES
        formed = reply if own else response(reading.answer, self._asked)
        if self._aside:
            formed = {**formed, "output": reasoning_aside(formed.get("output") or ())}
        # The wire remembers a Chat Completion; the caller gets a Response.
        return replace(reading, answer=(reading.answer, formed))

    def complete(self, answer: Any, record: dict[str, Any]) -> Served:
        """Return the response to the call, once its books are closed."""
        completion, reply = (answer, answer) if self._form == CHAT else answer
        self._wired.complete(completion, record)
        return self._response(200, record, answer={**reply, "routing": record})

    def reader(self) -> AnswerStream:
        """Return what turns the provider's stream into the caller's."""
        writer = EventWriter(self._asked, self._form, self._wired.routing)
        call = None if self._wired.decision is None else self._wired.decision.call
        stays = call is not None and call.stream and call.endpoint == self._form
        passes = stays and self._form == RESPONSES
        aside = ReasoningAside() if self._aside and passes else None
        return AnswerStream(writer, self._wired.reader(), as_it_comes=passes, stays=stays, aside=aside)

    def last(self, reader: Any, held: list[Part], record: dict[str, Any]) -> Iterable[Part]:
        """Return the end of a stream, with the record."""
        self._wired.last(reader.inner, [], record)
        end = reader.close(record)
        yield Last.joined([*held, end]) if held else end

    def pieces(self, answer: Mapping[str, Any]) -> Iterable[Event]:
        """Return a whole answer as the events of a stream."""
        return [Event(b"", chunk) for chunk in self._wired.pieces(answer)]

    def facts(self, error: Exception) -> ErrorFacts | None:
        """Say what kind of failure a response is; other errors speak for themselves."""
        return error.facts() if isinstance(error, FailedReply) else None

    def spares(self, error: Exception, known: ErrorFacts, *, openais: bool) -> bool:
        """Say whether a stream is sent again without the question for its usage."""
        return self._wired.spares(error, known, openais=openais)

    def moved(self, step: Step, decision: Decision) -> None:
        """Nothing is kept between requests."""

    def second(self, decision: Decision) -> Answered:
        """Send a shadow's sampled request."""
        if self.again is None:
            raise AssertionError("a shadow that samples needs a way to send")
        apart = Wired(asked=self._asked, catalog=self._router.catalog)
        prepared = apart.prepare(decision)
        for name in ("stream", "stream_options"):
            prepared.body.pop(name, None)  # nobody reads along
        read = apart.read(self.again(self, self._outgoing(prepared, 0)))
        return Answered(read.usage, read.served, read.text)

    # ----- responses to the call

    def streaming(self, events: Any) -> Served:
        """Return the response to the call whose answer has begun."""
        return self._response(200, self._wired.routing, content_type=_SSE, events=events)

    def failed(self, error: BaseException) -> Served:
        """Return the response to a call of which nothing came.

        Raises:
            BaseException: the error itself when it was no response.
        """
        if not isinstance(error, FailedReply):
            raise error
        kind, data = error.headers.get("content-type", _JSON), error.data
        if error.streamed and self.streams:
            kind, data = _SSE, error_part(self._form, error)
        self.headers = error.headers or self.headers
        self._wired.begin_record()
        says_so = error.is_response or kind == _SSE
        status = error.status if says_so or error.status >= 400 else 502
        served = self._response(status, self._wired.routing, content_type=kind, raw=data)
        served.failure = error
        served.headers["x-should-retry"] = "false"
        return served

    def broken(self, error: FailedReply) -> Last:
        """Return how the stream ends when it fails after its answer has begun."""
        return error_part(self._form, error)

    def _response(self, status: int, record: Mapping[str, Any], **content: Any) -> Served:
        headers = {name: value for name, value in self.headers.items() if name not in _OF_THE_BODY}
        shown = {
            header: str(value)
            for name, header in _IN_HEADERS.items()
            if (value := record.get(name)) is not None
        }
        if not ((said := "".join(shown.values())).isascii() and said.isprintable()):
            shown = {header: _in_ascii(text) for header, text in shown.items()}
        headers.update(shown)
        headers["x-routed-attempts"] = str(self._sent)
        return Served(status=status, headers=headers, seconds=time.monotonic() - self.since, **content)


def _in_ascii(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return " ".join(text.encode("ascii", "replace").decode("ascii").split())


def _remember_items(
    memory: AnswerMemory,
    said: Said,
    answer: list[Mapping[str, Any]],
    previous: Previous,
    identity: str | None,
) -> None:
    memory.remember(said, answer, previous, identity)
    kept = answer[0].get(ITEMS)
    if isinstance(kept, Mapping):
        memory.remember_items(kept.get("items") or (), previous.model)


def _in_the_answer(failure: Mapping[str, Any]) -> FailedReply:
    return FailedReply(200, {}, json.dumps({"error": failure}).encode(), streamed=True)


class Part(bytes):
    """A part of a stream.

    Attributes:
        events: the data of its events, for who need not decode them again; None where that is not known.
    """

    events: tuple[dict[str, Any], ...] | None = None

    @classmethod
    def of(cls, raw: bytes, *events: dict[str, Any]) -> Self:
        """Return a part that is written already."""
        made = cls(raw)
        made.events = events
        return made

    @classmethod
    def joined(cls, parts: Sequence[Part]) -> Self:
        """Return several parts as one."""
        return cls.of(b"".join(parts), *[event for part in parts for event in part.events or ()])


class Last(Part):
    """The last part of a stream: nothing comes after it."""


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

    def write(self, part: dict[str, Any], raw: bytes | None = None) -> Part:
        """Write a part; the first one says who answers.

        Args:
            part: the chunk or event.
            raw: how it was written before, where that may stay.
        """
        if self._record is not None:
            shown = self._with_record(part, {**self._record})
            if shown is not part:
                part, raw, self._record = shown, None, None
        return Part.of(written(part, named=not self.chat) if raw is None else raw, part)

    def last(self, parts: list[dict[str, Any]], record: Mapping[str, Any]) -> Part:
        """Write the last parts; the very last one says what it cost."""
        *before, last = parts
        last = self._with_record(last, record)
        frames = [*map(self.write, before), Part.of(written(last, named=not self.chat), last)]
        return Part.joined([*frames, Part(DONE)] if self.chat else frames)

    def _with_record(self, part: dict[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        if self.chat:
            return {**part, "routing": record}
        if not isinstance(part.get("response"), Mapping):
            return part
        return {**part, "response": {**part["response"], "routing": record}}


class AnswerStream:
    """An answer in parts, from the provider's events to the caller's bytes.

    Args:
        writer: writes them in the caller's form.
        inner: reads them, whichever endpoint they come from.
        as_it_comes: whether events are passed on as they are.
        stays: whether they come in the caller's form.
        aside: what keeps reasoning out of those, or None.

    Attributes:
        inner: what reads them.
    """

    def __init__(
        self,
        writer: EventWriter,
        inner: Any,
        *,
        as_it_comes: bool,
        stays: bool,
        aside: ReasoningAside | None = None,
    ) -> None:
        self.inner = inner
        self._aside = aside
        self._writer = writer
        self._as_it_comes = as_it_comes
        self._stays = stays and aside is None
        self._head: list[Part] = []
        self._tail: list[dict[str, Any]] = []
        self._over = False

    @property
    def usage(self) -> Usage | None:
        """What was used, as far as it has been reported."""
        found: Usage | None = self.inner.usage
        return found

    @property
    def served(self) -> str | None:
        """The model that answers, as the stream names it."""
        found: str | None = self.inner.served
        return found

    @property
    def begun(self) -> bool:
        """Whether a token of the answer has come, so that no other model can answer in its place."""
        return bool(self.inner.begun)

    @property
    def finished(self) -> bool:
        """Whether the stream has said that the answer is finished."""
        return bool(self.inner.finished)

    @property
    def done(self) -> bool:
        """Whether nothing more need be waited for: the answer was cut, or its last event has come."""
        return bool(self.inner.done) or (self._over and self.finished)

    @property
    def text(self) -> str:
        """The text that was passed on."""
        return str(self.inner.text)

    def feed(self, event: Event) -> list[Part]:
        """Take an event of the provider's and return the bytes to pass on.

        Raises:
            FailedReply: when it reports a failure.
        """
        self._over = self._over or event.done
        data, raw = event.data, event.raw
        if not isinstance(data, dict):
            return []
        if self._stays and self.inner.passes(data):
            return [Part.of(raw, data)]
        is_changed = check_data(data)
        chunks = self.inner.feed(data)
        if not self._as_it_comes:
            parts = self._writer.formed(chunks)
        else:
            parts = [data] if self._aside is None else self._aside.feed(data)
        # The end waits for what the answer has cost.
        if self.inner.finished or self.inner.done:
            self._tail += parts
            return []
        found = [self._writer.write(part, None if is_changed or part != data else raw) for part in parts]
        if not self.begun:
            self._head += found
            return []
        # What came before the first token goes out with it.
        found, self._head = self._head + found, []
        return [Part.joined(found)] if found else []

    def end(self) -> list[Part]:
        """Note that the stream has ended or was cut."""
        rest = self.inner.end()
        if not self._as_it_comes:
            self._tail += self._writer.formed(rest)
            if self.finished or self.inner.done:
                self._tail += self._writer.ending()
        return []

    def close(self, record: Mapping[str, Any]) -> Last:
        """Return the end of the stream, once the books are closed."""
        return Last.joined([*self._head, self._writer.last(self._tail, record)] if self._tail else self._head)


def error_part(form: str, error: Exception) -> Last:
    """Return how a stream reports a failure after its answer has begun.

    Args:
        form: the endpoint that was called.
        error: the failure.
    """
    if isinstance(error, FailedReply):
        failure = dict(failure_of(json.loads(error.data)) or {})
    elif isinstance(error, RoutedError):
        failure = problem(error).error
    else:
        said = f"The provider broke off: {error or type(error).__name__}. Ask again."
        failure = {"message": said, "type": "server_error", "param": None, "code": "broken_stream"}
    if form == CHAT:
        return Last(written({"error": failure}, named=False) + DONE)
    return Last(written({**failure, "type": "error", "sequence_number": 0, "error": failure}, named=True))
