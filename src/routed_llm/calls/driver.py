"""The way of one call from its decision to its answer, written once. It does no I/O itself (as in h11).

:func:`flow` and :func:`stream_flow` are generators. They yield what is to be done and are sent what came of
it, by ``send`` or, when it failed, by ``throw``; :mod:`routed_llm.calls.runners` does it, for threads and for
event loops. So what happens between a decision and an answer (reserving, sending, recovering, settling,
learning, rollout) stands here and nowhere else, and is the same for all four ways of calling.

======================  =====================================================================================
yielded                 to be done, and what is sent back
======================  =====================================================================================
:class:`Send`           send what was prepared: the answer, or nothing once a stream is open
:data:`NEXT`            the next piece of the open stream, or :data:`END`
:data:`CLOSE`           return the connection of the open stream, if one is open
:class:`Give`           pass a piece of the answer on to the reader
:class:`Keep`           do this bookkeeping, which waits for a disk or a network: what it returns
:class:`Wait`           wait
======================  =====================================================================================

**To adopt it, an adapter writes a** :class:`Seam`: short methods that say what to send for a decision, what
an answer holds and how a record is attached to it. Everything else is here. A framework that makes its calls
through objects of its own (a ``ChatOpenAI`` for each model) prepares the keywords for these and sends them
in the function that it gives the runner; one that uses the SDK itself takes
:class:`routed_llm.calls.wired.Wired`. Then each entry point of the framework is one line, such as::

    run(flow(Driven(router, decision, seam, attempts)), lambda prepared: child._generate(**prepared))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from routed_llm.errors import IncompleteStream
from routed_llm.usage import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from routed_llm.calls.parsed import ParsedCall
    from routed_llm.calls.router import Router
    from routed_llm.decision import Decision
    from routed_llm.exchange import Exchange
    from routed_llm.ledger.run import Answered, Run
    from routed_llm.record import Record
    from routed_llm.recovery import Attempt, Attempts, ErrorFacts, Step
    from routed_llm.recovery.ratelimits import Ticket

__all__ = [
    "CLOSE",
    "END",
    "NEXT",
    "Driven",
    "Effect",
    "Give",
    "GivenUp",
    "Keep",
    "Reader",
    "Reading",
    "Seam",
    "Send",
    "Wait",
    "flow",
    "stream_flow",
]


class GivenUp(GeneratorExit):
    """The reader of a stream left; a plain ``GeneratorExit`` says that the flow itself is ended."""


class Send(NamedTuple):
    """Send a request.

    Attributes:
        prepared: what :meth:`Seam.prepare` made.
        stream: whether the answer is read piece by piece.
        exchange: what the request may do on the wire, and what it did.
    """

    prepared: Any
    stream: bool
    exchange: Exchange


class Give(NamedTuple):
    """Pass a piece of the answer on."""

    item: Any


class Wait(NamedTuple):
    """Wait before the next request."""

    seconds: float


class Keep(NamedTuple):
    """Do some bookkeeping that waits, to its end, whatever becomes of whoever waits for it.

    Attributes:
        work: does it.
        opens: whether it returns a Run that must be cancelled when nobody is there any more to take it.
    """

    work: Callable[[], Any]
    opens: bool = False


class _Mark:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


NEXT: Final = _Mark("NEXT")
CLOSE: Final = _Mark("CLOSE")
END: Final = _Mark("END")

_OPENAIS: Final = frozenset({"openai-version", "openai-processing-ms"})
"""Headers of OpenAI's own answers."""
_LOOK: Final = 0.25
"""Seconds after which a call that would be late first looks for another model; then after twice as many."""

Effect: TypeAlias = "Send | Give | Wait | Keep | _Mark"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a whole answer holds.

    Attributes:
        answer: the answer, in the form that it is given to the caller.
        usage: what the provider reported, or None.
        served: the model id that the answer names, or None.
        text: its text.
    """

    answer: Any
    usage: Usage | None = None
    served: str | None = None
    text: str = ""


class Reader(Protocol):
    """What has come of a stream."""

    @property
    def usage(self) -> Usage | None:
        """What was reported until now, or None."""

    @property
    def served(self) -> str | None:
        """The model id that the stream names, or None."""

    @property
    def begun(self) -> bool:
        """Whether a token of the answer has come: until then another model may answer instead."""

    @property
    def finished(self) -> bool:
        """Whether the stream has said that the answer is finished."""

    @property
    def done(self) -> bool:
        """Whether the rest is of no interest: the answer was cut here."""

    @property
    def text(self) -> str:
        """The text that was passed on."""

    def feed(self, piece: Any) -> Iterable[Any]:
        """Take a piece and return what to pass on now.

        Raises:
            Exception: when it reports a failure of the provider.
        """

    def end(self) -> Iterable[Any]:
        """Return what was held back, now that the stream has ended or been cut."""


class Seam(Protocol):
    """What an adapter gives the driver: how its framework's calls are made and read."""

    def prepare(self, decision: Decision) -> Any:
        """Return what to send for a decision; asked again when another model takes over."""

    def read(self, answer: Any) -> Reading:
        """Read a whole answer.

        Raises:
            Exception: when it reports a failure of the provider, or is no answer.
        """

    def reader(self) -> Reader:
        """Return what reads the stream of what was prepared last."""

    def complete(self, answer: Any, record: dict[str, Any]) -> Any:
        """Return a whole answer with the record attached, and note who gave it."""

    def last(self, reader: Reader, held: list[Any], record: dict[str, Any]) -> Iterable[Any]:
        """Return what to pass on at the end of a stream: what was held back, with the record."""

    def pieces(self, answer: Any) -> Iterable[Any]:
        """Return a whole answer as the pieces of a stream, for a model that cannot stream."""

    def opened(self, decision: Decision, record: Callable[[], Record]) -> None:
        """Hear that a request is sent: before it is, or for a stream while its beginning is awaited.

        Args:
            decision: what it was made for.
            record: makes a copy of the record, as far as it is known.
        """

    def facts(self, error: Exception) -> ErrorFacts | None:
        """Say what an error is where the adapter knows better than the core; else None."""

    def spares(self, error: Exception, known: ErrorFacts, *, openais: bool) -> bool:
        """Say whether a stream that failed is sent again, without what nobody had asked to send with it.

        Args:
            error: what was raised before a token came.
            known: what it is.
            openais: whether the answer was OpenAI's own.
        """

    def moved(self, step: Step, decision: Decision) -> None:
        """Hear that a request failed and what is sent next."""

    def second(self, decision: Decision) -> Answered:
        """Send a shadow's sampled second request in a thread of its own and return what came back."""


@dataclass(slots=True)
class Driven:
    """One decided call on its way.

    Attributes:
        router: keeps the books.
        decision: what was decided; the one that is sent, when another model takes over.
        seam: how the call is made and read.
        attempts: begins to keep the failures of the call, which began at that time of the clock.
        credential: whose key and address it is sent with.
        deadline: seconds within which the whole answer is wanted, the moment by which it is, or None.
        clock: seconds of a clock that only moves forward.
    """

    router: Router
    decision: Decision
    seam: Seam
    attempts: Callable[[Decision, float], Attempts]
    credential: str = ""
    deadline: float | datetime | None = None
    clock: Callable[[], float] = time.monotonic
    sent: bool = field(default=False, init=False)
    record: Mapping[str, Any] | None = field(default=None, init=False)
    """What was settled, once the answer is complete."""
    _failures: Attempts | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)

    @classmethod
    def of(cls, call: ParsedCall, decision: Decision, seam: Seam) -> Driven:
        """Return a call that was read, and what was decided for it, on its way."""
        options = call.options
        return cls(call.router, decision, seam, call.attempts, options.credential, options.deadline)

    @property
    def failures(self) -> tuple[Attempt, ...]:
        """The requests that have failed, oldest first."""
        return () if self._failures is None else self._failures.failures

    @property
    def streams(self) -> bool:
        """Whether the answer is streamed: some models cannot."""
        return self.decision.call is not None and self.decision.call.stream

    def moved(self, step: Step) -> None:
        """Take over what is sent next."""
        if self._failures is not None:
            self.decision = self._failures.decision
        self.seam.moved(step, self.decision)

    def _send(self, prepared: Any, run: Run, *, stream: bool = False) -> Send:
        opened = partial(self.seam.opened, self.decision, run.ahead.glance)
        run.exchange.meanwhile = (opened, run.ahead) if stream else (run.ahead,)
        if not stream:
            opened()
        self.sent = True
        return Send(prepared, stream, run.exchange)

    def _begin(self, ticket: Ticket | None = None) -> Flow:
        self.sent = False
        begin = partial(
            self.router.begin,
            self.decision,
            since=self._since,
            deadline=self.deadline,
            credential=self.credential,
            ticket=ticket,
        )
        return self._keep(begin, opens=True)

    def _keep(self, work: Callable[[], Any], *, opens: bool = False) -> Flow:
        """Do some bookkeeping: here, unless it may wait for a disk or a network."""
        return (yield Keep(work, opens)) if self.router.ledger.blocks else work()

    def _failed(
        self, error: Exception, run: Run | None, reader: Reader | None = None, *, started: bool = False
    ) -> Flow:
        if self._failures is None:
            self._failures = self.attempts(self.decision, self._since)
        if run is not None:
            run.exchange.awaits()
            self._heard(run)
        facts = self.seam.facts(error)
        usage, served = _reported_by(error) if reader is None else (reader.usage, reader.served)
        return self._keep(
            partial(
                self._failures.failed,
                error,
                started=started,
                facts=facts,
                run=run,
                usage=usage,
                served=served,
            )
        )

    def _spared(self, error: Exception, run: Run | None) -> Flow | None:
        """Close the books of a stream that is sent again without what it failed for; None where it is not."""
        if run is None:
            return None
        # Loaded when something has failed, as recovery is.
        from routed_llm.recovery import ErrorKind, classify_error
        from routed_llm.recovery.attempts import end

        known = classify_error(error, answered=run.exchange.answered)
        if known.kind is ErrorKind.FOREIGN:
            known = self.seam.facts(error) or known
        headers = run.exchange.headers  # without any nothing is known of who has answered
        openais = headers is None or any(name in _OPENAIS for name in headers)
        if not self.seam.spares(error, known, openais=openais):
            return None
        return self._keep(partial(end, run, known))

    def _abandoned(self, error: BaseException, run: Run, reader: Reader | None = None) -> Flow:
        """Close the books of a request whose answer nobody waits for: once it is sent, it may be billed."""
        if not self.sent:
            return self._closed(error, run.cancel)
        if reader is None:
            return self._closed(error, run.abandon)
        return self._closed(error, partial(run.abandon, reader.usage, served=reader.served))

    def _closed(self, error: BaseException, close: Callable[[], Any]) -> Flow:
        """Have the books of a call closed that nobody waits for."""
        # Where the flow itself is ended, it must not yield: it is collected before what drives it.
        return close() if type(error) is GeneratorExit else (yield from self._keep(close))

    def _heard(self, run: Run, *, came: bool = False) -> None:
        """Take to the router what the head of an answer says of the rate limits.

        Args:
            run: the request's.
            came: whether an answer came; where its head is not known, as from a stand-in for the SDK's
                client, it says nothing of limits, which counts, too.
        """
        headers, run.exchange.headers = run.exchange.headers, None
        if headers is None and came:
            headers = {}
        if headers is not None:
            self.router.heard(run, headers)

    def _settled(self, run: Run, usage: Usage | None, served: str | None, text: str) -> Flow:
        """Close the books of an answer that is complete, and return its record with what was tried before."""
        settle = partial(run.settle, usage, served=served)
        record = (yield Keep(settle)) if self.router.ledger.blocks else settle()
        if self._failures is None:
            self.router.answered(self.decision, credential=self.credential)
            record["attempts"] = []
        else:
            self._failures.answered()
            record = self._failures.record(record)
        self.record = record
        if run.offers:
            run.offer(self.seam.second, text)
        return record


def _reported_by(error: Exception) -> tuple[Usage | None, str | None]:
    """Return what the answer reported that an error was raised for: the SDK refuses one that was cut."""
    answer = getattr(error, "completion", None)
    usage = getattr(answer, "usage", None)
    if usage is None:
        return None, None
    tier = getattr(answer, "service_tier", None)
    return Usage.from_openai(usage.model_dump(), service_tier=tier), getattr(answer, "model", None)


Flow: TypeAlias = Generator[Effect, Any, Any]


def flow(call: Driven) -> Flow:
    """Drive a call for a whole answer, and return it.

    Raises:
        Exception: the call's first error, when nothing that may be done would help.
    """
    return _traced(call, _flow(call))


def _traced(call: Driven, way: Flow) -> Flow:
    telemetry = call.router.telemetry
    return way if telemetry is None else telemetry.traced(call, way)


def _flow(call: Driven) -> Flow:
    call._since = call.clock()
    while True:
        run: Run | None = None
        try:
            prepared = call.seam.prepare(call.decision)
            run = yield from call._begin()
            if run.pause:
                run = yield from _in_line(call, run)
                prepared = call.seam.prepare(call.decision)
            answer = yield call._send(prepared, run)
            call._heard(run, came=True)
            reading = call.seam.read(answer)
        except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
            step = yield from call._failed(error, run)
        except BaseException as error:
            if run is not None:
                yield from call._abandoned(error, run)
            raise
        else:
            record = yield from call._settled(run, reading.usage, reading.served, reading.text)
            return call.seam.complete(reading.answer, record)
        yield from _moved(call, step)


def stream_flow(call: Driven) -> Flow:
    """Drive a call for a stream: it is passed on from its first token; until then another model may answer.

    Raises:
        Exception: the call's first error, when nothing that may be done would help; once tokens have been
            passed on, whatever ends the stream.
    """
    return _traced(call, _stream_flow(call))


def _stream_flow(call: Driven) -> Flow:
    call._since = call.clock()
    while True:
        attempt = _Attempt()
        try:
            yield from _streamed(call, attempt)
        except Exception as error:  # noqa: BLE001 - recovery raises what is not for it
            yield from _closing(call, attempt)
            spared = None if attempt.passed else call._spared(error, attempt.run)
            if spared is not None:
                yield from spared
                continue
            step = yield from call._failed(error, attempt.run, attempt.reader, started=attempt.passed)
        except BaseException as error:
            if type(error) is not GeneratorExit:
                yield from _closing(call, attempt)
            if attempt.run is not None:
                yield from call._abandoned(error, attempt.run, attempt.reader)
            raise
        else:
            return
        yield from _moved(call, step)


def _closing(call: Driven, attempt: _Attempt) -> Flow:
    """Have what is read closed; who is cancelled meanwhile, or dropped, leaves no books open."""
    try:
        yield CLOSE
    except BaseException as error:
        if attempt.run is not None:
            yield from call._abandoned(error, attempt.run, attempt.reader)
        raise


@dataclass(slots=True)
class _Attempt:
    """One attempt at a stream.

    Attributes:
        run: its books, while they are open.
        reader: what has come of it.
        passed: whether anything was passed on.
    """

    run: Run | None = None
    reader: Reader | None = None
    passed: bool = False


def _streamed(call: Driven, attempt: _Attempt) -> Flow:
    """Make one attempt at a stream."""
    prepared = call.seam.prepare(call.decision)
    reader = attempt.reader = call.seam.reader()
    run = attempt.run = yield from call._begin()
    if run.pause:
        run = attempt.run = yield from _in_line(call, run)
        prepared = call.seam.prepare(call.decision)
        reader = attempt.reader = call.seam.reader()
    answer = yield call._send(prepared, run, stream=call.streams)
    whole = None if call.streams else iter([*call.seam.pieces(answer)])
    held: list[Any] = []
    unheard = True
    while not reader.done:
        piece = (yield NEXT) if whole is None else next(whole, END)
        if piece is END:
            break
        if unheard:
            call._heard(run, came=True)
            unheard = False
        held.extend(reader.feed(piece))
        if attempt.passed or reader.begun or reader.done:
            ready, held, attempt.passed = held, [], True
            for one in ready:
                yield Give(one)
    yield CLOSE
    held.extend(reader.end())
    if not (reader.finished or reader.done):
        raise IncompleteStream(received=reader.text if attempt.passed else "")
    attempt.passed = True
    # With what a shadow samples: who has read the end may not come back for more.
    record = yield from call._settled(run, reader.usage, reader.served, reader.text)
    attempt.run = None  # its books are closed: whoever leaves now changes nothing
    for one in call.seam.last(reader, held, record):
        yield Give(one)


def _in_line(call: Driven, run: Run) -> Flow:
    """Wait until a request has room; where that takes too long, go where there is room sooner."""
    first, line = run, _Line(call, run.need is None)
    try:
        while run.pause and run.ticket is not None:
            if line.widens(run):
                line.able = yield Keep(line.choices.able)
                call.router.widen(run, line.able, credential=call.credential)
            seconds = run.ticket.look(run.pause)
            yield Wait(seconds)
            line.waited += seconds
            run.pause, ticket = call.router.turn(run), run.ticket
            if (other := line.elsewhere(run, ticket)) is not None:
                given = ticket if ticket.is_granted and other.model == ticket.model else None
                if given is None:
                    call.router.leave_line(run)
                yield from call._keep(run.cancel)
                call.decision = other
                call.seam.prepare(other)
                run = yield from call._begin(given)
    except BaseException as error:
        call.router.leave_line(run)
        if run is not first:  # whose books are the caller's to close
            yield from call._closed(error, run.cancel)
        raise
    return run


class _Line:
    """Where a request that waits for room looks for it.

    Args:
        call: whose it is.
        crowded: whether it may go to whichever model has room first, without looking for a better one.
    """

    def __init__(self, call: Driven, crowded: bool) -> None:
        self.call = call
        self.choices = call._failures or call.attempts(call.decision, call._since)
        self.able: tuple[Decision, ...] = ()
        self.waited, self._looks, self._crowded = 0.0, _LOOK, crowded

    def widens(self, run: Run) -> bool:
        """Say whether it should go to whichever model has room first, from now on."""
        if not (run.late and self._crowded) or run.is_wide or self.call.decision.trial is not None:
            return False
        run.is_wide = True
        return True

    def elsewhere(self, run: Run, ticket: Ticket) -> Decision | None:
        """Return what to send in the decision's place, or None to stay."""
        call = self.call
        if ticket.model != call.decision.model:  # where room is held for it
            other = next((one for one in self.able if one.model == ticket.model), None)
            gone = other is None or call.router.cools(other, credential=call.credential)
            return call.decision if gone else other
        if not (run.pause and run.late) or self._crowded or self.waited < self._looks:
            return None
        self._looks *= 2
        other = self.choices.again()
        if other is not None and other.model != call.decision.model and call.router.is_shorter(other, run):
            return other
        # Where nothing is sure to be in time, whatever has room is the quickest.
        self._crowded = other is None or any(one.parameter == "deadline" for one in other.changes)
        return None


def _moved(call: Driven, step: Step) -> Flow:
    """Move on to what is sent next, or raise."""
    if step.error is not None:
        raise step.error
    call.moved(step)
    if step.delay:
        yield Wait(step.delay)
