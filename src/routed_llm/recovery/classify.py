"""From an exception, or plain data, to ErrorFacts. Reads attributes; imports no SDK and no framework.

The tables follow the error bodies that public threads quote from the live API (each is named in the
simulator's ``data/errors.toml``). ``code`` is null for several of them, and since openai 3.38 an
exception's ``str()`` no longer holds the body; so what counts is the status, the ``type``, the
``code``, the ``param`` and how the message begins, in that order of trust.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from routed_llm.fields import CAPS
from routed_llm.recovery.facts import ErrorFacts, ErrorKind, told_tokens

__all__ = ["classify_error"]

_K = ErrorKind

_BY_CODE: Final[Mapping[str, ErrorKind]] = {
    "insufficient_quota": _K.QUOTA,
    "billing_hard_limit_reached": _K.QUOTA,
    "billing_not_active": _K.QUOTA,
    "context_length_exceeded": _K.CONTEXT,
    "model_not_found": _K.NOT_FOUND,
    "DeploymentNotFound": _K.NOT_FOUND,
    "invalid_api_key": _K.AUTHENTICATION,
    "content_policy_violation": _K.CONTENT,
    "content_filter": _K.CONTENT,
    "moderation_blocked": _K.CONTENT,
    "invalid_prompt": _K.CONTENT,
    "unsupported_model": _K.ENDPOINT,
    "unsupported_parameter": _K.PARAMETER,
    "unsupported_value": _K.PARAMETER,
    "rate_limit_exceeded": _K.RATE_LIMIT,
    "server_error": _K.SERVER,
    "server_is_overloaded": _K.SERVER,
    "slow_down": _K.SERVER,
    "image_too_large": _K.MODALITY,
    "invalid_encrypted_content": _K.STATE,
}

# How a message begins, for errors whose code is null or says too little.
_BY_MESSAGE: Final[tuple[tuple[str, ErrorKind], ...]] = (
    ("Request too large", _K.TOO_LARGE),
    ("You exceeded your current quota", _K.QUOTA),
    ("This model's maximum context length", _K.CONTEXT),
    ("Input tokens exceed the configured limit", _K.CONTEXT),
    ("Your input exceeds the context window", _K.CONTEXT),
    ("max_tokens is too large", _K.OUTPUT_CAP),
    ("Could not finish the message because max_tokens", _K.CUT_SHORT),
    ("This model is only supported in v1/", _K.ENDPOINT),
    ("This is not a chat model", _K.ENDPOINT),
    ("Invalid content type. image_url is only supported", _K.MODALITY),
    ("This model does not support image_url", _K.MODALITY),
    ("This model requires that either input content or output modality contain audio", _K.MODALITY),
    ("Unsupported parameter:", _K.PARAMETER),
    ("Unsupported value:", _K.PARAMETER),
    ("Function tools with reasoning_effort are not supported", _K.PARAMETER),
    ("Model incompatible request argument", _K.PARAMETER),
    ("Item with id '", _K.STATE),
    ("The encrypted content ", _K.STATE),
    ("Reasoning input items can only be provided to", _K.STATE),
    ("Encrypted content is not supported with this model", _K.PARAMETER),
)
_IN_MESSAGE: Final[tuple[tuple[str, ErrorKind], ...]] = (
    ("Content blocks are expected to be either text or image_url type", _K.MODALITY),
    ("' was provided without its required '", _K.STATE),
    ("was provided without its required following item", _K.STATE),
    ("not supported with the Responses API", _K.ENDPOINT),
)

_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    401: _K.AUTHENTICATION,
    403: _K.AUTHENTICATION,
    408: _K.TIMEOUT,
    409: _K.SERVER,
    429: _K.RATE_LIMIT,
}
_BY_TYPE: Final[Mapping[str, ErrorKind]] = {
    "insufficient_quota": _K.QUOTA,
    "server_error": _K.SERVER,
    "tokens": _K.RATE_LIMIT,
    "requests": _K.RATE_LIMIT,
    "rate_limit_error": _K.RATE_LIMIT,
    "authentication_error": _K.AUTHENTICATION,
    "invalid_request_error": _K.INVALID,
}

# Classes that tell by their name alone, most telling first; names are looked for among all bases.
_BY_CLASS: Final[Mapping[str, ErrorKind]] = {
    "IncompleteStream": _K.INCOMPLETE,
    "UnreadableAnswer": _K.UNREADABLE,
    "RedirectRefused": _K.REDIRECT,
    "DecodingError": _K.UNREADABLE,
    "ContentFilterFinishReasonError": _K.CONTENT,
    "StreamChunkTimeoutError": _K.TIMEOUT,
    "APITimeoutError": _K.TIMEOUT,
    "ModelTimeoutError": _K.TIMEOUT,
    "TimeoutException": _K.TIMEOUT,
    "APIConnectionError": _K.CONNECTION,
    "ModelConnectionError": _K.CONNECTION,
    "TransportError": _K.CONNECTION,
    "APIResponseValidationError": _K.UNREADABLE,
}
_HOMES: Final = frozenset(
    {"openai", "httpx", "httpx2", "httpcore", "httpcore2", "langchain_openai", "langchain_core", "routed_llm"}
)
"""Packages whose exceptions may be the provider's; the same name elsewhere means something else."""

_NEVER_SENT: Final = frozenset(
    [
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "UnsupportedProtocol",
        "LocalProtocolError",
        "InvalidURL",
    ]
)
"""Errors of the HTTP client before a byte of the request went out."""
_UNSURE_KINDS: Final = frozenset({_K.TIMEOUT, _K.CONNECTION, _K.INCOMPLETE, _K.UNREADABLE})
_UNSURE_STATUS: Final = frozenset({408, 499, 502, 504, 520, 521, 522, 523, 524, 525, 526, 527, 529})
"""What a gateway answers in place of a server that may be at work, or have been."""

_PARSERS: Final = ("openai", "langchain_openai", "llama_index.llms.openai", "httpx", "httpx2", "httpcore")
"""Packages that turn bytes into an answer. What they stumble over in an answer is the answer's fault."""
_NO_PARSERS: Final = ("openai.lib", "langchain_openai.chat_models._client_utils")
"""Parts of these that read what the model wrote, or run what a program gave them."""
_READS_TEXTS: Final = ("openai.lib._parsing",)
"""Parts of these that read what the model wrote, with whatever they call."""
_STUMBLES: Final = (TypeError, ValueError, KeyError, IndexError, AttributeError)

# How addresses tell that they do not have an endpoint, where that is not a plain 404 or 405.
_NO_SUCH: Final = re.compile(
    r"responses? api\b.*\b(?:enabled|supported|available|exist)"
    r"|\b(?:unknown|invalid|unsupported|unrecognized|no such|not a valid) (?:request )?"
    r"(?:url|uri|route|path|endpoint|api)\b"
    r"|\b(?:url|route|path|endpoint|operation)\b.*\b(?:not (?:found|supported|implemented|exist)|unknown)"
    r"|missing scopes?: api\.responses"
    r"|/responses\b",
    re.IGNORECASE | re.DOTALL,
)
_NO_MODEL: Final = re.compile(
    r"\b(?:model|deployment)\b.{0,120}\b(?:(?:does|do) not (?:exist|have access)|not (?:found|exist))",
    re.I | re.S,
)
_NOT_HERE: Final = frozenset({400, 401, 403, 404, 405, 410, 501})

_OPENAI: Final = re.compile(r"https://(?:[a-z]+\.)?api\.openai\.com(?::443)?/")

_LONGEST_WAIT: Final = 30 * 86_400.0
"""Seconds: what asks for more, or for ever, is in records that have to be JSON."""
_WAIT: Final = re.compile(r"try again in ((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)", re.IGNORECASE)
_WAIT_SECONDS: Final = re.compile(r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?) seconds?", re.IGNORECASE)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.IGNORECASE)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def classify_error(
    error: BaseException | Mapping[str, Any], *, started: bool = False, answered: bool = False
) -> ErrorFacts:
    """Say what an error is.

    Args:
        error: an exception of either major of the openai SDK, of its HTTP client, of langchain-openai or
            of LlamaIndex; or plain data: an error body (with or without its ``error`` envelope), to
            which ``status`` and ``headers`` may be added.
        started: whether tokens of the answer had been passed on.
        answered: whether the head of an answer had come, so that what an SDK or a framework stumbles over is
            that answer.
    """
    if isinstance(error, Mapping):
        inner = error.get("error")
        body = inner if isinstance(inner, Mapping) else error
        status = error.get("status", error.get("status_code"))
        url = str(error.get("url") or "")
        place, complete = error.get("endpoint") or _place(url), _OPENAI.match(url) is not None
        headers = _headers(error.get("headers"))
        facts = _facts(body, _number(status), headers, place, complete=complete)
        return replace(facts, started=started, unsure=_is_unsure(facts))
    facts = _of_exception(error, answered=answered)
    return replace(facts, started=started, name=type(error).__name__, unsure=_is_unsure(facts, error))


def _is_unsure(facts: ErrorFacts, error: BaseException | None = None) -> bool:
    """Say whether a request may have been carried out although no answer was seen.

    The provider bills answers: its own error in place of one, which has a type or a code, costs nothing. An
    error page without them was written by what stands before it, which may have lost an answer.
    """
    if any(name in _NEVER_SENT for cause in _causes(error) for name in _families(cause)):
        return False
    if facts.kind in _UNSURE_KINDS:
        return True
    # Inside a stream there is no status: the request was taken on, and what came of it is not known.
    of_provider = facts.status is not None and bool(facts.type or facts.code)
    return facts.kind is _K.SERVER and (not of_provider or facts.status in _UNSURE_STATUS)


def _of_exception(error: BaseException, *, answered: bool) -> ErrorFacts:
    if isinstance(error, _STUMBLES) and _stumbled(error, answered=answered):
        return ErrorFacts(kind=_K.UNREADABLE, message=f"{type(error).__name__} over the answer: {error}")
    known = _families(error)
    if not isinstance(error, Exception) or not known:
        return ErrorFacts(kind=_K.FOREIGN, message=str(error))
    # An SDK makes one error of many; what lies behind it says more.
    for cause in _causes(error):
        body = getattr(cause, "body", None)
        if type(cause).__name__ == "UnreadableAnswer" and isinstance(body, Mapping):
            facts = _facts(body, None, {}, _endpoint(error))
            return replace(facts, unsure=True)
        families = _families(cause)
        for name in ("UnreadableAnswer", "RedirectRefused", "DecodingError"):
            if name in families:
                return ErrorFacts(kind=_BY_CLASS[name], message=str(cause), endpoint=_endpoint(error))
    message = str(getattr(error, "message", None) or error)
    for name, kind in _BY_CLASS.items():
        if name in known:
            return ErrorFacts(kind=kind, message=message, endpoint=_endpoint(error))
    status = _number(getattr(error, "status_code", None))
    if status is None and "APIError" not in known:
        return ErrorFacts(kind=_K.FOREIGN, message=str(error))
    response = getattr(error, "response", None)
    headers = _headers(getattr(response, "headers", None))
    return _facts(_body(error, message), status, headers, _endpoint(error), complete=_is_openais(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Give an exception and what it was raised from, the latest first."""
    found = error
    for _ in range(8):
        if found is None:
            return
        yield found
        found = found.__cause__


def _stumbled(error: BaseException, *, answered: bool) -> bool:
    """Say whether an answer could not be read: the same error of a program is its own.

    The innermost frame that is not Python's own shows who raised it. Without an answer those packages may as
    well have stumbled over the request, unless it was over an event of a stream.
    """
    trace, inner, of_text = error.__traceback__, "", False
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__"))
        of_text = of_text or _under(name, _READS_TEXTS)
        top = name.partition(".")[0]
        inner = inner if top in sys.stdlib_module_names or top.startswith("pydantic") else name
        trace = trace.tb_next
    if inner == "openai._streaming":
        return True
    return answered and not of_text and _under(inner, _PARSERS) and not _under(inner, _NO_PARSERS)


def _under(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def _families(error: BaseException) -> frozenset[str]:
    """Name the classes that an exception is an instance of, as far as they are a provider's."""
    return frozenset(c.__name__ for c in type(error).__mro__ if c.__module__.split(".")[0] in _HOMES)


def _body(error: BaseException, message: str) -> dict[str, Any]:
    raw = getattr(error, "body", None)
    inner = raw.get("error") if isinstance(raw, Mapping) else None
    body = dict(inner if isinstance(inner, Mapping) else raw) if isinstance(raw, Mapping) else {}
    for name in ("code", "type", "param"):
        if body.get(name) is None:
            body[name] = getattr(error, name, None)
    body.setdefault("message", message)
    return body


def _facts(
    body: Mapping[str, Any],
    status: int | None,
    headers: Mapping[str, str],
    endpoint: str | None,
    *,
    complete: bool = False,
) -> ErrorFacts:
    message = str(body.get("message") or "")
    code, kind_of, param = (_text(body.get(name)) for name in ("code", "type", "param"))
    kind = _kind(status, kind_of, code, param, message)
    if kind in (_K.INVALID, _K.AUTHENTICATION, _K.SERVER) and endpoint is not None and param is None:
        kind = _K.NO_ENDPOINT if _is_missing(status, body, message, complete=complete) else kind
    return ErrorFacts(
        kind=kind,
        status=status,
        type=kind_of,
        code=code,
        param=param,
        message=message,
        retry_after=None if (wait := retry_after(headers, message)) is None else min(wait, _LONGEST_WAIT),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "")),
        endpoint=endpoint,
        tokens=told_tokens(message) if kind is _K.CONTEXT else None,
    )


def _kind(
    status: int | None, type_: str | None, code: str | None, param: str | None, message: str
) -> ErrorKind:
    for prefix, kind in _BY_MESSAGE:
        if message.startswith(prefix):
            return kind
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code]
    if param in CAPS and code in ("invalid_value", "integer_above_max_value"):
        return _K.OUTPUT_CAP
    if "prompt_cache_" in message and "is not supported on this model" in message:
        return _K.PARAMETER
    named = next((kind for part, kind in _IN_MESSAGE if part in message), None)
    if named is not None:
        return named
    if status is not None:
        return _by_status(status, type_, message)
    # Inside a stream there is no status; what the provider does not explain is its own failure.
    return _BY_TYPE.get(type_ or "", _K.SERVER)


def _by_status(status: int, type_: str | None, message: str) -> ErrorKind:
    if status >= 500:
        return _K.SERVER
    if type_ == "insufficient_quota":
        return _K.QUOTA
    if status in (403, 404) and _NO_MODEL.search(message):
        return _K.NOT_FOUND
    return _BY_STATUS.get(status, _K.INVALID)


def _is_missing(status: int | None, body: Mapping[str, Any], message: str, *, complete: bool) -> bool:
    """Say whether an address does not have an endpoint; it is reported in many ways, and seldom in OpenAI's.

    Args:
        status: the HTTP status.
        body: the error's body.
        message: its message.
        complete: whether the address is known to have both, so that only words say otherwise (of a key).
    """
    if status not in _NOT_HERE:
        return False
    if _NO_SUCH.search(message):
        return True
    if complete or status in (401, 403):
        return False
    # OpenAI's own errors have a type; a page, an empty body or {"detail": ...} come from what stands before.
    return status in (404, 405, 501) or not (body.get("type") or body.get("code"))


def retry_after(headers: Mapping[str, str], message: str = "") -> float | None:
    """Return the seconds that a refusal asks to wait, by its headers or in words, or None."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            return max(0.0, float(value) * scale)
        except ValueError:
            if (until := _until(value, headers.get("date", ""))) is not None:
                return until
    if not message:
        return None
    if found := _WAIT.search(message):
        return sum(float(amount) * _UNITS[unit.lower()] for amount, unit in _PART.findall(found[1]))
    found = _WAIT_SECONDS.search(message)
    return float(found[1]) if found else None


def _until(value: str, date: str) -> float | None:
    """Return the seconds from the response's own date to a date; no clock of ours is asked."""
    if not value or not date:
        return None
    from email.utils import parsedate_to_datetime  # heavy, and rarely needed

    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(date)).total_seconds())
    except (TypeError, ValueError):
        return None


def _headers(headers: Any) -> dict[str, str]:
    try:
        return {str(name).lower(): str(value) for name, value in (headers or {}).items()}
    except (AttributeError, TypeError, ValueError):
        return {}


def _endpoint(error: BaseException) -> str | None:
    return _place(_url(error))


def _place(url: str) -> str | None:
    path = url.split("?")[0]
    return {"completions": "chat_completions", "responses": "responses"}.get(path.rsplit("/", 1)[-1])


def _is_openais(error: BaseException) -> bool:
    """Say whether an error comes from OpenAI's own address, which has both endpoints."""
    return _OPENAI.match(_url(error)) is not None


def _url(error: BaseException) -> str:
    try:
        request = getattr(error, "request", None) or getattr(error, "response").request  # noqa: B009
        return str(request.url)
    except (AttributeError, RuntimeError):  # httpx raises when an exception has no request
        return ""


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
