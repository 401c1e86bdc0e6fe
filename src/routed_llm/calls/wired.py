"""The seam of adapters that use the SDK itself: requests and answers are plain dicts of the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from routed_llm.calls.driver import Reader, Reading
from routed_llm.cut import AnswerCutter
from routed_llm.decision import Change
from routed_llm.errors import ProviderError, UnreadableAnswer
from routed_llm.facts import Previous
from routed_llm.fields import CAPS
from routed_llm.ledger.run import Answered
from routed_llm.parameters import ENCRYPTED
from routed_llm.request.wire import (
    ITEMS,
    ChunkStream,
    chat_completion,
    failure_of,
    parameters,
    request_body,
    same_model,
)
from routed_llm.tokens.vocabulary import o200k_encoding
from routed_llm.usage import Usage, hosted_calls

if TYPE_CHECKING:
    from routed_llm.calls.answers import Made
    from routed_llm.catalog import Catalog
    from routed_llm.decision import Call, Decision
    from routed_llm.record import Record
    from routed_llm.recovery import ErrorFacts, Step

__all__ = [
    "DECIDED",
    "NO_PLACE",
    "NO_USAGE",
    "Prepared",
    "UsageQuestion",
    "Wired",
    "calls_before",
    "ends_of",
    "shown",
]

RESPONSES: Final = "responses"
_OBJECT: Final = (dict, Mapping)
"""Any mapping; most are dicts, of which it is known sooner."""
_TELLS: Final = frozenset({"error", "type", "status"})
"""What has none of these in it reports no failure."""
_REFUSALS: Final = (400, 422)
_BROKE: Final = 500
_QUESTION: Final = ("stream_options", "include_usage")
NO_USAGE: Final = "the server refuses it, so the usage and the cost of this stream are not known"
NO_PLACE: Final = {
    "chat_completions": "Chat Completions has no place for it",
    RESPONSES: "Responses has no place for it",
}
"""Why an endpoint is sent a request without something."""


DECIDED: Final = frozenset({*CAPS, "model", "stream", "reasoning", "reasoning_effort"})
"""Keywords that a decision writes."""


@dataclass(slots=True)
class UsageQuestion:
    """Whether the streams of one call are asked for their usage.

    A compatible server may refuse to be asked, or break over it. One that has answered it, and OpenAI's own,
    break for something else; so do the proxies before them, with statuses of their own.

    Attributes:
        takes: addresses to whether they can be asked; what is learned is noted there.
        hung: whether no answer came, maybe for the question: the next request is worth sending.
    """

    takes: dict[str | None, bool]
    hung: bool = False
    _address: str | None = None
    _asks: bool = False
    _spared: bool = False

    def is_put(self, address: str | None, *, asks: bool) -> bool:
        """Say whether a stream is asked.

        Args:
            address: where it is sent.
            asks: whether it may be: its caller has not said so.
        """
        self._address, self._asks = address, asks
        return asks and self.takes.get(address, not self._spared)

    def spares(self, error: Exception, known: ErrorFacts, *, openais: bool, hangs: bool = False) -> bool:
        """Say whether the stream is sent again without the question, and note it.

        Args:
            error: what was raised before a token came.
            known: what it is.
            openais: whether the answer was OpenAI's own.
            hangs: whether no answer came where some never give one; recovery sends the next request.
        """
        if self._asks and self._spared:
            self.takes.pop(self._address, None)  # it fails all the same
        if not self.is_put(self._address, asks=self._asks):
            return False
        said = f"{known.param} {known.message} {error}"
        refuses = known.status in _REFUSALS and any(name in said for name in _QUESTION)
        breaks = hangs or (known.status == _BROKE and not openais)
        self._spared = refuses or (breaks and self._address not in self.takes)
        if self._spared:
            self.takes[self._address] = False
        self.hung = self._spared and hangs
        return self._spared and not hangs

    def was_answered(self) -> None:
        """Note that the address streams to whoever asks."""
        if self._asks:
            self.takes.setdefault(self._address, True)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready.

    Attributes:
        endpoint: ``chat_completions`` or ``responses``.
        body: the body to send, as plain data.
        decision: what it was made for; its call's ``base_url`` says where it goes.
    """

    endpoint: str
    body: dict[str, Any]
    decision: Decision


@dataclass(slots=True, kw_only=True)
class Wired:
    """A call as plain dicts: what was asked in either endpoint's form, answers as Chat Completions'.

    Attributes:
        asked: what was asked; not changed.
        catalog: the models.
        send: sends a body once and returns the decoded answer: for a shadow's sampled second request.
        fails: makes the exception for an error that an answer reports in its body, such as the SDK's own.
        announce: called with each request's record, which is filled when the answer is complete.
        remember: takes the turn that an answer is, who gave it and its id, once it is complete.
        defaults: whose defaults hold for what is left out; see :func:`routed_llm.request.wire.request_body`.
        stream_usage: whether streams are asked for their usage.
        left_out: what the adapter itself left out of the request, by its place, with the reason.
        question: whether they are, as far as the call's address takes it.
        maker: returns who made the reasoning item of an id, where that is known.
        routing: the record: one dictionary for the whole call, whoever answers it.
    """

    asked: Mapping[str, Any]
    catalog: Catalog
    send: Callable[[Prepared], Mapping[str, Any]] | None = None
    fails: Callable[[Mapping[str, Any]], Exception] | None = None
    announce: Callable[[Decision, dict[str, Any]], object] | None = None
    remember: Callable[[list[Mapping[str, Any]], Previous, str | None], object] | None = None
    defaults: str | None = None
    stream_usage: bool = True
    left_out: Mapping[str, str] = field(default_factory=dict)
    question: UsageQuestion = field(default_factory=lambda: UsageQuestion({}))
    maker: Callable[[str], Made | None] | None = None
    routing: dict[str, Any] = field(default_factory=dict)
    _decision: Decision | None = field(default=None, init=False)
    _call: Any = field(default=None, init=False)
    _ends: AnswerCutter | None = field(default=None, init=False)
    _lost: dict[str, Any] = field(default_factory=dict, init=False)
    _used: Usage | None = field(default=None, init=False)

    def prepare(self, decision: Decision) -> Prepared:
        """Return the body for a decision; see :class:`routed_llm.calls.driver.Seam`."""
        call, model = decision.call, decision.model
        if call is None or model is None:
            raise AssertionError("a decision without a choice is raised before anything is sent")
        self._decision, self._call = decision, call
        # Wrong stop sequences are refused now and not once the call is sent.
        self._ends = ends_of(self._stop if "stop" in call.emulated else (), call.requested_output)
        thinks = call.endpoint == RESPONSES and self._thinks(model)
        self._lost = {}
        asks = call.stream and self.stream_usage and call.endpoint != RESPONSES
        if asks:
            options = parameters(self.asked).get("stream_options") or {}
            asks = options.get("include_usage") is None
        body = request_body(
            self.asked,
            decision,
            defaults=self.defaults,
            encrypted=thinks,
            takes=partial(self._takes, thinks=thinks),
            stream_usage=self.question.is_put(call.base_url, asks=asks),
            left_out=self._lost,
        )
        if asks and "include_usage" not in body.get("stream_options", ()):
            self._lost["stream_options"] = {"include_usage": True}
        return Prepared(call.endpoint, body, decision)

    def _thinks(self, model: str) -> bool:
        """Say whether a model gives and takes encrypted reasoning on Responses."""
        # A model that was added to the catalog while this call was being read has no rule here.
        known = self.catalog.find(model)
        rule = None if known is None else known.parameters.get(RESPONSES, {}).get(ENCRYPTED)
        return rule is None or rule.accept != "no"

    def _takes(self, item: Mapping[str, Any], *, thinks: bool) -> bool:
        """Say whether the chosen model takes reasoning up: in its encrypted form, only its own."""
        known = self.maker(str(item.get("id"))) if self.maker and item.get("encrypted_content") else None
        return thinks and (known is None or same_model(known.model, self._call.model))

    @property
    def decision(self) -> Decision | None:
        """What was prepared last, or None."""
        return self._decision

    def spares(self, error: Exception, known: ErrorFacts, *, openais: bool) -> bool:
        """Say whether a stream fails for the question for its usage; see :class:`Seam`."""
        return self.question.spares(error, known, openais=openais)

    @property
    def _stop(self) -> Any:
        return parameters(self.asked).get("stop")

    def read(self, answer: Mapping[str, Any]) -> Reading:
        """Read a whole answer of either endpoint as a Chat Completion."""
        self.check(answer)
        completion: Mapping[str, Any] = answer
        if self._call.endpoint == RESPONSES:
            completion = chat_completion(answer)
        if not completion.get("choices"):
            raise UnreadableAnswer("The answer has no choices.")
        hosted = hosted_calls(answer) if self._call.endpoint == RESPONSES else ()
        usage = self._used = _usage(completion.get("usage"), completion.get("service_tier"), hosted)
        if self._ends is not None:
            completion = cut_answer(completion, self._ends, usage)
        message = completion["choices"][0].get("message") or {}
        text = str(message.get("content") or message.get("refusal") or "")
        return Reading(completion, usage, completion.get("model"), text)

    def check(self, reply: Mapping[str, Any]) -> None:
        """Raise what an answer or an event reports as a failure.

        Raises:
            Exception: that failure.
        """
        if not isinstance(reply, _OBJECT):
            raise UnreadableAnswer(f"The answer is a {type(reply).__name__}, not an object.")
        failure = None if _TELLS.isdisjoint(reply) else failure_of(reply)
        if failure is None:
            if not all(isinstance(choice, _OBJECT) for choice in reply.get("choices") or ()):
                raise UnreadableAnswer("The choices of the answer are no objects.")
            return
        if self.fails is not None:
            raise self.fails(failure)
        message = failure.get("message") or "The provider failed and gave no reason."
        raise ProviderError(f"{message} Try again.")

    def reader(self) -> Reader:
        """Return what reads a stream of what was prepared."""
        options = parameters(self.asked).get("stream_options") or {}
        stream = ChunkStream(
            self._call.endpoint if self._call.stream else "chat_completions",
            usage_apart=bool(options.get("include_usage")),
        )
        ends = self._ends if self._call.stream else None
        return _WireReader(self, stream, ends, parameters(self.asked).get("n") or 1)

    def pieces(self, answer: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """Return a whole answer as one chunk."""
        completion = self.read(answer).answer
        choices = [
            {
                "index": choice.get("index", 0),
                "delta": {
                    **choice["message"],
                    "tool_calls": [
                        {"index": at, **call}
                        for at, call in enumerate(choice["message"].get("tool_calls") or ())
                    ],
                },
                "finish_reason": choice.get("finish_reason"),
                "logprobs": choice.get("logprobs"),
            }
            for choice in completion["choices"]
        ]
        yield {**completion, "object": "chat.completion.chunk", "choices": choices}

    def complete(self, answer: Mapping[str, Any], record: dict[str, Any]) -> Any:
        """Fill the record in and note who answered."""
        self._record(record)
        choices = answer.get("choices")
        if choices:
            self._remember(choices[0].get("message") or {}, self._used, answer.get("id"))
        return answer

    def last(self, reader: Any, held: list[Any], record: dict[str, Any]) -> Iterable[Any]:
        """Fill the record in, note who answered, and pass on what was held back."""
        self._record(record)
        self.question.was_answered()
        self._remember(reader.message, reader.usage, reader.id)
        return held

    def _record(self, record: dict[str, Any]) -> None:
        """Fill the record in: its changes are the decision's, and what writing the request left out."""
        if self.left_out or self._lost:
            why = {**self.left_out, **dict.fromkeys(self._lost, NO_PLACE[self._call.endpoint])}
            if "stream_options" in self._lost:
                why["stream_options"] = NO_USAGE
            lost = [Change(at, "dropped", self._lost.get(at), None, why[at]).to_dict() for at in why]
            record["changes"] = [*record["changes"], *lost]
        self.routing.update(record)

    def _remember(self, message: Mapping[str, Any], usage: Usage | None, identity: str | None) -> None:
        decision = self._decision
        if self.remember is None or decision is None or decision.model is None:
            return
        previous = Previous(
            model=decision.model,
            effort=decision.effort,
            endpoint=decision.endpoint,
            prefix_tokens=usage.input_tokens if usage else 0,
        )
        self.remember([message], previous, identity)

    def opened(self, decision: Decision, record: Callable[[], Record] | None = None) -> None:
        """Begin the record, and announce who is asked."""
        self.begin_record(record or decision.record)
        if self.announce is not None:
            self.announce(decision, self.routing)

    def begin_record(self, record: Callable[[], Record] | None = None) -> None:
        """Let the record say who is asked, until it says who answered."""
        self.routing.clear()
        if self._decision is not None:
            self._record({**(record or self._decision.record)()})

    def moved(self, step: Step, decision: Decision) -> None:
        """Nothing is kept between requests."""

    def facts(self, error: Exception) -> ErrorFacts | None:
        """Leave what an error is to the core."""
        del error
        return None

    def second(self, decision: Decision) -> Answered:
        """Send a shadow's sampled request."""
        if self.send is None:
            raise AssertionError("a shadow that samples needs a way to send")
        apart = Wired(asked=self.asked, catalog=self.catalog, fails=self.fails, defaults=self.defaults)
        prepared = apart.prepare(decision)
        for name in ("stream", "stream_options"):
            prepared.body.pop(name, None)  # nobody reads along
        read = apart.read(self.send(prepared))
        return Answered(read.usage, read.served, read.text)


def shown(parameters: Mapping[str, Any], call: Call, *, kept: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the keywords of a decided call as traces, hooks and caches see them.

    Values are as the caller gave them; what the decision changed is replaced, added or left out.

    Args:
        parameters: what was asked.
        call: what was decided.
        kept: names of what no decision changes.
    """
    found = {
        name: value
        for name, value in parameters.items()
        if name in kept or not (name in DECIDED or name in call.dropped)
    }
    found.update(
        {
            name: value
            for name, value in call.parameters.items()
            if name not in DECIDED and (name == "include" or name not in parameters)
        }
    )
    if call.cap is not None:
        # Under the name that was given; each endpoint has its own.
        found["max_completion_tokens" if "max_completion_tokens" in parameters else "max_tokens"] = call.cap
    if call.endpoint == "responses":
        reasoning = {**(call.parameters.get("reasoning") or {})}
        if call.effort is not None:
            reasoning["effort"] = call.effort
        if reasoning:
            found["reasoning"] = reasoning
    elif call.effort is not None:
        found["reasoning_effort"] = call.effort
    return found


def ends_of(stop: Any, most: int | None) -> AnswerCutter | None:
    """Return what ends the answers to a call: each takes its own :meth:`following`. None where nothing does.

    Args:
        stop: what ``stop`` was set to, where no model takes it; else nothing.
        most: :attr:`routed_llm.Call.requested_output`.

    Raises:
        RequestError: when ``stop`` is no string and no list of strings.
    """
    if not stop and most is None:
        return None
    return AnswerCutter(stop or (), most=most, encoding=o200k_encoding)


def cut_answer(
    completion: Mapping[str, Any], ends: AnswerCutter | None, usage: Usage | None
) -> Mapping[str, Any]:
    """Return a Chat Completion whose texts end where they were asked to."""
    choices = completion.get("choices") or ()
    if ends is None or (len(choices) == 1 and ends.is_within(usage)):
        return completion
    return {**completion, "choices": [_cut(choice, ends.following()) for choice in choices]}


def _cut(choice: Mapping[str, Any], cutter: AnswerCutter) -> dict[str, Any]:
    message = dict(choice.get("message") or {})
    kept = cutter.cut(str(message.get("content") or ""))
    if not cutter.found:
        return dict(choice)
    before = calls_before(message, len(kept))
    bare = {key: value for key, value in message.items() if key not in ("tool_calls", ITEMS)}
    calls = {"tool_calls": before} if before else {}
    return {**choice, "message": {**bare, "content": kept, **calls}, "finish_reason": cutter.why}


def calls_before(message: Mapping[str, Any], length: int) -> list[Any]:
    """Return the calls that were made before so much text was said; the items of an answer have the order."""
    made, text = set(), 0
    for item in (message.get(ITEMS) or {}).get("items") or ():
        if item.get("type") == "message":
            text += sum(len(part.get("text") or "") for part in item.get("content") or ())
        if text > length:
            break
        made.add(item.get("call_id"))
    return [call for call in message.get("tool_calls") or () if call.get("id") in made]


class _WireReader:
    """Reads one stream of the wire."""

    def __init__(self, wired: Wired, stream: ChunkStream, ends: AnswerCutter | None, answers: int) -> None:
        self._wired = wired
        self._stream = stream
        self._ends = ends
        self._answers = answers  # how many there are to be, one beside another
        self._cutters: dict[int, AnswerCutter] = {}  # by an answer's index
        self._text: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._items: Any = None
        self._done = False

    @property
    def done(self) -> bool:
        return self._done

    @property
    def usage(self) -> Usage | None:
        return _usage(self._stream.usage, self._stream.service_tier, self._stream.hosted)

    @property
    def served(self) -> str | None:
        return self._stream.model

    @property
    def id(self) -> str | None:
        return self._stream.id

    @property
    def begun(self) -> bool:
        return self._stream.begun

    @property
    def finished(self) -> bool:
        return self._stream.finished

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def message(self) -> dict[str, Any]:
        """The answer as the message that a next request would repeat."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self._calls:
            message["tool_calls"] = [self._calls[at] for at in sorted(self._calls)]
        return message if self._items is None else {**message, ITEMS: self._items}

    def passes(self, piece: Mapping[str, Any]) -> bool:
        """Take a piece that brings nothing but text and stays as it is; False for another, which is fed."""
        text = None if self._ends is not None else self._stream.only_text(piece)
        if text is None:
            return False
        self._text.append(text)
        return True

    def feed(self, piece: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        self._wired.check(piece)
        return self._noted(self._stream.feed(piece))

    def end(self) -> list[Mapping[str, Any]]:
        return [] if self._done else self._noted(self._stream.end())

    def _noted(self, chunks: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        noted = []
        for chunk in chunks:
            if self._done:
                break
            for passed in [chunk] if self._ends is None else self._cut(chunk, self._ends):
                for choice in passed.get("choices") or ():
                    if not choice.get("index"):
                        self._note(choice.get("delta") or {})
                noted.append(passed)
        return noted

    def _note(self, delta: Mapping[str, Any]) -> None:
        said = delta.get("content") or delta.get("refusal")
        if said:
            self._text.append(said)
        self._items = delta.get(ITEMS) or self._items
        for call in delta.get("tool_calls") or ():
            kind = "custom" if "custom" in call else "function"
            held = self._calls.setdefault(
                call.get("index") or 0, {"id": call.get("id"), "type": kind, kind: {}}
            )
            for name, value in (call.get(kind) or {}).items():
                held.setdefault(kind, {})[name] = (held[kind].get(name) or "") + (value or "")

    def _cut(self, chunk: Mapping[str, Any], ends: AnswerCutter) -> list[Mapping[str, Any]]:
        """Return a chunk with what of its text is certain to stay; the end is a chunk of its own.

        Programs stop reading where a finish reason stands: with the provider no text comes with it.
        """
        choices = []
        for choice in chunk.get("choices") or ():
            cutter = self._cutters.setdefault(choice.get("index") or 0, ends.following())
            if cutter.why:
                continue
            delta = dict(choice.get("delta") or {})
            kept = cutter.feed(str(delta.get("content") or ""))
            if choice.get("finish_reason"):
                kept += cutter.finish()
            if kept or "content" in delta:
                delta["content"] = kept
            if cutter.found:
                delta = {name: value for name, value in delta.items() if name in ("role", "content")}
                choice = {**choice, "finish_reason": cutter.why}
            choices.append({**choice, "delta": delta})
        if chunk.get("choices") and not choices:
            return []  # of an answer that has ended already
        self._done = sum(cutter.found for cutter in self._cutters.values()) >= self._answers
        if not any(choice.get("finish_reason") and choice["delta"].get("content") for choice in choices):
            return [{**chunk, "choices": choices}]
        said, ended = [], []
        for choice in choices:
            last = dict(choice["delta"])
            text = {name: last.pop(name) for name in ("role", "content") if name in last}
            said.append({**choice, "delta": text, "finish_reason": None})
            ended.append({**choice, "delta": last, "logprobs": None})
        begun = {**chunk, "choices": said, **({"usage": None} if "usage" in chunk else {})}
        return [begun, {**chunk, "choices": ended}]


def _usage(counts: Any, tier: str | None, hosted: tuple[tuple[str, str, int], ...] = ()) -> Usage | None:
    if not isinstance(counts, Mapping) or not counts:
        return None
    return Usage.from_openai(counts, service_tier=tier, hosted=hosted)
