"""Exchange: one request on the wire, as the HTTP client sees it, whatever SDK and framework lie above.

Between sending and a parsed answer much can go wrong that frameworks tell as a TypeError of their own, or not
at all. So what comes back is looked at where it comes in: :func:`guard_client` hangs two hooks on a client of
httpx (or httpx2), which do nothing unless an Exchange is current, and keeps event loops' connections apart.

* A redirect to another host is refused: a key goes to its own address only.
* What is no answer (an error page, half a JSON object, an error inside HTTP 200, no choices) is an
  :class:`routed_llm.errors.UnreadableAnswer`, which the SDK wraps into a connection error of its own.
* A usage that cannot be is taken out, so that nothing is booked by it.
* Nothing is read after the deadline, however slowly it drips.
* A connection is used in the event loop that it was opened in, and ends with it.
* Whether bytes went out is noted: what was never sent costs nothing, what was sent may have been billed.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from time import monotonic
from typing import Any, Final

from routed_llm.errors import RedirectRefused, UnreadableAnswer
from routed_llm.usage import MOST_TOKENS, Timing

__all__ = [
    "LONGEST",
    "Exchange",
    "check_answer",
    "check_data",
    "check_event",
    "current",
    "guard_client",
    "note_head",
]

_MOST_HOPS: Final = 5
_SHORTEST: Final = 0.001
"""Seconds of a read that may not wait: of none a socket would make a read that never blocks."""
_LINGERS: Final = 0.01
"""Seconds in which the end of a body must come whose last event has, for its connection to serve on."""
LONGEST: Final = 128 * 1024 * 1024
"""Bytes of an answer: many times what the longest text, voice or picture takes."""
_SHOWN: Final = 80
_PATHS: Final = ("/chat/completions", "/responses")
_DONE: Final = b"[DONE]"
_CONNECTED: Final = ("connection.connect_tcp.complete", "connection.connect_unix_socket.complete")
_WENT_OUT: Final = "send_request_headers.started"
_AWAITS: Final = "send_request_body.complete"

_CURRENT: Final[ContextVar[Exchange | None]] = ContextVar("routed_llm_exchange", default=None)
_LOCK: Final = threading.Lock()


class Exchange:
    """What one request may do on the wire, and what it did.

    Args:
        deadline: the moment after which nothing is read, by the clock; None for none.
        clock: seconds of a clock that only moves forward.

    Attributes:
        traced: whether the client reports what it does on its connections.
        sent: whether bytes of a request went out, as far as the client reports.
        answered: whether the head of an answer came.
        answer: a whole answer, decoded, where the hooks have looked at it; else None.
        headers: those of the answer by names in lower case, once its head has come; None before.
        hops: redirects that were followed.
        false_usage: whether the usage of the answer could not be, or was missing where it must not be.
        began: when the request was handed to the client, by the clock; None before.
        first: seconds from then to the first token of a stream; None where none came.
        whole: seconds from then to the end of an answer that came whole; None for a stream.
        meanwhile: what may as well be done while the answer is awaited, in order; nothing once it is done.
        is_looked_at: whether whoever reads the events of a stream looks at them as the hooks would.
    """

    __slots__ = (
        "answer",
        "answered",
        "began",
        "clock",
        "deadline",
        "false_usage",
        "first",
        "headers",
        "hops",
        "is_looked_at",
        "meanwhile",
        "sent",
        "traced",
        "whole",
    )

    def __init__(self, deadline: float | None = None, clock: Callable[[], float] = monotonic) -> None:
        self.deadline = deadline
        self.clock = clock
        self.traced = False
        self.sent = False
        self.answered = False
        self.answer: dict[str, Any] | None = None
        self.headers: Mapping[str, str] | None = None
        self.hops = 0
        self.false_usage = False
        self.began: float | None = None
        self.first: float | None = None
        self.whole: float | None = None
        self.meanwhile: tuple[Callable[[], object], ...] = ()
        self.is_looked_at = False

    @property
    def never_sent(self) -> bool:
        """Whether it is certain that no byte of a request went out."""
        return self.traced and not self.sent and not self.answered

    @property
    def timing(self) -> Timing:
        """How long the answer took."""
        return Timing(self.first, self.whole)

    @property
    def given_up(self) -> Timing | None:
        """How long was waited for an answer that did not begin, or None where nothing was waited for."""
        if self.began is None or self.first is not None or self.whole is not None:
            return None
        return Timing(self.clock() - self.began, None, is_censored=True)

    def current(self) -> _Current:
        """Let the requests that are begun inside the block belong to this exchange.

        The answer of a stream belongs to it wherever it is read. No block may hold a ``yield``. What may be
        done while the answer is awaited has been done at the end of a block in which nothing failed.
        """
        return _Current(self)

    @property
    def left(self) -> float | None:
        """Seconds until the deadline, or None without one."""
        return None if self.deadline is None else self.deadline - self.clock()

    def note(self, event: str) -> bool:
        """Note what a client reports of its connection, and say whether what follows is of no interest."""
        self.traced = True
        if event.endswith(_WENT_OUT):
            self.sent = True
        elif event.endswith(_AWAITS):
            self.awaits()
        return self.sent and not self.meanwhile

    def awaits(self) -> None:
        """Do what may be done while the answer is awaited, unless it has been done."""
        works, self.meanwhile = self.meanwhile, ()
        for work in works:
            work()


class _Current:
    """What a block's requests belong to: a class, since a generator takes three times as long."""

    __slots__ = ("_exchange", "_token")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __enter__(self) -> None:
        self._token = _CURRENT.set(self._exchange)

    def __exit__(self, error: object, *_: object) -> None:
        _CURRENT.reset(self._token)
        if error is None and self._exchange.meanwhile:
            self._exchange.awaits()


current: Final = _CURRENT.get
"""Returns what a request that is sent now belongs to, or None."""


def note_head(headers: Mapping[str, str]) -> tuple[Mapping[str, str], dict[str, Any] | None]:
    """Note the head of an answer; return it, and the answer where the hooks have decoded that.

    Returns:
        The headers, by names in lower case.
    """
    exchange = _CURRENT.get()
    if exchange is not None and exchange.headers is not None:  # the hooks have seen it
        return exchange.headers, exchange.answer
    lowered = {name.lower(): value for name, value in headers.items()}
    if exchange is not None:
        exchange.headers = lowered
    return lowered, None


def guard_client(client: Any) -> None:
    """Hang the hooks on a client of httpx or httpx2, once; anything else is left alone."""
    hooks = getattr(client, "event_hooks", None)
    if not isinstance(hooks, dict):
        return
    before, after = (_abefore, _aafter) if hasattr(client, "aclose") else (_before, _after)
    with _LOCK:
        if before in hooks["request"]:
            return
        hooks["request"].append(before)
        hooks["response"].append(after)
        if before is _abefore:
            _part_loops(client)


def _part_loops(client: Any) -> None:
    """Let no event loop use the connections of another."""
    from routed_llm.offloop import PerLoop  # asyncio is heavy, and loaded where there is such a client

    if PerLoop.fits(getattr(client, "_transport", None)):
        client._transport = PerLoop(client._transport)
    for pattern, transport in dict(getattr(client, "_mounts", {})).items():
        if PerLoop.fits(transport):
            client._mounts[pattern] = PerLoop(transport)


# --- what is asked of an answer: pure ---


def check_answer(raw: bytes, path: str) -> tuple[dict[str, Any], bool]:
    """Look at a whole answer.

    Args:
        raw: the body of an HTTP 200.
        path: of the address that was called.

    Returns:
        The decoded body to go on with, and whether it had to be changed.

    Raises:
        UnreadableAnswer: when it is no answer.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        shown = raw[:_SHOWN].decode("utf-8", "replace")
        raise UnreadableAnswer(f"The answer is no JSON. It begins with {shown!r}.") from None
    if not isinstance(body, dict):
        raise UnreadableAnswer(f"The answer is a JSON {type(body).__name__}, not an object.")
    if body.get("error") and body.get("object") != "response":  # one that failed is read as one
        raise _unreadable(body["error"])
    if path.endswith("/responses"):
        if not isinstance(body.get("output"), list):
            raise UnreadableAnswer("The answer has no output.")
    elif not _has_choices(body.get("choices")):
        raise UnreadableAnswer("The answer has no choices.")
    return body, check_usage(body, needed=path.endswith("/responses"))


def check_event(line: bytes) -> bytes:
    """Look at one line of a stream of events, and return the line to go on with.

    Raises:
        UnreadableAnswer: when its choices are null.
    """
    if not line.startswith(b"data:") or not (b'"usage"' in line or b'"choices"' in line):
        return line
    usual = b'"choices":[' in line or b'"choices": [' in line or b'"choices"' not in line
    if usual and (b'"usage"' not in line or b'"usage":null' in line or b'"usage": null' in line):
        return line
    try:
        body = json.loads(line[5:])
    except (ValueError, RecursionError):
        return line  # the SDK says so
    if not isinstance(body, dict):
        return line
    if not check_data(body):
        return line
    return b"data: " + json.dumps(body).encode() + b"\n"


def check_data(body: dict[str, Any]) -> bool:
    """Look at the data of an event: take a usage that cannot be out of it, and say whether there was one.

    Raises:
        UnreadableAnswer: when its choices are null.
    """
    if "choices" in body and not isinstance(body["choices"], list):
        raise UnreadableAnswer("An event of the stream has no choices.")
    response = body.get("response")
    return check_usage(response if isinstance(response, dict) else body)


def _has_choices(choices: Any) -> bool:
    if not isinstance(choices, list) or not choices:
        return False
    return all(isinstance(one, dict) and isinstance(one.get("message"), dict) for one in choices)


def check_usage(body: dict[str, Any], *, needed: bool = False) -> bool:
    """Take a usage that cannot be out of an answer; False when there is nothing to take out.

    Args:
        body: the answer.
        needed: whether one stays that counts nothing: whole answers of Responses always have one, so that
            LlamaIndex stumbles over those that have not.
    """
    usage = body.get("usage")
    if (usage is None and not needed) or (usage is not None and _is_believable(usage)):
        return False
    body["usage"] = dict(_NO_USAGE) if needed else None
    return True


def _is_believable(usage: Any) -> bool:
    """Say whether a ``usage`` object can be: counts are whole numbers from 0. Names unknown here are ignored.

    What cannot be says nothing of what a call cost, and to read it as nothing would book nothing.
    """
    if not isinstance(usage, (dict, Mapping)):
        return False
    for key, value in usage.items():
        if value is None or (type(value) is int and 0 <= value <= MOST_TOKENS):
            continue
        name = str(key)
        if name.endswith("_details") and not _is_believable(value):
            return False
        if name.endswith("_tokens") and not (_is_whole(value) and 0 <= value <= MOST_TOKENS):
            return False
    return True


def _is_whole(value: Any) -> bool:
    # Some languages have but one kind of number, and write 12.0 for 12.
    return type(value) is int or (type(value) is float and value.is_integer())


def _unreadable(error: Any) -> UnreadableAnswer:
    failure = dict(error) if isinstance(error, Mapping) else {"message": str(error)}
    said = str(failure.get("message") or failure.get("code") or "")[:_SHOWN]
    return UnreadableAnswer(f"The provider answered 200 with an error: {said!r}.", body=failure)


_NO_USAGE: Final[Mapping[str, Any]] = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


class _Lines:
    """Cuts a stream into lines, whatever chunks it comes in, and looks at them.

    Args:
        are_looked_at: whether somebody else does, so that only the last event is looked for.

    Attributes:
        are_over: whether the last event of the answer has come.
    """

    def __init__(self, *, are_looked_at: bool = False) -> None:
        self._rest = b""
        self._are_looked_at = are_looked_at
        self.are_over = False

    def feed(self, data: bytes) -> bytes:
        if self._are_looked_at and _DONE not in data:
            return data
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if _DONE in data:
            self.are_over = any(line[:5] == b"data:" and line[5:].strip() == _DONE for line in lines)
        if self._are_looked_at:
            self._rest = b""
            return data
        return b"".join(check_event(line + b"\n") for line in lines)

    def end(self) -> bytes:
        rest, self._rest = self._rest, b""
        return check_event(rest) if rest else b""


# --- the hooks ---


def _before(request: Any) -> None:
    exchange = _CURRENT.get()
    if exchange is None:
        return
    exchange.began = exchange.clock()
    if exchange.deadline is not None:
        _limit(request, exchange)
    others = request.extensions.get("trace")

    def trace(name: str, info: Any) -> None:
        if exchange.note(name) and others is None:
            # What follows is of no interest, and comes in a dozen calls.
            request.extensions.pop("trace", None)
        if others is not None:
            others(name, info)

    request.extensions["trace"] = trace


async def _abefore(request: Any) -> None:
    exchange = _CURRENT.get()
    if exchange is None:
        return
    exchange.began = exchange.clock()
    if exchange.deadline is not None:
        _limit(request, exchange)
    others = request.extensions.get("trace")

    async def trace(name: str, info: Any) -> None:
        if exchange.note(name) and others is None:
            request.extensions.pop("trace", None)
        if name in _CONNECTED:
            from routed_llm.offloop import close_with_loop  # asyncio is heavy, and loaded already here

            close_with_loop(info["return_value"])
        if others is not None:
            await others(name, info)

    request.extensions["trace"] = trace


def _limit(request: Any, exchange: Exchange) -> None:
    """Let no wait outlast the deadline: asked before a request is sent, and before its answer is read."""
    left = exchange.left
    if left is None:
        return
    if left <= 0:
        exchange.traced = True  # it is known that nothing is sent
        raise _late(request)
    given = request.extensions.get("timeout") or {}
    names = ("connect", "read", "write", "pool")
    waits = {name: given.get(name) for name in names}
    request.extensions["timeout"] = {
        name: left if wait is None else min(wait, left) for name, wait in waits.items()
    }


def _wire_of(response: Any) -> Any:
    """Return the connection of an answer, where nothing else comes on it and its reads can be limited."""
    stream = response.extensions.get("network_stream")
    usual = hasattr(type(stream), "read") and hasattr(stream, "__dict__")
    return stream if usual and response.http_version != "HTTP/2" else None


def _limited(wire: Any, exchange: Exchange) -> dict[str, Any]:
    """Let no read of an answer outlast the deadline: the client asks but once how long one may wait.

    Returns:
        What has the limit under ``read``, to be taken back.
    """
    if exchange.deadline is None or wire is None:
        return {}
    return _wait_at_most(wire, lambda: max(exchange.left or 0.0, _SHORTEST))


def _wait_at_most(wire: Any, seconds: Callable[[], float]) -> dict[str, Any]:
    """Let no read wait for longer than so many seconds; return as :func:`_limited` does."""
    limits: dict[str, Any] = vars(wire)
    read = type(wire).read

    def within(max_bytes: int, timeout: float | None = None) -> Any:
        left = seconds()
        return read(wire, max_bytes, left if timeout is None else min(timeout, left))

    limits["read"] = within
    return limits


def _late(request: Any) -> Exception:
    """Make the client's own error for an answer that does not come in time."""
    late: Exception = _library(request).ReadTimeout("The time for the whole call is over.", request=request)
    return late


def _library(of: Any) -> Any:
    return sys.modules[type(of).__module__.partition(".")[0]]


def _after(response: Any) -> None:
    exchange = _CURRENT.get()
    if exchange is None or _is_refused(response, exchange):
        return
    if exchange.deadline is not None:
        _limit(response.request, exchange)
    streams = _streams(response, exchange)
    if streams or exchange.deadline is not None:
        kind = _kinds(_library(response))[0]
        response.stream = kind(response, exchange, checked=streams and _is_plain(response))
    if not streams and _answers(response):
        _take(response, exchange, _read(response))
        _ended(exchange)


async def _aafter(response: Any) -> None:
    exchange = _CURRENT.get()
    if exchange is None or _is_refused(response, exchange):
        return
    if exchange.deadline is not None:
        _limit(response.request, exchange)
    streams = _streams(response, exchange)
    if streams or exchange.deadline is not None:
        kind = _kinds(_library(response))[1]
        response.stream = kind(response, exchange, checked=streams and _is_plain(response))
    if not streams and _answers(response):
        _take(response, exchange, await _aread(response))
        _ended(exchange)


def _read(response: Any) -> bytes:
    """Read a whole answer, as far as one can be long: a few bytes may decompress to gigabytes."""
    parts, size = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        size = _within(size + len(part))
    response._content = b"".join(parts)
    return bytes(response._content)


async def _aread(response: Any) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size = _within(size + len(part))
    response._content = b"".join(parts)
    return bytes(response._content)


def _within(size: int) -> int:
    if size > LONGEST:
        raise UnreadableAnswer(f"The answer is longer than {LONGEST:,} bytes.")
    return size


def _ended(exchange: Exchange) -> None:
    if exchange.began is not None:
        exchange.whole = exchange.clock() - exchange.began


def _is_refused(response: Any, exchange: Exchange) -> bool:
    """Note that an answer came, and say whether it is a redirect, which may not lead to another host."""
    exchange.answered, exchange.headers = True, _decoded(response.headers)
    if not (300 <= response.status_code < 400 and response.has_redirect_location):
        return False
    here = response.request.url
    there = here.join(response.headers["location"])
    if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
        raise RedirectRefused(
            f"{here.scheme}://{here.netloc.decode()} redirects to {there.scheme}://{there.netloc.decode()}, "
            "which the key is not for. Give the other address itself as base_url, with its own key.",
            here=str(here.host),
            there=str(there.host),
        )
    exchange.hops += 1
    if exchange.hops > _MOST_HOPS:
        raise RedirectRefused(
            f"{here.host} redirects again and again. Correct its address.", here=here.host, there=here.host
        )
    return True


def _decoded(headers: Any) -> Mapping[str, str]:
    """Return headers by names in lower case: httpx looks through all of them for each one."""
    raw, encoding = headers.raw, headers.encoding
    found = {name.lower().decode(encoding): value.decode(encoding) for name, value in raw}
    return found if len(found) == len(raw) else dict(headers.items())


def _answers(response: Any) -> bool:
    path: str = response.request.url.path
    return bool(response.status_code == 200) and path.endswith(_PATHS)


def _streams(response: Any, exchange: Exchange) -> bool:
    """Say whether a response comes in events: by its own word, or where it has none, by what was asked."""
    kind = (exchange.headers or {}).get("content-type", "")
    if kind.startswith("text/event-stream"):
        return _answers(response)
    if kind.startswith(("application/", "text/")):
        return False
    asked = bytes(response.request.content)
    return (b'"stream":true' in asked or b'"stream": true' in asked) and _answers(response)


def _is_plain(response: Any) -> bool:
    # What is compressed is decompressed above, out of reach: such events go by unread.
    encoding: str = response.headers.get("content-encoding", "identity")
    return encoding == "identity"


def _take(response: Any, exchange: Exchange, raw: bytes) -> None:
    exchange.answer, exchange.false_usage = check_answer(raw, response.request.url.path)
    if exchange.false_usage:
        response._content = json.dumps(exchange.answer).encode()


class _Checked:
    """A stream that ends with its exchange."""

    def __init__(self, response: Any, exchange: Exchange, *, checked: bool) -> None:
        self._inner, self._request, self._exchange = response.stream, response.request, exchange
        self._lines = _Lines(are_looked_at=exchange.is_looked_at) if checked else None
        self._wire = _wire_of(response)
        self._limits = _limited(self._wire, exchange)
        self._parts: Any = None

    def __iter__(self) -> Iterator[bytes]:
        self._parts = iter(self._inner)
        for data in self._parts:
            yield _passed(data, self._lines, self._request, self._exchange)
        if self._lines is not None:
            yield self._lines.end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._parts = aiter(self._inner)
        async for data in self._parts:
            yield _passed(data, self._lines, self._request, self._exchange)
        if self._lines is not None:
            yield self._lines.end()

    def close(self) -> None:
        try:
            if self._hurries():
                with suppress(Exception):  # it did not come: the connection is closed
                    for _ in self._parts:
                        break
        finally:
            self._limits.pop("read", None)  # the next answer on the connection has its own time
            self._inner.close()

    async def aclose(self) -> None:
        try:
            if self._hurries():
                with suppress(Exception):
                    async for _ in self._parts:
                        break
        finally:
            self._limits.pop("read", None)
            await self._inner.aclose()

    def _hurries(self) -> bool:
        """Say whether the end of the body is still to be read, and let that not be waited for long.

        The SDK leaves a stream at its last event, and with it a connection that could serve the next call.
        """
        if self._wire is None or self._parts is None or self._lines is None or not self._lines.are_over:
            return False
        self._limits = _wait_at_most(self._wire, lambda: _LINGERS)
        return True


@lru_cache(maxsize=4)
def _kinds(library: Any) -> tuple[type, type]:
    """Return the two kinds of stream for httpx or httpx2, which ask for classes of their own."""
    return type("Sync", (_Checked, library.SyncByteStream), {}), type(
        "Async", (_Checked, library.AsyncByteStream), {}
    )


def _passed(data: bytes, lines: _Lines | None, request: Any, exchange: Exchange) -> bytes:
    left = exchange.left
    if left is not None and left <= 0:
        raise _late(request)
    if lines is None:
        return data
    if exchange.first is None and exchange.began is not None and _says_something(data):
        exchange.first = exchange.clock() - exchange.began
    return lines.feed(data)


def _says_something(data: bytes) -> bool:
    """Say whether a part of a stream has a token of the answer: text or a call, not the opening or a ping."""
    if b"output_text.delta" in data or b"_arguments.delta" in data or b'"tool_calls"' in data:
        return True
    return any(said in data and said + b'"' not in data for said in _SAID)


_SAID: Final = (b'"content":"', b'"content": "')
