"""What adapters on the SDK's own clients share; the SDK itself is theirs, and not imported here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import lru_cache, wraps
from inspect import getattr_static, signature
from itertools import chain
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from routed_llm.errors import PolicyError
from routed_llm.ledger import MemoryLedger
from routed_llm.policy import Policy
from routed_llm.request.wire import count_body

if TYPE_CHECKING:
    from routed_llm.calls.router import Router
    from routed_llm.decision import Call
    from routed_llm.recovery import Credential

__all__ = [
    "DECIDED",
    "NO_KEY",
    "SECONDS",
    "DecodedEvents",
    "LateHeaders",
    "Parts",
    "acounted",
    "client_apart",
    "counted",
    "is_untouched",
    "plainly",
    "policy_from",
    "posted",
    "shown",
    "travels",
]

NO_KEY: Final = "none"
"""Stands where an SDK wants a key and none is to be sent."""

DECIDED: Final = frozenset(
    {
        *("model", "stream", "reasoning", "reasoning_effort"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens"),
    }
)
"""Keywords that a decision writes."""

SECONDS: Final = 5.0
"""Longest wait for a count: a request is decided without it rather than late."""


_RAW: Final = "X-Stainless-Raw-Response"
_OPTIONS: Final = {
    "extra_headers": "headers",
    "extra_query": "params",
    "extra_body": "extra_json",
    "timeout": "timeout",
}
"""Keywords of the SDK's methods and what its requests call them."""


def is_untouched(part: Any) -> bool:
    """Say whether ``create`` of a resource is the SDK's own: no program's, no test's, no instrument's."""
    raw = getattr(part, "__dict__", {}).get("with_raw_response")
    return all(_is_sdks(one.create) for one in (part, raw) if one is not None)


def _is_sdks(method: Any) -> bool:
    function = getattr(method, "__func__", method)
    return type(function) is FunctionType and str(function.__globals__.get("__name__")).startswith("openai.")


def posted(
    client: Any, path: str, body: Mapping[str, Any], *, answer: Any, stream_cls: Any, raw: bool = False
) -> Any:
    """Send a body of plain data: to look for what is not takes the SDK a quarter of a call's time.

    For a long input of Responses it takes nearly all of it, 30 ms.

    Args:
        client: the SDK's client, for threads or for event loops.
        path: of the endpoint.
        body: the body, with the keywords of the SDK that steer the request.
        answer: the type of a whole answer; ``object`` for plain data.
        stream_cls: the type of a stream.
        raw: whether the answer comes with its headers.
    """
    given = {_OPTIONS[name]: body[name] for name in _OPTIONS.keys() & body.keys()}
    # Without a timeout is not without a word on it.
    options = {name: value for name, value in given.items() if value is not None or name == "timeout"}
    options["security"] = {"bearer_auth": True}  # a key for administrators is not for the endpoints
    if raw:
        options["headers"] = {**(options.get("headers") or {}), _RAW: "true"}
    return client.post(
        path,
        cast_to=answer,
        body={name: value for name, value in body.items() if name not in _OPTIONS},
        options=options,
        stream=bool(body.get("stream")),
        stream_cls=stream_cls,
    )


def plainly(part: Any, path: str, *, answer: Any, event: Any) -> None:
    """Let ``create`` of a resource send plain data as it is, and leave all else to the SDK's own.

    What a program, a test or an instrument puts in the place of the SDK's own is called as it always was.

    Args:
        part: the resource; its class stays as it is.
        path: of its endpoint.
        answer: the type of a whole answer.
        event: the type of an event of a stream.
    """
    kind = type(part)
    streams, (known, needed) = part._client._default_stream_cls[event], _keywords(kind.create)

    @wraps(kind.create)
    def create(self: Any, *args: Any, **given: Any) -> Any:
        own = getattr_static(kind, "create")
        body = {name: value for name, value in given.items() if type(value).__name__ not in _NOT_GIVEN}
        usual = not args and known >= body.keys() >= needed and _is_sdks(own)
        if usual and all(_is_plain(one) for name, one in body.items() if name not in _OPTIONS):
            return posted(self._client, path, body, answer=answer, stream_cls=streams)
        bound = own.__get__(self, kind) if hasattr(type(own), "__get__") else own
        return bound(*args, **given)

    part.create = MethodType(create, part)


@lru_cache(maxsize=64)
def _keywords(method: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Return a method's keywords, and those that must be given."""
    known = dict(list(signature(method).parameters.items())[1:])
    return frozenset(known), frozenset(name for name, one in known.items() if one.default is one.empty)


_NOT_GIVEN: Final = frozenset({"Omit", "NotGiven"})
"""Classes of what stands for nothing in the SDK's signatures."""


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(name) is str and _is_plain(one) for name, one in value.items())
    return kind in _PLAIN or (kind is list and all(map(_is_plain, value)))


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def policy_from(value: Any) -> Policy | None:
    """Make a policy of what a caller may give: a Policy, its keywords, or the path of a TOML file.

    Raises:
        PolicyError: when it is none of these, or wrong in itself.
    """
    if value is None or isinstance(value, Policy):
        return value
    if isinstance(value, Mapping):
        return Policy(**value)
    if isinstance(value, (str, bytes, os.PathLike)):
        return Policy.from_toml(os.fsdecode(value))
    raise PolicyError(
        f"policy is a {type(value).__name__}. "
        "Give a Policy, a dict of its keywords, or the path of a TOML file."
    )


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


def travels(router: Router | None) -> None:
    """Ask whether the books of a router can travel with a pickle.

    Raises:
        PolicyError: when they are in the memory of this process.
    """
    if router is not None and isinstance(router.ledger, MemoryLedger):
        raise PolicyError(
            "The budget's book is in the memory of this process and cannot travel with a pickle, "
            "whose calls it would no longer count. Keep it in a file or on a server: "
            "ledger='calls.db', or a redis:// URL.",
            key="ledger",
        )


def counted(client: Any, asked: Mapping[str, Any], model: str) -> int:
    """Return a request's input tokens as OpenAI's counting endpoint counts them for a model.

    Args:
        client: the SDK's client that would send the request.
        asked: the request, in the form of either endpoint.
        model: the name of the model.
    """
    quick = client.with_options(timeout=SECONDS, max_retries=0)
    return int(quick.responses.input_tokens.count(**count_body(asked, model)).input_tokens)


async def acounted(client: Any, asked: Mapping[str, Any], model: str) -> int:
    """Do what :func:`counted` does, without holding the event loop."""
    quick = client.with_options(timeout=SECONDS, max_retries=0)
    return int((await quick.responses.input_tokens.count(**count_body(asked, model))).input_tokens)


def client_apart(
    kind: Any, base_url: str, credential: Credential, timeout: Any, *, in_loop: bool = False
) -> Any:
    """Make a client for a model's own address, which shares nothing with those of the caller's.

    Args:
        kind: the SDK's class.
        base_url: the address.
        credential: what it is called with.
        timeout: how long to wait, as the SDK takes it.
        in_loop: whether it is a client of event loops, whose keys are awaited.
    """
    key: Any = credential.api_key
    key = (_awaited(key) if in_loop else key) if callable(key) else key or NO_KEY
    made = kind(api_key=key, base_url=base_url, timeout=timeout, max_retries=0)
    # What the SDK reads from the environment is meant for OpenAI.
    made.organization = made.project = None
    made._custom_headers = dict(credential.headers)
    return made


def _awaited(key: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    async def give() -> str:
        return await asyncio.to_thread(key)

    return give


class LateHeaders:
    """Headers that are written as httpx keeps them once more is asked for than one by its name.

    To be mixed into its class: that, and to look through them three times, takes longer than a decision.
    """

    def __init__(self, given: dict[str, str]) -> None:
        self._given = given

    def __getattr__(self, name: str) -> Any:
        given = vars(self).get("_given")
        if given is not None:
            # httpx reads headers in UTF-8 and writes them in ASCII.
            written = {name: text if text.isascii() else text.encode() for name, text in given.items()}
            super().__init__(written)  # type: ignore[call-arg] # of httpx's class
            vars(self).pop("_given", None)
        return object.__getattribute__(self, name)

    def __reduce__(self) -> tuple[type, tuple[Any]]:
        return type(self).__bases__[1], (self.raw,)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a header by its name."""
        given = vars(self).get("_given")
        return super().get(key, default) if given is None else given.get(key.lower(), default)  # type: ignore[misc] # as above


class Parts:
    """The body of an answer in parts, to be mixed into httpx's class; closing it gives the call up."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._events)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._events)

    def close(self) -> None:
        """Give the call up, unless it is over."""
        self._events.close()

    async def aclose(self) -> None:
        """Do what :meth:`close` does, in an event loop."""
        await self._events.aclose()


class DecodedEvents:
    """Reads the events of a stream for the SDK, which need not decode again what has been decoded.

    Args:
        own: what the SDK reads with; it gets what comes from elsewhere.
    """

    def __init__(self, own: Any) -> None:
        self._own = own

    def iter_bytes(self, parts: Iterator[bytes]) -> Iterator[Any]:
        """Yield the events of a body."""
        for part in parts:
            events = getattr(part, "events", None)
            if events is None:
                yield from self._own.iter_bytes(chain([part], parts))
                return
            for data in events:
                yield _Decoded(data)

    async def aiter_bytes(self, parts: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Do what :meth:`iter_bytes` does, in an event loop."""
        async for part in parts:
            events = getattr(part, "events", None)
            if events is None:
                async for event in self._own.aiter_bytes(_from(part, parts)):
                    yield event
                return
            for data in events:
                yield _Decoded(data)


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


class _Decoded:
    """An event as the SDK asks for it: it has no name that the SDK goes by, and is not its last."""

    __slots__ = ("_decoded",)
    event = None
    data = ""

    def __init__(self, decoded: Any) -> None:
        self._decoded = decoded

    def json(self) -> Any:
        return self._decoded
