"""Between the SDK's HTTP and the core: a request as it was called, one as it is sent, the answer to give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import openai

from routed_llm import Called, Endpoints, Outgoing
from routed_llm.calls.late import answer_to, library_of
from routed_llm.calls.problems import with_attempts

__all__ = ["ENDPOINTS", "arespond", "called", "respond"]

ENDPOINTS: Final = ("/chat/completions", "/responses")
_COUNT: Final = "x-stainless-retry-count"


def called(
    endpoints: Endpoints, request: Any, *, routing: Any = None, retries: int | None = None
) -> Called | None:
    """Read an ``httpx.Request`` that is routed; None for one that is sent as it is."""
    if request.method != "POST":
        return None
    key = request.headers.get("authorization") or request.headers.get("api-key")
    asked = Called.read(str(request.url), request.content, key=key, routing=routing, retries=retries)
    return asked if asked is not None and endpoints.routes(asked) else None


def _outgoing(request: Any, sent: Outgoing) -> Any:
    """Return the ``httpx.Request`` of one attempt: as the caller's, but for its address and its body."""
    # None, or another number, where the caller says so
    if sent.attempt and request.headers.get(_COUNT) == str(sent.attempt - 1):
        request.headers[_COUNT] = str(sent.attempt)
    made = object.__new__(type(request))
    path, content = sent.beside(str(request.url)) if sent.base_url is None else None, sent.content
    # To make one again, and to read its address again, takes longer than the decision.
    vars(made).update(vars(request), stream=type(request.stream)(content), _content=content)
    made.extensions, headers = {**request.extensions}, request.headers
    kept = headers if sent.credential is None else type(headers)(sent.credential.on_the_wire())
    made.headers = kept.copy()
    if sent.base_url is not None:
        made.url = type(request.url)(sent.base_url.rstrip("/") + sent.path)
        made.headers["host"] = made.url.netloc.decode()
    elif path is not None:
        made.url = request.url.copy_with(path=path)
    made.headers["content-length"] = str(len(content))
    return made


# Whatever fails is raised as the SDK's own: a request, so that recovery sees what it sees with other
# adapters, and what is read of its answer, so that programs catch what they catch with openai.OpenAI.


def respond(endpoints: Endpoints, asked: Called, request: Any, send_on: Callable[[Any], Any]) -> Any:
    """Return the response to a request, made with as many requests as it takes, by `send_on`."""

    def send(sent: Outgoing) -> Any:
        try:
            return send_on(_outgoing(request, sent))
        except openai.OpenAIError:
            raise
        except Exception as error:
            raise _as_sdks(error, request) from error

    try:
        served = endpoints.respond(asked, send)
    except openai.OpenAIError:
        raise
    except Exception as error:
        raise _as_sdks(error, request) from error
    return answer_to(request, served)


async def arespond(
    endpoints: Endpoints, asked: Called, request: Any, send_on: Callable[[Any], Awaitable[Any]]
) -> Any:
    """Do what :func:`respond` does, in an event loop."""

    async def send(sent: Outgoing) -> Any:
        try:
            return await send_on(_outgoing(request, sent))
        except openai.OpenAIError:
            raise
        except Exception as error:
            raise _as_sdks(error, request) from error

    try:
        served = await endpoints.arespond(asked, send)
    except openai.OpenAIError:
        raise
    except Exception as error:
        raise _as_sdks(error, request) from error
    return answer_to(request, served)


def _as_sdks(error: Exception, request: Any) -> Exception:
    """Return a failure, whatever it is, as the SDK's own, which its retries let pass."""
    late = isinstance(error, library_of(request).TimeoutException)
    made: Any = openai.APITimeoutError if late else openai.APIConnectionError
    return with_attempts(made(request=request), error)
