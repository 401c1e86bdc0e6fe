"""From an exception, or plain data, to ErrorFacts. Reads attributes; imports no SDK and no framework.

The tables follow the error bodies that public threads quote from the live API (each is named in the
simulator's ``data/errors.toml``). ``code`` is null for several of them, and since openai 3.38 an
exception's ``str()`` no longer holds the body; so what counts is the status, the ``type``, the
``code``, the ``param`` and how the message begins, in that order of trust.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from routed_llm.recovery.facts import ErrorFacts, ErrorKind, told_tokens

__all__ = ["classify_error"]

_K = ErrorKind

_BY_CODE: Final[Mapping[str, ErrorKind]] = {
    "insufficient_quota": _K.QUOTA,
    "billing_hard_limit_reached": _K.QUOTA,
    "billing_not_active": _K.QUOTA,
    "context_length_exceeded": _K.CONTEXT,
    "model_not_found": _K.NOT_FOUND,
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
)
_CAP_NAMES: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")

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
    "ContentFilterFinishReasonError": _K.CONTENT,
    "StreamChunkTimeoutError": _K.TIMEOUT,
    "APITimeoutError": _K.TIMEOUT,
    "ModelTimeoutError": _K.TIMEOUT,
    "TimeoutException": _K.TIMEOUT,
    "APIConnectionError": _K.CONNECTION,
    "ModelConnectionError": _K.CONNECTION,
    "TransportError": _K.CONNECTION,
    "APIResponseValidationError": _K.INVALID,
}
_HOMES: Final = frozenset(
    {"openai", "httpx", "httpx2", "httpcore", "httpcore2", "langchain_openai", "langchain_core", "routed_llm"}
)
"""Packages whose exceptions may be the provider's; the same name elsewhere means something else."""

_WAIT: Final = re.compile(r"try again in ((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)", re.IGNORECASE)
_WAIT_SECONDS: Final = re.compile(r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?) seconds?", re.IGNORECASE)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.IGNORECASE)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def classify_error(error: BaseException | Mapping[str, Any], *, started: bool = False) -> ErrorFacts:
    """Say what an error is.

    Args:
        error: an exception of either major of the openai SDK, of its HTTP client, of langchain-openai or
            of LlamaIndex; or plain data: an error body (with or without its ``error`` envelope), to
            which ``status`` and ``headers`` may be added.
        started: whether tokens of the answer had been passed on.
    """
    if isinstance(error, Mapping):
        inner = error.get("error")
        body = inner if isinstance(inner, Mapping) else error
        status = error.get("status", error.get("status_code"))
        facts = _facts(body, _number(status), _headers(error.get("headers")), error.get("endpoint"))
        return replace(facts, started=started)
    return replace(_of_exception(error), started=started, name=type(error).__name__)


def _of_exception(error: BaseException) -> ErrorFacts:
    if isinstance(error, json.JSONDecodeError) and _in_a_stream(error):
        return ErrorFacts(kind=_K.SERVER, message=f"the stream holds what is no JSON: {error}")
    known = _families(error)
    if not isinstance(error, Exception) or not known:
        return ErrorFacts(kind=_K.FOREIGN, message=str(error))
    message = str(getattr(error, "message", None) or error)
    for name, kind in _BY_CLASS.items():
        if name in known:
            return ErrorFacts(kind=kind, message=message, endpoint=_endpoint(error))
    status = _number(getattr(error, "status_code", None))
    if status is None and "APIError" not in known:
        return ErrorFacts(kind=_K.FOREIGN, message=str(error))
    response = getattr(error, "response", None)
    return _facts(
        _body(error, message), status, _headers(getattr(response, "headers", None)), _endpoint(error)
    )


def _in_a_stream(error: BaseException) -> bool:
    """Say whether it was the SDK that could not read an event: the same error of a program is its own."""
    trace, before = error.__traceback__, ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__"))
        before = before if name.partition(".")[0] == "json" else name
        trace = trace.tb_next
    return before == "openai._streaming"


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
    body: Mapping[str, Any], status: int | None, headers: Mapping[str, str], endpoint: str | None
) -> ErrorFacts:
    message = str(body.get("message") or "")
    code, kind_of, param = (_text(body.get(name)) for name in ("code", "type", "param"))
    kind = _kind(status, kind_of, code, param, message)
    return ErrorFacts(
        kind=kind,
        status=status,
        type=kind_of,
        code=code,
        param=param,
        message=message,
        retry_after=_retry_after(headers, message),
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
    if param in _CAP_NAMES and code in ("invalid_value", "integer_above_max_value"):
        return _K.OUTPUT_CAP
    if "prompt_cache_" in message and "is not supported on this model" in message:
        return _K.PARAMETER
    told = next((kind for part, kind in _IN_MESSAGE if part in message), None)
    if told is not None:
        return told
    if status is not None and status >= 500:
        return _K.SERVER
    if type_ == "insufficient_quota":
        return _K.QUOTA
    if status is not None:
        return _BY_STATUS.get(status, _K.INVALID)
    # Inside a stream there is no status; what the provider does not explain is its own failure.
    return _BY_TYPE.get(type_ or "", _K.SERVER)


def _retry_after(headers: Mapping[str, str], message: str) -> float | None:
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        try:
            return max(0.0, float(value) * scale)
        except ValueError:
            if (until := _until(value, headers.get("date", ""))) is not None:
                return until
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
    try:
        request = getattr(error, "request", None) or getattr(error, "response").request  # noqa: B009
        path = str(request.url).split("?")[0]
    except (AttributeError, RuntimeError):  # httpx raises when an exception has no request
        return None
    return {"completions": "chat_completions", "responses": "responses"}.get(path.rsplit("/", 1)[-1])


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
