"""The gateway as an ASGI application."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from routed_llm.budget import budgets_from
from routed_llm.calls.endpoint_call import Called, Last, error_part
from routed_llm.calls.endpoints import Endpoints
from routed_llm.calls.options import CallOptions
from routed_llm.calls.plain_json import compact, strict
from routed_llm.calls.problems import problem
from routed_llm.calls.router import Router
from routed_llm.decide.piecewise import remember
from routed_llm.errors import LedgerError, RoutedError
from routed_llm.gateway.answers import SharedAnswers
from routed_llm.gateway.journal import open_journaled
from routed_llm.gateway.keys import Key, KeyStore
from routed_llm.gateway.metrics import Metrics
from routed_llm.gateway.protocol import WATCH
from routed_llm.gateway.upstream import TransportError, Upstream
from routed_llm.policy import Policy
from routed_llm.prometheus import Meters
from routed_llm.recovery import fingerprint
from routed_llm.request.wire import REASONING
from routed_llm.telemetry import only_metrics

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from routed_llm.gateway.settings import Settings

__all__ = ["make_app"]

_LOG: Final = logging.getLogger("uvicorn.error")
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_ITS_OWN: Final = frozenset(
    {"content-encoding", "content-length", "transfer-encoding"}
    | {"connection", "keep-alive", "date", "set-cookie"}
    | {"access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"}
)
"""Headers of the provider's that say something of its connection or to its client, which is the gateway.

So do those that let pages read an answer: the key that it was asked with is not the page's.
"""
_CALLS: Final = {"/v1/chat/completions": "chat_completions", "/v1/responses": "responses"}
_AT_ONCE: Final = 16
"""Streams that go on in one turn of the event loop: with fewer, first tokens come sooner, for more turns."""
_ADMIN: Final = ("/organization", "/projects")
"""What an API key of the operator may open and no key of the gateway does."""


class Refusal(Exception):
    """A request that is refused, in the form in which OpenAI's API refuses one."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, "param": None, "code": code}


class ClientLeft(Exception):
    """The client went away."""


def make_app(settings: Settings, *, router: Router | None = None) -> Starlette:
    """Return the application.

    Args:
        settings: where it stands and what it allows.
        router: what decides and keeps the books, in place of the settings' ledger, budgets and day.

    Raises:
        PolicyError: when the policy, a budget or a key's settings are wrong.
        LedgerError: when the ledger or the file of keys cannot be used.
    """
    return Gateway(settings, router=router).app


class App(Starlette):
    """An application that is asked for calls before Starlette looks for a route.

    Args:
        serve: serves a call to an endpoint, as an ASGI application.
        options: what Starlette takes.
    """

    def __init__(self, serve: Callable[[str, Scope, Receive, Send], Awaitable[None]], **options: Any) -> None:
        super().__init__(**options)
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        endpoint = _CALLS.get(scope.get("path", "")) if scope.get("method") == "POST" else None
        if endpoint is None:
            await super().__call__(scope, receive, send)
        else:
            await self._serve(endpoint, scope, receive, send)


class Call(Request):
    """A request whose headers are read once: Starlette looks through all of them for each one."""

    @cached_property
    def headers(self) -> dict[str, str]:  # type: ignore[override] # nothing but look-ups is done with them
        """The headers, by names in lower case; of several with one name the first."""
        return {
            name.decode("latin-1"): value.decode("latin-1") for name, value in self.scope["headers"][::-1]
        }


class Turns:
    """Lets few streams go on in one turn of the event loop, so that the first tokens of others come before.

    Where the rest of an answer is there already, to pass it on takes the time of another's first token.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def mine(self) -> None:
        """Wait for one's turn; whoever is cancelled meanwhile goes on with what is there, and then is."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._next, loop)
        self._waiting.append(turn := loop.create_future())
        try:
            await turn
        except asyncio.CancelledError:
            here = asyncio.current_task()
            if here is None or here.uncancel():
                raise
            loop.call_soon(here.cancel)  # what has come is read first, so that it is booked as it was

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            if not (turn := self._waiting.popleft()).done():  # who waited may be gone
                turn.set_result(None)
        if self._waiting:
            loop.call_soon(self._next, loop)


class Gateway:
    """One process of a gateway."""

    def __init__(self, settings: Settings, *, router: Router | None = None) -> None:
        self.settings = settings
        at = None if settings.at is None else date.fromisoformat(settings.at)
        self._router = router or Router(
            ledger=None if settings.ledger is None else open_journaled(settings.ledger),
            budgets=budgets_from(settings.budgets),
            clock=None if at is None else lambda: at,
        )
        self._answers = None if settings.shared is None else SharedAnswers(Path(settings.shared) / "answers")
        self._endpoints = Endpoints.make(router=self._router, policy=settings.policy)
        if self._answers is not None:
            self._endpoints = replace(self._endpoints, memory=self._answers)
        self._policy = self._endpoints.options.applied_to(self._router.policy)
        self._keys = None if settings.keys is None else KeyStore(settings.keys)
        self._of_keys: dict[int, tuple[Key, CallOptions]] = {}
        self._upstream = Upstream(settings.upstream, settings.upstream_key)
        self._metrics = Metrics()
        self._turns = Turns()
        if self._router.telemetry is None:
            self._router.observed_by(only_metrics(Meters(self._metrics.registry)))
        every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        self.app = App(
            self._serve,
            routes=[
                Route("/health", self._guarded(self._health, opened=True)),
                Route("/metrics", self._guarded(self._show_metrics)),
                Route("/v1/routing/explain", self._guarded(self._explain), methods=["POST"]),
                Route("/v1/models", self._guarded(self._models)),
                Route("/v1/models/{model}", self._guarded(self._model)),
                Route("/v1/{path:path}", self._guarded(self._pass), methods=every),
                Route("/{path:path}", self._guarded(self._unknown, opened=True), methods=every),
            ],
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _refused_by_route, Exception: _failed},
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        del app
        self._upstream.open()
        await asyncio.to_thread(self._recover)
        await asyncio.to_thread(self._router.warmup)
        try:
            yield
        finally:
            await self._upstream.close()
            self._router.ledger.close()
            if self._keys is not None:
                self._keys.close()
            if self._answers is not None:
                self._answers.close()

    def _recover(self) -> None:
        """Book what was under way in processes that died."""
        recover = getattr(self._router.ledger, "recover", None)
        if recover is not None:
            try:
                recover()
            except LedgerError as error:
                _LOG.warning("%s What was under way in a process that died is looked for again later.", error)

    # ----- who calls

    def _guarded(
        self, answer: Callable[[Request, Key | None], Awaitable[Response]], *, opened: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                key = None if opened else self._key(request)
                return await answer(request, key)
            except Refusal as error:
                return refusal(error)
            except RoutedError as error:
                return JSONResponse(problem(error).body, problem(error).status)
            except ClientDisconnect:
                return Response(status_code=499)

        return guarded

    def _key(self, request: Request) -> Key | None:
        """Return whose request it is.

        Raises:
            Refusal: when it is nobody's.
        """
        if self._keys is None:
            # A page in a browser on this machine must not be able to call: it cannot send these.
            origin = request.headers.get("origin", "")
            here = _is_local(request.headers.get("host", ""))
            if not here or (origin and not _is_local(origin.partition("://")[2])):
                raise Refusal(403, "This gateway has no keys, so only programs on its machine may call it.")
            return None
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        key = self._keys.find(secret.strip() if scheme.lower() == "bearer" else None)
        if key is None:
            said = "Incorrect API key provided." if secret else "You didn't provide an API key."
            raise Refusal(
                401,
                f"{said} Give a key of this gateway in an Authorization header: Bearer rk-...",
                code="invalid_api_key",
            )
        return key

    # ----- what is routed

    async def _serve(self, endpoint: str, scope: Scope, receive: Receive, send: Send) -> None:
        request = Call(scope, receive)
        self._metrics.began()
        left = False
        try:
            key = self._key(request)
            called = self._called(endpoint, request, key, await self._body(request))
            await _while_there(scope, receive, self._answer(called, request, send))
        except Refusal as error:
            await refusal(error)(scope, receive, send)
        except RoutedError as error:
            await JSONResponse(problem(error).body, problem(error).status)(scope, receive, send)
        except (ClientLeft, ClientDisconnect):
            left = True
        except TransportError as error:
            await refusal(_unreachable(error))(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - ours: its place is in the log, and the client gets an answer
            _LOG.exception("A call failed")
            await refusal(_own_failure(error))(scope, receive, send)
        finally:
            self._metrics.ended(left=left)

    def _called(self, endpoint: str, request: Request, key: Key | None, body: dict[str, Any]) -> Called:
        said = body.pop("routing", None)
        routing = None if said is None else CallOptions.read(said)
        if key is not None:
            held = self._held_by(key)
            if routing is not None:
                routing.applied_to(self._policy)  # refuses wrong words, although the key's policy holds
            routing = held if routing is None else held.over(routing)
        return Called(
            endpoint=endpoint,
            body=body,
            routing=routing,
            retries=self.settings.retries,
            credential=_named(self._upstream.whose(request.headers), self.settings.upstream),
            own=self.settings.upstream,
        )

    def _held_by(self, key: Key) -> CallOptions:
        """Return what holds for a key's calls, the same object each time."""
        found = self._of_keys.get(id(key))
        if found is None or found[0] is not key:
            found = (key, key.options(self._policy))
            remember(self._of_keys, id(key), found)
        return found[1]

    async def _body(self, request: Request) -> dict[str, Any]:
        """Return the body of a request.

        Raises:
            Refusal: when it is too large, too slow or no JSON object.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "The body is not application/json. Send it with that Content-Type.")
        return _parsed(await self._read(request))

    async def _read(self, request: Request) -> bytes:
        largest = self.settings.largest
        too_large = Refusal(
            413, f"The body is larger than {largest} bytes. Send less, or raise --max-body.", code="too_large"
        )
        coding = request.headers.get("content-encoding", "").lower()
        if coding not in ("", "identity"):
            raise Refusal(415, f"The body is compressed ({coding}). Send it as it is.")
        announced = request.headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > largest:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.settings.patience):
                async for part in request.stream():
                    parts.append(part)
                    size += len(part)
                    if size > largest:
                        raise too_large
        except TimeoutError:
            raise Refusal(
                408, f"The body did not come within {self.settings.patience:g} seconds. Send it faster."
            ) from None
        return b"".join(parts)

    async def _answer(self, called: Called, request: Request, send: Send) -> None:
        """Answer a call: in parts as they come, where they do, and no faster than the client takes them."""
        served = await self._endpoints.arespond(called, partial(self._upstream.send, headers=request.headers))
        self._metrics.served(served)
        headers = {name: value for name, value in served.headers.items() if name not in _ITS_OWN}
        headers["content-type"] = served.content_type
        if served.body is not None:
            headers["content-length"] = str(len(served.body))
        raw = [_header(name, value) for name, value in headers.items()]
        head = {"type": "http.response.start", "status": served.status, "headers": raw}
        if served.body is not None:
            await send(head)
            await send({"type": "http.response.body", "body": served.body})
            return
        async with aclosing(_ended(served.events, called.endpoint)) as events:
            await send(head)
            begun = False
            async for part in events:
                await send({"type": "http.response.body", "body": part, "more_body": type(part) is not Last})
                if not begun:
                    begun = True
                    await self._turns.mine()

    async def _explain(self, request: Request, key: Key | None) -> Response:
        body = await self._body(request)
        called = self._called("", request, key, body)
        decision = self._endpoints.explain(called.body, routing=called.routing)
        return JSONResponse(decision.to_dict())

    # ----- the rest

    async def _models(self, request: Request, key: Key | None) -> Response:
        return JSONResponse({"object": "list", "data": [*self._listed(key).values()]})

    async def _model(self, request: Request, key: Key | None) -> Response:
        name, catalog = request.path_params["model"], self._router.catalog
        listed = self._listed(key)
        found = listed.get(name) or (listed.get(catalog.get(name).id) if name in catalog else None)
        if found is None:
            raise Refusal(
                404, f"The model '{name}' does not exist here. See GET /v1/models.", code="model_not_found"
            )
        return JSONResponse({**found, "id": name})  # a dated name is as good

    def _listed(self, key: Key | None) -> dict[str, dict[str, Any]]:
        policy = self._policy if key is None else key.options(self._policy).applied_to(Policy())
        names = self._router.models(policy)
        return {name: {"id": name, "object": "model", "created": 0, "owned_by": "openai"} for name in names}

    async def _pass(self, request: Request, key: Key | None) -> Response:
        """Pass a request on that is not routed, and its answer back, both as they come."""
        raw = request.scope.get("raw_path") or request.url.path.encode()
        path = raw.decode("latin-1").removeprefix("/v1")
        if ".." in path or "%2e" in path.lower():
            raise Refusal(
                404, f"Unknown request URL: {request.method} {request.url.path}.", code="unknown_url"
            )
        if key is not None and (not key.passes or path.startswith(_ADMIN)):
            raise Refusal(
                403,
                f"The key {key.name!r} may not call {request.url.path}, which no budget counts. "
                "Ask whoever runs this gateway.",
                code="not_allowed",
            )
        if request.url.query:
            path = f"{path}?{request.url.query}"
        data = await self._read(request) if request.method not in ("GET", "HEAD", "DELETE") else None
        if data and REASONING.encode() in data and path.startswith("/responses/"):  # counted, or compacted
            data = compact(self._endpoints.passed_on(_parsed(data)))
        try:
            answer = await self._upstream.send_on(request.method, path, request.headers, data)
        except TransportError as error:
            raise _unreachable(error) from error
        return Passed(answer)

    async def _health(self, request: Request, key: Key | None) -> Response:
        """Say whether calls can be served: that the ledger, if it must be asked, answers."""
        try:
            await asyncio.to_thread(self._router.ledger.remaining, (), at=datetime.now(UTC))
        except RoutedError as error:
            return JSONResponse({"status": "failing", "ledger": str(error)}, 503)
        return JSONResponse({"status": "ok"})

    async def _show_metrics(self, request: Request, key: Key | None) -> Response:
        return Response(self._metrics.page(), media_type="text/plain; version=0.0.4")

    async def _unknown(self, request: Request, key: Key | None) -> Response:
        raise _unknown_url(request)


class Passed(Response):
    """An answer that is passed on as it comes."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        raw = [
            _header(name.lower(), value)
            for name, value in self._answer.headers.items()
            if name.lower() not in _ITS_OWN
        ]
        with suppress(ClientLeft):
            await _while_there(scope, receive, self._parts(raw, send))

    async def _parts(self, raw: list[tuple[bytes, bytes]], send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self._answer.status, "headers": raw})
            await send({"type": "http.response.body", "body": b"", "more_body": True})  # the head, at once
            async for data in self._answer.content.iter_any():
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._answer.close()


def _header(name: str, value: str) -> tuple[bytes, bytes]:
    """Return a header of the provider's as it came."""
    return name.encode(), value.encode("utf-8", "surrogateescape")  # as aiohttp reads them


async def _ended(events: AsyncGenerator[bytes, None], endpoint: str) -> AsyncGenerator[bytes, None]:
    """Yield the parts of an answer, and a failure as the last one: it can only be shown there."""
    part = b""
    async with aclosing(events):
        try:
            async for part in events:
                yield part
        except Exception as error:  # noqa: BLE001 - whatever it was
            part = error_part(endpoint, error)
            yield part
    if type(part) is not Last:
        yield Last()


def _parsed(data: bytes) -> dict[str, Any]:
    """Return a body's object.

    Raises:
        Refusal: when it is none.
    """
    try:
        body = strict(data.decode(json.detect_encoding(data)))
    except (ValueError, RecursionError) as error:
        raise Refusal(
            400, f"We could not parse the JSON body of your request: {error}. Send a JSON object."
        ) from None
    if not isinstance(body, dict):
        raise Refusal(400, "The JSON body of your request is no object. Send a JSON object.")
    return body


def _refused_by_route(request: Request, error: Exception) -> JSONResponse:
    status = getattr(error, "status_code", 500)
    said = f"{request.method} {request.url.path} is not served: {getattr(error, 'detail', error)}."
    if request.method == "OPTIONS":  # a browser's question before a page's call
        said = "No page in a browser may call this gateway. Let a program or the page's own server call it."
    return refusal(Refusal(status, said, code="unknown_url"))


def _failed(_: Request, error: Exception) -> JSONResponse:
    return refusal(_own_failure(error))


def refusal(error: Refusal) -> JSONResponse:
    """Return the response that refuses a request."""
    headers = {"x-should-retry": "false"} if error.status < 500 else {}
    return JSONResponse({"error": error.error}, error.status, headers)


def _unknown_url(request: Request) -> Refusal:
    said = f"Unknown request URL: {request.method} {request.url.path}. Paths begin with /v1."
    return Refusal(404, said, code="unknown_url")


def _unreachable(error: Exception) -> Refusal:
    return Refusal(
        502, f"The provider broke off: {error}. Try again.", code="unreachable", kind="server_error"
    )


def _own_failure(error: Exception) -> Refusal:
    said = f"The gateway failed: {type(error).__name__}. Its log says where."
    return Refusal(500, said, code="gateway_failed", kind="server_error")


def _is_local(host: str) -> bool:
    return (host.rsplit(":", 1)[0] if "]" not in host else host.partition("]")[0]).strip("[]") in _LOCAL


async def _while_there(scope: Scope, receive: Receive, work: Awaitable[Any]) -> Any:
    """Return what a coroutine returns; stop it when the client goes away.

    Raises:
        ClientLeft: when it went away.
    """
    here, left = asyncio.current_task(), False

    def leave() -> None:
        nonlocal left
        left = True
        if here is not None:
            here.cancel()

    done = scope[WATCH](leave) if WATCH in scope else _watched(receive, leave)
    try:
        return await work
    except asyncio.CancelledError:
        if left and here is not None and here.uncancel() == 0:
            raise ClientLeft from None
        raise
    finally:
        done()


def _watched(receive: Receive, leave: Callable[[], None]) -> Callable[[], object]:
    """Call a function when the client goes away, whatever server this runs on, and return what ends that."""

    async def watch() -> None:
        with suppress(Exception):
            while (await receive())["type"] != "http.disconnect":
                pass
        leave()

    return asyncio.ensure_future(watch()).cancel


@lru_cache(maxsize=256)
def _named(*credential: str) -> str:
    return fingerprint(*credential)
